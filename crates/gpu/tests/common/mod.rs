//! The GPU that tests run on.

#![allow(unreachable_pub, reason = "each test file uses a part")]

use egraft_gpu::Gpu;

/// The first adapter; without one the test is skipped, unless `EGRAFT_GPU` is `required`.
pub fn open() -> Option<Gpu> {
    match Gpu::open(None) {
        Ok(gpu) => Some(gpu),
        Err(error) if std::env::var_os("EGRAFT_GPU").is_some_and(|set| set == "required") => {
            panic!("{error}")
        }
        Err(error) => {
            eprintln!("skipped: {error}");
            None
        }
    }
}
