//! The Fuse family: one transformer that attends over words and picture together.
//!
//! OSCAR, VinVL, UNITER and VLP are one BERT with four ways to embed regions, four
//! masks and a few heads. Must not touch SQL, the window or people's folders.

mod config;
pub mod regions;

pub use config::Recipe;
