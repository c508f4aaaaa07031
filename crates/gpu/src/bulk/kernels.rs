//! The shader's entry points and the buffers that each reads or writes.

use super::special;
use super::tables::Tables;
use crate::{Gpu, GpuError};
use wgpu::{BindGroup, Buffer, CommandEncoder, ComputePipeline};

const SATURATE: &str = include_str!("../../../../shaders/saturate.wgsl");
const APPLY: &str = include_str!("../../../../shaders/apply.wgsl");
const COMPACT: &str = include_str!("../../../../shaders/compact.wgsl");
const SCAN: &str = include_str!("../../../../shaders/scan.wgsl");
/// Invocations of a workgroup.
pub(super) const GROUP: u32 = 256;
/// Workgroups in a row of a dispatch.
const ROW: u32 = 32_768;

macro_rules! buffers {
    ($($buf:ident)*) => {
        /// A buffer, by its binding.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u32)]
        pub(super) enum Buf { $($buf),* }

        impl Buf {
            /// In the order of their bindings.
            pub(super) const ALL: &[Buf] = &[$(Buf::$buf),*];
        }
    };
}

buffers! {
    Knobs Counters Tables Rows Parent Slots Starts Sums Order Items NextItems Fan Matches Parts Candidates Pending Constants
    Launches Merged ClassOps UserCounts Costs Prices States
}

impl Buf {
    fn binding(self) -> wgpu::BufferBindingType {
        match self {
            Buf::Knobs => wgpu::BufferBindingType::Uniform,
            Buf::Tables | Buf::Prices => wgpu::BufferBindingType::Storage { read_only: true },
            _ => wgpu::BufferBindingType::Storage { read_only: false },
        }
    }
}

macro_rules! kernels {
    ($($kernel:ident $name:literal [$($buf:ident)*];)*) => {
        /// An entry point.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub(super) enum Kernel { $($kernel),* }

        const KERNELS: &[(&str, &[Buf])] = &[$(($name, &[$(Buf::$buf),*])),*];
    };
}

kernels! {
    Note "note" [Counters Rows States Parent Constants];
    Tell "tell" [Counters Pending Constants];
    Classify "classify" [Counters Rows States Parent Starts Constants ClassOps];
    ScanStarts "scan_starts" [Counters Starts Sums];
    ScanBlocksStarts "scan_blocks_starts" [Counters Sums];
    ScanEndStarts "scan_end_starts" [Counters Sums];
    Scatter "scatter" [Counters Rows States Starts Sums Order UserCounts];
    RootFan "root_fan" [Knobs Counters Tables Rows States Starts Sums Fan Constants ClassOps];
    ScanRoots "scan_roots" [Counters Fan Sums];
    ScanBlocksRoots "scan_blocks_roots" [Counters Sums];
    ScanEndRoots "scan_end_roots" [Counters Sums];
    Turn "turn" [Knobs Counters Launches];
    ExpandRoots "expand_roots" [Counters Tables Rows States NextItems Fan Sums ClassOps];
    Flip "flip" [Counters];
    Advance "advance" [Knobs Counters Tables Rows States Starts Sums Items Fan Matches Constants];
    ScanItems "scan_items" [Counters Fan Sums];
    ScanBlocksItems "scan_blocks_items" [Counters Sums];
    ScanEndItems "scan_end_items" [Counters Sums];
    Expand "expand" [Counters Tables Rows States Starts Sums Order Items NextItems Fan];
    Ask "ask" [Knobs Tables Rows States NextItems Matches];
    Accept "accept" [Knobs NextItems Matches];
    Make "make" [Knobs Tables Rows States Slots Matches Parts Candidates];
    Claim "claim" [Knobs Counters Slots Candidates];
    Settle "settle" [Knobs Counters Rows States Parent Slots Candidates];
    Adopt "adopt" [Knobs Tables Slots Matches Parts Candidates];
    Grow "grow" [Counters];
    Merge "merge" [Counters Tables Rows States Parent Matches Merged];
    Canon "canon" [Counters Rows States Parent Slots Pending];
    Insert "insert" [Knobs Counters Rows States Parent Slots Pending Merged];
    Fill "fill" [Knobs Counters Rows States Parent Slots Merged];
    Check "check" [Knobs Counters Rows States Parent Slots];
    Relax "relax" [Counters Rows States Parent Costs Prices];
    Keep "keep" [Knobs Counters Rows States Parent Fan];
    Rename "rename" [Knobs Counters Rows States Parent Order Fan Sums Pending];
    Lift "lift" [Knobs Rows States Order NextItems Fan Sums];
    Lower "lower" [Knobs Counters Rows States NextItems Fan Sums];
    Reparent "reparent" [Counters Parent Pending];
    Shrink "shrink" [Counters];
    CheckSlots "check_slots" [Knobs Counters Rows States Slots];
}

/// How large a dispatch is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Size {
    /// So many invocations.
    Threads(usize),
    /// As the device said last.
    Launch(Launch),
}

/// What the device says about partial matches that are to come, by its place in [`Buf::Launches`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Launch {
    /// An invocation for each.
    Each,
    /// A workgroup for each block of a scan over them.
    Blocks,
    /// A workgroup for each block of those.
    BlocksOfBlocks,
}

impl Launch {
    /// How many there are.
    pub(super) const COUNT: usize = Launch::BlocksOfBlocks as usize + 1;
}

/// The entry points, compiled.
#[derive(Debug)]
pub(super) struct Kernels(Vec<ComputePipeline>);

