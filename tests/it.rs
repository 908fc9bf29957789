#![cfg(test)]

#[cfg(feature = "gui")]
#[path = "it/app.rs"]
mod app;
#[path = "it/architecture.rs"]
mod architecture;
#[path = "it/cli.rs"]
mod cli;
#[path = "it/cli_fuse.rs"]
mod cli_fuse;
#[path = "it/engine.rs"]
mod engine;
#[path = "it/eval.rs"]
mod eval;
#[path = "it/export.rs"]
mod export;
#[path = "it/fuse.rs"]
mod fuse;
#[path = "it/gpu.rs"]
mod gpu;
#[path = "it/gpu_kernels.rs"]
mod gpu_kernels;
#[path = "it/indexing.rs"]
mod indexing;
#[path = "it/ledger.rs"]
mod ledger;
#[path = "it/lite_align.rs"]
mod lite_align;
#[path = "it/lite_fuse.rs"]
mod lite_fuse;
#[path = "it/media.rs"]
mod media;
#[path = "it/models.rs"]
mod models;
#[path = "it/photos.rs"]
mod photos;
#[path = "it/search.rs"]
mod search;
#[path = "it/store.rs"]
mod store;
#[path = "it/words.rs"]
mod words;
