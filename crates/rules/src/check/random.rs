//! Random values that favour the edges where rules break.
//!
//! Invariant: the same seed gives the same values on every machine.

use egraft_ir::Ty;

/// A small deterministic generator (splitmix64).
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Random {
        Random(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    pub(super) fn bits(&mut self) -> u128 {
        u128::from(self.next()) << 64 | u128::from(self.next())
    }

    /// A number below `end`, which is not 0.
    pub(super) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    pub(super) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    /// A value of value type `ty`; vectors are mostly made as one of the types in `views`.
    pub(super) fn value(&mut self, ty: Ty, views: &[Ty]) -> u128 {
        let view = self.view(ty, views);
        if !view.is_vector() {
            let kind = self.kind(view);
            return self.lane(view, kind);
        }
        let kind = self.kind(view);
        if self.one_in(8) {
            return view.splat_bits(self.lane(view, kind));
        }
        let shared = !self.one_in(4);
        let mut bits = 0;
        for index in 0..view.lanes() {
            let kind = if shared { kind } else { self.kind(view) };
            bits |= self.lane(view, kind) << (index * view.lane_bits());
        }
        bits
    }

    fn view(&mut self, ty: Ty, views: &[Ty]) -> Ty {
        if !ty.is_vector() {
            return ty;
        }
        let vectors: Vec<Ty> = views.iter().copied().filter(|ty| ty.is_vector()).collect();
        match vectors.is_empty() || self.one_in(4) {
            true => self.of(&[Ty::I8X16, Ty::I16X8, Ty::I32X4, Ty::I64X2, Ty::F32X4, Ty::F64X2]),
            false => self.of(&vectors),
        }
    }

    /// How to make lanes: a way and a number of bits.
    fn kind(&mut self, ty: Ty) -> (usize, u32) {
        let ways = if ty.is_float() { 11 } else { 8 };
        (self.below(ways), self.below(ty.lane_bits() as usize + 1) as u32)
    }

    fn lane(&mut self, ty: Ty, (way, some): (usize, u32)) -> u128 {
        let width = ty.lane_bits();
        let mask = ty.lane_mask();
        let low = |bits: u32| if bits == 0 { 0 } else { u128::MAX >> (128 - bits) };
        let bits = self.bits();
        let lane = match way {
            0 => bits,
            1 => bits & low(some),
            2 if some > 0 => {
                let unused = 128 - some;
                (((bits << unused) as i128) >> unused) as u128
            }
            3 => {
                let min = 1 << (width - 1);
                self.of(&[0, 1, 2, 3, u128::MAX, u128::MAX - 1, min, min - 1, min + 1, mask / 3])
            }
            4 => bits & 15,
            5 => 1 << (some % width),
            6 => bits & !low(some),
            8.. => self.float(ty),
            _ => low(some),
        };
        lane & mask
    }

    fn float(&mut self, ty: Ty) -> u128 {
        let small = self.below(17) as i32 - 8;
        let half = f64::from(small) / 2.0;
        let special = [
            0.0,
            -0.0,
            1.0,
            -1.0,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::NAN,
            -f64::NAN,
            half,
            half * 1e10,
            half * 1e-40,
            1e300,
        ];
        let value = self.of(&special);
        match ty.lane() {
            Ty::F32 if self.one_in(8) => self.of(&[0x7f80_0001, 0xffc0_1234, 1, 0x7f7f_ffff]),
            Ty::F32 => u128::from((value as f32).to_bits()),
            _ if self.one_in(8) => self.of(&[0x7ff0_0000_0000_0001, 0xfff8_0000_0000_1234, 1]),
            _ => u128::from(value.to_bits()),
        }
    }

    /// A constant lane of `ty`: mostly shift amounts, powers of two and masks.
    pub(super) fn constant(&mut self, ty: Ty) -> u128 {
        let width = ty.lane_bits() as usize;
        let power = 1u128 << self.below(width);
        let lane = match self.below(9) {
            0..3 => self.below(width + 1) as u128,
            3 => power,
            4 => power - 1,
            5 => !(power - 1),
            6 => power.wrapping_neg(),
            _ => {
                let kind = self.kind(ty);
                self.lane(ty, kind)
            }
        };
        lane & ty.lane_mask()
    }

    /// A 128-bit constant.
    pub(super) fn vector_constant(&mut self) -> u128 {
        match self.below(4) {
            0 => self.mask(),
            1 => self.of(&[0, u128::MAX]),
            _ => self.value(Ty::I8X16, &[]),
        }
    }

    /// A shuffle mask.
    pub(super) fn mask(&mut self) -> u128 {
        let width = self.of(&[1usize, 1, 2, 4, 8]);
        let lanes = 16 / width;
        let (first, step) = (self.below(lanes + 1), self.below(3));
        let which = self.below(8);
        let random: Vec<usize> = (0..lanes).map(|_| self.below(2 * lanes)).collect();
        let select = |lane: usize| match which {
            // Within the first operand, within the second, one lane everywhere.
            0 => random[lane] % lanes,
            1 => lanes + random[lane] % lanes,
            2 => random[0],
            3 => first + lane,
            4 => (lane * step + first) % (2 * lanes),
            // Low or high halves, alternating.
            5 => (lane + first % 2 * lanes) / 2 + (lane % 2) * lanes,
            6 => lane,
            _ => random[lane],
        };
        let bytes = std::array::from_fn(|at| (select(at / width) * width + at % width) as u8);
        u128::from_le_bytes(bytes)
    }

    /// Which bits of a value of `ty` are known.
    pub(super) fn revealed(&mut self, ty: Ty, views: &[Ty]) -> u128 {
        match self.below(6) {
            0..3 => u128::MAX,
            3 => self.bits(),
            _ => {
                // All but the low bits of each lane.
                let view = self.view(ty, views);
                let hidden = self.below(view.lane_bits() as usize);
                !view.splat_bits((1 << hidden) - 1)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_fit_their_types_and_masks_select_bytes() {
        let mut random = Random::new(7);
        for _ in 0..2000 {
            for ty in Ty::ALL.into_iter().filter(|ty| *ty != Ty::I128) {
                assert_eq!(random.value(ty.value(), &[ty]) & !ty.mask(), 0, "{ty}");
                assert_eq!(random.constant(ty) & !ty.lane_mask(), 0, "{ty}");
            }
            assert!(random.mask().to_le_bytes().iter().all(|selector| *selector < 32));
        }
    }
}
