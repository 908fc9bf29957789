//! From what a person asks for to what a Fuse model is asked, and from its drafts to captions.

use serde_json::{Value, json};

use crate::domain::{CancelToken, CaptionSource, CaptionState, NewCaption, PhotoId};
use crate::models::ModelError;
use crate::models::fuse::{CaptionRequest, Draft, FuseModel, FuseSpec, Regions, Sampling};

use super::{Candidate, CaptionOptions, Writing};

/// Where words are drawn though the likeliest were asked for: for the second sentence and on.
const DRAWN: Sampling = Sampling { temperature: 0.9, top_p: 0.9, seed: 0 };
/// Draws for each further sentence; the model may say the same thing again and again.
const TRIES: usize = 3;

impl Writing {
    /// As captions keep it, enough to write the same draft again.
    pub fn settings(&self) -> Value {
        match self {
            Self::Greedy => json!({ "beam": 1 }),
            Self::Beam(beam) => json!({ "beam": beam }),
            Self::Sampling(Sampling { temperature, top_p, seed }) => {
                // As it was typed: 0.9, not the nearest f32 in seventeen digits.
                let short = |v: f32| (f64::from(v) * 1e4).round() / 1e4;
                json!({ "temperature": short(*temperature), "top_p": short(*top_p), "seed": seed })
            }
        }
    }

    /// The other way round; what is missing is as usual.
    pub(super) fn from_settings(settings: &Value) -> Self {
        let number = |name: &str| settings[name].as_f64().map(|v| v as f32);
        match (settings["beam"].as_u64(), number("temperature"), number("top_p")) {
            (Some(1), ..) => Self::Greedy,
            (Some(beam), ..) => Self::Beam(beam as usize),
            (None, Some(temperature), Some(top_p)) => {
                Self::Sampling(Sampling { temperature, top_p, seed: settings["seed"].as_u64().unwrap_or(0) })
            }
            _ => Self::default(),
        }
    }

    /// What the model is asked.
    pub fn request(self, lang: &str) -> CaptionRequest {
        let (beam, sampling) = match self {
            Self::Greedy => (1, None),
            Self::Beam(beam) => (beam.max(1), None),
            Self::Sampling(sampling) => (1, Some(sampling)),
        };
        CaptionRequest { lang: lang.to_owned(), beam, sampling }
    }

    /// How the `n`th sentence is written: the first as asked, others drawn.
    fn nth(self, n: u64) -> Self {
        match self {
            _ if n == 0 => self,
            Self::Sampling(sampling) => Self::Sampling(Sampling { seed: sampling.seed.wrapping_add(n), ..sampling }),
            _ => Self::Sampling(Sampling { seed: n, ..DRAWN }),
        }
    }
}

impl Candidate {
    fn new(draft: Draft, lang: &str, how: Writing, spec: &FuseSpec) -> Self {
        Self {
            text: draft.text,
            lang: lang.to_owned(),
            score: draft.score,
            ended: draft.ended,
            pack: spec.id.clone(),
            version: spec.weights_hash.clone(),
            settings: how.settings().to_string(),
        }
    }

    /// The caption that keeps it.
    pub fn caption(self, photo: PhotoId, state: CaptionState) -> NewCaption {
        let Self { text, lang, pack, version, settings, .. } = self;
        NewCaption { photo, text, lang, source: CaptionSource::Model { pack, version, settings }, state }
    }
}

/// One sentence about a picture, as a batch and the command line write it.
pub fn write_one(
    model: &dyn FuseModel,
    picture: &Regions,
    lang: &str,
    how: Writing,
    cancel: &CancelToken,
) -> Result<Candidate, ModelError> {
    let draft = model.caption(picture, &how.request(lang), &mut |_| (), cancel)?;
    Ok(Candidate::new(draft, lang, how, model.spec()))
}

/// So many different sentences, the first as asked for. `grew` gets each as it stands. A
/// cancel keeps what there is.
pub(super) fn write_several(
    model: &dyn FuseModel,
    picture: &Regions,
    options: &CaptionOptions,
    cancel: &CancelToken,
    mut grew: impl FnMut(usize, &str),
) -> Result<Vec<Candidate>, ModelError> {
    let wanted = options.candidates.max(1);
    let mut kept: Vec<Candidate> = Vec::new();
    for n in 0..wanted * TRIES {
        if kept.len() == wanted || (n > 0 && cancel.is_cancelled()) {
            break;
        }
        let how = options.how.nth(n as u64);
        let place = kept.len();
        let draft = model.caption(picture, &how.request(&options.lang), &mut |text| grew(place, text), cancel)?;
        let new = !draft.text.trim().is_empty() && kept.iter().all(|known| known.text != draft.text);
        if new && (draft.ended || n == 0 || !cancel.is_cancelled()) {
            kept.push(Candidate::new(draft, &options.lang, how, model.spec()));
        }
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::fuse::StubFuse;

    #[test]
    fn settings_write_the_same_again() {
        let sampling = Sampling { temperature: 0.5, top_p: 0.25, seed: 7 };
        for how in [Writing::Greedy, Writing::Beam(4), Writing::Sampling(sampling)] {
            assert_eq!(Writing::from_settings(&how.settings()), how);
        }
        assert_eq!(Writing::from_settings(&json!(null)), Writing::default());
        assert_eq!(Writing::Sampling(sampling).nth(2), Writing::Sampling(Sampling { seed: 9, ..sampling }));
    }

    #[test]
    fn sentences_differ_and_a_stop_keeps_what_is_there() {
        let model = StubFuse::default();
        let red = model.look(&image::RgbImage::from_pixel(9, 9, image::Rgb([220, 30, 30]))).unwrap();
        let options = CaptionOptions { candidates: 3, ..CaptionOptions::default() };
        let mut grown = Vec::new();
        let never = CancelToken::never();
        let kept = write_several(&model, &red, &options, &never, |n, text| grown.push((n, text.to_owned()))).unwrap();
        assert_eq!(kept.len(), 1, "the stub has one sentence alone");
        assert_eq!(kept[0].settings, r#"{"beam":3}"#);
        assert_eq!(grown[..3], [(0, "a".into()), (0, "a red".into()), (0, "a red picture".into())]);

        let source = crate::domain::CancelSource::default();
        let token = source.restart();
        let stop = |_: usize, text: &str| {
            if text == "a red" {
                source.cancel();
            }
        };
        let kept = write_several(&model, &red, &options, &token, stop).unwrap();
        assert_eq!((kept.len(), kept[0].text.as_str(), kept[0].ended), (1, "a red", false));
    }
}
