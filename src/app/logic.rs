//! The part of a frame that paints nothing: what the engine and the system said is taken
//! in, and what is due is asked for.

use std::time::Duration;

use egui::text_selection::LabelSelectionState;
use egui::{Context, Event as Input, ImeEvent, Key, Modifiers};

use crate::domain::{JobState, Query, RequestId};
use crate::engine::{Command, Event, Failure, Reranked, Scope};

use super::actions::UiAction;
use super::commands::{self, UserCommand};
use super::pictures::{Picture, color_image};
use super::runtime::{NoticeKind, Overlay, ScrollTo};
use super::services::{PickKind, ServiceEvent};
use super::shown::{Asked, Question, Shown};
use super::{GlimpseApp, tokens};

/// Events taken in one frame, so that a burst cannot hold it up.
const EVENTS_A_FRAME: usize = 512;
/// How many hits a search asks for.
const HITS: usize = 1000;
/// Details kept before the oldest are forgotten all at once.
const DETAILS_KEPT: usize = 2048;
/// A copied picture has at most so many pixels a side: the clipboard's PNG is made between two frames.
const COPY_SIDE: u32 = 2048;
/// The state is written this long after it changed (seconds).
const STORE_AFTER: f64 = 1.5;

impl GlimpseApp {
    /// Takes in events of the engine, answers of the system, and files dropped in.
    pub(super) fn take_in(&mut self, ctx: &Context) {
        let now = ctx.time();
        self.take_engine(Duration::ZERO);
        for taken in 0.. {
            let Some(event) = self.engine.as_ref().and_then(|engine| engine.poll()) else { break };
            self.engine_said(ctx, event, now);
            if taken == EVENTS_A_FRAME {
                ctx.request_repaint();
                break;
            }
        }
        while let Some(event) = self.services.poll() {
            self.system_said(ctx, event);
        }
        let (dropped, hovering) = ctx.input(|input| {
            let paths: Vec<_> = input.raw.dropped_files.iter().map(|file| file.path().to_path_buf()).collect();
            (paths, !input.raw.hovered_files.is_empty())
        });
        self.rt.drop_hover = hovering;
        if !dropped.is_empty() {
            self.services.dropped(dropped);
        }
    }

    /// Opens the library, anew if it is open.
    pub(super) fn open(&mut self, ctx: &Context) {
        let old = self.engine.take();
        self.rt.opening = true;
        self.opener.start(ctx, old);
    }

    /// Opens the library again, and shows nothing of what was known of it before.
    pub(super) fn reopen(&mut self, ctx: &Context) {
        self.rt.start_over();
        self.open(ctx);
        self.ask();
    }

    /// Takes the engine that was asked for, if it is there within `patience`.
    pub(super) fn take_engine(&mut self, patience: Duration) {
        let Some(opened) = self.opener.poll(patience) else { return };
        self.rt.opening = false;
        match opened {
            Ok(engine) => {
                self.engine = Some(engine);
                self.rt.fatal = None;
            }
            Err(failure) => self.rt.fatal = Some(failure),
        }
    }

