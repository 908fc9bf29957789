//! The region transformer: words and regions as rows of one sequence through one BERT.
//!
//! | system | sequence for understanding | prefix of a caption (all of it sees all of it) |
//! |---|---|---|
//! | OSCAR, VinVL | `[CLS] words [SEP] tags [SEP] regions` | tags and regions, then `[CLS]` |
//! | UNITER | `[CLS] words [SEP] regions` | |
//! | VLP | `[CLS] regions [SEP] words [SEP]` | `[CLS] regions [SEP]` |
//! | Lite | `[CLS] words [SEP] tags [SEP] regions` | tags and regions, then `[EN]` or `[ZH]` |
//!
//! In the authors' sequences for understanding all rows see each other. Lite's tags and regions see
//! each other alone, as in a caption's prefix, so that several texts may stand beside one picture.
//!
//! Sequences are packed without gaps and padded at their end, which gives the numbers
//! of the authors' padding in the middle: places are numbered before rows are packed.
//! A caption's words see the prefix and the words before them: that is the authors'
//! sequence-to-sequence mask, with the prefix computed once. Must not know tokenizers.

use candle_core::{Device, Tensor};

use crate::models::ModelError;
use crate::models::bert::{Bert, KeyValues, Word};
use crate::models::folder::ModelFolder;
use crate::models::ops::Mask;

use super::config::{FuseConfig, Recipe};
use super::decode::NextToken;
use super::embed::RegionEmbedding;
use super::heads::{Heads, row};
use super::regions::Regions;

/// Sentence numbers of UNITER's and Lite's regions and of VLP's two sides of a caption.
const UNITER_REGIONS: u32 = 1;
const VLP_CAPTION: (u32, u32) = (4, 5);

/// Ids of the tokens that frame a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Special {
    pub cls: u32,
    pub sep: u32,
    pub mask: u32,
}

/// Rows of one sequence, and which of them see which: the texts that stand first each see themselves and
/// what follows the last of them, which sees itself alone. Without texts all see all.
#[derive(Clone, Debug)]
pub struct Sequence {
    /// `[length, width]`
    rows: Tensor,
    /// How long each text is, and whether its words see only those before them.
    texts: Vec<(usize, bool)>,
}

impl Sequence {
    /// Appends, for each of so many `queries`, whether it sees each of `keys`; `length` of them are not padding.
    fn seen(&self, queries: usize, length: usize, keys: usize, out: &mut Vec<u32>) {
        let text = |i: usize| {
            let mut end = 0;
            self.texts.iter().position(|(length, _)| {
                end += length;
                i < end
            })
        };
        let texts: Vec<Option<usize>> = (0..keys).map(text).collect();
        for query in 0..queries {
            out.extend((0..keys).map(|key| {
                let sees = match (texts[query], texts[key]) {
                    (_, None) => true,
                    (Some(own), Some(other)) => own == other && (key <= query || !self.texts[own].1),
                    (None, Some(_)) => false,
                };
                u32::from(sees && key < length)
            }));
        }
    }
}

/// One checkpoint of any of the recipes.
#[derive(Debug)]
pub struct RegionTransformer {
    pub config: FuseConfig,
    pub bert: Bert,
    pub regions: RegionEmbedding,
    pub heads: Heads,
}

impl RegionTransformer {
    /// Loads a folder's weights, all of them and nothing else.
    pub fn load(folder: &ModelFolder, recipe: Recipe, device: &Device) -> Result<Self, ModelError> {
        let config = FuseConfig::read(folder, recipe)?;
        let weights = folder.weights()?;
        let root = weights.root();
        let encoder = recipe.encoder();
        let model = Self {
            bert: Bert::load(&root.pp(encoder), &config.bert, device)?,
            regions: RegionEmbedding::load(&root, &config, device)?,
            heads: Heads::load(&root, encoder, &config, device)?,
            config,
        };
        weights.finish()?;
        Ok(model)
    }

    /// Most words of a text beside a picture, special tokens and tags included.
    pub fn text_limit(&self) -> usize {
        let taken = if self.config.recipe == Recipe::Vlp { self.config.own.len_vis_input + 1 } else { 0 };
        self.config.own.max_seq_length.min(self.bert.max_length().saturating_sub(taken))
    }

