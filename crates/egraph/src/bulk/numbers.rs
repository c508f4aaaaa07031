//! Numbers by place: immediates and constants have 128 bits, nodes have a word for one.

use rustc_hash::FxHashMap;

/// Places from here on are in a [`LocalNumbers`].
const LOCAL: u32 = 1 << 31;

/// Numbers that were met, each once; place 0 is the number 0.
#[derive(Clone, Debug)]
pub(super) struct Numbers {
    values: Vec<u128>,
    places: FxHashMap<u128, u32>,
}

impl Default for Numbers {
    fn default() -> Numbers {
        Numbers { values: vec![0], places: std::iter::once((0, 0)).collect() }
    }
}

impl Numbers {
    pub(super) fn value(&self, place: u32) -> u128 {
        self.values[place as usize]
    }

    pub(super) fn count(&self) -> u32 {
        self.values.len() as u32
    }

    pub(super) fn find(&self, value: u128) -> Option<u32> {
        self.places.get(&value).copied()
    }

    pub(super) fn place(&mut self, value: u128) -> u32 {
        *self.places.entry(value).or_insert_with(|| {
            self.values.push(value);
            self.values.len() as u32 - 1
        })
    }
}

/// Numbers that a search meets while others search too: those that are not shared are its own.
#[derive(Clone, Default, Debug)]
pub(super) struct LocalNumbers {
    values: Vec<u128>,
    places: FxHashMap<u128, u32>,
}

impl LocalNumbers {
    pub(super) fn value(&self, shared: &Numbers, place: u32) -> u128 {
        match place.checked_sub(LOCAL) {
            Some(own) => self.values[own as usize],
            None => shared.value(place),
        }
    }

    pub(super) fn place(&mut self, shared: &Numbers, value: u128) -> u32 {
        shared.find(value).unwrap_or_else(|| {
            *self.places.entry(value).or_insert_with(|| {
                self.values.push(value);
                LOCAL + self.values.len() as u32 - 1
            })
        })
    }

    /// Whether a place is one of its own.
    pub(super) fn is_own(place: u32) -> bool {
        place >= LOCAL && place != super::NONE
    }
}
