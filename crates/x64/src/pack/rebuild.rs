//! Writes the function anew with what was packed. Decides nothing.

use super::facts::{Place, x86};
use super::lanes::Widening;
use super::masks::{self, Lanes};
use super::narrow::MIDDLE_SWAPPED;
use super::{How, Join, Level, Pack, Packer, Source, Wide, after};
use crate::vcode::{Block, Edge, Inst, Kind, Mem, Opnd, Opnds, VCode};
use cranelift_codegen::ir::{ConstantData, RelSourceLoc};
use cranelift_codegen::{VCodeConstant, VCodeConstantData, VCodeConstants};
use egraft_loops::Access;
use iced_x86::Code;
use regalloc2::{OperandKind, RegClass, VReg};
use rustc_hash::FxHashMap;
use smallvec::{SmallVec, smallvec};

/// The tile of what packing made.
pub(crate) const TILE: &str = "pack";

/// The same as [`MIDDLE_SWAPPED`] for eight parts of 64 bits: the even ones, then the odd ones.
const EVEN_THEN_ODD: [u64; 8] = [0, 2, 4, 6, 1, 3, 5, 7];

/// The function with its packs in place of the pairs.
pub(super) fn rebuild(mut packer: Packer<'_>, constants: &mut VCodeConstants) -> VCode {
    let mut halves = vec![None; packer.packs.len()];
    let mut late_halves: FxHashMap<usize, Vec<usize>> = FxHashMap::default();
    for (pack, half) in halves.iter_mut().enumerate() {
        let Some(block) = packer.half_block(pack) else { continue };
        let late = block != packer.place_of(packer.packs[pack].lo).0;
        *half = Some(Half { reg: packer.new_reg(), late });
        if late {
            late_halves.entry(block).or_default().push(pack);
        }
    }
    let mut joins: FxHashMap<(usize, usize), Vec<Join>> = FxHashMap::default();
    let mut loaded: FxHashMap<Place, Vec<Join>> = FxHashMap::default();
    for join in &packer.joins {
        let later = match packer.place_of(join.lo) > packer.place_of(join.hi) {
            true => join.lo,
            false => join.hi,
        };
        match packer.unfolds.get(&later) {
            Some(place) => loaded.entry(*place).or_default().push(*join),
            None => joins.entry(packer.place_of(later)).or_default().push(*join),
        }
    }
    let mut sunk: FxHashMap<Place, Vec<Place>> = FxHashMap::default();
    for (place, to) in &packer.sunk {
        sunk.entry(*to).or_default().push(*place);
    }
    sunk.values_mut().for_each(|places| places.sort_unstable());
    let out = Vec::new();
    let masks = masks(&mut packer);
    let mut rebuilder =
        Rebuilder { packer, constants, halves, masks, late_halves, joins, sunk, loaded, out };
    let count = rebuilder.packer.vcode.blocks.len();
    let blocks = (0..count).map(|block| rebuilder.block(block)).collect();
    let packer = rebuilder.packer;
    let mut vcode = VCode {
        blocks,
        vregs: packer.vregs,
        outgoing_args: packer.vcode.outgoing_args,
        calls: packer.vcode.calls,
        vector_bytes: packer.level.bytes(),
        vector_registers: packer.vcode.vector_registers,
    };
    drop_unread(&mut vcode);
    vcode
}

/// A register for each comparison that makes a mask.
fn masks(packer: &mut Packer<'_>) -> Vec<Option<(VReg, &'static Lanes)>> {
    let mut lanes = vec![None; packer.packs.len()];
    for (pack, lanes) in packer.packs.iter().zip(&mut lanes) {
        if let How::Insts { code, .. } = &pack.how {
            *lanes = masks::comparison(*code);
        }
    }
    lanes.into_iter().map(|lanes| lanes.map(|lanes| (packer.new_mask(), lanes))).collect()
}

