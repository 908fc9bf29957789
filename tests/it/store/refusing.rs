//! Files that are no library, or not any more: named, and left as they are.

use super::*;

/// Neither writer nor reader may take the file, and neither may touch it.
fn refused(path: &Path) -> (StoreError, StoreError) {
    let before = std::fs::read(path).unwrap();
    let errors = (Store::open(path).unwrap_err(), Reader::open(path).unwrap_err());
    assert!(std::fs::read(path).unwrap() == before, "the file was changed");
    for error in [&errors.0, &errors.1] {
        assert!(error.to_string().ends_with(&path.display().to_string()), "{error}");
    }
    errors
}

fn filled(dir: &TempDir) -> PathBuf {
    let mut store = Store::open(&library(dir)).unwrap();
    let root = store.add_folder(Path::new("/p")).unwrap();
    let model = store.model(&model_row("a", 512)).unwrap();
    let changes: Vec<Change> = (0..200u8)
        .map(|i| indexed(root, format!("/p/{i}.jpg"), i, Some((model, vector(&[f32::from(i) + 1.0; 512])))))
        .collect();
    store.apply(&changes).unwrap();
    drop(store);
    let wal = dir.path().join("library.db-wal");
    assert!(!wal.exists(), "the last writer to leave folds the log in");
    library(dir)
}

#[test]
fn files_that_are_no_library() {
    let dir = folder();
    let foreign = dir.path().join("foreign.sqlite");
    Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE t(x); PRAGMA user_version = 3").unwrap();
    let text = dir.path().join("notes.txt");
    std::fs::write(&text, "not a database\n".repeat(99)).unwrap();
    let jpeg = dir.path().join("a.jpg");
    std::fs::write(&jpeg, [0xFF, 0xD8, 0xFF, 0xE0, 0, 16]).unwrap();
    for path in [&foreign, &text, &jpeg] {
        let (write, read) = refused(path);
        assert!(matches!(write, StoreError::NotALibrary { .. }), "{write:?}");
        assert!(matches!(read, StoreError::NotALibrary { .. }), "{read:?}");
    }
    assert!(matches!(Store::open(dir.path()), Err(StoreError::NotALibrary { .. })));
    assert!(matches!(Reader::open(&library(&dir)), Err(StoreError::Absent { .. })));
    assert!(!library(&dir).exists(), "a reader creates nothing");
    let empty = dir.path().join("empty.db");
    std::fs::write(&empty, "").unwrap();
    let (write, read) = refused(&empty);
    assert!(matches!((write, read), (StoreError::Damaged { .. }, StoreError::Damaged { .. })));
}

#[test]
fn damaged_libraries_are_named_and_left_alone() {
    let damage: [fn(&mut Vec<u8>); 4] = [
        |bytes| (4096..12288).for_each(|i| bytes[i] = ((i * 2_654_435_761) >> 7) as u8),
        |bytes| bytes.truncate(bytes.len() / 2),
        |bytes| bytes.truncate(bytes.len() - 1),
        |bytes| bytes.truncate(60),
    ];
    for (i, damage) in damage.iter().enumerate() {
        let dir = folder();
        let path = filled(&dir);
        let mut bytes = std::fs::read(&path).unwrap();
        damage(&mut bytes);
        std::fs::write(&path, bytes).unwrap();
        let (write, read) = refused(&path);
        assert!(matches!(write, StoreError::Damaged { .. }), "{i}: {write:?}");
        assert!(matches!(read, StoreError::Damaged { .. }), "{i}: {read:?}");
    }
}

#[test]
fn newer_libraries_are_left_to_newer_programs() {
    let dir = folder();
    let path = filled(&dir);
    Connection::open(&path).unwrap().execute_batch("PRAGMA user_version = 999").unwrap();
    let (write, read) = refused(&path);
    for error in [write, read] {
        assert!(matches!(error, StoreError::Newer { found: 999, .. }), "{error:?}");
        assert!(error.to_string().contains("newer Glimpse"));
    }
}

#[test]
fn a_log_left_by_a_deleted_library_does_not_haunt_the_next() {
    let dir = folder();
    let mut store = Store::open(&library(&dir)).unwrap();
    store.add_folder(Path::new("/old")).unwrap();
    let log = std::fs::read(dir.path().join("library.db-wal")).unwrap();
    assert!(!log.is_empty());
    drop(store);
    std::fs::remove_file(library(&dir)).unwrap();
    std::fs::write(dir.path().join("library.db-wal"), log).unwrap();
    let store = Store::open(&library(&dir)).unwrap();
    assert_eq!(store.reader().unwrap().folders().unwrap(), []);
    assert_eq!(
        std::fs::read_dir(dir.path())
            .unwrap()
            .filter(|f| { f.as_ref().unwrap().file_name().to_string_lossy().contains(".new-") })
            .count(),
        0
    );
}

#[test]
#[cfg(unix)]
fn a_library_deleted_or_replaced_while_open_is_noticed() {
    let dir = folder();
    let path = library(&dir);
    let mut store = Store::open(&path).unwrap();
    let reader = store.reader().unwrap();
    std::fs::rename(&path, dir.path().join("away.db")).unwrap();
    assert!(matches!(store.add_folder(Path::new("/p")), Err(StoreError::Replaced { .. })));
    assert!(matches!(reader.counts(), Err(StoreError::Replaced { .. })));
    let other = folder();
    std::fs::copy(filled(&other), &path).unwrap();
    assert!(matches!(store.apply(&[]), Err(StoreError::Replaced { .. })));
    assert!(matches!(store.reader(), Err(StoreError::Replaced { .. })));
    drop((store, reader));
    assert_eq!(Reader::open(&path).unwrap().counts().unwrap().photos, 200);
}

#[test]
#[cfg(unix)]
fn a_link_and_its_target_are_one_library() {
    let dir = folder();
    let path = filled(&dir);
    let link = dir.path().join("link.db");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let mut by_link = Store::open(&link).unwrap();
    let by_name = Reader::open(&path).unwrap();
    by_link.add_folder(Path::new("/q")).unwrap();
    assert_eq!(by_name.folders().unwrap().len(), 2);
    // A link that leads nowhere is said to be so; nothing is created.
    let broken = dir.path().join("broken.db");
    std::os::unix::fs::symlink("nowhere.db", &broken).unwrap();
    assert!(matches!(Store::open(&broken), Err(StoreError::Absent { .. })));
}
