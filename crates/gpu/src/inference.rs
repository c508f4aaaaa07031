//! What rule inference asks of a GPU: fingerprints of terms and matches of the rules that it has so far.
//!
//! Invariant: whatever fails, nothing is answered, the reason is told once, and the CPU goes on.

use crate::{Gpu, GpuError, GpuMatcher, GpuTerms, Part};
use egraft_egraph::{EGraph, Root};
use egraft_ir::{Fingerprint, Node, Term};
use egraft_rules::{Interpreter, Match};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Records of matches that there is room for at first.
const CAPACITY: usize = 1 << 12;

/// A GPU for inference.
#[derive(Debug)]
pub struct GpuInference {
    adapter: Option<String>,
    standing: Mutex<Standing>,
}

#[derive(Debug, Default)]
struct Standing {
    terms: Option<(Gpu, Option<GpuTerms>)>,
    /// The matcher, and which edition of the rules it has.
    matcher: Option<(u64, GpuMatcher)>,
    /// How much was done.
    done: GpuShare,
    failed: Option<String>,
}

/// What a GPU did for inference.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct GpuShare {
    /// Terms whose fingerprints it made.
    pub terms: usize,
    /// Searches for matches.
    pub searches: usize,
}

impl GpuInference {
    /// Uses the first adapter, or the first with `adapter` in its name. It is opened when it is needed first.
    pub fn new(adapter: Option<String>) -> GpuInference {
        GpuInference { adapter, standing: Mutex::default() }
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self) -> Result<Gpu, GpuError> {
        Gpu::open(self.adapter.as_deref())
    }

    /// What the GPU did so far, or why it is used no more.
    ///
    /// # Errors
    /// The reason.
    pub fn share(&self) -> Result<GpuShare, String> {
        let standing = self.standing();
        standing.failed.clone().map_or(Ok(standing.done), Err)
    }

    fn try_on<T>(&self, work: impl FnOnce(&mut Standing) -> Result<T, GpuError>) -> Option<T> {
        let mut standing = self.standing();
        if standing.failed.is_some() {
            return None;
        }
        match work(&mut standing) {
            Ok(done) => Some(done),
            Err(error) => {
                tracing::warn!("{error}; the CPU infers instead");
                *standing = Standing { failed: Some(error.to_string()), ..Standing::default() };
                None
            }
        }
    }

    /// Fingerprints as [`GpuTerms::fingerprints`] gives them, of the terms whose ops there is code for; `None` for others, and
    /// for all if the GPU fails.
    pub fn fingerprints(
        &self,
        ops: &[Node],
        values: &[u128],
        samples: usize,
        terms: &[Term],
    ) -> Vec<Option<Option<Fingerprint>>> {
        let mut all = vec![None; terms.len()];
        let mut mine: Vec<usize> = Vec::new();
        let prints = self.try_on(|standing| {
            if standing.terms.is_none() {
                standing.terms = Some((self.open()?, None));
            }
            let Some((gpu, has)) = &mut standing.terms else { return Ok(Vec::new()) };
            let made = match has.take() {
                Some(made) if made.ops() == ops => made,
                _ => GpuTerms::new(gpu, ops)?,
            };
            let made = has.insert(made);
            mine = (0..terms.len()).filter(|at| made.has(terms[*at].op as usize)).collect();
            let terms: Vec<Term> = mine.iter().map(|at| terms[*at]).collect();
            if terms.is_empty() {
                return Ok(Vec::new());
            }
            standing.done.terms += terms.len();
            made.fingerprints(gpu, values, samples, &terms)
        });
        for (at, print) in mine.into_iter().zip(prints.unwrap_or_default()) {
            all[at] = Some(print);
        }
        all
    }

    /// The matches of rules, in the order in which the CPU finds them; `None` if the GPU fails. Rules of one `edition` are
    /// the same.
    pub fn matches(
        &self,
        edition: u64,
        rules: &Interpreter<'_>,
        graph: &EGraph,
        roots: &[Root],
    ) -> Option<Vec<Match>> {
        let parts: [Part<'_, '_>; 1] = [(0, rules)];
        self.try_on(|standing| {
            let (has, mut matcher) = match standing.matcher.take() {
                Some(standing) => standing,
                None => (edition, GpuMatcher::new(self.open()?, &parts, CAPACITY)?),
            };
            if has != edition {
                matcher.load(&parts)?;
            }
            let (_, matcher) = standing.matcher.insert((edition, matcher));
            standing.done.searches += 1;
            Ok(matcher.matches(&parts, graph, roots)?.matches)
        })
    }
}
