//! A made-up ledger behind the scripted engine: captions, answers and steps in memory, so
//! that the window's flows can be driven without a model or a library.

use std::collections::HashMap;

use glimpse::domain::{
    Answer, AnswerId, Caption, CaptionId, CaptionSource, CaptionState, JobId, JobKind, JobState, JobStatus,
    PhotoAnswer, PhotoId, Progress,
};
use glimpse::engine::{
    Candidate, Chosen, Closeness, Command, Event, ExportReport, MatchScores, PhotoWords, Reply, RewordReport, Reworded,
    Writing,
};
use glimpse::export::{self, FileChange};
use glimpse::models::fuse::Refusal;
use glimpse::store::{CaptionAct, CaptionStep, CaptionSteps};

/// 3 May 2024, so that dates read the same whenever a test runs.
pub const THEN_S: i64 = 1_714_746_130;

type State = HashMap<PhotoId, Vec<Caption>>;

/// What the made-up library holds about words.
#[derive(Default)]
pub struct Ledger {
    pub captions: State,
    pub answers: HashMap<PhotoId, Vec<PhotoAnswer>>,
    undo: Vec<(CaptionAct, State)>,
    redo: Vec<(CaptionAct, State)>,
    next: i64,
    /// Captions, questions and batches are left to the test.
    pub silent: bool,
    /// Writing fails: nothing is changed, and nothing answered.
    pub broken: bool,
}

impl Ledger {
    /// A caption that is there already.
    pub fn put(&mut self, photo: PhotoId, text: &str, lang: &str, source: CaptionSource, state: CaptionState) {
        let caption = self.new_caption(photo, text, lang, source, state);
        self.captions.entry(photo).or_default().insert(0, caption);
    }

    fn new_caption(
        &mut self,
        photo: PhotoId,
        text: &str,
        lang: &str,
        source: CaptionSource,
        state: CaptionState,
    ) -> Caption {
        self.next += 1;
        let (id, photo) = (CaptionId(self.next), Some(photo));
        Caption { id, photo, text: text.into(), lang: lang.into(), source, state, created_s: THEN_S }
    }

    /// The accepted caption, as the grid shows it.
    pub fn accepted(&self, photo: PhotoId) -> Option<String> {
        let captions = self.captions.get(&photo)?;
        captions.iter().find(|caption| caption.state == CaptionState::Accepted).map(|caption| caption.text.clone())
    }

    fn steps(&self) -> CaptionSteps {
        CaptionSteps { undo: self.undo.last().map(|step| step.0), redo: self.redo.last().map(|step| step.0) }
    }

    fn change(&mut self, act: CaptionAct, photo: Option<PhotoId>, events: &mut Vec<Event>) {
        self.undo.push((act, self.captions.clone()));
        self.redo.clear();
        self.tell(photo, events);
    }

    fn tell(&self, photo: Option<PhotoId>, events: &mut Vec<Event>) {
        events.push(Event::Steps(self.steps()));
        events.push(Event::WordsChanged(photo.map(|photo| vec![photo])));
    }

    fn of(&mut self, id: CaptionId) -> Option<(PhotoId, &mut Caption)> {
        self.captions.iter_mut().find_map(|(photo, captions)| {
            captions.iter_mut().find(|caption| caption.id == id).map(|caption| (*photo, caption))
        })
    }

    fn reverse(&mut self, redone: bool, events: &mut Vec<Event>) {
        let (from, to) = if redone { (&mut self.redo, &mut self.undo) } else { (&mut self.undo, &mut self.redo) };
        let step = from.pop().map(|(act, state)| {
            to.push((act, std::mem::replace(&mut self.captions, state)));
            CaptionStep { act, captions: 1 }
        });
        events.push(Event::StepReversed { redone, step });
        self.tell(None, events);
    }

