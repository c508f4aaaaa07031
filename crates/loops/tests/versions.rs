//! Which loops get a second version, which are unrolled, and that what comes out is valid CLIF. What
//! it computes is tested where code is run (`crates/x64/tests/random.rs`).

use cranelift_codegen::ir::Function;
use cranelift_codegen::{settings, verify_function};
use egraft_loops::{Declined, Gains, Versioned, Which, unrolled, version};

/// A loop that runs `v8` times, with two pointers of 32 bits; `body` makes `v11` from `v10`, an
/// address, and `steps` the values `v15`, `v16` and `v18` for the next turn.
fn looped(body: &str, steps: &str, turns: &str) -> Function {
    let text = format!(
        "function u0:0(i64 vmctx, i64, i32, i32, i32) -> i32 tail {{
            region0 = 603979776 \"VMMemoryDefinition+0x0\"
            region1 = 134217728 \"PublicMemory\"
        block0(v0: i64, v1: i64, v2: i32, v3: i32, v4: i32):
            v5 = load.i64 notrap aligned readonly can_move region0 v0+56
            v30 = iconst.i32 3
            jump block1(v2, v3, {turns})
        block1(v6: i32, v7: i32, v8: i32):
            v9 = uextend.i64 v6
            v10 = iadd v5, v9
            {body}
            v12 = uextend.i64 v7
            v13 = iadd v5, v12
            store little region1 v11, v13
            v14 = iconst.i32 16
            {steps}
            v17 = iconst.i32 -1
            v18 = iadd v8, v17
            brif v18, block1(v15, v16, v18), block2
        block2:
            return v15
        }}"
    );
    let mut functions = cranelift_reader::parse_functions(&text).unwrap();
    functions.remove(0)
}

const LOAD: &str = "v31 = load.i8x16 little region1 v10\n v11 = iadd v31, v31";
const STEPS: &str = "v15 = iadd v6, v14\n v16 = iadd v7, v14";

/// Makes versions and checks that the function is valid.
fn versioned(func: &mut Function, which: Which<'_>) -> Versioned {
    let versioned = version(func, which, Gains::default());
    verify_function(func, &settings::Flags::new(settings::builder())).unwrap();
    versioned
}

fn declined(mut func: Function) -> Vec<Declined> {
    let versioned = versioned(&mut func, Which::PayingBut(&[]));
    assert!(versioned.loops.is_empty());
    versioned.declined
}

#[test]
fn a_counted_loop_has_two_versions() {
    let mut func = looped(LOAD, STEPS, "v4");
    let versioned = versioned(&mut func, Which::PayingBut(&[]));
    assert_eq!(versioned.declined, []);
    let [pair] = versioned.loops[..] else { panic!("{:?}", versioned.loops) };
    // One vector for each turn, and little else to do.
    assert_eq!(pair.turns, 4);
    let accesses: Vec<_> =
        func.layout.block_insts(pair.fast).filter_map(|inst| versioned.accesses[inst]).collect();
    assert_eq!(accesses.len(), 8);
    let loads: Vec<i64> =
        accesses.iter().filter(|one| one.group == 0).map(|one| one.start).collect();
    assert_eq!(loads, [0, 16, 32, 48]);
    assert!(!accesses.iter().any(|one| one.group != 0 && one.may_meet(&accesses[0])));
    assert!(accesses[0].precedes(&accesses[1]) || accesses[0].precedes(&accesses[2]));
}

#[test]
fn what_cannot_be_proven_has_one() {
    // An address that was loaded.
    let gather = "v40 = load.i32 little region1 v10
        v41 = uextend.i64 v40
        v42 = iadd v5, v41
        v11 = load.i8x16 little region1 v42";
    assert_eq!(declined(looped(gather, STEPS, "v4")), [Declined::Address]);
    // A trap that is no access.
    let trap = format!("{LOAD}\n v40 = iconst.i32 1\n v41 = udiv v40, v8");
    assert_eq!(declined(looped(&trap, STEPS, "v4")), [Declined::Effect]);
    // A pointer that does not move evenly.
    let steps = "v15 = iadd v6, v8\n v16 = iadd v7, v14";
    assert_eq!(declined(looped(LOAD, steps, "v4")), [Declined::Address]);
}

