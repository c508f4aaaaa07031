//! Rules made ready for searching arrays: plans and right sides over registers, for the CPU here and for GPUs.

use super::NONE;
use super::numbers::Numbers;
use super::table::Words;
use egraft_ir::{Op, Ty};
use egraft_rules::{
    Condition, Pattern, Ref, Rule, RuleSet, Sort, Step, StepSource, Template, VarId, build,
};

/// A value that a step reads: a class, a type or the place of a number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// The low `mask` bits of a register from bit `shift` on.
    Reg {
        /// The register.
        at: u16,
        /// 0, 8 or 16.
        shift: u8,
        /// 0xff or all ones.
        mask: u32,
    },
    /// The value type of the class in a register.
    TyOf(u16),
    /// This.
    Const(u32),
}

impl Source {
    const fn reg(at: u16) -> Source {
        Source::Reg { at, shift: 0, mask: u32::MAX }
    }
}

/// Registers of a node: three operands, in the order in which they are tried, immediate, head.
pub const NODE_REGS: u16 = 5;
const IMM: u16 = 3;
const HEAD: u16 = 4;

/// As [`Step`], over registers. Binding a variable is no step: each stands for a source.
#[derive(Clone, Copy, Debug)]
pub enum Inst {
    /// Loop: both orders of the operands from this register on.
    Swap {
        /// The first of two registers.
        at: u16,
    },
    /// Loop: the nodes of a class with such a head.
    Nodes {
        /// The first register of the node.
        to: u16,
        /// The register of the class.
        class: u16,
        /// What is asked of nodes.
        head: Head,
        /// Whether no loop over nodes comes after it: if no node is new so far, this one must be.
        last: bool,
        /// What the steps right after it ask of an operand, if they do: such nodes are users of a class that is known.
        join: Option<Join>,
    },
    /// Both are equal.
    Equal(Source, Source),
    /// The first is the value type of the second.
    ValueOf(Source, Source),
    /// The type is in the set.
    TypeIn(Source, u16),
    /// The class is a constant; its number goes to a register.
    Constant {
        /// The register.
        to: u16,
        /// The class.
        class: Source,
    },
    /// The number is the same in every lane of the type; the lane goes to a register.
    Lane {
        /// The register.
        to: u16,
        /// The number.
        bits: Source,
        /// The type.
        ty: Source,
    },
    /// The lane is this number, cut to the lane width.
    LaneIs {
        /// The lane.
        lane: Source,
        /// The type.
        ty: Source,
        /// The place of the number.
        is: u32,
    },
    /// The condition holds; its result goes to a register, or agrees with [`Program::results`].
    Cond {
        /// Which condition.
        at: u8,
        /// The register.
        to: Option<u16>,
    },
}

/// An operand that must be a certain class.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Join {
    /// Which operand; `None`: either of the first two.
    pub arg: Option<u8>,
    /// The register of the class.
    pub with: u16,
}

impl Join {
    /// What `after` asks of an operand of the node that comes to the registers from `to` on.
    fn find(to: u16, after: &[Inst]) -> Option<Join> {
        let swaps = matches!(after.first(), Some(Inst::Swap { at }) if *at == to);
        let whole = |source: Source| match source {
            Source::Reg { at, shift: 0, mask: u32::MAX } => Some(at),
            _ => None,
        };
        let operands = to..to + IMM;
        after[usize::from(swaps)..]
            .iter()
            .map_while(|inst| match inst {
                Inst::Equal(left, right) => Some((whole(*left), whole(*right))),
                _ => None,
            })
            .find_map(|pair| {
                let (Some(left), Some(right)) = pair else { return None };
                let (own, with) =
                    if operands.contains(&left) { (left, right) } else { (right, left) };
                let is_join = operands.contains(&own) && !operands.contains(&with);
                let arg = own.wrapping_sub(to) as u8;
                let either = swaps && arg < 2;
                is_join.then_some(Join { arg: (!either).then_some(arg), with })
            })
    }
}

/// What is asked of the head of a node.
#[derive(Clone, Copy, Debug)]
pub struct Head {
    /// The bits that are asked; the op always.
    pub mask: u32,
    /// What they are.
    pub is: u32,
}

impl Head {
    const fn of(op: Op) -> Head {
        Head { mask: 0xff, is: op as u32 }
    }

    /// The op.
    pub const fn op(self) -> u8 {
        (self.is & 0xff) as u8
    }

    /// Whether a node's head is so.
    pub const fn fits(self, head: u32) -> bool {
        head & self.mask == self.is
    }
}

