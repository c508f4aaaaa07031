//! Values for the variables of a rule on which it applies, with no more facts than it needs.
//!
//! Invariant: the left side has a value on a sample, and every condition holds of the sample's
//! values and facts; taking any single fact away would break a condition.

use super::{Random, Tuple};
use crate::rule::{Ref, Rule};
use crate::types::Types;
use crate::{Cond, Sort};
use egraft_ir::{Annotation, Annotations, Facts, KnownBits, SignCopies};

/// One choice of values and facts under which a rule applies.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sample {
    /// The types.
    pub types: Types,
    /// By variable: for values their bits, for others what their slot holds; `None` for what the
    /// rule never reads.
    pub values: Vec<Option<u128>>,
    /// By variable: what has to be known of a value for the conditions to hold.
    pub facts: Vec<Facts>,
    /// By variable: the variable whose class it shares, for `same`; itself otherwise.
    pub shares: Vec<usize>,
}

impl Rule {
    /// Draws values of `types` under which the rule applies; `None` if `draws` tuples had none.
    ///
    /// The same seed gives the same sample.
    pub fn sample(&self, types: &Types, seed: u64, draws: usize) -> Option<Sample> {
        let mut random = Random::new(seed);
        for _ in 0..draws {
            let mut tuple = Tuple::new(self, types, &mut random);
            if tuple.draw().is_some() {
                tuple.forget();
                return Some(Sample {
                    types: types.clone(),
                    facts: (0..tuple.values.len()).map(|at| tuple.facts_at(at)).collect(),
                    shares: tuple.classes.iter().map(|class| *class as usize).collect(),
                    values: tuple.values,
                });
            }
        }
        None
    }

    /// The variables with their values, as text: types and codes by name, numbers in hexadecimal.
    pub fn show_values(&self, sample: &Sample) -> Vec<(String, String)> {
        let named = self.vars.iter().zip(&sample.values);
        named
            .filter_map(|(var, value)| {
                let value = (*value)?;
                let text = match var.sort {
                    Sort::Type => crate::slot::ty(value).name().to_owned(),
                    Sort::IntCc => crate::slot::int_cc(value).name().to_owned(),
                    Sort::FloatCc => crate::slot::float_cc(value).name().to_owned(),
                    Sort::Int | Sort::Value => format!("{value:#x}"),
                };
                Some((var.name.clone(), text))
            })
            .collect()
    }
}

impl Tuple<'_> {
    /// Leaves of all facts that the values allow those that some condition needs; where one kind
    /// of fact will do, only that kind.
    fn forget(&mut self) {
        for at in 0..self.values.len() {
            if self.is_read(at)
                && let (Some(value), Some(ty)) = (self.values[at], self.types.of[at])
            {
                self.known[at] = KnownBits::constant(value);
                self.copies[at] = SignCopies(SignCopies::of_value(value).0 & ty.mask());
                self.annotations[at] = Annotations::of_value(value);
            } else {
                self.known[at] = KnownBits::unknown();
                self.copies[at] = SignCopies::unknown();
                self.annotations[at] = Annotations::unknown();
            }
        }
        for at in (0..self.values.len()).filter(|at| self.is_read(*at)).collect::<Vec<_>>() {
            let known = std::mem::replace(&mut self.known[at], KnownBits::unknown());
            if !self.conditions_hold() {
                self.known[at] = known;
                let copies = std::mem::replace(&mut self.copies[at], SignCopies::unknown());
                if !self.conditions_hold() {
                    self.copies[at] = copies;
                }
            }
            for annotation in Annotation::all() {
                let annotations = self.annotations[at];
                self.annotations[at] = annotations.without(annotation);
                if !self.conditions_hold() {
                    self.annotations[at] = annotations;
                }
            }
            for bit in 0..128 {
                let (known, copies) = (self.known[at], self.copies[at]);
                self.known[at].zeros &= !(1 << bit);
                self.known[at].ones &= !(1 << bit);
                if !self.conditions_hold() {
                    self.known[at] = known;
                }
                self.copies[at].0 &= !(1 << bit);
                if !self.conditions_hold() {
                    self.copies[at] = copies;
                }
            }
        }
    }

    /// Whether a condition reads the facts of the variable.
    fn is_read(&self, at: usize) -> bool {
        self.rule.conditions.iter().any(|condition| {
            condition.cond.reads_facts()
                && condition.cond != Cond::same
                && condition.args.iter().any(|arg| {
                    matches!(arg, Ref::Var(var) if self.rule.vars[var.index()].sort == Sort::Value
                        && self.classes[var.index()] == self.classes[at]
                        && at == self.classes[at] as usize)
                })
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::{RuleSet, Source};

    #[test]
    fn a_sample_knows_what_the_conditions_ask_and_no_more() {
        let text = ";; Reason.\n(rule r (simplify (iadd ty x (k ty c))) (if (is_pow2 c)) \
                    (if (fits_unsigned ty x 5)) (iadd ty x (k ty c)))";
        let set = RuleSet::parse(&[Source::new("test.isle", text)]).unwrap();
        let rule = &set.rules[0];
        for types in rule.types() {
            let sample = rule.sample(&types, 1, 4000).unwrap();
            let at = |name: &str| rule.vars.iter().position(|var| var.name == name).unwrap();
            let ty = types.of[at("ty")].unwrap();
            assert!(sample.values[at("c")].unwrap().is_power_of_two());
            let facts = sample.facts[at("x")];
            let above = ty.splat_bits(ty.lane_mask() & !31);
            let by_copies = facts.copies.0 != 0;
            assert!(by_copies || facts.bits.zeros == above, "{ty}: {facts:?}");
            assert_eq!(facts.bits.ones, 0, "{ty}: {facts:?}");
        }
    }

    #[test]
    fn a_sample_does_not_know_what_must_not_be_known() {
        use egraft_ir::semantics::Float::Single;
        use egraft_ir::{Annotation, KnownBits, OfFloat, SignCopies};
        let text = ";; Reason.\n(rule r (simplify (fcvt_to_sint_sat $I32X4 $F32X4 x)) (if (float_within $F32X4 x 8)) \
                    (if (not_known (not_nan $F32X4 x))) (fcvt_to_sint_sat $I32X4 $F32X4 x))";
        let set = RuleSet::parse(&[Source::new("test.isle", text)]).unwrap();
        let rule = &set.rules[0];
        assert!(rule.lhs_text().ends_with("(if (not_known (not_nan $F32X4 x)))"), "{rule}");
        let sample = rule.sample(&rule.types()[0], 1, 4000).unwrap();
        let at = rule.vars.iter().position(|var| var.name == "x").unwrap();
        let facts = sample.facts[at];
        assert_eq!((facts.bits, facts.copies), (KnownBits::unknown(), SignCopies::unknown()));
        let has = |of| facts.annotations.has(Annotation::Float(Single, of));
        assert!(has(OfFloat::Under(8)) && has(OfFloat::Over(8)));
        assert!(!has(OfFloat::Under(7)) && !has(OfFloat::Over(7)) && !has(OfFloat::NotNan));
    }
}
