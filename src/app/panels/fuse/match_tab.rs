//! One sentence about one photo, judged by both families side by side: in words first, with
//! the figures behind them, and which of the two to ask when.

use egui::{Label, RichText, Ui};

use crate::app::actions::UiAction;
use crate::app::i18n::Msg;
use crate::app::shown::MatchWord;
use crate::app::tokens::{space, text};
use crate::app::widgets::{card, field, icon, icons, primary_button, share_row, strong, weak};
use crate::app::words::{Field, Slot, WordsAction};
use crate::domain::{PhotoId, score_text};
use crate::engine::{Failure, FailureKind, MatchScores};

use super::super::View;
use super::super::grid::match_msg;
use super::{Need, field_id, unable};

pub fn show(ui: &mut Ui, view: &View<'_>, photo: PhotoId, out: &mut Vec<UiAction>) {
    ui.spacing_mut().item_spacing.y = space::S;
    let slot = Slot { photo, field: Field::Sentence };
    let now = view.rt.words.typing.get(slot).unwrap_or_default();
    let id = field_id(photo, Field::Sentence);
    let edited = field(ui, id, view.lang.text(Msg::MatchField), view.lang.text(Msg::MatchHint), now, 2);
    if view.rt.words.focus == Some(Field::Sentence) {
        edited.response.request_focus();
        out.push(WordsAction::Focused.into());
    }
    if let Some(text) = edited.text {
        out.push(WordsAction::Typed(slot, text).into());
    }
    let known = view.rt.words.matches.get(&photo);
    let busy = known.is_some_and(|known| known.is_loading());
    let press = |ui: &mut Ui| primary_button(ui, icons::SCALES, view.lang.text(Msg::MatchCompare)).clicked();
    let pressed = ui.add_enabled_ui(!now.trim().is_empty() && !busy, press).inner;
    if (pressed || edited.entered) && !now.trim().is_empty() && !busy {
        out.push(WordsAction::Match(photo).into());
    }
    ui.add_space(space::XS);
    if let Some(scores) = known.and_then(|known| known.value()) {
        results(ui, view, scores, out);
    } else if busy {
        ui.label(weak(view.lang.text(Msg::LookingAtPhoto), view.tokens));
    } else {
        unable(ui, view, Need::Match, out);
    }
    if let Some(failure) = known.and_then(|known| known.error()) {
        trouble(ui, view, failure);
    }
    ui.add_space(space::S);
    for msg in [Msg::AlignIsFor, Msg::FuseIsFor] {
        ui.add(Label::new(weak(view.lang.text(msg), view.tokens)).wrap());
    }
}

fn results(ui: &mut Ui, view: &View<'_>, scores: &MatchScores, out: &mut Vec<UiAction>) {
    ui.add(Label::new(strong(format!("“{}”", scores.text), text::BODY)).wrap());
    card(ui, |ui| {
        ui.label(weak(view.lang.text(Msg::AlignFinds), view.tokens));
        match &scores.align {
            // A cosine is no share of anything: its bar shows where it stands between none and full.
            Ok(closeness) => {
                let figure = score_text(closeness.score);
                let row = share_row(ui, view.lang.text(Msg::Closeness), closeness.share, &figure, false);
                row.on_hover_text(view.lang.text(Msg::CosineTip));
            }
            Err(failure) => trouble(ui, view, failure),
        }
        ui.add_space(space::XS);
        ui.label(weak(view.lang.text(Msg::FuseJudges), view.tokens));
        match &scores.fuse {
            Ok(share) => {
                let word = view.lang.text(match MatchWord::of_match(*share) {
                    MatchWord::Less => Msg::MatchNot,
                    word => match_msg(word),
                });
                let row = share_row(ui, word, *share, &view.lang.percent(*share), true);
                row.on_hover_text(view.lang.text(Msg::MatchShareTip));
            }
            Err(failure) if failure.kind == FailureKind::NoFuseModel || failure.kind == FailureKind::Unable => {
                if !unable(ui, view, Need::Match, out) {
                    trouble(ui, view, failure);
                }
            }
            Err(failure) => trouble(ui, view, failure),
        }
    });
}

fn trouble(ui: &mut Ui, view: &View<'_>, failure: &Failure) {
    ui.horizontal_top(|ui| {
        ui.label(icon(icons::WARNING, text::BODY).color(view.tokens.warn));
        let said = ui.add(Label::new(RichText::new(view.lang.failure(failure))).wrap());
        said.on_hover_text(&failure.detail);
    });
}
