//! Where registers of a function are made and used, and how deep in loops its blocks are.

use crate::vcode::{Inst, Kind, Opnd, VCode};
use crate::work::loop_weight;
use regalloc2::{Operand, OperandKind, VReg};
use smallvec::SmallVec;

/// An instruction: its block and its place there.
pub(super) type Place = (usize, usize);

/// What makes a register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Def {
    /// Nothing that is known.
    Unknown,
    Inst(Place),
    /// A parameter of a block.
    Param(usize, usize),
}

/// What reads a register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Use {
    Inst(Place),
    /// An argument of an edge: the block, the successor, the argument.
    Edge(usize, usize, usize),
}

/// Where a loop of one block goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct WayOut {
    /// Itself, or the block on the way back.
    pub(super) back: usize,
    /// The block behind the loop.
    pub(super) out: usize,
}

pub(super) struct Facts {
    defs: Vec<Def>,
    uses: Vec<Vec<Use>>,
    /// For each instruction of each block, those before it in the block that make what it reads.
    makers: Vec<Vec<SmallVec<[u32; 4]>>>,
    /// How many loops are around each block.
    levels: Vec<u32>,
    /// Edges into each block: the block, the successor.
    pub(super) preds: Vec<Vec<(usize, usize)>>,
}

impl Facts {
    pub(super) fn new(vcode: &VCode) -> Facts {
        let count = vcode.blocks.len();
        let mut facts = Facts {
            defs: vec![Def::Unknown; vcode.vregs],
            uses: vec![Vec::new(); vcode.vregs],
            makers: Vec::with_capacity(count),
            levels: vcode.loop_levels(),
            preds: vec![Vec::new(); count],
        };
        let mut operands: Vec<Operand> = Vec::new();
        for (block, code) in vcode.blocks.iter().enumerate() {
            for (at, param) in code.params.iter().enumerate() {
                facts.defs[param.vreg()] = Def::Param(block, at);
            }
            let mut makers = Vec::with_capacity(code.insts.len());
            for (at, inst) in code.insts.iter().enumerate() {
                operands.clear();
                inst.operands(&mut operands);
                let mut before = SmallVec::new();
                for operand in &operands {
                    let reg = operand.vreg().vreg();
                    match operand.kind() {
                        OperandKind::Def => facts.defs[reg] = Def::Inst((block, at)),
                        OperandKind::Use => {
                            facts.uses[reg].push(Use::Inst((block, at)));
                            if let Def::Inst((home, maker)) = facts.defs[reg]
                                && home == block
                                && maker != at
                            {
                                before.push(maker as u32);
                            }
                        }
                    }
                }
                makers.push(before);
            }
            facts.makers.push(makers);
            for (succ, edge) in code.succs.iter().enumerate() {
                facts.preds[edge.to.index()].push((block, succ));
                for (at, arg) in edge.args.iter().enumerate() {
                    facts.uses[arg.vreg()].push(Use::Edge(block, succ, at));
                }
            }
        }
        facts
    }

    /// For a loop of one block, and maybe an empty one on the way back: that other block, and the only
    /// one that the loop leads to, if nothing else leads there.
    pub(super) fn way_out(&self, vcode: &VCode, looped: usize) -> Option<WayOut> {
        let to = |block: usize| vcode.blocks[block].succs.iter().map(|edge| edge.to.index());
        let goes_back = |block: usize| block == looped || to(block).eq([looped]);
        let (back, out): (Vec<usize>, Vec<usize>) = to(looped).partition(|block| goes_back(*block));
        let (&[back], &[out]) = (&back[..], &out[..]) else { return None };
        (self.preds[out].len() == 1).then_some(WayOut { back, out })
    }

    /// The instructions before `place` in its block that make what it reads.
    pub(super) fn makers(&self, place: Place) -> &[u32] {
        &self.makers[place.0][place.1]
    }

    pub(super) fn def(&self, reg: VReg) -> Def {
        self.defs.get(reg.vreg()).copied().unwrap_or(Def::Unknown)
    }

    pub(super) fn uses(&self, reg: VReg) -> &[Use] {
        self.uses.get(reg.vreg()).map_or(&[], Vec::as_slice)
    }

    /// How deep in loops a block is.
    pub(super) fn level(&self, block: usize) -> u32 {
        self.levels[block]
    }

    /// How much more often a block runs than one outside loops.
    pub(super) fn weight(&self, block: usize) -> i64 {
        loop_weight(self.levels[block]) as i64
    }
}

/// The operands of an x86 instruction without hidden ones.
pub(super) fn x86(inst: &Inst) -> Option<(iced_x86::Code, &[Opnd])> {
    match &inst.kind {
        Kind::X86 { code, ops, implicit } if implicit.is_empty() => Some((*code, ops)),
        _ => None,
    }
}
