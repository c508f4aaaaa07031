//! Lowering rules of rule files as terms, so that what stands in git is what was proven.

use super::term::{Clif, Machine};
use egraft_ir::Ty;
use egraft_rules::{LoweringRule, MachineTemplate, Pattern, Ref, Slot, VarId, slot};

/// Both sides of a rule whose types and numbers are all given; `None` for other rules.
pub fn terms(rule: &LoweringRule) -> Option<(Clif, Machine)> {
    if !rule.conditions.is_empty() {
        return None;
    }
    let mut reader = Reader { leaves: Vec::new() };
    let clif = reader.clif(&rule.lhs)?;
    Some((clif, reader.machine(&rule.rhs)?))
}

struct Reader {
    /// Variables in the order in which they occur; their places are leaves.
    leaves: Vec<VarId>,
}

impl Reader {
    fn leaf(&mut self, var: VarId) -> u8 {
        let known = self.leaves.iter().position(|leaf| *leaf == var);
        known.unwrap_or_else(|| {
            self.leaves.push(var);
            self.leaves.len() - 1
        }) as u8
    }

    fn clif(&mut self, pattern: &Pattern) -> Option<Clif> {
        Some(match pattern {
            Pattern::Var(var) => Clif::Leaf(self.leaf(*var)),
            Pattern::Splat { ty, value } if fixed(*ty)?.is_vector() => {
                let (ty, value) = (fixed(*ty)?, fixed(*value)?);
                Clif::Splat(ty, (value & ty.lane_mask()) as u64)
            }
            Pattern::Splat { value, .. } => Clif::Amount(fixed(*value)? as u32),
            Pattern::Op { op, ty, imm, args, .. } => {
                let args: Option<Vec<Clif>> = args.iter().map(|arg| self.clif(arg)).collect();
                let imm = imm.map_or(Some(0), fixed)?;
                Clif::Op { op: *op, ty: fixed(*ty)?, imm, args: args? }
            }
            Pattern::Bind(..) | Pattern::Bits { .. } | Pattern::And(_) => return None,
        })
    }

    fn machine(&mut self, template: &MachineTemplate) -> Option<Machine> {
        Some(match template {
            MachineTemplate::Var(var) => Machine::Leaf(self.leaf(*var)),
            MachineTemplate::Splat { ty: Ref::Const(ty), value: Ref::Const(value) } => {
                let ty: Ty = slot::ty(*ty);
                Machine::Splat(ty, (value & ty.lane_mask()) as u64)
            }
            MachineTemplate::Op { op, imm, args } => {
                let args: Option<Vec<Machine>> = args.iter().map(|arg| self.machine(arg)).collect();
                let imm = match imm {
                    None => 0,
                    Some(Ref::Const(imm)) => u32::try_from(*imm).ok()?,
                    Some(Ref::Var(_)) => return None,
                };
                Machine::Op { op: *op, imm, args: args? }
            }
            MachineTemplate::Splat { .. } | MachineTemplate::Bits { .. } => return None,
        })
    }
}

/// The value that a slot asks for.
fn fixed<T: Copy>(slot: Slot<T>) -> Option<T> {
    slot.is
}
