//! A validator of selection that accepts wrong machine code fails here.
//!
//! Each miscompile changes one instruction of what selection made of a function.

use cranelift_codegen::ir::Function;
use cranelift_codegen::isa::{self, OwnedTargetIsa};
use cranelift_codegen::settings::{self, Configurable};
use egraft_validate::{Options, Validator};
use egraft_x64::observe::{Cond, Inst, Kind, Mem, Opnd, Selection, select};
use iced_x86::{Code, Mnemonic};

const SOURCE: &str = r#"
function u0:0(i64 vmctx, i64, i32, i32, f32) -> i32, f32 tail {
    sig0 = (i64 vmctx, i64, i32) -> i32 tail
    fn0 = colocated u0:1 sig0
    const1 = 0x00ff00ff00ff00ff00ff00ff00ff00ff

block0(v0: i64, v1: i64, v2: i32, v3: i32, v4: f32):
    v10 = load.i64 notrap aligned readonly can_move v0+56
    v11 = uextend.i64 v2
    v12 = iadd v10, v11
    v13 = uload8.i32 little v12+4
    v17 = call fn0(v0, v1, v13)
    trapz v17, user7
    v18 = iconst.i32 0
    jump block1(v18, v17)

block1(v20: i32, v21: i32):
    v22 = uextend.i64 v20
    v23 = iadd.i64 v12, v22
    v24 = load.i8x16 little v23
    v25 = load.i8x16 little v23+16
    v26 = vconst.i8x16 const1
    v27 = band v24, v26
    v28 = bitcast.i16x8 little v27
    v29 = bitcast.i16x8 little v25
    v30 = iadd v28, v29
    v31 = iconst.i32 5
    v32 = ushr v30, v31
    v33 = smin v32, v29
    v37 = bitcast.i8x16 little v33
    v39 = shuffle v37, v24, [0 1 2 3 16 17 18 19 4 5 6 7 20 21 22 23]
    store little v39, v23+32
    v40 = isub v21, v13
    store little v40, v23+48
    v41 = iconst.i32 16
    v42 = iadd v20, v41
    v43 = icmp ult v42, v3
    brif v43, block1(v42, v40), block2

block2:
    v50 = icmp slt v21, v40
    v51 = select v50, v21, v40
    v52 = fadd v4, v4
    v53 = fcvt_from_sint.f32 v51
    v54 = fsub v52, v53
    return v51, v52
}
"#;

fn machine() -> OwnedTargetIsa {
    let mut flags = settings::builder();
    flags.set("opt_level", "speed").unwrap();
    flags.set("enable_probestack", "false").unwrap();
    let mut builder = isa::lookup_by_name("x86_64-unknown-linux-gnu").unwrap();
    for feature in
        ["has_ssse3", "has_sse41", "has_sse42", "has_avx", "has_avx2", "has_bmi1", "has_bmi2"]
    {
        builder.enable(feature).unwrap();
    }
    builder.finish(settings::Flags::new(flags)).unwrap()
}

fn function() -> Function {
    cranelift_reader::parse_functions(SOURCE).unwrap().remove(0)
}

fn selected() -> Selection {
    let options = egraft_x64::Options { version: egraft_x64::Version::Never, ..Default::default() };
    select(&function(), &*machine(), &options).unwrap()
}

/// Another instruction of the same form.
fn other_code(code: Code) -> Option<Code> {
    Some(match code {
        Code::VEX_Vpaddw_xmm_xmm_xmmm128 => Code::VEX_Vpaddd_xmm_xmm_xmmm128,
        Code::VEX_Vpminsw_xmm_xmm_xmmm128 => Code::VEX_Vpminuw_xmm_xmm_xmmm128,
        Code::VEX_Vpand_xmm_xmm_xmmm128 => Code::VEX_Vpandn_xmm_xmm_xmmm128,
        Code::VEX_Vpsrlw_xmm_xmm_imm8 => Code::VEX_Vpsraw_xmm_xmm_imm8,
        Code::VEX_Vpunpckldq_xmm_xmm_xmmm128 => Code::VEX_Vpunpckhdq_xmm_xmm_xmmm128,
        Code::VEX_Vaddss_xmm_xmm_xmmm32 => Code::VEX_Vmulss_xmm_xmm_xmmm32,
        Code::Sub_r32_rm32 => Code::Add_r32_rm32,
        Code::Movzx_r32_rm8 => Code::Movsx_r32_rm8,
        Code::Cmovl_r32_rm32 => Code::Cmovg_r32_rm32,
        Code::Cmovge_r32_rm32 => Code::Cmovle_r32_rm32,
        _ => return None,
    })
}

