//! A published system as a model to be asked: its transformer with the words, answers
//! and habits that its folder holds.
//!
//! A folder is model.safetensors, config.json, vocab.txt (or another tokenizer) and, for
//! those that answer, labels.json. Must not know where regions come from.

use std::path::Path;

use candle_core::{Device, Tensor};
use image::RgbImage;
use serde_json::Value;

use crate::domain::CancelToken;
use crate::models::ModelError;
use crate::models::folder::{ModelFolder, fingerprint};
use crate::models::pack::PackManifest;
use crate::models::tokenizer::Tokenizer;

use super::config::Recipe;
use super::decode::{Decoding, decode};
use super::transformer::{RegionTransformer, Special};
use super::{Abilities, Answer, Answers, CaptionRequest, Draft, FuseModel, FuseSpec, Regions, Sees};

/// Most tokens of a caption.
const CAPTION_TOKENS: usize = 30;
/// Pairs that are judged in one pass.
const BATCH: usize = 20;

/// See the module.
#[derive(Debug)]
pub struct System {
    spec: FuseSpec,
    model: RegionTransformer,
    tokenizer: Tokenizer,
    special: Special,
    /// Tokens that no caption contains.
    banned: Vec<u32>,
    /// Answers by their number; empty for a model that does not answer.
    labels: Vec<String>,
}

impl System {
    /// Loads a folder; a pack's manifest, where there is one, names it.
    pub fn load(path: &Path, manifest: Option<&PackManifest>) -> Result<Self, ModelError> {
        let folder = ModelFolder::open(path)?;
        let Some(recipe) = Recipe::named(&folder.kind) else {
            return Err(ModelError::Architecture { path: path.to_owned(), name: folder.kind });
        };
        // The small files first: what is missing there is said before gigabytes are read.
        Tokenizer::open(path, 1 << 10)?;
        let labels = read_labels(path)?;
        let model = RegionTransformer::load(&folder, recipe, &Device::Cpu)?;
        let tokenizer = Tokenizer::open(path, model.text_limit())?;
        tokenizer.check_rows(model.bert.vocab_size())?;
        let id = |token: &str| {
            tokenizer.id(token).ok_or_else(|| ModelError::NotAModel {
                path: path.to_owned(),
                detail: format!("the folder's vocabulary has no `{token}`"),
            })
        };
        let special = Special { cls: id("[CLS]")?, sep: id("[SEP]")?, mask: id("[MASK]")? };
        let banned = vec![special.cls, special.mask, id("[PAD]")?, id("[UNK]")?];
        let classes = model.heads.classifier.as_ref().map(|classifier| classifier.labels());
        let judges = is_judge(recipe, classes, &labels);
        if let (Some(classes), false) = (classes, judges)
            && labels.as_ref().map(Vec::len) != Some(classes)
        {
            let detail = match &labels {
                None => format!("the folder has no labels.json with the model's {classes} answers"),
                Some(labels) => format!("labels.json names {} answers, the model has {classes}", labels.len()),
            };
            return Err(ModelError::NotAModel { path: path.to_owned(), detail });
        }
        let described = match manifest {
            Some(manifest) => manifest.clone(),
            None => folder.describe()?,
        };
        let files: Vec<_> = folder.weight_files()?.iter().map(|name| path.join(name)).collect();
        let spec = FuseSpec {
            id: described.id,
            weights_hash: fingerprint(&files)?,
            architecture: recipe.name().to_owned(),
            languages: described.languages,
            abilities: Abilities {
                caption: model.heads.words.is_some(),
                answer: classes.is_some() && !judges,
                matching: judges || model.heads.rank.is_some() || model.heads.itm.is_some(),
            },
            sees: Sees::Features,
            min_side: 1,
        };
        Ok(Self { spec, model, tokenizer, special, banned, labels: labels.unwrap_or_default() })
    }

    fn recipe(&self) -> Recipe {
        self.model.config.recipe
    }