    fn engine_said(&mut self, ctx: &Context, event: Event, now: f64) {
        let rt = &mut self.rt;
        match event {
            Event::Library(status) => {
                if let Scope::Folder(id) = self.saved.window.scope
                    && !status.folders.iter().any(|folder| folder.id == id)
                {
                    // The folder was removed: fall back to everything.
                    self.saved.window.scope = Scope::All;
                    if rt.asked.scope == Scope::Folder(id) {
                        rt.asked.scope = Scope::All;
                        self.rt.library = Some(status);
                        return self.ask();
                    }
                }
                rt.library = Some(status);
            }
            Event::Job(status) => {
                if status.state == JobState::Done {
                    rt.thumbs.make_stale();
                    rt.pictures.make_stale();
                    rt.refresh = Some(now);
                }
                rt.job_moved(status.clone(), now);
                self.words_job(&status);
            }
            Event::PhotosChanged => {
                rt.refresh.get_or_insert(now + tokens::time::REFRESH);
            }
            Event::SearchDone { request, result } => self.found(request, result.map(Shown::from)),
            Event::Listed { request, result } => {
                self.listed(request, result.map(|ids| Shown { ids, ranking: None }));
            }
            Event::Details { request, result } => {
                if let Some(photo) = rt.detail_requests.remove(&request) {
                    rt.details.entry(photo).or_default().finish(result.map(|details| *details));
                }
            }
            Event::Thumbnail { photo, result } => rt.thumbs.arrive(photo, result),
            Event::Preview { request, result, .. } => rt.pictures.arrive(ctx, request, result),
            Event::Reranked { .. }
            | Event::CaptionGrew { .. }
            | Event::CaptionDone { .. }
            | Event::AskDone { .. }
            | Event::MatchDone { .. }
            | Event::Words { .. }
            | Event::WordsChanged(_)
            | Event::Steps(_)
            | Event::StepReversed { .. }
            | Event::BatchCaption { .. }
            | Event::RewordDone { .. }
            | Event::ExportDone { .. } => self.words_said(ctx, event),
            Event::Notice(failure) => {
                rt.words.typing.save_failed();
                rt.notify(NoticeKind::Failure(failure), now);
            }
        }
    }

    /// The answer to a search. What is shown already judged stays until the new hits are judged as well.
    fn found(&mut self, request: RequestId, result: Result<Shown, Failure>) {
        let rt = &mut self.rt;
        let judged = |shown: &Shown| shown.ranking.as_ref().is_some_and(|ranking| ranking.judged.is_some());
        let is_refresh = rt.shown_for.as_ref() == Some(&rt.asked) && rt.shown.value().is_some_and(judged);
        let waits = rt.awaited == Some(request) && rt.judging == Some(request) && is_refresh;
        match result {
            Ok(shown) if waits => rt.unjudged = Some(shown),
            result => self.listed(request, result),
        }
    }

    /// The best hits were judged; an error leaves them as they were found.
    pub(super) fn reranked(&mut self, request: RequestId, result: Result<Reranked, Failure>) {
        let rt = &mut self.rt;
        if rt.judging != Some(request) {
            return;
        }
        rt.judging = None;
        let fresh = rt.unjudged.take();
        if let Some(mut shown) = fresh {
            if let Ok(judged) = &result {
                shown.rerank(judged);
            }
            self.listed(request, Ok(shown));
        } else if let (Some(shown), Ok(judged)) = (rt.shown.value_mut(), &result) {
            shown.rerank(judged);
        }
        if let Err(failure) = result {
            self.rt.judge_failed = Some(failure);
        }
    }

    /// The answer to "what is there?": only the newest question's counts.
    fn listed(&mut self, request: RequestId, result: Result<Shown, Failure>) {
        let rt = &mut self.rt;
        if rt.awaited != Some(request) {
            return;
        }
        rt.awaited = None;
        // A refresh that fails leaves what is there alone; a question that fails says so.
        let is_refresh = rt.shown_for.as_ref() == Some(&rt.asked) && rt.shown.value().is_some();
        let place = rt.grid.place.filter(|_| is_refresh && rt.grid.offset > 1.0);
        if result.is_ok() {
            rt.shown_for = Some(rt.asked.clone());
        }
        rt.shown.finish(result);
        let ids = rt.shown.value().map_or(&[][..], |shown| &shown.ids);
        rt.selection.retain(ids);
        rt.grid.scroll_to = match place {
            Some((photo, from_top)) => ids.iter().position(|&id| id == photo).map(|at| ScrollTo::Keep(at, from_top)),
            None => (!is_refresh).then_some(ScrollTo::Top),
        };
        if rt.viewer.is_some_and(|viewer| !ids.contains(&viewer.photo)) {
            rt.viewer = None;
        }
    }

