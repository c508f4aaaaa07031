//! A question for a solver, as SMT-LIB text.
//!
//! The text depends on the shape of terms alone, not on names or on which lane they speak of: so
//! the same proof for each lane is one text, and its hash names it in the proof cache.

use super::term::{Kind, Term, Terms, VarId};
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::BTreeMap;
use std::fmt::Write;

/// A run of bits of a variable that a query speaks of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Symbol {
    /// The variable.
    pub var: VarId,
    /// Its lowest bit.
    pub low: u32,
    /// Number of bits.
    pub width: u32,
}

/// Whether some truth values can all hold at once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Query {
    /// Declarations, definitions and assertions, one a line.
    pub text: String,
    /// What the symbols `s0`, `s1`, … stand for, in order.
    pub symbols: Vec<Symbol>,
}

impl Query {
    /// The query whether all of `asserted` can hold.
    pub fn new(terms: &Terms, asserted: &[Term]) -> Query {
        let order = reachable(terms, asserted);
        let runs = runs(terms, &order);
        let mut writer = Writer {
            terms,
            runs,
            names: FxHashMap::default(),
            symbols: Vec::new(),
            symbol_of: FxHashMap::default(),
            functions: BTreeMap::new(),
            body: String::new(),
            declared: String::new(),
        };
        for term in order {
            writer.define(term);
        }
        for term in asserted {
            let _ = writeln!(writer.body, "(assert {})", writer.names[term]);
        }
        let mut text = format!("(set-logic {})\n", writer.logic());
        text.push_str(&writer.declared);
        for (name, (params, result)) in &writer.functions {
            let params: Vec<String> = params.iter().map(|width| sort(*width)).collect();
            let _ = writeln!(text, "(declare-fun {name} ({}) {})", params.join(" "), sort(*result));
        }
        text.push_str(&writer.body);
        Query { text, symbols: writer.symbols }
    }

    /// The name of the query in the proof cache: the start of its text's SHA-256, in hexadecimal.
    pub fn hash(&self) -> String {
        hash(&self.text)
    }

    /// The name of a proof that went through cases of the query; never that of the query itself.
    pub fn hash_of_cases(&self) -> String {
        hash(&format!("; by cases\n{}", self.text))
    }
}

/// The start of a text's SHA-256, in hexadecimal.
fn hash(text: &str) -> String {
    use sha2::{Digest, Sha256};
    let digest = Sha256::digest(text.as_bytes());
    digest[..12].iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn sort(width: u32) -> String {
    format!("(_ BitVec {width})")
}

/// The terms that `roots` are made of, operands first.
fn reachable(terms: &Terms, roots: &[Term]) -> Vec<Term> {
    let mut order = Vec::new();
    let mut seen = FxHashSet::default();
    let mut stack: Vec<(Term, bool)> = roots.iter().rev().map(|root| (*root, false)).collect();
    while let Some((term, done)) = stack.pop() {
        if done {
            order.push(term);
        } else if seen.insert(term) {
            stack.push((term, true));
            stack.extend(terms.operands(term).into_iter().rev().map(|operand| (operand, false)));
        }
    }
    order
}

/// By variable: the maximal runs of bits that are read together.
fn runs(terms: &Terms, order: &[Term]) -> FxHashMap<VarId, Vec<(u32, u32)>> {
    let mut reads: FxHashMap<VarId, Vec<(u32, u32)>> = FxHashMap::default();
    let mut whole: FxHashSet<Term> = FxHashSet::default();
    for term in order {
        match *terms.kind(*term) {
            Kind::Extract(inner, low) => {
                if let Kind::Var(var) = *terms.kind(inner) {
                    reads.entry(var).or_default().push((low, low + terms.width(*term)));
                }
            }
            _ => {
                for operand in terms.operands(*term) {
                    if let Kind::Var(_) = terms.kind(operand) {
                        whole.insert(operand);
                    }
                }
            }
        }
    }
    for term in whole {
        if let Kind::Var(var) = *terms.kind(term) {
            reads.entry(var).or_default().push((0, terms.width(term)));
        }
    }
    for runs in reads.values_mut() {
        runs.sort_unstable();
        let mut merged: Vec<(u32, u32)> = Vec::new();
        for (low, high) in runs.drain(..) {
            match merged.last_mut() {
                Some(last) if low < last.1 => last.1 = last.1.max(high),
                _ => merged.push((low, high)),
            }
        }
        *runs = merged;
    }
    reads
}

struct Writer<'a> {
    terms: &'a Terms,
    runs: FxHashMap<VarId, Vec<(u32, u32)>>,
    names: FxHashMap<Term, String>,
    symbols: Vec<Symbol>,
    symbol_of: FxHashMap<(VarId, u32), usize>,
    functions: BTreeMap<String, (Vec<u32>, u32)>,
    body: String,
    declared: String,
}

