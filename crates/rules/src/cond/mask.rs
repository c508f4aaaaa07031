//! Arithmetic on shuffle masks: sixteen byte selectors, byte 0 lowest.

use egraft_ir::Ty;

pub(super) const fn bytes(mask: u128) -> [u8; 16] {
    mask.to_le_bytes()
}

pub(super) fn byte(mask: u128, index: u8) -> u8 {
    bytes(mask)[usize::from(index & 15)]
}

pub(super) fn each(mask: u128, map: impl Fn(u8) -> u8) -> u128 {
    u128::from_le_bytes(bytes(mask).map(map))
}

pub(super) fn from_fn(select: impl Fn(u8) -> u8) -> u128 {
    u128::from_le_bytes(std::array::from_fn(|index| select(index as u8)))
}

/// As [`each`], but fails where `map` fails.
pub(super) fn pick(mask: u128, map: impl Fn(u8) -> Option<u8>) -> Option<u128> {
    let mut picked = bytes(mask);
    for selector in &mut picked {
        *selector = map(*selector)?;
    }
    Some(u128::from_le_bytes(picked))
}

/// Which lane of both operands together goes to each lane, if lanes move whole.
pub(super) fn lanes(ty: Ty, mask: u128) -> Option<Vec<u8>> {
    let width = lane_bytes(ty)?;
    bytes(mask)
        .chunks(usize::from(width))
        .map(|lane| {
            let whole = lane[0].is_multiple_of(width)
                && lane.windows(2).all(|pair| u16::from(pair[1]) == u16::from(pair[0]) + 1);
            whole.then_some(lane[0] / width)
        })
        .collect()
}

/// Which lane of both operands together goes to lane `index`.
pub(super) fn lane(ty: Ty, mask: u128, index: u128) -> Option<u128> {
    let width = lane_bytes(ty)?;
    let index = usize::try_from(index).ok()?;
    let bytes = bytes(mask);
    let lane = bytes.chunks(usize::from(width)).nth(index)?;
    let whole = lane[0].is_multiple_of(width)
        && lane.windows(2).all(|pair| u16::from(pair[1]) == u16::from(pair[0]) + 1);
    whole.then_some(u128::from(lane[0] / width))
}

/// The mask that replaces one lane of the first operand by one of the second.
pub(super) fn insert(ty: Ty, at: u128, lane: u128) -> Option<u128> {
    let count = u128::from(ty.lanes());
    (at < count && lane < count)
        .then(|| lanewise(ty, |index| if index == at { count + lane } else { index }))?
}

/// Whether no selector reads a byte of the lane.
pub(super) fn skips_lane(ty: Ty, mask: u128, index: u128) -> bool {
    lane_bytes(ty).is_some_and(|width| {
        bytes(mask).iter().all(|selector| u128::from(selector / width) != index)
    })
}

/// The first selector, if the next seven count up from it.
pub(super) fn low_slide(mask: u128) -> Option<u128> {
    let bytes = bytes(mask);
    let runs = bytes[..8].windows(2).all(|pair| u16::from(pair[1]) == u16::from(pair[0]) + 1);
    runs.then_some(u128::from(bytes[0]))
}

/// The lane that `mask` puts everywhere.
pub(super) fn splat_lane(ty: Ty, mask: u128) -> Option<u128> {
    let lanes = lanes(ty, mask)?;
    lanes.iter().all(|lane| *lane == lanes[0]).then_some(u128::from(lanes[0]))
}

/// The mask that puts lane `select(i)` of both operands together into lane i.
pub(super) fn lanewise(ty: Ty, select: impl Fn(u128) -> u128) -> Option<u128> {
    let width = lane_bytes(ty)?;
    let mut mask = [0; 16];
    for (index, selector) in mask.iter_mut().enumerate() {
        let (lane, at) = (index as u8 / width, index as u8 % width);
        let lane = select(u128::from(lane));
        if lane >= u128::from(2 * ty.lanes()) {
            return None;
        }
        *selector = lane as u8 * width + at;
    }
    Some(u128::from_le_bytes(mask))
}

/// The first selector, if the others count up from it.
pub(super) fn slide_by(mask: u128) -> Option<u128> {
    let first = bytes(mask)[0];
    (first <= 16 && mask == from_fn(|index| index + first)).then_some(u128::from(first))
}

/// Whether each lane of `ty`, from byte `start` of the first operand on, is followed by as many
/// bytes of the second.
pub(super) fn widens(ty: Ty, mask: u128, start: u8) -> bool {
    let Some(width) = lane_bytes(ty).filter(|width| *width < 8) else { return false };
    bytes(mask).iter().enumerate().all(|(index, selector)| {
        let (lane, at) = (index as u8 / (2 * width), index as u8 % (2 * width));
        if at < width { *selector == start + lane * width + at } else { *selector >= 16 }
    })
}

fn lane_bytes(ty: Ty) -> Option<u8> {
    ty.is_vector().then(|| (ty.lane_bits() / 8) as u8)
}
