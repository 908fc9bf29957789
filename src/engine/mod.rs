//! Commands in, events out: the threads, queues and jobs between a front end and the library.
//!
//! Knows a `std::task::Waker`, never egui.

mod messages;

pub use messages::{
    Command, Details, Event, Failure, FailureKind, FolderStatus, LibraryStatus, ModelStatus, Scope, SearchResults,
    Thumb,
};
