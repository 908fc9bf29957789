//! The thread that reads the library for the window: lists, details, figures; and that notices
//! when anybody, this program or another, has written to it.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use crate::config::Paths;
use crate::device::{DeviceNote, DeviceRequest};
use crate::domain::{FolderId, PhotoId, RequestId};
use crate::models::{catalogue, fuse};
use crate::store::{Reader, StoreError};

use super::batch::in_scope;
use super::compute::Compute;
use super::fuse::Fuse;
use super::ledger::tell_steps;
use super::model::{ALIGN_FAMILY, BUILT_IN_ALIGN, BUILT_IN_FUSE};
use super::outbox::Outbox;
use super::threads;
use super::{Details, Event, Failure, FailureKind, FolderStatus, LibraryStatus, ModelStatus, Scope};

/// Questions that may wait.
const QUEUE: usize = 256;
/// How often the library is asked whether it changed.
const LOOK: Duration = Duration::from_millis(700);

/// A question about the library.
pub(super) enum Look {
    List {
        request: RequestId,
        scope: Scope,
    },
    Details {
        request: RequestId,
        photo: PhotoId,
    },
    /// Send the figures even if nothing changed.
    Status,
}

/// What the thread needs.
pub(super) struct Librarian {
    pub paths: Paths,
    pub reader: Reader,
    pub compute: Compute,
    pub fuse: Fuse,
    pub outbox: Outbox,
    pub device: DeviceRequest,
    /// Set while the library cannot be written.
    pub read_only: Arc<AtomicBool>,
}

impl Librarian {
    /// Starts the thread; it ends with the last sender.
    pub fn start(self, alive: Sender<()>) -> std::io::Result<Sender<Look>> {
        let (looks, incoming) = bounded(QUEUE);
        threads::begin("library", alive, move || self.run(&incoming))?;
        Ok(looks)
    }

    fn run(&self, looks: &Receiver<Look>) {
        self.publish();
        tell_steps(&self.reader, &self.outbox);
        let mut version = self.reader.data_version().ok();
        let mut read_only = self.read_only.load(Ordering::Relaxed);
        let mut device = self.device();
        loop {
            let heard = match looks.recv_timeout(LOOK) {
                Ok(Look::List { request, scope }) => {
                    self.outbox.send(Event::Listed { request, result: self.list(scope).map_err(Failure::from) })
                }
                Ok(Look::Details { request, photo }) => {
                    self.outbox.send(Event::Details { request, result: self.details(photo) })
                }
                Ok(Look::Status) => self.publish(),
                Err(RecvTimeoutError::Timeout) => true,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let now = self.reader.data_version().ok();
            if now != version {
                version = now;
                self.compute.changed();
                let heard = self.publish() && tell_steps(&self.reader, &self.outbox);
                if !heard || !self.outbox.send(Event::PhotosChanged) {
                    return;
                }
            }
            let now = (self.read_only.load(Ordering::Relaxed), self.device());
            if now != (read_only, device.clone()) {
                (read_only, device) = now;
                self.publish();
            }
            if !heard {
                return;
            }
        }
    }

    fn list(&self, scope: Scope) -> Result<Vec<PhotoId>, StoreError> {
        in_scope(scope, &self.reader)
    }

    fn details(&self, photo: PhotoId) -> Result<Box<Details>, Failure> {
        let found = self.reader.photo(photo)?;
        let photo = found.ok_or_else(|| Failure::new(FailureKind::Photo, "this photo is no longer in the library"))?;
        Ok(Box::new(Details { photo }))
    }

    fn publish(&self) -> bool {
        match self.status() {
            Ok(status) => self.outbox.send(Event::Library(status)),
            Err(error) => self.outbox.send(Event::Notice(error.into())),
        }
    }

    /// Where the model really runs and why not on something better; what is planned while it is loaded.
    fn device(&self) -> (String, Option<DeviceNote>) {
        if let Some(model) = self.compute.current() {
            return (model.device().to_owned(), model.device_note());
        }
        match self.device.choose() {
            Ok(choice) => (choice.kind.name().to_owned(), choice.note),
            Err(error) => (self.device.name().to_owned(), Some(DeviceNote::Other(error.to_string()))),
        }
    }

    fn status(&self) -> Result<LibraryStatus, StoreError> {
        let counts = self.reader.counts()?;
        let folders = self.reader.folders()?.into_iter().map(|row| FolderStatus {
            id: row.id,
            photos: row.photos,
            missing: row.missing,
            failed: row.failed,
            offline: !row.path.is_dir(),
            path: row.path,
        });
        let (device, device_note) = self.device();
        Ok(LibraryStatus {
            photos: counts.photos,
            missing: counts.missing,
            failed: counts.failed,
            without_caption: self.reader.count_without_caption()?,
            folders: folders.collect(),
            models: model_statuses(&self.paths, &self.reader)?,
            fuse: self.fuse.status(),
            device,
            device_note,
            read_only: self.read_only.load(Ordering::Relaxed),
        })
    }
}

/// The roots of the library, by id.
pub(super) fn roots(reader: &Reader) -> Result<HashMap<FolderId, PathBuf>, StoreError> {
    Ok(reader.folders()?.into_iter().map(|row| (row.id, row.path)).collect())
}

/// Every pack that can be had, with what the library holds of it.
pub fn model_statuses(paths: &Paths, reader: &Reader) -> Result<Vec<ModelStatus>, StoreError> {
    let align = reader.active_model(ALIGN_FAMILY)?.unwrap_or_else(|| BUILT_IN_ALIGN.to_owned());
    let fuse = reader.active_model(fuse::FAMILY)?.unwrap_or_else(|| BUILT_IN_FUSE.to_owned());
    let known = reader.models()?;
    Ok(catalogue::list(paths)
        .into_iter()
        .map(|pack| {
            let of_library = known.iter().rev().find(|model| model.row.pack_id == pack.id);
            ModelStatus {
                active: pack.id == if pack.family == fuse::FAMILY { &*fuse } else { &*align },
                model: of_library.map(|model| model.id),
                embedded: of_library.map_or(0, |model| model.embedded),
                name: pack.name,
                family: pack.family,
                good_at: pack.good_at,
                pack: pack.id,
            }
        })
        .collect())
}
