//! Align finds, Fuse judges: the button beside the search field, and what judging cost.

use egui::{Button, Label, Popup, RichText, Ui, vec2};

use crate::app::actions::UiAction;
use crate::app::i18n::Msg;
use crate::app::shown::Ranking;
use crate::app::tokens::{layout, space, text};
use crate::app::widgets::{icon, icons, menu_room, menu_text, weak};
use crate::app::words::WordsAction;

use super::View;
use super::fuse::{Need, unable};

/// How many hits can be judged.
const CHOICES: [usize; 4] = [10, 20, 50, 100];

pub fn button(ui: &mut Ui, view: &View<'_>, out: &mut Vec<UiAction>) {
    if view.rt.is_first_start() {
        return;
    }
    let (lang, on) = (view.lang, view.saved.window.rerank);
    let able = view.rt.can_judge();
    let words = match on {
        Some(most) => lang.fill(Msg::RerankOn, &[("n", &most.to_string())]),
        None => lang.text(Msg::Rerank).to_owned(),
    };
    let ink = if on.is_some() && able { view.tokens.accent } else { view.tokens.text_weak };
    let content = (
        icon(icons::SCALES, text::ICON).color(ink),
        RichText::new(&words).color(ink),
        icon(icons::CARET_DOWN, text::SMALL).color(ink),
    );
    let response = ui.add(Button::new(content).frame_when_inactive(false)).accessible_name(&words);
    let response = response.on_hover_text(lang.text(Msg::RerankTip));
    Popup::menu(&response).show(|ui| {
        menu_room(ui, 300.0);
        let helpless = menu_text(ui, 300.0, |ui| {
            ui.add(Label::new(weak(lang.text(Msg::RerankBody), view.tokens)).wrap());
            ui.add_space(space::XS);
            unable(ui, view, Need::Match, out)
        });
        if helpless {
            return;
        }
        let rows = std::iter::once(None).chain(CHOICES.map(Some));
        for most in rows {
            let words = match most {
                None => lang.text(Msg::RerankOff).to_owned(),
                Some(most) => lang.fill(Msg::RerankBest, &[("n", &most.to_string())]),
            };
            let glyph = if most == on { icons::CHECK } else { "" };
            let row = Button::new((RichText::new(&words), icon(glyph, text::ICON))).selected(most == on);
            let row = row.min_size(vec2(ui.available_width(), layout::ROW)).frame_when_inactive(false);
            if ui.push_id(most, |ui| ui.add(row.right_text("")).accessible_name(&words)).inner.clicked() {
                out.push(WordsAction::SetRerank(most).into());
                ui.close();
            }
        }
    });
}

/// What the status bar says of judging.
pub struct Cost {
    pub words: String,
    pub detail: String,
}

/// What judging costs, cost, or why there was none; `None` where it was not asked for.
pub fn cost(view: &View<'_>, ranking: &Ranking) -> Option<Cost> {
    let lang = view.lang;
    if view.rt.judging.is_some() && view.rt.unjudged.is_none() {
        let words = lang.text(Msg::Judging).to_owned();
        return Some(Cost { words, detail: lang.text(Msg::JudgingTip).to_owned() });
    }
    if let Some(failure) = &view.rt.judge_failed {
        let words = lang.text(Msg::JudgeFailed).to_owned();
        return Some(Cost { words, detail: format!("{}\n{}", lang.failure(failure), failure.detail) });
    }
    let judged = ranking.judged?;
    let words =
        lang.fill(Msg::JudgeCost, &[("pairs", &lang.pairs(judged.pairs as u64)), ("time", &lang.millis(judged.ms))]);
    let (known, unseen) = (lang.number(judged.known as u64), lang.number(judged.unseen as u64));
    let detail = lang.fill(Msg::JudgeCostDetail, &[("known", &known), ("unseen", &unseen)]);
    Some(Cost { words, detail })
}
