//! Fingerprints of terms, for rule inference: what one op makes of terms whose values are known, for many terms at once.
//!
//! Invariant: fingerprints are those of [`egraft_ir::fingerprint()`] over what [`egraft_ir::eval()`] gives.

use crate::meaning::function;
use crate::{Gpu, GpuError};
use egraft_ir::{Fingerprint, Node, Op, Term};
use std::fmt::Write as _;
use wgpu::ComputePipeline;

const SHADER: &str = include_str!("../../../shaders/terms.wgsl");
/// Invocations of a workgroup.
const GROUP: u32 = 64;
/// Workgroups in a row of a dispatch.
const ROW: u32 = 32_768;

/// Ops made ready for a GPU.
#[derive(Debug)]
pub struct GpuTerms {
    ops: Vec<Node>,
    has: Vec<bool>,
    pipeline: ComputePipeline,
}

/// Whether a division has a value, as WGSL: of operands `a` and `b`.
fn is_defined(node: &Node) -> Option<String> {
    if !matches!(node.op, Op::Udiv | Op::Sdiv | Op::Urem | Op::Srem) {
        return None;
    }
    let mask = node.ty.mask() as u32;
    let mut text = format!("(b.x & {mask:#x}u) != 0u");
    if node.op == Op::Sdiv {
        let least = 1u32 << (node.ty.bits() - 1);
        text +=
            &format!(" && ((a.x & {mask:#x}u) != {least:#x}u || (b.x & {mask:#x}u) != {mask:#x}u)");
    }
    Some(text)
}

impl GpuTerms {
    /// Makes code of the ops.
    ///
    /// # Errors
    /// [`GpuError::Failed`] if the driver does not take it.
    pub fn new(gpu: &Gpu, ops: &[Node]) -> Result<GpuTerms, GpuError> {
        let (mut text, mut values, mut defined) = (String::new(), String::new(), String::new());
        let mut has = Vec::with_capacity(ops.len());
        for (at, node) in ops.iter().enumerate() {
            let function = function(&format!("op{at}"), node);
            has.push(function.is_some());
            let Some(function) = function else { continue };
            text += &function;
            let args = ["a", "b", "c"][..node.op.arity()].join(", ");
            let _ = writeln!(values, "        case {at}u: {{ return op{at}({args}); }}");
            if let Some(test) = is_defined(node) {
                let _ = writeln!(defined, "        case {at}u: {{ return {test}; }}");
            }
        }
        let _ = write!(
            text,
            "fn value(op: u32, a: vec4<u32>, b: vec4<u32>, c: vec4<u32>) -> vec4<u32> {{
    switch op {{
{values}        default: {{ return vec4<u32>(0u); }}
    }}
}}
fn is_defined(op: u32, a: vec4<u32>, b: vec4<u32>) -> bool {{
    switch op {{
{defined}        default: {{ return true; }}
    }}
}}
"
        );
        let pipeline = gpu.guarded(|| Ok(gpu.pipeline("terms", format!("{text}{SHADER}"))))?;
        Ok(GpuTerms { ops: ops.to_vec(), has, pipeline })
    }

    /// The ops.
    pub fn ops(&self) -> &[Node] {
        &self.ops
    }

    /// Whether there is code for an op; there is none for float arithmetic and quotients of more than 32 bits.
    pub fn has(&self, op: usize) -> bool {
        self.has[op]
    }

    /// The fingerprints of terms, whose ops are had; `None` for those that have no value on some sample. `values` are those
    /// of the operands, term by term, as many as there are samples, not wider than their types.
    ///
    /// # Errors
    /// [`GpuError`] if values do not fit or the GPU fails.
    pub fn fingerprints(
        &self,
        gpu: &Gpu,
        values: &[u128],
        samples: usize,
        terms: &[Term],
    ) -> Result<Vec<Option<Fingerprint>>, GpuError> {
        let words: Vec<u32> =
            values.iter().flat_map(|value| crate::programs::words(*value)).collect();
        let most = (gpu.buffer_limit() / 16) as usize;
        let mut all = Vec::with_capacity(terms.len());
        gpu.guarded(|| {
            let values = gpu.filled("values of terms", &words)?;
            for terms in terms.chunks(most.min(1 << 20)) {
                self.run(gpu, &values, samples, terms, &mut all)?;
            }
            Ok(())
        })?;
        Ok(all)
    }

    fn run(
        &self,
        gpu: &Gpu,
        values: &wgpu::Buffer,
        samples: usize,
        terms: &[Term],
        all: &mut Vec<Option<Fingerprint>>,
    ) -> Result<(), GpuError> {
        let count = terms.len() as u32;
        let words: Vec<u32> =
            terms.iter().flat_map(|Term { op, args: [a, b, c] }| [*op, *a, *b, *c]).collect();
        let prints = gpu.empty("fingerprints", 4 * terms.len())?;
        let defined = gpu.empty("fingerprints", terms.len())?;
        let done = gpu.empty("counters", 1)?;
        let buffers = [
            &gpu.filled("parameters", &[count, samples as u32])?,
            values,
            &gpu.filled("terms", &words)?,
            &prints,
            &defined,
            &done,
        ];
        let groups = count.div_ceil(GROUP);
        gpu.dispatch(&self.pipeline, &buffers, (groups.min(ROW), groups.div_ceil(ROW)));
        let done = gpu.read(&done, 1)?[0];
        if done != count {
            return Err(GpuError::Incomplete { done, of: count });
        }
        let prints = gpu.read(&prints, 4 * terms.len())?;
        let defined = gpu.read(&defined, terms.len())?;
        all.extend(prints.chunks_exact(4).zip(defined).map(|(print, defined)| {
            (defined != 0).then(|| [print[0], print[1], print[2], print[3]])
        }));
        Ok(())
    }
}
