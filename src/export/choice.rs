//! Which of a photo's captions go out.

use crate::domain::{Caption, CaptionSource, CaptionState, is_of};

use super::Options;

/// The captions that may go out, best first: of the language asked for, and only accepted
/// ones if that is asked for or there are any. Newest first, so the first is the one that
/// stands for the photo.
pub(super) fn allowed<'a>(captions: &'a [Caption], options: &Options) -> Vec<&'a Caption> {
    let lang = |caption: &&Caption| options.lang.as_deref().is_none_or(|lang| caption.is_in(lang));
    let said = |caption: &&Caption| !caption.text.trim().is_empty();
    let all: Vec<&Caption> = captions.iter().filter(lang).filter(said).collect();
    let accepted: Vec<&Caption> = all.iter().copied().filter(|c| c.state == CaptionState::Accepted).collect();
    if accepted.is_empty() && !options.accepted_only { all } else { accepted }
}

/// The newest caption of each language, the main one first.
pub(super) fn one_a_language<'a>(allowed: &[&'a Caption]) -> Vec<&'a Caption> {
    let mut chosen: Vec<&Caption> = Vec::new();
    for caption in allowed {
        if !chosen.iter().any(|other| is_of(&caption.lang, &other.lang) || is_of(&other.lang, &caption.lang)) {
            chosen.push(caption);
        }
    }
    chosen
}

/// Whether a person stands behind it.
pub(super) fn is_by_a_person(caption: &Caption) -> bool {
    caption.state == CaptionState::Accepted || !matches!(caption.source, CaptionSource::Model { .. })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{CaptionId, PhotoId};
    use crate::export::{Format, Target};

    fn caption(id: i64, lang: &str, state: CaptionState) -> Caption {
        let source = CaptionSource::Model { pack: "m".into(), version: "1".into(), settings: "{}".into() };
        let text = format!("text {id}");
        Caption { id: CaptionId(id), photo: Some(PhotoId(1)), text, lang: lang.into(), source, state, created_s: 0 }
    }

    #[test]
    fn accepted_else_newest_draft_of_the_language() {
        use CaptionState::{Accepted, Draft};
        let captions =
            [caption(4, "zh", Draft), caption(3, "en", Draft), caption(2, "zh-CN", Accepted), caption(1, "en", Draft)];
        let ids = |options: &Options| allowed(&captions, options).iter().map(|c| c.id.0).collect::<Vec<_>>();
        let all = Options::new(Format::Txt, Target::Beside);
        assert_eq!(ids(&all), [2]);
        assert_eq!(ids(&Options { lang: Some("en".into()), ..all.clone() }), [3, 1]);
        assert_eq!(ids(&Options { lang: Some("zh".into()), ..all.clone() }), [2]);
        assert_eq!(ids(&Options { lang: Some("en".into()), accepted_only: true, ..all.clone() }), [0i64; 0]);
        let drafts = [caption(3, "en", Draft), caption(2, "zh", Draft), caption(1, "en", Draft)];
        let chosen: Vec<_> = one_a_language(&allowed(&drafts, &all)).iter().map(|c| c.id.0).collect();
        assert_eq!(chosen, [3, 2]);
    }
}
