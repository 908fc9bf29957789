//! `glimpse ask`: ranked answers to questions about pictures.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::models::fuse::{Answer, Answers, Regions, refusal};

use super::Done;
use super::args::AskArgs;
use super::fuse::{Beholder, print_failure, tasks};
use super::lines;
use super::output::{Output, absolute, with_path};
use super::session::Session;

/// One line of a file of questions.
#[derive(Deserialize)]
struct Question {
    image: PathBuf,
    question: String,
}

/// Prints one line for each question, in order, also for those that failed.
pub fn ask(session: &Session, args: &AskArgs, out: &mut Output) -> Result<Done> {
    let eyes = Beholder::open(session, args.features.regions.as_deref())?;
    let mut desk = Desk { eyes, top: args.top as usize, last: None };
    if let (Some(image), Some(question)) = (&args.image, &args.question) {
        return Ok(Done::from(desk.answer(&absolute(image), question, out)?));
    }
    let file = args.questions.clone().unwrap_or_default();
    let questions = tasks(&file).with_context(|| format!("the questions could not be read: {}", file.display()))?;
    let mut complete = true;
    for task in questions {
        session.stop_if_interrupted()?;
        complete &= match task {
            Ok(Question { image, question }) => {
                desk.answer(&absolute(&lines::beside(&file, &image)), &question, out)?
            }
            Err(error) => {
                print_failure(None, json!({ "question": null }), &error, out)?;
                false
            }
        };
    }
    Ok(Done::from(complete))
}

struct Desk<'a> {
    eyes: Beholder<'a>,
    top: usize,
    /// The picture seen last: files often ask several things about one.
    last: Option<(PathBuf, Regions)>,
}

impl Desk<'_> {
    /// False if the question could not be put.
    fn answer(&mut self, path: &Path, question: &str, out: &mut Output) -> Result<bool> {
        if let Some(reason) = refusal(question, &self.eyes.model.spec().languages) {
            let fields = json!({ "question": question, "answers": [], "unsure": true, "refused": reason.to_string() });
            out.line(|| with_path(path, fields), || format!("{}\n  {question}\n  ({reason})", path.display()))?;
            return Ok(true);
        }
        match self.answers(path, question) {
            Ok(Answers { ranked, unsure }) => {
                out.line(
                    || {
                        let answer = |a: &Answer| json!({ "answer": a.text, "score": a.score });
                        let answers: Value = ranked.iter().map(answer).collect();
                        with_path(path, json!({ "question": question, "answers": answers, "unsure": unsure }))
                    },
                    || {
                        let mut text = format!("{}\n  {question}", path.display());
                        for answer in &ranked {
                            text += &format!("\n  {:.3}  {}", answer.score, answer.text);
                        }
                        if unsure { text + "\n  (not sure)" } else { text }
                    },
                )?;
                Ok(true)
            }
            Err(error) => {
                print_failure(Some(path), json!({ "question": question }), &error, out)?;
                Ok(false)
            }
        }
    }

    fn answers(&mut self, path: &Path, question: &str) -> Result<Answers, String> {
        let picture = match self.last.take() {
            Some((known, picture)) if known == path => picture,
            _ => self.eyes.look(path)?,
        };
        let answers = self.eyes.model.answer(&picture, question, self.top).map_err(|error| error.to_string());
        self.last = Some((path.to_owned(), picture));
        answers
    }
}
