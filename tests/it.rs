#![cfg(test)]

#[path = "it/lite_align.rs"]
mod lite_align;
#[path = "it/models.rs"]
mod models;
