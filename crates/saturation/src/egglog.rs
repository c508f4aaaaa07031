//! egglog 3.

use crate::egg::commuting;
use crate::{Bounds, End, Outcome, PeerError, Symbols, Term, Workload, plain_rules};
use egglog::{EGraph, Value, Write as _};
use std::fmt::Write as _;
use std::time::Instant;

/// A symbol without operands is a number of `Leaf`; one with operands is a constructor.
fn constructor(symbol: u32) -> String {
    // No name of egglog's own.
    format!("op_{symbol}")
}

fn text(term: &Term) -> String {
    match term {
        Term::Var(var) => format!("x{var}"),
        Term::Node(symbol, args) if args.is_empty() => format!("(Leaf {symbol})"),
        Term::Node(symbol, args) => {
            let args: String = args.iter().map(|arg| format!(" {}", text(arg))).collect();
            format!("({}{args})", constructor(*symbol))
        }
    }
}

/// Runs a workload.
///
/// # Errors
/// [`PeerError`] if a rule is not plain or egglog fails.
pub fn run_egglog(workload: &Workload, bounds: Bounds) -> Result<Outcome, PeerError> {
    let mut symbols = Symbols::default();
    let mut rules = plain_rules(&workload.rules, &mut symbols).map_err(PeerError::NotPlain)?;
    let numbers: Vec<u32> = workload.nodes.iter().map(|node| symbols.number(node)).collect();
    rules.extend(commuting(&symbols));
    // Opaque nodes have as many operands as they were given.
    let mut arities: Vec<usize> = symbols.heads().iter().map(|head| head.op.arity()).collect();
    for (node, symbol) in workload.nodes.iter().zip(&numbers) {
        arities[*symbol as usize] = node.args().len();
    }
    let inner = || (0..).zip(&arities).filter(|(_, arity)| **arity > 0);
    let mut program = "(datatype E (Leaf i64)".to_owned();
    for (symbol, arity) in inner() {
        let _ = write!(program, " ({}{})", constructor(symbol), " E".repeat(*arity));
    }
    program += ")\n";
    for rule in &rules {
        let _ = writeln!(program, "(rewrite {} {})", text(&rule.lhs), text(&rule.rhs));
    }
    let mut graph = EGraph::new(bounds.threads);
    let failed = |error: egglog::Error| PeerError::Egglog(Box::new(error));
    graph.parse_and_run_program(None, &program).map_err(failed)?;
    graph
        .update(|mut state| {
            let mut values: Vec<Value> = Vec::with_capacity(numbers.len());
            for (node, symbol) in workload.nodes.iter().zip(&numbers) {
                let args: Vec<Value> = node.args().iter().map(|arg| values[arg.index()]).collect();
                values.push(match args[..] {
                    [] => state.add("Leaf", (i64::from(*symbol),))?,
                    [a] => state.add(&constructor(*symbol), (a,))?,
                    [a, b] => state.add(&constructor(*symbol), (a, b))?,
                    [a, b, c, ..] => state.add(&constructor(*symbol), (a, b, c))?,
                });
            }
            Ok(())
        })
        .map_err(failed)?;
    let start = Instant::now();
    let mut iterations = 0;
    let end = loop {
        if iterations == bounds.iterations || graph.num_tuples() >= bounds.nodes {
            break End::Limit;
        }
        if start.elapsed() >= bounds.time {
            break End::Time;
        }
        iterations += 1;
        if !graph.step_rules("").map_err(failed)?.updated {
            break End::Saturated;
        }
    };
    let seconds = start.elapsed().as_secs_f64();
    let mut classes = rustc_hash::FxHashSet::default();
    let names = inner().map(|(symbol, _)| constructor(symbol)).chain(["Leaf".to_owned()]);
    for name in names {
        graph
            .constructor_enodes(&name, |node| {
                classes.insert(node.eclass);
            })
            .map_err(failed)?;
    }
    let nodes = graph.num_tuples();
    Ok(Outcome { end, nodes, classes: classes.len(), iterations, seconds })
}
