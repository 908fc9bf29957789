//! Models: packs on disk, preprocessing, tokenizers, towers. Must not touch SQL, the window or people's folders.

pub mod align;
pub mod bert;
pub mod catalogue;
mod error;
pub mod folder;
pub mod fuse;
pub mod golden;
mod json;
pub mod ops;
pub mod pack;
pub mod preprocess;
pub mod tokenizer;
pub mod weights;

pub use error::ModelError;