    fn system_said(&mut self, ctx: &Context, event: ServiceEvent) {
        match event {
            ServiceEvent::Picked { kind: PickKind::Folder, path } | ServiceEvent::Dropped { path, is_folder: true } => {
                self.apply(ctx, UiAction::AddFolder(path));
            }
            ServiceEvent::Picked { kind: PickKind::Picture, path }
            | ServiceEvent::Dropped { path, is_folder: false } => {
                self.apply(ctx, UiAction::SearchByPicture(path));
            }
            ServiceEvent::Picked { kind: PickKind::ExportFolder, path } => self.export_into(ctx, &path),
            ServiceEvent::NoDialog(PickKind::ExportFolder) => self.rt.notify(NoticeKind::NoDialog, ctx.time()),
            ServiceEvent::NoDialog(kind) => {
                let sheet = Overlay::TypePath { kind, typed: String::new(), dialog_is_open: false };
                self.apply(ctx, UiAction::Show(sheet));
            }
            ServiceEvent::Cancelled => {}
        }
    }

    /// Asks for what is due: a search after a pause in the typing, a list that may be stale,
    /// what the queue had no room for; and lets old news go.
    pub(super) fn keep_up(&mut self, ctx: &Context) {
        let now = ctx.time();
        let mut wake_at: Option<f64> = self.rt.expire(now);
        let mut wake = |at: f64| wake_at = Some(wake_at.map_or(at, |other: f64| other.min(at)));

        if let Some(due) = self.rt.search.due {
            if due <= now { self.search_typed() } else { wake(due) }
        }
        if let Some(due) = self.rt.refresh {
            // While an answer is awaited, asking again would only cancel it.
            if due <= now && self.rt.awaited.is_none() {
                self.rt.refresh = None;
                self.ask();
                self.refresh_details();
            } else {
                wake(due.max(now + 0.05));
            }
        }
        if let Some(due) = self.rt.words.forms.reword_due {
            if due <= now { self.reword(true) } else { wake(due) }
        }
        self.need_words();
        if self.rt.thumbs.upload(ctx, now) {
            ctx.request_repaint();
        }
        if let Some(engine) = &self.engine {
            while let Some(command) = self.rt.outbox.pop_front() {
                if !engine.send(command.clone()) {
                    self.rt.outbox.push_front(command);
                    wake(now + 0.05);
                    break;
                }
            }
        }
        self.note_window(ctx);
        if self.saved != self.stored {
            let due = *self.store_due.get_or_insert(now + STORE_AFTER);
            if due <= now {
                self.services.save(&self.saved, false);
                self.stored = self.saved.clone();
                self.store_due = None;
            } else {
                wake(due);
            }
        }
        if let Some(at) = wake_at {
            ctx.request_repaint_after(Duration::from_secs_f64((at - now).max(0.001)));
        }
    }

    /// Remembers where the window stands.
    fn note_window(&mut self, ctx: &Context) {
        let window = &mut self.saved.window;
        ctx.input(|input| {
            let info = input.viewport();
            window.maximized = info.maximized.unwrap_or(window.maximized);
            if window.maximized || info.minimized == Some(true) || info.fullscreen == Some(true) {
                return;
            }
            if let Some(inner) = info.inner_rect {
                window.size = inner.size().into();
            }
            window.position = info.outer_rect.map(|outer| outer.min.into()).or(window.position);
        });
    }

    /// Puts a command into the engine's queue, now or as soon as there is an engine and room.
    pub(super) fn send(&mut self, command: Command) {
        let sent = self.rt.outbox.is_empty() && self.engine.as_ref().is_some_and(|e| e.send(command.clone()));
        if !sent {
            self.rt.outbox.push_back(command);
        }
    }