/// Drops instructions on vectors whose results nothing reads: what only narrow ones read.
fn drop_unread(vcode: &mut VCode) {
    let mut read = vec![false; vcode.vregs];
    for edge in vcode.blocks.iter().flat_map(|block| &block.succs) {
        edge.args.iter().for_each(|arg| read[arg.vreg()] = true);
    }
    let mut operands = Vec::new();
    for block in vcode.blocks.iter_mut().rev() {
        let mut kept = Vec::with_capacity(block.insts.len());
        for inst in block.insts.drain(..).rev() {
            operands.clear();
            inst.operands(&mut operands);
            let unread = match (&inst.kind, &operands[..]) {
                (Kind::X86 { implicit, .. }, _) if !implicit.is_empty() => false,
                (Kind::X86 { .. } | Kind::Idiom { .. }, operands) => {
                    let made = operands.iter().filter(|op| op.kind() == OperandKind::Def);
                    let mut made = made.peekable();
                    !inst.has_effect()
                        && made.peek().is_some()
                        && made.all(|op| op.class() != RegClass::Int && !read[op.vreg().vreg()])
                }
                _ => false,
            };
            if !unread {
                let used = operands.iter().filter(|op| op.kind() == OperandKind::Use);
                used.for_each(|op| read[op.vreg().vreg()] = true);
                kept.push(inst);
            }
        }
        kept.reverse();
        block.insts = kept;
    }
}

/// An access to as many bytes again, behind those of `inst`.
fn both(inst: &Inst) -> Inst {
    let access = inst.access.map(|access| Access { bytes: 2 * access.bytes, ..access });
    Inst { access, ..inst.clone() }
}

/// The upper half of a pack where it is taken out.
#[derive(Clone, Copy)]
struct Half {
    reg: VReg,
    /// Whether that is behind the loop.
    late: bool,
}

struct Rebuilder<'a, 'c> {
    packer: Packer<'a>,
    constants: &'c mut VCodeConstants,
    /// A register for the upper half of each pack that needs one.
    halves: Vec<Option<Half>>,
    /// A register for the mask of each pack that is a comparison of 512 bits, and its lanes.
    masks: Vec<Option<(VReg, &'static Lanes)>>,
    /// Packs whose halves are taken out where a block begins.
    late_halves: FxHashMap<usize, Vec<usize>>,
    /// What is to be put together behind each point.
    joins: FxHashMap<(usize, usize), Vec<Join>>,
    /// Instructions that moved behind another, in their order.
    sunk: FxHashMap<Place, Vec<Place>>,
    /// What is to be put together once an operand of an instruction is loaded, before the rest of it.
    loaded: FxHashMap<Place, Vec<Join>>,
    out: Vec<Inst>,
}

impl Rebuilder<'_, '_> {
    fn block(&mut self, at: usize) -> Block {
        let vcode = self.packer.vcode;
        let block = &vcode.blocks[at];
        let mut params = Vec::new();
        for param in &block.params {
            match self.packer.member.get(param) {
                Some(&pack) if self.packer.packs[pack].lo == *param => {
                    params.push(self.packer.packs[pack].to);
                    self.take_half(pack, RelSourceLoc::default());
                }
                Some(_) => {}
                None => params.push(*param),
            }
        }
        for pack in self.late_halves.remove(&at).unwrap_or_default() {
            self.extract_half(pack, RelSourceLoc::default());
        }
        let joins = self.joins.remove(&(at, 0)).unwrap_or_default();
        self.put_together(joins, RelSourceLoc::default());
        for (index, inst) in block.insts.iter().enumerate() {
            if !self.packer.sunk.contains_key(&(at, index)) {
                self.inst((at, index), inst);
            }
            for place in self.sunk.remove(&(at, index)).unwrap_or_default() {
                self.inst(place, self.packer.inst(place));
            }
            let joins = self.joins.remove(&after((at, index))).unwrap_or_default();
            self.put_together(joins, inst.srcloc);
        }
        let succs = block.succs.iter().enumerate().map(|(succ, edge)| self.edge(at, succ, edge));
        let succs: SmallVec<[Edge; 2]> = succs.collect();
        Block { params, insts: std::mem::take(&mut self.out), succs, cold: block.cold }
    }

