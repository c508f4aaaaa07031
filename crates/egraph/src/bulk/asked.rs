//! What of a rule an engine without numbers and facts leaves to its host: conditions and what depends on their results.

use super::mirror::ty_at;
use super::program::{Inst, Make, Program, Source, Value};
use super::search::{Given, part};
use super::steps::Steps;
use super::table::BulkGraph;

/// A rule, divided.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Steps for the engine, in order.
    pub steps: Vec<Inst>,
    /// Registers that the host reads; empty if it has nothing to do.
    pub reads: Vec<u16>,
    /// By part of the right side: the register to which the host writes the number of a constant, if it does.
    pub numbers: Vec<Option<u16>>,
    /// Registers behind the root's class, those for numbers included.
    pub temps: u16,
    rest: Vec<Inst>,
    class_reg: u16,
}

impl Asked {
    /// Divides a rule; `None` if a loop over nodes depends on a condition, which no rule's plan has.
    pub fn new(program: &Program<'_>) -> Option<Asked> {
        let mut asked = Asked {
            steps: Vec::new(),
            reads: Vec::new(),
            numbers: Vec::new(),
            temps: 0,
            rest: Vec::new(),
            class_reg: program.class_reg,
        };
        let mut later: Vec<u16> = Vec::new();
        let reg = |source: Source| match source {
            Source::Reg { at, .. } | Source::TyOf(at) => Some(at),
            Source::Const(_) => None,
        };
        for inst in &program.insts {
            let (reads, writes) = sources(inst);
            let depends =
                reads.iter().any(|source| reg(*source).is_some_and(|at| later.contains(&at)));
            if !depends && !matches!(inst, Inst::Cond { .. }) {
                asked.steps.push(*inst);
                continue;
            }
            if matches!(inst, Inst::Nodes { .. } | Inst::Swap { .. }) {
                return None;
            }
            later.extend(writes);
            asked.rest.push(*inst);
            asked.reads.extend(reads.into_iter().filter_map(reg));
            if let Inst::Cond { at, .. } = *inst {
                let arguments = program.arguments[at as usize].iter();
                asked.reads.extend(
                    arguments.chain(&program.results[at as usize]).copied().filter_map(reg),
                );
            }
        }
        let mut temps = program.regs;
        for make in &program.makes {
            asked.numbers.push(match make {
                Make::Splat { value: Value::Var(_), .. } => {
                    temps += 1;
                    Some(temps - 1)
                }
                _ => None,
            });
        }
        asked.temps = temps - program.class_reg - 1;
        // What does not fit its type is known where numbers are.
        let has_imm = |make: &Make| matches!(make, Make::Node { imm: Some(Value::Var(_)), .. });
        let computes =
            asked.numbers.iter().any(Option::is_some) || program.makes.iter().any(has_imm);
        if !asked.rest.is_empty() || computes {
            asked.reads.push(program.class_reg);
            asked.reads.extend(program.vars.iter().copied().filter_map(reg));
        }
        asked.reads.sort_unstable();
        asked.reads.dedup();
        asked.reads.retain(|at| !later.contains(at));
        Some(asked)
    }

    /// Takes the rest of the steps with what is in the registers that are read; appends the registers behind the root's
    /// class. `false` if it is no match.
    pub(super) fn answer(
        &self,
        graph: &BulkGraph,
        steps: &mut Steps<'_>,
        words: &[u32],
        found: &mut Vec<u32>,
    ) -> bool {
        for (at, word) in self.reads.iter().zip(words) {
            steps.regs[*at as usize] = *word;
        }
        if !self.rest.iter().all(|inst| steps.test(inst)) {
            return false;
        }
        let program = steps.program;
        let vars: Vec<u32> = program.vars.iter().map(|source| steps.read(*source)).collect();
        let mut types: Vec<u8> = Vec::with_capacity(program.makes.len());
        let first = self.class_reg as usize + 1;
        found.extend(&steps.regs[first..program.regs as usize]);
        for (make, number) in program.makes.iter().zip(&self.numbers) {
            let given = Given { vars: &vars, graph, numbers: &steps.numbers };
            let Some((_, ty)) = part(make, &given, |part| (0, types[part as usize])) else {
                return false;
            };
            types.push(ty);
            if let (Some(_), Make::Splat { ty, value }) = (number, make) {
                let bits = given.splat(*ty, *value);
                found.push(steps.numbers.place(&graph.numbers, bits));
            }
        }
        let root = ty_at(graph.ty[steps.regs[self.class_reg as usize] as usize].into());
        types.last().is_some_and(|ty| ty_at((*ty).into()) == root)
    }
}

/// What a step reads, and the register that it writes; loops over nodes write what no condition does.
fn sources(inst: &Inst) -> (Vec<Source>, Option<u16>) {
    match *inst {
        Inst::Swap { .. } | Inst::Cond { to: None, .. } => (vec![], None),
        Inst::Nodes { class, .. } => (vec![Source::TyOf(class)], None),
        Inst::Equal(left, right) | Inst::ValueOf(left, right) => (vec![left, right], None),
        Inst::TypeIn(ty, _) => (vec![ty], None),
        Inst::Constant { to, class } => (vec![class], Some(to)),
        Inst::Lane { to, bits, ty } => (vec![bits, ty], Some(to)),
        Inst::LaneIs { lane, ty, .. } => (vec![lane, ty], None),
        Inst::Cond { to: Some(to), .. } => (vec![], Some(to)),
    }
}
