#![cfg(test)]

#[cfg(feature = "gui")]
#[path = "it/app.rs"]
mod app;
#[path = "it/models.rs"]
mod models;