    fn inst(&mut self, place: Place, inst: &Inst) {
        if self.packer.absorbed.contains_key(&place) {
            return;
        }
        if let Some(&reg) = self.packer.unfolded.get(&place)
            && let Some((_, ops)) = x86(inst)
            && let Some(Opnd::Mem(mem)) = ops.iter().find(|op| matches!(op, Opnd::Mem(_)))
        {
            let ops = smallvec![Opnd::Def(reg), Opnd::Mem(*mem)];
            self.put_as(inst, self.packer.level.load_half(), ops);
            let joins = self.loaded.remove(&place).unwrap_or_default();
            self.put_together(joins, inst.srcloc);
        }
        if let Some(merge) = self.packer.merges.get(&place) {
            if merge.at == place
                && let first = self.packer.inst(merge.lo)
                && let Some((code, [Opnd::Mem(mem), _])) = x86(first)
            {
                let wide = self.packer.packs[merge.pack].to;
                let code = self.packer.level.store_of_both(code).unwrap_or(code);
                let ops = smallvec![Opnd::Mem(*mem), Opnd::UseReg(wide)];
                self.put_as(&both(first), code, ops);
            }
            return;
        }
        if let Some(&pack) = self.packer.stores.get(&place)
            && let Some((_, [Opnd::Mem(mem), _])) = x86(inst)
        {
            let wide = self.packer.packs[pack].to;
            let ops = smallvec![Opnd::Mem(*mem), Opnd::UseReg(wide), Opnd::Imm(1)];
            return self.put_as(inst, self.packer.level.extract(), ops);
        }
        let Some(pack) = self.packer.pack_at(place) else {
            let mut inst = inst.clone();
            self.rewrite(&mut inst.kind);
            return self.out.push(inst);
        };
        let Pack { to, how, .. } = &self.packer.packs[pack];
        let to = *to;
        match how {
            How::Insts { lo, hi, code, ops } if *lo.max(hi) == place => {
                let (mut code, ops, merged) = (*code, ops.clone(), lo != hi);
                let from = ops.iter().find_map(|op| match op {
                    Wide::Memory(place) if merged => Some(both(self.packer.inst(*place))),
                    Wide::Memory(place) => Some(self.packer.inst(*place).clone()),
                    _ => None,
                });
                let mut ops = match masks::blend(code) {
                    Some(lanes) => {
                        let (blend, ops) = self.blend(lanes, &ops, to, inst.srcloc);
                        code = blend;
                        ops
                    }
                    None => ops.iter().map(|op| self.operand(op, to)).collect(),
                };
                let mask = self.masks[pack];
                if let Some((mask, _)) = mask {
                    ops[0] = Opnd::Def(mask);
                }
                match from {
                    Some(from) => self.put_as(&from, code, ops),
                    None => self.put(inst.srcloc, code, ops),
                }
                if let Some((mask, lanes)) = mask {
                    let ops = smallvec![Opnd::Def(to), Opnd::UseReg(mask)];
                    self.put(inst.srcloc, lanes.to_vector, ops);
                }
                self.take_half(pack, inst.srcloc);
            }
            How::Lows { lo, hi, widening, from } if *lo.max(hi) == place => {
                let (widening, from) = (*widening, *from);
                self.widen_lows(widening, from, to, inst.srcloc);
                self.take_half(pack, inst.srcloc);
            }
            How::Narrow { lo, hi, code, from } if *lo.max(hi) == place => {
                let (code, [one, other]) = (*code, from.map(|from| self.source(from)));
                let mixed = self.packer.new_reg();
                let ops = smallvec![Opnd::Def(mixed), Opnd::UseReg(one), Opnd::UseReg(other)];
                self.put(inst.srcloc, code, ops);
                self.unmix(mixed, to, inst.srcloc);
                self.take_half(pack, inst.srcloc);
            }
            How::Idiom { lo, hi, code } if *lo.max(hi) == place => {
                let kind = Kind::Idiom { code: *code, to };
                self.out.push(Inst {
                    kind,
                    srcloc: inst.srcloc,
                    trap: None,
                    access: None,
                    tile: TILE,
                });
                self.take_half(pack, inst.srcloc);
            }
            _ => {}
        }
    }

    /// A blend by a mask: that of a comparison, or one made of what the blend chooses by.
    fn blend(
        &mut self,
        lanes: &'static Lanes,
        ops: &[Wide],
        to: VReg,
        srcloc: RelSourceLoc,
    ) -> (Code, Opnds) {
        let [rest @ .., by] = ops else { unreachable!("a blend has operands") };
        let compared = match by {
            Wide::Use(Source::Pack(pack)) => {
                self.masks[*pack].filter(|(_, by)| by.are_lanes_of(lanes))
            }
            _ => None,
        };
        let mut operands: Opnds = rest.iter().map(|op| self.operand(op, to)).collect();
        let (mask, lanes) = compared.unwrap_or_else(|| {
            let mask = self.packer.new_mask();
            let by = self.operand(by, to);
            self.put(srcloc, lanes.to_mask, smallvec![Opnd::Def(mask), by]);
            (mask, lanes)
        });
        operands.push(Opnd::Mask(mask));
        (lanes.blend, operands)
    }

