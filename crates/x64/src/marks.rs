//! What emission knows of its code and bytes do not tell.

use crate::vcode::BlockId;
use egraft_listing::MarkedVersion;
use rustc_hash::FxHashMap;

/// Notes on the code of one function.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    /// The tile of the instruction at each offset, ascending.
    pub(crate) tiles: Vec<(u32, &'static str)>,
    /// Where each block starts, padding left out.
    pub(crate) blocks: FxHashMap<BlockId, u32>,
    /// Loops with two versions.
    pub(crate) versions: Vec<Version>,
}

/// A loop of one block and its fast version.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Version {
    pub(crate) plain: BlockId,
    pub(crate) fast: BlockId,
    /// How many turns of the one the other makes at once.
    pub(crate) turns: u32,
    /// Straight code for a part of those that remain.
    pub(crate) rest: Option<BlockId>,
}

impl From<Marks> for egraft_listing::Marks {
    fn from(marks: Marks) -> egraft_listing::Marks {
        let at = |block: BlockId| marks.blocks.get(&block).copied();
        let version = |version: &Version| {
            let (plain, fast) = (at(version.plain)?, at(version.fast)?);
            Some(MarkedVersion { plain, fast, turns: version.turns })
        };
        let versions = marks.versions.iter().filter_map(version).collect();
        egraft_listing::Marks { tiles: marks.tiles, versions }
    }
}
