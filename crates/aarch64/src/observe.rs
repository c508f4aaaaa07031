//! For validation: a function before and after lowering rules were chosen for it.

use crate::{Options, Prepared, Unsupported, cheapest};
use cranelift_codegen::ir::{Function, Inst};
use cranelift_codegen::isa::TargetIsa;
use egraft_ir::machine::MachineOp;

/// A function before and after covering, before its fast loops get another order.
#[derive(Debug)]
pub struct Covering {
    /// Which of the forms it is of, by position.
    pub form: usize,
    /// The CLIF that rules were chosen for.
    pub before: Function,
    /// The CLIF with stand-ins.
    pub after: Function,
    /// Instructions of it that stand for machine ops, with these and their immediates.
    pub stand_ins: Vec<(Inst, MachineOp, u32)>,
    /// Loops that have a fast version.
    pub versions: usize,
}

/// Covers the one of `forms` that [`crate::compile`] takes.
///
/// # Errors
/// As [`crate::compile`].
pub fn cover(
    forms: &[&Function],
    isa: &dyn TargetIsa,
    options: &Options,
) -> Result<Covering, Unsupported> {
    let (form, _) = cheapest(forms, isa, options)?;
    let prepared = Prepared::new(forms[form], isa, options)?;
    let before = prepared.func.clone();
    let covered = prepared.covered(isa, options);
    let stand_ins = covered.stand_ins.insts().collect();
    let versions = covered.versioned.loops.len();
    Ok(Covering { form, before, after: covered.func, stand_ins, versions })
}
