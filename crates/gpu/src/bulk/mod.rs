//! Equality saturation on a GPU: search, apply, rebuild and checks are dispatches; the host reads counters. Conditions of
//! rules, facts and constants the host answers for, by the one semantics ([`host`]).
//!
//! Invariant: after each iteration the classes are those of [`BulkGraph::saturate`] with the same rules, whatever the
//! order in which invocations ran; ids differ. What does not fit is made larger and done again, before it is applied.

mod arrays;
mod compact;
mod host;
mod kernels;
mod special;
mod tables;

use crate::{Gpu, GpuError};
pub use arrays::Room;
use arrays::words_limit;
use egraft_egraph::bulk::{BulkEnd, BulkGraph, BulkLimits, MOST_COSTLY, Prices};
use egraft_rules::RuleSet;
use host::Host;
use kernels::{Buf, GROUP, Kernel, Kernels, Launch, Size};
pub use kernels::{RulesAs, Shader};
use std::time::Instant;
use tables::Tables;
use wgpu::{Buffer, CommandEncoder};

/// Where sums of blocks of blocks begin among sums of blocks: 268 million values may be summed.
const SECOND_SUMS: usize = 1 << 18;
const MOST: usize = SECOND_SUMS << 10;
/// Words for the sums of one scan.
const SUMS: usize = SECOND_SUMS + 1024;

/// Counters on the device that the host reads or sets, as the shader numbers them.
#[derive(Clone, Copy)]
enum Counter {
    Ids = 0,
    Live = 1,
    Fresh = 2,
    Matches = 5,
    Overflow = 6,
    Pending = 8,
    Unions = 9,
    Bad = 10,
    Used = 11,
    Done = 12,
    Guarded = 13,
    Copies = 14,
    Indexed = 15,
}

/// The steps of a scan over what stands in `fan` for each id.
const SCAN_ROOTS: [Kernel; 3] = [Kernel::ScanRoots, Kernel::ScanBlocksRoots, Kernel::ScanEndRoots];

/// Steps of relaxing costs between two looks at whether anything changed.
const RELAXED: usize = 16;

const COUNTERS: usize = Counter::Indexed as usize + 1;

/// What a dispatch works on, beside what is the same for all of them.
#[derive(Clone, Copy, Default)]
struct Scope {
    roots: (usize, usize),
    matches: (usize, usize),
    part: usize,
    asked: usize,
    answers: usize,
}

/// What saturation on a GPU did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct GpuRun {
    /// Why it ended; nothing if it did not begin.
    pub end: Option<BulkEnd>,
    /// Iterations done.
    pub iterations: usize,
    /// Matches found.
    pub matches: u64,
    /// Buffers made larger and work done again for want of room.
    pub overflows: usize,
    /// Searches that were split, as no buffer could hold all matches, or all partial ones.
    pub splits: usize,
    /// Matches that the host was asked about.
    pub asked: u64,
    /// How often ids of copies were taken back.
    pub compactions: usize,
    /// Breaches of invariants, where they were looked for.
    pub breaches: u32,
    /// Copies from the device.
    pub readbacks: usize,
}

/// Saturation of one graph.
#[derive(Debug)]
pub struct GpuSaturation<'g> {
    gpu: &'g Gpu,
    graph: &'g mut BulkGraph,
    host: Host<'g>,
    tables: Tables,
    kernels: Kernels,
    buffers: Vec<Buffer>,
    room: Room,
    slots: usize,
    run: GpuRun,
    /// Ids given out.
    ids: usize,
    /// Ids that are in the index.
    indexed: usize,
    /// Unions done.
    unions: usize,
    /// Slots in use at most, tombstones included.
    used: usize,
    /// Ids of nodes that became copies of others.
    copies: usize,
    /// Ids at first: the caller has names for them.
    loaded: usize,
    /// Whether all searches came to their ends.
    searched: bool,
    checks: bool,
}

impl<'g> GpuSaturation<'g> {
    /// Makes rules ready to rewrite `graph`.
    ///
    /// # Errors
    /// [`GpuError::Rule`] for a rule that is too large for the shader; [`GpuError::Failed`].
    pub fn new(
        gpu: &'g Gpu,
        graph: &'g mut BulkGraph,
        sets: &[&'g RuleSet],
        room: Room,
    ) -> Result<GpuSaturation<'g>, GpuError> {
        GpuSaturation::with_shader(gpu, graph, sets, room, Shader::default())
    }

