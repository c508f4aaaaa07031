//! Blocks, edges, arguments and the instructions that end blocks; drives the tiles.

use super::{Done, Edge, Root, Select};
use crate::abi::{Abi, Place, class};
use crate::error::Unsupported;
use crate::faults::FaultPlaces;
use crate::features::Features;
use crate::frame::StackSlots;
use crate::vcode::{self, BlockId, Kind, Mem, Opnd, VCode};
use crate::work;
use cranelift_codegen::VCodeConstants;
use cranelift_codegen::dominator_tree::DominatorTree;
use cranelift_codegen::entity::{EntitySet, SecondaryMap};
use cranelift_codegen::flowgraph::ControlFlowGraph;
use cranelift_codegen::ir::{
    Block, BlockArg, BlockCall, Function, Inst as ClifInst, InstructionData, Opcode, RelSourceLoc,
    Value, types,
};
use egraft_loops::{Accesses, Pair};
use iced_x86::Code;
use regalloc2::{RegClass, VReg};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

/// Selects instructions for the whole of `func`; returns the code and its constants.
///
/// # Errors
/// [`Unsupported`] with the first thing that is not covered.
pub(crate) fn select(
    func: &Function,
    accesses: &Accesses,
    fault_places: &FaultPlaces,
    features: Features,
    abi: &Abi,
    stack_slots: &StackSlots,
) -> Result<Selected, Unsupported> {
    let Some(entry) = func.layout.entry_block() else {
        return Err(Unsupported::new("function", "an empty body"));
    };
    let cfg = ControlFlowGraph::with_function(func);
    let domtree = DominatorTree::with_function(func, &cfg);
    let order = domtree.cfg_rpo().copied().collect::<Vec<_>>();
    if cfg.pred_iter(entry).next().is_some() {
        return Err(Unsupported::new("function", "a branch to the entry block"));
    }
    let mut select = Select {
        func,
        accesses,
        fault_places,
        features,
        abi,
        stack_slots,
        vcode: VCode { vector_registers: features.vector_registers(), ..VCode::default() },
        constants: VCodeConstants::default(),
        constant_ids: FxHashMap::default(),
        regs: SecondaryMap::new(),
        uses: SecondaryMap::new(),
        user: SecondaryMap::new(),
        readers: SecondaryMap::new(),
        effects: SecondaryMap::new(),
        places: SecondaryMap::new(),
        reached: 0,
        sunk: EntitySet::new(),
        raised: FxHashMap::default(),
        zero_extended: EntitySet::new(),
        blocks: SecondaryMap::new(),
        ret_area: None,
        root: func.layout.first_inst(entry).expect("a block has a terminator"),
        srcloc: RelSourceLoc::default(),
        tile: "",
        code: Vec::new(),
    };
    let splits = select.place_blocks(&order);
    select.extend_params(&order);
    for &block in &order {
        select.count_uses(block);
    }
    // A block that reads a value comes after the one that makes it.
    for &block in order.iter().rev() {
        select.note_readers(block);
    }
    if abi.ret_area.is_some() {
        select.ret_area = Some(select.new_reg(RegClass::Int));
    }
    for &block in order.iter().rev() {
        select.block(block, &splits)?;
    }
    select.arguments(entry)?;
    let Select { vcode, constants, blocks, regs, zero_extended, .. } = select;
    Ok(Selected { vcode, constants, blocks, regs, zero_extended })
}

/// A function in machine instructions.
pub(crate) struct Selected {
    pub(crate) vcode: VCode,
    pub(crate) constants: VCodeConstants,
    blocks: SecondaryMap<Block, Option<BlockId>>,
    /// The register that each value is in, where anything asked for one.
    pub(crate) regs: SecondaryMap<Value, Option<VReg>>,
    /// Block parameters of 32 bits whose registers have zeros above.
    pub(crate) zero_extended: EntitySet<Value>,
}

/// What part of the instructions of a loop, in percent, its fast version may have for each turn; those
/// that move data between the halves of a register count twice.
const SHORTER: u64 = 88;

impl Selected {
    /// What `block` became.
    pub(crate) fn block(&self, block: Block) -> Option<BlockId> {
        self.blocks[block]
    }

