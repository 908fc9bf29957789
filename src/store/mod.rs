//! The library: one SQLite file. The only place with SQL; must not touch photos, models or the window.
