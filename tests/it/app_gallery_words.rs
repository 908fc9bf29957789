//! The states of the panels about words, for the gallery and the snapshots.

use egui::{Key, Modifiers};
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable as _;
use glimpse::app::GlimpseApp;
use glimpse::app::i18n::Msg;
use glimpse::domain::{CaptionSource, CaptionState, JobId, JobState, PhotoId};
use glimpse::engine::{Event, FailureKind, FuseStatus};

use super::gallery::{Make, photos};
use super::ledger::batch_job;
use super::support::{ScriptedLink, Setup, failure, library, pass, settle, window};

type Window = Harness<'static, GlimpseApp>;

fn is_zh(setup: &Setup) -> bool {
    setup.saved.settings.language.as_deref() == Some("zh-CN")
}

/// A library in which a few photos have words already.
fn worded(setup: &Setup) -> ScriptedLink {
    let link = photos();
    let zh = is_zh(setup);
    link.script(|script| {
        let model = || CaptionSource::Model {
            pack: "lite-fuse".into(),
            version: "5e884898da28".into(),
            settings: r#"{"beam":3,"lang":"en"}"#.into(),
        };
        let file = CaptionSource::File { name: "IMG_0004.jpg.xmp".into() };
        let texts = match zh {
            true => ["傍晚从屋后小路望去的群山，太阳刚刚落下", "山丘上方的太阳", "夏天的群山"],
            false => [
                "The hills behind our house, just after the sun went down",
                "the sun above a row of hills",
                "Hills in summer",
            ],
        };
        let lang = if zh { "zh" } else { "en" };
        let ledger = &mut script.ledger;
        ledger.put(PhotoId(3), texts[1], lang, model(), CaptionState::Draft);
        ledger.put(PhotoId(3), texts[0], lang, CaptionSource::Person, CaptionState::Accepted);
        ledger.put(PhotoId(4), texts[2], lang, file, CaptionState::Accepted);
        ledger.put(PhotoId(7), texts[1], lang, model(), CaptionState::Accepted);
    });
    link
}

fn click(w: &mut Window, msg: Msg) {
    let label = w.state().lang().text(msg);
    w.get_all_by_label(label).next().unwrap().click();
    pass(w, 1.0);
}

fn type_into(w: &mut Window, msg: Msg, text: &str) {
    let label = w.state().lang().text(msg);
    w.get_by_label(label).focus();
    w.step();
    w.get_by_label(label).type_text(text);
    pass(w, 0.5);
}

/// A photo's tab, opened by its key.
fn tab(link: &ScriptedLink, setup: Setup, place: usize, key: Key) -> Window {
    let mut w = window(link, setup);
    settle(&mut w);
    let photo = w.state().runtime().ids()[place];
    let label = w.state().runtime().thumbs.get(photo).map(|thumb| thumb.label().to_owned()).unwrap_or_default();
    w.get_by_label(&label).click();
    pass(&mut w, 0.5);
    w.key_press(key);
    pass(&mut w, 0.75);
    w
}

fn sheet(link: &ScriptedLink, setup: Setup, key: Key) -> Window {
    let mut w = window(link, setup);
    settle(&mut w);
    w.key_press_modifiers(Modifiers::COMMAND, key);
    pass(&mut w, 1.0);
    w
}

fn without_fuse(link: &ScriptedLink) {
    let mut status = library(312);
    status.fuse = FuseStatus::Absent(failure(FailureKind::NoFuseModel, "", "no such pack"));
    link.push(Event::Library(status));
}

