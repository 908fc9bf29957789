//! Random changes, held against the plainest model of what the library should hold.

use super::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// What the library should hold, in the plainest form.
#[derive(Clone, Debug, PartialEq)]
struct Row {
    path: String,
    state: PhotoState,
    stamp: i64,
    content: Option<u8>,
    embedded: BTreeSet<i64>,
    broken: bool,
}

#[derive(Clone, Debug)]
enum Step {
    Indexed { path: u8, stamp: i64, content: u8, model: Option<bool> },
    Embedded { photo: usize, model: bool },
    Moved { photo: usize, path: u8, stamp: i64 },
    Touched { photo: usize, stamp: i64 },
    Missing { photo: usize },
    Returned { photo: usize, stamp: i64 },
    Failed { path: u8 },
}

fn step() -> impl Strategy<Value = Step> {
    let (path, photo, stamp) = (0u8..6, 0usize..8, 1i64..50);
    prop_oneof![
        4 => (path.clone(), stamp.clone(), 0u8..4, any::<Option<bool>>())
            .prop_map(|(path, stamp, content, model)| Step::Indexed { path, stamp, content, model }),
        1 => (photo.clone(), any::<bool>()).prop_map(|(photo, model)| Step::Embedded { photo, model }),
        2 => (photo.clone(), path.clone(), stamp.clone())
            .prop_map(|(photo, path, stamp)| Step::Moved { photo, path, stamp }),
        1 => (photo.clone(), stamp.clone()).prop_map(|(photo, stamp)| Step::Touched { photo, stamp }),
        1 => photo.clone().prop_map(|photo| Step::Missing { photo }),
        1 => (photo, stamp).prop_map(|(photo, stamp)| Step::Returned { photo, stamp }),
        1 => path.prop_map(|path| Step::Failed { path }),
    ]
}

fn name(path: u8) -> String {
    format!("/p/{path}.jpg")
}

#[derive(Default)]
struct Simple {
    rows: BTreeMap<i64, Row>,
}

impl Simple {
    fn at(&self, path: &str) -> Option<i64> {
        self.rows.iter().find(|(_, row)| row.path == path).map(|(id, _)| *id)
    }

    /// What a step should do, given the id that the store gave a new row.
    fn apply(&mut self, step: &Step, photo_ids: &[i64], models: [i64; 2], answer: Option<i64>) -> Option<i64> {
        let known = |i: usize| photo_ids.get(i).copied().filter(|id| self.rows.contains_key(id));
        match *step {
            Step::Indexed { path, stamp, content, model } => {
                let id = self.at(&name(path)).or(answer)?;
                let row = self.rows.entry(id).or_insert_with(|| Row::new(name(path)));
                if row.content != Some(content) {
                    row.embedded.clear();
                }
                row.embedded.extend(model.map(|m| models[usize::from(m)]));
                (row.state, row.stamp, row.content, row.broken) = (PhotoState::Present, stamp, Some(content), false);
                Some(id)
            }
            Step::Embedded { photo, model } => {
                let id = known(photo)?;
                self.rows.get_mut(&id)?.embedded.insert(models[usize::from(model)]);
                Some(id)
            }
            Step::Moved { photo, path, stamp } => {
                let id = known(photo)?;
                if let Some(other) = self.at(&name(path)).filter(|&other| other != id) {
                    self.rows.remove(&other);
                }
                let row = self.rows.get_mut(&id)?;
                (row.path, row.stamp) = (name(path), stamp);
                row.state = if row.broken { PhotoState::Failed } else { PhotoState::Present };
                Some(id)
            }
            Step::Touched { photo, stamp } => {
                let id = known(photo)?;
                self.rows.get_mut(&id)?.stamp = stamp;
                Some(id)
            }
            Step::Missing { photo } => {
                let id = known(photo)?;
                if self.rows[&id].content.is_none() {
                    self.rows.remove(&id);
                } else {
                    self.rows.get_mut(&id)?.state = PhotoState::Missing;
                }
                Some(id)
            }
            Step::Returned { photo, stamp } => {
                let id = known(photo)?;
                let row = self.rows.get_mut(&id)?;
                row.stamp = stamp;
                row.state = if row.broken { PhotoState::Failed } else { PhotoState::Present };
                Some(id)
            }
            Step::Failed { path } => {
                let id = self.at(&name(path)).or(answer)?;
                let row = self.rows.entry(id).or_insert_with(|| Row::new(name(path)));
                (row.state, row.stamp, row.broken) = (PhotoState::Failed, 1, true);
                Some(id)
            }
        }
    }
}

