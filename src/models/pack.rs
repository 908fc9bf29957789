//! A pack: a folder with a manifest (`pack.json`) beside weights, tokenizer and
//! preprocessing. The manifest names every file with its size and SHA-256.
//!
//! Must not know any architecture.

use std::fs::File;
use std::io::Read as _;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::domain::Calibration;

use super::ModelError;
use super::json::read_json;
use super::preprocess;
use super::weights::impostor;

/// The manifest's file name.
pub const MANIFEST: &str = "pack.json";

/// What `pack.json` says. Fields that this version does not know are kept out of the way.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PackManifest {
    /// Short and unique: `lite-align`.
    pub id: String,
    /// `align` or `fuse`.
    pub family: String,
    /// What loads it: `lite-align`, `clip`, `align`.
    pub architecture: String,
    /// For people; the id if absent.
    #[serde(default)]
    pub name: String,
    /// One sentence on its strengths.
    #[serde(default)]
    pub good_at: String,
    /// BCP 47 codes.
    #[serde(default)]
    pub languages: Vec<String>,
    #[serde(default)]
    pub licence: String,
    /// Where it comes from.
    #[serde(default)]
    pub source: String,
    pub files: Vec<PackFile>,
    /// Absent where the pack holds a `preprocessor_config.json`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preprocessing: Option<preprocess::Manifest>,
    /// Raised by whoever changes how the pack's pixels are prepared.
    #[serde(default = "one")]
    pub preprocess_revision: u32,
    /// Width of the joint space (Align family).
    #[serde(default)]
    pub dim: usize,
    /// Whose image tower the pack's model looks through (Fuse family).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub align: Option<TowerOf>,
    /// Measured figures, by name.
    #[serde(default)]
    pub metrics: serde_json::Value,
    /// Distributions of scores, for "how likely is this".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
}

fn one() -> u32 {
    1
}

/// The Align pack whose image tower a Fuse model was trained with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TowerOf {
    pub pack: String,
    /// Begins the SHA-256 of that pack's `image.safetensors`: with another tower the model sees nothing it knows.
    pub tower: String,
}

/// One file of a pack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackFile {
    /// Relative to the pack's folder.
    pub name: String,
    pub size: u64,
    /// Lower-case hex.
    pub sha256: String,
}

/// An opened pack: its manifest is read, its files are not.
#[derive(Clone, Debug)]
pub struct Pack {
    pub folder: PathBuf,
    pub manifest: PackManifest,
}

impl Pack {
    /// Reads the manifest in `folder`.
    pub fn open(folder: &Path) -> Result<Self, ModelError> {
        let path = folder.join(MANIFEST);
        if !path.is_file() {
            return Err(ModelError::NotAModel {
                path: folder.to_owned(),
                detail: "the folder holds no pack.json".into(),
            });
        }
        let manifest: PackManifest = read_json(&path, "the pack's manifest")?;
        let plain =
            |name: &str| Path::new(name).components().all(|c| matches!(c, Component::Normal(_))) && !name.is_empty();
        if let Some(file) = manifest.files.iter().find(|f| !plain(&f.name)) {
            return Err(ModelError::Config {
                path,
                detail: format!("the pack's manifest names a file outside the pack, `{}`", file.name),
            });
        }
        if manifest.id.is_empty() || !plain(&manifest.id) {
            return Err(ModelError::Config {
                path,
                detail: format!("the pack's id `{}` is no plain name", manifest.id),
            });
        }
        Ok(Self { folder: folder.to_owned(), manifest })
    }

    /// The path of a file that the manifest lists, with the size it states.
    pub fn file(&self, name: &str) -> Result<PathBuf, ModelError> {
        let path = self.folder.join(name);
        let Some(listed) = self.manifest.files.iter().find(|f| f.name == name) else {
            return Err(ModelError::NotAModel { path, detail: "the pack's manifest does not list the file".into() });
        };
        check_size(&path, listed.size)?;
        Ok(path)
    }

    /// SHA-256 over the weight files' own hashes: names this pack's embedding space.
    pub fn weights_hash(&self) -> String {
        let mut hash = Sha256::new();
        for file in self.manifest.files.iter().filter(|f| is_weights(&f.name)) {
            hash.update(format!("{} {}\n", file.name, file.sha256));
        }
        hex(&hash.finalize())
    }

