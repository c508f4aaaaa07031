//! The steps of a plan that are no loops, over registers.

use super::NONE;
use super::numbers::LocalNumbers;
use super::program::{Inst, Program, Source};
use super::table::BulkGraph;
use egraft_ir::Ty;

/// The registers of a match that is being looked for.
pub(super) struct Steps<'a> {
    graph: &'a BulkGraph,
    pub(super) program: &'a Program<'a>,
    pub(super) regs: Vec<u32>,
    /// Numbers that steps computed.
    pub(super) numbers: LocalNumbers,
}

impl<'a> Steps<'a> {
    pub(super) fn new(graph: &'a BulkGraph, program: &'a Program<'a>, regs: u16) -> Steps<'a> {
        let regs = vec![0; regs as usize];
        Steps { graph, program, regs, numbers: LocalNumbers::default() }
    }

    /// A step that is no loop.
    pub(super) fn test(&mut self, inst: &Inst) -> bool {
        match *inst {
            Inst::Equal(left, right) => return self.read(left) == self.read(right),
            Inst::ValueOf(value, ty) => return self.ty(value) == self.ty(ty).value(),
            Inst::TypeIn(ty, set) => return set >> self.read(ty) & 1 != 0,
            Inst::Constant { to, class } => {
                let number = self.graph.constant[self.read(class) as usize];
                self.regs[to as usize] = number;
                return number != NONE;
            }
            Inst::Lane { to, bits, ty } => {
                let bits = self.number(self.read(bits));
                let Some(lane) = self.ty(ty).splatted(bits) else { return false };
                self.regs[to as usize] = self.numbers.place(&self.graph.numbers, lane);
            }
            Inst::LaneIs { lane, ty, is } => {
                let is = self.graph.numbers.value(is);
                return self.number(self.read(lane)) == is & self.ty(ty).lane_mask();
            }
            Inst::Cond { at, to } => return self.condition(at, to),
            Inst::Swap { .. } | Inst::Nodes { .. } => {}
        }
        true
    }

    fn condition(&mut self, at: u8, to: Option<u16>) -> bool {
        let condition = &self.program.conditions[at as usize];
        let mut args = [0; 8];
        let sources = &self.program.arguments[at as usize];
        let params = condition.cond.params();
        for ((arg, source), (_, sort)) in args.iter_mut().zip(sources).zip(params) {
            let word = self.read(*source);
            *arg = match sort {
                egraft_rules::Sort::Value | egraft_rules::Sort::Type => u128::from(word),
                _ => self.number(word),
            };
        }
        let Some(got) = condition.eval(self.graph, &args[..sources.len()]) else {
            return false;
        };
        if condition.result.is.is_some_and(|is| is != got) {
            return false;
        }
        let word = match condition.cond.result() {
            None => return true,
            Some(egraft_rules::Sort::Type | egraft_rules::Sort::Value) => got as u32,
            Some(_) => self.numbers.place(&self.graph.numbers, got),
        };
        if let Some(to) = to {
            self.regs[to as usize] = word;
            return true;
        }
        self.program.results[at as usize].is_none_or(|source| self.read(source) == word)
    }

    pub(super) fn read(&self, source: Source) -> u32 {
        match source {
            Source::Reg { at, shift, mask } => self.regs[at as usize] >> shift & mask,
            Source::TyOf(at) => u32::from(self.graph.ty[self.regs[at as usize] as usize]),
            Source::Const(word) => word,
        }
    }

    fn ty(&self, source: Source) -> Ty {
        Ty::ALL[self.read(source) as usize]
    }

    fn number(&self, place: u32) -> u128 {
        self.numbers.value(&self.graph.numbers, place)
    }
}
