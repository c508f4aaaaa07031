//! Rules as shader code: what `shaders/saturate.wgsl` does with tables, done once for the tables there are.
//!
//! Invariant: `tried` and `walk` give what the interpreter's give, so that either may be used.

use super::tables::{Places, Tables};
use std::collections::BTreeMap;
use std::fmt::Write as _;

const BEGIN: &str = "// <RULES>";
const END: &str = "// </RULES>";
/// Cases of a switch at most.
const CASES: usize = 16;

/// The shader with code for these rules in the place of their interpreter.
pub(super) fn with_code(shader: &str, tables: &Tables) -> String {
    let (begin, end) = (shader.find(BEGIN).unwrap_or(0), shader.find(END).unwrap_or(0));
    let rules = Rules { words: &tables.words, places: tables.places };
    format!("{}{}{}{}", &shader[..begin], rules.tried(), rules.walk(), &shader[end..])
}

struct Rules<'t> {
    words: &'t [u32],
    places: Places,
}

impl Rules<'_> {
    fn rule(&self, rule: u32) -> &[u32] {
        &self.words[self.places.rules + 16 * rule as usize..][..16]
    }

    fn step(&self, at: u32) -> &[u32] {
        &self.words[self.places.steps + 4 * at as usize..][..4]
    }

    /// `tried`: by op, what many rules ask of a head or of operands is asked once.
    fn tried(&self) -> String {
        let by_op = self.words[self.places.ops..self.places.lists].chunks_exact(4);
        let with_rules = (0..).zip(by_op).filter(|(_, of_op)| of_op[1] > 0);
        let cases: Vec<(u32, String)> = with_rules
            .map(|(op, of_op)| {
                let first = self.places.lists + of_op[0] as usize;
                (op, self.tried_at(&self.words[first..][..of_op[1] as usize]))
            })
            .collect();
        let mut code =
            "fn tried(words: Words, ops: OperandOps, wanted: u32) -> Tried {\n".to_owned();
        code += "var tried = Tried(0u, NONE);\nlet op = words.head & 0xffu;\n";
        code += &choose("op", &cases);
        code + "return tried;\n}\n\n"
    }

    /// Of the rules of one op.
    fn tried_at(&self, rules: &[u32]) -> String {
        let mut by_head: BTreeMap<(u32, u32), BTreeMap<String, Vec<u32>>> = BTreeMap::new();
        for rule in rules {
            let words = self.rule(*rule);
            let same_head = by_head.entry((words[4], words[5])).or_default();
            same_head.entry(operands_asked(words)).or_default().push(*rule);
        }
        let mut code = String::new();
        for ((mask, is), by_operands) in by_head {
            let _ = writeln!(code, "if (words.head & {mask}u) == {is}u {{");
            for (asked, rules) in by_operands {
                let _ = writeln!(code, "if {asked} {{");
                for (place, rule) in rules.iter().enumerate() {
                    let is_wanted = format!("tried.many + {place}u == wanted");
                    let _ =
                        writeln!(code, "tried.rule = select(tried.rule, {rule}u, {is_wanted});");
                }
                let _ = writeln!(code, "tried.many += {}u;\n}}", rules.len());
            }
            code += "}\n";
        }
        code
    }

    /// `walk`: by the step at which it begins, straight-line code.
    fn walk(&self) -> String {
        let mut cases = Vec::new();
        // The last rule only adds constants; it has no left side.
        let rules = (self.places.steps - self.places.rules) / 16 - 1;
        for rule in 0..rules as u32 {
            let mut at = self.rule(rule)[0];
            loop {
                let (code, end) = Straight::new(self, rule, at).code();
                cases.push((at, code));
                if self.step(end)[0] & 0xff == 0 {
                    break;
                }
                at = end + 1;
            }
        }
        let begin = "fn walk(base: u32) -> Stop {\nlet at = items[base + 1u];\n";
        format!("{begin}{}return fails();\n}}\n", choose("at", &cases))
    }
}

/// Code by what a variable is, in ascending order; equal code that is near stands there once.
///
/// Mesa makes a switch into conditionals, one in the other, and llvmpipe forgets what is nested deeper than 80: so
/// switches are small, and stand at the leaves of a tree.
fn choose(variable: &str, cases: &[(u32, String)]) -> String {
    if cases.len() > CASES {
        let (low, high) = cases.split_at(cases.len() / 2);
        let first = high[0].0;
        let (low, high) = (choose(variable, low), choose(variable, high));
        return format!("if {variable} < {first}u {{\n{low}}} else {{\n{high}}}\n");
    }
    let mut by_code: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (is, code) in cases {
        by_code.entry(code).or_default().push(format!("{is}u"));
    }
    let mut code = format!("switch {variable} {{\n");
    for (case, values) in by_code {
        let _ = write!(code, "case {}: {{\n{case}}}\n", values.join(", "));
    }
    code + "default: {}\n}\n"
}

/// What a rule asks of the ops of operands' classes.
fn operands_asked(rule: &[u32]) -> String {
    let asked = |operand: &str, at: usize| match (rule[at], rule[at + 1]) {
        (0, 0) => None,
        (low, high) => Some(format!("has(ops.{operand}, vec2({low}u, {high}u))")),
    };
    let both = |tests: [Option<String>; 2]| {
        let tests: Vec<String> = tests.into_iter().flatten().collect();
        if tests.is_empty() { "true".to_owned() } else { tests.join(" && ") }
    };
    let straight = both([asked("a", 8), asked("b", 10)]);
    let first = if rule[14] == 0 {
        straight
    } else {
        format!("(({straight}) || ({}))", both([asked("b", 8), asked("a", 10)]))
    };
    both([Some(first), asked("c", 12)])
}

