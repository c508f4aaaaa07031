//! All matches of all rules in a graph, found by the GPU.

use crate::programs::{CHOICE_BITS, CHOICES_PER_WORD, Part, Programs, RECORD_HEAD};
use crate::tables::Tables;
use crate::{Gpu, GpuError};
use egraft_egraph::{EGraph, Root};
use egraft_rules::{MATCHES_PER_RULE, Match, RuleId};
use wgpu::{Buffer, ComputePipeline};

const SHADER: &str = include_str!("../../../shaders/match.wgsl");
/// Invocations of a workgroup.
const GROUP: u32 = 64;
/// What is set beside a rule's id in the record of one that was given up.
const GIVEN_UP: u32 = 1 << 16;

/// What was found, and how.
#[derive(Debug, Default)]
pub struct Found {
    /// The matches, in the order in which the CPU finds them.
    pub matches: Vec<Match>,
    /// Choices that the GPU found, conditions aside.
    pub candidates: usize,
    /// Rules at roots that the GPU gave up and the CPU matched.
    pub given_up: usize,
    /// Times that the records did not fit and were made again with more room.
    pub overflows: usize,
}

/// Rules made ready for a GPU. Whoever has it matches with the interpreters that it was made of.
#[derive(Debug)]
pub struct GpuMatcher {
    gpu: Gpu,
    programs: Programs,
    pipeline: ComputePipeline,
    /// Rules, steps, numbers.
    buffers: [Buffer; 3],
    /// Records that there is room for.
    capacity: usize,
}

fn pipeline(gpu: &Gpu, programs: &Programs) -> ComputePipeline {
    gpu.pipeline("match", format!("{}{SHADER}", programs.header()))
}

fn buffers(gpu: &Gpu, programs: &Programs) -> Result<[Buffer; 3], GpuError> {
    let rules: Vec<u32> = programs.rules.iter().flatten().copied().collect();
    Ok([
        gpu.filled("rules", &rules)?,
        gpu.filled("steps of rules", &programs.steps)?,
        gpu.filled("numbers of rules", &programs.constants)?,
    ])
}

impl GpuMatcher {
    /// Makes rules ready for `gpu`. There is room for `capacity` records at first; it grows.
    ///
    /// # Errors
    /// [`GpuError::Failed`] if the driver does not take the shader.
    pub fn new(gpu: Gpu, parts: &[Part<'_, '_>], capacity: usize) -> Result<GpuMatcher, GpuError> {
        let mut programs = Programs::new(parts);
        programs.round_up();
        let (pipeline, buffers) =
            gpu.guarded(|| Ok((pipeline(&gpu, &programs), buffers(&gpu, &programs)?)))?;
        Ok(GpuMatcher { gpu, programs, pipeline, buffers, capacity: capacity.max(1) })
    }

    /// Takes other rules.
    ///
    /// # Errors
    /// [`GpuError::Failed`] if the driver does not take the shader.
    pub fn load(&mut self, parts: &[Part<'_, '_>]) -> Result<(), GpuError> {
        let mut programs = Programs::new(parts);
        programs.round_up();
        let Self { gpu, pipeline: has, .. } = &*self;
        let is_same = programs.header() == self.programs.header();
        let (pipeline, buffers) = gpu.guarded(|| {
            let made = if is_same { has.clone() } else { pipeline(gpu, &programs) };
            Ok((made, buffers(gpu, &programs)?))
        })?;
        (self.programs, self.pipeline, self.buffers) = (programs, pipeline, buffers);
        Ok(())
    }

