//! Idioms that mix lanes: sums of adjacent lanes, of products too, and ops that are done lane by
//! lane on scalars.
//!
//! Adjacent lanes are enumerated as one wide lane that holds two narrow ones; ops on single lanes
//! by their types. What does not hold is left to the checker.

use super::element::{SAMPLES, fingerprint};
use super::text::Draft;
use egraft_ir::{Op, Ty, TypeRule};
use rustc_hash::FxHashMap;

/// A term over two vectors whose wide lanes hold two narrow ones each.
struct Part {
    text: String,
    words: String,
    values: [u16; SAMPLES],
    ops: usize,
}

/// Bytes: the low and high lane of x, and those of y.
fn bytes() -> [[u8; 4]; SAMPLES] {
    let edges = [0, 1, 2, 127, 128, 129, 254, 255];
    let mut state = 0x2545_f491_4f6c_dd1du64;
    std::array::from_fn(|_| {
        std::array::from_fn(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            match state >> 61 {
                0..3 => edges[(state >> 40) as usize % edges.len()],
                _ => (state >> 32) as u8,
            }
        })
    })
}

fn extend(signed: bool, byte: u8) -> u16 {
    if signed { byte as i8 as u16 } else { u16::from(byte) }
}

fn sign(signed: bool) -> char {
    if signed { 's' } else { 'u' }
}

/// Ways to read one of two adjacent lanes of a variable, wide.
fn reads(bytes: &[[u8; 4]; SAMPLES], var: usize, shuffled: bool) -> Vec<Part> {
    let name = ["x", "y"][var];
    let mut parts = Vec::new();
    for odd in [false, true] {
        for signed in [false, true] {
            let values =
                std::array::from_fn(|at| extend(signed, bytes[at][2 * var + usize::from(odd)]));
            let parity = if odd { "odd" } else { "even" };
            let (text, ops) = match (shuffled, odd, signed) {
                (true, ..) => {
                    (format!("({}widen_low ty (shuffle {parity} {name} z{name}))", sign(signed)), 2)
                }
                (_, false, false) => (format!("(band wide {name} (k wide ones))"), 1),
                (_, false, true) => {
                    (format!("(sshr wide (ishl wide {name} (k $I32 width)) (k $I32 width))"), 2)
                }
                (_, true, false) => (format!("(ushr wide {name} (k $I32 width))"), 1),
                (_, true, true) => (format!("(sshr wide {name} (k $I32 width))"), 1),
            };
            let words = format!("{}ext({parity} {name})", sign(signed));
            parts.push(Part { text, words, values, ops });
        }
    }
    parts
}

/// Drafts for sums of adjacent lanes and of their products.
pub(super) fn sums() -> Vec<Draft> {
    let bytes = bytes();
    // Whole vectors widened by halves, whose adjacent lanes are added.
    let mut targets: FxHashMap<u64, (String, String)> = FxHashMap::default();
    let exts =
        |signed: bool, half: &str, name: &str| format!("({}widen_{half} ty {name})", sign(signed));
    for first in [false, true] {
        for second in [None, Some((0, false)), Some((0, true)), Some((1, false)), Some((1, true))] {
            let values: Vec<u16> = (0..SAMPLES)
                .map(|at| {
                    let lane = |odd: usize| {
                        let a = extend(first, bytes[at][odd]);
                        second.map_or(a, |(var, signed)| {
                            a.wrapping_mul(extend(signed, bytes[at][2 * var + odd]))
                        })
                    };
                    lane(0).wrapping_add(lane(1))
                })
                .collect();
            let half = |half: &str| {
                let a = exts(first, half, "x");
                second.map_or(a.clone(), |(var, signed)| {
                    format!("(imul wide {a} {})", exts(signed, half, ["x", "y"][var]))
                })
            };
            let text = format!("(iadd_pairwise wide {} {})", half("low"), half("high"));
            let words = match second {
                None => "widened lanes".to_owned(),
                Some(_) => "products of widened lanes".to_owned(),
            };
            targets.entry(fingerprint(&values)).or_insert((text, words));
        }
    }
    let mut drafts = Vec::new();
    for shuffled in [false, true] {
        let x = reads(&bytes, 0, shuffled);
        let y = reads(&bytes, 1, shuffled);
        let mut parts: Vec<Part> = Vec::new();
        for (at, a) in x.iter().enumerate() {
            for b in x[at..].iter().chain(&y) {
                let values = std::array::from_fn(|at| a.values[at].wrapping_mul(b.values[at]));
                parts.push(Part {
                    text: format!("(imul wide {} {})", a.text, b.text),
                    words: format!("{} * {}", a.words, b.words),
                    values,
                    ops: 1 + a.ops + b.ops,
                });
            }
        }
        let parts: Vec<Part> = x.into_iter().chain(parts).collect();
        for (at, a) in parts.iter().enumerate() {
            for b in &parts[at..] {
                let sum: [u16; SAMPLES] =
                    std::array::from_fn(|at| a.values[at].wrapping_add(b.values[at]));
                let Some((right, words)) = targets.get(&fingerprint(&sum)) else { continue };
                let left = format!("(iadd wide {} {})", a.text, b.text);
                let mut body = format!("(simplify {left})");
                body += if shuffled {
                    "\n      (if-let wide (widen_of ty))\n      (if-let even (mask_even ty))\n      (if-let odd (mask_odd ty))"
                } else {
                    "\n      (if-let ty (narrow_of wide))\n      (if-let width (lane_bits ty))"
                };
                if left.contains(" ones)") {
                    body += "\n      (if-let ones (lane_ones ty))";
                }
                drafts.push(Draft {
                    name: format!("lanes_adjacent_sum_{}", drafts.len()),
                    reason: format!("{} + {}: adjacent {words} are added.", a.words, b.words),
                    body: format!("{body}\n      {right}"),
                    sizes: (1 + a.ops + b.ops, 3),
                    rank: 0,
                });
            }
        }
    }
    drafts.sort_by_key(|draft| draft.sizes);
    drafts
}