    /// As [`GpuSaturation::new`], with a shader of one's choice.
    ///
    /// # Errors
    /// As [`GpuSaturation::new`].
    pub fn with_shader(
        gpu: &'g Gpu,
        graph: &'g mut BulkGraph,
        sets: &[&'g RuleSet],
        room: Room,
        shader: Shader,
    ) -> Result<GpuSaturation<'g>, GpuError> {
        graph.close();
        let mut host = Host::new(graph, sets)?;
        let tables = host.tables(sets)?;
        let kernels = Kernels::new(gpu, &tables, shader)?;
        Ok(GpuSaturation {
            gpu,
            graph,
            host,
            tables,
            kernels,
            buffers: Vec::new(),
            room,
            slots: 0,
            run: GpuRun::default(),
            ids: 0,
            indexed: 0,
            unions: 0,
            used: 0,
            copies: 0,
            loaded: 0,
            searched: true,
            checks: false,
        })
    }

    /// Looks for breaches of invariants after each iteration.
    pub fn checked(mut self) -> Self {
        self.checks = true;
        self
    }

    /// Rewrites the graph as [`BulkGraph::saturate`] does: terms may have been added since an earlier call, here or there, and
    /// what that matched is not matched again. On an error the graph is as it was.
    ///
    /// # Errors
    /// [`GpuError`] if the device fails or has not the memory.
    pub fn saturate(self, limits: BulkLimits) -> Result<GpuRun, GpuError> {
        Ok(self.saturate_for(limits, None)?.0)
    }

    /// As [`GpuSaturation::saturate`]; gives also what [`BulkGraph::costs`] says of the graph then.
    ///
    /// # Errors
    /// As [`GpuSaturation::saturate`].
    pub fn saturate_and_price(
        self,
        limits: BulkLimits,
        prices: &Prices,
    ) -> Result<(GpuRun, Vec<u32>), GpuError> {
        self.saturate_for(limits, Some(prices))
    }

    fn saturate_for(
        mut self,
        limits: BulkLimits,
        prices: Option<&Prices>,
    ) -> Result<(GpuRun, Vec<u32>), GpuError> {
        self.host.set_threads(limits.threads);
        let exported = self.host.mirror.export();
        let gpu = self.gpu;
        let (exported, costs) = gpu.guarded(|| {
            self.load(&exported)?;
            self.iterate(limits)?;
            let costs = match prices {
                Some(prices) => self.relax(prices)?,
                None => Vec::new(),
            };
            Ok((self.unload()?, costs))
        })?;
        self.host.mirror.finish(&exported, self.graph);
        Ok((self.run, costs))
    }

    /// What the cheapest term of each class costs. The classes are closed.
    fn relax(&mut self, prices: &Prices) -> Result<Vec<u32>, GpuError> {
        self.write(Buf::Prices, prices.words());
        self.resize(&[Buf::Costs], false)?;
        self.write(Buf::Costs, &vec![MOST_COSTLY; self.ids]);
        // A step that changes something settles a cost, or brings one nearer; terms are no deeper than there are ids.
        for _ in 0..=self.ids.div_ceil(RELAXED) {
            self.submit(|encoder| {
                for _ in 0..RELAXED {
                    self.clear(encoder, &[Counter::Pending]);
                    self.go(encoder, Kernel::Relax, self.ids);
                }
            });
            if self.counters()?[Counter::Pending as usize] == 0 {
                self.run.readbacks += 1;
                return self.gpu.read(self.buffer(Buf::Costs), self.ids);
            }
        }
        Err(GpuError::Breach)
    }

    fn knobs(&self, scope: Scope) {
        let Scope { roots, matches, part, asked, answers } = scope;
        let words = [
            self.room.items,
            self.room.matches,
            self.slots - 1,
            roots.0,
            roots.1,
            matches.0,
            matches.1,
            part,
            self.tables.numbers as usize,
            usize::from(self.host.rewrites_constants()),
            asked,
            answers,
        ];
        self.write(Buf::Knobs, &words.map(|word| word as u32));
    }

    /// Records dispatches and submits them.
    fn submit(&self, record: impl FnOnce(&mut CommandEncoder)) {
        let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
        record(&mut encoder);
        self.gpu.queue.submit([encoder.finish()]);
    }

    fn go(&self, encoder: &mut CommandEncoder, kernel: Kernel, threads: usize) {
        let size = Size::Threads(threads);
        self.kernels.record(self.gpu, encoder, kernel, &self.buffers, size);
    }

    fn clear(&self, encoder: &mut CommandEncoder, counters: &[Counter]) {
        for counter in counters {
            encoder.clear_buffer(self.buffer(Buf::Counters), 4 * *counter as u64, Some(4));
        }
    }

