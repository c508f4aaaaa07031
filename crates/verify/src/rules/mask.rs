//! What conditions on shuffle masks say: sixteen byte selectors, byte 0 lowest.

use super::condition::{Given, NUMBER, Speaker, Surroundings};
use egraft_ir::Ty;
use egraft_ir::semantics::Domain;
use egraft_rules::Cond;

pub(super) fn say<D: Domain, S: Surroundings<D>>(
    speaker: &mut Speaker<'_, D, S>,
    cond: Cond,
    ty: &impl Fn(usize) -> Ty,
    num: &impl Fn(usize) -> D::Bits,
) -> Given<D::Bits> {
    use Cond::*;
    let mut masks = Masks { speaker };
    match cond {
        mask_only_first | mask_only_second => {
            for byte in masks.bytes(&num(0)) {
                let second = masks.reads_second(&byte);
                if cond == mask_only_first {
                    masks.speaker.deny(second);
                } else {
                    masks.speaker.assert(second);
                }
            }
            Given::Nothing
        }
        mask_swap => masks.each(&num(0), |masks, byte| {
            let bit = masks.byte(16);
            masks.speaker.d.xor(8, byte, &bit)
        }),
        mask_fold => masks.each(&num(0), |masks, byte| masks.within(byte)),
        mask_of_first | mask_of_second => masks.each(&num(0), |masks, byte| {
            let second = masks.reads_second(byte);
            if cond == mask_of_first {
                masks.speaker.deny(second);
            } else {
                masks.speaker.assert(second);
            }
            masks.select(&num(1), byte)
        }),
        mask_of_both | mask_apply => masks.each(&num(0), |masks, byte| {
            let second = masks.reads_second(byte);
            let (left, right) = (masks.select(&num(1), byte), masks.select(&num(2), byte));
            masks.speaker.d.ite(8, &second, &right, &left)
        }),
        mask_into_first_x | mask_into_first_y | mask_into_second_x | mask_into_second_y => {
            masks.through_operand(cond, &num(0), &num(1))
        }
        mask_moves_lanes => {
            masks.whole_lanes(ty(0), &num(1));
            Given::Nothing
        }
        mask_splat_lane => {
            let lanes = masks.whole_lanes(ty(0), &num(1));
            for lane in &lanes[1..] {
                let equal = masks.speaker.d.eq(8, lane, &lanes[0]);
                masks.speaker.assert(equal);
            }
            masks.number(&lanes[0])
        }
        mask_splat => {
            let index = masks.lane_index(ty(0), &num(1), 2 * ty(0).lanes());
            masks.lanewise(ty(0), |_, _| index.clone())
        }
        mask_slide_by | mask_low_slide => {
            let bytes = masks.bytes(&num(0));
            let run = if cond == mask_slide_by { 16 } else { 8 };
            masks.counts_up(&bytes[..run]);
            if cond == mask_slide_by {
                let most = masks.byte(16);
                let beyond = masks.speaker.d.ult(8, &most, &bytes[0]);
                masks.speaker.deny(beyond);
            }
            masks.number(&bytes[0])
        }
        mask_slide => {
            let most = masks.speaker.d.constant(NUMBER, 16);
            let beyond = masks.speaker.ult(&most, &num(0));
            masks.speaker.deny(beyond);
            let first = masks.speaker.low(&num(0), 8);
            let bytes = (0..16).map(|at| masks.plus(&first, at)).collect();
            Given::Number(masks.assemble(bytes))
        }
        mask_is_uwiden_low | mask_is_uwiden_high => {
            let start = if cond == mask_is_uwiden_low { 0 } else { 8 };
            masks.widens(ty(0), &num(1), start);
            Given::Nothing
        }
        mask_of_swizzle => masks.each(&num(0), |masks, byte| {
            let most = masks.byte(16);
            let less = masks.speaker.d.ult(8, byte, &most);
            masks.speaker.d.ite(8, &less, byte, &most)
        }),
        mask_lane => {
            let index = masks.lane_index(ty(0), &num(2), ty(0).lanes());
            let width = masks.byte(lane_bytes(ty(0)));
            let first = masks.speaker.d.mul(8, &index, &width);
            let bytes: Vec<D::Bits> = (0..lane_bytes(ty(0)))
                .map(|at| {
                    let place = masks.plus(&first, at);
                    masks.select(&num(1), &place)
                })
                .collect();
            let lane = masks.whole_lane(ty(0), &bytes);
            masks.number(&lane)
        }
        mask_insert => {
            let lanes = ty(0).lanes();
            let at = masks.lane_index(ty(0), &num(1), lanes);
            let from = masks.lane_index(ty(0), &num(2), lanes);
            let from = masks.plus(&from, lanes as u8);
            masks.lanewise(ty(0), |masks, lane| {
                let lane = masks.byte(lane);
                let here = masks.speaker.d.eq(8, &at, &lane);
                masks.speaker.d.ite(8, &here, &from, &lane)
            })
        }
        mask_skips_lane => {
            let shift = masks.byte(lane_bytes(ty(0)).ilog2() as u8);
            for byte in masks.bytes(&num(1)) {
                let lane = masks.speaker.d.lshr(8, &byte, &shift);
                let lane = masks.speaker.d.zext(&lane, 8, NUMBER);
                let reads = masks.speaker.d.eq(NUMBER, &lane, &num(2));
                masks.speaker.deny(reads);
            }
            Given::Nothing
        }
        other => unreachable!("`{}` is computed from types alone", other.name()),
    }
}