    /// Puts what was narrowed within 128 bits to where it belongs.
    fn unmix(&mut self, mixed: VReg, to: VReg, srcloc: RelSourceLoc) {
        let (code, ops) = match self.packer.level {
            Level::Bits256 => (
                Code::VEX_Vpermq_ymm_ymmm256_imm8,
                smallvec![Opnd::Def(to), Opnd::UseReg(mixed), Opnd::Imm(MIDDLE_SWAPPED)],
            ),
            Level::Bits512 => {
                let order = self.packer.new_reg();
                let bytes: Vec<u8> = EVEN_THEN_ODD.into_iter().flat_map(u64::to_le_bytes).collect();
                let data = VCodeConstantData::Generated(ConstantData::from(&bytes[..]));
                let constant = Mem::Constant(self.constants.insert(data));
                let ops = smallvec![Opnd::Def(order), Opnd::Mem(constant)];
                self.put(srcloc, self.packer.level.load(), ops);
                (
                    Code::EVEX_Vpermq_zmm_k1z_zmm_zmmm512b64,
                    smallvec![Opnd::Def(to), Opnd::UseReg(order), Opnd::UseReg(mixed)],
                )
            }
        };
        self.put(srcloc, code, ops);
    }

    /// Widens the low halves of both halves of `from`.
    fn widen_lows(&mut self, widening: &Widening, from: Source, to: VReg, srcloc: RelSourceLoc) {
        let (from, spare) = (self.source(from), self.packer.new_reg());
        let code = match widening.unpack_low() {
            Some(code) => {
                let kind = Kind::Idiom { code: Code::VEX_Vpxor_ymm_ymm_ymmm256, to: spare };
                self.out.push(Inst { kind, srcloc, trap: None, access: None, tile: TILE });
                let ops = smallvec![Opnd::Def(to), Opnd::UseReg(from), Opnd::UseReg(spare)];
                return self.put(srcloc, code, ops);
            }
            None => widening.whole,
        };
        let ops = smallvec![Opnd::Def(spare), Opnd::UseReg(from), Opnd::Imm(MIDDLE_SWAPPED)];
        self.put(srcloc, Code::VEX_Vpermq_ymm_ymmm256_imm8, ops);
        self.put(srcloc, code, smallvec![Opnd::Def(to), Opnd::UseReg(spare)]);
    }

    fn operand(&mut self, op: &Wide, to: VReg) -> Opnd {
        match *op {
            Wide::Def => Opnd::Def(to),
            Wide::Use(source) => Opnd::Use(self.source(source)),
            Wide::Mod(source) => Opnd::Mod { from: self.source(source), to },
            Wide::Scalar(reg) => Opnd::Use(self.reg(reg)),
            Wide::Imm(imm) => Opnd::Imm(imm),
            Wide::Constants(lo, hi) => Opnd::Mem(self.constant(lo, hi)),
            Wide::Memory(place) => {
                let ops = x86(self.packer.inst(place)).map_or(&[][..], |(_, ops)| ops);
                let memory = ops.iter().find(|op| matches!(op, Opnd::Mem(_)));
                *memory.expect("an access to memory")
            }
        }
    }

    fn source(&self, source: Source) -> VReg {
        match source {
            Source::Pack(pack) => self.packer.packs[pack].to,
            Source::Join(join) => self.packer.joins[join].to,
        }
    }

    fn constant(&mut self, lo: VCodeConstant, hi: VCodeConstant) -> Mem {
        let bytes = [self.constants.get(lo).as_slice(), self.constants.get(hi).as_slice()].concat();
        let data = VCodeConstantData::Generated(ConstantData::from(&bytes[..]));
        Mem::Constant(self.constants.insert(data))
    }

    /// The register that holds what `reg` held.
    fn reg(&self, reg: VReg) -> VReg {
        match self.packer.member.get(&reg) {
            Some(&pack) if self.packer.packs[pack].lo == reg => self.packer.packs[pack].to,
            Some(&pack) => self.halves[pack].expect("a half that something reads").reg,
            None => reg,
        }
    }

