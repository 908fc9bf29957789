//! What a person can tell the window to do: one enum with label, explanation and key.
//! Menus, the help sheet and the command palette are drawn from it.

use egui::{Context, Key, KeyboardShortcut, Modifiers};

use super::i18n::Msg;

/// A command of the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UserCommand {
    Search,
    Back,
    View,
    OpenExternally,
    ShowInFolder,
    CopyPath,
    CopyPicture,
    FindSimilar,
    SearchByPicture,
    SelectAll,
    Info,
    Caption,
    Ask,
    Match,
    CaptionMany,
    Reword,
    Export,
    Undo,
    Redo,
    Rerank,
    AddFolder,
    Rescan,
    PauseOrResume,
    CancelJob,
    LargerThumbnails,
    SmallerThumbnails,
    ToggleRail,
    ToggleInspector,
    ToggleTheme,
    Settings,
    Help,
    Palette,
}

/// Key without modifiers, ctrl (command on a Mac), ctrl and shift.
const PLAIN: Modifiers = Modifiers::NONE;
const CTRL: Modifiers = Modifiers::COMMAND;

impl UserCommand {
    /// All of them, as menus and the help sheet list them.
    pub const ALL: [Self; 32] = [
        Self::Search,
        Self::SearchByPicture,
        Self::FindSimilar,
        Self::Rerank,
        Self::Caption,
        Self::Ask,
        Self::Match,
        Self::Info,
        Self::CaptionMany,
        Self::Reword,
        // The one with shift first: its key would otherwise be taken for the other's.
        Self::Redo,
        Self::Undo,
        Self::Export,
        Self::AddFolder,
        Self::Rescan,
        Self::PauseOrResume,
        Self::CancelJob,
        Self::View,
        Self::OpenExternally,
        Self::ShowInFolder,
        Self::CopyPicture,
        Self::CopyPath,
        Self::SelectAll,
        Self::Back,
        Self::LargerThumbnails,
        Self::SmallerThumbnails,
        Self::ToggleRail,
        Self::ToggleInspector,
        Self::ToggleTheme,
        Self::Settings,
        Self::Palette,
        Self::Help,
    ];

    /// What it is called, and what it does.
    pub fn words(self) -> (Msg, Msg) {
        match self {
            Self::Search => (Msg::CmdSearch, Msg::CmdSearchTip),
            Self::Back => (Msg::CmdBack, Msg::CmdBackTip),
            Self::View => (Msg::CmdView, Msg::CmdViewTip),
            Self::OpenExternally => (Msg::CmdOpen, Msg::CmdOpenTip),
            Self::ShowInFolder => (Msg::ShowInFolder, Msg::CmdShowInFolderTip),
            Self::CopyPath => (Msg::CopyPath, Msg::CmdCopyPathTip),
            Self::CopyPicture => (Msg::CopyPicture, Msg::CmdCopyPictureTip),
            Self::FindSimilar => (Msg::FindSimilar, Msg::CmdFindSimilarTip),
            Self::SearchByPicture => (Msg::CmdSearchByPicture, Msg::CmdSearchByPictureTip),
            Self::SelectAll => (Msg::CmdSelectAll, Msg::CmdSelectAllTip),
            Self::Info => (Msg::CmdInfo, Msg::CmdInfoTip),
            Self::Caption => (Msg::CmdCaption, Msg::CmdCaptionTip),
            Self::Ask => (Msg::CmdAsk, Msg::CmdAskTip),
            Self::Match => (Msg::CmdMatch, Msg::CmdMatchTip),
            Self::CaptionMany => (Msg::CmdCaptionMany, Msg::CmdCaptionManyTip),
            Self::Reword => (Msg::CmdReword, Msg::CmdRewordTip),
            Self::Export => (Msg::CmdExport, Msg::CmdExportTip),
            Self::Undo => (Msg::CmdUndo, Msg::CmdUndoTip),
            Self::Redo => (Msg::CmdRedo, Msg::CmdRedoTip),
            Self::Rerank => (Msg::CmdRerank, Msg::CmdRerankTip),
            Self::AddFolder => (Msg::AddFolder, Msg::CmdAddFolderTip),
            Self::Rescan => (Msg::CmdRescan, Msg::CmdRescanTip),
            Self::PauseOrResume => (Msg::CmdPause, Msg::CmdPauseTip),
            Self::CancelJob => (Msg::CmdCancel, Msg::CmdCancelTip),
            Self::LargerThumbnails => (Msg::CmdBigger, Msg::CmdBiggerTip),
            Self::SmallerThumbnails => (Msg::CmdSmaller, Msg::CmdSmallerTip),
            Self::ToggleRail => (Msg::CmdRail, Msg::CmdRailTip),
            Self::ToggleInspector => (Msg::CmdInspector, Msg::CmdInspectorTip),
            Self::ToggleTheme => (Msg::CmdThemeToggle, Msg::CmdThemeToggleTip),
            Self::Settings => (Msg::Settings, Msg::CmdSettingsTip),
            Self::Help => (Msg::CmdHelp, Msg::CmdHelpTip),
            Self::Palette => (Msg::CmdPalette, Msg::CmdPaletteTip),
        }
    }

