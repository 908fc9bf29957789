//! The one place where a wish changes the state or becomes a command to the engine.

use std::path::PathBuf;

use egui::{Context, Vec2};

use crate::config::Theme;
use crate::domain::{JobState, PhotoId};
use crate::engine::{Command, Scope};

use super::actions::UiAction;
use super::commands::UserCommand;
use super::i18n::{Lang, Msg};
use super::runtime::{NoticeKind, Overlay, ScrollTo, Viewer};
use super::services::{PickKind, PickStart};
use super::shown::{Asked, Question};
use super::tokens::layout;
use super::words::{Tab, WordsAction};
use super::{GlimpseApp, theme_preference, tokens};

/// The most that the viewer magnifies, as a multiple of "fit".
const ZOOM_MAX: f32 = 16.0;
/// One press of "larger thumbnails".
const THUMB_STEP: f32 = 1.2;
/// Hits that are judged when judging is switched on.
const RERANK: usize = 20;

impl GlimpseApp {
    /// Does what the person wants.
    pub(super) fn apply(&mut self, ctx: &Context, action: UiAction) {
        match action {
            UiAction::Run(command) => self.run_command(ctx, command),

            UiAction::Typed { text, composing } => {
                self.rt.search.text = text;
                self.rt.search.composing = composing;
                self.rt.search.due = (!composing).then_some(ctx.time() + tokens::time::DEBOUNCE);
            }
            UiAction::SearchNow => self.search_typed(),
            UiAction::ClearSearch => self.clear_search(),
            UiAction::ShowScope(scope) => {
                self.saved.window.scope = scope;
                self.rt.viewer = None;
                self.clear_search();
            }
            UiAction::Widen => {
                self.saved.window.scope = Scope::All;
                self.rt.asked.scope = Scope::All;
                self.ask();
            }
            UiAction::SearchByPicture(path) => self.ask_like(Question::Picture(path)),
            UiAction::FindSimilar(photo) => {
                let name = self.rt.thumbs.get(photo).map(|entry| entry.name.clone()).unwrap_or_default();
                self.ask_like(Question::Similar(photo, name));
            }

            UiAction::GridSeen { first, last, columns, rows_a_page, offset, place, went } => {
                let grid = &mut self.rt.grid;
                (grid.columns, grid.rows_a_page, grid.offset, grid.place) = (columns, rows_a_page, offset, place);
                // A key pressed in this very frame may have named another place since.
                if grid.scroll_to == went {
                    grid.scroll_to = None;
                }
                self.fetch_thumbnails(ctx, first, last, columns);
            }
            UiAction::Select(photo) => self.lead_changes(|s, _| s.only(photo)),
            UiAction::Toggle(photo) => self.lead_changes(|s, _| s.toggle(photo)),
            UiAction::SelectTo(photo) => self.lead_changes(|s, ids| s.range_to(ids, photo)),
            UiAction::BandStart { add } => self.lead_changes(|s, _| s.band_start(add)),
            UiAction::Band(photos) => self.lead_changes(|s, _| s.band(&photos)),
            UiAction::SelectNone => self.rt.selection.clear(),
            UiAction::Step { by, extend } => {
                let mut place = None;
                self.lead_changes(|s, ids| place = s.step(ids, by, extend));
                self.rt.grid.scroll_to = place.map(ScrollTo::Show).or(self.rt.grid.scroll_to);
            }
            UiAction::View(photo) => self.view(photo),

            UiAction::ViewStep(by) => self.view_step(by),
            UiAction::CloseViewer => self.rt.viewer = None,
            UiAction::Zoom { by, around } => {
                if let Some(viewer) = &mut self.rt.viewer {
                    let zoom = (viewer.zoom * by).clamp(1.0, ZOOM_MAX);
                    // The point under the pointer stays where it is.
                    viewer.pan = around - (around - viewer.pan) * (zoom / viewer.zoom);
                    viewer.zoom = zoom;
                    if zoom == 1.0 {
                        viewer.pan = Vec2::ZERO;
                    }
                }
            }
            UiAction::Pan(by) => {
                if let Some(viewer) = self.rt.viewer.as_mut().filter(|viewer| viewer.zoom > 1.0) {
                    viewer.pan += by;
                }
            }
            UiAction::ZoomFit => {
                if let Some(viewer) = &mut self.rt.viewer {
                    (viewer.zoom, viewer.pan) = (1.0, Vec2::ZERO);
                }
            }

            UiAction::Open(path) => self.send(Command::OpenExternally(path)),
            UiAction::Reveal(path) => self.send(Command::ShowInFolder(path)),
            UiAction::Copy(text) => {
                ctx.copy_text(text);
                self.rt.notify(NoticeKind::Copied, ctx.time());
            }
            UiAction::CopyPicture(photo) => self.rt.copying = Some(photo),
            UiAction::TryAgain(photos) => self.send(Command::TryAgain(photos)),
            UiAction::NeedDetails(photos) => photos.into_iter().for_each(|photo| self.need_details(photo)),

            UiAction::Words(action) => self.apply_words(ctx, action),

            UiAction::AddFolder(path) => {
                self.rt.overlay = None;
                self.send(Command::AddFolder(path));
            }
            UiAction::AddSamples => {
                if let Some(path) = self.rt.samples.clone() {
                    self.send(Command::AddFolder(path));
                }
            }
            UiAction::RemoveFolder(folder) => {
                self.rt.overlay = None;
                self.send(Command::RemoveFolder(folder));
            }
            UiAction::RescanFolder(folder) => self.send(Command::Rescan(Some(folder))),
            UiAction::PauseJob(job) => self.send(Command::PauseJob(job)),
            UiAction::ResumeJob(job) => self.send(Command::ResumeJob(job)),
            UiAction::CancelJob(job) => self.send(Command::CancelJob(job)),
            UiAction::DismissJob(job) => self.rt.jobs.retain(|view| view.status.id != job),
            UiAction::UseModel(pack) => self.send(Command::UseModel(pack)),

            UiAction::Reopen => self.reopen(ctx),
            UiAction::Show(overlay) => {
                self.rt.overlay = Some(overlay);
                self.rt.overlay_is_new = true;
            }
            UiAction::OpenForm(overlay) => self.open_form(ctx, overlay),
            UiAction::CloseOverlay => self.rt.overlay = None,
            UiAction::OverlayText(text) => {
                if let Some(Overlay::Palette { typed } | Overlay::TypePath { typed, .. }) = &mut self.rt.overlay {
                    *typed = text;
                }
            }
            UiAction::PathTyped { kind, text } => {
                self.rt.overlay = None;
                let path = home_expanded(text.trim());
                self.apply(
                    ctx,
                    match kind {
                        PickKind::Folder => UiAction::AddFolder(path),
                        PickKind::Picture => UiAction::SearchByPicture(path),
                        PickKind::ExportFolder => return self.export_into(ctx, &path),
                    },
                );
            }
            UiAction::OverlayShown => self.rt.overlay_is_new = false,
            UiAction::SearchFocused => self.rt.search.take_focus = false,
            UiAction::Dismiss(id) => self.rt.notices.retain(|notice| notice.id != id),
            UiAction::ToggleNoticeDetails(id) => {
                if let Some(notice) = self.rt.notices.iter_mut().find(|notice| notice.id == id) {
                    notice.details_open = !notice.details_open;
                }
            }
            UiAction::SetTheme(theme) => self.theme_chosen(ctx, theme),
            UiAction::SetLanguage(lang) => {
                self.saved.settings.language = lang.map(|lang| lang.code().to_owned());
                self.lang = Lang::choose(self.saved.settings.language.as_deref());
            }
            UiAction::SetThumbnailSize(side) => {
                self.saved.settings.thumbnail_size = side.clamp(layout::THUMB_MIN, layout::THUMB_MAX);
                // What was on the screen stays there.
                if let Some((photo, from_top)) = self.rt.grid.place
                    && let Some(at) = self.rt.ids().iter().position(|&id| id == photo)
                {
                    self.rt.grid.scroll_to = Some(ScrollTo::Keep(at, from_top));
                }
            }
            UiAction::SetReducedMotion(reduced) => {
                self.saved.window.reduced_motion = reduced;
                tokens::set_motion(ctx, reduced);
            }
            UiAction::SetServiceFolders(include) => self.saved.settings.include_service_folders = include,
        }
    }