    fn rewrite(&self, kind: &mut Kind) {
        let rewrite = |reg: &mut VReg| *reg = self.reg(*reg);
        match kind {
            Kind::X86 { ops, implicit, .. } => {
                for op in ops.iter_mut().chain(implicit) {
                    match op {
                        Opnd::Use(reg) | Opnd::UseReg(reg) | Opnd::UseFixed(reg, _) => rewrite(reg),
                        Opnd::Mod { from, .. } => rewrite(from),
                        _ => {}
                    }
                }
            }
            Kind::Ret(uses) => uses.iter_mut().for_each(|(reg, _)| rewrite(reg)),
            Kind::Call(call) => call.uses.iter_mut().for_each(|(reg, _)| rewrite(reg)),
            Kind::SelectVector { yes, no, .. } => [yes, no].into_iter().for_each(rewrite),
            Kind::Move { from, .. } => rewrite(from),
            _ => {}
        }
    }

    fn edge(&self, from: usize, succ: usize, edge: &Edge) -> Edge {
        let to = edge.to.index();
        let params = &self.packer.vcode.blocks[to].params;
        let mut args = Vec::with_capacity(edge.args.len());
        for (param, arg) in params.iter().zip(&edge.args) {
            match self.packer.member.get(param) {
                Some(&pack) if self.packer.packs[pack].lo == *param => {
                    let preds = &self.packer.facts.preds[to];
                    let at = preds.iter().position(|pred| *pred == (from, succ));
                    if let (How::Params { edges, .. }, Some(at)) =
                        (&self.packer.packs[pack].how, at)
                    {
                        args.push(self.source(edges[at]));
                    }
                }
                Some(_) => {}
                None => args.push(self.reg(*arg)),
            }
        }
        Edge { to: edge.to, args }
    }

    /// Takes the upper half of a pack out, if something reads it.
    fn take_half(&mut self, pack: usize, srcloc: RelSourceLoc) {
        if self.halves[pack].is_some_and(|half| !half.late) {
            self.extract_half(pack, srcloc);
        }
    }

    fn extract_half(&mut self, pack: usize, srcloc: RelSourceLoc) {
        if let Some(Half { reg: half, .. }) = self.halves[pack] {
            let wide = self.packer.packs[pack].to;
            let ops = smallvec![Opnd::Def(half), Opnd::UseReg(wide), Opnd::Imm(1)];
            self.put(srcloc, self.packer.level.extract(), ops);
        }
    }

    /// Puts registers together of which the later was made just now.
    fn put_together(&mut self, joins: Vec<Join>, srcloc: RelSourceLoc) {
        for join in joins {
            let lo = self.reg(join.lo);
            // An upper half that was loaded for this alone is loaded into place.
            if let Some(last) = self.out.last_mut()
                && self.packer.facts.uses(join.hi).len() <= 1
                && join.lo != join.hi
                && let Kind::X86 { code, ops, .. } = &mut last.kind
                && self.packer.level.is_load_of_half(*code)
                && let [Opnd::Def(to), Opnd::Mem(mem)] = ops[..]
                && to == join.hi
            {
                *code = self.packer.level.insert();
                *ops =
                    smallvec![Opnd::Def(join.to), Opnd::UseReg(lo), Opnd::Mem(mem), Opnd::Imm(1)];
                continue;
            }
            let hi = self.reg(join.hi);
            let ops =
                smallvec![Opnd::Def(join.to), Opnd::UseReg(lo), Opnd::UseReg(hi), Opnd::Imm(1)];
            self.put(srcloc, self.packer.level.insert(), ops);
        }
    }

    fn put(&mut self, srcloc: RelSourceLoc, code: Code, ops: Opnds) {
        let kind = Kind::X86 { code, ops, implicit: SmallVec::new() };
        self.out.push(Inst { kind, srcloc, trap: None, access: None, tile: TILE });
    }

    /// Emits an access to memory that means what `like` meant.
    fn put_as(&mut self, like: &Inst, code: Code, ops: Opnds) {
        let kind = Kind::X86 { code, ops, implicit: SmallVec::new() };
        let Inst { srcloc, trap, access, .. } = *like;
        self.out.push(Inst { kind, srcloc, trap, access, tile: TILE });
    }
}