/// A value that a right side reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Value {
    /// Of a variable.
    Var(u8),
    /// This.
    Const(u32),
}

/// A part of a right side; operands are parts before it.
#[derive(Clone, Copy, Debug)]
pub enum Make {
    /// The class of a variable.
    Class(u8),
    /// A node whose types and immediate are the rule's own and were checked; its operands' types follow.
    Fixed {
        /// Op and types, as graphs write them.
        head: u32,
        /// The place of the immediate.
        imm: u32,
        /// Operands.
        args: [u8; 3],
        /// How many.
        arity: u8,
        /// The value type.
        result: u8,
    },
    /// A node.
    Node {
        /// Its op.
        op: Op,
        /// Its type.
        ty: Value,
        /// Its operand type, where it has its own.
        from: Option<Value>,
        /// The place of its immediate.
        imm: Option<Value>,
        /// Operands.
        args: [u8; 3],
        /// How many.
        arity: u8,
    },
    /// A constant with a number in every lane.
    Splat {
        /// The type.
        ty: Value,
        /// The number.
        value: Value,
    },
    /// A 128-bit constant.
    Bits(Value),
}

/// A rule.
#[derive(Debug)]
pub struct Program<'r> {
    /// What is asked of the root, which comes to the first registers.
    pub root: Head,
    /// The steps.
    pub insts: Vec<Inst>,
    /// The right side's parts; the last is the whole.
    pub makes: Vec<Make>,
    /// The rule's conditions.
    pub conditions: &'r [Condition],
    /// The condition's arguments, as sources.
    pub arguments: Vec<Vec<Source>>,
    /// What each variable stands for.
    pub vars: Vec<Source>,
    /// What the result of each condition that is only compared is compared with.
    pub results: Vec<Option<Source>>,
    /// The register of the root's class.
    pub class_reg: u16,
    /// Registers in all.
    pub regs: u16,
    /// Which variables are numbers.
    pub number_vars: Vec<u8>,
    /// How far below the root a node of the left side may stand.
    pub depth: u8,
    /// Whether the left side has another node in the root's class.
    pub more_at_root: bool,
    /// The ops that each operand class of the root must have, a bit each; ops may share one.
    pub operands: [u64; 3],
    /// Whether the root's operands are tried in both orders.
    pub swaps_root: bool,
    /// Whether the right side has at most two nodes, and these of fixed types, so that it can be told cheaply whether two
    /// matches add the same.
    pub makes_little: bool,
}

/// All rules.
#[derive(Debug)]
pub struct Programs<'r> {
    /// By number.
    pub all: Vec<Program<'r>>,
    /// Rules by the op of their root.
    pub by_root: Vec<Vec<u16>>,
    /// The greatest [`Program::depth`].
    pub depth: u8,
    /// Whether a rule asks what is known of classes.
    pub reads_facts: bool,
    /// Registers that the rules need at most.
    pub regs: u16,
}

/// A bit for an op; ops may share one.
pub(super) const fn op_bit(op: u8) -> u64 {
    1 << (op & 63)
}

impl<'r> Programs<'r> {
    pub(super) fn new(sets: &[&'r RuleSet], numbers: &mut Numbers) -> Programs<'r> {
        let mut programs = Programs {
            all: Vec::new(),
            by_root: vec![Vec::new(); Op::ALL.len()],
            depth: 0,
            reads_facts: false,
            regs: 0,
        };
        for set in sets {
            for rule in &set.rules {
                let program = Program::new(rule, numbers);
                programs.depth = programs.depth.max(program.depth);
                programs.regs = programs.regs.max(program.regs);
                programs.reads_facts |= program
                    .insts
                    .iter()
                    .any(|inst| matches!(inst, Inst::Cond { .. } | Inst::Constant { .. }));
                programs.by_root[rule.root_op() as usize].push(programs.all.len() as u16);
                programs.all.push(program);
            }
        }
        programs
    }
}

/// What a source or a constant stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Class,
    Type,
    Number,
}

const fn kind_of(sort: Sort) -> Kind {
    match sort {
        Sort::Value => Kind::Class,
        Sort::Type => Kind::Type,
        Sort::Int | Sort::IntCc | Sort::FloatCc => Kind::Number,
    }
}

struct Compiler<'a> {
    rule: &'a Rule,
    numbers: &'a mut Numbers,
    nodes: u16,
    regs: u16,
    vars: Vec<Option<Source>>,
    heads: Vec<Head>,
}