/// Every wrong form of an instruction, with a word on what is wrong.
fn miscompiles(inst: &Inst) -> Vec<(&'static str, Option<Inst>)> {
    let mut wrong: Vec<(&'static str, Option<Inst>)> = Vec::new();
    let mut push = |what, kind: Kind| wrong.push((what, Some(Inst { kind, ..inst.clone() })));
    match &inst.kind {
        Kind::X86 { code, ops, implicit } => {
            if let Some(code) = other_code(*code) {
                push(
                    "another instruction",
                    Kind::X86 { code, ops: ops.clone(), implicit: implicit.clone() },
                );
            }
            let commutes = matches!(
                code.mnemonic(),
                Mnemonic::Vpaddw
                    | Mnemonic::Vpand
                    | Mnemonic::Vpminsw
                    | Mnemonic::Vaddss
                    | Mnemonic::Add
                    | Mnemonic::Test
                    | Mnemonic::And
            );
            for (at, op) in ops.iter().enumerate() {
                let mut changed = |what, op| {
                    let mut ops = ops.clone();
                    ops[at] = op;
                    push(what, Kind::X86 { code: *code, ops, implicit: implicit.clone() });
                };
                match *op {
                    Opnd::Imm(bits) => changed("another number", Opnd::Imm(bits ^ 1)),
                    Opnd::Mem(Mem::Address { base, index, disp }) => {
                        changed(
                            "another address",
                            Opnd::Mem(Mem::Address { base, index, disp: disp + 1 }),
                        );
                        if let Some((index, scale)) = index {
                            let index = Some((index, if scale == 1 { 2 } else { 1 }));
                            changed("another scale", Opnd::Mem(Mem::Address { base, index, disp }));
                        }
                    }
                    _ => {}
                }
            }
            let uses: Vec<usize> = (0..ops.len())
                .filter(|at| matches!(ops[*at], Opnd::Use(_) | Opnd::UseReg(_)))
                .collect();
            if let [one, other] = uses[..]
                && !commutes
            {
                let mut ops = ops.clone();
                ops.swap(one, other);
                push(
                    "swapped operands",
                    Kind::X86 { code: *code, ops, implicit: implicit.clone() },
                );
            }
            if matches!(ops.first(), Some(Opnd::Mem(_))) {
                wrong.push(("a store that is gone", None));
            }
        }
        Kind::Branch(Cond::One(cc)) => push("the other way", Kind::Branch(Cond::One(cc.invert()))),
        Kind::TrapIf(cond, code) => {
            push("a trap at the other truth", Kind::TrapIf(cond.invert(), *code));
            wrong.push(("a trap that is gone", None));
        }
        Kind::Call(call) => {
            let mut call = call.clone();
            call.uses.swap(1, 2);
            let (one, other) = (call.uses[1].1, call.uses[2].1);
            (call.uses[1].1, call.uses[2].1) = (other, one);
            push("swapped arguments", Kind::Call(call));
            wrong.push(("a call that is gone", None));
        }
        _ => {}
    }
    wrong
}

#[test]
fn right_code_is_proven() {
    let checked = Validator::new(Options::default()).selection(&selected()).unwrap();
    assert!(checked.failed.is_empty() && checked.unknown.is_empty(), "{checked:#?}");
    assert_eq!(checked.proven(), 10);
}

#[test]
fn wrong_code_is_found() {
    let mut validator = Validator::new(Options::default());
    let right = selected();
    let (mut tried, mut undecided) = (0, Vec::new());
    for block in 0..right.vcode.blocks.len() {
        for at in 0..right.vcode.blocks[block].insts.len() {
            for (what, wrong) in miscompiles(&right.vcode.blocks[block].insts[at]) {
                let mut selection = selected();
                let insts = &mut selection.vcode.blocks[block].insts;
                let text = format!("{what}: {:?}", insts[at].kind);
                match wrong {
                    Some(wrong) => insts[at] = wrong,
                    None => drop(insts.remove(at)),
                }
                let checked = validator.selection(&selection).unwrap();
                let accepted = checked.failed.is_empty() && checked.unknown.is_empty();
                assert!(!accepted, "{text} is accepted: {checked:#?}");
                tried += 1;
                if checked.failed.is_empty() {
                    undecided.push(text);
                }
            }
        }
    }
    assert!(tried >= 30, "only {tried} miscompiles");
    assert!(
        undecided.len() * 5 <= tried,
        "no example for {} of {tried}: {undecided:#?}",
        undecided.len()
    );
}
