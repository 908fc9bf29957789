//! The Fuse systems on recorded inputs, as `models::golden` compares them: the authors'
//! padded layout and masks, which also proves the packed one that the program uses.

use candle_core::{D, Device, Tensor};

use crate::domain::CancelToken;
use crate::models::ModelError;
use crate::models::bert::{Tokens, Word};
use crate::models::folder::ModelFolder;
use crate::models::golden::{Io, Report};
use crate::models::ops::Mask;

use super::config::Recipe;
use super::decode::{Decoded, Decoding, NextToken, decode};
use super::heads::row;
use super::transformer::{Caption, RegionTransformer, Start};

/// Loads the folder's model and runs what was recorded for it.
pub fn check(folder: &ModelFolder, recipe: Recipe, io: &Io, report: &mut Report) -> Result<(), ModelError> {
    let model = RegionTransformer::load(folder, recipe, &Device::Cpu)?;
    let asked = io.shapes.contains_key("out.generated_ids");
    match recipe {
        Recipe::Oscar | Recipe::Vinvl if asked => oscar_caption(&model, io, report),
        Recipe::Oscar | Recipe::Vinvl => oscar(&model, io, report),
        Recipe::Uniter => uniter(&model, io, report),
        Recipe::Vlp if asked => vlp_caption(folder, &model, io, report),
        Recipe::Vlp => vlp_answer(&model, io, report),
        Recipe::Lite => {
            Err(wrong("the built-in model has recordings of another form, see training/fuse/golden.py".into()))
        }
    }
}

/// `in.<name>` as whole numbers with its shape.
fn whole(io: &Io, name: &str) -> Result<(Vec<u32>, Vec<usize>), ModelError> {
    io.whole(name)?.ok_or_else(|| wrong(format!("io.safetensors has no in.{name}")))
}

fn wrong(detail: String) -> ModelError {
    candle_core::Error::Msg(detail).into()
}

/// A mask of flags `[batch, keys]` or `[batch, queries, keys]`.
fn mask(io: &Io, name: &str) -> Result<(Mask, Vec<u32>), ModelError> {
    let (flags, shape) = whole(io, name)?;
    let mask = match shape[..] {
        [batch, keys] => Mask::keys(&flags, batch, keys),
        [batch, queries, keys] => Mask::pairs(&flags, batch, queries, keys),
        _ => return Err(wrong(format!("in.{name} of shape {shape:?}"))),
    };
    Ok((mask, flags))
}

/// Words as they are recorded, `[batch, length, width]`.
fn words(model: &RegionTransformer, io: &Io, ids: &str) -> Result<Tensor, ModelError> {
    let (ids, shape) = whole(io, ids)?;
    let &[batch, length] = &shape[..] else { return Err(wrong(format!("ids of shape {shape:?}"))) };
    let types = match io.whole("token_type_ids")? {
        Some((types, shape)) => {
            types.chunks(shape[1].max(1)).flat_map(|row| &row[..length.min(row.len())]).copied().collect()
        }
        None => Vec::new(),
    };
    model.bert.embeddings().forward(&Tokens { ids, types, batch, length, ..Tokens::default() })
}

fn softmax(logits: &Tensor) -> Result<Tensor, ModelError> {
    Ok(candle_nn::ops::softmax(logits, D::Minus1)?)
}

fn oscar(model: &RegionTransformer, io: &Io, report: &mut Report) -> Result<(), ModelError> {
    let words = words(model, io, "input_ids")?;
    let regions = model.regions.forward(model.bert.embeddings(), &io.tensor("in.img_feats")?, None, 0)?;
    let hidden = model.bert.encode(Tensor::cat(&[words, regions], 1)?, &mask(io, "attention_mask")?.0)?;
    let pooled = model.heads.pool(&hidden)?;
    report.compare(io, "sequence_output", &hidden)?;
    report.compare(io, "pooled_output", &pooled)?;
    if let Some(classifier) = &model.heads.classifier {
        let logits = classifier.forward(&pooled)?;
        report.compare(io, "logits", &logits)?;
        if classifier.labels() == 2 {
            report.compare(io, "match_prob", &softmax(&logits)?.narrow(1, 1, 1)?.squeeze(1)?)?;
        }
    }
    Ok(())
}

