//! A batch of captions as the window sees it: what it wrote last, and what went wrong.

use std::collections::VecDeque;

use crate::domain::{JobId, PhotoId};
use crate::engine::Failure;

/// Photos of the batch that are listed; all are counted.
const LISTED: usize = 50;

/// A batch that runs, or has ended.
#[derive(Clone, Debug)]
pub struct Batch {
    pub job: JobId,
    /// Newest first.
    pub latest: VecDeque<(PhotoId, Result<String, Failure>)>,
    pub written: u64,
    pub failed: u64,
    /// The person has put the list away.
    pub hidden: bool,
}

impl Batch {
    /// Nothing written yet.
    pub fn new(job: JobId) -> Self {
        Self { job, latest: VecDeque::new(), written: 0, failed: 0, hidden: false }
    }

    /// The batch came past a photo.
    pub fn came(&mut self, photo: PhotoId, result: Result<String, Failure>) {
        match &result {
            Ok(_) => self.written += 1,
            Err(_) => self.failed += 1,
        }
        self.latest.push_front((photo, result));
        self.latest.truncate(LISTED);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_bounded_and_the_counts_are_not() {
        let mut batch = Batch::new(JobId(1));
        for i in 0..1000 {
            batch.came(PhotoId(i), Ok("a dog".into()));
        }
        assert_eq!((batch.latest.len(), batch.written), (LISTED, 1000));
        assert_eq!(batch.latest[0].0, PhotoId(999));
    }
}