/// A load from the quotient or remainder that `op` and `by` make of a counter that moves by 16.
fn divided(op: &str, by: i32) -> Function {
    let body = format!(
        "v40 = iconst.i32 {by}
        v41 = {op} v6, v40
        v42 = uextend.i64 v41
        v43 = iadd v5, v42
        v44 = load.i8x16 little region1 v43
        v11 = iadd v44, v44"
    );
    looped(&body, STEPS, "v4")
}

#[test]
fn quotients_count_where_the_divisor_divides_the_step() {
    for (op, by) in [("sshr", 1), ("ushr", 4), ("sshr", 35), ("band", 15), ("band", -16)] {
        let mut func = divided(op, by);
        assert_eq!(versioned(&mut func, Which::PayingBut(&[])).loops.len(), 1, "{op} {by}");
    }
    for (op, by) in
        [("sshr", 5), ("ushr", 37), ("band", 31), ("band", -32), ("band", 5), ("band", i32::MAX)]
    {
        assert_eq!(declined(divided(op, by)), [Declined::Address], "{op} {by}");
    }
}

/// A load from the smaller or the larger of a pointer that moves by `step` and `bound`.
fn clamped(op: &str, bound: &str, step: i32) -> Function {
    let body = format!(
        "v40 = {op} v6, {bound}
        v42 = uextend.i64 v40
        v43 = iadd v5, v42
        v44 = load.i8x16 little region1 v43
        v11 = iadd v44, v44"
    );
    let steps = format!("v41 = iconst.i32 {step}\n v15 = iadd v6, v41\n v16 = iadd v7, v14");
    looped(&body, &steps, "v4")
}

#[test]
fn clamped_counters_count_up_to_their_bound() {
    for (op, bound, step) in
        [("smin", "v2", 16), ("umin", "v30", 4), ("smax", "v2", -16), ("umax", "v30", -1)]
    {
        let mut func = clamped(op, bound, step);
        assert_eq!(versioned(&mut func, Which::PayingBut(&[])).loops.len(), 1, "{op} {step}");
    }
    // The wrong way, no power of two, and bounds that move.
    for (op, bound, step) in [("smax", "v2", 16), ("smin", "v2", -16), ("smin", "v2", 48)] {
        assert_eq!(declined(clamped(op, bound, step)), [Declined::Address], "{op} {step}");
    }
    assert_eq!(declined(clamped("smin", "v7", 16)), [Declined::Address]);
}

#[test]
fn straight_code_makes_turns_that_remain() {
    let stores = |func: &Function, block| {
        let insts = func.layout.block_insts(block);
        insts.filter(|inst| func.dfg.insts[*inst].opcode().can_store()).count()
    };
    let mut func = looped(LOAD, STEPS, "v4");
    let [pair] = versioned(&mut func, Which::PayingBut(&[])).loops[..] else { panic!("no pair") };
    let rest = pair.rest.expect("two of four turns have a pair of vectors");
    assert_eq!([stores(&func, pair.fast), stores(&func, rest)], [4, 2]);
    // One vector is no pair.
    let large: String = (50..80).map(|v| format!("v{} = iadd v{v}, v31\n", v + 1)).collect();
    let body = format!(
        "v31 = load.i8x16 little region1 v10\n v50 = iadd v31, v31\n{large} v11 = iadd v80, v31"
    );
    let mut func = looped(&body, STEPS, "v4");
    let [pair] = versioned(&mut func, Which::PayingBut(&[])).loops[..] else { panic!("no pair") };
    assert_eq!((pair.turns, pair.rest), (2, None));
}

#[test]
fn what_does_not_pay_has_one() {
    assert_eq!(declined(looped(LOAD, STEPS, "v30")), [Declined::Short]);
    let copy = "v11 = load.i8x16 little region1 v10";
    assert_eq!(declined(looped(copy, STEPS, "v4")), [Declined::Copy]);
    // Each turn reads half of what the one before stored.
    let mut func = recurrent(8, "");
    assert_eq!(declined(func.clone()), [Declined::Recurrent]);
    assert_eq!(versioned(&mut func, Which::All).loops.len(), 1);
}

