//! The `egraft` command.
fn main() {}