    /// All that is wrong with the pack's files; reads each of them whole.
    pub fn verify(&self) -> Vec<ModelError> {
        let check = |file: &PackFile| {
            let path = self.folder.join(&file.name);
            check_size(&path, file.size)?;
            if sha256(&path)? == file.sha256.to_ascii_lowercase() {
                Ok(())
            } else {
                Err(ModelError::Damaged {
                    path,
                    detail: "differs from what the pack's manifest lists: it was changed or damaged".into(),
                })
            }
        };
        self.manifest.files.iter().filter_map(|file| check(file).err()).collect()
    }
}

/// True for a file of weights.
pub fn is_weights(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|e| e == "safetensors" || e == "bin" || e == "gguf")
}

/// Says what kind of damage a wrong size is.
fn check_size(path: &Path, expected: u64) -> Result<(), ModelError> {
    let io = |source| ModelError::Io { path: path.to_owned(), source };
    let found = std::fs::metadata(path).map_err(io)?.len();
    if found == expected {
        return Ok(());
    }
    let mut head = Vec::new();
    File::open(path).map_err(io)?.take(64).read_to_end(&mut head).map_err(io)?;
    let detail = match impostor(&head) {
        Some(what) => what.to_owned(),
        None if found < expected => {
            format!("is {} bytes shorter than listed: it was cut off, so download it again", expected - found)
        }
        None => format!("is {} bytes longer than listed: it was changed or damaged", found - expected),
    };
    Err(ModelError::Damaged { path: path.to_owned(), detail })
}

/// SHA-256 of a file, in hex.
pub fn sha256(path: &Path) -> Result<String, ModelError> {
    let io = |source| ModelError::Io { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(io)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer).map_err(io)? {
            0 => return Ok(hex(&hash.finalize())),
            n => hash.update(&buffer[..n]),
        }
    }
}

pub(in crate::models) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pack(dir: &Path, weights: &[u8]) -> Pack {
        std::fs::write(dir.join("w.safetensors"), weights).unwrap();
        let manifest = serde_json::json!({
            "id": "tiny", "family": "align", "architecture": "clip", "surplus": 1,
            "files": [{"name": "w.safetensors", "size": weights.len(), "sha256": sha256(&dir.join("w.safetensors")).unwrap()}],
        });
        std::fs::write(dir.join(MANIFEST), manifest.to_string()).unwrap();
        Pack::open(dir).unwrap()
    }

    #[test]
    fn verify_names_file_and_kind_of_damage() {
        let dir = tempfile::tempdir().unwrap();
        let weights = vec![7u8; 5000];
        let pack = pack(dir.path(), &weights);
        assert!(pack.verify().is_empty());
        let mut flipped = weights.clone();
        flipped[100] ^= 1;
        let longer = [&weights[..], &[0; 100]].concat();
        let cases: [(&[u8], &str); 6] = [
            (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5000\n", "LFS"),
            (b"<!DOCTYPE html><html>", "web page"),
            (&weights[..4999], "1 bytes shorter"),
            (&longer, "100 bytes longer"),
            (&flipped, "differs"),
            (b"", "empty"),
        ];
        for (bytes, word) in cases {
            std::fs::write(dir.path().join("w.safetensors"), bytes).unwrap();
            let [problem] = &pack.verify()[..] else { panic!("one problem for {word}") };
            let text = problem.to_string();
            assert!(text.contains(word) && text.contains("w.safetensors"), "{text}");
        }
        std::fs::remove_file(dir.path().join("w.safetensors")).unwrap();
        assert!(matches!(pack.verify()[..], [ModelError::Io { .. }]));
    }

    #[test]
    fn other_weights_are_another_space() {
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        assert_ne!(pack(a.path(), b"one").weights_hash(), pack(b.path(), b"two").weights_hash());
    }

    #[test]
    fn a_manifest_cannot_reach_outside() {
        let dir = tempfile::tempdir().unwrap();
        for (id, file) in [("x", "../secret"), ("x", "/etc/passwd"), ("a/../b", "w"), ("", "w")] {
            let manifest = serde_json::json!({"id": id, "family": "align", "architecture": "clip", "files": [{"name": file, "size": 1, "sha256": ""}]});
            std::fs::write(dir.path().join(MANIFEST), manifest.to_string()).unwrap();
            assert!(matches!(Pack::open(dir.path()), Err(ModelError::Config { .. })), "{id} {file}");
        }
        std::fs::write(dir.path().join(MANIFEST), "{").unwrap();
        assert!(Pack::open(dir.path()).unwrap_err().to_string().contains("pack.json"));
    }
}