fn uniter(model: &RegionTransformer, io: &Io, report: &mut Report) -> Result<(), ModelError> {
    let words = words(model, io, "input_ids")?;
    let (features, places) = (io.tensor("in.img_feat")?, io.tensor("in.img_pos_feat")?);
    let regions = model.regions.forward(model.bert.embeddings(), &features, Some(&places), 1)?;
    let all = Tensor::cat(&[words, regions], 1)?;
    let (order, shape) = whole(io, "gather_index")?;
    let mut packed = Vec::new();
    for (i, order) in order.chunks(shape[1].max(1)).enumerate() {
        packed.push(all.get(i)?.index_select(&Tensor::from_slice(order, order.len(), &Device::Cpu)?, 0)?);
    }
    let (mask, seen) = mask(io, "attn_masks")?;
    let hidden = model.bert.encode(Tensor::stack(&packed, 0)?, &mask)?;
    let pooled = model.heads.pool(&hidden)?;
    report.compare_rows(io, "sequence_output", &hidden, |i| seen.get(i) == Some(&1))?;
    report.compare(io, "pooled_output", &pooled)?;
    if let Some(classifier) = &model.heads.classifier {
        report.compare(io, "logits", &classifier.forward(&pooled)?)?;
    }
    if let Some(rank) = &model.heads.rank {
        report.compare(io, "rank_scores", &rank.forward(&pooled)?)?;
    }
    if let Some(itm) = &model.heads.itm {
        let scores = itm.forward(&pooled)?;
        report.compare(io, "itm_scores", &scores)?;
        report.compare(io, "itm_prob", &softmax(&scores)?)?;
    }
    Ok(())
}

/// Regions and, where there are any, words around them, as VLP lays them out.
fn vlp_rows(model: &RegionTransformer, io: &Io, ids: &str) -> Result<Tensor, ModelError> {
    let words = words(model, io, ids)?;
    let (features, places) = (io.tensor("in.vis_feats")?, io.tensor("in.vis_pe")?);
    let kind = whole(io, "token_type_ids")?.0.get(1).copied().unwrap_or(0);
    let regions = model.regions.forward(model.bert.embeddings(), &features, Some(&places), kind)?;
    let after = features.dim(1)? + 1;
    let rest = words.narrow(1, after, words.dim(1)?.saturating_sub(after))?;
    Ok(Tensor::cat(&[words.narrow(1, 0, 1)?, regions, rest], 1)?)
}

fn vlp_answer(model: &RegionTransformer, io: &Io, report: &mut Report) -> Result<(), ModelError> {
    let rows = vlp_rows(model, io, "input_ids")?;
    let sep = io.tensor("in.vis_feats")?.dim(1)? + 1;
    let hidden = model.bert.encode(rows, &mask(io, "attention_mask")?.0)?;
    let (cls, sep) = (row(&hidden, 0)?, row(&hidden, sep)?);
    report.compare(io, "cls_hidden", &cls)?;
    report.compare(io, "sep_hidden", &sep)?;
    if let Some(classifier) = &model.heads.classifier {
        let logits = classifier.forward(&(cls * sep)?)?;
        report.compare(io, "vqa_logits", &logits)?;
        let rows: Vec<Vec<f32>> = logits.to_vec2()?;
        let best = |row: &Vec<f32>| (1..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap_or(0) as u32;
        let wanted = io.integers("out.answer_idx")?.unwrap_or_default().0;
        report.ids_equal &= rows.iter().map(best).collect::<Vec<_>>() == wanted;
    }
    Ok(())
}

/// Keeps the scores that a model gives while it decodes one row.
struct Recorder<'a> {
    caption: Caption<'a>,
    steps: Vec<Vec<f32>>,
    most: usize,
}

impl NextToken for Recorder<'_> {
    fn room(&self) -> usize {
        self.most
    }

    fn start(&mut self) -> Result<Vec<f32>, ModelError> {
        let scores = self.caption.start()?;
        self.steps.push(scores.clone());
        Ok(scores)
    }

    fn next(&mut self, rows: &[(usize, u32)]) -> Result<Vec<Vec<f32>>, ModelError> {
        let scores = self.caption.next(rows)?;
        self.steps.extend(scores.iter().cloned());
        Ok(scores)
    }
}

/// Greedy decoding of one row: what came out and the scores of `most` steps, those after the end 0.
fn greedy(caption: Caption, end: u32, most: usize, vocabulary: usize) -> Result<(Decoded, Vec<Vec<f32>>), ModelError> {
    let mut recorder = Recorder { caption, steps: Vec::new(), most };
    let decoded = decode(&mut recorder, &Decoding::greedy(end, most), &CancelToken::never(), &mut |_| ())?;
    let mut steps = recorder.steps;
    steps.resize(most, vec![0.0; vocabulary]);
    Ok((decoded, steps))
}

fn stack(rows: &[Vec<f32>], shape: &[usize]) -> Result<Tensor, ModelError> {
    Ok(Tensor::from_vec(rows.concat(), shape, &Device::Cpu)?)
}

/// The ids that BERT's authors give these tokens in the recorded vocabularies.
const PAD: u32 = 0;