/// The steps of a rule from one on, up to its next loop or its end.
struct Straight<'t> {
    rules: &'t Rules<'t>,
    rule: u32,
    first: u32,
    code: String,
    /// What has a name already.
    named: Vec<String>,
}

impl<'t> Straight<'t> {
    fn new(rules: &'t Rules<'t>, rule: u32, first: u32) -> Straight<'t> {
        Straight { rules, rule, first, code: String::new(), named: Vec::new() }
    }

    fn line(&mut self, line: &str) {
        let _ = writeln!(self.code, "{line}");
    }

    fn fails_if(&mut self, test: &str) {
        self.line(&format!("if {test} {{ return fails(); }}"));
    }

    /// `name` for what `is` gives, computed where it is first used.
    fn name(&mut self, name: String, is: String) -> String {
        if !self.named.contains(&name) {
            self.line(&format!("let {name} = {is};"));
            self.named.push(name.clone());
        }
        name
    }

    /// Where the row of a chosen node begins.
    fn row(&mut self, node: u32) -> String {
        self.name(format!("row{node}"), format!("4u * items[base + {}u]", 3 + node))
    }

    /// Whether a swap came before.
    fn may_be_swapped(&self, node: u32) -> bool {
        let begin = self.rules.rule(self.rule)[0];
        (begin..self.first).any(|at| {
            let what = self.rules.step(at)[0];
            what & 0xff == 1 && what >> 8 & 0xff == node
        })
    }

    fn register(&mut self, at: u32) -> String {
        let class_register = self.rules.rule(self.rule)[3];
        let name = format!("r{at}");
        if at > class_register {
            return self.name(name, format!("items[base + {}]", temp(at - class_register - 1)));
        }
        let node = if at == class_register { 0 } else { at / 5 };
        let row = self.row(node);
        let is = match at % 5 {
            _ if at == class_register => format!("states[{row} + 1u]"),
            field @ (0 | 1) if self.may_be_swapped(node) => {
                format!("rows[{row} + 1u + (((items[base + 2u] >> {node}u) & 1u) ^ {field}u)]")
            }
            3 => format!("states[{row}]"),
            4 => format!("rows[{row}]"),
            field => format!("rows[{row} + {}u]", field + 1),
        };
        self.name(name, is)
    }

    /// What a source stands for, as `value_of` of the shader reads it.
    fn value(&mut self, source: u32) -> String {
        if source & 3 == 0 {
            return format!("{}u", source >> 2);
        }
        let word = self.register(source >> 2 & 0x3ff);
        match source & 3 {
            1 => self.name(format!("type_of_{word}"), format!("type_of({word})")),
            _ if source >> 18 & 1 != 0 => word,
            _ => format!("(({word} >> {}u) & 0xffu)", source >> 12 & 31),
        }
    }

    /// The code, and the step at which it ends.
    fn code(mut self) -> (String, u32) {
        let mut at = self.first;
        loop {
            let step: [u32; 4] = self.rules.step(at).try_into().expect("four words");
            let [what, x, y, z] = step;
            let to = what >> 8 & 0xff;
            let here = format!("at + {}u", at - self.first);
            match what & 0xff {
                0 => {
                    let asks = self.rules.rule(self.rule)[7] != 0;
                    let what = if asks { "MATCHES_IF" } else { "MATCHES_HERE" };
                    self.line(&format!("return Stop({what}, {here}, 0u, 0u, false, 0u);"));
                    return (self.code, at);
                }
                1 => {
                    self.line(&format!("return Stop(SWAPS, {here}, {to}u, 0u, false, 0u);"));
                    return (self.code, at);
                }
                2 => {
                    let class = self.register(x & 0xffff);
                    let with =
                        if what >> 16 == 0 { "NONE".to_owned() } else { self.register(x >> 16) };
                    let only_new = z & 1 != 0;
                    let stop = format!("Stop(NODES, {here}, {to}u, {class}, {only_new}, {with})");
                    self.line(&format!("return {stop};"));
                    return (self.code, at);
                }
                3 => {
                    let (left, right) = (self.value(x), self.value(y));
                    self.fails_if(&format!("{left} != {right}"));
                }
                4 => {
                    let (value, ty) = (self.value(x), self.value(y));
                    self.fails_if(&format!("{value} != value_type({ty})"));
                }
                5 => {
                    let ty = self.value(x);
                    self.fails_if(&format!("(({y}u >> {ty}) & 1u) == 0u"));
                }
                6 => {
                    let class = self.value(x);
                    let number = format!("number{}", at - self.first);
                    self.line(&format!("let {number} = constants[{class}] & ~NEWS;"));
                    self.fails_if(&format!("{number} == 0u"));
                    self.keep(to, &format!("{number} - 1u"));
                }
                7 => {
                    let (number, ty) = (self.value(x), self.value(y));
                    let lane = format!("lane{}", at - self.first);
                    self.line(&format!("let {lane} = lane_of({number}, {ty});"));
                    self.fails_if(&format!("{lane} == NONE"));
                    self.keep(to, &lane);
                }
                _ => {
                    let (lane, ty) = (self.value(x), self.value(y));
                    self.fails_if(&format!("{lane} != tables[AT_ROWS + {z}u * TYPES + {ty}]"));
                }
            }
            at += 1;
        }
    }

    /// Writes a temporary.
    fn keep(&mut self, to: u32, is: &str) {
        let class_register = self.rules.rule(self.rule)[3];
        let name = self.name(format!("r{}", class_register + 1 + to), is.to_owned());
        self.line(&format!("items[base + {}] = {name};", temp(to)));
    }
}

/// Where a temporary stands in a partial match.
fn temp(at: u32) -> String {
    format!("{}u + PLAN_NODES", 3 + at)
}
