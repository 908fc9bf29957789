//! What a person chose, kept as JSON. Old, unknown or damaged fields never cost the others.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Light, dark, or as the system is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Theme {
    #[default]
    System,
    Light,
    Dark,
}

/// The person's choices.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    pub theme: Theme,
    /// BCP 47 code of the window's language; `None` follows the system.
    pub language: Option<String>,
    /// Side of a grid cell in points.
    pub thumbnail_size: f32,
    /// Also index recycle bins, `@eaDir` and the like.
    pub include_service_folders: bool,
    /// Upper bound of the thumbnail folder, in MiB.
    pub thumbnail_cache_mib: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            theme: Theme::System,
            language: None,
            thumbnail_size: 168.0,
            include_service_folders: false,
            thumbnail_cache_mib: 4096,
        }
    }
}

impl Settings {
    /// Reads the file; what cannot be used in it is logged and keeps its default.
    pub fn load(file: &Path) -> Self {
        match std::fs::read(file) {
            Ok(bytes) => Self::from_json(&bytes, file),
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    log::warn!("the settings could not be read, defaults are used: {error}: {}", file.display());
                }
                Self::default()
            }
        }
    }

    /// Writes the file whole or not at all.
    pub fn save(&self, file: &Path) -> io::Result<()> {
        write_json(file, self)
    }

    fn from_json(bytes: &[u8], file: &Path) -> Self {
        let mut settings = Self::default();
        let Ok(Value::Object(fields)) = serde_json::from_slice(bytes) else {
            log::warn!("the settings are no JSON object, defaults are used: {}", file.display());
            return settings;
        };
        for (name, value) in fields {
            let Ok(Value::Object(mut whole)) = serde_json::to_value(&settings) else { continue };
            whole.insert(name.clone(), value);
            match serde_json::from_value(Value::Object(whole)) {
                Ok(with_field) => settings = with_field,
                Err(error) => log::warn!("setting `{name}` is not usable: {error}: {}", file.display()),
            }
        }
        settings
    }
}

/// Writes a JSON file whole or not at all, its folder too if need be.
pub fn write_json(file: &Path, what: &impl Serialize) -> io::Result<()> {
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let fresh = file.with_extension("json.new");
    std::fs::write(&fresh, serde_json::to_vec_pretty(what)?)?;
    std::fs::rename(fresh, file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("deep/settings.json");
        let settings = Settings { theme: Theme::Dark, language: Some("zh-CN".into()), ..Settings::default() };
        settings.save(&file).unwrap();
        assert_eq!(Settings::load(&file), settings);
    }

    #[test]
    fn one_bad_field_costs_only_itself() {
        let text = br#"{"theme":"dark","thumbnail_size":"huge","from_the_future":[1]}"#;
        let settings = Settings::from_json(text, Path::new("settings.json"));
        assert_eq!(settings, Settings { theme: Theme::Dark, ..Settings::default() });
    }

    #[test]
    fn no_file_or_nonsense_gives_defaults() {
        assert_eq!(Settings::load(Path::new("/nonexistent/settings.json")), Settings::default());
        assert_eq!(Settings::from_json(b"\xff\xfe", Path::new("settings.json")), Settings::default());
    }
}
