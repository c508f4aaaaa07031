//! What is known of classes.

use super::table::BulkGraph;
use super::{Analysis, NONE};
use egraft_ir::{ClassId, Facts, KnownBits, Ty};
use egraft_rules::FactSource;

impl BulkGraph {
    /// Adds facts about a class that come from outside, such as a load's width; without facts they are dropped.
    pub fn assume(&mut self, class: ClassId, facts: Facts) {
        if self.analysis == Analysis::Facts {
            self.assume_of(class.0, facts);
        }
    }

    pub(super) fn assume_of(&mut self, id: u32, facts: Facts) {
        let class = self.root(id);
        let both = self.facts[class as usize].intersect(facts);
        if both != self.facts[class as usize] {
            self.facts[class as usize] = both;
            self.constant[class as usize] = self.known_number(class);
            self.tell(class);
        }
    }

    /// What the facts of its operands tell about a node.
    pub(super) fn facts_of(&self, id: u32) -> Facts {
        let words = self.rows[id as usize].words;
        let mut facts = [Facts::unknown(); 3];
        let mut count = 0;
        for arg in words.operands() {
            facts[count] = self.facts[self.root(arg) as usize];
            count += 1;
        }
        Facts::of_node(&self.node(&words), &facts[..count])
    }

    /// The place of the number that the facts of a class leave.
    pub(super) fn known_number(&mut self, class: u32) -> u32 {
        let mask = Ty::ALL[self.ty[class as usize] as usize].mask();
        let bits = self.facts[class as usize].bits;
        if bits.known() & mask == mask { self.numbers.place(bits.ones & mask) } else { NONE }
    }

    /// `keep` is told what was known of `gone`, which was merged into it.
    pub(super) fn learn_from(&mut self, keep: u32, gone: u32) {
        match self.analysis {
            Analysis::Facts => self.assume_of(keep, self.facts[gone as usize]),
            Analysis::Constants | Analysis::None => {
                let constant = self.constant[gone as usize];
                if constant != NONE && self.constant[keep as usize] == NONE {
                    self.constant[keep as usize] = constant;
                    self.tell(keep);
                }
            }
        }
    }
}

impl FactSource for BulkGraph {
    fn constant(&self, class: ClassId) -> Option<u128> {
        match self.constant[self.root(class.0) as usize] {
            NONE => None,
            place => Some(self.numbers.value(place)),
        }
    }

    fn facts(&self, class: ClassId) -> Facts {
        match self.analysis {
            Analysis::Facts => self.facts[self.root(class.0) as usize],
            Analysis::Constants | Analysis::None => {
                let bits = self.constant(class).map(KnownBits::constant);
                let bits = bits.unwrap_or_else(|| KnownBits::of_type(self.class_type(class)));
                Facts { bits, ..Facts::unknown() }
            }
        }
    }

    fn class_type(&self, class: ClassId) -> Ty {
        Ty::ALL[self.ty[self.root(class.0) as usize] as usize]
    }
}
