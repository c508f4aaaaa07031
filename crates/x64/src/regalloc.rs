//! Register allocation: shows [`VCode`] to regalloc2 and keeps its answer.
//!
//! In builds with debug assertions regalloc2's own checker judges every allocation.

use crate::error::Unsupported;
use crate::evex;
use crate::redundant::drop_redundant_moves;
use crate::regs::{AVX_VECTORS, machine_env};
use crate::vcode::{Inst, Kind, VCode};
use iced_x86::EncodingKind;
use regalloc2::{
    Allocation, Block, Edit, Function, Inst as InstIndex, InstRange, Operand, OperandConstraint,
    OperandKind, Output, PRegSet, ProgPoint, RegClass, RegallocOptions, VReg,
};

/// Bytes of a spill slot; vector registers take several.
const SLOT: usize = 8;

/// The function as regalloc2 reads it: instructions numbered through.
struct Flat<'a> {
    vcode: &'a VCode,
    insts: Vec<&'a Inst>,
    ranges: Vec<(u32, u32)>,
    operands: Vec<Operand>,
    operand_ends: Vec<u32>,
    succs: Vec<Vec<Block>>,
    preds: Vec<Vec<Block>>,
}

/// Whether an instruction has a form for vector registers beyond those of AVX.
fn takes_all_registers(inst: &Inst) -> bool {
    match &inst.kind {
        Kind::X86 { code, .. } | Kind::Idiom { code, .. } => {
            code.op_code().encoding() != EncodingKind::VEX || evex::of_same_width(*code).is_some()
        }
        _ => true,
    }
}

/// Keeps a vector operand in the registers of AVX.
fn limit(operand: &mut Operand) {
    use OperandConstraint::{Any, Limit, Reg};
    if operand.class() == RegClass::Float && matches!(operand.constraint(), Any | Reg) {
        let limit = Limit(AVX_VECTORS);
        *operand = Operand::new(operand.vreg(), limit, operand.kind(), operand.pos());
    }
}

impl<'a> Flat<'a> {
    fn new(vcode: &'a VCode) -> Flat<'a> {
        let count = vcode.blocks.len();
        let mut flat = Flat {
            vcode,
            insts: Vec::new(),
            ranges: Vec::with_capacity(count),
            operands: Vec::new(),
            operand_ends: vec![0],
            succs: Vec::with_capacity(count),
            preds: vec![Vec::new(); count],
        };
        for (index, block) in vcode.blocks.iter().enumerate() {
            let start = flat.insts.len() as u32;
            for inst in &block.insts {
                let first = flat.operands.len();
                inst.operands(&mut flat.operands);
                if vcode.vector_registers > AVX_VECTORS && !takes_all_registers(inst) {
                    flat.operands[first..].iter_mut().for_each(limit);
                }
                flat.operand_ends.push(flat.operands.len() as u32);
                flat.insts.push(inst);
            }
            flat.ranges.push((start, flat.insts.len() as u32));
            flat.succs.push(block.succs.iter().map(|edge| Block::new(edge.to.index())).collect());
            for edge in &block.succs {
                flat.preds[edge.to.index()].push(Block::new(index));
            }
        }
        flat
    }
}

impl Function for Flat<'_> {
    fn num_insts(&self) -> usize {
        self.insts.len()
    }

    fn num_blocks(&self) -> usize {
        self.ranges.len()
    }

    fn entry_block(&self) -> Block {
        Block::new(0)
    }

    fn block_insns(&self, block: Block) -> InstRange {
        let (start, end) = self.ranges[block.index()];
        InstRange::new(InstIndex::new(start as usize), InstIndex::new(end as usize))
    }

    fn block_succs(&self, block: Block) -> &[Block] {
        &self.succs[block.index()]
    }

    fn block_preds(&self, block: Block) -> &[Block] {
        &self.preds[block.index()]
    }

    fn block_params(&self, block: Block) -> &[VReg] {
        &self.vcode.blocks[block.index()].params
    }

    fn is_ret(&self, inst: InstIndex) -> bool {
        match &self.insts[inst.index()].kind {
            Kind::Ret(_) | Kind::Trap(_) => true,
            Kind::Call(call) => call.tail,
            _ => false,
        }
    }