    fn iterate(&mut self, limits: BulkLimits) -> Result<(), GpuError> {
        let start = Instant::now();
        self.run.end = Some(BulkEnd::Iterations);
        while self.run.iterations < limits.iterations {
            let counters = self.index()?;
            if counters[Counter::Live as usize] as usize >= limits.nodes {
                self.run.end = Some(BulkEnd::Nodes);
                return Ok(());
            }
            if start.elapsed() >= limits.time {
                self.run.end = Some(BulkEnd::Time);
                return Ok(());
            }
            self.run.iterations += 1;
            if counters[Counter::Fresh as usize] == 0 {
                self.run.end = Some(BulkEnd::Saturated);
                return Ok(());
            }
            let all_found = self.search(|| start.elapsed() >= limits.time)?;
            self.rebuild()?;
            self.learn()?;
            if !all_found {
                self.searched = false;
                self.run.end = Some(BulkEnd::Time);
                return Ok(());
            }
            if self.copies.saturating_mul(self.room.copies_one_in) > self.ids {
                self.compact()?;
            }
        }
        Ok(())
    }

    fn index(&mut self) -> Result<[u32; COUNTERS], GpuError> {
        let ids = self.ids;
        let told = self.tell()?;
        self.indexed = ids;
        self.set(Counter::Indexed, ids as u32);
        self.submit(|encoder| {
            self.clear(encoder, &[Counter::Live, Counter::Fresh, Counter::Done]);
            for buf in [Buf::Starts, Buf::Sums, Buf::Constants, Buf::ClassOps, Buf::UserCounts] {
                encoder.clear_buffer(self.buffer(buf), 0, None);
            }
            self.go(encoder, Kernel::Note, ids);
            if told > 0 {
                self.go(encoder, Kernel::Tell, told);
            }
            self.go(encoder, Kernel::Classify, ids);
            let steps = [Kernel::ScanStarts, Kernel::ScanBlocksStarts, Kernel::ScanEndStarts];
            self.scan(encoder, steps, 3 * ids + 1);
            self.go(encoder, Kernel::Scatter, ids);
        });
        let counters = self.counters()?;
        let done = counters[Counter::Done as usize];
        if done as usize != ids {
            return Err(GpuError::Incomplete { done, of: ids as u32 });
        }
        Ok(counters)
    }

    /// The three steps of a scan over so many values.
    fn scan(&self, encoder: &mut CommandEncoder, steps: [Kernel; 3], values: usize) {
        let [within, blocks, end] = steps;
        let group = GROUP as usize;
        self.go(encoder, within, values.div_ceil(1024) * group);
        self.go(encoder, blocks, values.div_ceil(1 << 20) * group);
        self.go(encoder, end, 1);
    }

    /// Finds all matches and applies them; `false` if the time was over before all were found.
    ///
    /// What is searched is the index, so that it does not matter which matches are applied by then.
    fn search(&mut self, is_late: impl Fn() -> bool) -> Result<bool, GpuError> {
        self.set(Counter::Matches, 0);
        let mut found = 0;
        let mut ranges = vec![(0, self.indexed)];
        while let Some(roots) = ranges.pop() {
            if is_late() {
                return Ok(false);
            }
            self.search_range(roots, found);
            let counters = self.counters()?;
            let wanted = counters[Counter::Overflow as usize] as usize;
            let matches = counters[Counter::Matches as usize] as usize;
            let asked = counters[Counter::Guarded as usize] as usize;
            // Those about which the host is asked stand at the end, and what remains of them is moved.
            let room = matches + 2 * asked;
            if wanted == 0 && room <= self.room.matches {
                found = matches + self.ask(asked, matches)?;
                self.set(Counter::Matches, found as u32);
                continue;
            }
            self.set(Counter::Matches, found as u32);
            let most = words_limit(self.gpu) / self.tables.item;
            let items_at_most = most.min(MOST).min(self.room.items_at_most);
            let matches_at_most = most.min(self.room.matches_at_most);
            if wanted > 0 && wanted <= items_at_most {
                self.run.overflows += 1;
                self.room.items = (wanted + wanted / 2).min(items_at_most);
                self.resize(&[Buf::Items, Buf::NextItems, Buf::Fan], false)?;
            } else if wanted == 0 && room <= matches_at_most {
                self.run.overflows += 1;
                self.room.matches = (room + room / 2).min(matches_at_most);
                self.resize(&[Buf::Matches], true)?;
            } else if wanted == 0 && found > 0 {
                self.run.splits += 1;
                self.apply_found(found)?;
                found = 0;
            } else if roots.1 - roots.0 > 1 {
                let middle = (roots.0 + roots.1) / 2;
                self.run.splits += 1;
                ranges.extend([(middle, roots.1), (roots.0, middle)]);
                continue;
            } else {
                let limit = 4 * (items_at_most.min(matches_at_most) * self.tables.item) as u64;
                let bytes = 4 * (wanted.max(room) * self.tables.item) as u64;
                return Err(GpuError::TooLarge { what: "matches at one node", bytes, limit });
            }
            ranges.push(roots);
        }
        self.apply_found(found)?;
        Ok(true)
    }

