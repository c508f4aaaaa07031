//! CLIF functions in which left sides of lowering rules occur, and operands for them.

use crate::common::Operands;
use cranelift_codegen::cursor::{Cursor, FuncCursor};
use cranelift_codegen::ir::{
    AbiParam, Function, InstBuilder, MemFlagsData, Signature, UserFuncName, Value, types,
};
use cranelift_codegen::isa::{CallConv, OwnedTargetIsa, lookup_by_name};
use cranelift_codegen::settings::{self, Configurable};
use egraft_aarch64::{LOWERING, Options, Version};
use egraft_ir::{ClassId, Node, Ty};
use egraft_lower::{emit_const, emit_op, retype};
use egraft_rules::{LoweringRule, Pattern, Sort, VarId};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;

/// Extensions that rules use.
pub(crate) const EXTENSIONS: [&str; 2] = ["has_dotprod", "has_i8mm"];

/// AArch64 with some extensions.
pub(crate) fn isa(extensions: &[&str]) -> OwnedTargetIsa {
    let mut flags = settings::builder();
    flags.set("opt_level", "speed").expect("a known flag");
    let mut builder = lookup_by_name("aarch64-unknown-linux-gnu").expect("the target is built in");
    extensions.iter().for_each(|flag| builder.enable(flag).expect("a known flag"));
    builder.finish(settings::Flags::new(flags)).expect("flags fit")
}

/// The left side of a rule that is being written, with numbers at random.
pub(crate) struct Sample<'a> {
    rule: &'a LoweringRule,
    rng: SmallRng,
    /// Values that may be operands; if there are none, operands are loaded.
    pool: Vec<Value>,
    values: BTreeMap<VarId, Value>,
    numbers: BTreeMap<VarId, u128>,
    input: Value,
}

impl Sample<'_> {
    /// The operand of a variable: as it is, or with few bits, so that conditions on facts hold.
    fn operand(&mut self, cursor: &mut FuncCursor<'_>, var: VarId) -> Value {
        if let Some(value) = self.values.get(&var) {
            return *value;
        }
        let offset = 16 * (self.values.len() % 4) as i32;
        let mut value = match self.pool.len() {
            0 => cursor.ins().load(types::I8X16, MemFlagsData::trusted(), self.input, offset),
            count => self.pool[self.rng.random_range(0..count)],
        };
        if !self.rule.conditions.is_empty() && self.rng.random_bool(0.8) {
            let ty = [Ty::I16X8, Ty::I32X4, Ty::I64X2, Ty::I8X16][self.rng.random_range(0..4)];
            let bits = self.rng.random_range(1..ty.lane_bits());
            let mask = emit_const(cursor, ty, ty.splat_bits((1u128 << bits) - 1));
            let mask = retype(cursor, mask, types::I8X16);
            value = cursor.ins().band(value, mask);
        }
        self.values.insert(var, value);
        value
    }

    fn number(&mut self, var: Option<VarId>, ty: Ty) -> u128 {
        if let Some(known) = var.and_then(|var| self.numbers.get(&var)) {
            return *known;
        }
        let bits = ty.lane_bits();
        // Half of what a shift drops, where rounding adds it.
        let half = self.numbers.values().find(|number| number.is_power_of_two()).copied();
        if let Some(half) = half
            && self.rng.random()
        {
            let number = u128::from(half.trailing_zeros()) + 1;
            var.map(|var| self.numbers.insert(var, number));
            return number;
        }
        let number = match self.rng.random_range(0..4) {
            0 | 1 => u128::from(self.rng.random_range(0..bits)),
            2 => 1 << self.rng.random_range(0..bits),
            _ => self.rng.random::<u128>() & ty.lane_mask() >> self.rng.random_range(0..bits),
        };
        if let Some(var) = var {
            self.numbers.insert(var, number);
        }
        number
    }

    fn emit(&mut self, cursor: &mut FuncCursor<'_>, pattern: &Pattern) -> Option<Value> {
        Some(match pattern {
            Pattern::Var(var) if self.rule.vars[var.index()].sort == Sort::Value => {
                self.operand(cursor, *var)
            }
            Pattern::Bind(var, inner) => {
                let value = self.emit(cursor, inner)?;
                self.values.insert(*var, value);
                value
            }
            Pattern::Op { op, ty, from, imm, args } => {
                let mut values = Vec::new();
                for arg in args {
                    values.push(self.emit(cursor, arg)?);
                }
                let imm = imm.map_or(0, |slot| slot.is.unwrap_or(0));
                let ty = ty.is?;
                let from = from.and_then(|from| from.is).unwrap_or(ty);
                let node = Node { op: *op, ty, from, imm, args: [ClassId::NONE; 3] };
                emit_op(cursor, &node, &values)?
            }
            Pattern::Splat { ty, value } => {
                let ty = ty.is?;
                let number = value.is.unwrap_or_else(|| self.number(value.var, ty));
                emit_const(cursor, ty, ty.splat_bits(number & ty.lane_mask()) & ty.mask())
            }
            Pattern::Bits { value } => emit_const(cursor, Ty::I8X16, value.is?),
            _ => return None,
        })
    }

    /// A function that computes the left side of `rule`, with operands, numbers and facts at random; `None` where the
    /// left side has no fixed types.
    pub(crate) fn of_rule(rule: &LoweringRule, seed: u64) -> Option<Function> {
        function(|cursor, input| {
            let rng = SmallRng::seed_from_u64(seed);
            let (pool, values, numbers) = Default::default();
            Sample { rule, rng, pool, values, numbers, input }.emit(cursor, &rule.lhs)
        })
    }

    /// A function in which left sides of many rules read one another's values.
    pub(crate) fn of_many(seed: u64) -> Option<Function> {
        function(|cursor, input| {
            let mut rng = SmallRng::seed_from_u64(seed);
            let flags = MemFlagsData::trusted();
            let load = |at| cursor.ins().load(types::I8X16, flags, input, 16 * at);
            let mut pool: Vec<Value> = [0, 1, 2, 3].map(load).to_vec();
            for _ in 0..rng.random_range(2..8) {
                let rule = &LOWERING.rules[rng.random_range(0..LOWERING.rules.len())];
                let (values, numbers) = Default::default();
                let rng = SmallRng::seed_from_u64(rng.random());
                let mut sample = Sample { rule, rng, pool, values, numbers, input };
                let value = sample.emit(cursor, &rule.lhs);
                pool = sample.pool;
                pool.extend(value.map(|value| retype(cursor, value, types::I8X16)));
            }
            let [.., one, other] = pool[..] else { return None };
            Some(cursor.ins().bxor(one, other))
        })
    }
}