impl<'r> Program<'r> {
    fn new(rule: &'r Rule, numbers: &mut Numbers) -> Program<'r> {
        let plan = rule.plan();
        let nodes = plan.nodes as u16;
        let mut compiler = Compiler {
            rule,
            numbers,
            nodes,
            // Behind the nodes: the root's class, temporaries, results of conditions.
            regs: nodes * NODE_REGS + 1 + plan.temps as u16,
            vars: vec![None; rule.vars.len()],
            heads: vec![Head::of(rule.root_op()); plan.nodes],
        };
        let mut insts = Vec::new();
        let mut depth = vec![0; plan.nodes];
        for step in &plan.steps {
            if let Step::Nodes { node, of, .. } = step {
                depth[*node] = depth[*of] + 1;
            }
            insts.extend(compiler.inst(step));
        }
        for inst in &mut insts {
            if let Inst::Nodes { to, head, .. } = inst {
                *head = compiler.heads[(*to / NODE_REGS) as usize];
            }
        }
        let last = insts.iter_mut().rev().find_map(|inst| match inst {
            Inst::Nodes { last, .. } => Some(last),
            _ => None,
        });
        if let Some(last) = last {
            *last = true;
        }
        for at in 0..insts.len() {
            let (head, after) = insts.split_at_mut(at + 1);
            if let Inst::Nodes { to, join, .. } = &mut head[at] {
                *join = Join::find(*to, after);
            }
        }
        let arguments = rule.conditions.iter().map(|condition| {
            let params = condition.cond.params().iter().map(|(_, sort)| kind_of(*sort));
            let args = condition.args.iter().zip(params);
            args.map(|(arg, kind)| compiler.bound(*arg, kind)).collect()
        });
        let arguments: Vec<Vec<Source>> = arguments.collect();
        let result = |condition: &Condition| compiler.vars[condition.result.var?.index()];
        let results = rule.conditions.iter().map(result).collect();
        let mut makes = Vec::new();
        compiler.make(&rule.rhs, &mut makes);
        compiler.fix(&mut makes);
        let is_fixed = |make: &&Make| matches!(make, Make::Fixed { .. });
        let others = makes.iter().filter(|make| !matches!(make, Make::Class(_))).count();
        let makes_little = makes.last().as_ref().is_some_and(is_fixed)
            && others <= 2
            && makes.iter().filter(is_fixed).count() == others;
        let mut operands = [0; 3];
        for (bits, op) in operands.iter_mut().zip(&plan.operands) {
            *bits = op.map_or(0, |op| op_bit(op as u8));
        }
        let is_number = |at: &u8| kind_of(rule.vars[*at as usize].sort) == Kind::Number;
        Program {
            root: compiler.heads[0],
            more_at_root: plan.steps.iter().any(|step| matches!(step, Step::RootNodes { .. })),
            insts,
            makes,
            conditions: &rule.conditions,
            arguments,
            // Those that nothing binds are not read either.
            vars: compiler.vars.iter().map(|var| var.unwrap_or(Source::Const(0))).collect(),
            results,
            class_reg: nodes * NODE_REGS,
            regs: compiler.regs,
            number_vars: (0..rule.vars.len() as u8).filter(is_number).collect(),
            depth: depth.into_iter().max().unwrap_or(0),
            operands,
            swaps_root: plan.swaps_root,
            makes_little,
        }
    }
}

impl Compiler<'_> {
    fn inst(&mut self, step: &Step) -> Option<Inst> {
        Some(match *step {
            Step::Swap { node } => Inst::Swap { at: node as u16 * NODE_REGS },
            Step::Nodes { node, of, arg, op } => {
                self.nodes(node, of as u16 * NODE_REGS + arg as u16, op)
            }
            Step::RootNodes { node, op } => self.nodes(node, self.class_reg(), op),
            Step::Bind(var, source) => {
                self.vars[var.index()] = Some(self.source(source, self.var_kind(var)));
                return None;
            }
            Step::Equal(StepSource::NodeTy(node), StepSource::Const(ty)) => {
                return self.ask(node, 8, ty);
            }
            Step::Equal(StepSource::NodeFrom(node), StepSource::Const(ty)) => {
                return self.ask(node, 16, ty);
            }
            Step::Equal(left, right) => {
                let kind = self.kind(left).or(self.kind(right)).unwrap_or(Kind::Number);
                Inst::Equal(self.source(left, kind), self.source(right, kind))
            }
            Step::ValueOf(value, ty) => {
                Inst::ValueOf(self.source(value, Kind::Type), self.source(ty, Kind::Type))
            }
            Step::TypeIn(ty, set) => Inst::TypeIn(self.source(ty, Kind::Type), set),
            Step::Constant { temp, class } => {
                Inst::Constant { to: self.temp(temp), class: self.source(class, Kind::Class) }
            }
            Step::Lane { temp, bits, ty } => Inst::Lane {
                to: self.temp(temp),
                bits: self.source(bits, Kind::Number),
                ty: self.source(ty, Kind::Type),
            },
            Step::LaneIs { lane, ty, is } => Inst::LaneIs {
                lane: self.source(lane, Kind::Number),
                ty: self.source(ty, Kind::Type),
                is: self.numbers.place(is),
            },
            Step::Cond { at, bind } => {
                let to = self.rule.conditions[at].result.var.filter(|_| bind).map(|var| {
                    let to = self.regs;
                    self.regs += 1;
                    self.vars[var.index()] = Some(Source::reg(to));
                    to
                });
                Inst::Cond { at: at as u8, to }
            }
        })
    }

