//! `glimpse status` and `glimpse folders`.

use anyhow::{Result, bail};
use serde_json::json;

use crate::engine::{ALIGN_FAMILY, BUILT_IN_ALIGN};
use crate::store::StoreError;

use super::args::Folders;
use super::output::{Output, absolute, with_path};
use super::session::Session;
use super::{Done, plural};

/// What the library holds, and the files that could not be taken in.
pub fn status(session: &Session, out: &mut Output) -> Result<Done> {
    let reader = match session.reader() {
        // The default library comes into being with the first `index`; until then it is an empty one.
        Err(StoreError::Absent { .. }) if session.library == session.paths.library() => {
            let empty = || {
                json!({ "photos": 0, "missing": 0, "failed": 0, "models": [], "size_bytes": 0,
                        "library": session.library.to_string_lossy(), "failures": [] })
            };
            out.line(empty, || {
                format!("no library yet; `glimpse index FOLDER` makes one: {}", session.library.display())
            })?;
            return Ok(Done::Fully);
        }
        result => result?,
    };
    let counts = reader.counts()?;
    let active = reader.active_model(ALIGN_FAMILY)?.unwrap_or_else(|| BUILT_IN_ALIGN.to_owned());
    let models = reader.models()?;
    let failures = reader.failures()?;
    let size_bytes = reader.size_bytes();
    let value = || {
        let models = models.iter().map(|model| {
            json!({ "pack": model.row.pack_id, "dim": model.row.dim, "embedded": model.embedded,
                    "weights": model.row.weights_hash, "active": model.row.pack_id == active })
        });
        let failures = failures
            .iter()
            .map(|(path, reason, detail)| with_path(path, json!({ "reason": reason, "detail": detail })));
        json!({
            "photos": counts.photos, "missing": counts.missing, "failed": counts.failed,
            "models": models.collect::<Vec<_>>(), "size_bytes": size_bytes,
            "library": session.library.to_string_lossy(), "failures": failures.collect::<Vec<_>>(),
        })
    };
    out.line(value, || {
        let mut text = format!(
            "{}, {} missing, {} failed, {:.1} MB: {}",
            plural(counts.photos, "photo", "photos"),
            counts.missing,
            counts.failed,
            size_bytes as f64 / 1e6,
            session.library.display()
        );
        for model in &models {
            let mark = if model.row.pack_id == active { " (active)" } else { "" };
            text += &format!("\n  {}{mark}: {} indexed", model.row.pack_id, plural(model.embedded, "photo", "photos"));
        }
        for (path, _, detail) in &failures {
            text += &format!("\n  not taken in: {detail}: {}", path.display());
        }
        text
    })?;
    Ok(Done::Fully)
}

/// Lists the roots, or forgets one.
pub fn folders(session: &Session, what: &Folders, out: &mut Output) -> Result<Done> {
    match what {
        Folders::List => {
            let reader = match session.reader() {
                Err(StoreError::Absent { .. }) if session.library == session.paths.library() => return Ok(Done::Fully),
                result => result?,
            };
            for row in reader.folders()? {
                let offline = !row.path.is_dir();
                out.line(
                    || {
                        let counts = json!({ "photos": row.photos, "missing": row.missing, "failed": row.failed, "offline": offline });
                        with_path(&row.path, counts)
                    },
                    || {
                        let away = if offline { ", not there at present" } else { "" };
                        format!(
                            "{}, {} missing, {} failed{away}: {}",
                            plural(row.photos, "photo", "photos"),
                            row.missing,
                            row.failed,
                            row.path.display()
                        )
                    },
                )?;
            }
        }
        Folders::Remove { folder } => {
            // Looked for as it is written too: a root that is gone cannot be resolved.
            let wanted = [absolute(folder), folder.clone()];
            let mut store = session.store_that_is_there()?;
            let rows = store.reader()?.folders()?;
            let Some(row) = rows.into_iter().find(|row| wanted.contains(&row.path)) else {
                bail!(
                    "this folder is not in the library (`glimpse folders list` shows those that are): {}",
                    wanted[0].display()
                );
            };
            store.remove_folder(row.id)?;
            let removed = row.photos + row.missing;
            out.line(
                || with_path(&row.path, json!({ "event": "removed", "photos": removed })),
                || format!("forgot {} of {}", plural(removed, "photo", "photos"), row.path.display()),
            )?;
        }
    }
    Ok(Done::Fully)
}
