//! Cores that code can be tuned for, and what instructions cost on them.

use crate::words::Plain;
use egraft_ir::machine::{MachineOp, Target};
use egraft_lower::Costs;
use std::collections::HashMap;
use std::sync::LazyLock;

/// A core that code is tuned for. It says nothing of what instructions there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Core {
    /// Arm Neoverse N1, and Cortex-A76.
    NeoverseN1,
    /// Arm Neoverse V1.
    NeoverseV1,
    /// Arm Neoverse N2.
    NeoverseN2,
    /// Arm Neoverse V2.
    NeoverseV2,
}

impl Core {
    /// All of them, in the order of the table's columns.
    pub const ALL: [Core; 4] =
        [Core::NeoverseN1, Core::NeoverseV1, Core::NeoverseN2, Core::NeoverseV2];

    /// The name that LLVM has for it.
    pub const fn name(self) -> &'static str {
        match self {
            Core::NeoverseN1 => "neoverse-n1",
            Core::NeoverseV1 => "neoverse-v1",
            Core::NeoverseN2 => "neoverse-n2",
            Core::NeoverseV2 => "neoverse-v2",
        }
    }

    /// The core of this name, if it is known; `cortex-a76` is [`NeoverseN1`](Self::NeoverseN1).
    pub fn by_name(name: &str) -> Option<Core> {
        let name = if name == "cortex-a76" { "neoverse-n1" } else { name };
        Core::ALL.into_iter().find(|core| core.name() == name)
    }

    /// Features that it has, by Cranelift's names.
    pub const fn features(self) -> &'static [&'static str] {
        match self {
            Core::NeoverseN1 => &["has_lse", "has_fp16", "has_dotprod"],
            _ => &["has_lse", "has_pauth", "has_fp16", "has_dotprod", "has_i8mm"],
        }
    }

    /// Micro-operations that it dispatches in a cycle. Source: LLVM after version 19.
    pub const fn dispatch(self) -> u32 {
        match self {
            Core::NeoverseN1 => 3,
            Core::NeoverseV1 => 8,
            Core::NeoverseN2 => 5,
            Core::NeoverseV2 => 6,
        }
    }

    /// What instructions cost on this core.
    pub fn costs(self) -> Costs {
        let of: fn(&str) -> Option<u32> = match self {
            Core::NeoverseN1 => |line| Core::NeoverseN1.cost(line),
            Core::NeoverseV1 => |line| Core::NeoverseV1.cost(line),
            Core::NeoverseN2 => |line| Core::NeoverseN2.cost(line),
            Core::NeoverseV2 => |line| Core::NeoverseV2.cost(line),
        };
        Costs { core: self.name(), of }
    }

    /// Whether one instruction for two accesses costs no more than both.
    pub(crate) fn pairs(self, access: Plain) -> bool {
        let form = match (access.vector, access.bytes) {
            (false, 4) => "w",
            (false, _) => "x",
            (true, 4) => "s",
            (true, 8) => "d",
            (true, _) => "q",
        };
        let [one, two] = if access.loads { ["ldr", "ldp"] } else { ["str", "stp"] };
        let [one, two] = [one, two].map(|name| self.known(name, form));
        one.zip(two).is_none_or(|(one, two)| two <= 2 * one)
    }

    /// What the instruction of a line of assembly costs, in 1/16 cycle, if it is in the table.
    pub(crate) fn cost(self, line: &str) -> Option<u32> {
        let (name, form) = cost_key(line)?;
        self.known(name, form)
    }

    /// What the table says of a mnemonic and the form of its first operand.
    fn known(self, name: &str, form: &str) -> Option<u32> {
        row(name, form).map(|costs| costs[self as usize])
    }

    /// What a machine op costs; ops that are not in the table cost what they do elsewhere.
    pub(crate) fn op_cost(self, op: MachineOp) -> u32 {
        OP_COSTS.get(op.name()).map_or_else(|| op.cost().into(), |costs| costs[self as usize])
    }
}

/// The form of the first operand, and the cost on each core.
type Row = (&'static str, [u32; Core::ALL.len()]);

/// Rows by mnemonic. `examples/costs.rs` writes the table.
static COSTS: LazyLock<HashMap<&'static str, Vec<Row>>> = LazyLock::new(|| {
    let mut all: HashMap<_, Vec<_>> = HashMap::new();
    for line in include_str!("costs.txt").lines() {
        let mut fields = line.split(' ');
        let mut next = || fields.next().expect("a row has six fields");
        let (name, form) = (next(), next());
        let costs = [(); Core::ALL.len()].map(|()| next().parse().expect("costs are numbers"));
        all.entry(name).or_default().push((form, costs));
    }
    all
});

/// The costs of a mnemonic and the form of its first operand, on each core.
fn row(name: &str, form: &str) -> Option<[u32; Core::ALL.len()]> {
    COSTS.get(name)?.iter().find(|(known, _)| *known == form).map(|(_, costs)| *costs)
}

/// Costs of machine ops that are in the table, by name: matching asks for them again and again.
static OP_COSTS: LazyLock<HashMap<&'static str, [u32; Core::ALL.len()]>> = LazyLock::new(|| {
    let costs = |op: MachineOp| {
        let text = op.assembly(op.imm_range().map_or(0, |range| *range.start()));
        let (name, form) = cost_key(&text)?;
        row(name, form).map(|costs| (op.name(), costs))
    };
    MachineOp::all().filter(|op| op.target() == Target::A64).filter_map(costs).collect()
});

/// The mnemonic of a line of assembly, and the arrangement or kind of its first operand.
pub fn cost_key(line: &str) -> Option<(&str, &str)> {
    let (name, operands) = line.trim().split_once(' ')?;
    let first = operands.split(',').next()?.trim();
    let form = match first.split_once('.') {
        Some((_, arrangement)) => arrangement.split('[').next()?,
        None => first.get(..1)?,
    };
    Some((name, form))
}
