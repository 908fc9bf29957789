//! Several processes at one library, locks and crashes.

use super::*;

const CHILD: &str = "GLIMPSE_TEST_CHILD_LIBRARY";

/// This very test binary, running one ignored test as a process of its own.
fn child(test: &str, library: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([&format!("store::together::{test}"), "--exact", "--ignored", "--nocapture"]);
    command.env(CHILD, library).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

fn batch(root: FolderId, model: ModelId, round: usize, who: &str) -> Vec<Change> {
    (0..20)
        .map(|i| {
            let path = format!("/p/{who}-{round}-{i}.jpg");
            indexed(root, path, (round % 251) as u8, Some((model, vector(&[1.0; 64]))))
        })
        .collect()
}

/// Writes batches of twenty until it is killed, or forty of them.
#[test]
#[ignore = "run by other tests as a process of its own"]
fn child_writes() {
    let Some(path) = std::env::var_os(CHILD) else { return };
    let mut store = Store::open(Path::new(&path)).unwrap();
    let root = store.add_folder(Path::new("/p")).unwrap();
    let model = store.model(&model_row("a", 64)).unwrap();
    let who = std::process::id().to_string();
    for round in 0..40 {
        store.apply(&batch(root, model, round, &who)).unwrap();
    }
}

#[test]
fn two_processes_write_while_a_third_reads() {
    let dir = folder();
    let mut store = Store::open(&library(&dir)).unwrap();
    let root = store.add_folder(Path::new("/p")).unwrap();
    let model = store.model(&model_row("a", 64)).unwrap();
    let mut children = [(); 2].map(|()| child("child_writes", &library(&dir)).spawn().unwrap());
    let reader = Reader::open(&library(&dir)).unwrap();
    let mut seen = 0;
    for round in 0..40 {
        store.apply(&batch(root, model, round, "parent")).unwrap();
        let now = reader.counts().unwrap().photos;
        assert!(now >= seen && now.is_multiple_of(20), "batches come whole: {now}");
        seen = now;
    }
    for child in &mut children {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(reader.counts().unwrap().photos, 3 * 40 * 20);
    assert_eq!(reader.models().unwrap()[0].embedded, 3 * 40 * 20);
    reader.verify().unwrap();
}

#[test]
fn a_killed_writer_loses_at_most_its_batch() {
    let dir = folder();
    let mut before = 0;
    for wait_ms in [30, 60, 90, 120, 150] {
        let mut child = child("child_writes", &library(&dir)).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(wait_ms));
        child.kill().unwrap();
        child.wait().unwrap();
        if !library(&dir).exists() {
            continue;
        }
        let reader = Store::open(&library(&dir)).unwrap().reader().unwrap();
        reader.verify().unwrap();
        let now = reader.counts().unwrap().photos;
        assert!(now >= before && now.is_multiple_of(20), "{now}");
        assert!(reader.models().unwrap().iter().all(|m| m.embedded == now));
        before = now;
    }
}

#[test]
fn a_lock_is_waited_for_as_long_as_documented() {
    let dir = folder();
    let mut store = Store::open(&library(&dir)).unwrap();
    let reader = store.reader().unwrap();
    let holder = Connection::open(library(&dir)).unwrap();
    holder.execute_batch("BEGIN EXCLUSIVE").unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            std::thread::sleep(Duration::from_millis(500));
            holder.execute_batch("COMMIT").unwrap();
        });
        reader.counts().unwrap();
        store.add_folder(Path::new("/p")).unwrap();
    });
    let holder = Connection::open(library(&dir)).unwrap();
    holder.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let start = Instant::now();
    let error = store.add_folder(Path::new("/q")).unwrap_err();
    let waited = start.elapsed();
    assert!(matches!(error, StoreError::Locked { .. }), "{error:?}");
    assert!(waited >= glimpse::store::BUSY_TIMEOUT - Duration::from_secs(1) && waited < Duration::from_secs(20));
    assert_eq!(reader.folders().unwrap().len(), 1, "reading goes on meanwhile");
    holder.execute_batch("COMMIT").unwrap();
    store.add_folder(Path::new("/q")).unwrap();
}

/// Opens, or creates, a library where locks fail, and expects that to be said.
#[test]
#[ignore = "run by other tests as a process of its own"]
fn child_cannot_lock() {
    let Some(path) = std::env::var_os(CHILD) else { return };
    let error = Store::open(Path::new(&path)).unwrap_err();
    assert!(matches!(error, StoreError::CannotLock { .. }), "{error:?}");
}

#[test]
#[cfg(target_os = "linux")]
fn a_file_system_without_locks_is_named_as_such() {
    let dir = folder();
    let shim = dir.path().join("shim.so");
    let source = dir.path().join("shim.c");
    std::fs::write(&source, SHIM).unwrap();
    let built = Command::new("cc").args(["-shared", "-fPIC", "-o"]).args([&shim, &source]).arg("-ldl").status();
    if !built.is_ok_and(|status| status.success()) {
        eprintln!("no C compiler: not tested");
        return;
    }
    let existing = folder();
    drop(Store::open(&library(&existing)).unwrap());
    for path in [library(&dir), library(&existing)] {
        for errno in ["37", "11"] {
            let mut child = child("child_cannot_lock", &path);
            let output = child.env("LD_PRELOAD", &shim).env("SHIM_ERRNO", errno).output().unwrap();
            assert!(output.status.success(), "{errno}: {}", String::from_utf8_lossy(&output.stderr));
        }
    }
}

/// Every lock fails with the given errno (37: ENOLCK, 11: EAGAIN).
#[cfg(target_os = "linux")]
const SHIM: &str = r#"
    #define _GNU_SOURCE
    #include <dlfcn.h>
    #include <errno.h>
    #include <fcntl.h>
    #include <stdarg.h>
    #include <stdlib.h>
    static int call(const char *name, int fd, int command, void *argument) {
        if (command == F_SETLK || command == F_SETLKW) {
            if (((struct flock *)argument)->l_type != F_UNLCK) {
                errno = atoi(getenv("SHIM_ERRNO"));
                return -1;
            }
        }
        int (*real)(int, int, ...) = (int (*)(int, int, ...))dlsym(RTLD_NEXT, name);
        return real(fd, command, argument);
    }
    #define WRAP(name) int name(int fd, int command, ...) { \
        va_list list; va_start(list, command); void *argument = va_arg(list, void *); va_end(list); \
        return call(#name, fd, command, argument); }
    WRAP(fcntl)
    WRAP(fcntl64)
"#;