impl Row {
    fn new(path: String) -> Self {
        let (state, stamp) = (PhotoState::Present, 0);
        Self { path, state, stamp, content: None, embedded: BTreeSet::new(), broken: false }
    }
}

fn read_all(reader: &Reader, root: FolderId, models: [ModelId; 2]) -> BTreeMap<i64, Row> {
    let rows = reader.known_files(root).unwrap().into_iter().map(|(path, known)| {
        let embedded = models.iter().filter(|m| reader.embedding(known.id, **m).unwrap().is_some());
        let row = Row {
            path: path.to_str().unwrap().into(),
            state: known.state,
            stamp: known.stamp.changed_ns,
            content: known.content.map(|c| c.0[0]),
            embedded: embedded.map(|m| m.0).collect(),
            broken: known.failed.is_some(),
        };
        (known.id.0, row)
    });
    rows.collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Steps one by one here; batches of moves are tested above.
    #[test]
    fn any_sequence_of_changes(steps in prop::collection::vec(step(), 1..60)) {
        let dir = folder();
        let mut store = Store::open(&library(&dir)).unwrap();
        let root = store.add_folder(Path::new("/p")).unwrap();
        let models = [store.model(&model_row("a", 2)).unwrap(), store.model(&model_row("b", 3)).unwrap()];
        let vectors = [vector(&[1.0, 0.0]), vector(&[0.0, 1.0, 0.0])];
        let embedding = |m: bool| (models[usize::from(m)], vectors[usize::from(m)].clone());
        let reader = store.reader().unwrap();
        let mut simple = Simple::default();
        let mut ids: Vec<i64> = Vec::new();
        for step in steps {
            let photo = |i: usize| PhotoId(ids.get(i).copied().unwrap_or(9_999));
            let path = |p: u8| PathBuf::from(name(p));
            let change = match step {
                Step::Indexed { path: p, stamp: s, content: c, model } => Change::Indexed {
                    folder: root, path: path(p), stamp: stamp(s), content: content(c),
                    meta: PhotoMeta::default(), embedding: model.map(embedding),
                },
                Step::Embedded { photo: i, model } => {
                    let (model, embedding) = embedding(model);
                    Change::Embedded { photo: photo(i), model, embedding }
                }
                Step::Moved { photo: i, path: p, stamp: s } =>
                    Change::Moved { photo: photo(i), folder: root, path: path(p), stamp: stamp(s) },
                Step::Touched { photo: i, stamp: s } => Change::Touched { photo: photo(i), stamp: stamp(s) },
                Step::Missing { photo: i } => Change::Missing { photo: photo(i) },
                Step::Returned { photo: i, stamp: s } => Change::Returned { photo: photo(i), stamp: stamp(s) },
                Step::Failed { path: p } => failed(root, path(p)),
            };
            let answer = apply_one(&mut store, change).map(|id| id.0);
            let expected = simple.apply(&step, &ids, models.map(|m| m.0), answer);
            prop_assert_eq!(answer, expected, "{:?}", step);
            if let Some(id) = answer.filter(|id| !ids.contains(id)) {
                ids.push(id);
            }
            prop_assert_eq!(&read_all(&reader, root, models), &simple.rows, "{:?}", step);
        }
        let present = simple.rows.values().filter(|row| row.state == PhotoState::Present).count();
        prop_assert_eq!(reader.counts().unwrap().photos as usize, present);
        prop_assert_eq!(reader.list(ListScope::All).unwrap().len(), present);
    }
}
