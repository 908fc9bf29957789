//! A system as a model to be asked: its transformer with the words, answers and habits
//! that its folder holds.
//!
//! A folder is model.safetensors, config.json, vocab.txt (or another tokenizer) and, for
//! those that answer, labels.json; the built-in model also names the tower that it looks
//! through and what its classes are called (tags.json). Must not know where regions come from.

use std::collections::HashMap;
use std::path::Path;

use candle_core::Device;
use image::RgbImage;
use sha2::{Digest as _, Sha256};

use crate::domain::{CancelToken, is_han};
use crate::models::ModelError;
use crate::models::folder::{ModelFolder, fingerprint};
use crate::models::json::read_json;
use crate::models::pack::{Pack, PackManifest, hex};
use crate::models::tokenizer::Tokenizer;

use super::config::Recipe;
use super::decode::{Decoded, Decoding, decode_several};
use super::evidence::{Alone, Judge, Pair};
use super::labels::Labels;
use super::look::Eye;
use super::transformer::{RegionTransformer, Sequence, Special};
use super::{Abilities, Answers, CaptionRequest, Draft, FuseModel, FuseSpec, Regions, Sees};

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
    /// The token that a caption begins with, by language.
    starts: Vec<(String, u32)>,
    /// Tokens that no caption contains.
    banned: Vec<u32>,
    /// Chinese ones, which no caption in another language contains.
    chinese_tokens: Vec<u32>,
    /// Those of other scripts' letters, with which no Chinese caption begins: it would go on in English.
    foreign_tokens: Vec<u32>,
    /// Answers by their number; none for a model that does not answer.
    labels: Option<Labels>,
    /// For a model that looks at the photo itself.
    eye: Option<Eye>,
    /// What a tag is called in Chinese.
    chinese: HashMap<String, String>,
}

/// What a tower's classes are called as tags, in the order of their numbers.
#[derive(serde::Deserialize)]
struct TagNames {
    en: Vec<String>,
    zh: Vec<String>,
}

