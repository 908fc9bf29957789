//! Finding photos: the vector index and what is built on it.

pub mod index;
