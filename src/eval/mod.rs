//! Measuring models over dataset files. Pure figures from vectors, words, answers and
//! scores: no models, no SQL, no window.

mod answers;
mod captions;
mod matching;
mod retrieval;
mod words;

pub use answers::{ByKind, Tally, calibration_error, same_answer};
pub use captions::{Described, bleu, borne_out, cider};
pub use matching::{auc, best_wrong, sample, text_of_another};
pub use retrieval::{Place, Ranking, Recall, rank_images_by_texts};
pub use words::{characters, words};
