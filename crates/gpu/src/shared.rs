//! The GPU that a process uses, opened when it is first needed.
//!
//! Invariant: whatever fails, the CPU goes on from there, and the reason is kept and told once.

use crate::{Gpu, GpuError, GpuMatcher, Part};
use egraft_egraph::{EGraph, Limits, Matcher, Root, Rules, Saturation, Saturator, saturate_with};
use egraft_rules::{Interpreter, Match};
use std::sync::{Mutex, PoisonError};

/// Records that there is room for at first.
const CAPACITY: usize = 1 << 16;

/// Saturates with the GPU of this process where there is one that works.
pub const GPU: Saturator = Saturator::new("gpu", saturate);

#[derive(Debug, Default)]
struct Shared {
    /// The matcher.
    matcher: Option<Standing>,
    /// Why no GPU is used any more.
    failed: Option<String>,
}

/// A matcher, the rules that it has, and their digest.
#[derive(Debug)]
struct Standing {
    digest: u64,
    rules: Vec<(usize, Interpreter<'static>)>,
    matcher: GpuMatcher,
}

static SHARED: Mutex<Shared> = Mutex::new(Shared { matcher: None, failed: None });

/// What the GPU of this process is, once one was asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Status {
    /// None was asked for yet.
    Unused,
    /// Matches are found by this adapter.
    Used(String),
    /// The CPU finds them, and why.
    Failed(String),
}

/// What became of the GPU so far.
pub fn status() -> Status {
    let shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    match (&shared.failed, &shared.matcher) {
        (Some(reason), _) => Status::Failed(reason.clone()),
        (None, Some(has)) => Status::Used(has.matcher.gpu().name().to_owned()),
        (None, None) => Status::Unused,
    }
}

fn saturate(graph: &mut EGraph, rules: &Rules, limits: Limits) -> Saturation {
    saturate_with(graph, rules, limits, |graph, roots| find(graph, rules, roots))
}

fn find(graph: &EGraph, rules: &Rules, roots: &[Root]) -> Vec<Match> {
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if shared.failed.is_none() {
        match on_gpu(&mut shared, graph, *rules, roots) {
            Ok(matches) => return matches,
            Err(error) => {
                tracing::warn!("{error}; the CPU matches instead");
                shared.failed = Some(error.to_string());
                shared.matcher = None;
            }
        }
    }
    drop(shared);
    let mut matches = Vec::new();
    for (class, node) in roots {
        rules.match_node(graph, *class, node, &mut matches);
    }
    matches
}

fn on_gpu(
    shared: &mut Shared,
    graph: &EGraph,
    rules: Rules,
    roots: &[Root],
) -> Result<Vec<Match>, GpuError> {
    let digest = rules.digest();
    if shared.matcher.as_ref().is_none_or(|has| has.digest != digest) {
        let rules: Vec<_> =
            rules.sets().iter().map(|(first, set)| (*first, set.interpreter())).collect();
        let matcher = GpuMatcher::new(Gpu::open(None)?, &parts(&rules), CAPACITY)?;
        shared.matcher = Some(Standing { digest, rules, matcher });
    }
    let Some(Standing { rules, matcher, .. }) = &mut shared.matcher else { return Ok(Vec::new()) };
    Ok(matcher.matches(&parts(rules), graph, roots)?.matches)
}

fn parts<'p>(rules: &'p [(usize, Interpreter<'static>)]) -> Vec<Part<'p, 'static>> {
    rules.iter().map(|(first, interpreter)| (*first, interpreter)).collect()
}
