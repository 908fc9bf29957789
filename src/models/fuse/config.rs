//! Which of the systems a checkpoint is, and its sizes: the names are those of the
//! authors' own configurations.
//!
//! Must not load weights.

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
}

impl Recipe {
    /// As packs and reports name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Oscar => "oscar",
            Self::Vinvl => "vinvl",
            Self::Uniter => "uniter",
            Self::Vlp => "vlp",
        }
    }

    /// The recipe of that name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Oscar, Self::Vinvl, Self::Uniter, Self::Vlp].into_iter().find(|recipe| recipe.name() == name)
    }

    /// The recipe that has parameters of these names; `None` if it is none of them.
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
