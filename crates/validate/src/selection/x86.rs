//! One x86 instruction: what its operands are, and where what it computes goes.

use super::flags::{Flags, condition_of, sets_flags};
use super::{Held, Pair, text};
use crate::clif::Known;
use crate::machine::{self, low};
use crate::report::Unproven;
use crate::values::{Id, Values};
use cranelift_codegen::ir::Opcode;
use egraft_ir::{Op, Ty};
use egraft_verify::smt::SolverError;
use egraft_x64::observe::{Cc, Cond, Inst as Machine, Opnd, Opnds};
use iced_x86::{Code, Mnemonic, OpCodeOperandKind as K};
use regalloc2::RegClass;

impl Pair<'_> {
    /// An instruction with operands in fixed registers: of these only shifts are known.
    pub(super) fn implicit(&mut self, code: Code, ops: &Opnds, implicit: &[Opnd]) {
        let why = || format!("no semantics for `{:?}`", code.mnemonic());
        for op in ops.iter().chain(implicit) {
            match op {
                Opnd::Def(to) | Opnd::DefFixed(to, _) | Opnd::Mod { to, .. } => {
                    self.set(*to, Err(why()));
                }
                _ => {}
            }
        }
        self.flags = Err(why());
        let divides =
            |op: Opcode| matches!(op, Opcode::Udiv | Opcode::Sdiv | Opcode::Urem | Opcode::Srem);
        let Some(&clif) = self.queue.get(self.next) else { return };
        if divides(self.clif.func.dfg.insts[clif].opcode())
            && matches!(code.mnemonic(), Mnemonic::Div | Mnemonic::Idiv)
        {
            self.next += 1;
            let place = format!("{}: {}", self.block, self.clif.func.dfg.display_inst(clif));
            self.checked.unknown.push(Unproven { place, reason: why() });
            let result = self.clif.func.dfg.first_result(clif);
            self.clif.define(result, Known::Nothing(why()));
        }
    }

    /// One x86 instruction.
    pub(super) fn x86(
        &mut self,
        code: Code,
        ops: &Opnds,
        inst: &Machine,
    ) -> Result<(), SolverError> {
        let info = code.op_code();
        let mnemonic = code.mnemonic();
        let memory_bits = 8 * info.memory_size().size() as u32;
        let kind = |at: usize| info.op_kind(at as u32);
        let mut sources: Vec<Held> = Vec::new();
        let mut byte = None;
        let mut is_vector = false;
        for (at, op) in ops.iter().enumerate() {
            is_vector |= matches!(op, Opnd::Use(reg) | Opnd::UseReg(reg) | Opnd::Def(reg)
                if reg.class() == RegClass::Float);
            match *op {
                Opnd::Def(_) | Opnd::DefFixed(..) => {}
                Opnd::Use(reg) | Opnd::UseReg(reg) | Opnd::UseFixed(reg, _) => {
                    let held = self.reg(reg);
                    sources.push(self.part(held, kind(at)));
                }
                Opnd::Mod { from, .. } => {
                    let held = self.reg(from);
                    sources.push(self.part(held, kind(at)));
                }
                Opnd::Imm(bits) if is_byte(kind(at)) && (is_vector || memory_bits > 64) => {
                    byte = Some(bits & 0xff);
                }
                Opnd::Imm(bits) => {
                    // Amounts of shifts are bytes; everything else is as wide as the first operand.
                    let width = width(kind(0)).unwrap_or(memory_bits);
                    sources.push(Ok(self.values.constant_of(width, bits as u128)));
                }
                Opnd::Mem(mem) if mnemonic == Mnemonic::Lea => {
                    sources.push(self.machine_address(mem));
                }
                Opnd::Mem(mem) => {
                    if at == 0 && !reads_first(mnemonic) {
                        continue;
                    }
                    if memory_bits > 128 {
                        sources.push(Err("256 bits at once".to_owned()));
                        continue;
                    }
                    let held = self.loaded(mem, memory_bits, inst)?;
                    sources.push(held.and_then(|id| match vector_operand(kind(at), is_vector) {
                        true => machine::vector(&mut self.values, id).map_err(text),
                        false => Ok(id),
                    }));
                }
                Opnd::Mask(_) => sources.push(Err("masks are not followed".to_owned())),
                Opnd::Pointer(preg) => {
                    sources.push(Ok(self.values.function(&format!("pointer {preg}"), &[], 64)));
                }
            }
        }
        let made = self.made(code, &sources, byte);
        match ops.first() {
            Some(Opnd::Def(to) | Opnd::DefFixed(to, _) | Opnd::Mod { to, .. }) => {
                let held = match to.class() {
                    RegClass::Int => self.widened(made, kind(0), ops.first()),
                    _ => made.and_then(|id| machine::vector(&mut self.values, id).map_err(text)),
                };
                self.set(*to, held);
            }
            Some(Opnd::Mem(mem)) if writes_first(mnemonic) => {
                self.stored(*mem, memory_bits, made, inst)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// The part of a register that an operand of `kind` names.
    pub(super) fn part(&mut self, held: Held, kind: K) -> Held {
        let id = held?;
        match width(kind) {
            Some(bits) if bits < self.values.width(id) => {
                low(&mut self.values, id, bits).map_err(text)
            }
            Some(256) => Err("256 bits at once".to_owned()),
            _ => Ok(id),
        }
    }

    /// A whole register, of what was written to a part of it.
    pub(super) fn widened(&mut self, made: Held, kind: K, first: Option<&Opnd>) -> Held {
        let id = made?;
        let int = matches!(width(kind), Some(8..=64));
        if !int || self.values.width(id) == 64 {
            return Ok(id);
        }
        let wide = self.values.convert(Op::Uextend, Ty::I64, id).map_err(text)?;
        let bits = width(kind).unwrap_or(64);
        if bits >= 32 {
            return Ok(wide);
        }
        // What was above stays.
        let above = match first {
            Some(Opnd::Mod { from, .. }) => self.reg(*from)?,
            _ => self.values.symbol("what was in the register", 64),
        };
        let mask = self.values.constant_of(64, !((1 << bits) - 1));
        let above =
            machine::op(&mut self.values, Op::Band, Ty::I64, &[above, mask]).map_err(text)?;
        machine::op(&mut self.values, Op::Bor, Ty::I64, &[above, wide]).map_err(text)
    }

    /// What `code` computes of `sources`; sets the flags.
    pub(super) fn made(&mut self, code: Code, sources: &[Held], byte: Option<i64>) -> Held {
        use Mnemonic as M;
        let mnemonic = code.mnemonic();
        let bits = width(code.op_code().op_kind(0))
            .unwrap_or(8 * code.op_code().memory_size().size() as u32);
        let known: Result<Vec<Id>, String> = sources.iter().cloned().collect();
        let x = match known {
            Ok(x) => x,
            Err(why) => {
                if sets_flags(mnemonic) {
                    self.flags = Err(why.clone());
                }
                return Err(why);
            }
        };
        let v = &mut self.values;
        let no_semantics = || format!("no semantics for `{mnemonic:?}`");
        match (mnemonic, x.as_slice()) {
            (M::Cmp, [a, b]) => {
                self.flags = Ok(Flags::Difference(*a, *b, bits));
                return Ok(*a);
            }
            (M::Test, [a, b]) => {
                let both = machine::op(v, Op::Band, machine::int(bits), &[*a, *b]).map_err(text)?;
                self.flags = Ok(Flags::Result(both, bits));
                return Ok(*a);
            }
            (M::Vptest, [a, b]) => {
                self.flags = Ok(Flags::Test(*a, *b));
                return Ok(*a);
            }
            (M::Vucomiss | M::Vucomisd, [a, b]) => {
                let ty = if mnemonic == M::Vucomiss { Ty::F32 } else { Ty::F64 };
                let a = low(v, *a, ty.bits()).map_err(text)?;
                let b = low(v, *b, ty.bits()).map_err(text)?;
                self.flags = Ok(Flags::Floats(a, b, ty));
                return Ok(a);
            }
            (M::Lea, [address]) => return low(v, *address, bits).map_err(text),
            (M::Movzx | M::Movsx | M::Movsxd, [a]) => {
                let op = if mnemonic == M::Movzx { Op::Uextend } else { Op::Sextend };
                return v.convert(op, machine::int(bits), *a).map_err(text);
            }
            _ => {}
        }
        if let (M::Sbb, [a, b]) = (mnemonic, x.as_slice()) {
            let borrow = self.condition(Cond::One(Cc::B));
            self.flags = Err("flags of `Sbb`".to_owned());
            let (v, ty) = (&mut self.values, machine::int(bits));
            let borrow = v.convert(Op::Uextend, ty, borrow?).map_err(text)?;
            let less = machine::op(v, Op::Isub, ty, &[*a, *b]).map_err(text)?;
            return machine::op(v, Op::Isub, ty, &[less, borrow]).map_err(text);
        }
        if let Some(cc) = condition_of(code) {
            let cond = self.condition(Cond::One(cc))?;
            let v = &mut self.values;
            return match x.as_slice() {
                // setcc, whose operand is written only.
                [] => Ok(cond),
                [_] if bits == 8 => Ok(cond),
                [no, yes] => {
                    machine::op(v, Op::Select, machine::int(bits), &[cond, *yes, *no]).map_err(text)
                }
                _ => Err(no_semantics()),
            };
        }
        if let Some(made) = lane_access(v, mnemonic, &x, byte) {
            return made.map_err(text);
        }
        let vector = x.iter().any(|id| v.width(*id) == 128);
        if vector {
            return match machine::vectors(v, mnemonic, &x, byte) {
                Some(made) => made.map_err(text),
                None => Err(no_semantics()),
            };
        }
        let made = match machine::integers(v, mnemonic, bits, &x) {
            Some(made) => made.map_err(text),
            None => Err(no_semantics()),
        };
        if sets_flags(mnemonic) {
            self.flags = match (&made, x.as_slice()) {
                (Ok(_), [a, b]) if mnemonic == M::Sub => Ok(Flags::Difference(*a, *b, bits)),
                (Ok(_), [a]) if mnemonic == M::Neg => {
                    let zero = self.values.constant_of(bits, 0);
                    Ok(Flags::Difference(zero, *a, bits))
                }
                (Ok(_), [a, b]) if mnemonic == M::Add => Ok(Flags::Sum(*a, *b, bits)),
                (Ok(id), _) if matches!(mnemonic, M::And | M::Or | M::Xor | M::Andn) => {
                    Ok(Flags::Result(*id, bits))
                }
                _ => Err(format!("flags of `{mnemonic:?}`")),
            };
        }
        made
    }
}

/// Bits of a register operand.
pub(super) fn width(kind: K) -> Option<u32> {
    Some(match kind {
        K::r8_or_mem | K::r8_reg | K::r8_opcode | K::cl | K::al => 8,
        K::r16_or_mem | K::r16_reg | K::r16_rm | K::r16_opcode => 16,
        K::r32_or_mem | K::r32_reg | K::r32_rm | K::r32_opcode | K::r32_vvvv | K::r32_reg_mem => 32,
        K::r64_or_mem | K::r64_reg | K::r64_rm | K::r64_opcode | K::r64_vvvv | K::r64_reg_mem => 64,
        K::xmm_or_mem | K::xmm_reg | K::xmm_rm | K::xmm_vvvv | K::xmm_is4 => 128,
        K::ymm_or_mem | K::ymm_reg | K::ymm_rm | K::ymm_vvvv | K::ymm_is4 => 256,
        _ => return None,
    })
}

pub(super) fn is_byte(kind: K) -> bool {
    kind == K::imm8
}

/// Whether a memory operand of `kind` stands for a vector register.
pub(super) fn vector_operand(kind: K, is_vector: bool) -> bool {
    matches!(kind, K::xmm_or_mem) || (kind == K::mem && is_vector)
}

/// Whether an instruction with memory as its first operand reads it.
pub(super) fn reads_first(mnemonic: Mnemonic) -> bool {
    use Mnemonic as M;
    matches!(mnemonic, M::Add | M::Sub | M::And | M::Or | M::Xor | M::Cmp | M::Test)
}

/// Whether an instruction with memory as its first operand writes it.
pub(super) fn writes_first(mnemonic: Mnemonic) -> bool {
    !matches!(mnemonic, Mnemonic::Cmp | Mnemonic::Test)
}

/// Moves between lanes of vectors and integer registers.
pub(super) fn lane_access(
    v: &mut Values,
    mnemonic: Mnemonic,
    x: &[Id],
    byte: Option<i64>,
) -> Option<machine::Made> {
    use Mnemonic as M;
    let ty = match mnemonic {
        M::Vpextrb | M::Vpinsrb => Ty::I8X16,
        M::Vpextrw | M::Vpinsrw => Ty::I16X8,
        M::Vpextrd | M::Vpinsrd | M::Vmovd => Ty::I32X4,
        M::Vpextrq | M::Vpinsrq | M::Vmovq => Ty::I64X2,
        M::Vpmovmskb => Ty::I8X16,
        M::Vmovmskps => Ty::I32X4,
        M::Vmovmskpd => Ty::I64X2,
        _ => return None,
    };
    let lane = byte.unwrap_or(0) as u128 % u128::from(ty.lanes());
    Some(match (mnemonic, x) {
        (M::Vpinsrb | M::Vpinsrw | M::Vpinsrd | M::Vpinsrq, [a, b]) => low(v, *b, ty.lane_bits())
            .and_then(|b| machine::imm(v, Op::Insertlane, ty, lane, &[*a, b])),
        (M::Vpmovmskb | M::Vmovmskps | M::Vmovmskpd, [a]) => {
            let node = egraft_ir::Node {
                from: ty,
                ..egraft_ir::Node::new(Op::VhighBits, Ty::I32, &[egraft_ir::ClassId(0)])
            };
            v.op(node, &[*a])
        }
        // From an integer register.
        (M::Vmovd | M::Vmovq, [a]) if v.width(*a) < 128 => machine::vector(v, *a),
        (M::Vmovd | M::Vmovq | M::Vpextrb | M::Vpextrw | M::Vpextrd | M::Vpextrq, [a]) => {
            machine::imm(v, Op::Extractlane, ty, lane, &[*a])
        }
        _ => return None,
    })
}
