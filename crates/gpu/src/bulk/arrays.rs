//! What the device keeps: how large its arrays are, how they grow, what comes to them and back.
//!
//! Invariant: what does not fit is an error before anything is written; buffers that grow keep what is in them.

use super::kernels::{Buf, Kernel, Launch};
use super::{COUNTERS, Counter, GpuSaturation, MOST, SUMS, Scope};
use crate::{Gpu, GpuError};
use egraft_egraph::bulk::{COPY, Exported, UNSEEN};
use egraft_ir::{Op, Ty};
use wgpu::{Buffer, BufferUsages};

/// Room at first, in nodes, partial matches and matches; it grows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Room {
    /// Nodes.
    pub nodes: usize,
    /// Partial matches.
    pub items: usize,
    /// Partial matches for which room is made at most; searches that need more are split, root by root in the end.
    pub items_at_most: usize,
    /// Matches.
    pub matches: usize,
    /// Matches for which room is made at most; where there are more, some are applied before all are found, which
    /// changes nothing in what is found.
    pub matches_at_most: usize,
    /// Slots of the table of nodes at most, of which a power of two is taken.
    pub slots_at_most: usize,
    /// Matches that are applied at once.
    pub batch: usize,
    /// Ids of nodes that became copies of others are used again where more than one in so many is such; 0: never.
    pub copies_one_in: usize,
}

impl Default for Room {
    fn default() -> Room {
        Room {
            nodes: 1 << 16,
            items: 1 << 18,
            items_at_most: MOST,
            matches: 1 << 16,
            matches_at_most: MOST,
            slots_at_most: usize::MAX,
            batch: 1 << 16,
            copies_one_in: 3,
        }
    }
}

pub(super) fn words_limit(gpu: &Gpu) -> usize {
    (gpu.buffer_limit() / 4) as usize
}