/// A function that stores what `compute` makes of its operands, which lie at an address.
fn function(compute: impl FnOnce(&mut FuncCursor<'_>, Value) -> Option<Value>) -> Option<Function> {
    let mut signature = Signature::new(CallConv::SystemV);
    signature.params = vec![AbiParam::new(types::I64); 2];
    let mut func = Function::with_name_signature(UserFuncName::default(), signature);
    let block = func.dfg.make_block();
    func.layout.append_block(block);
    let [input, output] = [0, 1].map(|_| func.dfg.append_block_param(block, types::I64));
    let mut cursor = FuncCursor::new(&mut func).at_bottom(block);
    let value = compute(&mut cursor, input)?;
    cursor.ins().store(MemFlagsData::trusted(), value, output, 0);
    cursor.ins().return_(&[]);
    Some(func)
}

/// Options under which lowering rules alone act.
pub(crate) fn plain() -> Options {
    Options { optimize: false, unroll: false, version: Version::Never, ..Options::default() }
}

/// Operands at random, many of them with lanes at the ends of their ranges.
pub(crate) fn operands(rng: &mut SmallRng, calls: usize) -> Vec<Operands> {
    let edge = |rng: &mut SmallRng| {
        let ty = [Ty::I8X16, Ty::I16X8, Ty::I32X4, Ty::I64X2][rng.random_range(0..4)];
        let lane = [0, 1, ty.lane_mask(), ty.lane_mask() >> 1, (ty.lane_mask() >> 1) + 1];
        let lanes = (0..ty.lanes()).map(|at| lane[rng.random_range(0..5)] << (at * ty.lane_bits()));
        lanes.fold(0, |all, lane| all | lane)
    };
    let operand = |rng: &mut SmallRng| if rng.random_bool(0.4) { edge(rng) } else { rng.random() };
    (0..calls).map(|_| [(); 4].map(|()| operand(rng))).collect()
}
