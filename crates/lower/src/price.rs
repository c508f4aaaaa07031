//! What a machine instruction costs, by its mnemonic in the target's disassembly.
//!
//! Costs are reciprocal throughputs in 1/16 cycle, rounded to what the cores that wasm is served
//! from have in common (Intel's optimisation manual and AMD's guides for Zen; Arm's guides for
//! Neoverse). They rank lowerings of the same value against each other; they predict no time.

use target_lexicon::Architecture;

/// Cost in 1/16 cycle.
pub(crate) type Cost = u32;

const MOVE: Cost = 1;
const DEFAULT: Cost = 8;

/// Zeroing a register by its own value needs no execution unit.
const ZEROING: Cost = 2;

/// What a memory operand adds.
const FOLDED_LOAD: Cost = 4;

/// Pseudo-instructions that are emitted as a sequence with branches.
const SEQUENCE: Cost = 60;

/// Mnemonic prefixes and their costs; the longest prefix that fits counts. A leading `v` of
/// three-operand forms is dropped before the look-up.
const X64: &[(&str, Cost)] = &[
    ("mov", 6),
    ("movdqa", MOVE),
    ("movaps", MOVE),
    ("movapd", MOVE),
    ("movd", 20),
    ("movq", MOVE),
    ("movl", MOVE),
    ("movz", 4),
    ("movs", 4),
    ("movmsk", 20),
    ("lea", 4),
    ("add", 4),
    ("sub", 4),
    ("and", 4),
    ("or", 4),
    ("xor", 4),
    ("not", 4),
    ("neg", 4),
    ("cmp", 4),
    ("test", 4),
    ("set", 6),
    ("cmov", 6),
    ("sh", 6),
    ("sar", 6),
    ("ro", 6),
    ("imul", 16),
    ("mul", 24),
    ("div", 160),
    ("idiv", 160),
    ("popcnt", 8),
    ("lzcnt", 8),
    ("tzcnt", 8),
    ("bs", 16),
    ("bswap", 8),
    ("j", 8),
    ("call", 480),
    ("load_ext_name", 8),
    ("padd", 6),
    ("psub", 6),
    ("pand", 6),
    ("por", 6),
    ("pxor", 6),
    ("pcmp", 6),
    ("pcmpgtq", 12),
    ("pmin", 6),
    ("pmax", 6),
    ("pavg", 6),
    ("pabs", 6),
    ("psign", 6),
    ("pmul", 10),
    ("pmulld", 16),
    ("pmadd", 10),
    ("phadd", 24),
    ("psadbw", 12),
    ("ps", 10),
    ("pshuf", 10),
    ("punpck", 10),
    ("palignr", 10),
    ("pack", 10),
    ("pmovsx", 10),
    ("pmovzx", 10),
    ("pmovmskb", 20),
    ("pbroadcast", 12),
    ("broadcast", 12),
    ("pinsr", 20),
    ("pextr", 24),
    ("insertps", 10),
    ("extractps", 24),
    ("ptest", 20),
    ("pblendw", 8),
    ("pblendvb", 16),
    ("blend", 8),
    ("blendv", 16),
    ("shufp", 10),
    ("unpck", 10),
    ("movhlps", 10),
    ("movlhps", 10),
    ("movddup", 10),
    ("movss", 6),
    ("movsd", 6),
    ("addp", 8),
    ("adds", 8),
    ("subp", 8),
    ("subs", 8),
    ("mulp", 8),
    ("muls", 8),
    ("fmadd", 8),
    ("fnmadd", 8),
    ("divp", 80),
    ("divs", 72),
    ("sqrt", 96),
    ("round", 16),
    ("minp", 8),
    ("mins", 8),
    ("maxp", 8),
    ("maxs", 8),
    ("cmpp", 8),
    ("cmps", 8),
    ("ucomis", 12),
    ("cvt", 14),
    ("cvttps2dq", 8),
    ("cvtdq2ps", 8),
    ("andp", 6),
    ("andnp", 6),
    ("orp", 6),
    ("xorp", 6),
];

/// As [`X64`], for every other target.
const OTHER: &[(&str, Cost)] = &[
    ("mov", 2),
    ("fmov", 6),
    ("umov", 16),
    ("smov", 16),
    ("ins", 12),
    ("dup", 10),
    ("ldr", 8),
    ("ldp", 16),
    ("stp", 16),
    ("add", 5),
    ("sub", 5),
    ("sdiv", 100),
    ("udiv", 100),
    ("div", 100),
    ("rem", 100),
    ("fdiv", 80),
    ("vfdiv", 160),
    ("fsqrt", 96),
    ("vfsqrt", 160),
    ("mul", 12),
    ("vmul", 16),
    ("tbl", 12),
    ("vrgather", 32),
    ("vset", 4),
    ("bl", 480),
    ("call", 480),
];

