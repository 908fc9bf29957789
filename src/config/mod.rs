//! Settings and paths, all injectable so that tests never touch a person's own.
//!
//! Must not open the library, load models or draw.

mod paths;
mod settings;

pub use paths::Paths;
pub use settings::{Settings, Theme, write_json};
