//! Workloads: what to enumerate, as data.
//!
//! Reads their text and makes [`Space`]s of it; enumerates nothing.

use crate::error::InferError;
use crate::premise::Premise;
use crate::space::{Atom, Head, Kind, Literal, Space, View};
use egraft_ir::{FloatCc, ImmKind, IntCc, Op, Ty};
use serde::{Deserialize, Serialize};

/// A part of the language to look for rules in.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workload {
    /// Its name, unique in the table.
    pub name: String,
    /// The family whose rule file gets the rules.
    pub family: String,
    /// What it looks at, in a few words.
    pub about: String,
    /// The type that terms are enumerated at.
    pub base: String,
    /// Ops: `iadd`, `iadd@wide`, `uextend@base/i8`, `icmp:eq,ult`, `shuffle:zip_low@i16x8`.
    pub ops: Vec<String>,
    /// Atoms: variables `x`, `p:wide`, `n:amount`; constants `1`, `smin`, `w-1:amount`; any
    /// constant `?c`; a constant that premises compute `=m:amount`.
    pub atoms: Vec<String>,
    /// The most ops in a term.
    pub size: u32,
    /// The most terms; enumeration ends before a size that would pass it.
    pub terms: usize,
    /// The most ops in a term under a premise.
    #[serde(default)]
    pub premise_size: u32,
    /// Conditions on atoms, each of which is assumed once.
    #[serde(default)]
    pub premises: Vec<String>,
}

/// The workloads that come with Egraft.
const BUILT_IN: &str = include_str!("../workloads.json");

impl Workload {
    /// The workloads that come with Egraft, in the order in which they run.
    ///
    /// # Panics
    /// Never: a test reads them.
    pub fn built_in() -> Vec<Workload> {
        serde_json::from_str(BUILT_IN).expect("the table of workloads is checked by a test")
    }

    /// The workloads with these names, in the table's order; `all` stands for all of them.
    ///
    /// # Errors
    /// [`InferError::NoWorkload`] for a name that is not in the table.
    pub fn named(names: &[String]) -> Result<Vec<Workload>, InferError> {
        let all = Workload::built_in();
        for name in names {
            if name != "all" && !all.iter().any(|one| one.name == *name) {
                return Err(InferError::NoWorkload(name.clone()));
            }
        }
        let chosen = |one: &Workload| names.iter().any(|name| name == "all" || *name == one.name);
        Ok(all.into_iter().filter(chosen).collect())
    }

    /// What the workload spans: its atoms, ops and premises.
    pub(crate) fn space(&self) -> Result<(Space, Vec<Premise>), InferError> {
        let base: Ty = self.base.parse().map_err(|error: egraft_ir::UnknownType| {
            self.bad(format!("base `{}`", self.base), error.to_string())
        })?;
        let mut space = Space { base, atoms: Vec::new(), heads: Vec::new() };
        for text in &self.atoms {
            let atom = self.atom(text, base)?;
            if space.atom(&atom.name).is_some() {
                return Err(self.bad(format!("atom `{text}`"), "stands twice; rename one"));
            }
            space.atoms.push(atom);
        }
        if space.atoms.len() > 16 {
            return Err(self.bad("atoms".to_owned(), "are more than 16; split the workload"));
        }
        for text in &self.ops {
            self.heads(text, base, &mut space.heads)?;
        }
        let premises: Result<Vec<Premise>, InferError> =
            self.premises.iter().map(|text| Premise::parse(text, &self.name, &space)).collect();
        Ok((space, premises?))
    }

    fn bad(&self, part: String, why: impl Into<String>) -> InferError {
        InferError::Workload { workload: self.name.clone(), part, why: why.into() }
    }

    fn rel(&self, base: Ty, name: &str) -> Result<Ty, InferError> {
        let ty = match name {
            "base" => Some(base),
            "wide" => base.widened(),
            "narrow" => base.narrowed(),
            "lane" => Some(base.lane()),
            "widelane" => base.widened().map(Ty::lane),
            "int" => Some(base.as_int()),
            fixed => fixed.parse().ok(),
        };
        ty.ok_or_else(|| {
            self.bad(
                format!("type `{name}`"),
                "is unknown there; write base, wide, narrow, lane, widelane, int, or a type's name",
            )
        })
    }

