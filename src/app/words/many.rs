//! Which photos a sheet means, and how many they are.

use crate::app::runtime::Runtime;
use crate::app::shown::Question;
use crate::domain::PhotoId;
use crate::engine::{Chosen, Scope};
use crate::export::Which;

use super::Among;

impl Runtime {
    /// The photos of the grid that a sheet means by "what is shown": of a search those that
    /// are likely, and all of them where none is.
    fn shown_photos(&self) -> &[PhotoId] {
        let Some(shown) = self.shown.value() else { return &[] };
        let likely = shown.split().unwrap_or(shown.ids.len());
        &shown.ids[..likely]
    }

    /// How many photos these are.
    pub fn count_among(&self, among: Among) -> u64 {
        match among {
            Among::Selected => self.selection.len() as u64,
            Among::Shown => self.shown_photos().len() as u64,
            Among::All => self.library.as_ref().map_or(0, |library| library.photos),
            Among::WithoutCaption => self.library.as_ref().map_or(0, |library| library.without_caption),
        }
    }

    /// The choice that is most likely meant: what is selected, else what a search or a folder shows.
    pub fn likely_among(&self) -> Among {
        if !self.selection.is_empty() {
            Among::Selected
        } else if self.asked.question.is_some() || matches!(self.asked.scope, Scope::Folder(_)) {
            Among::Shown
        } else {
            Among::All
        }
    }

    /// These photos, for a batch.
    pub fn chosen(&self, among: Among) -> Chosen {
        match among {
            Among::Selected => Chosen::Photos(self.selection.in_order(self.ids()).collect()),
            Among::Shown => match self.asked.question {
                None => Chosen::Scope(self.asked.scope),
                Some(Question::Text(_) | Question::Picture(_) | Question::Similar(..)) => {
                    Chosen::Photos(self.shown_photos().to_vec())
                }
            },
            Among::All => Chosen::Scope(Scope::All),
            Among::WithoutCaption => Chosen::Scope(Scope::WithoutCaption),
        }
    }

    /// These photos, for an export.
    pub fn which(&self, among: Among) -> Which {
        match among {
            Among::Selected => Which::Photos(self.selection.in_order(self.ids()).collect()),
            Among::Shown => Which::Photos(self.shown_photos().to_vec()),
            Among::All | Among::WithoutCaption => Which::All,
        }
    }
}