    /// Fails, and says what would work, unless the checkpoint has the head for it.
    fn able(&self, able: bool, what: &str, who: &str) -> Result<(), ModelError> {
        if able {
            return Ok(());
        }
        let FuseSpec { id, architecture, .. } = &self.spec;
        Err(ModelError::Unable(format!(
            "{id} is a checkpoint of {architecture} that has no head to {what}: take {who}, or the built-in model"
        )))
    }

    /// Object tags as ids; only OSCAR and VinVL read them.
    fn tags(&self, picture: &Regions) -> Result<Vec<u32>, ModelError> {
        match self.recipe() {
            Recipe::Oscar | Recipe::Vinvl => self.tokenizer.encode_plain(&picture.tags.join(" ")),
            Recipe::Uniter | Recipe::Vlp => Ok(Vec::new()),
        }
    }

    fn sequence(&self, text: &str, picture: &Regions) -> Result<Tensor, ModelError> {
        let text = self.tokenizer.encode(text)?;
        self.model.sequence(&text, &self.tags(picture)?, picture, self.special)
    }

    /// Each answer judged by itself, as these systems are trained, or one of all.
    fn probabilities(&self, scores: &[f32]) -> Vec<f32> {
        let each = matches!(self.recipe(), Recipe::Uniter | Recipe::Vlp) || self.model.config.own.loss_type == "bce";
        if each { scores.iter().copied().map(sigmoid).collect() } else { softmax(scores) }
    }
}

impl FuseModel for System {
    fn spec(&self) -> &FuseSpec {
        &self.spec
    }

    fn look(&self, _: &RgbImage) -> Result<Regions, ModelError> {
        Err(super::needs_features(&self.spec))
    }

    fn caption(
        &self,
        picture: &Regions,
        request: &CaptionRequest,
        sink: &mut dyn FnMut(&str),
        cancel: &CancelToken,
    ) -> Result<Draft, ModelError> {
        self.able(self.spec.abilities.caption, "caption", "an OSCAR, VinVL or VLP one trained for captions")?;
        if !self.spec.languages.contains(&request.lang) {
            return Err(ModelError::Unable(format!(
                "{} writes {} only, not {}",
                self.spec.id,
                self.spec.languages.join(" and "),
                request.lang
            )));
        }
        let mut writing = self.model.caption(&self.tags(picture)?, picture, self.special)?;
        let how = Decoding {
            beam: request.beam,
            banned: self.banned.clone(),
            no_repeat: 3,
            sampling: request.sampling,
            ..Decoding::greedy(self.special.sep, CAPTION_TOKENS)
        };
        let decoded = decode(&mut writing, &how, cancel, &mut |ids| sink(&self.tokenizer.decode(ids)))?;
        Ok(Draft { text: self.tokenizer.decode(&decoded.ids), score: decoded.mean_probability(), ended: decoded.ended })
    }

    fn answer(&self, picture: &Regions, question: &str, top: usize) -> Result<Answers, ModelError> {
        self.able(self.spec.abilities.answer, "answer", "one trained for VQA")?;
        let scores = self.model.answers(self.sequence(question, picture)?, picture)?;
        // VLP's first answer stands for all that are none.
        let first = usize::from(self.recipe() == Recipe::Vlp);
        let scored = self.labels.iter().zip(self.probabilities(&scores)).skip(first);
        let mut ranked: Vec<Answer> = scored.map(|(text, score)| Answer { text: text.clone(), score }).collect();
        ranked.sort_by(|a, b| b.score.total_cmp(&a.score));
        ranked.truncate(top);
        let unsure = ranked.first().is_none_or(|best| best.score < self.model.config.own.unsure_below);
        Ok(Answers { ranked, unsure })
    }

