//! What stands in the sheets about many photos: captioning, changing captions, exporting.

use std::path::{Path, PathBuf};

use crate::app::remote::Remote;
use crate::domain::{RequestId, Rewording};
use crate::engine::{ExportReport, Failure, RewordReport};
use crate::export::{Format, Options, Target, Which, XmpName};

/// Which photos a sheet is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Among {
    Selected,
    /// What the grid shows: a folder, or what a search found.
    Shown,
    #[default]
    All,
    WithoutCaption,
}

/// The sheet that captions many photos.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchForm {
    pub among: Among,
    /// Leave out photos that have a caption in that language.
    pub missing_only: bool,
}

impl Default for BatchForm {
    fn default() -> Self {
        Self { among: Among::default(), missing_only: true }
    }
}

/// What is done to captions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RewordKind {
    #[default]
    Replace,
    Before,
    Behind,
}

/// What the sheet that changes many captions asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RewordForm {
    pub among: Among,
    pub kind: RewordKind,
    /// What is looked for, or put before or behind.
    pub text: String,
    pub with: String,
    pub match_case: bool,
}

impl RewordForm {
    /// The change; `None` while nothing was typed.
    pub fn rewording(&self) -> Option<Rewording> {
        if self.text.is_empty() {
            return None;
        }
        Some(match self.kind {
            RewordKind::Replace => {
                Rewording::Replace { find: self.text.clone(), with: self.with.clone(), match_case: self.match_case }
            }
            RewordKind::Before => Rewording::Prefix(self.text.clone()),
            RewordKind::Behind => Rewording::Suffix(self.text.clone()),
        })
    }
}

/// An answer that belongs to a form as it stood; another form makes it void.
#[derive(Clone, Debug)]
pub struct Checked<T> {
    pub request: Option<RequestId>,
    pub answer: Remote<T, Failure>,
    /// It was not a dry run.
    pub for_real: bool,
}

impl<T> Default for Checked<T> {
    fn default() -> Self {
        Self { request: None, answer: Remote::Idle, for_real: false }
    }
}

impl<T> Checked<T> {
    /// Another answer is awaited.
    pub fn start(&mut self, request: RequestId, for_real: bool) {
        (self.request, self.for_real) = (Some(request), for_real);
        self.answer.start();
    }

    /// The answer came; false if it is one that nobody waits for.
    pub fn finish(&mut self, request: RequestId, result: Result<T, Failure>) -> bool {
        let awaited = self.request == Some(request);
        if awaited {
            self.request = None;
            self.answer.finish(result);
        }
        awaited
    }

    /// The answer, unless it was to another form.
    pub fn done(&self) -> Option<&T> {
        if self.answer.is_loading() { None } else { self.answer.value() }
    }
}

/// What an export asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportForm {
    pub among: Among,
    pub format: Format,
    pub beside: bool,
    /// A folder, as it was typed or chosen.
    pub folder: String,
    pub accepted_only: bool,
    /// `en`, `zh`; `None`: whatever there is.
    pub lang: Option<String>,
    pub xmp_name: XmpName,
    pub bom: bool,
    pub gps: bool,
}

impl Default for ExportForm {
    fn default() -> Self {
        Self {
            among: Among::default(),
            format: Format::Txt,
            beside: false,
            folder: String::new(),
            accepted_only: false,
            lang: None,
            xmp_name: XmpName::default(),
            bom: false,
            gps: false,
        }
    }
}

impl ExportForm {
    /// One table rather than a file for each photo.
    pub fn is_table(&self) -> bool {
        matches!(self.format, Format::Csv | Format::Jsonl)
    }

    /// The table's file in the chosen folder.
    pub fn file(&self, folder: &Path) -> PathBuf {
        folder.join(if self.format == Format::Csv { "captions.csv" } else { "captions.jsonl" })
    }

    /// Whether it is said where to write: a folder is named, or none is needed.
    pub fn has_place(&self) -> bool {
        !self.folder.trim().is_empty() || (self.beside && !self.is_table())
    }

    /// What the engine is asked; `None` while there is no place.
    pub fn options(&self, which: Which, folder: &Path, dry_run: bool) -> Option<Options> {
        if !self.has_place() {
            return None;
        }
        let target = match (self.is_table(), self.beside) {
            (true, _) => Target::File(self.file(folder)),
            (false, true) => Target::Beside,
            (false, false) => Target::Folder(folder.to_owned()),
        };
        Some(Options {
            which,
            accepted_only: self.accepted_only,
            lang: self.lang.clone(),
            xmp_name: self.xmp_name,
            bom: self.bom && self.format == Format::Csv,
            gps: self.gps && self.format != Format::Txt,
            dry_run,
            ..Options::new(self.format, target)
        })
    }
}

/// The sheets' state: it stays when a sheet is closed.
#[derive(Clone, Debug, Default)]
pub struct Forms {
    pub batch: BatchForm,
    pub reword: RewordForm,
    pub reworded: Checked<RewordReport>,
    /// When the change that was typed is tried out.
    pub reword_due: Option<f64>,
    pub export: ExportForm,
    pub exported: Checked<ExportReport>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_export_needs_a_place() {
        let mut form = ExportForm::default();
        let options = |form: &ExportForm| form.options(Which::All, Path::new("/out"), true);
        assert_eq!(options(&form), None);
        form.beside = true;
        assert_eq!(options(&form).unwrap().target, Target::Beside);
        form.format = Format::Csv;
        (form.bom, form.gps) = (true, true);
        assert_eq!(options(&form), None, "a table goes nowhere but into a folder");
        form.folder = "/out".into();
        let table = options(&form).unwrap();
        assert_eq!(table.target, Target::File("/out/captions.csv".into()));
        assert!(table.bom && table.gps && table.dry_run);
        (form.format, form.beside) = (Format::Txt, false);
        let text = options(&form).unwrap();
        assert_eq!(text.target, Target::Folder("/out".into()));
        assert!(!text.bom && !text.gps, "what the format has no place for stays off");
    }

    #[test]
    fn only_the_awaited_answer_counts() {
        let mut checked = Checked::<u32>::default();
        checked.start(RequestId(1), false);
        checked.start(RequestId(2), true);
        assert!(!checked.finish(RequestId(1), Ok(1)));
        assert_eq!(checked.done(), None);
        assert!(checked.finish(RequestId(2), Ok(2)));
        assert_eq!(checked.done(), Some(&2));
    }

    #[test]
    fn nothing_typed_changes_nothing() {
        let mut form = RewordForm::default();
        assert_eq!(form.rewording(), None);
        form.text = "dog".into();
        assert!(matches!(form.rewording(), Some(Rewording::Replace { .. })));
        form.kind = RewordKind::Behind;
        assert_eq!(form.rewording(), Some(Rewording::Suffix("dog".into())));
    }
}
