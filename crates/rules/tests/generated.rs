//! Generated matchers compile, and find and build exactly what the interpreter does.

use egraft_ir::{Annotations, ClassId, Facts, KnownBits, Node, Op, Ty};
use egraft_rules::{
    BuildGraph, FactSource, Match, MatchGraph, RuleSet, Source, ToyGraph, build, compile_to_rust,
};
use std::collections::BTreeSet;
use std::path::Path;

#[path = "generated/matcher.rs"]
#[rustfmt::skip]
mod matcher;

fn rules() -> RuleSet {
    let text = include_str!("generated/rules.isle");
    RuleSet::parse(&[Source::new("rules.isle", text)]).unwrap_or_else(|errors| panic!("{errors}"))
}

#[test]
fn the_generated_file_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/generated/matcher.rs");
    let code = compile_to_rust(&rules());
    if std::env::var_os("EGRAFT_BLESS").is_some_and(|value| value == "1") {
        let temporary = path.with_extension("rs.new");
        std::fs::write(&temporary, code).unwrap();
        std::fs::rename(&temporary, &path).unwrap();
        return;
    }
    let old = std::fs::read_to_string(&path).unwrap();
    assert!(old == code, "EGRAFT_BLESS=1 cargo test -p egraft-rules rewrites {}", path.display());
}

/// A small deterministic generator.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((self.0 >> 33) % end as u64) as usize
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

/// A graph of random nodes over few leaves, in which equal values are often one class.
fn random_graph(random: &mut Random) -> ToyGraph {
    let mut graph = ToyGraph::default();
    let types = [Ty::I32, Ty::I8X16];
    for ty in types {
        for value in [0, 1, 2, 6, 0x0101_0101, ty.mask(), ty.mask() - 1] {
            graph.add(Node::constant(ty, value));
        }
        for lane in [1, 2, 3, 0xffff] {
            build::splat(&mut graph, Ty::I16X8, lane);
        }
        for value in [0, 2, 5, ty.mask() / 255] {
            graph.leaf(ty, value, KnownBits { zeros: !value & !7, ones: value & !7 });
        }
    }
    build::splat(&mut graph, Ty::I8, 3);
    let equal = Ty::I8X16.splat_bits(34);
    let uniform = graph.leaf(Ty::I8X16, equal, KnownBits::unknown());
    let annotations = Annotations::of_value(equal);
    graph.know(uniform, Facts { annotations, ..Facts::unknown() });
    let ops = [
        (Op::Iadd, 6),
        (Op::Isub, 4),
        (Op::Imul, 4),
        (Op::Ineg, 3),
        (Op::Bnot, 5),
        (Op::Band, 3),
        (Op::Ushr, 3),
        (Op::Icmp, 4),
        (Op::Bitselect, 6),
        (Op::Shuffle, 4),
        (Op::Uextend, 2),
        (Op::Ireduce, 3),
    ];
    let weighted: Vec<Op> = ops.iter().flat_map(|(op, n)| std::iter::repeat_n(*op, *n)).collect();
    for _ in 0..120 {
        let op = random.of(&weighted);
        let ty = random.of(&[Ty::I8, Ty::I32, Ty::I64, Ty::I16X8, Ty::I16X8, Ty::I8X16]);
        let from = random.of(&[Ty::I8, Ty::I32, Ty::I64]);
        let imm = match op {
            Op::Icmp => random.below(10) as u128,
            Op::Shuffle => random.of(&[
                0x0f0e0d0c0b0a09080706050403020100,
                0x17071606150514041303120211011000,
                0,
            ]),
            _ => 0,
        };
        let all: Vec<_> = graph.ids().collect();
        // Recent classes are favoured, so that terms nest.
        let args: Vec<_> = (0..op.arity())
            .map(|_| {
                if random.below(2) == 0 {
                    all[random.below(all.len())]
                } else {
                    all[all.len() - 1 - random.below(12)]
                }
            })
            .collect();
        put(&mut graph, op, ty, from, imm, &args);
    }
    // Shapes that chance seldom makes.
    let (x, y) = (graph.add(Node::constant(Ty::I32, 6)), ClassId(random.below(20) as u32));
    let amount = build::splat(&mut graph, Ty::I8, 3);
    let low = graph.add(Node::constant(Ty::I32, u128::from(u32::MAX >> 3)));
    let minus_two = graph.add(Node::constant(Ty::I32, Ty::I32.mask() - 1));
    let byte = graph.leaf(Ty::I8, 77, KnownBits::unknown());
    if let Some(shifted) = put(&mut graph, Op::Ushr, Ty::I32, Ty::I32, 0, &[y, amount]) {
        put(&mut graph, Op::Band, Ty::I32, Ty::I32, 0, &[low, shifted]);
    }
    if let Some(two) = put(&mut graph, Op::Ineg, Ty::I32, Ty::I32, 0, &[minus_two]) {
        put(&mut graph, Op::Imul, Ty::I32, Ty::I32, 0, &[two, x]);
    }
    if let Some(wide) = put(&mut graph, Op::Uextend, Ty::I32, Ty::I8, 0, &[byte]) {
        put(&mut graph, Op::Ireduce, Ty::I8, Ty::I32, 0, &[wide]);
    }
    let slt = egraft_ir::IntCc::Slt as u128;
    let vectors: Vec<_> =
        graph.ids().filter(|id| FactSource::class_type(&graph, *id) == Ty::I8X16).collect();
    let (x, y) = (random.of(&vectors), random.of(&vectors));
    if let Some(less) = put(&mut graph, Op::Icmp, Ty::I16X8, Ty::I16X8, slt, &[x, y]) {
        put(&mut graph, Op::Bitselect, Ty::I8X16, Ty::I8X16, 0, &[less, x, y]);
    }
    graph
}

