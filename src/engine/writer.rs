//! The one thread that writes to the library. Others hand it closures and wait for the answer.
//!
//! A library that cannot be written now (locked, full disk, read-only) is opened anew at
//! the next request, so that the program goes on by itself once it can.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::threads;
use crate::indexing::Library;
use crate::store::{Change, Store, StoreError};

/// Requests that may wait. Each comes from a thread that waits for its answer.
const QUEUE: usize = 16;

type Request = Box<dyn FnOnce(&mut Slot) + Send>;

/// The connection, if there is one at present.
struct Slot {
    library: PathBuf,
    store: Option<Store>,
    /// Told whether the library could be written the last time.
    read_only: Arc<AtomicBool>,
}

impl Slot {
    fn with<T>(&mut self, work: impl FnOnce(&mut Store) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let result = self.try_with(work);
        match &result {
            Ok(_) => self.read_only.store(false, Ordering::Relaxed),
            Err(StoreError::Locked { .. } | StoreError::ReadOnly { .. } | StoreError::CannotLock { .. }) => {
                self.read_only.store(true, Ordering::Relaxed);
            }
            Err(_) => {}
        }
        result
    }

    fn try_with<T>(&mut self, work: impl FnOnce(&mut Store) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let mut store = match self.store.take() {
            Some(store) => store,
            None => Store::open(&self.library)?,
        };
        let result = work(&mut store);
        // After a failure of the file itself the connection may hold a broken transaction: start afresh.
        if !matches!(
            result,
            Err(StoreError::DiskFull { .. }
                | StoreError::ReadOnly { .. }
                | StoreError::Io { .. }
                | StoreError::Sql { .. })
        ) {
            self.store = Some(store);
        }
        result
    }
}

/// A handle to the writer thread; the thread ends with the last handle.
#[derive(Clone)]
pub(super) struct Writer {
    library: PathBuf,
    requests: Sender<Request>,
}

impl Writer {
    /// Starts the thread with a connection that is open already, if there is one.
    pub fn start(
        library: PathBuf,
        store: Option<Store>,
        read_only: Arc<AtomicBool>,
        alive: Sender<()>,
    ) -> std::io::Result<Self> {
        let (requests, incoming): (_, Receiver<Request>) = bounded(QUEUE);
        let mut slot = Slot { library: library.clone(), store, read_only };
        threads::begin("writer", alive, move || incoming.into_iter().for_each(|request| request(&mut slot)))?;
        Ok(Self { library, requests })
    }

    /// Runs `work` on the writer thread and waits for it.
    pub fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = bounded(1);
        let request: Request = Box::new(move |slot| {
            // Nobody waits any more: the work is done all the same.
            let _ = reply.send(slot.with(work));
        });
        let ended = |_| StoreError::Io { path: self.library.clone(), source: std::io::ErrorKind::BrokenPipe.into() };
        self.requests.send(request).map_err(|_| ended(()))?;
        answer.recv().map_err(|_| ended(()))?
    }
}

/// Whether waiting may help: the disk may get room, the other program may end.
pub(super) fn may_pass(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::DiskFull { .. }
            | StoreError::Locked { .. }
            | StoreError::ReadOnly { .. }
            | StoreError::CannotLock { .. }
    )
}

/// The pipeline's way to the writer: patient with what may pass.
pub(super) struct PatientLibrary<'a> {
    pub writer: Writer,
    /// Told at the first failure of a batch, and with `None` once it could be written after all.
    pub trouble: &'a mut (dyn FnMut(Option<&StoreError>) + Send),
    /// Blocks a while; false when the job is to end instead.
    pub wait: &'a (dyn Fn(Duration) -> bool + Sync),
}

impl PatientLibrary<'_> {
    const PAUSE: Duration = Duration::from_secs(2);
}

impl Library for PatientLibrary<'_> {
    fn apply(&mut self, changes: Vec<Change>) -> Result<(), StoreError> {
        let changes = Arc::new(changes);
        let mut troubled = false;
        loop {
            let batch = Arc::clone(&changes);
            match self.writer.with(move |store| store.apply(&batch).map(drop)) {
                Err(error) if may_pass(&error) => {
                    if !troubled {
                        (self.trouble)(Some(&error));
                        troubled = true;
                    }
                    if !(self.wait)(Self::PAUSE) {
                        return Err(error);
                    }
                }
                result => {
                    if troubled && result.is_ok() {
                        (self.trouble)(None);
                    }
                    return result;
                }
            }
        }
    }
}