/// The states by name.
pub fn states() -> Vec<(&'static str, Make)> {
    vec![
        ("words-caption", |s| {
            let link = worded(&s);
            tab(&link, s, 2, Key::C)
        }),
        ("words-caption-empty", |s| tab(&photos(), s, 4, Key::C)),
        ("words-caption-offers", |s| {
            let mut w = tab(&photos(), s, 4, Key::C);
            click(&mut w, Msg::Suggest);
            w
        }),
        ("words-caption-writing", |s| {
            let link = photos();
            link.script(|script| script.ledger.silent = true);
            let mut w = tab(&link, s, 4, Key::C);
            click(&mut w, Msg::Suggest);
            let request = link.sent().iter().rev().find_map(|command| match command {
                glimpse::engine::Command::Caption { request, .. } => Some(*request),
                _ => None,
            });
            let text = "a sunset over a row of green".to_owned();
            link.push(Event::CaptionGrew { request: request.unwrap(), candidate: 0, text });
            pass(&mut w, 0.5);
            w
        }),
        ("words-caption-how", |s| {
            let mut w = tab(&photos(), s, 4, Key::C);
            let lang = w.state().lang();
            let name = format!("{}: {}", lang.text(Msg::HowTitle), lang.text(Msg::HowBeam));
            w.get_by_label(&name).click();
            pass(&mut w, 0.5);
            click(&mut w, Msg::HowSampling);
            w
        }),
        ("words-caption-edit", |s| {
            let link = worded(&s);
            let mut w = tab(&link, s, 2, Key::C);
            click(&mut w, Msg::EditCaption);
            w
        }),
        ("words-ask", |s| {
            let zh = is_zh(&s);
            let s = Setup { any_glyph: true, ..s };
            let mut w = tab(&photos(), s, 4, Key::A);
            click(&mut w, Msg::AskColour);
            type_into(&mut w, Msg::AskField, if zh { "where 这是哪里" } else { "where is this" });
            w.key_press(Key::Enter);
            pass(&mut w, 0.5);
            type_into(&mut w, Msg::AskField, "что это");
            w.key_press(Key::Enter);
            pass(&mut w, 0.5);
            w
        }),
        ("words-ask-first", |s| tab(&photos(), s, 4, Key::A)),
        ("words-match", |s| {
            let mut w = tab(&photos(), s, 4, Key::M);
            type_into(&mut w, Msg::MatchField, "green hills under an evening sun");
            w.key_press(Key::Enter);
            pass(&mut w, 0.5);
            w
        }),
        ("words-no-model", |s| {
            let link = photos();
            let w = tab(&link, s, 4, Key::C);
            without_fuse(&link);
            w
        }),
        ("words-no-model-ask", |s| {
            let link = photos();
            let w = tab(&link, s, 4, Key::A);
            without_fuse(&link);
            w
        }),
        ("words-batch-sheet", |s| {
            let mut w = tab(&photos(), s, 1, Key::I);
            let label = |at: usize| {
                let photo = w.state().runtime().ids()[at];
                w.state().runtime().thumbs.get(photo).map(|thumb| thumb.label().to_owned()).unwrap_or_default()
            };
            let last = label(9);
            w.get_by_label(&last).click_modifiers(Modifiers::SHIFT);
            pass(&mut w, 0.5);
            w.key_press(Key::C);
            w
        }),
        ("words-batch", |s| {
            let link = photos();
            let mut w = tab(&link, s, 1, Key::I);
            let photo = w.state().runtime().ids()[9];
            let last = w.state().runtime().thumbs.get(photo).map(|t| t.label().to_owned()).unwrap_or_default();
            w.get_by_label(&last).click_modifiers(Modifiers::SHIFT);
            pass(&mut w, 0.5);
            link.push(batch_job(JobState::Running, 5, 9));
            for (i, text) in
                ["a boat on a lake", "the sun above a row of hills", "two dogs in the snow"].iter().enumerate()
            {
                let result = Ok((*text).to_owned());
                link.push(Event::BatchCaption { job: JobId(31), photo: PhotoId(2 + i as i64), result });
            }
            let cut = failure(FailureKind::Photo, "/home/ada/Pictures/holiday/IMG_0005.jpg", "cut off");
            link.push(Event::BatchCaption { job: JobId(31), photo: PhotoId(5), result: Err(cut) });
            w
        }),
        ("words-rerank", |s| {
            let zh = is_zh(&s);
            let mut s = s;
            s.saved.window.rerank = Some(20);
            s.saved.window.query = if zh { "夕阳下的群山" } else { "sunset over the hills" }.into();
            tab(&photos(), s, 1, Key::I)
        }),
        ("words-rerank-menu", |s| {
            let mut s = s;
            s.saved.window.rerank = Some(20);
            let mut w = window(&photos(), s);
            settle(&mut w);
            let label = w.state().lang().fill(Msg::RerankOn, &[("n", "20")]);
            w.get_by_label(&label).click();
            w
        }),
        ("words-reword", |s| {
            let link = worded(&s);
            let zh = is_zh(&s);
            let mut w = sheet(&link, s, Key::H);
            type_into(&mut w, Msg::RewordFind, if zh { "群山" } else { "hills" });
            type_into(&mut w, Msg::RewordWith, if zh { "山脉" } else { "mountains" });
            pass(&mut w, 1.0);
            w
        }),
        ("words-export", |s| sheet(&photos(), s, Key::E)),
        ("words-export-look", |s| {
            let mut w = sheet(&photos(), s, Key::E);
            type_into(&mut w, Msg::ExportFolder, "/home/ada/captions");
            click(&mut w, Msg::ExportLook);
            w
        }),
        ("words-export-xmp", |s| {
            let mut w = sheet(&photos(), s, Key::E);
            click(&mut w, Msg::FormatXmp);
            click(&mut w, Msg::ExportBeside);
            w
        }),
        ("words-undone", |s| {
            let link = worded(&s);
            let mut w = tab(&link, s, 2, Key::C);
            click(&mut w, Msg::RemoveCaption);
            w.key_press_modifiers(Modifiers::COMMAND, Key::Z);
            w
        }),
    ]
}