    /// One sequence for understanding: `text` with its special tokens, `tags` without.
    pub fn sequence(
        &self,
        text: &[u32],
        tags: &[u32],
        regions: &Regions,
        special: Special,
    ) -> Result<Sequence, ModelError> {
        let words = self.bert.embeddings();
        let rows = match self.config.recipe {
            Recipe::Oscar | Recipe::Vinvl => {
                let tags = match self.text_limit().saturating_sub(text.len() + 1).min(tags.len()) {
                    0 => Vec::new(),
                    room => tags[..room].iter().copied().chain([special.sep]).collect(),
                };
                let text = text.iter().map(|&id| (id, 0)).chain(tags.into_iter().map(|id| (id, 1)));
                let text = words.rows(&placed(text, 0))?;
                Tensor::cat(&[text, self.picture(regions, 0)?], 0)?
            }
            Recipe::Uniter => {
                let text = words.rows(&placed(text.iter().map(|&id| (id, 0)), 0))?;
                Tensor::cat(&[text, self.picture(regions, UNITER_REGIONS)?], 0)?
            }
            Recipe::Lite => return self.beside(&[(text, false)], Some((tags, regions)), special),
            Recipe::Vlp => {
                let question = text.get(1..).unwrap_or_default().iter().map(|&id| (id, 1));
                let start = words.rows(&placed([(special.cls, 0)], 0))?;
                let rest = [(special.sep, 0)].into_iter().chain(question);
                let rest = words.rows(&placed(rest, self.config.own.len_vis_input + 1))?;
                Tensor::cat(&[start, self.picture(regions, 0)?, rest], 0)?
            }
        };
        Ok(Sequence { rows, texts: Vec::new() })
    }

    /// Lite's texts beside one picture with its tags, or beside none. Each sees itself, those marked
    /// (captions) only as far as they go.
    pub fn beside(
        &self,
        texts: &[(&[u32], bool)],
        picture: Option<(&[u32], &Regions)>,
        special: Special,
    ) -> Result<Sequence, ModelError> {
        let words = self.bert.embeddings();
        let all = texts.iter().flat_map(|(text, _)| placed(text.iter().map(|&id| (id, 0)), 0));
        let mut rows = vec![words.rows(&all.collect::<Vec<_>>())?];
        if let Some((tags, regions)) = picture {
            rows.push(words.rows(&self.ended_tags(tags, special))?);
            rows.push(self.picture(regions, UNITER_REGIONS)?);
        }
        Ok(Sequence {
            rows: Tensor::cat(&rows, 0)?,
            texts: texts.iter().map(|(text, forward)| (text.len(), *forward)).collect(),
        })
    }

    /// Lite's tags, in places of their own whatever the length of the text.
    fn ended_tags(&self, tags: &[u32], special: Special) -> Vec<Word> {
        let room = tags.len().min(self.config.own.max_tag_length - 1);
        let end = (room > 0).then_some(special.sep);
        placed(tags[..room].iter().copied().chain(end).map(|id| (id, 1)), self.tags_start())
    }

    /// Regions as rows `[n, width]`.
    fn picture(&self, regions: &Regions, kind: u32) -> Result<Tensor, ModelError> {
        let (features, places) = self.regions.inputs(regions, self.config.own.len_vis_input)?;
        self.regions.forward(self.bert.embeddings(), &features, places.as_ref(), kind)
    }

    /// The last hidden states of several sequences: `[batch, longest, width]`.
    pub fn encode(&self, sequences: &[Sequence]) -> Result<Tensor, ModelError> {
        let mut longest = 0;
        for sequence in sequences {
            longest = longest.max(sequence.rows.dim(0)?);
        }
        let (mut padded, mut seen) = (Vec::with_capacity(sequences.len()), Vec::new());
        // Where all see all, one row of flags serves every query.
        let with_texts = sequences.iter().any(|sequence| !sequence.texts.is_empty());
        let queries = if with_texts { longest } else { 1 };
        for sequence in sequences {
            let length = sequence.rows.dim(0)?;
            padded.push(sequence.rows.pad_with_zeros(0, 0, longest - length)?);
            sequence.seen(queries, length, longest, &mut seen);
        }
        self.bert.encode(Tensor::stack(&padded, 0)?, &Mask::pairs(&seen, sequences.len(), queries, longest))
    }

    /// Scores of the answers for one sequence.
    pub fn answers(&self, sequence: Sequence, regions: &Regions) -> Result<Vec<f32>, ModelError> {
        let Some(classifier) = &self.heads.classifier else {
            return Err(ModelError::Unable("the checkpoint has no head for answers".into()));
        };
        let hidden = self.encode(&[sequence])?;
        let read = if self.config.recipe == Recipe::Vlp {
            let sep = regions.boxes.len().min(self.config.own.len_vis_input) + 1;
            (row(&hidden, 0)? * row(&hidden, sep)?)?
        } else {
            self.heads.pool(&hidden)?
        };
        Ok(classifier.forward(&read)?.flatten_all()?.to_vec1()?)
    }