/// See [`FuseSpec::judge_hash`].
fn judge_hash(weights: &str, config: &Path, align: Option<&Pack>) -> Result<String, ModelError> {
    let config = std::fs::read(config).map_err(|source| ModelError::Io { path: config.to_owned(), source })?;
    let mut hash = Sha256::new();
    for part in [weights.as_bytes(), &config, align.map(Pack::weights_hash).unwrap_or_default().as_bytes()] {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    Ok(hex(&hash.finalize()))
}

impl System {
    /// Loads a folder; a pack's manifest, where there is one, names it. `align` is the pack
    /// whose tower a model looks through that the manifest says looks through one.
    pub fn load(path: &Path, manifest: Option<&PackManifest>, align: Option<&Path>) -> Result<Self, ModelError> {
        let folder = ModelFolder::open(path)?;
        let Some(recipe) = Recipe::named(&folder.kind) else {
            return Err(ModelError::Architecture { path: path.to_owned(), name: folder.kind });
        };
        // The small files first: what is missing there is said before gigabytes are read.
        Tokenizer::open(path, 1 << 10)?;
        let labels = Labels::read(path)?;
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
        let mut banned = vec![special.cls, special.mask, id("[PAD]")?, id("[UNK]")?];
        let starts = match recipe {
            Recipe::Lite => vec![("en".to_owned(), id("[EN]")?), ("zh".to_owned(), id("[ZH]")?)],
            _ => vec![("en".to_owned(), special.cls)],
        };
        banned.extend(starts.iter().map(|(_, start)| start));
        let lite_tokens = |wanted: fn(char) -> bool| match recipe {
            Recipe::Lite => tokenizer.ids_where(|token| token.chars().any(wanted)),
            _ => Vec::new(),
        };
        let (chinese_tokens, foreign_tokens) = (lite_tokens(is_han), lite_tokens(|c| c.is_alphabetic() && !is_han(c)));
        let classes = model.heads.classifier.as_ref().map(|classifier| classifier.labels());
        let judges = is_judge(recipe, classes, &labels);
        if let (Some(classes), false) = (classes, judges)
            && labels.as_ref().map(Labels::len) != Some(classes)
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
        let align = align.filter(|_| described.align.is_some()).map(Pack::open).transpose()?;
        let (eye, names) = match (&described.align, &align) {
            (Some(tower), Some(align)) => {
                let names: TagNames = read_json(&path.join("tags.json"), "the names of the tags")?;
                (Some(Eye::open(align, tower, names.en.clone(), &model.config.own)?), Some(names))
            }
            _ => (None, None),
        };
        let chinese = names.into_iter().flat_map(|names| names.en.into_iter().zip(names.zh)).collect();
        let files: Vec<_> = folder.weight_files()?.iter().map(|name| path.join(name)).collect();
        let weights_hash = fingerprint(&files)?;
        let spec = FuseSpec {
            id: described.id,
            judge_hash: judge_hash(&weights_hash, &path.join("config.json"), align.as_ref())?,
            weights_hash,
            architecture: recipe.name().to_owned(),
            languages: described.languages,
            abilities: Abilities {
                caption: model.heads.words.is_some(),
                answer: classes.is_some() && !judges,
                matching: judges || model.heads.rank.is_some() || model.heads.itm.is_some(),
            },
            sees: if eye.is_some() { Sees::Pixels } else { Sees::Features },
            min_side: eye.as_ref().map_or(1, Eye::min_side),
            align_weight: model.config.own.align_weight,
        };
        Ok(Self {
            spec,
            model,
            tokenizer,
            special,
            starts,
            banned,
            chinese_tokens,
            foreign_tokens,
            labels,
            eye,
            chinese,
        })
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

    /// Object tags as ids, in the language of the text beside them where the model has names in it.
    fn tags(&self, picture: &Regions, lang: &str) -> Result<Vec<u32>, ModelError> {
        let named = |tag: &str| -> String {
            let chinese = (lang == "zh").then(|| self.chinese.get(tag)).flatten();
            chinese.map_or_else(|| tag.to_owned(), Clone::clone)
        };
        match self.recipe() {
            Recipe::Oscar | Recipe::Vinvl | Recipe::Lite => {
                let tags: Vec<String> = picture.tags.iter().map(|tag| named(tag)).collect();
                self.tokenizer.encode_plain(&tags.join(" "))
            }
            Recipe::Uniter | Recipe::Vlp => Ok(Vec::new()),
        }
    }

    fn sequence(&self, text: &str, picture: &Regions) -> Result<Sequence, ModelError> {
        let ids = self.tokenizer.encode(text)?;
        self.model.sequence(&ids, &self.tags(picture, language(text))?, picture, self.special)
    }

    /// The token that a caption in `lang` begins with.
    fn start(&self, lang: &str) -> Option<u32> {
        self.starts.iter().find(|(own, _)| own == lang).map(|&(_, start)| start)
    }

    /// By the head that matches and by what the picture does for the text as a caption.
    fn judged(&self, judge: Judge, pairs: &[(&Regions, &str)]) -> Result<Vec<f32>, ModelError> {
        let pair = |&(picture, text): &(_, &str)| {
            let lang = language(text);
            let mut said: Vec<u32> = self.start(lang).into_iter().collect();
            said.extend(self.tokenizer.encode_plain(text)?.into_iter().take(CAPTION_TOKENS - 2));
            Ok(Pair { text: self.tokenizer.encode(text)?, said, tags: self.tags(picture, lang)?, picture })
        };
        let (mut scores, mut alone) = (Vec::with_capacity(pairs.len()), Alone::default());
        for batch in pairs.chunks(BATCH) {
            let pairs = batch.iter().map(pair).collect::<Result<Vec<_>, ModelError>>()?;
            let evidence = self.model.evidence(&pairs, self.special, &mut alone)?;
            let near = match &self.eye {
                Some(eye) if judge.near != 0.0 => eye.closeness(batch)?,
                _ => vec![0.0; batch.len()],
            };
            let odds = evidence.into_iter().zip(near).map(|(evidence, near)| judge.log_odds(evidence, near));
            scores.extend(odds.map(sigmoid));
        }
        Ok(scores)
    }

    /// Fuse writes, Align picks: of the sentences of a beam the one that is likeliest and nearest to the photo.
    fn picked(&self, picture: &Regions, decoded: Vec<Decoded>, lang: &str, cancel: &CancelToken) -> Draft {
        let own = &self.model.config.own;
        let trust = own.trust.get(lang);
        let mut offers: Vec<Draft> = decoded
            .into_iter()
            .map(|d| Draft { text: self.tokenizer.decode(&d.ids), score: d.mean_probability(), ended: d.ended })
            .collect();
        let asked = trust.is_some() || own.pick_weight > 0.0 && offers.len() > 1;
        if let Some(eye) = self.eye.as_ref().filter(|_| asked && !cancel.is_cancelled()) {
            let pairs: Vec<(&Regions, &str)> = offers.iter().map(|offer| (picture, offer.text.as_str())).collect();
            let near = eye.closeness(&pairs).inspect_err(|error| log::debug!("the likeliest is taken: {error}"));
            if let Ok(near) = near {
                let worth = |i: usize| offers[i].score.ln() + own.pick_weight * near[i];
                // The first of equals, which is the likelier.
                let best = (0..offers.len()).rev().max_by(|&a, &b| worth(a).total_cmp(&worth(b))).unwrap_or_default();
                if let (Some(trust), Some(offer)) = (trust, offers.get_mut(best)) {
                    offer.score = trust.share(offer.score, near[best]);
                }
                offers.truncate(best + 1);
                offers.reverse();
            }
        }
        offers.into_iter().next().unwrap_or(Draft { text: String::new(), score: 0.0, ended: false })
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

    fn look(&self, photo: &RgbImage) -> Result<Regions, ModelError> {
        match &self.eye {
            Some(eye) => eye.look(photo),
            None => Err(super::needs_features(&self.spec)),
        }
    }

    fn caption(
        &self,
        picture: &Regions,
        request: &CaptionRequest,
        sink: &mut dyn FnMut(&str),
        cancel: &CancelToken,
    ) -> Result<Draft, ModelError> {
        self.able(self.spec.abilities.caption, "caption", "an OSCAR, VinVL or VLP one trained for captions")?;
        let lang = &request.lang;
        let Some(first) = self.start(lang).filter(|_| self.spec.languages.contains(lang)) else {
            return Err(super::writes_others_only(&self.spec, lang));
        };
        let mut writing = self.model.caption(&self.tags(picture, lang)?, picture, self.special, first)?;
        let (mut banned, mut no_opening) = (self.banned.clone(), Vec::new());
        if lang == "zh" {
            no_opening.extend(&self.foreign_tokens);
        } else {
            banned.extend(&self.chinese_tokens);
        }
        let how = Decoding {
            beam: request.beam,
            banned,
            no_opening,
            no_repeat: 3,
            sampling: request.sampling,
            ..Decoding::greedy(self.special.sep, CAPTION_TOKENS)
        };
        let decoded = decode_several(&mut writing, &how, cancel, &mut |ids| sink(&self.tokenizer.decode(ids)))?;
        let draft = self.picked(picture, decoded, lang, cancel);
        sink(&draft.text);
        Ok(draft)
    }

    fn answer(&self, picture: &Regions, question: &str, top: usize) -> Result<Answers, ModelError> {
        self.able(self.spec.abilities.answer, "answer", "one trained for VQA")?;
        let scores = self.model.answers(self.sequence(question, picture)?, picture)?;
        // VLP's first answer stands for all that are none.
        let skip = usize::from(self.recipe() == Recipe::Vlp);
        let probabilities = self.probabilities(&scores);
        let labels = self.labels.as_ref();
        let mut ranked = labels.map_or_else(Vec::new, |labels| labels.ranked(language(question), &probabilities, skip));
        ranked.truncate(top);
        let unsure = ranked.first().is_none_or(|best| best.score < self.model.config.own.unsure_below);
        Ok(Answers { ranked, unsure })
    }

    fn match_scores(&self, pairs: &[(&Regions, &str)]) -> Result<Vec<f32>, ModelError> {
        self.able(self.spec.abilities.matching, "match", "an OSCAR, VinVL or UNITER one trained for retrieval")?;
        if let Some(judge) = self.model.config.own.judge {
            return self.judged(judge, pairs);
        }
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
fn is_judge(recipe: Recipe, classes: Option<usize>, labels: &Option<Labels>) -> bool {
    matches!(recipe, Recipe::Oscar | Recipe::Vinvl) && classes == Some(2) && labels.is_none()
}

/// The language that a text is written in, as far as models tell them apart.
fn language(text: &str) -> &'static str {
    if text.chars().any(is_han) { "zh" } else { "en" }
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// Probabilities of scores.
pub(super) fn softmax(scores: &[f32]) -> Vec<f32> {
    let most = scores.iter().copied().fold(f32::MIN, f32::max);
    let parts: Vec<f32> = scores.iter().map(|s| (s - most).exp()).collect();
    let total: f32 = parts.iter().sum();
    parts.into_iter().map(|part| part / total).collect()
}