impl GpuSaturation<'_> {
    pub(super) fn buffer(&self, buf: Buf) -> &Buffer {
        &self.buffers[buf as usize]
    }

    pub(super) fn words(&self, buf: Buf) -> usize {
        let Room { nodes, items, matches, batch, .. } = self.room;
        let item = self.tables.item;
        match buf {
            Buf::Knobs => 12,
            Buf::Counters => COUNTERS,
            Buf::Tables => self.tables.words.len().next_power_of_two(),
            Buf::Rows | Buf::States | Buf::Order => 4 * nodes,
            Buf::Parent | Buf::Pending | Buf::Constants | Buf::UserCounts | Buf::Costs => nodes,
            Buf::Prices => Op::ALL.len() * Ty::ALL.len(),
            Buf::Slots => self.slots,
            Buf::Starts => 3 * nodes + 1,
            Buf::Sums => 2 * SUMS,
            // Rows pass through them too.
            Buf::Items | Buf::NextItems => (item * items).max(self.host_words()).max(8),
            Buf::Fan => nodes.max(items) + 1,
            Buf::Matches => item * matches,
            Buf::Parts => self.tables.parts * batch,
            Buf::Candidates => 8 * batch,
            Buf::Launches => 3 * Launch::COUNT,
            Buf::Merged | Buf::ClassOps => 2 * nodes,
        }
    }

    pub(super) fn create(&self, buf: Buf) -> Result<Buffer, GpuError> {
        let words = self.words(buf).max(4);
        self.gpu.check("an e-graph's arrays", words)?;
        let usage = match buf {
            Buf::Knobs => BufferUsages::UNIFORM,
            Buf::Launches => BufferUsages::STORAGE | BufferUsages::INDIRECT,
            _ => BufferUsages::STORAGE,
        };
        Ok(self.gpu.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("saturation"),
            size: 4 * words as u64,
            usage: usage | BufferUsages::COPY_SRC | BufferUsages::COPY_DST,
            mapped_at_creation: false,
        }))
    }

    /// Makes a buffer anew with as much room as there is to be; keeps what is in it if `keep` says so.
    pub(super) fn resize(&mut self, bufs: &[Buf], keep: bool) -> Result<(), GpuError> {
        for buf in bufs {
            let fresh = self.create(*buf)?;
            let old = std::mem::replace(&mut self.buffers[*buf as usize], fresh);
            if keep {
                let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
                let size = old.size().min(self.buffer(*buf).size());
                encoder.copy_buffer_to_buffer(&old, 0, self.buffer(*buf), 0, size);
                self.gpu.queue.submit([encoder.finish()]);
            }
        }
        Ok(())
    }

    pub(super) fn load(&mut self, graph: &Exported) -> Result<(), GpuError> {
        self.ids = graph.nodes.len();
        self.loaded = self.ids;
        self.room.nodes = self.room.nodes.max(self.ids);
        self.slots = self.slots_for(self.room.nodes);
        self.buffers = Buf::ALL.iter().map(|buf| self.create(*buf)).collect::<Result<_, _>>()?;
        let rows: Vec<[u32; 4]> = graph.nodes.iter().map(|[row @ .., _]| *row).collect();
        let states: Vec<[u32; 4]> = graph
            .nodes
            .iter()
            .zip(&graph.seen)
            .map(|([.., imm], seen)| [*imm, *seen, 0, 0])
            .collect();
        self.write(Buf::Tables, &self.tables.words);
        self.write(Buf::Rows, rows.as_flattened());
        self.write(Buf::States, states.as_flattened());
        self.write(Buf::Parent, &graph.parents);
        self.set(Counter::Ids, self.ids as u32);
        self.fill()
    }

    pub(super) fn write(&self, buf: Buf, words: &[u32]) {
        self.write_at(buf, 0, words);
    }

    pub(super) fn write_at(&self, buf: Buf, first: usize, words: &[u32]) {
        if !words.is_empty() {
            let bytes = bytemuck::cast_slice(words);
            self.gpu.queue.write_buffer(self.buffer(buf), 4 * first as u64, bytes);
        }
    }

    pub(super) fn set(&self, counter: Counter, value: u32) {
        let at = 4 * counter as u64;
        let value = value.to_le_bytes();
        self.gpu.queue.write_buffer(self.buffer(Buf::Counters), at, &value);
    }

    pub(super) fn counters(&mut self) -> Result<[u32; COUNTERS], GpuError> {
        self.run.readbacks += 1;
        let words = self.gpu.read(self.buffer(Buf::Counters), COUNTERS)?;
        let mut counters = [0; COUNTERS];
        counters.copy_from_slice(&words);
        self.used = counters[Counter::Used as usize] as usize;
        self.unions = counters[Counter::Unions as usize] as usize;
        self.copies = counters[Counter::Copies as usize] as usize;
        Ok(counters)
    }

    /// Slots that the table may have.
    pub(super) fn slots_at_most(&self) -> usize {
        1 << words_limit(self.gpu).min(self.room.slots_at_most.max(64)).ilog2()
    }

    /// Slots for so many nodes: room for two passes of rebuilding beside them, if there may be so many.
    pub(super) fn slots_for(&self, nodes: usize) -> usize {
        (8 * nodes.max(32)).next_power_of_two().min(self.slots_at_most())
    }

    /// The table anew, with all live nodes and no tombstones.
    pub(super) fn fill(&mut self) -> Result<(), GpuError> {
        let wanted = self.slots_for(self.ids);
        if wanted > self.slots {
            self.slots = wanted;
            self.resize(&[Buf::Slots], false)?;
        }
        self.knobs(Scope::default());
        self.submit(|encoder| {
            self.clear(encoder, &[Counter::Used]);
            encoder.clear_buffer(self.buffer(Buf::Slots), 0, None);
            self.go(encoder, Kernel::Fill, self.ids);
        });
        self.used = self.live();
        Ok(())
    }

    /// Nodes that are no copies, and those that may have become copies since the host looked.
    pub(super) fn live(&self) -> usize {
        self.ids - self.copies
    }

    /// Room for so many more nodes, in arrays and in the table.
    pub(super) fn reserve(&mut self, more: usize) -> Result<(), GpuError> {
        let wanted = self.ids + more;
        // Three values a node are summed, and no row may be larger than a buffer.
        let most = (MOST / 3 - 1).min(words_limit(self.gpu) / 4);
        if wanted > most {
            return Err(GpuError::TooLarge {
                what: "an e-graph's nodes",
                bytes: 16 * wanted as u64,
                limit: 16 * most as u64,
            });
        }
        if wanted > self.room.nodes {
            self.run.overflows += 1;
            self.room.nodes = (wanted + wanted / 2).min(most);
            self.resize(&[Buf::Rows, Buf::States, Buf::Parent, Buf::Starts, Buf::Order], true)?;
            self.resize(&[Buf::UserCounts, Buf::Fan, Buf::Pending], true)?;
            self.resize(&[Buf::Constants, Buf::Merged, Buf::ClassOps], true)?;
        }
        self.reserve_slots(more)
    }

    /// Room for so many more entries in the table.
    pub(super) fn reserve_slots(&mut self, more: usize) -> Result<(), GpuError> {
        if self.used + more > self.slots / 4 * 3 {
            let wanted = self.slots_for(self.ids + more);
            if wanted > self.slots {
                self.run.overflows += 1;
                self.slots = wanted;
                self.resize(&[Buf::Slots], false)?;
            }
            self.fill()?;
        }
        // Looking a node up ends at an empty slot.
        if self.used + more > self.slots / 8 * 7 {
            let bytes = 4 * (self.used + more) as u64;
            let limit = self.gpu.buffer_limit();
            return Err(GpuError::TooLarge { what: "an e-graph's table of nodes", bytes, limit });
        }
        Ok(())
    }

    /// The nodes from an id on, as words and with the class in which the last search saw them.
    pub(super) fn nodes_from(&mut self, first: usize) -> Result<Vec<([u32; 5], u32)>, GpuError> {
        let words = 4 * (self.ids - first);
        let rows = self.gpu.read_from(self.buffer(Buf::Rows), 4 * first, words)?;
        let states = self.gpu.read_from(self.buffer(Buf::States), 4 * first, words)?;
        self.run.readbacks += 2;
        let nodes: Vec<([u32; 5], u32)> = rows
            .chunks_exact(4)
            .zip(states.chunks_exact(4))
            .map(|(row, state)| ([row[0], row[1], row[2], row[3], state[0]], state[1]))
            .collect();
        if nodes.iter().all(|(node, _)| self.is_node(node)) {
            Ok(nodes)
        } else {
            Err(GpuError::Breach)
        }
    }

    pub(super) fn unload(&mut self) -> Result<Exported, GpuError> {
        let nodes = self.nodes_from(0)?;
        let parents = self.gpu.read(self.buffer(Buf::Parent), self.ids)?;
        self.run.readbacks += 1;
        let known = |(id, parent): (usize, &u32)| *parent as usize <= id;
        if !parents.iter().enumerate().all(known) {
            return Err(GpuError::Breach);
        }
        // A search that was broken off has seen nodes whose matches nobody looked for.
        let saw = |class: u32| if class == COPY || self.searched { class } else { UNSEEN };
        let seen = nodes.iter().map(|(_, class)| saw(*class)).collect();
        let nodes = nodes.into_iter().map(|(node, _)| node).collect();
        Ok(Exported { nodes, seen, parents })
    }
}