impl Writer<'_> {
    fn logic(&self) -> &'static str {
        match (self.terms.floats.ieee, self.functions.is_empty()) {
            (true, _) => "ALL",
            (false, true) => "QF_BV",
            (false, false) => "QF_UFBV",
        }
    }

    /// Gives a term a name, and defines it where that is not its text.
    fn define(&mut self, term: Term) {
        let text = match self.terms.kind(term) {
            // Read through its runs.
            Kind::Var(var) => match self.runs.get(var).map(Vec::as_slice) {
                Some([(0, high)]) if *high == self.terms.width(term) => self.symbol(*var, 0),
                _ => return,
            },
            Kind::Const(bits) => format!("(_ bv{bits} {})", self.terms.width(term)),
            Kind::Bool(holds) => holds.to_string(),
            Kind::Extract(inner, low) => match *self.terms.kind(*inner) {
                Kind::Var(var) => self.part(var, *low, self.terms.width(term)),
                _ => self.expression(term),
            },
            _ => self.expression(term),
        };
        let simple = !text.starts_with('(') || matches!(self.terms.kind(term), Kind::Const(_));
        if simple {
            self.names.insert(term, text);
            return;
        }
        let name = format!("t{}", self.names.len());
        let sort = match self.terms.width(term) {
            0 => "Bool".to_owned(),
            width => sort(width),
        };
        let _ = writeln!(self.body, "(define-fun {name} () {sort} {text})");
        self.names.insert(term, name);
    }

    /// The symbol of the run that has bit `low` of `var`.
    fn symbol(&mut self, var: VarId, low: u32) -> String {
        let (first, end) = *self.runs[&var]
            .iter()
            .find(|(first, end)| (*first..*end).contains(&low))
            .expect("every read is in a run");
        let symbols = &mut self.symbols;
        let declared = &mut self.declared;
        let at = *self.symbol_of.entry((var, first)).or_insert_with(|| {
            symbols.push(Symbol { var, low: first, width: end - first });
            let at = symbols.len() - 1;
            let _ = writeln!(declared, "(declare-const s{at} {})", sort(end - first));
            at
        });
        format!("s{at}")
    }

    fn part(&mut self, var: VarId, low: u32, width: u32) -> String {
        let name = self.symbol(var, low);
        let number: usize = name[1..].parse().expect("symbols are numbered");
        let symbol = self.symbols[number];
        if symbol.width == width {
            return name;
        }
        let low = low - symbol.low;
        format!("((_ extract {} {low}) {name})", low + width - 1)
    }

    fn expression(&mut self, term: Term) -> String {
        let terms = self.terms;
        let width = terms.width(term);
        let name = |operand: &Term| self.names[operand].as_str();
        match terms.kind(term) {
            Kind::Extract(x, low) => format!("((_ extract {} {low}) {})", low + width - 1, name(x)),
            Kind::Concat(a, b) => format!("(concat {} {})", name(a), name(b)),
            Kind::Sext(x) => format!("((_ sign_extend {}) {})", width - terms.width(*x), name(x)),
            Kind::Not(x) => format!("(bvnot {})", name(x)),
            Kind::Bin(op, a, b) => format!("({} {} {})", op.name(), name(a), name(b)),
            Kind::Ite(c, a, b) => format!("(ite {} {} {})", name(c), name(a), name(b)),
            Kind::Eq(a, b) => format!("(= {} {})", name(a), name(b)),
            Kind::Ult(a, b) => format!("(bvult {} {})", name(a), name(b)),
            Kind::Slt(a, b) => format!("(bvslt {} {})", name(a), name(b)),
            Kind::BoolNot(a) => format!("(not {})", name(a)),
            Kind::BoolAnd(a, b) => format!("(and {} {})", name(a), name(b)),
            Kind::BoolOr(a, b) => format!("(or {} {})", name(a), name(b)),
            Kind::Apply(function, args) => {
                let names: Vec<&str> = args.iter().map(name).collect();
                let widths: Vec<u32> = args.iter().map(|arg| terms.width(*arg)).collect();
                if terms.floats.ieee
                    && let Some(text) = ieee(function, &names, &widths, width)
                {
                    return text;
                }
                let mut full = (*function).to_owned();
                for width in widths.iter().chain([&width]) {
                    let _ = write!(full, "_{width}");
                }
                let text = match names.is_empty() {
                    true => full.clone(),
                    false => format!("({full} {})", names.join(" ")),
                };
                self.functions.insert(full, (widths, width));
                text
            }
            Kind::Var(_) | Kind::Const(_) | Kind::Bool(_) => unreachable!("`define` writes leaves"),
        }
    }
}

/// A float operation as IEEE 754 has it, in SMT-LIB's theory of floats; `fp.to_ieee_bv` is Z3's.
fn ieee(function: &str, args: &[&str], widths: &[u32], width: u32) -> Option<String> {
    let format = |width: u32| if width == 32 { "8 24" } else { "11 53" };
    let float = |at: usize| format!("((_ to_fp {}) {})", format(widths[at]), args[at]);
    let bits = |text: String| Some(format!("(fp.to_ieee_bv {text})"));
    match function {
        "fadd" | "fsub" | "fmul" | "fdiv" => {
            bits(format!("(fp.{} RNE {} {})", &function[1..], float(0), float(1)))
        }
        "fsqrt" => bits(format!("(fp.sqrt RNE {})", float(0))),
        "ffma" => bits(format!("(fp.fma RNE {} {} {})", float(0), float(1), float(2))),
        "fconvert" => bits(format!("((_ to_fp {}) RNE {})", format(width), float(0))),
        "from_signed" => bits(format!("((_ to_fp {}) RNE {})", format(width), args[0])),
        "to_signed" => Some(format!("((_ fp.to_sbv {width}) RTZ {})", float(0))),
        "to_unsigned" => Some(format!("((_ fp.to_ubv {width}) RTZ {})", float(0))),
        _ => None,
    }
}