    /// Asks the engine for what the person wants to see.
    pub(super) fn ask(&mut self) {
        let request = RequestId(self.rt.fresh_id());
        self.rt.awaited = Some(request);
        (self.rt.judging, self.rt.unjudged, self.rt.judge_failed) = (None, None, None);
        self.rt.shown.start();
        let asked = &self.rt.asked;
        let query = match &asked.question {
            None => {
                let scope = asked.scope;
                return self.send(Command::List { request, scope });
            }
            Some(Question::Text(text)) => Query::Text(text.clone()),
            Some(Question::Picture(path)) => Query::Image(path.clone()),
            Some(Question::Similar(photo, _)) => Query::Photo(*photo),
        };
        let within = asked.narrowed();
        // A sentence can be judged, a picture cannot.
        let rerank = self.saved.window.rerank.filter(|_| matches!(query, Query::Text(_)) && self.rt.can_judge());
        self.rt.judging = rerank.map(|_| request);
        self.send(Command::Search { request, query, within, limit: HITS, rerank });
    }

    /// The typing has paused (or Enter was pressed): search for what stands in the field.
    pub(super) fn search_typed(&mut self) {
        self.rt.search.due = None;
        if self.rt.search.composing {
            return;
        }
        let text = self.rt.search.text.trim();
        let asked = Asked::typed(text, self.saved.window.scope);
        text.clone_into(&mut self.saved.window.query);
        if asked != self.rt.asked || self.rt.shown.error().is_some() {
            self.rt.asked = asked;
            self.ask();
        }
    }

    /// Asks for what is known of a photo, unless it is there or on its way.
    pub(super) fn need_details(&mut self, photo: crate::domain::PhotoId) {
        use super::remote::Remote;
        let known = self.rt.details.get(&photo);
        if known.is_some_and(|known| !matches!(known, Remote::Idle)) {
            return;
        }
        if self.rt.details.len() >= DETAILS_KEPT {
            self.rt.details.clear();
        }
        let request = RequestId(self.rt.fresh_id());
        self.rt.details.entry(photo).or_default().start();
        self.rt.detail_requests.insert(request, photo);
        self.send(Command::Details { request, photo });
    }

    /// Photos changed: forget what is known of those that are not on show, ask anew for the one that is.
    fn refresh_details(&mut self) {
        let lead = self.rt.selection.lead();
        self.rt.details.retain(|&photo, _| Some(photo) == lead);
        self.rt.detail_requests.clear();
        self.rt.words.forget_all_but(lead);
        if let Some(photo) = lead {
            self.ask_words(photo);
            let request = RequestId(self.rt.fresh_id());
            self.rt.details.entry(photo).or_default().start();
            self.rt.detail_requests.insert(request, photo);
            self.send(Command::Details { request, photo });
        }
    }

    /// The pictures that the inspector and the viewer need.
    pub(super) fn fetch_pictures(&mut self, ctx: &Context) {
        self.copy_when_ready(ctx);
        let Self { rt, engine: Some(engine), .. } = self else { return };
        let scale = ctx.pixels_per_point();
        let mut wanted = Vec::new();
        if let Some(viewer) = rt.viewer {
            let screen = ctx.content_rect().size() * scale * viewer.zoom.clamp(1.0, 3.0);
            let most = ctx.input(|input| input.max_texture_side).min(6144) as u32;
            // Coarse steps, so that a resized window does not ask anew for every pixel.
            let side = ((screen.max_elem() / 1024.0).ceil() as u32 * 1024).clamp(1024, most.max(1024));
            let at = rt.ids().iter().position(|&id| id == viewer.photo);
            let near = |by: isize| at.and_then(|at| at.checked_add_signed(by)).and_then(|i| rt.ids().get(i)).copied();
            wanted.push((viewer.photo, side));
            // Neighbours once the photo itself is there.
            if rt.pictures.get(viewer.photo).is_some_and(|picture| picture.value().is_some()) {
                wanted.extend([near(1), near(-1)].into_iter().flatten().map(|id| (id, side.min(2048))));
            }
        } else if let Some(lead) = rt.selection.lead().filter(|_| scale > 1.25) {
            wanted.push((lead, 1024));
        }
        wanted.extend(rt.copying.map(|photo| (photo, COPY_SIDE)));
        for (photo, max_side) in wanted {
            let request = RequestId(rt.fresh_id());
            rt.pictures.want(photo, max_side, || {
                engine.send(Command::Preview { request, photo, max_side }).then_some(request)
            });
        }
    }

