//! Work on many things at once, where there is more than one thread.

use rayon::ThreadPool;
use rayon::prelude::*;

/// What one task does at least, and from how much work on threads are woken.
const CHUNK: usize = 256;
const MUCH: usize = 1 << 14;

/// A pool of so many threads; `None` for one, and where no more can be had.
pub fn pool(threads: usize) -> Option<ThreadPool> {
    let made = || rayon::ThreadPoolBuilder::new().num_threads(threads).build().ok();
    (threads > 1).then(made).flatten()
}

/// What `of` gives for each number below `count`.
pub(super) fn each<T: Send>(
    count: usize,
    threads: Option<&ThreadPool>,
    of: impl Fn(usize) -> T + Sync + Send,
) -> Vec<T> {
    match threads {
        Some(pool) if count > MUCH => {
            pool.install(|| (0..count).into_par_iter().with_min_len(CHUNK).map(of).collect())
        }
        _ => (0..count).map(of).collect(),
    }
}