    /// Applies so many matches, and forgets them.
    fn apply_found(&mut self, found: usize) -> Result<(), GpuError> {
        self.run.matches += found as u64;
        self.apply(found, self.tables.parts)?;
        self.set(Counter::Matches, 0);
        Ok(())
    }

    /// Searches at some roots, with so many matches found before.
    fn search_range(&mut self, roots: (usize, usize), found: usize) {
        let indexed = self.indexed;
        self.knobs(Scope { roots, matches: (found, 0), ..Scope::default() });
        let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
        self.clear(&mut encoder, &[Counter::Overflow, Counter::Guarded]);
        self.go(&mut encoder, Kernel::RootFan, indexed);
        self.scan(&mut encoder, SCAN_ROOTS, indexed);
        self.go(&mut encoder, Kernel::Turn, 1);
        self.launch(&mut encoder, Kernel::ExpandRoots, Launch::Each);
        self.go(&mut encoder, Kernel::Flip, 1);
        for level in 0..=self.tables.levels {
            // What was written last is read next.
            self.buffers.swap(Buf::Items as usize, Buf::NextItems as usize);
            self.launch(&mut encoder, Kernel::Advance, Launch::Each);
            if level < self.tables.levels {
                self.launch(&mut encoder, Kernel::ScanItems, Launch::Blocks);
                self.launch(&mut encoder, Kernel::ScanBlocksItems, Launch::BlocksOfBlocks);
                self.go(&mut encoder, Kernel::ScanEndItems, 1);
                self.go(&mut encoder, Kernel::Turn, 1);
                self.launch(&mut encoder, Kernel::Expand, Launch::Each);
                self.go(&mut encoder, Kernel::Flip, 1);
            }
        }
        self.gpu.queue.submit([encoder.finish()]);
    }

    fn launch(&self, encoder: &mut CommandEncoder, kernel: Kernel, launch: Launch) {
        let size = Size::Launch(launch);
        self.kernels.record(self.gpu, encoder, kernel, &self.buffers, size);
    }

    /// Applies matches whose right sides have at most so many parts.
    fn apply(&mut self, matches: usize, parts: usize) -> Result<(), GpuError> {
        let mut first = 0;
        while first < matches {
            let last = matches.min(first + self.room.batch);
            self.reserve((last - first) * parts)?;
            for part in 0..parts {
                self.knobs(Scope { matches: (first, last), part, ..Scope::default() });
                self.submit(|encoder| {
                    for kernel in [Kernel::Make, Kernel::Claim, Kernel::Settle, Kernel::Adopt] {
                        self.go(encoder, kernel, last - first);
                    }
                    self.go(encoder, Kernel::Grow, 1);
                });
            }
            self.ids = self.counters()?[Counter::Ids as usize] as usize;
            first = last;
        }
        self.submit(|encoder| self.go(encoder, Kernel::Merge, matches));
        Ok(())
    }

    /// Restores congruence.
    fn rebuild(&mut self) -> Result<(), GpuError> {
        let (mut unions, mut quiet) = (u32::MAX, 0);
        loop {
            // A pass may put every node anew.
            let passes = if 4 * self.live() > self.slots_at_most() { 1 } else { 2 };
            self.reserve_slots(passes * self.live())?;
            self.knobs(Scope::default());
            self.submit(|encoder| {
                for _ in 0..passes {
                    self.clear(encoder, &[Counter::Pending]);
                    self.go(encoder, Kernel::Canon, self.ids);
                    self.go(encoder, Kernel::Insert, self.ids);
                }
            });
            let counters = self.counters()?;
            if counters[Counter::Pending as usize] == 0 {
                if self.checks {
                    self.submit(|encoder| {
                        self.go(encoder, Kernel::Check, self.ids);
                        self.go(encoder, Kernel::CheckSlots, self.slots);
                    });
                    self.run.breaches = self.counters()?[Counter::Bad as usize];
                }
                return Ok(());
            }
            // In a pass nodes change only where classes were merged in it or the one before, and each merge leaves one
            // class fewer.
            let merged = counters[Counter::Unions as usize];
            quiet = if merged == unions { quiet + passes } else { 0 };
            if quiet >= 2 || merged as usize > self.ids {
                return Err(GpuError::Breach);
            }
            unions = merged;
        }
    }
}