    /// The picture that is to be copied, once it is there.
    fn copy_when_ready(&mut self, ctx: &Context) {
        let Some(photo) = self.rt.copying else { return };
        let Some(picture) = self.rt.pictures.of_side(photo, COPY_SIDE) else { return };
        let news = match (picture.value(), picture.error()) {
            (Some(Picture { image, .. }), _) => {
                ctx.copy_image(color_image(image));
                NoticeKind::Copied
            }
            (None, Some(failure)) => NoticeKind::Failure(failure.clone()),
            (None, None) => return,
        };
        self.rt.copying = None;
        self.rt.notify(news, ctx.time());
    }

    /// What the keys say in this frame.
    pub(super) fn keys(&mut self, ctx: &Context) -> Vec<UiAction> {
        let was_composing = self.rt.search.composing;
        ctx.input(|input| {
            for event in &input.events {
                match event {
                    Input::Ime(ImeEvent::Preedit { text, .. }) => self.rt.search.composing = !text.is_empty(),
                    Input::Ime(ImeEvent::Commit(_)) => self.rt.search.composing = false,
                    _ => {}
                }
            }
        });
        let typing = ctx.text_edit_focused();
        if !typing {
            self.rt.search.composing = false;
        }
        if was_composing || self.rt.search.composing {
            // Every key belongs to the input method; Enter and Escape end a composition and nothing else.
            if typing {
                ctx.input_mut(|input| {
                    input.consume_key(Modifiers::NONE, Key::Enter);
                    input.consume_key(Modifiers::NONE, Key::Escape);
                });
            }
            return Vec::new();
        }
        let focused = ctx.memory(|memory| memory.focused());
        let grid_has_keys = focused.is_none_or(|id| id == super::panels::grid_id());
        let mut actions: Vec<UiAction> = if self.rt.overlay.is_some() {
            // A sheet is open: only Escape and the sheet's own keys.
            let back = ctx.input_mut(|input| input.consume_key(Modifiers::NONE, Key::Escape));
            return if back { vec![UiAction::Run(UserCommand::Back)] } else { Vec::new() };
        } else {
            commands::pressed(ctx, typing, !grid_has_keys).into_iter().map(UiAction::Run).collect()
        };
        // The system's key for "copy" comes as an event of its own. Text that is marked goes first.
        let copies = ctx.input(|input| input.events.iter().any(|event| matches!(event, Input::Copy)));
        if copies
            && !typing
            && !ctx.with_plugin(|marked: &mut LabelSelectionState| marked.has_selection()).unwrap_or(false)
        {
            actions.push(UiAction::Run(UserCommand::CopyPicture));
        }
        if typing || !grid_has_keys || self.rt.is_first_start() || ctx.any_popup_open() {
            return actions;
        }
        let (columns, page) = (self.rt.grid.columns.max(1) as isize, self.rt.grid.rows_a_page.max(1) as isize);
        let far = isize::MAX / 2;
        for (key, by) in [
            (Key::ArrowRight, 1),
            (Key::ArrowLeft, -1),
            (Key::ArrowDown, columns),
            (Key::ArrowUp, -columns),
            (Key::PageDown, columns * page),
            (Key::PageUp, -columns * page),
            (Key::Home, -far),
            (Key::End, far),
        ] {
            let (plain, shift) = ctx.input_mut(|input| {
                (input.count_and_consume_key(Modifiers::NONE, key), input.count_and_consume_key(Modifiers::SHIFT, key))
            });
            for extend in [false; 8].into_iter().take(plain).chain([true; 8].into_iter().take(shift)) {
                actions.push(match self.rt.viewer {
                    Some(_) => UiAction::ViewStep(by.signum()),
                    None => UiAction::Step { by, extend },
                });
            }
        }
        actions
    }
}