    /// The node's head must have this in the byte from bit `shift` on: asked when the node is chosen.
    fn ask(&mut self, node: usize, shift: u32, is: u128) -> Option<Inst> {
        let head = &mut self.heads[node];
        if head.mask >> shift & 0xff != 0 {
            // Asked already, perhaps for another.
            let ty =
                Source::Reg { at: node as u16 * NODE_REGS + HEAD, shift: shift as u8, mask: 0xff };
            return Some(Inst::Equal(ty, Source::Const(is as u32)));
        }
        head.mask |= 0xff << shift;
        head.is |= (is as u32) << shift;
        None
    }

    fn nodes(&mut self, node: usize, class: u16, op: Op) -> Inst {
        self.heads[node] = Head::of(op);
        Inst::Nodes {
            to: node as u16 * NODE_REGS,
            class,
            head: Head::of(op),
            last: false,
            join: None,
        }
    }

    const fn class_reg(&self) -> u16 {
        self.nodes * NODE_REGS
    }

    const fn temp(&self, temp: usize) -> u16 {
        self.class_reg() + 1 + temp as u16
    }

    fn var_kind(&self, var: VarId) -> Kind {
        kind_of(self.rule.vars[var.index()].sort)
    }

    /// What a source stands for; constants may be types or numbers.
    fn kind(&self, source: StepSource) -> Option<Kind> {
        match source {
            StepSource::RootClass | StepSource::Arg(..) => Some(Kind::Class),
            StepSource::NodeTy(_) | StepSource::NodeFrom(_) | StepSource::ArgTy(..) => {
                Some(Kind::Type)
            }
            StepSource::NodeImm(_) | StepSource::Temp(_) => Some(Kind::Number),
            StepSource::Var(var) => Some(self.var_kind(var)),
            StepSource::Const(_) => None,
        }
    }

    fn source(&mut self, source: StepSource, kind: Kind) -> Source {
        let at = |node: usize| node as u16 * NODE_REGS;
        let byte = |node, shift| Source::Reg { at: at(node) + HEAD, shift, mask: 0xff };
        match source {
            StepSource::RootClass => Source::reg(self.class_reg()),
            StepSource::NodeTy(node) => byte(node, 8),
            StepSource::NodeFrom(node) => byte(node, 16),
            StepSource::NodeImm(node) => Source::reg(at(node) + IMM),
            StepSource::Arg(node, arg) => Source::reg(at(node) + arg as u16),
            StepSource::ArgTy(node, arg) => Source::TyOf(at(node) + arg as u16),
            StepSource::Temp(temp) => Source::reg(self.temp(temp)),
            StepSource::Var(var) => self.bound(Ref::Var(var), kind),
            StepSource::Const(value) => Source::Const(self.word(value, kind)),
        }
    }

    /// What a variable stands for, or a constant.
    fn bound(&mut self, reference: Ref, kind: Kind) -> Source {
        match reference {
            Ref::Var(var) => self.vars[var.index()].unwrap_or(Source::Const(0)),
            Ref::Const(value) => Source::Const(self.word(value, kind)),
        }
    }

    fn word(&mut self, value: u128, kind: Kind) -> u32 {
        match kind {
            Kind::Number => self.numbers.place(value),
            Kind::Class | Kind::Type => value as u32,
        }
    }

    fn reference(&mut self, reference: Ref, kind: Kind) -> Value {
        match reference {
            Ref::Var(var) => Value::Var(var.0 as u8),
            Ref::Const(value) => Value::Const(self.word(value, kind)),
        }
    }