    /// Its keys, the one that is shown first.
    pub fn shortcuts(self) -> &'static [KeyboardShortcut] {
        const fn key(modifiers: Modifiers, key: Key) -> KeyboardShortcut {
            KeyboardShortcut::new(modifiers, key)
        }
        match self {
            Self::Search => const { &[key(CTRL, Key::F), key(PLAIN, Key::Slash)] },
            Self::Back => const { &[key(PLAIN, Key::Escape)] },
            Self::View => const { &[key(PLAIN, Key::Enter), key(PLAIN, Key::Space)] },
            Self::OpenExternally => const { &[key(CTRL, Key::Enter)] },
            Self::CopyPath => const { &[key(CTRL.plus(Modifiers::SHIFT), Key::C)] },
            Self::CopyPicture => const { &[key(CTRL, Key::C)] },
            Self::FindSimilar => const { &[key(CTRL, Key::D)] },
            Self::Info => const { &[key(PLAIN, Key::I)] },
            Self::Caption => const { &[key(PLAIN, Key::C)] },
            Self::Ask => const { &[key(PLAIN, Key::A)] },
            Self::Match => const { &[key(PLAIN, Key::M)] },
            Self::Reword => const { &[key(CTRL, Key::H)] },
            Self::Export => const { &[key(CTRL, Key::E)] },
            Self::Undo => const { &[key(CTRL, Key::Z)] },
            Self::Redo => const { &[key(CTRL.plus(Modifiers::SHIFT), Key::Z), key(CTRL, Key::Y)] },
            Self::Rerank => const { &[key(CTRL, Key::R)] },
            Self::SelectAll => const { &[key(CTRL, Key::A)] },
            Self::AddFolder => const { &[key(CTRL, Key::O)] },
            Self::Rescan => const { &[key(PLAIN, Key::F5)] },
            Self::LargerThumbnails => const { &[key(CTRL, Key::Plus), key(CTRL, Key::Equals)] },
            Self::SmallerThumbnails => const { &[key(CTRL, Key::Minus)] },
            Self::ToggleRail => const { &[key(CTRL, Key::B)] },
            Self::ToggleInspector => const { &[key(CTRL, Key::I)] },
            Self::Settings => const { &[key(CTRL, Key::Comma)] },
            Self::Help => const { &[key(PLAIN, Key::F1)] },
            Self::Palette => const { &[key(CTRL, Key::K)] },
            Self::ShowInFolder
            | Self::SearchByPicture
            | Self::CaptionMany
            | Self::PauseOrResume
            | Self::CancelJob
            | Self::ToggleTheme => &[],
        }
    }

    /// Its keys as they are written, punctuation by its sign, the most telling first.
    pub fn key_texts(self, ctx: &Context) -> Vec<String> {
        let written = |shortcut: &KeyboardShortcut| {
            let (text, key) = (ctx.format_shortcut(shortcut), shortcut.logical_key);
            text.strip_suffix(key.name()).map(|rest| format!("{rest}{}", key.symbol_or_name())).unwrap_or(text)
        };
        self.shortcuts().iter().map(written).collect()
    }

    /// The key to show beside its name.
    pub fn key_text(self, ctx: &Context) -> Option<String> {
        self.key_texts(ctx).into_iter().next()
    }

    /// Keys that mean something else while text is edited, or while a button has the focus.
    pub fn yields_to_widgets(self) -> bool {
        matches!(self, Self::View | Self::SelectAll | Self::Undo | Self::Redo)
    }
}

/// The key writes a character where text is edited.
fn is_written(shortcut: &KeyboardShortcut) -> bool {
    shortcut.modifiers.is_none() && shortcut.logical_key.symbol_or_name().chars().count() == 1
}

/// The commands whose keys were pressed in this frame; their key events are consumed.
///
/// `typing`: a text field has the focus. `busy`: some other control has it, so Enter and
/// space belong to that control.
pub fn pressed(ctx: &Context, typing: bool, busy: bool) -> Vec<UserCommand> {
    let takes = |command: UserCommand, shortcut: &KeyboardShortcut| {
        let yields = command.yields_to_widgets();
        let pressed_by_buttons = command == UserCommand::View;
        !(typing && (is_written(shortcut) || yields) || busy && pressed_by_buttons)
    };
    ctx.input_mut(|input| {
        UserCommand::ALL
            .into_iter()
            // "Copy" comes as an event of its own; its key here would take ctrl-shift-C as well.
            .filter(|&command| command != UserCommand::CopyPicture)
            .filter(|&command| {
                let mut hit = false;
                for shortcut in command.shortcuts() {
                    // No short circuit: every key of a command that was pressed is consumed.
                    hit |= takes(command, shortcut) && input.consume_shortcut(shortcut);
                }
                hit
            })
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_command_is_listed_once_and_no_key_twice() {
        let listed: HashSet<UserCommand> = UserCommand::ALL.into_iter().collect();
        assert_eq!(listed.len(), UserCommand::ALL.len());
        let keys: Vec<_> = UserCommand::ALL.iter().flat_map(|c| c.shortcuts()).collect();
        let distinct: HashSet<String> = keys.iter().map(|k| format!("{k:?}")).collect();
        assert_eq!(distinct.len(), keys.len());
    }
}
