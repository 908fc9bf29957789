//! Which of the systems a checkpoint is, and its sizes: the names are those of the
//! authors' own configurations.
//!
//! Must not load weights.

use std::collections::HashMap;

use serde::Deserialize;

use crate::models::ModelError;
use crate::models::bert::BertConfig;
use crate::models::folder::ModelFolder;

use super::evidence::Judge;
use super::trust::Trust;

/// What the systems do differently with one transformer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recipe {
    /// Li et al. 2020, <https://arxiv.org/abs/2004.06165>: object tags in words between
    /// text and regions; a region is one linear layer over feature and box.
    Oscar,
    /// Zhang et al. 2021, <https://arxiv.org/abs/2101.00529>: OSCAR with stronger features
    /// and a layer norm on them.
    Vinvl,
    /// Chen et al. 2020, <https://arxiv.org/abs/1909.11740>: feature and 7 numbers of
    /// geometry, each through a layer norm; regions follow the last real word.
    Uniter,
    /// Zhou et al. 2020, <https://arxiv.org/abs/1909.11059>: regions take the place of words,
    /// their geometry that of positions; one set of weights, chosen by mask.
    Vlp,
    /// The built-in model, with something of each (`training/fuse`): OSCAR's tags in words,
    /// UNITER's geometry and matching head, VLP's two directions in one set of weights, and
    /// VinVL's layer norm on the features. Its captions go on word after word without masks.
    Lite,
}

impl Recipe {
    const ALL: [Self; 5] = [Self::Oscar, Self::Vinvl, Self::Uniter, Self::Vlp, Self::Lite];

    /// As packs and reports name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Oscar => "oscar",
            Self::Vinvl => "vinvl",
            Self::Uniter => "uniter",
            Self::Vlp => "vlp",
            Self::Lite => "lite-fuse",
        }
    }

    /// The recipe of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|recipe| recipe.name() == name)
    }

    /// Where the encoder's parameters are.
    pub(super) fn encoder(self) -> &'static str {
        if self == Self::Uniter { "uniter" } else { "bert" }
    }

    /// The published system that has parameters of these names; `None` if it is none of them.
    /// (The built-in model names itself.)
    pub fn told_from<'a>(names: impl Iterator<Item = &'a str>) -> Option<Self> {
        let (mut oscar, mut normed) = (false, false);
        for name in names {
            if name.starts_with("uniter.") {
                return Some(Self::Uniter);
            }
            if name.starts_with("vis_embed.") {
                return Some(Self::Vlp);
            }
            oscar |= name.starts_with("bert.img_embedding.");
            normed |= name.starts_with("bert.LayerNorm.");
        }
        oscar.then_some(if normed { Self::Vinvl } else { Self::Oscar })
    }
}

/// Sizes of one checkpoint.
#[derive(Clone, Debug)]
pub struct FuseConfig {
    pub recipe: Recipe,
    pub bert: BertConfig,
    /// What the authors' code is told beside the encoder's sizes.
    pub own: OwnConfig,
}

/// The keys that the authors' configurations add to BERT's. Where their code keeps a
/// number elsewhere, the tensors say it.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct OwnConfig {
    /// Numbers of a region's feature (OSCAR, VinVL).
    img_feature_dim: Option<usize>,
    /// The same (UNITER).
    img_dim: Option<usize>,
    /// The same (VLP).
    vis_feat_dim: Option<usize>,
    /// Classes of the detector (VLP).
    pub num_classes: Option<usize>,
    /// Answers or classes that the classifier tells apart (OSCAR, VinVL).
    num_labels: Option<usize>,
    /// Answers (UNITER).
    num_answer: Option<usize>,
    /// Answers (VLP).
    num_answers: Option<usize>,
    /// `linear` or `mlp` (OSCAR).
    pub classifier: String,
    pub cls_hidden_scale: usize,
    pub img_layer_norm_eps: f64,
    /// `bce`: each answer by itself; `sfmx`: one of all (OSCAR).
    pub loss_type: String,
    /// Most regions of a sequence (VLP: places kept for them).
    pub len_vis_input: usize,
    /// Most words of a text, tags included.
    pub max_seq_length: usize,
    /// Places kept for the caption before the tags begin (OSCAR).
    pub max_seq_a_length: usize,
    /// Projections of other tasks (VLP); only 0 and 1 are one projection.
    pub relax_projection: usize,
    /// The best answer's probability below which the model calls itself unsure.
    pub unsure_below: f32,
    /// How a model that both matches and writes judges a pair; without it the head alone decides (Lite).
    #[serde(rename = "match")]
    pub judge: Option<Judge>,
    /// See [`FuseSpec::align_weight`](super::FuseSpec).
    pub align_weight: f32,
    /// What a cosine of the Align pack counts beside a caption's mean log probability when one of a beam is
    /// picked (Lite); 0: the likeliest is.
    pub pick_weight: f32,
    /// How far captions can be trusted, by language (Lite).
    pub trust: HashMap<String, Trust>,
    /// Cells a side that the tower's grid is averaged to (Lite).
    pub grid_side: usize,
    /// Words that captions say: so many first rows of the table (Lite).
    pub written_words: Option<usize>,
    /// Most tokens of the tags, the one that ends them included (Lite).
    pub max_tag_length: usize,
    /// The probability from which a class of the tower is a tag (Lite).
    pub tag_threshold: f32,
}

