//! A model for tests: no weights, the same words every time. It sees one colour in a
//! photo and speaks of that.

use image::RgbImage;

use crate::domain::CancelToken;
use crate::models::ModelError;
use crate::models::align::stub::COLOURS;

use super::{Abilities, Answer, Answers, CaptionRequest, Draft, FuseModel, FuseSpec, Regions, Sees};

/// See the module.
#[derive(Clone, Debug)]
pub struct StubFuse {
    spec: FuseSpec,
}

impl Default for StubFuse {
    fn default() -> Self {
        let abilities = Abilities { caption: true, answer: true, matching: true };
        Self {
            spec: FuseSpec {
                id: "stub-fuse".into(),
                weights_hash: "stub".into(),
                judge_hash: "stub".into(),
                architecture: "stub".into(),
                languages: vec!["en".into(), "zh".into()],
                abilities,
                sees: Sees::Pixels,
                min_side: 16,
                align_weight: 0.0,
            },
        }
    }
}

/// English and Chinese name of the colour that was seen.
fn seen(picture: &Regions) -> (&'static str, &'static str) {
    let tag = picture.tags.first().map_or("", String::as_str);
    COLOURS.iter().find(|(en, ..)| *en == tag).map_or(("grey", "灰"), |(en, zh, _)| (en, zh))
}

impl FuseModel for StubFuse {
    fn spec(&self) -> &FuseSpec {
        &self.spec
    }

    fn look(&self, photo: &RgbImage) -> Result<Regions, ModelError> {
        let pixel = *image::imageops::thumbnail(photo, 1, 1).get_pixel(0, 0);
        let far = |colour: [u8; 3]| -> u32 {
            pixel.0.iter().zip(colour).map(|(&a, b)| u32::from(a.abs_diff(b)).pow(2)).sum()
        };
        let nearest = COLOURS.iter().min_by_key(|(.., colour)| far(*colour));
        let (w, h) = (photo.width() as f32, photo.height() as f32);
        Ok(Regions {
            features: pixel.0.map(f32::from).to_vec(),
            width: 3,
            boxes: vec![[0.0, 0.0, w, h]],
            image_size: (w, h),
            tags: nearest.map(|(en, ..)| (*en).to_owned()).into_iter().collect(),
            ..Regions::default()
        })
    }

    fn caption(
        &self,
        picture: &Regions,
        request: &CaptionRequest,
        sink: &mut dyn FnMut(&str),
        cancel: &CancelToken,
    ) -> Result<Draft, ModelError> {
        let (en, zh) = seen(picture);
        let (words, gap) =
            if request.lang == "zh" { (vec!["一张", zh, "色的图"], "") } else { (vec!["a", en, "picture"], " ") };
        let mut text = String::new();
        for (i, word) in words.iter().enumerate() {
            if cancel.is_cancelled() {
                return Ok(Draft { text, score: 0.9, ended: false });
            }
            if i > 0 {
                text += gap;
            }
            text += word;
            sink(&text);
        }
        Ok(Draft { text, score: 0.9, ended: true })
    }

    fn answer(&self, picture: &Regions, question: &str, top: usize) -> Result<Answers, ModelError> {
        let about_colour = question.to_lowercase().contains("colo") || question.contains("颜色");
        let mut ranked = vec![Answer { text: seen(picture).0.to_owned(), score: if about_colour { 0.9 } else { 0.2 } }];
        let others = COLOURS.iter().map(|(en, ..)| *en).filter(|en| *en != seen(picture).0);
        ranked.extend(others.map(|en| Answer { text: en.to_owned(), score: 0.01 }));
        ranked.truncate(top);
        Ok(Answers { ranked, unsure: !about_colour })
    }

    fn match_scores(&self, pairs: &[(&Regions, &str)]) -> Result<Vec<f32>, ModelError> {
        let fits = |(picture, text): &(&Regions, &str)| {
            let (en, zh) = seen(picture);
            if text.to_lowercase().contains(en) || text.contains(zh) { 0.9 } else { 0.1 }
        };
        Ok(pairs.iter().map(fits).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_speaks_of_the_colour_it_sees() {
        let model = StubFuse::default();
        let red = model.look(&RgbImage::from_pixel(30, 20, image::Rgb([220, 30, 30]))).unwrap();
        let mut grown = Vec::new();
        let never = CancelToken::never();
        let draft = model.caption(&red, &CaptionRequest::default(), &mut |text| grown.push(text.to_owned()), &never);
        assert_eq!(draft.unwrap().text, "a red picture");
        assert_eq!(grown, ["a", "a red", "a red picture"]);
        let answers = model.answer(&red, "what color is it", 2).unwrap();
        assert_eq!((answers.ranked[0].text.as_str(), answers.ranked.len(), answers.unsure), ("red", 2, false));
        assert!(model.answer(&red, "who is it", 1).unwrap().unsure);
        assert_eq!(model.match_scores(&[(&red, "a red car"), (&red, "蓝色的车")]).unwrap(), [0.9, 0.1]);
    }
}
