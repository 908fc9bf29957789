//! Every command by its name: type a few letters, press Enter.

use egui::{Align2, EventFilter, Id, Key, ScrollArea, TextEdit, Ui};

use crate::app::actions::UiAction;
use crate::app::commands::UserCommand;
use crate::app::i18n::{Lang, Msg};
use crate::app::tokens::space;
use crate::app::widgets::weak;

use super::{View, sheets, top_bar};

pub fn show(ui: &mut Ui, view: &View<'_>, typed: &str, out: &mut Vec<UiAction>) {
    sheets::title(ui, view, view.lang.text(Msg::PaletteTitle), out);
    let mut text = typed.to_owned();
    let edit = TextEdit::singleline(&mut text).id(Id::unique("palette field")).desired_width(f32::INFINITY);
    // Down leads from the field to the commands.
    let keys = EventFilter { horizontal_arrows: true, ..EventFilter::default() };
    let edit = edit.hint_text(view.lang.text(Msg::PaletteHint)).align(Align2::LEFT_CENTER).event_filter(keys);
    let response = ui.add(edit).accessible_name(view.lang.text(Msg::PaletteHint));
    if view.rt.overlay_is_new {
        response.request_focus();
    }
    if response.changed() {
        out.push(UiAction::OverlayText(text.clone()));
    }
    let found = matching(view.lang, &text);
    let entered = response.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter));
    if let Some(&first) = found.first().filter(|_| entered) {
        out.extend([UiAction::CloseOverlay, UiAction::Run(first)]);
    }
    ui.add_space(space::S);
    let list = ScrollArea::vertical().id_salt("commands").max_height(360.0).min_scrolled_height(360.0);
    list.auto_shrink([false, true]).show(ui, |ui| {
        ui.spacing_mut().item_spacing.y = 0.0;
        let before = out.len();
        for &command in &found {
            ui.push_id(command, |ui| top_bar::command_row(ui, view, command, out));
        }
        if out.len() > before && matches!(out.last(), Some(UiAction::Run(_))) {
            out.insert(before, UiAction::CloseOverlay);
        }
        if found.is_empty() {
            ui.label(weak(view.lang.text(Msg::PaletteNone), view.tokens));
        }
    });
}

/// Commands whose label or explanation holds every typed word; those whose label does come first.
fn matching(lang: Lang, typed: &str) -> Vec<UserCommand> {
    let words: Vec<String> = typed.split_whitespace().map(str::to_lowercase).collect();
    let holds = |text: &str| {
        let text = text.to_lowercase();
        words.iter().all(|word| text.contains(word.as_str()))
    };
    let rank = |command: UserCommand| {
        let (label, tip) = command.words();
        let (label, tip) = (lang.text(label), lang.text(tip));
        if holds(label) { Some(0) } else { holds(&format!("{label} {tip}")).then_some(1) }
    };
    let mut found: Vec<_> = UserCommand::ALL
        .into_iter()
        .filter(|&command| command != UserCommand::Palette)
        .filter_map(|command| Some((rank(command)?, command)))
        .collect();
    found.sort_by_key(|&(rank, _)| rank);
    found.into_iter().map(|(_, command)| command).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_found_by_their_words() {
        assert_eq!(matching(Lang::En, "").len(), UserCommand::ALL.len() - 1);
        assert_eq!(matching(Lang::En, "FOLDER add")[0], UserCommand::AddFolder);
        assert_eq!(matching(Lang::Zh, "设置")[0], UserCommand::Settings);
        assert!(matching(Lang::En, "xyzzy").is_empty());
    }
}