impl Default for OwnConfig {
    fn default() -> Self {
        Self {
            img_feature_dim: None,
            img_dim: None,
            vis_feat_dim: None,
            num_classes: None,
            num_labels: None,
            num_answer: None,
            num_answers: None,
            classifier: "linear".into(),
            cls_hidden_scale: 2,
            img_layer_norm_eps: 1e-12,
            loss_type: "sfmx".into(),
            len_vis_input: 100,
            max_seq_length: 128,
            max_seq_a_length: 40,
            relax_projection: 0,
            unsure_below: 0.3,
            judge: None,
            align_weight: 0.0,
            pick_weight: 0.0,
            trust: HashMap::new(),
            grid_side: 4,
            written_words: None,
            max_tag_length: 16,
            tag_threshold: 0.1,
        }
    }
}

impl FuseConfig {
    /// Reads a model folder's configuration by the habits of `recipe`.
    pub fn read(folder: &ModelFolder, recipe: Recipe) -> Result<Self, ModelError> {
        let mut bert: BertConfig = folder.config()?;
        if recipe == Recipe::Vlp && folder.config.get("layer_norm_eps").is_none() {
            // What its authors' layer norm has where nothing is said.
            bert.layer_norm_eps = 1e-5;
        }
        let own: OwnConfig = folder.config()?;
        let unusable = |detail: String| ModelError::Config { path: folder.path.join("config.json"), detail };
        if !matches!(own.classifier.as_str(), "linear" | "mlp") {
            return Err(unusable(format!("the classifier `{}` is not known", own.classifier)));
        }
        if !matches!(own.loss_type.as_str(), "bce" | "sfmx" | "kl") {
            return Err(unusable(format!("the loss `{}` is not known", own.loss_type)));
        }
        if own.relax_projection > 1 {
            return Err(unusable("a projection for each task (relax_projection) is not supported".into()));
        }
        let config = Self { recipe, bert, own };
        let own = &config.own;
        let sizes = [
            config.feature_width(),
            own.num_classes,
            config.labels(),
            Some(own.cls_hidden_scale),
            Some(own.len_vis_input),
            own.written_words,
            Some(own.grid_side),
            Some(own.max_tag_length),
        ];
        if sizes.into_iter().flatten().any(|n| n == 0 || n > 1 << 20) {
            return Err(unusable("the configuration holds a number out of range".into()));
        }
        if config.written() > config.bert.vocab_size {
            return Err(unusable("captions would say more words than the vocabulary has".into()));
        }
        Ok(config)
    }

    /// Numbers of a region's feature, where the configuration says.
    pub fn feature_width(&self) -> Option<usize> {
        match self.recipe {
            Recipe::Oscar | Recipe::Vinvl => self.own.img_feature_dim,
            Recipe::Uniter | Recipe::Lite => self.own.img_dim,
            Recipe::Vlp => self.own.vis_feat_dim,
        }
    }

    /// How many words captions can say.
    pub fn written(&self) -> usize {
        self.own.written_words.unwrap_or(self.bert.vocab_size)
    }

    /// What the classifier tells apart, where the configuration says.
    pub fn labels(&self) -> Option<usize> {
        match self.recipe {
            Recipe::Oscar | Recipe::Vinvl => self.own.num_labels,
            Recipe::Uniter | Recipe::Lite => self.own.num_answer,
            Recipe::Vlp => self.own.num_answers,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_family_is_told_from_the_parameters() {
        let told = |names: &[&str]| Recipe::told_from(names.iter().copied());
        let text = "bert.embeddings.LayerNorm.weight";
        assert_eq!(told(&[text, "bert.img_embedding.weight"]), Some(Recipe::Oscar));
        assert_eq!(told(&["bert.LayerNorm.weight", "bert.img_embedding.weight"]), Some(Recipe::Vinvl));
        assert_eq!(told(&["uniter.pooler.dense.weight"]), Some(Recipe::Uniter));
        assert_eq!(told(&[text, "vis_embed.0.weight"]), Some(Recipe::Vlp));
        assert_eq!(told(&[text]), None);
        for recipe in Recipe::ALL {
            assert_eq!(Recipe::named(recipe.name()), Some(recipe));
        }
    }
}
