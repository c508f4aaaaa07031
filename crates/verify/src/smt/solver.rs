//! A solver as a process: text in, verdict and values out.

use super::query::Query;
use easy_smt::{Context, ContextBuilder, SExpr, SExprData};
use std::io;
use std::time::{Duration, Instant};

/// How many queries a process answers before it is replaced: what it was told takes memory.
const QUERIES_PER_PROCESS: usize = 400;

/// The least age at which a process is replaced before its next query.
const LEAST_AGE: Duration = Duration::from_secs(5);

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

/// A solver cannot be started.
#[derive(Debug, thiserror::Error)]
#[error("`{program}` cannot be started ({source}); `scripts/setup` installs it")]
pub struct SolverError {
    /// The program.
    program: &'static str,
    /// Why.
    source: io::Error,
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
    begun: Instant,
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
    /// [`SolverError`] if the program is not there.
    pub fn start(kind: SolverKind, timeout_ms: u32) -> Result<Solver, SolverError> {
        let context = start(kind, timeout_ms)
            .map_err(|source| SolverError { program: kind.name(), source })?;
        Ok(Solver { kind, timeout_ms, context, answered: 0, begun: Instant::now() })
    }

    /// The age at which a process that gives a query `timeout_ms` milliseconds is replaced.
    fn age(timeout_ms: u32) -> Duration {
        LEAST_AGE.max(4 * Duration::from_millis(timeout_ms.into()))
    }

    /// The age at which such a process ends itself, whatever it is doing: solvers look at the time of
    /// a query only now and then, and never in some of their steps.
    fn end(timeout_ms: u32) -> Duration {
        Solver::age(timeout_ms) + LEAST_AGE + 2 * Duration::from_millis(timeout_ms.into())
    }

    /// What the solver says of `query` in at most `timeout_ms` milliseconds, or in the time it was
    /// started with if that is less (cvc5: always that). If it breaks off, that is unknown.
    ///
    /// # Errors
    /// [`SolverError`] if it must be started anew and cannot be.
    pub fn ask(&mut self, query: &Query, timeout_ms: u32) -> Result<Answer, SolverError> {
        let is_old = self.begun.elapsed() > Solver::age(self.timeout_ms);
        if is_old || self.answered >= QUERIES_PER_PROCESS {
            self.restart()?;
        }
        self.answered += 1;
        match self.converse(query, timeout_ms.min(self.timeout_ms)) {
            Ok(answer) => Ok(answer),
            Err(error) => {
                self.restart()?;
                Ok(Answer::Unknown(format!("{} broke off: {error}", self.kind.name())))
            }
        }
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
            "unknown" => Ok(Answer::Unknown(format!("no answer in {timeout_ms} ms"))),
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
    let end = Solver::end(timeout_ms);
    let args: Vec<String> = match kind {
        SolverKind::Z3 => {
            vec!["-in".to_owned(), "-smt2".to_owned(), format!("-T:{}", end.as_secs())]
        }
        SolverKind::Cvc5 => vec![
            "--quiet".to_owned(),
            "--incremental".to_owned(),
            "--lang=smt2".to_owned(),
            format!("--tlimit-per={timeout_ms}"),
            format!("--tlimit={}", end.as_millis()),
        ],
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_solver_that_broke_off_is_started_anew() {
        let query = |text: &str| Query { text: text.to_owned(), symbols: Vec::new() };
        let mut solver = Solver::start(SolverKind::Z3, 1_000).expect("a solver");
        let said = solver.ask(&query("(exit)"), 1_000).expect("a new solver");
        assert!(
            matches!(&said, Answer::Unknown(why) if why.starts_with("z3 broke off")),
            "{said:?}"
        );
        let said = solver.ask(&query("(assert false)"), 1_000).expect("the new solver");
        assert_eq!(said, Answer::Unsat);
    }
}
