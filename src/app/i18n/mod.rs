//! Every word of the window in every language it speaks, and how numbers are written.
//!
//! The strings stand in [`catalogue`] alone; nothing else holds a word that a person reads.

mod catalogue;
mod failures;
mod numbers;
mod words;

pub use catalogue::Msg;

use crate::device::DeviceNote;
use crate::domain::{JobKind, SkippedReason};
use crate::engine::{BUILT_IN_ALIGN, ModelStatus};

/// A language of the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lang {
    En,
    Zh,
}

impl Lang {
    /// All of them, in the order of the settings.
    pub const ALL: [Self; 2] = [Self::En, Self::Zh];

    /// The language for a BCP 47 code; English where we do not speak it.
    pub fn of_code(code: &str) -> Self {
        if code.to_ascii_lowercase().starts_with("zh") { Self::Zh } else { Self::En }
    }

    /// The chosen language, else the system's.
    pub fn choose(setting: Option<&str>) -> Self {
        match setting {
            Some(code) => Self::of_code(code),
            None => sys_locale::get_locale().map_or(Self::En, |code| Self::of_code(&code)),
        }
    }

    /// The code that the settings keep.
    pub fn code(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Zh => "zh-CN",
        }
    }

    /// The language's name in itself.
    pub fn own_name(self) -> &'static str {
        match self {
            Self::En => "English",
            Self::Zh => "简体中文",
        }
    }

    /// A text without gaps.
    pub fn text(self, msg: Msg) -> &'static str {
        msg.text(self)
    }

    /// A text with its `{gaps}` filled.
    pub fn fill(self, msg: Msg, gaps: &[(&str, &str)]) -> String {
        let mut rest = msg.text(self);
        let mut out = String::with_capacity(rest.len() + 16);
        // One pass: what is filled in may itself contain braces.
        while let Some(start) = rest.find('{') {
            out.push_str(&rest[..start]);
            let Some(end) = rest[start..].find('}').map(|i| start + i) else { break };
            let name = &rest[start + 1..end];
            out.push_str(gaps.iter().find(|(gap, _)| *gap == name).map_or("", |(_, value)| value));
            rest = &rest[end + 1..];
        }
        out + rest
    }

    /// "1 photo", "2,345 photos".
    pub fn photos(self, n: u64) -> String {
        self.fill(if n == 1 { Msg::PhotoOne } else { Msg::PhotoMany }, &[("n", &self.number(n))])
    }

    /// "1 result", "40 results".
    pub fn results(self, n: u64) -> String {
        self.fill(if n == 1 { Msg::ResultOne } else { Msg::ResultMany }, &[("n", &self.number(n))])
    }

    /// What a job is at work on.
    pub fn job(self, kind: &JobKind) -> String {
        match kind {
            JobKind::Index(name) => name.clone(),
            JobKind::Caption(photos) => self.fill(Msg::JobCaption, &[("photos", &self.photos(*photos))]),
            JobKind::Export => self.text(Msg::JobExport).to_owned(),
            JobKind::ExportPreview => self.text(Msg::JobExportPreview).to_owned(),
            JobKind::IndexAll(folders) => self.fill(Msg::FolderMany, &[("n", &self.number(*folders as u64))]),
        }
    }

    /// What a model is good at; the built-in one's manifest speaks English only.
    pub fn good_at(self, model: &ModelStatus) -> &str {
        if model.pack == BUILT_IN_ALIGN { self.text(Msg::GoodAtBuiltIn) } else { &model.good_at }
    }

    /// Why computing is not done by something better.
    pub fn device_note(self, note: &DeviceNote) -> String {
        match note {
            DeviceNote::NoAdapter => self.text(Msg::DeviceNoAdapter).to_owned(),
            DeviceNote::OnlySoftware(name) => self.fill(Msg::DeviceOnlySoftware, &[("name", name)]),
            DeviceNote::GaveUp { adapter, reason } => {
                self.fill(Msg::DeviceGaveUp, &[("name", adapter), ("reason", reason)])
            }
            DeviceNote::Other(words) => words.clone(),
        }
    }

    /// Why a file was left out.
    pub fn skipped(self, reason: SkippedReason) -> &'static str {
        self.text(match reason {
            SkippedReason::Unreadable => Msg::SkippedUnreadable,
            SkippedReason::Empty => Msg::SkippedEmpty,
            SkippedReason::Damaged => Msg::SkippedDamaged,
            SkippedReason::Unsupported => Msg::SkippedUnsupported,
            SkippedReason::TooLarge => Msg::SkippedTooLarge,
            SkippedReason::NotFinite => Msg::SkippedNotFinite,
            SkippedReason::Changing => Msg::SkippedChanging,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gaps(text: &str) -> Vec<&str> {
        let mut names: Vec<&str> =
            text.split('{').skip(1).filter_map(|part| part.split_once('}').map(|(name, _)| name)).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn both_languages_are_complete() {
        for &msg in Msg::ALL {
            let (en, zh) = (msg.text(Lang::En), msg.text(Lang::Zh));
            assert!(!en.trim().is_empty() && !zh.trim().is_empty(), "{msg:?} is blank");
            assert_eq!(gaps(en), gaps(zh), "{msg:?}: the gaps differ");
            let han = |text: &str| text.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c));
            assert!(!han(en), "{msg:?}: English holds Chinese");
            // What is left of a text without its gaps and without words needs no translation.
            let bare: String = zh.split('{').map(|part| part.split_once('}').map_or(part, |(_, rest)| rest)).collect();
            let letters_in_zh = bare.chars().any(char::is_alphabetic);
            let untranslated = [Msg::AppName, Msg::PerSecond].contains(&msg);
            assert!(han(zh) || !letters_in_zh || untranslated, "{msg:?} is not translated: {zh}");
            // Sentence case, three dots as one character, no exclamation marks.
            assert!(!en.contains("...") && !en.contains('!'), "{msg:?}: {en}");
        }
    }

    #[test]
    fn gaps_are_filled_once() {
        let text = Lang::En.fill(Msg::NothingLikely, &[("query", "{query} {n}")]);
        assert!(text.contains("{query} {n}"), "{text}");
    }

    #[test]
    fn languages_by_code() {
        assert_eq!(Lang::of_code("zh-Hans-CN"), Lang::Zh);
        assert_eq!(Lang::of_code("de"), Lang::En);
        for lang in Lang::ALL {
            assert_eq!(Lang::of_code(lang.code()), lang);
        }
        assert_eq!((Lang::En.photos(1), Lang::En.photos(2345)), ("1 photo".into(), "2,345 photos".into()));
        assert_eq!(Lang::Zh.photos(2), "2 张照片");
    }
}
