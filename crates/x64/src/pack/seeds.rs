//! Where pairs grow from: values stored close to one another, what loops carry, both operands of an
//! instruction, neighbouring terms of a sum. Of several partners the one that saves most is taken.

use super::facts::{Def, Place, x86};
use super::{How, Level, Merge, PARAM_REACH, Pack, Packer, STORE_REACH, Source, Step, Wide};
use crate::vcode::Opnd;
use iced_x86::Code;
use regalloc2::{RegClass, VReg};

impl Packer<'_> {
    /// Values that are stored close to one another, or side by side where stores can be merged.
    pub(super) fn seed_stores(&mut self) {
        for block in 0..self.vcode.blocks.len() {
            if self.facts.level(block) == 0 || self.streaming[block] {
                continue;
            }
            let stored = |at: usize| match x86(self.inst((block, at)))? {
                (code, &[Opnd::Mem(_), Opnd::Use(reg) | Opnd::UseReg(reg)]) => {
                    self.level.store_of_both(code)?;
                    Some(((block, at), reg))
                }
                _ => None,
            };
            let stores: Vec<(Place, VReg)> =
                (0..self.vcode.blocks[block].insts.len()).filter_map(stored).collect();
            // Adjacent ones are paired from the lowest on: pairs of pairs are adjacent then, too.
            let mut order: Vec<usize> = (0..stores.len()).collect();
            order.sort_by_key(|at| {
                let access = self.inst(stores[*at].0).access;
                access.map(|access| (access.group, access.copy, access.start))
            });
            for at in order {
                let lo = &stores[at];
                if self.merges.contains_key(&lo.0) || self.stores.contains_key(&lo.0) {
                    continue;
                }
                let mut best: Option<(i64, (Place, VReg), bool)> = None;
                for (other, hi) in stores.iter().enumerate() {
                    let near = (at + 1..=at + STORE_REACH).contains(&other);
                    let merges = other != at && self.can_merge(lo.0, hi.0);
                    if !(near || merges) || self.merges.contains_key(&hi.0) {
                        continue;
                    }
                    let gain =
                        self.attempt(|this| this.pair_stores(*lo, *hi, merges), false, false);
                    if gain > best.map_or(0, |(gain, ..)| gain) {
                        best = Some((gain, *hi, merges));
                    }
                }
                if let Some((_, hi, merges)) = best {
                    self.attempt(|this| this.pair_stores(*lo, hi, merges), false, true);
                }
            }
        }
    }

    /// Packs what two stores store, and makes one of them if they can be merged.
    fn pair_stores(
        &mut self,
        (lo_place, lo): (Place, VReg),
        (hi_place, hi): (Place, VReg),
        merges: bool,
    ) {
        if lo == hi || (!merges && (self.is_member(lo) || self.is_member(hi))) {
            return;
        }
        let Source::Pack(pack) = self.source(lo, hi, 0) else { return };
        if merges {
            let merge = Merge { pack, lo: lo_place, at: lo_place.max(hi_place) };
            self.merges.insert(lo_place, merge);
            self.merges.insert(hi_place, merge);
            self.journal.push(Step::Merge([lo_place, hi_place]));
        } else {
            self.stores.insert(hi_place, pack);
            self.journal.push(Step::Store(hi_place));
        }
    }

    /// Both operands of an instruction.
    pub(super) fn seed_operands(&mut self) {
        for block in 0..self.vcode.blocks.len() {
            if self.facts.level(block) == 0 {
                continue;
            }
            for at in (0..self.vcode.blocks[block].insts.len()).rev() {
                if let Some((_, [one, other])) = self.two_operands((block, at)) {
                    self.seed_pair(one, std::iter::once(other));
                }
            }
        }
    }

    /// What is added to a sum by one instruction and by the one before it, or multiplied, and so on.
    pub(super) fn seed_terms(&mut self) {
        for block in 0..self.vcode.blocks.len() {
            if self.facts.level(block) == 0 {
                continue;
            }
            for at in (0..self.vcode.blocks[block].insts.len()).rev() {
                let Some((code, [one, other])) = self.two_operands((block, at)) else { continue };
                for (sum, term) in [(one, other), (other, one)] {
                    let Def::Inst(before) = self.facts.def(sum) else { continue };
                    let Def::Inst(made) = self.facts.def(term) else { continue };
                    let Some((same, terms)) = self.two_operands(before) else { continue };
                    let Some((maker, _)) = x86(self.inst(made)) else { continue };
                    if same != code || before.0 != block || made.0 != block {
                        continue;
                    }
                    let alike = terms.into_iter().filter(|reg| match self.facts.def(*reg) {
                        Def::Inst(place) => {
                            x86(self.inst(place)).is_some_and(|(code, _)| code == maker)
                        }
                        _ => false,
                    });
                    let alike: Vec<VReg> = alike.collect();
                    self.seed_pair(term, alike.into_iter());
                }
            }
        }
    }

    /// What instructions widen all of, which the other seeds do not reach: their results are pairs
    /// already.
    pub(super) fn seed_widened(&mut self) {
        if self.level != Level::Bits256 {
            return;
        }
        let whole = |pack: &Pack| {
            let How::Insts { lo, code, ops, .. } = &pack.how else { return None };
            let [Wide::Def, Wide::Scalar(from)] = ops[..] else { return None };
            self.level.widens_whole(*code).then_some((*lo, *code, from))
        };
        let mut widened: Vec<(Place, Code, VReg)> = self.packs.iter().filter_map(whole).collect();
        widened.sort_unstable_by_key(|(place, ..)| *place);
        for (at, &(place, code, one)) in widened.iter().enumerate() {
            let alike = |other: &&(Place, Code, VReg)| other.0.0 == place.0 && other.1 == code;
            let others = widened[at + 1..].iter().filter(alike).take(STORE_REACH);
            self.seed_pair(one, others.map(|(.., other)| *other));
        }
    }

    /// The vector registers that an instruction reads, if there are two.
    fn two_operands(&self, place: Place) -> Option<(Code, [VReg; 2])> {
        let (code, ops) = x86(self.inst(place))?;
        let regs = ops.iter().filter_map(|op| match op {
            Opnd::Use(reg) | Opnd::UseReg(reg) | Opnd::Mod { from: reg, .. } => Some(*reg),
            _ => None,
        });
        let regs: Vec<VReg> = regs.filter(|reg| reg.class() == RegClass::Float).collect();
        Some((code, regs.try_into().ok()?))
    }

    /// What a loop carries round.
    pub(super) fn seed_params(&mut self) {
        // Inner loops first, of these the fast ones: what they carry decides for the others.
        let mut blocks: Vec<usize> = (0..self.vcode.blocks.len()).collect();
        blocks.sort_by_key(|block| {
            let fast = self.vcode.blocks[*block].insts.iter().any(|inst| inst.access.is_some());
            std::cmp::Reverse((fast, self.facts.level(*block)))
        });
        for block in blocks {
            let params = &self.vcode.blocks[block].params;
            let carries = self.facts.preds[block].iter().any(|(pred, _)| *pred >= block);
            if !carries {
                continue;
            }
            for (at, one) in params.iter().enumerate() {
                if one.class() == RegClass::Float {
                    let others = params[at + 1..].iter().filter(|reg| reg.class() == one.class());
                    self.seed_pair(*one, others.take(PARAM_REACH).copied());
                }
            }
        }
    }

    /// Pairs a value with that other one with which it pays most, whichever of them is lower.
    fn seed_pair(&mut self, one: VReg, others: impl Iterator<Item = VReg>) {
        let mut best: Option<(i64, VReg, VReg)> = None;
        for other in others {
            if one == other || self.is_member(one) || self.is_member(other) {
                continue;
            }
            for (lo, hi) in [(one, other), (other, one)] {
                let gain = self.attempt(|this| this.pair_values(lo, hi), true, false);
                if gain > best.map_or(0, |(gain, ..)| gain) {
                    best = Some((gain, lo, hi));
                }
            }
        }
        if let Some((_, lo, hi)) = best {
            self.attempt(|this| this.pair_values(lo, hi), true, true);
        }
    }

    fn pair_values(&mut self, lo: VReg, hi: VReg) {
        self.source(lo, hi, 0);
    }

    /// Does something, and undoes it unless it pays, leaves an order (which readers may be moved for if
    /// it `sinks`), and is to `stay`. Gives what it saves.
    fn attempt(&mut self, what: impl FnOnce(&mut Self), sinks: bool, stay: bool) -> i64 {
        let (packs, joins) = (self.packs.len(), self.joins.len());
        self.journal.clear();
        what(self);
        let merged = self.journal.iter().any(|step| matches!(step, Step::Merge(_)));
        let mut gain = 0;
        if (merged || self.packs.len() > packs) && self.put_in_order(packs, sinks) {
            gain = self.gain(packs, joins);
            if gain > 0 && stay {
                return gain;
            }
        }
        self.undo(0);
        gain
    }
}