/// A loop of which each turn reads `behind` what it stores, where the turn before stored 16 bytes
/// behind that, and does something `more`.
fn recurrent(behind: i32, more: &str) -> Function {
    let body = format!(
        "v40 = iconst.i32 -16
        v41 = uextend.i64 v7
        v42 = iadd v5, v41
        v43 = load.i8x16 little region1 v42+{behind}
        v11 = iadd v43, v43"
    );
    let steps = format!("{more}\n v15 = iadd v6, v14\n v16 = iadd v7, v40");
    looped(&body, &steps, "v4")
}

#[test]
fn what_the_turn_before_stored_is_carried() {
    let loads = |behind: i32, more: &str, gains: Gains| {
        let mut func = recurrent(behind, more);
        let versioned = version(&mut func, Which::All, gains);
        verify_function(&func, &settings::Flags::new(settings::builder())).unwrap();
        let body = func.layout.block_insts(versioned.loops[0].fast);
        let turns = versioned.loops[0].turns as usize;
        (body.filter(|inst| func.dfg.insts[*inst].opcode().can_load()).count(), turns)
    };
    let without = Gains { registers: false, ..Gains::default() };
    assert_eq!(loads(16, "", Gains::default()).0, 0);
    let (loaded, turns) = loads(16, "", without);
    assert_eq!(loaded, turns);
    // What was stored two turns before is known, as two turns are made at once; half of one is not.
    assert_eq!(loads(32, "", Gains::default()), (0, turns));
    assert_eq!(loads(8, "", Gains::default()), (turns, turns));
    // Nor is what another store has overwritten in part.
    let over = "store little region1 v43, v13+8";
    assert_eq!(loads(16, over, Gains::default()), (turns, turns));
    assert_eq!(versioned(&mut recurrent(16, ""), Which::PayingBut(&[])).declined, []);
}

#[test]
fn exceptions_are_kept() {
    let mut func = looped(LOAD, STEPS, "v4");
    let plain = func.layout.blocks().nth(1).unwrap();
    assert!(versioned(&mut func, Which::PayingBut(&[plain])).loops.is_empty());
}

/// How many stores `func` has, and how many loops, once its short loops are unrolled.
fn straight(func: &Function) -> Option<(usize, usize)> {
    let (func, copies) = unrolled(func)?;
    verify_function(&func, &settings::Flags::new(settings::builder())).unwrap();
    let insts = || func.layout.blocks().flat_map(|block| func.layout.block_insts(block));
    assert!(copies.keys().all(|copy| func.layout.inst_block(*copy).is_some()));
    let stores = insts().filter(|inst| func.dfg.insts[*inst].opcode().can_store()).count();
    let branches = insts().filter(|inst| func.dfg.insts[*inst].opcode().is_branch()).count();
    Some((stores, branches))
}

#[test]
fn a_loop_of_few_turns_becomes_straight_code() {
    assert_eq!(straight(&looped(LOAD, STEPS, "v30")), Some((3, 0)));
    // Of many, or of a number that is not known, it does not.
    assert_eq!(straight(&looped(LOAD, STEPS, "v4")), None);
    let many = looped(LOAD, STEPS, "v30").display().to_string();
    let many = many.replace("iconst.i32 3\n", "iconst.i32 300\n");
    assert_eq!(straight(&cranelift_reader::parse_functions(&many).unwrap()[0]), None);
}

#[test]
fn a_loop_around_it_follows() {
    let text = looped(LOAD, STEPS, "v30").display().to_string();
    let outer = text
        .replace("jump block1(v2, v3, v30)", "jump block3(v2, v3, v30)\nblock3(v50: i32, v51: i32, v52: i32):\n jump block1(v50, v51, v30)")
        .replace("brif v18, block1(v15, v16, v18), block2", "brif v18, block1(v15, v16, v18), block4\nblock4:\n v53 = iadd v52, v17\n brif v53, block3(v15, v16, v53), block2");
    let outer = cranelift_reader::parse_functions(&outer).unwrap().remove(0);
    assert_eq!(straight(&outer), Some((9, 0)));
}