    fn run_command(&mut self, ctx: &Context, command: UserCommand) {
        let lead = self.rt.selection.lead();
        let lead_path = lead.and_then(|photo| self.rt.path_of(photo));
        match command {
            UserCommand::Search => {
                self.rt.viewer = None;
                self.rt.search.take_focus = true;
            }
            UserCommand::Back => self.back(ctx),
            UserCommand::View => {
                if self.rt.viewer.is_some() {
                    self.rt.viewer = None;
                } else if let Some(photo) = lead {
                    self.view(photo);
                }
            }
            UserCommand::OpenExternally => {
                if let Some(path) = lead_path {
                    self.apply(ctx, UiAction::Open(path));
                }
            }
            UserCommand::ShowInFolder => {
                if let Some(path) = lead_path {
                    self.apply(ctx, UiAction::Reveal(path));
                }
            }
            UserCommand::CopyPath => {
                if let Some(path) = lead_path {
                    self.apply(ctx, UiAction::Copy(path.to_string_lossy().into_owned()));
                }
            }
            UserCommand::CopyPicture => self.rt.copying = lead.or(self.rt.copying),
            UserCommand::FindSimilar => {
                if let Some(photo) = lead {
                    self.apply(ctx, UiAction::FindSimilar(photo));
                }
            }
            UserCommand::SelectAll => self.lead_changes(|s, ids| s.all(ids)),
            UserCommand::AddFolder => self.pick(PickKind::Folder),
            UserCommand::SearchByPicture => self.pick(PickKind::Picture),
            UserCommand::Rescan => self.send(Command::Rescan(None)),
            UserCommand::PauseOrResume => {
                if let Some((id, paused)) = self.rt.current_job().map(|job| (job.id, job.state == JobState::Paused)) {
                    self.send(if paused { Command::ResumeJob(id) } else { Command::PauseJob(id) });
                }
            }
            UserCommand::CancelJob => {
                if let Some(id) = self.rt.current_job().map(|job| job.id) {
                    self.send(Command::CancelJob(id));
                }
            }
            UserCommand::LargerThumbnails | UserCommand::SmallerThumbnails => {
                let step = if command == UserCommand::LargerThumbnails { THUMB_STEP } else { THUMB_STEP.recip() };
                let side = self.saved.settings.thumbnail_size * step;
                self.apply(ctx, UiAction::SetThumbnailSize(side));
            }
            UserCommand::ToggleRail => self.saved.window.rail_open ^= true,
            UserCommand::ToggleInspector => self.saved.window.inspector_open ^= true,
            UserCommand::ToggleTheme => {
                let other = if ctx.theme() == egui::Theme::Dark { Theme::Light } else { Theme::Dark };
                self.theme_chosen(ctx, other);
            }
            UserCommand::Info => self.show_tab(Tab::Info),
            UserCommand::Caption if self.rt.selection.len() > 1 => self.open_form(ctx, Overlay::Batch),
            UserCommand::Caption => self.show_tab(Tab::Caption),
            UserCommand::Ask => self.show_tab(Tab::Ask),
            UserCommand::Match => self.show_tab(Tab::Match),
            UserCommand::CaptionMany => self.open_form(ctx, Overlay::Batch),
            UserCommand::Reword => self.open_form(ctx, Overlay::Reword),
            UserCommand::Export => self.open_form(ctx, Overlay::Export),
            UserCommand::Undo => self.send(Command::UndoCaptions),
            UserCommand::Redo => self.send(Command::RedoCaptions),
            UserCommand::Rerank => {
                let most = if self.saved.window.rerank.is_some() { None } else { Some(RERANK) };
                self.apply_words(ctx, WordsAction::SetRerank(most));
            }
            UserCommand::Settings => self.apply(ctx, UiAction::Show(Overlay::Settings)),
            UserCommand::Help => self.apply(ctx, UiAction::Show(Overlay::Help)),
            UserCommand::Palette => {
                self.apply(ctx, UiAction::Show(Overlay::Palette { typed: String::new() }));
            }
        }
    }