fn lane_bytes(ty: Ty) -> u8 {
    (ty.lane_bits() / 8) as u8
}

struct Masks<'a, 'b, D: Domain, S> {
    speaker: &'a mut Speaker<'b, D, S>,
}

impl<D: Domain, S: Surroundings<D>> Masks<'_, '_, D, S> {
    fn byte(&mut self, byte: u8) -> D::Bits {
        self.speaker.d.constant(8, u128::from(byte))
    }

    fn bytes(&mut self, mask: &D::Bits) -> Vec<D::Bits> {
        self.speaker.lanes(Ty::I8X16, mask)
    }

    fn assemble(&mut self, bytes: Vec<D::Bits>) -> D::Bits {
        let mut bytes = bytes.into_iter();
        let mut mask = bytes.next().expect("a mask has sixteen bytes");
        for (at, byte) in bytes.enumerate() {
            mask = self.speaker.d.concat(&byte, 8, &mask, (at as u32 + 1) * 8);
        }
        mask
    }

    fn each(
        &mut self,
        mask: &D::Bits,
        mut map: impl FnMut(&mut Self, &D::Bits) -> D::Bits,
    ) -> Given<D::Bits> {
        let bytes = self.bytes(mask).iter().map(|byte| map(self, byte)).collect();
        Given::Number(self.assemble(bytes))
    }

    fn number(&mut self, byte: &D::Bits) -> Given<D::Bits> {
        Given::Number(self.speaker.d.zext(byte, 8, NUMBER))
    }

    fn plus(&mut self, byte: &D::Bits, more: u8) -> D::Bits {
        let more = self.byte(more);
        self.speaker.d.add(8, byte, &more)
    }

    /// A selector within its operand.
    fn within(&mut self, byte: &D::Bits) -> D::Bits {
        let low = self.byte(15);
        self.speaker.d.and(8, byte, &low)
    }

    /// Whether a selector reads the second operand.
    fn reads_second(&mut self, byte: &D::Bits) -> D::Bool {
        let end = self.byte(16);
        let first = self.speaker.d.ult(8, byte, &end);
        self.speaker.d.bool_not(&first)
    }

    /// The byte of `table` that the low four bits of `index` name.
    fn select(&mut self, table: &D::Bits, index: &D::Bits) -> D::Bits {
        let index = self.speaker.d.extract(index, 0, 4);
        let index = self.speaker.d.zext(&index, 4, 125);
        let zeros = self.speaker.d.constant(3, 0);
        let by = self.speaker.d.concat(&index, 125, &zeros, 3);
        let shifted = self.speaker.d.lshr(NUMBER, table, &by);
        self.speaker.d.extract(&shifted, 0, 8)
    }