/// A scan over an array: its name, how many values, the array, where its sums begin, what is done with the sum of all.
fn scan(name: &str, count: &str, array: &str, sums: &str, end: &str) -> String {
    let (load, store) = if array == "starts" {
        ("atomicLoad(&starts[first + i])", "atomicStore(&starts[first + i], sum)")
    } else {
        ("fan[first + i]", "fan[first + i] = sum")
    };
    SCAN.replace("@NAME@", name)
        .replace("@ARRAY@", array)
        .replace("@COUNT@", count)
        .replace("@SUMS@", sums)
        .replace("@LOAD@", load)
        .replace("@STORE@", store)
        .replace("@END@", end)
}

/// What reads partial matches, once more for whole ones.
fn partial(text: &str) -> String {
    let start = text.find("// <PARTIAL>").unwrap_or(0);
    let end = text.find("// </PARTIAL>").unwrap_or(0);
    ["node_word(", "register_word(", "value_of("]
        .iter()
        .fold(text[start..end].replace("items[", "matches["), |text, name| {
            text.replace(name, &name.replace('(', "_found("))
        })
}

/// The shader's text for these rules.
fn text(tables: &Tables, shader: Shader) -> String {
    let next = "atomicStore(&counters[NEXT], sum);";
    let scans = [
        scan("starts", "(3u * count(INDEXED) + 1u)", "starts", "0u", ""),
        scan("roots", "count(INDEXED)", "fan", "AT_FAN_SUMS", next),
        scan("items", "count(ITEMS)", "fan", "AT_FAN_SUMS", next),
    ];
    // What the scans share stands in each copy.
    let shared = SCAN.find("@compute").unwrap_or(0);
    let by_count = if tables.rules <= RULES_AS_CODE { RulesAs::Code } else { RulesAs::Data };
    let saturate = match shader.rules.unwrap_or(by_count) {
        RulesAs::Data => SATURATE.to_owned(),
        RulesAs::Code => special::with_code(SATURATE, tables),
    };
    let mut text =
        format!("{}{}", tables.header, (shader.edit)(&format!("{saturate}{APPLY}{COMPACT}")));
    text += &partial(&text);
    text += &SCAN[..shared].replace("@ARRAY@", "arrays");
    scans.iter().for_each(|scan| text += &scan[scan.find("@compute").unwrap_or(0)..]);
    text
}

/// Rules up to which they are made into code: more of them are faster as data, as measured on lavapipe.
const RULES_AS_CODE: usize = 32;

/// How rules come to the device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RulesAs {
    /// As words that one shader interprets, whatever the rules.
    Data,
    /// As shader code made for these rules: what is the same for all matches of a rule is no longer read, rules with
    /// a common root share its tests.
    Code,
}

/// Which shader saturates.
#[derive(Clone, Copy, Debug)]
pub struct Shader {
    /// How rules come to it; nothing: as is faster for so many.
    pub rules: Option<RulesAs>,
    /// Changes its text, for tests that plant mistakes.
    pub edit: fn(&str) -> String,
}

impl Default for Shader {
    fn default() -> Shader {
        Shader { rules: None, edit: str::to_owned }
    }
}

fn layout(gpu: &Gpu, bufs: &[Buf]) -> wgpu::PipelineLayout {
    let entries: Vec<wgpu::BindGroupLayoutEntry> = bufs
        .iter()
        .map(|buf| wgpu::BindGroupLayoutEntry {
            binding: *buf as u32,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer {
                ty: buf.binding(),
                has_dynamic_offset: false,
                min_binding_size: None,
            },
            count: None,
        })
        .collect();
    let group = gpu.device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
        label: None,
        entries: &entries,
    });
    gpu.device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label: None,
        bind_group_layouts: &[Some(&group)],
        immediate_size: 0,
    })
}

impl Kernels {
    pub(super) fn new(gpu: &Gpu, tables: &Tables, shader: Shader) -> Result<Kernels, GpuError> {
        gpu.guarded(|| {
            let module = gpu.device.create_shader_module(wgpu::ShaderModuleDescriptor {
                label: Some("saturate"),
                source: wgpu::ShaderSource::Wgsl(text(tables, shader).into()),
            });
            let pipeline = |(name, bufs): &(&str, &[Buf])| {
                gpu.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                    label: Some(name),
                    layout: Some(&layout(gpu, bufs)),
                    module: &module,
                    entry_point: Some(name),
                    compilation_options: Default::default(),
                    cache: None,
                })
            };
            Ok(Kernels(KERNELS.iter().map(pipeline).collect()))
        })
    }

    fn bind(&self, gpu: &Gpu, kernel: Kernel, buffers: &[Buffer]) -> BindGroup {
        let entries: Vec<wgpu::BindGroupEntry<'_>> = KERNELS[kernel as usize]
            .1
            .iter()
            .map(|buf| wgpu::BindGroupEntry {
                binding: *buf as u32,
                resource: buffers[*buf as usize].as_entire_binding(),
            })
            .collect();
        gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(KERNELS[kernel as usize].0),
            layout: &self.0[kernel as usize].get_bind_group_layout(0),
            entries: &entries,
        })
    }

    /// Records a dispatch.
    pub(super) fn record(
        &self,
        gpu: &Gpu,
        encoder: &mut CommandEncoder,
        kernel: Kernel,
        buffers: &[Buffer],
        size: Size,
    ) {
        let group = self.bind(gpu, kernel, buffers);
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        pass.set_pipeline(&self.0[kernel as usize]);
        pass.set_bind_group(0, &group, &[]);
        match size {
            Size::Threads(threads) => {
                let groups = (threads as u32).div_ceil(GROUP).max(1);
                pass.dispatch_workgroups(groups.min(ROW), groups.div_ceil(ROW), 1);
            }
            Size::Launch(launch) => {
                let offset = 4 * 3 * launch as u64;
                pass.dispatch_workgroups_indirect(&buffers[Buf::Launches as usize], offset);
            }
        }
    }
}
