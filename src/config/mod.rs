//! Settings and paths, all injectable so that tests never touch a person's own.