    fn match_scores(&self, pairs: &[(&Regions, &str)]) -> Result<Vec<f32>, ModelError> {
        self.able(self.spec.abilities.matching, "match", "an OSCAR, VinVL or UNITER one trained for retrieval")?;
        let mut scores = Vec::with_capacity(pairs.len());
        for batch in pairs.chunks(BATCH) {
            let sequences = batch.iter().map(|(picture, text)| self.sequence(text, picture));
            let hidden = self.model.encode(&sequences.collect::<Result<Vec<_>, _>>()?)?;
            let pooled = self.model.heads.pool(&hidden)?;
            let heads = &self.model.heads;
            let rows: Vec<Vec<f32>> = match (&heads.rank, &heads.itm, &heads.classifier) {
                (Some(rank), ..) => rank.forward(&pooled)?.to_vec2()?,
                (_, Some(itm), _) => itm.forward(&pooled)?.to_vec2()?,
                (.., Some(classifier)) => classifier.forward(&pooled)?.to_vec2()?,
                _ => Vec::new(),
            };
            scores.extend(rows.iter().map(|row| match row[..] {
                [rank] => sigmoid(rank),
                _ => softmax(row).get(1).copied().unwrap_or(0.0),
            }));
        }
        Ok(scores)
    }
}

/// OSCAR and VinVL judge pairs with the classifier that otherwise answers: two classes
/// and no answers to name.
fn is_judge(recipe: Recipe, classes: Option<usize>, labels: &Option<Vec<String>>) -> bool {
    matches!(recipe, Recipe::Oscar | Recipe::Vinvl) && classes == Some(2) && labels.is_none()
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

fn softmax(scores: &[f32]) -> Vec<f32> {
    let most = scores.iter().copied().fold(f32::MIN, f32::max);
    let parts: Vec<f32> = scores.iter().map(|s| (s - most).exp()).collect();
    let total: f32 = parts.iter().sum();
    parts.into_iter().map(|part| part / total).collect()
}

/// The answers of labels.json by their number: a list, `{"answer": number}` or
/// `{"number": "answer"}`, as the authors' files have them.
fn read_labels(folder: &Path) -> Result<Option<Vec<String>>, ModelError> {
    let path = folder.join("labels.json");
    if !path.is_file() {
        return Ok(None);
    }
    let bytes = std::fs::read(&path).map_err(|source| ModelError::Io { path: path.clone(), source })?;
    let unusable = |why: &dyn std::fmt::Display| ModelError::Config {
        path: path.clone(),
        detail: format!("the answers cannot be read ({why})"),
    };
    let numbered: Vec<(u64, String)> = match serde_json::from_slice(&bytes).map_err(|e| unusable(&e))? {
        Value::Array(list) => (0..).zip(list).filter_map(|(n, v)| Some((n, v.as_str()?.to_owned()))).collect(),
        Value::Object(map) => {
            let pair = |(key, value): (String, Value)| match value {
                Value::String(answer) => key.parse().ok().map(|n| (n, answer)),
                number => number.as_u64().map(|n| (n, key)),
            };
            map.into_iter().filter_map(pair).collect()
        }
        _ => return Err(unusable(&"it holds neither a list nor names with numbers")),
    };
    let mut labels = vec![None; numbered.len()];
    for (n, answer) in numbered {
        match labels.get_mut(n as usize) {
            Some(place @ None) => *place = Some(answer),
            _ => return Err(unusable(&format!("number {n} is out of place"))),
        }
    }
    Ok(labels.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_come_in_three_forms() {
        let dir = tempfile::tempdir().unwrap();
        let read = |text: &str| {
            std::fs::write(dir.path().join("labels.json"), text).unwrap();
            read_labels(dir.path())
        };
        for text in [r#"["yes","no"]"#, r#"{"no":1,"yes":0}"#, r#"{"1":"no","0":"yes"}"#] {
            assert_eq!(read(text).unwrap().unwrap(), ["yes", "no"], "{text}");
        }
        for text in ["", "3", "[", r#"{"a":0,"b":0}"#, r#"{"a":7}"#] {
            assert!(read(text).unwrap_err().to_string().contains("labels.json"), "{text}");
        }
        std::fs::remove_file(dir.path().join("labels.json")).unwrap();
        assert_eq!(read_labels(dir.path()).unwrap(), None);
    }
}
