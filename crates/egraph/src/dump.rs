//! Pictures of a graph: Graphviz, and the JSON that egraph-serialize reads.

use crate::graph::EGraph;
use egraft_ir::{ClassId, Node, Op};
use egraft_rules::MatchGraph;
use serde_json::{Map, Value, json};
use std::fmt::Write;

/// The graph for Graphviz: a box per class, a node per e-node, an edge per operand.
pub fn to_dot(graph: &EGraph, roots: &[ClassId]) -> String {
    let mut text =
        String::from("digraph egraph {\n  compound=true; rankdir=BT; node [shape=box];\n");
    for class in graph.classes() {
        let style = if is_root(graph, roots, class) { "bold" } else { "dotted" };
        let _ =
            writeln!(text, "  subgraph cluster_{} {{ label=\"{class}\"; style={style};", class.0);
        for (at, node) in graph.nodes(class).iter().enumerate() {
            let _ = writeln!(text, "    n{}_{at} [label=\"{}\"];", class.0, label(node));
        }
        text.push_str("  }\n");
        for (at, node) in graph.nodes(class).iter().enumerate() {
            for arg in node.args() {
                let arg = graph.find(*arg);
                let _ = writeln!(
                    text,
                    "  n{}_{at} -> n{}_0 [lhead=cluster_{}];",
                    class.0, arg.0, arg.0
                );
            }
        }
    }
    text.push_str("}\n");
    text
}

/// The graph in egraph-serialize's JSON: `nodes` by id with op, children, class and cost.
///
/// `cost` gives a node's own cost; children name the first node of each operand class, as the
/// format asks.
pub fn to_json(graph: &EGraph, roots: &[ClassId], cost: impl Fn(&Node) -> f64) -> Value {
    let mut nodes = Map::new();
    for class in graph.classes() {
        for (at, node) in graph.nodes(class).iter().enumerate() {
            let children: Vec<String> =
                node.args().iter().map(|arg| format!("{}.0", graph.find(*arg).0)).collect();
            nodes.insert(
                format!("{}.{at}", class.0),
                json!({
                    "op": label(node),
                    "children": children,
                    "eclass": class.0.to_string(),
                    "cost": cost(node),
                }),
            );
        }
    }
    let roots: Vec<String> = (roots.iter().map(|root| graph.find(*root).0.to_string())).collect();
    json!({ "nodes": nodes, "root_eclasses": roots, "class_data": {} })
}

fn is_root(graph: &EGraph, roots: &[ClassId], class: ClassId) -> bool {
    roots.iter().any(|root| graph.find(*root) == class)
}

/// The node without its operands: op, types and immediate.
fn label(node: &Node) -> String {
    let mut bare = *node;
    bare.args = [ClassId::NONE; 3];
    match node.op {
        Op::Leaf => format!("leaf {}", node.imm),
        _ => bare.to_string(),
    }
}
