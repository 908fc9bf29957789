//! Glimpse: look through your photos with words.
//!
//! Everything the program does lives in this library; the binary only parses
//! arguments and calls in. `ARCHITECTURE.md` draws the modules and the one
//! direction in which they may depend on each other; `tests/it/architecture.rs`
//! enforces it.

#[cfg(feature = "gui")]
pub mod app;
pub mod cli;
pub mod config;
pub mod device;
pub mod domain;
pub mod engine;
pub mod eval;
pub mod export;
pub mod gpu;
pub mod indexing;
pub mod media;
pub mod models;
pub mod search;
pub mod store;