fn oscar_caption(model: &RegionTransformer, io: &Io, report: &mut Report) -> Result<(), ModelError> {
    let features = io.tensor("in.img_feats")?;
    let text = words(model, io, "input_ids")?;
    let regions = model.regions.forward(model.bert.embeddings(), &features, None, 0)?;
    let (mask, seen) = mask(io, "attention_mask")?;
    let Some(head) = &model.heads.words else { return Ok(()) };
    let (length, vocabulary) = (text.dim(1)?, model.bert.vocab_size());
    let total = length + features.dim(1)?;
    let hidden = model.bert.encode(Tensor::cat(&[&text, &regions], 1)?, &mask)?;
    let logits = head.forward(&hidden.narrow(1, 0, length)?.contiguous()?)?;
    // A row that sees nothing attends to everything: the README leaves it out.
    let sees = |i: usize| {
        let (batch, query) = (i / length, i % length);
        seen[(batch * total + query) * total..][..total].contains(&1)
    };
    report.compare_rows(io, "teacher_forced_logits", &logits, sees)?;

    let Some((wanted, shape)) = io.integers("out.generated_ids")? else { return Ok(()) };
    let (batch, places) = (shape[0], shape[1]);
    let (ids, _) = whole(io, "input_ids")?;
    let (first, mask_id, end) = (ids[0], ids[1], ids[places - 1]);
    let (mut steps, mut scores, mut generated, mut lasting) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for i in 0..batch {
        let row = &seen[i * total * total..][..total];
        let tags: Vec<Word> = (places..length)
            .filter(|&at| row[at] == 1)
            .map(|position| Word { id: ids[i * length + position], position, kind: 1 })
            .collect();
        let kept: Vec<u32> = (length..total).filter(|&at| row[at] == 1).map(|at| (at - length) as u32).collect();
        let kept = Tensor::from_slice(&kept, kept.len(), &Device::Cpu)?;
        let prefix = Tensor::cat(&[model.bert.embeddings().rows(&tags)?, regions.get(i)?.index_select(&kept, 0)?], 0)?;
        let start = Start { first: Some(first), position: 0, kind: 0, mask: Some(mask_id) };
        let most = places - 1;
        let (decoded, rows) = greedy(Caption::after(model, prefix, start)?, end, most, vocabulary)?;
        lasting.push(decoded.counted);
        // A caption that has not ended is ended by force in its last place.
        let mut caption: Vec<u32> = [first].into_iter().chain(decoded.ids.iter().copied()).take(most).collect();
        caption.push(end);
        caption.resize(places, PAD);
        generated.extend(caption);
        scores.push(decoded.log_prob / decoded.counted.max(1) as f32);
        steps.extend(rows);
    }
    report.ids_equal &= generated == wanted;
    let most = places - 1;
    report.compare(io, "caption_score", &Tensor::from_vec(scores, batch, &Device::Cpu)?)?;
    let steps = stack(&steps, &[batch, most, vocabulary])?;
    report.compare_rows(io, "step_logits", &steps, |i| i % most < lasting[i / most])
}

fn vlp_caption(
    folder: &ModelFolder,
    model: &RegionTransformer,
    io: &Io,
    report: &mut Report,
) -> Result<(), ModelError> {
    let Some(head) = &model.heads.words else { return Ok(()) };
    let rows = vlp_rows(model, io, "masked_lm_input_ids")?;
    let hidden = model.bert.encode(rows, &mask(io, "attention_mask")?.0)?;
    report.compare(io, "sequence_output", &hidden)?;
    let ((at, shape), (targets, _)) = (whole(io, "masked_pos")?, whole(io, "masked_lm_targets")?);
    let (mut behind, masks) = (Vec::new(), shape[1].max(1));
    for (i, at) in at.chunks(masks).enumerate() {
        behind.push(hidden.get(i)?.index_select(&Tensor::from_slice(at, at.len(), &Device::Cpu)?, 0)?);
    }
    let scores = head.forward(&Tensor::stack(&behind, 0)?)?;
    report.compare(io, "masked_lm_scores", &scores)?;
    let targets = Tensor::from_slice(&targets, targets.len(), &Device::Cpu)?;
    let loss = candle_nn::loss::cross_entropy(&scores.flatten_to(1)?, &targets)?;
    report.compare(io, "masked_lm_loss", &loss.reshape(1)?)?;

    let Some((wanted, shape)) = io.integers("out.generated_ids")? else { return Ok(()) };
    let (batch, most, vocabulary) = (shape[0], shape[1], model.bert.vocab_size());
    let prefix = vlp_rows(model, io, "input_ids")?;
    let (types, length) = (whole(io, "token_type_ids")?, prefix.dim(1)?);
    let Some(mask) = folder.config["mask_word_id"].as_u64() else {
        return Err(wrong("the configuration names no mask_word_id".into()));
    };
    let start = Start {
        first: None,
        position: length,
        kind: types.0.get(length).copied().unwrap_or(0),
        mask: Some(mask as u32),
    };
    let (mut steps, mut generated) = (Vec::new(), Vec::new());
    for i in 0..batch {
        // The reference does not stop at the end token.
        let (decoded, rows) = greedy(Caption::after(model, prefix.get(i)?, start)?, u32::MAX, most, vocabulary)?;
        generated.extend(decoded.ids);
        steps.extend(rows);
    }
    report.ids_equal &= generated == wanted;
    let steps = stack(&steps, &[batch, most, vocabulary])?;
    report.compare(io, "step_logits", &steps)?;
    report.compare(io, "generated_scores", &steps.max(D::Minus1)?)
}
