//! A function's extraction as JSON, for solvers that find the cheapest choice of nodes there is.

use crate::cost::CostModel;
use crate::extract::problem::{Alternatives, Needs, Possible, TooLarge};
use crate::optimize::{LowerOptions, extraction, initial_stats, refuse, rewritten, roots};
use crate::profile::Flow;
use crate::seed::Seeded;
use crate::shape::Context;
use cranelift_codegen::ir::{Block, Function};
use cranelift_codegen::isa::TargetIsa;
use egraft_egraph::Rules;
use egraft_ir::ClassId;
use egraft_rules::MatchGraph;
use rustc_hash::FxHashMap;
use serde_json::{Value as Json, json};

/// The extraction of `func` as [`optimize`](crate::optimize()) does it and what it found, written
/// out for an exact solver; see `bench/extraction`.
///
/// Costs are in 1/16 cycle weighted by loop level, as in [`Stats`](crate::Stats):
///
/// - `before`, `found`: of the function as it was, and as the search leaves it;
/// - `exhausted`: whether the search stopped for want of budget;
/// - `choices`: `class`, the text of its `nodes`, and which the search has `found`;
/// - `users`: what takes one tile. `root` ones do in any case, others if a tile taken reads them.
///   Of `tiles` one fits: each choice in `when` must have one of the nodes there, a tile has a
///   `cost` and `reads` users. `block` is where its `class` is computed, or read as an address or
///   condition; null for leaves and classes that only rules brought in, unless roots.
///
/// `None` for functions that `optimize` would not look at.
///
/// # Errors
/// [`TooLarge`] if a tile depends on too many choices at once.
#[doc(hidden)]
pub fn extraction_problem(
    func: &Function,
    isa: &dyn TargetIsa,
    options: &LowerOptions,
) -> Result<Option<Json>, TooLarge> {
    let flow = Flow::new(func);
    if refuse(func, options, &initial_stats(func, &flow)).is_some() {
        return Ok(None);
    }
    let (seeded, ..) = rewritten(func, &flow, options);
    let graph = seeded.rewriter.graph();
    let model = CostModel::new(isa);
    let mut extraction = extraction(func, &flow, &seeded, graph, &model);
    let (before, found) = extraction.improve();
    let problem = extraction.problem()?;
    let chosen: Vec<usize> = problem.choices.iter().map(|choice| choice.found).collect();
    assert_eq!(problem.cost(&chosen), Some(found), "the problem is not the one that was searched");
    let blocks = Blocks::new(func, &flow, &seeded);
    let users = problem.users.iter().map(|user| user_json(user, blocks.of(user)));
    Ok(Some(json!({
        "before": before,
        "found": found,
        "exhausted": extraction.is_exhausted(),
        "choices": problem.choices.iter().map(choice_json).collect::<Vec<_>>(),
        "users": users.collect::<Vec<_>>(),
    })))
}

/// Where classes are computed and roots read.
struct Blocks {
    classes: FxHashMap<ClassId, Block>,
    roots: Vec<Block>,
}

impl Blocks {
    fn new(func: &Function, flow: &Flow, seeded: &Seeded<'_, Rules>) -> Blocks {
        let graph = seeded.rewriter.graph();
        let mut classes = FxHashMap::default();
        for inst in &seeded.pure {
            let class = seeded.class_of[func.dfg.first_result(*inst)];
            let (Some(class), Some(block)) = (class, func.layout.inst_block(*inst)) else {
                continue;
            };
            let known = classes.entry(graph.find(class)).or_insert(block);
            if flow.level(block) > flow.level(*known) {
                *known = block;
            }
        }
        let roots = roots(func, flow, seeded, graph).into_iter().map(|(block, _)| block);
        Blocks { classes, roots: roots.collect() }
    }

    /// The block of a user; `None` for leaves and what only rules brought in, unless roots.
    fn of(&self, user: &Needs) -> Option<Block> {
        let computed = match user.context {
            Context::Value => self.classes.get(&user.class).copied(),
            Context::Address | Context::Branch => None,
        };
        computed.or_else(|| user.root.map(|root| self.roots[root]))
    }
}

fn choice_json(choice: &Alternatives) -> Json {
    let nodes: Vec<String> = choice.nodes.iter().map(ToString::to_string).collect();
    json!({ "class": choice.class.to_string(), "nodes": nodes, "found": choice.found })
}

fn user_json(user: &Needs, block: Option<Block>) -> Json {
    let tile =
        |tile: &Possible| json!({ "when": tile.when, "cost": tile.cost, "reads": tile.reads });
    json!({
        "class": user.class.to_string(),
        "root": user.root.is_some(),
        "block": block.map(|block| block.to_string()),
        "tiles": user.tiles.iter().map(tile).collect::<Vec<_>>(),
    })
}