    /// Escape: the sheet, else the viewer, else the selection, else the search.
    fn back(&mut self, ctx: &Context) {
        if self.rt.overlay.take().is_some() || self.rt.viewer.take().is_some() {
            return;
        }
        let in_search = ctx.memory(|memory| memory.has_focus(super::panels::search_field_id()));
        if ctx.text_edit_focused() && (self.rt.search.text.is_empty() || !in_search) {
            ctx.memory_mut(|memory| memory.stop_text_input());
        } else if !ctx.text_edit_focused() && !self.rt.selection.is_empty() {
            self.rt.selection.clear();
        } else {
            self.clear_search();
        }
    }

    fn clear_search(&mut self) {
        self.rt.search.text.clear();
        self.rt.search.due = None;
        self.saved.window.query.clear();
        let asked = Asked::browse(self.saved.window.scope);
        if asked != self.rt.asked {
            self.rt.asked = asked;
            self.ask();
        }
    }

    /// A search by a picture takes the place of the text.
    fn ask_like(&mut self, question: Question) {
        self.rt.search.text.clear();
        self.rt.search.due = None;
        self.saved.window.query.clear();
        (self.rt.viewer, self.rt.overlay) = (None, None);
        self.rt.asked = Asked::search(question, self.saved.window.scope);
        self.ask();
    }

