//! Measuring models over dataset files. Pure figures from vectors: no SQL, no window.

mod retrieval;

pub use retrieval::{Place, Ranking, Recall, rank_images_by_texts};