    /// A shuffle one of whose operands is a shuffle, as one shuffle.
    fn through_operand(&mut self, cond: Cond, outer: &D::Bits, inner: &D::Bits) -> Given<D::Bits> {
        let of_first = matches!(cond, Cond::mask_into_first_x | Cond::mask_into_first_y);
        let of_x = matches!(cond, Cond::mask_into_first_x | Cond::mask_into_second_x);
        self.each(outer, |masks, byte| {
            let second = masks.reads_second(byte);
            let through = if of_first { masks.speaker.d.bool_not(&second) } else { second };
            let picked = masks.select(inner, byte);
            let picks_y = masks.reads_second(&picked);
            let wrong = if of_x { picks_y } else { masks.speaker.d.bool_not(&picks_y) };
            let wrong = masks.speaker.d.bool_and(&through, &wrong);
            masks.speaker.deny(wrong);
            let low = masks.within(&picked);
            let place = if of_first { low } else { masks.plus(&low, 16) };
            masks.speaker.d.ite(8, &through, &place, byte)
        })
    }

    fn counts_up(&mut self, bytes: &[D::Bits]) {
        for pair in bytes.windows(2) {
            let next = self.plus(&pair[0], 1);
            let runs = self.speaker.d.eq(8, &pair[1], &next);
            self.speaker.assert(runs);
        }
    }

    /// The lane that bytes move, which do so whole.
    fn whole_lane(&mut self, ty: Ty, bytes: &[D::Bits]) -> D::Bits {
        let width = lane_bytes(ty);
        let below = self.byte(width - 1);
        let rest = self.speaker.d.and(8, &bytes[0], &below);
        let aligned = self.speaker.d.is_zero(&rest);
        self.speaker.assert(aligned);
        self.counts_up(bytes);
        let shift = self.byte(width.ilog2() as u8);
        self.speaker.d.lshr(8, &bytes[0], &shift)
    }

    fn whole_lanes(&mut self, ty: Ty, mask: &D::Bits) -> Vec<D::Bits> {
        let bytes = self.bytes(mask);
        bytes.chunks(lane_bytes(ty).into()).map(|lane| self.whole_lane(ty, lane)).collect()
    }

    /// A lane number as a byte, known to be below `end`.
    fn lane_index(&mut self, _: Ty, number: &D::Bits, end: u32) -> D::Bits {
        let end = self.speaker.d.constant(NUMBER, u128::from(end));
        let inside = self.speaker.ult(number, &end);
        self.speaker.assert(inside);
        self.speaker.low(number, 8)
    }

    /// The mask that puts lane `select(i)` of both operands together into lane i.
    fn lanewise(
        &mut self,
        ty: Ty,
        mut select: impl FnMut(&mut Self, u8) -> D::Bits,
    ) -> Given<D::Bits> {
        let width = lane_bytes(ty);
        let mut bytes = Vec::new();
        for lane in 0..ty.lanes() as u8 {
            let lane = select(self, lane);
            let factor = self.byte(width);
            let first = self.speaker.d.mul(8, &lane, &factor);
            bytes.extend((0..width).map(|at| self.plus(&first, at)));
        }
        Given::Number(self.assemble(bytes))
    }

    /// Each lane of the first operand from byte `start` on, followed by bytes of the second.
    fn widens(&mut self, ty: Ty, mask: &D::Bits, start: u8) {
        let width = lane_bytes(ty);
        if width >= 8 {
            // There are no lanes twice as wide.
            let never = self.byte(0);
            let never = self.speaker.d.is_zero(&never);
            self.speaker.deny(never);
            return;
        }
        for (index, byte) in self.bytes(mask).iter().enumerate() {
            let (lane, at) = (index as u8 / (2 * width), index as u8 % (2 * width));
            if at < width {
                let place = self.byte(start + lane * width + at);
                let same = self.speaker.d.eq(8, byte, &place);
                self.speaker.assert(same);
            } else {
                let second = self.reads_second(byte);
                self.speaker.assert(second);
            }
        }
    }
}
