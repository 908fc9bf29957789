//! Where the program keeps its own files, and where it finds what it ships with.

use std::env;
use std::path::{Path, PathBuf};

/// The program's own folders. Built once at start and passed down: nothing else reads the environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// Library, settings and the user's packs.
    pub data: PathBuf,
    /// What can be made again: thumbnails.
    pub cache: PathBuf,
    /// Folders that may hold `models/`, `samples/` and the like, best first.
    pub assets: Vec<PathBuf>,
}

impl Paths {
    /// The platform's folders; `GLIMPSE_DATA`, `GLIMPSE_CACHE` and `GLIMPSE_ASSETS` override them.
    pub fn from_env() -> Self {
        let given = |name: &str| env::var_os(name).filter(|v| !v.is_empty()).map(|v| absolute(Path::new(&v)));
        let platform = directories::ProjectDirs::from("", "", "glimpse").filter(|dirs| reachable(dirs.data_dir()));
        // An account without a home folder (a service user) still gets a place that works.
        let homeless = env::temp_dir().join("glimpse");
        let data = given("GLIMPSE_DATA")
            .or_else(|| platform.as_ref().map(|dirs| dirs.data_dir().to_path_buf()))
            .unwrap_or_else(|| homeless.join("data"));
        let cache = given("GLIMPSE_CACHE")
            .or_else(|| platform.as_ref().map(|dirs| dirs.cache_dir().to_path_buf()))
            .unwrap_or_else(|| homeless.join("cache"));
        let exe = env::current_exe().and_then(|exe| exe.canonicalize()).ok();
        let assets = asset_folders(given("GLIMPSE_ASSETS"), exe.as_deref());
        Self { data, cache, assets }
    }

    /// Everything below one folder, with the source tree's assets: for tests and demonstrations.
    pub fn in_folder(folder: &Path) -> Self {
        let folder = absolute(folder);
        Self { data: folder.join("data"), cache: folder.join("cache"), assets: asset_folders(None, None) }
    }

    /// The default library file.
    pub fn library(&self) -> PathBuf {
        self.data.join("library.db")
    }

    /// The settings file.
    pub fn settings(&self) -> PathBuf {
        self.data.join("settings.json")
    }

    /// Where thumbnails are kept.
    pub fn thumbnails(&self) -> PathBuf {
        self.cache.join("thumbnails")
    }

    /// Where imported and pulled packs live.
    pub fn user_packs(&self) -> PathBuf {
        self.data.join("packs")
    }

    /// The first asset folder's entry of that name, `/`-separated, that exists.
    pub fn asset(&self, name: &str) -> Option<PathBuf> {
        self.assets.iter().map(|root| root.join(name)).find(|path| path.exists())
    }
}

/// `GLIMPSE_ASSETS`, beside the executable, `../share/glimpse`, the source tree's `assets/`.
fn asset_folders(given: Option<PathBuf>, exe: Option<&Path>) -> Vec<PathBuf> {
    let beside = exe.and_then(Path::parent);
    let mut folders: Vec<PathBuf> = given.into_iter().collect();
    if let Some(dir) = beside {
        folders.push(dir.join("assets"));
        folders.extend(dir.parent().map(|up| up.join("share").join("glimpse")));
    }
    folders.push(Path::new(env!("CARGO_MANIFEST_DIR")).join("assets"));
    folders
}

/// Some parent of the folder exists: it can at least be tried to create it.
fn reachable(folder: &Path) -> bool {
    // `/` alone does not count: it would accept `/nonexistent/.local/share/glimpse`.
    folder.ancestors().skip(1).any(|up| up.parent().is_some() && up.is_dir())
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_below_one_folder() {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::in_folder(dir.path());
        for path in [paths.library(), paths.thumbnails(), paths.user_packs(), paths.settings()] {
            assert!(path.starts_with(dir.path()), "{}", path.display());
        }
    }

    #[test]
    fn the_first_asset_folder_that_has_it_wins() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        std::fs::create_dir_all(b.join("models/x")).unwrap();
        let paths = Paths { assets: vec![a.clone(), b.clone()], ..Paths::in_folder(dir.path()) };
        assert_eq!(paths.asset("models/x"), Some(b.join("models/x")));
        std::fs::create_dir_all(a.join("models/x")).unwrap();
        assert_eq!(paths.asset("models/x"), Some(a.join("models/x")));
        assert_eq!(paths.asset("models/y"), None);
    }

    #[test]
    fn assets_are_looked_for_in_the_documented_order() {
        let folders = asset_folders(Some("/given".into()), Some(Path::new("/opt/bin/glimpse")));
        assert_eq!(folders[..3], ["/given", "/opt/bin/assets", "/opt/share/glimpse"].map(PathBuf::from));
        assert!(folders[3].ends_with("assets"));
    }

    #[test]
    fn a_home_that_is_not_there_is_not_used() {
        assert!(!reachable(Path::new("/nonexistent/.local/share/glimpse")));
        assert!(reachable(&std::env::temp_dir().join("glimpse")));
    }
}
