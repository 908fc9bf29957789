//! A model for tests: no weights, the same answer every time. Pictures are known
//! by their colours, texts by the colour words in them, so that "red" finds red
//! pictures; other words leave a mark of their own.

use image::RgbImage;

use crate::domain::Embedding;
use crate::models::ModelError;

use super::{AlignModel, AlignSpec, Pixels};

/// Colours that it knows by name, in English and Chinese.
pub(in crate::models) const COLOURS: [(&str, &str, [u8; 3]); 8] = [
    ("red", "红", [220, 30, 30]),
    ("green", "绿", [30, 170, 40]),
    ("blue", "蓝", [40, 60, 220]),
    ("yellow", "黄", [240, 220, 40]),
    ("white", "白", [250, 250, 250]),
    ("black", "黑", [8, 8, 8]),
    ("orange", "橙", [245, 140, 20]),
    ("purple", "紫", [130, 40, 160]),
];

/// Numbers beside those of the colours, for all other words.
const WORDS: usize = 24;

/// See the module.
#[derive(Clone, Debug)]
pub struct StubAlign {
    spec: AlignSpec,
}

impl StubAlign {
    /// Under a name of its own, so that tests can have several spaces.
    pub fn new(id: &str) -> Self {
        Self {
            spec: AlignSpec {
                id: id.to_owned(),
                weights_hash: format!("stub-{id}"),
                preprocess_revision: 1,
                dim: COLOURS.len() + WORDS,
                languages: vec!["en".into(), "zh".into()],
                min_side: 16,
            },
        }
    }
}

impl Default for StubAlign {
    fn default() -> Self {
        Self::new("stub")
    }
}

impl AlignModel for StubAlign {
    fn spec(&self) -> &AlignSpec {
        &self.spec
    }

    fn prepare(&self, photo: &RgbImage) -> Result<Pixels, ModelError> {
        let small = image::imageops::thumbnail(photo, 8, 8);
        Ok(Pixels(small.as_raw().iter().map(|&v| f32::from(v)).collect()))
    }

    fn encode_images(&self, batch: &[Pixels]) -> Result<Vec<Result<Embedding, ModelError>>, ModelError> {
        let encode = |Pixels(pixels): &Pixels| {
            let mut sums = vec![0f32; self.spec.dim];
            // Something small and positive even for a picture of no known colour.
            sums[COLOURS.len()..].fill(0.01);
            for pixel in pixels.chunks_exact(3) {
                for (sum, (_, _, colour)) in sums.iter_mut().zip(COLOURS) {
                    let far: f32 = pixel.iter().zip(colour).map(|(a, b)| (a - f32::from(b)).powi(2)).sum();
                    *sum += (-far / 6000.0).exp();
                }
            }
            Embedding::new(sums).map_err(ModelError::from)
        };
        Ok(batch.iter().map(encode).collect())
    }

    fn encode_texts(&self, texts: &[&str]) -> Result<Vec<Embedding>, ModelError> {
        let encode = |text: &&str| {
            let mut sums = vec![0f32; self.spec.dim];
            let text = text.to_lowercase();
            for word in text.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()) {
                let known = COLOURS.iter().position(|(en, zh, _)| word == *en || word.contains(zh));
                let hash = word.bytes().fold(7usize, |h, b| h.wrapping_mul(31).wrapping_add(usize::from(b)));
                match known {
                    Some(i) => sums[i] += 1.0,
                    None => sums[COLOURS.len() + hash % WORDS] += 0.2,
                }
            }
            if sums.iter().all(|&v| v == 0.0) {
                sums[COLOURS.len()] = 1.0;
            }
            Embedding::new(sums).map_err(ModelError::from)
        };
        texts.iter().map(encode).collect()
    }

    fn device(&self) -> &str {
        "cpu"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_words_find_their_pictures() {
        let stub = StubAlign::default();
        let pixels: Vec<Pixels> = COLOURS
            .iter()
            .map(|(_, _, c)| stub.prepare(&RgbImage::from_pixel(30, 20, image::Rgb(*c))).unwrap())
            .collect();
        let photos: Vec<Embedding> = stub.encode_images(&pixels).unwrap().into_iter().map(Result::unwrap).collect();
        for (i, (en, zh, _)) in COLOURS.iter().enumerate() {
            for text in [format!("a {en} thing"), format!("{zh}色的东西")] {
                let query = stub.encode_texts(&[&text]).unwrap().remove(0);
                let best = (0..photos.len()).max_by(|&a, &b| {
                    let score = |i: usize| photos[i].cosine(&query).unwrap();
                    score(a).total_cmp(&score(b))
                });
                assert_eq!(best, Some(i), "{text}");
            }
        }
        assert!(stub.encode_texts(&[""]).is_ok());
    }
}
