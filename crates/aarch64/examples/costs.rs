//! Writes `src/costs.txt`: what instructions cost on the cores that [`egraft_aarch64::Core`] names, by LLVM's scheduling models.
//!
//! A cost is the reciprocal throughput that llvm-mca gives, and the share of dispatch that the micro-operations take, in
//! 1/16 cycle. Dispatch widths are those that LLVM corrected after version 19.
//!
//! ```console
//! $ cargo run -p egraft-aarch64 --example costs > crates/aarch64/src/costs.txt
//! ```

use egraft_aarch64::{Core, cost_key};
use egraft_ir::machine::{MachineOp, Target};
use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};

/// What stock code has besides the ops of rules, and accesses that can be pairs.
const OTHERS: &[&str] = &[
    "ldr q0, [x1]",
    "ldp q0, q1, [x1]",
    "str q0, [x1]",
    "stp q0, q1, [x1]",
    "ldr d0, [x1]",
    "ldp d0, d1, [x1]",
    "str d0, [x1]",
    "stp d0, d1, [x1]",
    "ldr s0, [x1]",
    "ldp s0, s1, [x1]",
    "str s0, [x1]",
    "stp s0, s1, [x1]",
    "ldr x0, [x1]",
    "ldp x0, x2, [x1]",
    "str x0, [x1]",
    "stp x0, x2, [x1]",
    "ldr w0, [x1]",
    "ldp w0, w2, [x1]",
    "str w0, [x1]",
    "stp w0, w2, [x1]",
    "fadd v0.4s, v1.4s, v2.4s",
    "fmul v0.4s, v1.4s, v2.4s",
    "fdiv v0.4s, v1.4s, v2.4s",
    "fsqrt v0.4s, v1.4s",
    "scvtf v0.4s, v1.4s",
    "ucvtf v0.4s, v1.4s",
    "frintn v0.4s, v1.4s",
    "movi v0.16b, #1",
];

fn main() {
    let ops = MachineOp::all().filter(|op| op.target() == Target::A64);
    let texts = ops.map(|op| op.assembly(op.imm_range().map_or(0, |range| *range.start())));
    let mut lines: BTreeMap<(String, String), String> = BTreeMap::new();
    for text in texts.chain(OTHERS.iter().map(|text| (*text).to_owned())) {
        if let Some((name, form)) = cost_key(&text) {
            lines.entry((name.to_owned(), form.to_owned())).or_insert(text);
        }
    }
    let columns = Core::ALL.map(|core| costs(core, lines.values()));
    for (at, (name, form)) in lines.keys().enumerate() {
        let costs: Vec<String> = columns.iter().map(|column| column[at].to_string()).collect();
        println!("{name} {form} {}", costs.join(" "));
    }
}

fn costs<'a>(core: Core, lines: impl Iterator<Item = &'a String>) -> Vec<u32> {
    let lines: Vec<&str> = lines.map(String::as_str).collect();
    let mut child = Command::new("llvm-mca-19")
        .args(["-mtriple=aarch64", "-mattr=+all", "-iterations=1", "-resource-pressure=0"])
        .arg(format!("-mcpu={}", core.name()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("llvm-mca-19 is installed");
    let mut input = child.stdin.take().expect("a pipe");
    input.write_all((lines.join("\n") + "\n").as_bytes()).expect("it reads");
    drop(input);
    let output = child.wait_with_output().expect("it ends");
    let said = String::from_utf8(output.stdout).expect("text");
    let table = said.lines().skip_while(|line| !line.starts_with("[1]  "));
    let rows = table.skip(1).take(lines.len());
    let costs: Vec<u32> = rows
        .map(|row| {
            let mut fields = row.split_whitespace();
            let uops: f64 = fields.next().and_then(|field| field.parse().ok()).expect("uops");
            let throughput = fields.nth(1).and_then(|field| field.parse::<f64>().ok());
            let cycles = throughput.expect("throughput") + uops / f64::from(core.dispatch());
            (16.0 * cycles).round() as u32
        })
        .collect();
    assert_eq!(costs.len(), lines.len(), "llvm-mca reads all lines");
    costs
}
