//! Keeps what packs make before what reads it: a pack is made where its later half was, and readers
//! of its earlier half that come before are moved behind it, if they only compute.

use super::facts::{Place, Use, x86};
use super::{How, Packer, Step, after};
use crate::vcode::{Kind, Opnd};
use regalloc2::{RegClass, VReg};

/// How many instructions one pack may move.
const MAX_SUNK: usize = 64;

impl Packer<'_> {
    /// Lets everything that packs from here on make be made before it is read, if that can be; by
    /// moving readers if that is wanted.
    pub(super) fn put_in_order(&mut self, from: usize, sinks: bool) -> bool {
        let mut late: Vec<(VReg, Place)> = Vec::new();
        for pack in &self.packs[from..] {
            late.extend([pack.lo, pack.hi].map(|half| (half, self.place_of(half))));
        }
        let mut moved = 0;
        while let Some((reg, made)) = late.pop() {
            let readers = self.facts.uses(reg).iter().filter_map(|reader| match reader {
                Use::Inst(place) if !self.comes_after(*place, made) => Some(*place),
                _ => None,
            });
            let readers: Vec<Place> = readers.collect();
            for reader in readers {
                let Some(result) = self.only_computes(reader).filter(|_| sinks) else {
                    return false;
                };
                moved += 1;
                if moved > MAX_SUNK {
                    return false;
                }
                // Points come one behind the instruction that they are named by.
                let to = (made.0, made.1 - 1);
                let before = self.sunk.insert(reader, to);
                self.journal.push(Step::Sunk(reader, before));
                late.push((result, made));
            }
        }
        true
    }

    /// Whether an instruction reads what is made at a point of its block or of another.
    fn comes_after(&self, reader: Place, made: Place) -> bool {
        if let Some(sunk) = self.sunk.get(&reader)
            && self.pack_at(reader).is_none()
        {
            return sunk.0 != made.0 || after(*sunk) >= made;
        }
        let at = self.moved(reader);
        at.0 != made.0 || after(at) > made
    }

    /// The vector that an instruction computes, if that is all it does and it is no half.
    fn only_computes(&self, place: Place) -> Option<VReg> {
        let inst = self.inst(place);
        let (_, ops) = x86(inst)?;
        let (Opnd::Def(to) | Opnd::Mod { to, .. }) = *ops.first()? else { return None };
        let reads_memory = ops.iter().any(|op| matches!(op, Opnd::Mem(_)));
        let computes = to.class() == RegClass::Float && !reads_memory && !inst.has_effect();
        (computes && !self.is_member(to)).then_some(to)
    }

    /// Where the work of an instruction is done now.
    fn moved(&self, place: Place) -> Place {
        let pack = self.pack_at(place).or_else(|| self.absorbed.get(&place).copied());
        match pack.map(|pack| &self.packs[pack].how) {
            Some(
                How::Insts { lo, hi, .. }
                | How::Lows { lo, hi, .. }
                | How::Narrow { lo, hi, .. }
                | How::Idiom { lo, hi, .. },
            ) => *lo.max(hi),
            _ => self.merges.get(&place).map_or(place, |merge| merge.at),
        }
    }

    /// The pack that an instruction is in.
    pub(super) fn pack_at(&self, place: Place) -> Option<usize> {
        let to = match &self.inst(place).kind {
            Kind::X86 { ops, .. } => match ops.first()? {
                Opnd::Def(to) | Opnd::Mod { to, .. } => *to,
                _ => return None,
            },
            Kind::Idiom { to, .. } => *to,
            _ => return None,
        };
        self.member.get(&to).copied()
    }
}
