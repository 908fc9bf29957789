//! The window, driven through its accessibility tree.

#[path = "app_gallery.rs"]
mod gallery;
#[path = "app_support.rs"]
mod support;