/// Adds a node if its types fit; equal values become one class, as after unions.
fn put(
    graph: &mut ToyGraph,
    op: Op,
    ty: Ty,
    from: Ty,
    imm: u128,
    args: &[ClassId],
) -> Option<ClassId> {
    let class = build::op(graph, op, ty, from, imm, args)?;
    let ty = FactSource::class_type(graph, class);
    let twin = graph.ids().find(|twin| {
        graph.value(*twin) == graph.value(class) && FactSource::class_type(graph, *twin) == ty
    })?;
    let node = graph.nodes(class)[0];
    assert!(twin == class || graph.add_to(twin, node));
    Some(twin)
}

#[test]
fn generated_and_interpreted_matches_agree() {
    let set = rules();
    let interpreter = set.interpreter();
    let (mut total, mut seen) = (0, BTreeSet::new());
    for seed in 0..2000 {
        let mut graph = random_graph(&mut Random(seed));
        let (mut interpreted, mut generated): (Vec<Match>, Vec<Match>) = Default::default();
        for class in graph.ids() {
            for node in graph.nodes(class) {
                interpreter.match_node(&graph, node, class, &mut interpreted);
                matcher::match_node(&graph, node, class, &mut generated);
            }
        }
        assert_eq!(interpreted, generated, "seed {seed}");
        for found in &generated {
            seen.insert(found.rule);
            let left = graph.value(found.class);
            let slow = interpreter.instantiate(&mut graph, found);
            let fast = matcher::instantiate(&mut graph, found);
            assert_eq!(slow, fast, "seed {seed}, {found:?}");
            if let Some(right) = fast {
                let rule = matcher::RULES[found.rule.index()].name;
                assert_eq!(graph.value(right), left, "seed {seed}, {rule}");
            }
        }
        total += generated.len();
    }
    let unseen: Vec<_> =
        set.rules.iter().filter(|rule| !seen.contains(&rule.id)).map(|rule| &rule.name).collect();
    assert!(unseen.is_empty(), "never matched: {unseen:?}");
    assert!(total > 20_000, "only {total} matches");
}