    fn atom(&self, text: &str, base: Ty) -> Result<Atom, InferError> {
        let (name, view) = text.split_once(':').unwrap_or((text, "base"));
        let view = match view {
            "amount" => View::Amount,
            rel => View::Of(self.rel(base, rel)?),
        };
        let literal = match name {
            "smin" => Some(Literal::Smin),
            "smax" => Some(Literal::Smax),
            "low" => Some(Literal::LowHalf),
            "w" => Some(Literal::WidthMinus(0)),
            "w-1" => Some(Literal::WidthMinus(1)),
            "w/2" => Some(Literal::HalfWidth),
            _ => name.parse().ok().map(Literal::Int),
        };
        let (name, kind) = match (literal, name.strip_prefix('?'), name.strip_prefix('=')) {
            (Some(literal), _, _) => (text, Kind::Literal(literal)),
            (_, Some(name), _) => (name, Kind::Const),
            (_, _, Some(name)) => (name, Kind::Derived),
            _ => (name, Kind::Var),
        };
        let is_name = name.chars().all(|c| c.is_ascii_lowercase());
        if !is_name && literal.is_none() || name.is_empty() {
            return Err(self.bad(format!("atom `{text}`"), "is no name; use letters a to z"));
        }
        Ok(Atom { name: name.to_owned(), view, kind })
    }

    fn heads(&self, text: &str, base: Ty, out: &mut Vec<Head>) -> Result<(), InferError> {
        let (call, imms) = match text.split_once(':') {
            Some((call, imms)) => (call, Some(imms)),
            None => (text, None),
        };
        let (name, types) = call.split_once('@').unwrap_or((call, "base"));
        let op = Op::by_name(name).filter(|op| !op.is_leaf()).ok_or_else(|| {
            self.bad(format!("op `{text}`"), "is unknown; write the name of a CLIF op")
        })?;
        let (ty, from) = match types.split_once('/') {
            Some((ty, from)) => (self.rel(base, ty)?, self.rel(base, from)?),
            None => (self.rel(base, types)?, self.rel(base, types)?),
        };
        if !op.allows(ty, from) {
            return Err(self.bad(format!("op `{text}`"), "does not work on that type"));
        }
        let no_imm = || self.bad(format!("op `{text}`"), "has an unknown immediate");
        let imms: Vec<u128> = match (op.imm_kind(), imms) {
            (ImmKind::None, None) => vec![0],
            (ImmKind::IntCc, None) => IntCc::ALL.iter().map(|cc| *cc as u128).collect(),
            (ImmKind::FloatCc, None) => FloatCc::ALL.iter().map(|cc| *cc as u128).collect(),
            (kind, Some(imms)) => {
                let one = |name: &str| match kind {
                    ImmKind::IntCc => {
                        IntCc::ALL.iter().find(|cc| cc.name() == name).map(|cc| *cc as u128)
                    }
                    ImmKind::FloatCc => {
                        FloatCc::ALL.iter().find(|cc| cc.name() == name).map(|cc| *cc as u128)
                    }
                    ImmKind::Lane => {
                        name.parse().ok().filter(|lane| *lane < u128::from(ty.lanes()))
                    }
                    ImmKind::Mask => mask(name),
                    _ => None,
                };
                imms.split(',')
                    .map(|name| one(name).ok_or_else(no_imm))
                    .collect::<Result<_, _>>()?
            }
            _ => return Err(no_imm()),
        };
        out.extend(imms.into_iter().map(|imm| Head { op, ty, from, imm }));
        Ok(())
    }
}

/// A shuffle mask by name: a pattern and the bytes in a lane, `zip_low1`.
fn mask(name: &str) -> Option<u128> {
    let digits = name.find(|c: char| c.is_ascii_digit())?;
    let width: usize = name[digits..].parse().ok().filter(|width| [1, 2, 4, 8].contains(width))?;
    let lanes = 16 / width;
    let select = |lane: usize| -> Option<usize> {
        Some(match &name[..digits] {
            "zip_low" => lane / 2 + (lane % 2) * lanes,
            "zip_high" => (lanes + lane) / 2 + (lane % 2) * lanes,
            "even" => 2 * lane,
            "odd" => 2 * lane + 1,
            "reverse" => lanes - 1 - lane,
            "swap" => lane ^ 1,
            "halves" => (lane + lanes / 2) % lanes,
            "low_low" => lane % (lanes / 2) + lane / (lanes / 2) * lanes,
            "high_high" => lane % (lanes / 2) + lanes / 2 + lane / (lanes / 2) * lanes,
            "slide" => lane + 1,
            "dup" => 0,
            "second" => lane + lanes,
            _ => return None,
        })
    };
    let mut bytes = [0; 16];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = (select(at / width)? * width + at % width) as u8;
    }
    Some(u128::from_le_bytes(bytes))
}
