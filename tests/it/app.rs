//! The window, driven through its accessibility tree.

#[path = "app_flows.rs"]
mod flows;
#[path = "app_gallery.rs"]
mod gallery;
#[path = "app_gallery_words.rs"]
mod gallery_words;
#[path = "app_ledger.rs"]
mod ledger;
#[path = "app_library.rs"]
mod library;
#[path = "app_real.rs"]
mod real;
#[path = "app_scale.rs"]
mod scale;
#[path = "app_search.rs"]
mod search;
#[path = "app_smoke.rs"]
mod smoke;
#[path = "app_snapshots.rs"]
mod snapshots;
#[path = "app_support.rs"]
mod support;
#[path = "app_words.rs"]
mod words;
#[path = "app_words_real.rs"]
mod words_real;
