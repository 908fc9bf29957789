//! The answers that a classifier tells apart, by their number, in each language that they are named in.
//!
//! Must not know models.

use std::path::Path;

use serde_json::Value;

use crate::models::ModelError;
use crate::models::json::read_json;

use super::Answer;

/// The file's name in a model folder.
const FILE: &str = "labels.json";

/// One list for each language; answers that one language has one word for are one answer there.
#[derive(Debug)]
pub struct Labels(Vec<(String, Vec<String>)>);

impl Labels {
    /// Reads labels.json, if there is one: a list, `{"answer": number}` or `{"number": "answer"}`, as the
    /// authors' files have them, or a list for each language, `{"en": […], "zh": […]}`.
    pub fn read(folder: &Path) -> Result<Option<Self>, ModelError> {
        let path = folder.join(FILE);
        if !path.is_file() {
            return Ok(None);
        }
        let unusable = |why: &dyn std::fmt::Display| ModelError::Config {
            path: path.clone(),
            detail: format!("the answers cannot be read ({why})"),
        };
        let lists = match read_json(&path, "the answers")? {
            Value::Object(map) if map.values().next().is_some_and(Value::is_array) => {
                let lists = map.into_iter().map(|(lang, list)| Some((lang, in_order(list)?)));
                lists.collect::<Option<Vec<_>>>().ok_or_else(|| unusable(&"a list holds something else than names"))?
            }
            one => {
                let list = in_order(one)
                    .ok_or_else(|| unusable(&"it holds neither a list nor names with numbers, each once"))?;
                vec![("en".to_owned(), list)]
            }
        };
        if lists.iter().any(|(_, list)| list.len() != lists[0].1.len()) {
            return Err(unusable(&"the languages have lists of different lengths"));
        }
        Ok(Some(Self(lists)))
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.first().map_or(0, |(_, list)| list.len())
    }

    /// Answers with their probabilities in `lang` (or the first language there is), the likeliest first;
    /// the first `skip` numbers stand for no answer.
    pub fn ranked(&self, lang: &str, probabilities: &[f32], skip: usize) -> Vec<Answer> {
        let list = self.0.iter().find(|(known, _)| known == lang).or(self.0.first());
        let mut ranked: Vec<Answer> = Vec::new();
        let mut places = std::collections::HashMap::new();
        for (text, &score) in list.map_or(&[][..], |(_, list)| list).iter().zip(probabilities).skip(skip) {
            let place = *places.entry(text).or_insert(ranked.len());
            match ranked.get_mut(place) {
                Some(same) => same.score += score,
                None => ranked.push(Answer { text: text.clone(), score }),
            }
        }
        ranked.sort_by(|a, b| b.score.total_cmp(&a.score));
        ranked
    }
}

/// Names by their number; `None` if one is missing, twice or no name.
fn in_order(value: Value) -> Option<Vec<String>> {
    let numbered: Vec<(u64, String)> = match value {
        Value::Array(list) => (0..).zip(list).map(|(n, v)| Some((n, v.as_str()?.to_owned()))).collect::<Option<_>>()?,
        Value::Object(map) => {
            let pair = |(key, value): (String, Value)| match value {
                Value::String(answer) => key.parse().ok().map(|n| (n, answer)),
                number => number.as_u64().map(|n| (n, key)),
            };
            map.into_iter().map(pair).collect::<Option<_>>()?
        }
        _ => return None,
    };
    let mut names = vec![None; numbered.len()];
    for (n, name) in numbered {
        match names.get_mut(usize::try_from(n).ok()?) {
            Some(place @ None) => *place = Some(name),
            _ => return None,
        }
    }
    names.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Option<Labels>, ModelError> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(FILE), text).unwrap();
        Labels::read(dir.path())
    }

    fn names(labels: &Labels, lang: &str) -> Vec<String> {
        labels.ranked(lang, &[0.5, 0.3, 0.2], 0).into_iter().map(|answer| answer.text).collect()
    }

    #[test]
    fn answers_come_in_three_forms() {
        for text in [r#"["yes","no"]"#, r#"{"no":1,"yes":0}"#, r#"{"1":"no","0":"yes"}"#] {
            assert_eq!(names(&read(text).unwrap().unwrap(), "en"), ["yes", "no"], "{text}");
        }
        let wrong = [
            "",
            "3",
            "[",
            r#"{"a":0,"b":0}"#,
            r#"{"a":7}"#,
            "[1]",
            r#"{"en":["a"],"zh":[]}"#,
            r#"{"en":["a"],"zh":3}"#,
        ];
        for text in wrong {
            assert!(read(text).unwrap_err().to_string().contains(FILE), "{text}");
        }
        assert!(Labels::read(tempfile::tempdir().unwrap().path()).unwrap().is_none());
    }

    #[test]
    fn each_language_has_its_own_names() {
        let labels = read(r#"{"en":["bike","dog","bicycle"],"zh":["自行车","狗","自行车"]}"#).unwrap().unwrap();
        assert_eq!(labels.len(), 3);
        assert_eq!(names(&labels, "en"), ["bike", "dog", "bicycle"]);
        assert_eq!(names(&labels, "zh"), ["自行车", "狗"]);
        assert_eq!(names(&labels, "fr"), names(&labels, "en"));
        let merged = labels.ranked("zh", &[0.3, 0.4, 0.3], 0);
        assert!((merged[0].score - 0.6).abs() < 1e-6, "one word for two classes: {merged:?}");
        assert_eq!(labels.ranked("en", &[0.9, 0.1, 0.2], 1)[0].text, "bicycle");
    }
}