    /// Whether the fast version of a loop takes fewer instructions for its turns.
    pub(crate) fn is_shorter(&self, pair: &Pair) -> bool {
        let size = |block: Block| {
            let insts =
                self.block(block).map_or(&[][..], |id| &self.vcode.blocks[id.index()].insts);
            insts.iter().map(work::instructions).sum::<u64>()
        };
        size(pair.fast) * 100 <= size(pair.plain) * u64::from(pair.turns) * SHORTER
    }
}

/// Blocks of edges that were split, by branch and number of the edge.
type Splits = FxHashMap<(ClifInst, usize), BlockId>;

impl Select<'_> {
    /// Numbers the blocks in the order in which code is placed: each split edge follows the block
    /// that it leaves.
    fn place_blocks(&mut self, order: &[Block]) -> Splits {
        let mut in_edges: SecondaryMap<Block, u32> = SecondaryMap::new();
        for &block in order {
            for call in self.edges(block) {
                in_edges[call.block(&self.func.dfg.value_lists)] += 1;
            }
        }
        let mut splits = Splits::default();
        for &block in order {
            self.blocks[block] = Some(self.new_block(self.func.layout.is_cold(block)));
            let edges = self.edges(block);
            let last = self.func.layout.last_inst(block).expect("a block has a terminator");
            let several = edges.len() > 1 || self.func.dfg.insts[last].opcode() == Opcode::BrTable;
            for (at, call) in edges.iter().enumerate() {
                let to = call.block(&self.func.dfg.value_lists);
                if several && in_edges[to] > 1 {
                    let cold = self.func.layout.is_cold(to);
                    let split = self.new_block(cold);
                    splits.insert((last, at), split);
                }
            }
        }
        splits
    }

    fn new_block(&mut self, cold: bool) -> BlockId {
        let id = BlockId(self.vcode.blocks.len() as u32);
        self.vcode.blocks.push(vcode::Block { cold, ..Default::default() });
        id
    }

    /// The edges out of `block`; the default of a table is last.
    pub(super) fn edges(&self, block: Block) -> SmallVec<[BlockCall; 2]> {
        let Some(last) = self.func.layout.last_inst(block) else { return SmallVec::new() };
        let dfg = &self.func.dfg;
        match &dfg.insts[last] {
            InstructionData::BranchTable { table, .. } => {
                let table = &dfg.jump_tables[*table];
                let default = std::iter::once(table.default_block());
                table.as_slice().iter().copied().chain(default).collect()
            }
            data => data
                .branch_destination(&dfg.jump_tables, &dfg.exception_tables)
                .iter()
                .copied()
                .collect(),
        }
    }

    /// Counts users of values, and effects before each instruction.
    fn count_uses(&mut self, block: Block) {
        let func = self.func;
        let mut effects = 0;
        for (place, inst) in func.layout.block_insts(block).enumerate() {
            self.places[inst] = place as u32;
            self.effects[inst] = effects;
            if self.has_effect(inst) || self.can_trap_in_order(inst) {
                effects += 1;
            }
            if self.identity(inst).is_some() {
                continue;
            }
            let args: SmallVec<[Value; 8]> = func.dfg.inst_values(inst).collect();
            for arg in args {
                let value = self.canonical(arg);
                self.uses[value] += 1;
                self.user[value] = Some(inst);
            }
        }
    }

    /// Notes what reads each value in a block; what may read its instructions' results was noted before.
    fn note_readers(&mut self, block: Block) {
        let dfg = &self.func.dfg;
        for inst in self.func.layout.block_insts(block).rev() {
            if self.identity(inst).is_some() {
                continue;
            }
            let result = dfg.inst_results(inst).first().map(|result| self.readers[*result]);
            let (op, ty) = (dfg.insts[inst].opcode(), dfg.ctrl_typevar(inst));
            for arg in dfg.inst_values(inst) {
                let value = self.canonical(arg);
                let of = self.type_of(value);
                self.readers[value].note(op, ty, of, result.unwrap_or_default());
            }
        }
    }

    /// Whether `inst` must be kept and stay in order.
    pub(super) fn has_effect(&self, inst: ClifInst) -> bool {
        let op = self.func.dfg.insts[inst].opcode();
        op.is_terminator()
            || op.can_store()
            || op.is_call()
            || op.other_side_effects()
            || (op.can_trap() && !op.can_load())
            || (op.can_load() && self.load_flags(inst).is_none())
    }

    /// Whether `inst` is a load that is ordered among effects.
    pub(super) fn can_trap_in_order(&self, inst: ClifInst) -> bool {
        let op = self.func.dfg.insts[inst].opcode();
        op.can_load()
            && self.accesses[inst].is_none()
            && self.load_flags(inst).is_none_or(|flags| !(flags.notrap() && flags.readonly()))
    }

    /// Lowers one block, and the split edges that leave it.
    fn block(&mut self, block: Block, splits: &Splits) -> Done {
        let func = self.func;
        let id = self.blocks[block].expect("all reachable blocks are placed");
        let mut reversed = Vec::new();
        for inst in func.layout.block_insts(block).rev() {
            self.root = inst;
            self.srcloc = func.stencil.srclocs[inst];
            self.tile = "";
            self.code.clear();
            if self.sunk.contains(inst) {
                continue;
            }
            if self.has_effect(inst) || self.can_trap_in_order(inst) {
                self.reached = self.effects[inst];
            }
            let op = func.dfg.insts[inst].opcode();
            if op.is_terminator() {
                self.terminator(block, id, splits)?;
                reversed.extend(self.code.drain(..).rev());
                for update in self.updates(block) {
                    self.root = update;
                    self.srcloc = func.stencil.srclocs[update];
                    let root = self.root_of(update);
                    self.cover(&root)?;
                    self.sunk.insert(update);
                    reversed.extend(self.code.drain(..).rev());
                }
                continue;
            } else if self.wanted(inst) {
                let root = self.root_of(inst);
                self.cover(&root)?;
            } else {
                continue;
            }
            reversed.extend(self.code.drain(..).rev());
        }
        reversed.reverse();
        self.vcode.blocks[id.index()].insts = reversed;
        if Some(block) != func.layout.entry_block() {
            for &param in func.dfg.block_params(block) {
                self.class_of(param)?;
                let reg = self.value_reg(param)?;
                self.vcode.blocks[id.index()].params.push(reg);
            }
        }
        Ok(())
    }

    /// Additions in `block` that make the next value of a loop's parameter from this one, and that
    /// nothing else in the block needs. Done last, they can be done in place.
    fn updates(&self, block: Block) -> SmallVec<[ClifInst; 4]> {
        let func = self.func;
        let dfg = &func.dfg;
        let mut updates: SmallVec<[ClifInst; 4]> = SmallVec::new();
        for call in self.edges(block) {
            let to = call.block(&dfg.value_lists);
            if self.blocks[to] > self.blocks[block] {
                continue;
            }
            let args: SmallVec<[BlockArg; 8]> = call.args(&dfg.value_lists).collect();
            for (arg, &param) in args.iter().zip(dfg.block_params(to)) {
                let BlockArg::Value(value) = *arg else { continue };
                let value = self.canonical(value);
                let Some(inst) = self.def(value) else { continue };
                // What is added must be there all along, or its register would be kept for longer.
                let step = |arg: Value| {
                    let arg = self.canonical(arg);
                    arg == param
                        || self.constant(arg).is_some()
                        || self
                            .def(arg)
                            .is_none_or(|inst| func.layout.inst_block(inst) != Some(block))
                };
                if matches!(dfg.insts[inst].opcode(), Opcode::Iadd | Opcode::Isub)
                    && func.layout.inst_block(inst) == Some(block)
                    && self.regs[value].is_some()
                    && !updates.contains(&inst)
                    && dfg.inst_args(inst).iter().any(|&arg| self.canonical(arg) == param)
                    && dfg.inst_args(inst).iter().all(|&arg| step(arg))
                    && self.used_at_end_only(block, value)
                {
                    updates.push(inst);
                }
            }
        }
        updates
    }

    /// Whether only the terminator of `block` uses `value` there, itself or through a comparison
    /// that it takes in.
    fn used_at_end_only(&self, block: Block, value: Value) -> bool {
        let dfg = &self.func.dfg;
        let terminator = self.func.layout.last_inst(block);
        let uses = |inst: ClifInst| dfg.inst_values(inst).any(|arg| self.canonical(arg) == value);
        self.func.layout.block_insts(block).all(|inst| {
            if Some(inst) == terminator || self.identity(inst).is_some() || !uses(inst) {
                return true;
            }
            let result = dfg.inst_results(inst).first().copied();
            dfg.insts[inst].opcode() == Opcode::Icmp
                && result.is_some_and(|result| {
                    self.uses[result] == 1
                        && self.user[result] == terminator
                        && self.regs[result].is_none()
                })
        })
    }

    /// Whether `inst` must be emitted: for its effect, or as something asked for a result.
    fn wanted(&self, inst: ClifInst) -> bool {
        if self.identity(inst).is_some() {
            return false;
        }
        self.has_effect(inst)
            || self.raised.contains_key(&inst)
            || self.func.dfg.inst_results(inst).iter().any(|&result| self.regs[result].is_some())
            // A load that nobody reads may still have to trap.
            || (self.can_trap_in_order(inst)
                && self.load_flags(inst).is_none_or(|flags| !flags.notrap()))
    }

    fn root_of(&self, inst: ClifInst) -> Root {
        let dfg = &self.func.dfg;
        // Instructions of one type only have no controlling type; their result's stands for it.
        let result = || dfg.inst_results(inst).first().map(|&value| dfg.value_type(value));
        let ty = Some(dfg.ctrl_typevar(inst)).filter(|&ty| ty != types::INVALID);
        Root {
            inst,
            data: dfg.insts[inst],
            op: dfg.insts[inst].opcode(),
            ty: ty.or_else(result).unwrap_or(types::INVALID),
            args: dfg.inst_args(inst).iter().copied().collect(),
        }
    }

    /// The edge `call` is, through its split block if it has one.
    fn edge(&mut self, call: BlockCall, at: usize, splits: &Splits) -> Result<Edge, Unsupported> {
        let dfg = &self.func.dfg;
        let to =
            self.blocks[call.block(&dfg.value_lists)].expect("an edge leads to a placed block");
        let values: SmallVec<[BlockArg; 8]> = call.args(&dfg.value_lists).collect();
        let params = dfg.block_params(call.block(&dfg.value_lists));
        if let Some(&split) = splits.get(&(self.root, at)) {
            let code = std::mem::take(&mut self.code);
            let args = self.edge_args(&values, params)?;
            self.tile = "edge";
            self.push(Kind::Jump);
            let insts = std::mem::replace(&mut self.code, code);
            let block = &mut self.vcode.blocks[split.index()];
            block.insts = insts;
            block.succs.push(Edge { to, args });
            return Ok(Edge { to: split, args: Vec::new() });
        }
        let args = self.edge_args(&values, params)?;
        Ok(Edge { to, args })
    }

    /// Registers of the values that an edge passes to `params`.
    fn edge_args(
        &mut self,
        values: &[BlockArg],
        params: &[Value],
    ) -> Result<Vec<VReg>, Unsupported> {
        let mut args = Vec::with_capacity(values.len());
        for (value, &param) in values.iter().zip(params) {
            let BlockArg::Value(value) = *value else {
                return self.unsupported("a value of a call that can throw");
            };
            let mut reg = self.reg(value)?;
            let promised = self.zero_extended.contains(param);
            if promised && !self.is_zero_extended_or_constant(value) {
                let to = self.gpr();
                self.x86(Code::Mov_r32_rm32, &[Opnd::Def(to), Opnd::Use(reg)]);
                reg = to;
            }
            args.push(reg);
        }
        Ok(args)
    }

    fn terminator(&mut self, block: Block, id: BlockId, splits: &Splits) -> Done {
        let dfg = &self.func.dfg;
        let data = dfg.insts[self.root];
        match data {
            InstructionData::Jump { destination, .. } => {
                self.tile = "jump";
                let edge = self.edge(destination, 0, splits)?;
                self.vcode.blocks[id.index()].succs.push(edge);
                self.push(Kind::Jump);
            }
            InstructionData::Brif { arg, blocks: [yes, no], .. } => {
                self.tile = "brif";
                let yes = self.edge(yes, 0, splits)?;
                let no = self.edge(no, 1, splits)?;
                let cond = self.condition(arg)?;
                self.vcode.blocks[id.index()].succs.extend([yes, no]);
                self.tile = "brif";
                self.push(Kind::Branch(cond));
            }
            InstructionData::BranchTable { arg, .. } => {
                self.tile = "br_table";
                let edges = self.edges(block);
                for (at, call) in edges.into_iter().enumerate() {
                    let edge = self.edge(call, at, splits)?;
                    self.vcode.blocks[id.index()].succs.push(edge);
                }
                let index = self.reg(arg)?;
                let temps = [self.gpr(), self.gpr()];
                self.push(Kind::JumpTable { index, temps });
            }
            InstructionData::Trap { code, .. } => {
                self.tile = "trap";
                self.push(Kind::Trap(code));
            }
            InstructionData::MultiAry { opcode: Opcode::Return, .. } => {
                self.tile = "return";
                self.ret()?;
            }
            _ if matches!(data.opcode(), Opcode::ReturnCall | Opcode::ReturnCallIndirect) => {
                self.tile = "return_call";
                self.tail_call()?;
            }
            _ => return self.unsupported(format!("the terminator {}", data.opcode())),
        }
        Ok(())
    }

    fn ret(&mut self) -> Done {
        let (func, abi) = (self.func, self.abi);
        let values = func.dfg.inst_args(self.root);
        let mut uses = Vec::new();
        for (slot, &value) in abi.rets.iter().zip(values) {
            let reg = self.extended(value, slot.extension)?;
            match slot.place {
                Place::Reg(preg) => uses.push((reg, preg)),
                Place::Stack(disp) => {
                    let base = self.ret_area.expect("an area for stack results");
                    let mem = Mem::Address { base, index: None, disp };
                    self.store_slot(reg, slot.ty, mem)?;
                }
            }
        }
        self.push(Kind::Ret(uses));
        Ok(())
    }

    /// Puts the receipt of arguments before all other code.
    fn arguments(&mut self, entry: Block) -> Done {
        let func = self.func;
        let abi = self.abi;
        self.code.clear();
        self.srcloc = RelSourceLoc::default();
        self.tile = "arguments";
        let mut defs = Vec::new();
        let mut loads = Vec::new();
        if let (Some(Place::Reg(preg)), Some(reg)) = (abi.ret_area, self.ret_area) {
            defs.push((reg, preg));
        }
        let params = func.dfg.block_params(entry);
        if params.len() != abi.args.len() {
            return self.unsupported("an entry block that differs from the signature");
        }
        for (slot, &param) in abi.args.iter().zip(params) {
            let Some(reg) = self.regs[param] else { continue };
            match slot.place {
                Place::Reg(preg) => defs.push((reg, preg)),
                Place::Stack(offset) => loads.push((slot.ty, reg, offset)),
            }
        }
        if !defs.is_empty() {
            self.push(Kind::Args(defs));
        }
        for (ty, reg, offset) in loads {
            self.load_slot(reg, ty, Mem::IncomingArg(offset))?;
        }
        let first = &mut self.vcode.blocks[0].insts;
        let rest = std::mem::take(first);
        first.append(&mut self.code);
        first.extend(rest);
        Ok(())
    }

    /// Stores a whole register to a stack argument or result.
    pub(super) fn store_slot(
        &mut self,
        reg: VReg,
        ty: cranelift_codegen::ir::Type,
        to: Mem,
    ) -> Done {
        let code = match ty {
            types::F32 => Code::VEX_Vmovss_m32_xmm,
            types::F64 => Code::VEX_Vmovsd_m64_xmm,
            _ if class(ty) == Some(RegClass::Int) => Code::Mov_rm64_r64,
            _ => Code::VEX_Vmovups_xmmm128_xmm,
        };
        self.x86(code, &[Opnd::Mem(to), Opnd::UseReg(reg)]);
        Ok(())
    }

    /// Loads a whole register from a stack argument or result.
    pub(super) fn load_slot(
        &mut self,
        reg: VReg,
        ty: cranelift_codegen::ir::Type,
        from: Mem,
    ) -> Done {
        let code = match ty {
            types::F32 => Code::VEX_Vmovss_xmm_m32,
            types::F64 => Code::VEX_Vmovsd_xmm_m64,
            _ if class(ty) == Some(RegClass::Int) => Code::Mov_r64_rm64,
            _ => Code::VEX_Vmovups_xmm_xmmm128,
        };
        self.x86(code, &[Opnd::Def(reg), Opnd::Mem(from)]);
        Ok(())
    }
}