    /// What the engine would say.
    pub fn answer(&mut self, command: &Command) -> Vec<Event> {
        let mut events = Vec::new();
        match command {
            Command::Words { request, photo } => {
                let words = PhotoWords {
                    captions: self.captions.get(photo).cloned().unwrap_or_default(),
                    answers: self.answers.get(photo).cloned().unwrap_or_default(),
                    tags: Vec::new(),
                    steps: self.steps(),
                };
                events.push(Event::Words { request: *request, photo: *photo, result: Ok(Box::new(words)) });
            }
            _ if self.broken => {}
            Command::KeepCaption { photo, candidate, state } => {
                let act = if *state == CaptionState::Accepted { CaptionAct::Judged } else { CaptionAct::Drafted };
                self.change(act, Some(*photo), &mut events);
                let Candidate { text, lang, pack, version, settings, .. } = candidate.as_ref().clone();
                self.put(*photo, &text, &lang, CaptionSource::Model { pack, version, settings }, *state);
            }
            Command::WriteCaption { photo, lang, text } => {
                self.change(CaptionAct::Wrote, Some(*photo), &mut events);
                self.put(*photo, text, lang, CaptionSource::Person, CaptionState::Accepted);
            }
            Command::EditCaption { caption, text } => {
                let Some((photo, _)) = self.of(*caption) else { return events };
                self.change(CaptionAct::Edited, Some(photo), &mut events);
                if let Some((_, caption)) = self.of(*caption) {
                    caption.text.clone_from(text);
                    (caption.source, caption.state) = (CaptionSource::Person, CaptionState::Accepted);
                }
            }
            Command::SetCaptionState { caption, state } => {
                let Some((photo, _)) = self.of(*caption) else { return events };
                self.change(CaptionAct::Judged, Some(photo), &mut events);
                if let Some((_, caption)) = self.of(*caption) {
                    caption.state = *state;
                }
            }
            Command::RemoveCaption(id) => {
                let Some((photo, _)) = self.of(*id) else { return events };
                self.change(CaptionAct::Removed, Some(photo), &mut events);
                self.captions.entry(photo).or_default().retain(|caption| caption.id != *id);
            }
            Command::UndoCaptions => self.reverse(false, &mut events),
            Command::RedoCaptions => self.reverse(true, &mut events),
            Command::Match { request, photo, text } => {
                let fits = text.contains("hill");
                let score = if fits { 0.312 } else { 0.094 };
                let scores = MatchScores {
                    text: text.clone(),
                    align: Ok(Closeness { score, share: score }),
                    fuse: Ok(if fits { 0.93 } else { 0.07 }),
                };
                events.push(Event::MatchDone { request: *request, photo: *photo, result: Ok(scores) });
            }
            Command::Reword { request, rewording, dry_run, .. } => {
                let all = self.captions.iter().flat_map(|(photo, captions)| captions.iter().map(move |c| (photo, c)));
                let mut report = RewordReport::default();
                let mut shown: Vec<Reworded> = Vec::new();
                for (photo, caption) in all {
                    report.looked_at += 1;
                    if let Some(after) = rewording.of(&caption.text) {
                        let before = caption.text.clone();
                        shown.push(Reworded { caption: caption.id, photo: *photo, before, after });
                    }
                }
                shown.sort_by_key(|change| change.caption);
                report.changed = shown.len();
                if !dry_run {
                    self.change(CaptionAct::Edited, None, &mut events);
                    for change in &shown {
                        if let Some((_, caption)) = self.of(change.caption) {
                            caption.text.clone_from(&change.after);
                        }
                    }
                }
                report.shown = shown;
                events.push(Event::RewordDone { request: *request, result: Ok(report) });
            }
            Command::Export { request, options } => {
                events.push(Event::ExportDone { request: *request, result: Ok(self.exported(options)) });
            }
            _ if self.silent => {}
            Command::Caption { request, photo, options } => {
                let zh = options.lang == "zh";
                let texts = if zh {
                    ["夕阳下的群山", "山丘上方的太阳", "一片风景"]
                } else {
                    ["a sunset over green hills", "the sun above a row of hills", "a landscape"]
                };
                let count = if matches!(options.how, Writing::Greedy) { 1 } else { options.candidates.min(3) };
                for (candidate, text) in texts.iter().take(count).enumerate() {
                    events.push(Event::CaptionGrew { request: *request, candidate, text: (*text).into() });
                }
                let offers =
                    texts.iter().take(count).zip([0.81, 0.52, 0.23]).map(|(text, score)| candidate(text, zh, score));
                events.push(Event::CaptionDone { request: *request, photo: *photo, result: Ok(offers.collect()) });
            }
            Command::Ask { request, photo, question } => {
                events.push(Event::AskDone {
                    request: *request,
                    photo: *photo,
                    result: Ok(self.reply(*photo, question)),
                });
            }
            Command::RemoveAnswer(id) => {
                self.answers.values_mut().for_each(|answers| answers.retain(|answer| answer.id != *id));
                events.push(Event::WordsChanged(None));
            }
            Command::CaptionPhotos { photos: Chosen::Photos(photos), .. } => {
                events.push(batch_job(JobState::Running, 0, photos.len() as u64));
            }
            _ => {}
        }
        events
    }