/// What a line of disassembly of `arch` costs, in 1/16 cycle of reciprocal throughput: what extraction counts with.
/// On x86-64 it is in AT&T's syntax.
///
/// Labels, directives, returns, what a frame needs and, on x86-64, jumps that always go cost nothing.
pub fn price(arch: Architecture, line: &str) -> u32 {
    let line = line.trim();
    let mnemonic = line.split_whitespace().next().unwrap_or("");
    if mnemonic.is_empty() || mnemonic.ends_with(':') || mnemonic.starts_with(';') {
        return 0;
    }
    let no_code = matches!(mnemonic, "uninit" | "args" | "rets" | "unwind" | "dummy_use" | "jmp");
    let is_pair = matches!(mnemonic, "stp" | "ldp");
    let frame = matches!(mnemonic, "pushq" | "popq" | "ret" | "retq" | "sd" | "ld" | "jr" | "br")
        || is_pair && line.contains("[sp");
    if no_code || frame {
        return 0;
    }
    if mnemonic.ends_with("_seq") {
        return SEQUENCE;
    }
    let x64 = arch == Architecture::X86_64;
    let table = if x64 { X64 } else { OTHER };
    let name = if x64 { mnemonic.strip_prefix('v').unwrap_or(mnemonic) } else { mnemonic };
    if x64 && name.starts_with("mov") {
        return x64_move(name, line);
    }
    if x64 && is_zeroing(name, line) {
        return ZEROING;
    }
    let reads_memory = x64 && line.contains('(') && !name.starts_with("lea");
    longest(table, name) + if reads_memory { FOLDED_LOAD } else { 0 }
}

/// Whether a line is `xor x, x` in some form.
fn is_zeroing(name: &str, line: &str) -> bool {
    let mut operands =
        line.split(|c: char| c.is_whitespace() || c == ',').filter(|o| !o.is_empty());
    operands.next();
    let first = operands.next();
    name.contains("xor") && first.is_some() && operands.all(|operand| Some(operand) == first)
}

/// Moves cost by where they go: a register copy is renamed away, a load is not, and crossing
/// between the integer and the vector file is dear.
fn x64_move(name: &str, line: &str) -> Cost {
    let loads = line.contains('(') || line.contains("const");
    let crosses = line.contains("%xmm") && ["%r", "%e"].iter().any(|file| line.contains(file));
    match name {
        _ if loads => longest(X64, "mov").max(8),
        "movd" | "movq" if crosses => longest(X64, "movd"),
        _ if line.contains('$') => 4,
        _ => longest(X64, name),
    }
}

fn longest(table: &[(&str, Cost)], name: &str) -> Cost {
    table
        .iter()
        .filter(|(prefix, _)| name.starts_with(prefix))
        .max_by_key(|(prefix, _)| prefix.len())
        .map_or(DEFAULT, |(_, cost)| *cost)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_follow_the_longest_prefix() {
        let x64 = |line| price(Architecture::X86_64, line);
        assert_eq!(x64("  vpmulld %xmm0, %xmm1, %xmm2"), 16);
        assert_eq!(x64("  vpshufb %xmm0, 0x10(%rip), %xmm2"), 10 + FOLDED_LOAD);
        assert_eq!(x64("  pmulhuw %xmm0, %xmm1"), 10);
        assert_eq!(x64("block0:"), 0);
        assert_eq!(x64("  uninit  %xmm6"), 0);
        assert_eq!(x64("  vpxor %xmm6, %xmm6, %xmm6"), ZEROING);
        assert_eq!(x64("  vpxor %xmm6, %xmm7, %xmm6"), 6);
        assert_eq!(x64("  cvt_float64_to_uint64_sat_seq %xmm0, %rax, %xmm1"), SEQUENCE);
        assert_eq!(x64("  movdqa %xmm0, %xmm3"), MOVE);
        assert_eq!(x64("  vmovd %edi, %xmm3"), 20);
        assert_eq!(x64("  movdqu 0x10(%rip), %xmm3"), 8);
        assert!(price(Architecture::S390x, "vml %v0, %v1, %v2") > 0);
    }
}