    /// Checks now what need not be checked for each match.
    fn fix(&self, makes: &mut [Make]) {
        let vars = var_types(self.rule);
        let mut types: Vec<Option<Ty>> = Vec::with_capacity(makes.len());
        for make in makes {
            let ty = match *make {
                Make::Class(var) => vars[var as usize],
                Make::Node { op, ty: Value::Const(ty), from, imm, args, arity } => {
                    let ty_at = |word: u32| Ty::ALL[word as usize];
                    let from = match from {
                        None => Some(None),
                        Some(Value::Const(from)) => Some(Some(ty_at(from))),
                        Some(_) => None,
                    };
                    let imm = match imm {
                        None => Some(0),
                        Some(Value::Const(imm)) => Some(imm),
                        Some(_) => None,
                    };
                    let types_of = |arg: &u8| types[*arg as usize];
                    let operands: Option<Vec<Ty>> =
                        args[..arity as usize].iter().map(types_of).collect();
                    let known = from.zip(imm).zip(operands);
                    known.and_then(|((from, imm), operands)| {
                        let (ty, from) = build::node_types(op, ty_at(ty), from);
                        let sets = operand_types(op, ty, from)?;
                        let fits = |(set, ty): (&u16, &Ty)| set >> *ty as u8 & 1 != 0;
                        let fits = sets.iter().zip(&operands).all(fits)
                            && build::imm_fits(op, ty, self.numbers.value(imm));
                        let result = op.result_type(ty).filter(|_| fits)?.value();
                        let head = Words::new(op, ty, from, [NONE; 3], 0).head;
                        *make = Make::Fixed { head, imm, args, arity, result: result as u8 };
                        Some(result)
                    })
                }
                _ => None,
            };
            types.push(ty);
        }
    }

    /// Appends the parts of a right side; gives the place of the last.
    fn make(&mut self, template: &Template, makes: &mut Vec<Make>) -> u8 {
        let make = match template {
            Template::Var(var) => Make::Class(var.0 as u8),
            Template::Splat { ty, value } => Make::Splat {
                ty: self.reference(*ty, Kind::Type),
                value: self.reference(*value, Kind::Number),
            },
            Template::Bits { value } => Make::Bits(self.reference(*value, Kind::Number)),
            Template::Op { op, ty, from, imm, args } => {
                let mut places = [0; 3];
                for (place, arg) in places.iter_mut().zip(args) {
                    *place = self.make(arg, makes);
                }
                Make::Node {
                    op: *op,
                    ty: self.reference(*ty, Kind::Type),
                    from: from.map(|from| self.reference(from, Kind::Type)),
                    imm: imm.map(|imm| self.reference(imm, Kind::Number)),
                    args: places,
                    arity: args.len() as u8,
                }
            }
        };
        makes.push(make);
        makes.len() as u8 - 1
    }
}

/// The value types of variables, as far as the left side's own types tell.
fn var_types(rule: &Rule) -> Vec<Option<Ty>> {
    let mut types = vec![None; rule.vars.len()];
    rule.lhs.walk(&mut |pattern| {
        let Pattern::Op { op, ty, from, args, .. } = pattern else { return };
        let from = match from {
            Some(from) => from.is,
            None => ty.is,
        };
        let Some((ty, from)) = ty.is.zip(from) else { return };
        for (at, arg) in args.iter().enumerate() {
            if let Pattern::Var(var) | Pattern::Bind(var, _) = arg
                && let Some(operand) = op.operand_type(ty, from, at)
            {
                types[var.index()] = Some(operand.value());
            }
        }
    });
    types
}

/// The types that the operands of a node may have, a bit for each of [`Ty::ALL`]; `None` if its types do not fit its op.
pub(super) fn operand_types(op: Op, ty: Ty, from: Ty) -> Option<[u16; 3]> {
    use std::sync::LazyLock;
    const TYPES: usize = Ty::ALL.len();
    static TABLE: LazyLock<Vec<Option<[u16; 3]>>> = LazyLock::new(|| {
        let pairs = || Ty::ALL.iter().flat_map(|ty| Ty::ALL.iter().map(move |from| (*ty, *from)));
        Op::ALL
            .iter()
            .flat_map(|op| pairs().map(|(ty, from)| build::operand_types(*op, ty, from)))
            .collect()
    });
    TABLE[(op as usize * TYPES + ty as usize) * TYPES + from as usize]
}
