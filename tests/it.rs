#![cfg(test)]

#[cfg(feature = "gui")]
#[path = "it/app.rs"]
mod app;
#[path = "it/lite_align.rs"]
mod lite_align;
#[path = "it/media.rs"]
mod media;
#[path = "it/models.rs"]
mod models;
#[path = "it/search.rs"]
mod search;
#[path = "it/store.rs"]
mod store;
