//! What is being typed about photos and not saved yet. Nothing takes it away but saving
//! it, or the person: not another photo, not a new suggestion, not a save that failed.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::domain::{Caption, CaptionId, PhotoId};

/// A field of the panel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Field {
    /// A caption in a person's own words.
    NewCaption,
    /// A caption that is being edited.
    Caption(CaptionId),
    Question,
    /// A sentence to be matched.
    Sentence,
}

/// A field about a photo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Slot {
    pub photo: PhotoId,
    pub field: Field,
}

#[derive(Clone, Debug, Default)]
struct Typed {
    text: String,
    /// Handed to the library, which has not answered yet.
    saving: bool,
}

/// All texts that are being typed, by photo and field.
#[derive(Clone, Debug, Default)]
pub struct Typing(HashMap<Slot, Typed>);

impl Typing {
    /// What stood in the caption fields when the window was closed.
    pub fn restore(unsaved: &[(Slot, String)]) -> Self {
        let typed = |text: &String| Typed { text: text.clone(), saving: false };
        Self(unsaved.iter().map(|(slot, text)| (*slot, typed(text))).collect())
    }

    /// What stands in a field; `None` where nothing was typed.
    pub fn get(&self, slot: Slot) -> Option<&str> {
        self.0.get(&slot).map(|typed| typed.text.as_str())
    }

    /// The text went to the library, and there is no answer yet.
    pub fn is_saving(&self, slot: Slot) -> bool {
        self.0.get(&slot).is_some_and(|typed| typed.saving)
    }

    /// The field changed. An empty one is forgotten, but one that edits a caption stays open.
    pub fn set(&mut self, slot: Slot, text: String) {
        if text.is_empty() && !matches!(slot.field, Field::Caption(_)) {
            self.0.remove(&slot);
        } else {
            self.0.insert(slot, Typed { text, saving: false });
        }
    }

    /// The person wants it gone.
    pub fn forget(&mut self, slot: Slot) {
        self.0.remove(&slot);
    }

    /// The field's text, on its way to the library; it stays until that has it.
    pub fn save(&mut self, slot: Slot) -> Option<String> {
        let typed = self.0.get_mut(&slot)?;
        typed.saving = true;
        Some(typed.text.trim().to_owned())
    }

    /// Something could not be written: what was on its way can be saved again.
    pub fn save_failed(&mut self) {
        self.0.values_mut().for_each(|typed| typed.saving = false);
    }

    /// The library's captions of a photo: what is among them is saved; what edited a
    /// caption that is no longer there becomes a new one.
    pub fn compare(&mut self, photo: PhotoId, captions: &[Caption]) {
        let of_photo: Vec<Slot> = self.0.keys().filter(|slot| slot.photo == photo).copied().collect();
        for slot in of_photo {
            let Some(typed) = self.0.get(&slot) else { continue };
            let saved = |caption: &Caption| typed.saving && caption.text == typed.text.trim();
            match slot.field {
                Field::NewCaption if captions.iter().any(saved) => drop(self.0.remove(&slot)),
                Field::Caption(id) => match captions.iter().find(|caption| caption.id == id) {
                    Some(caption) if saved(caption) => drop(self.0.remove(&slot)),
                    Some(_) => {}
                    None => self.move_to_new(slot),
                },
                _ => {}
            }
        }
    }

    fn move_to_new(&mut self, slot: Slot) {
        let Some(orphan) = self.0.remove(&slot).filter(|typed| !typed.text.trim().is_empty()) else { return };
        let new = self.0.entry(Slot { field: Field::NewCaption, ..slot }).or_default();
        if !new.text.is_empty() {
            new.text.push('\n');
        }
        new.text.push_str(&orphan.text);
    }

    /// The caption fields' texts, for the next start.
    pub fn unsaved(&self) -> Vec<(Slot, String)> {
        let is_caption = |slot: &Slot| matches!(slot.field, Field::NewCaption | Field::Caption(_));
        let captions = self.0.iter().filter(|(slot, _)| is_caption(slot));
        let mut unsaved: Vec<_> = captions.map(|(slot, typed)| (*slot, typed.text.clone())).collect();
        unsaved.sort_unstable();
        unsaved
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{CaptionSource, CaptionState};

    const PHOTO: PhotoId = PhotoId(1);
    const NEW: Slot = Slot { photo: PHOTO, field: Field::NewCaption };
    const EDIT: Slot = Slot { photo: PHOTO, field: Field::Caption(CaptionId(7)) };

    fn caption(id: i64, text: &str) -> Caption {
        let (source, state) = (CaptionSource::Person, CaptionState::Accepted);
        let (text, lang) = (text.to_owned(), "en".to_owned());
        Caption { id: CaptionId(id), photo: Some(PHOTO), text, lang, source, state, created_s: 0 }
    }

    #[test]
    fn only_what_the_library_has_is_let_go() {
        let mut typing = Typing::default();
        typing.set(NEW, " a red kite ".into());
        typing.set(EDIT, "a dog".into());
        // Not saved yet, though the library happens to hold the same words.
        typing.compare(PHOTO, &[caption(7, "a dog"), caption(8, "a red kite")]);
        assert_eq!((typing.get(NEW), typing.get(EDIT)), (Some(" a red kite "), Some("a dog")));
        assert_eq!(typing.save(NEW).as_deref(), Some("a red kite"));
        typing.save(EDIT);
        typing.compare(PHOTO, &[caption(7, "an older text")]);
        assert!(typing.is_saving(NEW) && typing.is_saving(EDIT));
        typing.save_failed();
        typing.compare(PHOTO, &[caption(7, "a dog")]);
        assert_eq!(typing.get(EDIT), Some("a dog"), "what failed stays");
        typing.save(EDIT);
        typing.save(NEW);
        typing.compare(PHOTO, &[caption(7, "a dog"), caption(8, "a red kite")]);
        assert_eq!((typing.get(NEW), typing.get(EDIT)), (None, None));
    }

    #[test]
    fn an_edit_outlives_its_caption_and_the_window() {
        let mut typing = Typing::default();
        typing.set(EDIT, "two dogs".into());
        typing.set(NEW, "own words".into());
        typing.set(Slot { photo: PHOTO, field: Field::Question }, "why".into());
        typing = Typing::restore(&typing.unsaved());
        assert_eq!(typing.get(Slot { photo: PHOTO, field: Field::Question }), None);
        typing.compare(PHOTO, &[]);
        assert_eq!((typing.get(NEW), typing.get(EDIT)), (Some("own words\ntwo dogs"), None));
        typing.set(NEW, String::new());
        assert!(typing.unsaved().is_empty());
    }
}
