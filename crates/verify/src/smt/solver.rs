//! A solver as a process: text in, verdict and values out.

use super::query::Query;
use easy_smt::{Context, ContextBuilder, SExpr, SExprData};
use std::io;

/// How many queries a process answers before it is replaced: what it was told takes memory.
const QUERIES_PER_PROCESS: usize = 400;

/// Which solver.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum SolverKind {
    /// Z3, the program `z3`.
    #[default]
    Z3,
    /// cvc5, the program `cvc5`. It has no answer for IEEE float queries here.
    Cvc5,
}

impl SolverKind {
    /// The program's name.
    pub const fn name(self) -> &'static str {
        match self {
            SolverKind::Z3 => "z3",
            SolverKind::Cvc5 => "cvc5",
        }
    }
}

/// A solver could not be used.
#[derive(Debug, thiserror::Error)]
pub enum SolverError {
    /// It could not be started.
    #[error("`{program}` cannot be started ({source}); `scripts/setup` installs it")]
    Start {
        /// The program.
        program: &'static str,
        /// Why.
        source: io::Error,
    },
    /// It ended, or said what cannot be understood.
    #[error("`{program}` broke off ({source}); its query is kept in the error: {query}")]
    Broken {
        /// The program.
        program: &'static str,
        /// The first lines of the query.
        query: String,
        /// Why.
        source: io::Error,
    },
}

/// What a solver said of a query.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// Not all can hold.
    Unsat,
    /// All hold with these values of the query's symbols.
    Sat(Vec<u128>),
    /// It does not know, and why.
    Unknown(String),
}

/// A running solver.
pub struct Solver {
    kind: SolverKind,
    timeout_ms: u32,
    context: Context,
    answered: usize,
}

impl std::fmt::Debug for Solver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Solver").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl Solver {
    /// Starts a solver that gives each query `timeout_ms` milliseconds.
    ///
    /// # Errors
    /// [`SolverError::Start`] if the program is not there.
    pub fn start(kind: SolverKind, timeout_ms: u32) -> Result<Solver, SolverError> {
        let context = start(kind, timeout_ms)
            .map_err(|source| SolverError::Start { program: kind.name(), source })?;
        Ok(Solver { kind, timeout_ms, context, answered: 0 })
    }

    /// What the solver says of `query` in at most `timeout_ms` milliseconds, or in the time it was
    /// started with if that is less (cvc5: always that).
    ///
    /// # Errors
    /// [`SolverError`] if it broke off; it is started anew for the next query.
    pub fn ask(&mut self, query: &Query, timeout_ms: u32) -> Result<Answer, SolverError> {
        if self.answered >= QUERIES_PER_PROCESS {
            self.restart()?;
        }
        self.answered += 1;
        self.converse(query, timeout_ms.min(self.timeout_ms)).map_err(|source| {
            // The broken one is of no use; if no other can be had, the next query will say so.
            let _ = self.restart();
            let query = query.text.lines().take(3).collect::<Vec<_>>().join(" ");
            SolverError::Broken { program: self.kind.name(), query, source }
        })
    }

    fn restart(&mut self) -> Result<(), SolverError> {
        *self = Solver::start(self.kind, self.timeout_ms)?;
        Ok(())
    }

    fn converse(&mut self, query: &Query, timeout_ms: u32) -> io::Result<Answer> {
        let send = |context: &mut Context, text: &str| {
            let atom = context.atom(text);
            context.raw_send(atom)
        };
        send(&mut self.context, "(reset)")?;
        if self.kind == SolverKind::Z3 {
            let timeout = format!("(set-option :timeout {timeout_ms})");
            send(&mut self.context, &timeout)?;
        } else {
            send(&mut self.context, "(set-option :produce-models true)")?;
        }
        send(&mut self.context, &query.text)?;
        send(&mut self.context, "(check-sat)")?;
        let said = self.context.raw_recv()?;
        let said = self.context.display(said).to_string();
        match said.as_str() {
            "unsat" => Ok(Answer::Unsat),
            "sat" => self.values(query).map(Answer::Sat),
            "unknown" | "timeout" => Ok(Answer::Unknown(format!("no answer in {timeout_ms} ms"))),
            other => Err(io::Error::other(other.to_owned())),
        }
    }

    fn values(&mut self, query: &Query) -> io::Result<Vec<u128>> {
        (0..query.symbols.len())
            .map(|at| {
                let ask = self.context.atom(format!("(get-value (s{at}))"));
                self.context.raw_send(ask)?;
                let said = self.context.raw_recv()?;
                value(&self.context, said)
                    .ok_or_else(|| io::Error::other(self.context.display(said).to_string()))
            })
            .collect()
    }
}

fn start(kind: SolverKind, timeout_ms: u32) -> io::Result<Context> {
    let limit = format!("--tlimit-per={timeout_ms}");
    let args: Vec<&str> = match kind {
        SolverKind::Z3 => vec!["-in", "-smt2"],
        SolverKind::Cvc5 => vec!["--quiet", "--incremental", "--lang=smt2", &limit],
    };
    let mut context = ContextBuilder::new().solver(kind.name()).solver_args(args).build()?;
    let quiet = context.atom("(set-option :print-success false)");
    context.raw_send(quiet)?;
    Ok(context)
}

/// The number in `((s0 #x12))`.
fn value(context: &Context, said: SExpr) -> Option<u128> {
    let SExprData::List([pair]) = context.get(said) else { return None };
    let SExprData::List([_, number]) = context.get(*pair) else { return None };
    match context.get(*number) {
        SExprData::Atom(text) => match text.split_at_checked(2)? {
            ("#x", digits) => u128::from_str_radix(digits, 16).ok(),
            ("#b", digits) => u128::from_str_radix(digits, 2).ok(),
            _ => None,
        },
        // (_ bv5 8)
        SExprData::List([_, number, _]) => {
            context.get_atom(*number)?.strip_prefix("bv")?.parse().ok()
        }
        _ => None,
    }
}