    fn reply(&mut self, photo: PhotoId, question: &str) -> Reply {
        let question = question.to_owned();
        if question.contains("это") {
            let refused = Some(Refusal::Languages(vec!["en".into(), "zh".into()]));
            return Reply { question, ranked: Vec::new(), unsure: true, refused, id: None };
        }
        let of = |text: &str, score| Answer { text: text.into(), score };
        let unsure = question.contains("where") || question.contains("Where");
        let ranked = match unsure {
            true => vec![of("hills", 0.21), of("beach", 0.17), of("field", 0.12), of("road", 0.05)],
            false => vec![of("green", 0.87), of("blue", 0.06), of("yellow", 0.03), of("grey", 0.001)],
        };
        self.next += 1;
        let id = AnswerId(self.next);
        let (pack, version) = ("lite-fuse".to_owned(), "5e884898da28".to_owned());
        self.answers.entry(photo).or_default().push(PhotoAnswer {
            id,
            photo: Some(photo),
            question: question.clone(),
            ranked: ranked.clone(),
            unsure,
            pack,
            version,
            created_s: THEN_S,
        });
        Reply { question, ranked, unsure, refused: None, id: Some(id) }
    }

    fn exported(&self, options: &export::Options) -> ExportReport {
        let folder = std::path::Path::new("/home/ada/captions");
        let mut files: Vec<export::Event> = (1..=6)
            .map(|i| export::Event::File {
                photo: Some(format!("/home/ada/Pictures/holiday/IMG_{i:04}.jpg").into()),
                file: folder.join(format!("IMG_{i:04}.txt")),
                change: if i == 2 { FileChange::Changed } else { FileChange::Created },
            })
            .collect();
        files.push(export::Event::Skipped {
            photo: "/home/ada/Pictures/holiday/IMG_0008.jpg".into(),
            file: Some(folder.join("IMG_0008.txt")),
            reason: export::SkipReason::ForeignFile,
        });
        let mut report = export::Report { exported: 6, skipped: 5, failed: 0, cancelled: false };
        if !options.dry_run {
            (report.exported, report.failed) = (5, 1);
            files[3] = export::Event::Failed {
                photo: Some("/home/ada/Pictures/holiday/IMG_0004.jpg".into()),
                file: folder.join("IMG_0004.txt"),
                detail: "permission denied".into(),
            };
        }
        ExportReport { report, files, left_out: 0 }
    }
}

/// What a model offers.
pub fn candidate(text: &str, zh: bool, score: f32) -> Candidate {
    Candidate {
        text: text.into(),
        lang: if zh { "zh" } else { "en" }.into(),
        score,
        ended: true,
        pack: "lite-fuse".into(),
        version: "5e884898da28".into(),
        settings: r#"{"beam":3}"#.into(),
    }
}

/// A batch's job as the status bar shows it.
pub fn batch_job(state: JobState, done: u64, total: u64) -> Event {
    let progress =
        Progress { done, total: Some(total), failed: 0, per_second: 1.9, secs_left: Some((total - done) as f32 / 1.9) };
    Event::Job(JobStatus { id: JobId(31), kind: JobKind::Caption(total), state, progress })
}