    /// Changes the selection and sees to what the inspector then needs.
    fn lead_changes(&mut self, change: impl FnOnce(&mut super::selection::Selection, &[PhotoId])) {
        let rt = &mut self.rt;
        let ids = rt.shown.value().map_or(&[][..], |shown| &shown.ids);
        change(&mut rt.selection, ids);
        if let Some(lead) = rt.selection.lead() {
            self.need_details(lead);
        }
    }

    fn view(&mut self, photo: PhotoId) {
        self.lead_changes(|s, _| s.only(photo));
        self.rt.viewer = Some(Viewer { photo, zoom: 1.0, pan: Vec2::ZERO });
    }

    fn view_step(&mut self, by: isize) {
        let Some(viewer) = self.rt.viewer else { return };
        let ids = self.rt.ids();
        let next = ids
            .iter()
            .position(|&id| id == viewer.photo)
            .and_then(|at| at.checked_add_signed(by))
            .filter(|&at| at < ids.len())
            .map(|at| (at, ids[at]));
        if let Some((at, photo)) = next {
            self.view(photo);
            self.rt.grid.scroll_to = Some(ScrollTo::Show(at));
        }
    }

    fn pick(&mut self, kind: PickKind) {
        let title = self.lang.text(match kind {
            PickKind::Folder => Msg::ChooseFolder,
            PickKind::Picture => Msg::ChoosePicture,
            PickKind::ExportFolder => Msg::ExportChoose,
        });
        if self.services.pick(kind, title) == PickStart::Busy {
            // No second dialog on top of one that has not answered: another way in.
            self.rt.overlay = Some(Overlay::TypePath { kind, typed: String::new(), dialog_is_open: true });
            self.rt.overlay_is_new = true;
        }
    }

    fn theme_chosen(&mut self, ctx: &Context, theme: Theme) {
        self.saved.settings.theme = theme;
        ctx.set_theme(theme_preference(theme));
    }

    /// Thumbnails of what is on the screen and a screen around it, the nearest asked for last
    /// because the engine serves the newest request first.
    fn fetch_thumbnails(&mut self, ctx: &Context, first: usize, last: usize, columns: usize) {
        let Self { rt, engine: Some(engine), .. } = self else { return };
        let ids = rt.shown.value().map_or(&[][..], |shown| &shown.ids);
        let (first, last) = (first.min(ids.len()), last.min(ids.len()));
        let margin = (last - first).max(columns);
        let below = &ids[last..(last + margin).min(ids.len())];
        let above = &ids[first.saturating_sub(margin)..first];
        let order = above.iter().chain(below.iter().rev()).chain(ids[first..last].iter().rev()).copied();
        let all_asked = rt.thumbs.want(order, ctx.time(), |photo| engine.send(Command::Thumbnail(photo)));
        if !all_asked {
            ctx.request_repaint_after(std::time::Duration::from_millis(30));
        } else if rt.thumbs.is_waiting() {
            ctx.request_repaint_after(std::time::Duration::from_secs(3));
        }
    }
}

/// `~/` is the home folder.
pub(super) fn home_expanded(typed: &str) -> PathBuf {
    match (typed.strip_prefix("~/"), directories::UserDirs::new()) {
        (Some(rest), Some(dirs)) => dirs.home_dir().join(rest),
        _ => PathBuf::from(typed),
    }
}
