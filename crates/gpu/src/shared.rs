//! The GPUs that a process uses, opened when one is first needed: every adapter of the best kind there is. Functions that
//! are compiled side by side are matched side by side, each by an adapter that is free.
//!
//! Invariant: whatever fails, the others and in the end the CPU go on from there, and each reason is told once.

use crate::{Gpu, GpuError, GpuMatcher, Part};
use egraft_egraph::{EGraph, Limits, Matcher, Root, Rules, Saturation, Saturator, saturate_with};
use egraft_rules::{Interpreter, Match};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};

/// Records that there is room for at first.
const CAPACITY: usize = 1 << 16;

/// Saturates with the GPUs of this process where there are some that work.
pub const GPU: Saturator = Saturator::new("gpu", saturate);

/// An adapter.
#[derive(Debug)]
struct Seat {
    name: String,
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    /// Opened.
    Idle(Gpu),
    /// With rules and their digest.
    Ready { digest: u64, rules: Vec<(usize, Interpreter<'static>)>, matcher: Box<GpuMatcher> },
    /// Why it is used no more.
    Failed(String),
}

static SEATS: OnceLock<Result<Vec<Seat>, String>> = OnceLock::new();
/// Where to look for a free adapter first.
static TURN: AtomicUsize = AtomicUsize::new(0);

/// What the GPUs of this process are, once one was asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Status {
    /// None was asked for yet.
    Unused,
    /// Matches are found by these adapters.
    Used(Vec<String>),
    /// The CPU finds them, and why.
    Failed(String),
}

/// What became of the GPUs so far.
pub fn status() -> Status {
    let seats = match SEATS.get() {
        None => return Status::Unused,
        Some(Err(reason)) => return Status::Failed(reason.clone()),
        Some(Ok(seats)) => seats,
    };
    let (mut used, mut failed) = (Vec::new(), None);
    for seat in seats {
        match &*lock(&seat.state) {
            State::Idle(_) => {}
            State::Ready { .. } => used.push(seat.name.clone()),
            State::Failed(reason) => failed = Some(reason.clone()),
        }
    }
    match failed {
        Some(reason) if used.is_empty() => Status::Failed(reason),
        _ if used.is_empty() => Status::Unused,
        _ => Status::Used(used),
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn seats() -> &'static [Seat] {
    let opened = SEATS.get_or_init(|| match Gpu::open_all() {
        Ok(gpus) => {
            let seat =
                |gpu: Gpu| Seat { name: gpu.name().to_owned(), state: State::Idle(gpu).into() };
            Ok(gpus.into_iter().map(seat).collect())
        }
        Err(error) => {
            tracing::warn!("{error}; the CPU matches instead");
            Err(error.to_string())
        }
    });
    opened.as_deref().unwrap_or_default()
}

/// An adapter that works, one that is free if there is one.
fn take(seats: &[Seat]) -> Option<MutexGuard<'_, State>> {
    let works = |state: &MutexGuard<'_, State>| !matches!(**state, State::Failed(_));
    let first = TURN.fetch_add(1, Ordering::Relaxed);
    let in_turn = || (0..seats.len()).map(|at| &seats[(first + at) % seats.len()].state);
    let free = in_turn().find_map(|state| match state.try_lock() {
        Ok(state) => Some(state).filter(works),
        Err(TryLockError::Poisoned(state)) => Some(state.into_inner()).filter(works),
        Err(TryLockError::WouldBlock) => None,
    });
    free.or_else(|| in_turn().map(lock).find(works))
}

fn saturate(graph: &mut EGraph, rules: &Rules, limits: Limits) -> Saturation {
    saturate_with(graph, rules, limits, |graph, roots| find(graph, rules, roots))
}

fn find(graph: &EGraph, rules: &Rules, roots: &[Root]) -> Vec<Match> {
    while let Some(mut state) = take(seats()) {
        match on_gpu(&mut state, graph, *rules, roots) {
            Ok(matches) => return matches,
            Err(error) => {
                tracing::warn!("{error}; others match instead, in the end the CPU");
                *state = State::Failed(error.to_string());
            }
        }
    }
    let mut matches = Vec::new();
    for (class, node) in roots {
        rules.match_node(graph, *class, node, &mut matches);
    }
    matches
}

fn on_gpu(
    state: &mut State,
    graph: &EGraph,
    rules: Rules,
    roots: &[Root],
) -> Result<Vec<Match>, GpuError> {
    let digest = rules.digest();
    if !matches!(state, State::Ready { digest: has, .. } if *has == digest) {
        let interpreters: Vec<_> =
            rules.sets().iter().map(|(first, set)| (*first, set.interpreter())).collect();
        let matcher = match std::mem::replace(state, State::Failed(String::new())) {
            State::Idle(gpu) => Box::new(GpuMatcher::new(gpu, &parts(&interpreters), CAPACITY)?),
            State::Ready { mut matcher, .. } => {
                matcher.load(&parts(&interpreters))?;
                matcher
            }
            State::Failed(reason) => return Err(GpuError::Failed(reason)),
        };
        *state = State::Ready { digest, rules: interpreters, matcher };
    }
    let State::Ready { rules, matcher, .. } = state else { return Ok(Vec::new()) };
    Ok(matcher.matches(&parts(rules), graph, roots)?.matches)
}

fn parts<'p>(rules: &'p [(usize, Interpreter<'static>)]) -> Vec<Part<'p, 'static>> {
    rules.iter().map(|(first, interpreter)| (*first, interpreter)).collect()
}