    /// Where a caption begins: after tags and regions (OSCAR, Lite) or regions alone (VLP).
    /// `first` is the token before its first word; VLP has none.
    pub fn caption(
        &self,
        tags: &[u32],
        regions: &Regions,
        special: Special,
        first: u32,
    ) -> Result<Caption<'_>, ModelError> {
        let words = self.bert.embeddings();
        if self.config.recipe == Recipe::Lite {
            let tags = words.rows(&self.ended_tags(tags, special))?;
            let prefix = Tensor::cat(&[tags, self.picture(regions, UNITER_REGIONS)?], 0)?;
            return Caption::after(self, prefix, Start { first: Some(first), position: 0, kind: 0, mask: None });
        }
        if self.config.recipe == Recipe::Vlp {
            let (kind, own) = VLP_CAPTION;
            let sep = self.config.own.len_vis_input + 1;
            let start = words.rows(&placed([(special.cls, kind)], 0))?;
            let end = words.rows(&placed([(special.sep, kind)], sep))?;
            let prefix = Tensor::cat(&[start, self.picture(regions, kind)?, end], 0)?;
            return Caption::after(
                self,
                prefix,
                Start { first: None, position: sep + 1, kind: own, mask: Some(special.mask) },
            );
        }
        let at = self.tags_start();
        let room = self.bert.max_length().saturating_sub(at + 1).min(self.text_limit().saturating_sub(at + 1));
        let picture = self.picture(regions, 0)?;
        let prefix = match room.min(tags.len()) {
            0 => picture,
            room => {
                let tags = tags[..room].iter().map(|&id| (id, 1)).chain([(special.sep, 1)]);
                Tensor::cat(&[words.rows(&placed(tags, at))?, picture], 0)?
            }
        };
        Caption::after(self, prefix, Start { first: Some(first), position: 0, kind: 0, mask: Some(special.mask) })
    }

    /// The first place of the tags of a caption (OSCAR) or of any text (Lite).
    fn tags_start(&self) -> usize {
        self.config.own.max_seq_a_length.min(self.bert.max_length() / 2)
    }

    /// The place that no word of a caption reaches.
    fn caption_end(&self) -> usize {
        if self.config.recipe == Recipe::Vlp { self.bert.max_length() } else { self.tags_start() }
    }
}

/// Words one after the other from `first` on, with their sentence numbers.
fn placed(words: impl IntoIterator<Item = (u32, u32)>, first: usize) -> Vec<Word> {
    words.into_iter().zip(first..).map(|((id, kind), position)| Word { id, position, kind }).collect()
}

/// Where and with what a caption starts.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    /// A token that stands before the first word, outside the prefix.
    pub first: Option<u32>,
    /// The place of `first`, or of the first word.
    pub position: usize,
    /// Sentence number of the words.
    pub kind: u32,
    /// The token that asks for the next word; without it the last token itself is asked.
    pub mask: Option<u32>,
}

/// A caption being written. By appending `[MASK]`: each step reads the word behind the
/// mask, and keeps keys and values of real tokens only. Without a mask (Lite) it reads
/// the word behind the last token.
#[derive(Debug)]
pub struct Caption<'a> {
    model: &'a RegionTransformer,
    past: KeyValues,
    start: Start,
    /// The place of the next word.
    next: usize,
}

impl<'a> Caption<'a> {
    /// After `prefix` `[length, width]`, all of which sees all of it.
    pub fn after(model: &'a RegionTransformer, prefix: Tensor, start: Start) -> Result<Self, ModelError> {
        let (_, past) = model.bert.encode_after(prefix.unsqueeze(0)?, None, &Mask::none())?;
        Ok(Self { model, past, start, next: start.position })
    }

    /// One `[tokens.., MASK]` for each sequence; scores of the word behind its end.
    fn step(&mut self, sequences: &[Vec<u32>]) -> Result<Vec<Vec<f32>>, ModelError> {
        let real = sequences.first().map_or(0, Vec::len);
        let words: Vec<Word> = sequences
            .iter()
            .flat_map(|tokens| {
                placed(tokens.iter().chain(&self.start.mask).map(|&id| (id, self.start.kind)), self.next)
            })
            .collect();
        let rows = self.model.bert.embeddings().rows(&words)?;
        let width = rows.dim(1)?;
        let length = real + usize::from(self.start.mask.is_some());
        let rows = rows.reshape((sequences.len(), length, width))?;
        let (hidden, own) = self.model.bert.encode_after(rows, Some(&self.past), &Mask::causal())?;
        self.past = self.past.followed_by(&own, real)?;
        self.next += real;
        let Some(words) = &self.model.heads.words else {
            return Err(ModelError::Unable("the checkpoint has no head for words".into()));
        };
        Ok(words.forward(&row(&hidden, length - 1)?)?.to_vec2()?)
    }
}

impl NextToken for Caption<'_> {
    fn room(&self) -> usize {
        let first = self.start.position + usize::from(self.start.first.is_some());
        self.model.caption_end().saturating_sub(first)
    }

    fn start(&mut self) -> Result<Vec<f32>, ModelError> {
        let first: Vec<u32> = self.start.first.into_iter().collect();
        Ok(self.step(&[first])?.remove(0))
    }

    fn next(&mut self, rows: &[(usize, u32)]) -> Result<Vec<Vec<f32>>, ModelError> {
        let parents: Vec<usize> = rows.iter().map(|&(parent, _)| parent).collect();
        self.past = self.past.pick(&parents)?;
        let tokens: Vec<Vec<u32>> = rows.iter().map(|&(_, token)| vec![token]).collect();
        self.step(&tokens)
    }
}
