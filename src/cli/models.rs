//! `glimpse models`, and the hidden comparison with reference outputs.

use std::path::Path;

use anyhow::{Result, bail};
use serde_json::{Value, json};

use crate::engine::{ALIGN_FAMILY, BUILT_IN_ALIGN, BUILT_IN_FUSE};
use crate::models::pack::Pack;
use crate::models::{catalogue, folder, fuse, golden};
use crate::store::StoreError;

use super::args::Models;
use super::output::{Output, absolute, path_fields, with_path};
use super::session::Session;
use super::{Done, plural};

/// Lists packs, or does one thing to one of them.
pub fn models(session: &Session, what: &Models, out: &mut Output) -> Result<Done> {
    match what {
        Models::List => list(session, out),
        Models::Pull { id } => bail!(
            "this version fetches no packs; download the model's folder yourself, then `glimpse models import FOLDER`: {id}"
        ),
        Models::Import { folder } => {
            let pack = catalogue::import(&session.paths, &absolute(folder))?;
            out.line(
                || with_path(&pack.folder, json!({ "pack": pack.id, "family": pack.family })),
                || format!("imported as {}; `glimpse models use {}` makes it the library's", pack.id, pack.id),
            )?;
            Ok(Done::Fully)
        }
        Models::Use { id } => activate(session, id, out),
        Models::Verify { id } => verify(session, id, out),
        Models::Remove { id } => {
            catalogue::remove(&session.paths, id)?;
            out.line(|| json!({ "pack": id, "event": "removed" }), || format!("removed {id}"))?;
            Ok(Done::Fully)
        }
    }
}

fn list(session: &Session, out: &mut Output) -> Result<Done> {
    let reader = match session.reader() {
        Err(StoreError::Absent { .. }) => None,
        result => Some(result?),
    };
    let mut active = Vec::new();
    for (family, built_in) in [(ALIGN_FAMILY, BUILT_IN_ALIGN), (fuse::FAMILY, BUILT_IN_FUSE)] {
        let chosen = reader.as_ref().map(|reader| reader.active_model(family)).transpose()?.flatten();
        active.push(chosen.unwrap_or_else(|| built_in.to_owned()));
    }
    let known = reader.as_ref().map(|reader| reader.models()).transpose()?.unwrap_or_default();
    for pack in catalogue::list(&session.paths) {
        let is_active = active.contains(&pack.id);
        let embedded = known.iter().rev().find(|model| model.row.pack_id == pack.id).map_or(0, |model| model.embedded);
        out.line(
            || {
                let fields = json!({
                    "pack": pack.id, "name": pack.name, "family": pack.family, "good_at": pack.good_at,
                    "built_in": pack.built_in, "active": is_active, "embedded": embedded,
                });
                with_path(&pack.folder, fields)
            },
            || {
                let mark = if is_active { "*" } else { " " };
                format!(
                    "{mark} {:<16} {:<6} {} indexed  {}",
                    pack.id,
                    pack.family,
                    plural(embedded, "photo", "photos"),
                    pack.good_at
                )
            },
        )?;
    }
    Ok(Done::Fully)
}

/// Notes the choice; the photos get their vectors at the next `index`.
fn activate(session: &Session, pack: &str, out: &mut Output) -> Result<Done> {
    let folder = catalogue::find(&session.paths, pack)?;
    let described = folder::describe(&folder)?;
    let aligns = described.family == ALIGN_FAMILY;
    if !aligns && described.family != fuse::FAMILY {
        bail!("there is no use for a pack of the family `{}`: {pack}", described.family);
    }
    // A folder is remembered by its whole path: the next command may run elsewhere.
    let installed = catalogue::list(&session.paths).iter().any(|known| known.id == pack);
    let name = match (installed, folder.to_str()) {
        (true, _) => pack.to_owned(),
        (false, Some(folder)) => folder.to_owned(),
        (false, None) => bail!("the folder's name is not Unicode; import it first: {}", folder.display()),
    };
    session.store()?.set_active_model(&described.family, &name)?;
    out.line(
        || json!({ "pack": described.id, "family": described.family, "active": true }),
        || {
            let next = if aligns {
                "`glimpse index` takes in what it has not seen"
            } else {
                "`caption`, `ask` and `match` take it"
            };
            format!("{} is now the library's model; {next}", described.id)
        },
    )?;
    Ok(Done::Fully)
}

fn verify(session: &Session, pack: &str, out: &mut Output) -> Result<Done> {
    let folder = catalogue::find(&session.paths, pack)?;
    let faults: Vec<String> = Pack::open(&folder)?.verify().iter().map(ToString::to_string).collect();
    for fault in &faults {
        log::error!("{fault}");
    }
    out.line(
        || with_path(&folder, json!({ "pack": pack, "ok": faults.is_empty(), "faults": faults })),
        || if faults.is_empty() { format!("{pack} is sound") } else { format!("{pack} is damaged") },
    )?;
    Ok(Done::from(faults.is_empty()))
}

/// Runs a model folder's inputs and compares with its reference outputs.
pub fn golden_check(session: &Session, folder: &Path, out: &mut Output) -> Result<Done> {
    let folder = absolute(folder);
    let (report, device) = golden::check_for(&folder, session.device)?;
    let value = || {
        let mut fields = path_fields("folder", &folder);
        fields.insert("family".into(), json!(report.family));
        fields.insert("device".into(), json!(device));
        fields.insert("max_abs_diff".into(), json!(report.max_abs_diff));
        fields.insert("ids_equal".into(), json!(report.ids_equal));
        Value::Object(fields)
    };
    out.line(value, || {
        let mut text = format!("{} on {device}: {}", report.family, folder.display());
        for (name, diff) in &report.max_abs_diff {
            text += &format!("\n  {name:<24} {diff:.3e}");
        }
        text
    })?;
    Ok(Done::Fully)
}
