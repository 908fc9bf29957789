//! The `glimpse` program: arguments, logging, then a window or a command.

fn main() {}