fn name(ty: Ty) -> String {
    format!("${}", ty.name().to_uppercase())
}

/// Drafts for ops that are done lane by lane.
pub(super) fn rebuilt() -> Vec<Draft> {
    let mut drafts = Vec::new();
    let scalar = |ty: &Ty| !ty.is_vector() && Ty::vector_of(*ty).is_some();
    for op in Op::ALL.iter().copied().filter(|op| op.arity() == 1) {
        let convert = op.type_rule() == TypeRule::Convert;
        if !convert && op.type_rule() != TypeRule::Same {
            continue;
        }
        for (to, from) in op.type_pairs().filter(|(to, from)| scalar(to) && scalar(from)) {
            let (Some(vector), Some(source)) = (Ty::vector_of(to), Ty::vector_of(from)) else {
                continue;
            };
            if vector.lanes() > 4 {
                continue;
            }
            let lane = |index: u32| {
                let lane = format!("(extractlane {} {index} x)", name(source));
                match convert {
                    true => format!("({op} {} {} {lane})", name(to), name(from)),
                    false => format!("({op} {} {lane})", name(to)),
                }
            };
            // A vector with as many lanes as the result has: the source, or its low lanes widened.
            let mut operands = vec![(source, "x".to_owned())];
            if let Some(wide) = source.widened() {
                for widen in [Op::SwidenLow, Op::UwidenLow] {
                    operands.push((wide, format!("({widen} {} x)", name(source))));
                }
            }
            let mut rights = Vec::new();
            for (ty, operand) in &operands {
                match convert {
                    true if op.allows(vector, *ty) => {
                        rights.push(format!("({op} {} {} {operand})", name(vector), name(*ty)));
                    }
                    false if op.allows(vector, *ty) => {
                        rights.push(format!("({op} {} {operand})", name(vector)));
                    }
                    _ => {}
                }
            }
            if op == Op::Fpromote {
                rights.push("(fvpromote_low x)".to_owned());
            }
            for first in ["splat", "scalar_to_vector"] {
                for (at, right) in rights.iter().enumerate() {
                    let mut left = format!("({first} {} {})", name(vector), lane(0));
                    for index in 1..vector.lanes() {
                        left =
                            format!("(insertlane {} {index} {left} {})", name(vector), lane(index));
                    }
                    drafts.push(Draft {
                        name: format!("lanes_{op}_{to}_{from}_by_{first}_{at}"),
                        reason: format!(
                            "{op} of every lane by itself, put together again, is one op on vectors."
                        ),
                        body: format!("(simplify {left})\n      {right}"),
                        sizes: (3 * vector.lanes() as usize, 2),
                    rank: 0,
                    });
                }
            }
        }
    }
    drafts
}