    /// The GPU.
    pub fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    /// All matches at the roots, in the order in which [`egraft_egraph::Matcher::match_node`] finds them root by root.
    /// The graph is canonical, and `parts` are the rules that were made ready.
    ///
    /// # Errors
    /// [`GpuError`] if the graph does not fit or the GPU fails.
    pub fn matches(
        &mut self,
        parts: &[Part<'_, '_>],
        graph: &EGraph,
        roots: &[Root],
    ) -> Result<Found, GpuError> {
        let tables = Tables::new(graph, roots, &self.programs);
        let mut found = Found::default();
        if tables.pairs == 0 {
            return Ok(found);
        }
        let pairs = u32::try_from(tables.pairs).map_err(|_| GpuError::TooLarge {
            what: "rules at nodes",
            bytes: tables.pairs,
            limit: u64::from(u32::MAX),
        })?;
        let words = RECORD_HEAD + self.programs.choice_words();
        let records = loop {
            let (count, records) = self.run(&tables, pairs)?;
            if count <= self.capacity {
                break records;
            }
            found.overflows += 1;
            self.capacity = count + count / 4;
        };
        let mut records: Vec<&[u32]> = records.chunks_exact(words).collect();
        let key = |record: &&[u32]| {
            (tables.places[record[0] as usize], record[1] & (GIVEN_UP - 1), record[2])
        };
        // What is given up comes before what was found till then.
        records.sort_unstable_by_key(|record| (key(record), record[1] < GIVEN_UP));
        found.candidates = records.iter().filter(|record| record[1] < GIVEN_UP).count();
        for pair in records.chunk_by(|one, other| is_same(one, other)) {
            take(parts, graph, roots, &tables, pair, &mut found);
        }
        Ok(found)
    }

    /// Runs the shader: how many records there are, and those that there was room for.
    fn run(&self, tables: &Tables, pairs: u32) -> Result<(usize, Vec<u32>), GpuError> {
        let gpu = &self.gpu;
        let words = RECORD_HEAD + self.programs.choice_words();
        gpu.guarded(|| {
            let most = gpu.device.limits().max_compute_workgroups_per_dimension;
            let columns = pairs.div_ceil(GROUP).min(most);
            let row = columns.saturating_mul(GROUP);
            let groups = tables.groups.len() as u32 / 4;
            let params = [pairs, row, groups, self.capacity as u32];
            let [rules, steps, numbers] = &self.buffers;
            let records = gpu.empty("records", self.capacity * words)?;
            let counters = gpu.empty("counters", 2)?;
            let buffers = [
                &gpu.filled("parameters", &params)?,
                &gpu.filled("nodes", &tables.nodes)?,
                &gpu.filled("classes", &tables.classes)?,
                &gpu.filled("roots", &tables.roots)?,
                &gpu.filled("groups", &tables.groups)?,
                rules,
                steps,
                numbers,
                &records,
                &counters,
            ];
            gpu.dispatch(&self.pipeline, &buffers, (columns, pairs.div_ceil(row)));
            let counts = gpu.read(&counters, 2)?;
            let (count, done) = (counts[0] as usize, counts[1]);
            if done != pairs {
                return Err(GpuError::Incomplete { done, of: pairs });
            }
            let records = gpu.read(&records, count.min(self.capacity) * words)?;
            Ok((count, records))
        })
    }
}

/// Whether two records are of one rule at one root.
fn is_same(one: &[u32], other: &[u32]) -> bool {
    one[0] == other[0] && one[1] & (GIVEN_UP - 1) == other[1] & (GIVEN_UP - 1)
}

/// Takes the choices of one rule at one root again.
fn take(
    parts: &[Part<'_, '_>],
    graph: &EGraph,
    roots: &[Root],
    tables: &Tables,
    pair: &[&[u32]],
    found: &mut Found,
) {
    let (class, node) = &roots[tables.places[pair[0][0] as usize] as usize];
    let rule = (pair[0][1] & (GIVEN_UP - 1)) as usize;
    let part = parts.iter().rfind(|part| part.0 <= rule);
    let (start, interpreter) = part.expect("the first part begins at the first rule");
    let own = RuleId((rule - start) as u16);
    let (first, out) = (found.matches.len(), &mut found.matches);
    if pair.iter().any(|record| record[1] >= GIVEN_UP) {
        found.given_up += 1;
        interpreter.match_rule(graph, own, node, *class, out);
    } else {
        for record in pair {
            if out.len() - first == MATCHES_PER_RULE {
                break;
            }
            let choices = record[RECORD_HEAD..].iter().flat_map(|word| {
                (0..CHOICES_PER_WORD)
                    .map(move |at| (word >> (CHOICE_BITS * at)) as usize & ((1 << CHOICE_BITS) - 1))
            });
            interpreter.replay(graph, own, node, *class, choices, out);
        }
    }
    for found in &mut out[first..] {
        found.rule = RuleId(rule as u16);
    }
}
