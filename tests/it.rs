#![cfg(test)]

#[path = "it/models.rs"]
mod models;