    fn is_branch(&self, inst: InstIndex) -> bool {
        matches!(
            self.insts[inst.index()].kind,
            Kind::Jump | Kind::Branch(_) | Kind::JumpTable { .. }
        )
    }

    fn branch_blockparams(&self, block: Block, _: InstIndex, succ: usize) -> &[VReg] {
        &self.vcode.blocks[block.index()].succs[succ].args
    }

    fn inst_operands(&self, inst: InstIndex) -> &[Operand] {
        let at = inst.index();
        &self.operands[self.operand_ends[at] as usize..self.operand_ends[at + 1] as usize]
    }

    fn inst_clobbers(&self, inst: InstIndex) -> PRegSet {
        self.insts[inst.index()].clobbers()
    }

    fn num_vregs(&self) -> usize {
        self.vcode.vregs
    }

    fn spillslot_size(&self, class: RegClass) -> usize {
        match class {
            // Masks are of the third class, which regalloc2 names for vectors.
            RegClass::Int | RegClass::Vector => 1,
            RegClass::Float => self.vcode.vector_bytes as usize / SLOT,
        }
    }
}

/// Where every operand lives, and the moves between instructions.
pub(crate) struct Allocated {
    output: Output,
    /// Instruction number at which each block starts, and one behind the last.
    starts: Vec<u32>,
    /// Registers that the function writes.
    pub(crate) written: PRegSet,
    /// 8-byte spill slots.
    pub(crate) spill_slots: u32,
}

/// What comes next in a block: an instruction by its place in the block, or a move.
pub(crate) enum Step<'a> {
    Inst(usize, &'a [Allocation]),
    Move { from: Allocation, to: Allocation },
}

impl Allocated {
    /// The instructions of block `block` and the moves around them, in order.
    pub(crate) fn steps(&self, block: usize) -> impl Iterator<Item = Step<'_>> {
        let (start, end) = (self.starts[block], self.starts[block + 1]);
        let edits = &self.output.edits;
        let mut next = edits.partition_point(|(point, _)| (point.inst().index() as u32) < start);
        let mut inst = start;
        std::iter::from_fn(move || {
            if inst == end {
                return None;
            }
            let index = InstIndex::new(inst as usize);
            if let Some((at, Edit::Move { from, to })) = edits.get(next)
                && *at <= ProgPoint::before(index)
            {
                next += 1;
                return Some(Step::Move { from: *from, to: *to });
            }
            inst += 1;
            Some(Step::Inst(index.index() - start as usize, self.output.inst_allocs(index)))
        })
    }
}

/// Allocates registers.
///
/// # Errors
/// [`Unsupported`] if regalloc2 finds no allocation.
pub(crate) fn allocate(vcode: &VCode) -> Result<Allocated, Unsupported> {
    let flat = Flat::new(vcode);
    let env = machine_env(vcode.vector_registers);
    // Always: what comes here may have been rewritten, and code that is not in SSA form would be
    // allocated to something wrong.
    let options = RegallocOptions { validate_ssa: true, ..Default::default() };
    let mut output = regalloc2::run(&flat, &env, &options)
        .map_err(|error| Unsupported::new("register allocation", format!("{error:?}")))?;
    drop_redundant_moves(&flat, &mut output);
    if cfg!(debug_assertions) {
        let mut checker = regalloc2::checker::Checker::new(&flat, &env);
        checker.prepare(&output);
        if let Err(errors) = checker.run() {
            panic!("regalloc2's checker refuses an allocation: {errors:?}");
        }
    }
    let mut written = PRegSet::empty();
    for (_, Edit::Move { to, .. }) in &output.edits {
        to.as_reg().inspect(|&reg| written.add(reg));
    }
    for (operand, allocation) in flat.operands.iter().zip(&output.allocs) {
        if operand.kind() == OperandKind::Def {
            allocation.as_reg().inspect(|&reg| written.add(reg));
        }
    }
    let mut starts: Vec<u32> = flat.ranges.iter().map(|range| range.0).collect();
    starts.push(flat.insts.len() as u32);
    let spill_slots = output.num_spillslots as u32;
    Ok(Allocated { output, starts, written, spill_slots })
}
