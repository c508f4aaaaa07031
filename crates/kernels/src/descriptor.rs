//! The JSON descriptor of a kernel: parsed by serde, then checked key by key.
//!
//! Unknown keys are accepted, since other tools keep theirs in the same file. Nothing here opens the
//! module or allocates a buffer.

use crate::read::{MAX_DESCRIPTOR_BYTES, MAX_WASM_BYTES, ReadError, read_limited};
use crate::scalar::{ElementType, Value};
use serde::Deserialize;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Limit for all arguments of one size together; wasm32 has four times that.
pub const MAX_ARGUMENT_BYTES: u64 = 1 << 30;

/// Limit for the dimensions of one buffer.
pub const MAX_DIMS: usize = 16;

/// Why a descriptor was refused. Every message starts with the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DescriptorError {
    /// The file could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The file is not JSON, or a key has a value of another kind.
    #[error("{}:{line}:{column}: {problem}", path.display())]
    Json {
        /// The descriptor.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What is wrong there.
        problem: String,
    },
    /// A key has a value that makes no sense.
    #[error("{}: `{key}`: {problem}", path.display())]
    Invalid {
        /// The descriptor.
        path: PathBuf,
        /// The key, such as `args[2].strides[0]`.
        key: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// A size that a descriptor does not have.
#[derive(Debug, thiserror::Error)]
#[error("{}: no size {size}; it has sizes 0 to {last}", path.display())]
pub struct NoSuchSize {
    /// The descriptor.
    pub path: PathBuf,
    /// The size asked for.
    pub size: usize,
    /// The last size.
    pub last: usize,
}

/// A kernel: the module's place, its function, and the arguments to call it with.
#[derive(Debug, Clone)]
pub struct Kernel {
    /// The descriptor.
    pub path: PathBuf,
    /// The kernel's name.
    pub name: String,
    /// The Halide function; the module exports `<func>_argv`.
    pub func: String,
    /// The module.
    pub wasm: PathBuf,
    /// Native builds by target name.
    pub native: BTreeMap<String, PathBuf>,
    /// Absolute and relative tolerance against natives; wasm engines must agree to the bit.
    pub tolerance: Option<(f64, f64)>,
    /// The size of `args`, then those of `sizes`. Never empty.
    pub sizes: Vec<Size>,
}

/// One list of arguments.
#[derive(Debug, Clone)]
pub struct Size {
    /// The arguments in the order of the Halide function's.
    pub args: Vec<Argument>,
    /// Elements of all outputs together.
    pub out_elems: u64,
}

/// One argument.
#[derive(Debug, Clone)]
pub enum Argument {
    /// A scalar, passed by pointer.
    Scalar {
        /// Its name.
        name: String,
        /// Its value.
        value: Value,
    },
    /// A `halide_buffer_t`.
    Buffer(Buffer),
}

/// Whether a kernel reads a buffer or writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Role {
    Input,
    Output,
}

/// One dimension of a buffer, all in elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Dim {
    pub min: i32,
    pub extent: i32,
    pub stride: i32,
}

/// What an input holds before the call.
#[derive(Debug, Clone, PartialEq)]
pub enum Contents {
    /// Pseudo-random values between the two, both included for integers.
    Fill(Value, Value),
    /// These values, one for each element of the allocation.
    Data(Vec<Value>),
    /// Bytes `0xCD`; of outputs.
    Poison,
}

/// A buffer argument.
#[derive(Debug, Clone)]
pub struct Buffer {
    /// Its name.
    pub name: String,
    /// Its role.
    pub role: Role,
    /// The type of its elements.
    pub ty: ElementType,
    /// Its dimensions, innermost first as Halide counts them.
    pub dims: Vec<Dim>,
    /// What it holds before the call.
    pub contents: Contents,
}

impl Buffer {
    /// Elements that have coordinates.
    pub fn elements(&self) -> u64 {
        self.dims.iter().map(|dim| dim.extent as u64).product()
    }

    /// Elements from the first to the last, gaps between rows included.
    pub fn span(&self) -> u64 {
        1 + self.dims.iter().map(|dim| (dim.extent as u64 - 1) * dim.stride as u64).sum::<u64>()
    }

    /// Bytes of the allocation.
    pub fn bytes(&self) -> u64 {
        self.span() * u64::from(self.ty.bytes())
    }

    /// The coordinates of the element `offset` elements behind the first, `None` in a gap.
    pub fn coordinates(&self, offset: u64) -> Option<Vec<i32>> {
        let mut by_stride: Vec<usize> = (0..self.dims.len()).collect();
        by_stride.sort_by_key(|&at| std::cmp::Reverse((self.dims[at].stride, at)));
        let mut coordinates = vec![0; self.dims.len()];
        let mut rest = offset;
        for at in by_stride {
            let dim = self.dims[at];
            if dim.extent == 1 {
                coordinates[at] = dim.min;
                continue;
            }
            let step = rest / dim.stride as u64;
            if step >= dim.extent as u64 {
                return None;
            }
            rest %= dim.stride as u64;
            coordinates[at] = dim.min + step as i32;
        }
        (rest == 0).then_some(coordinates)
    }
}

impl Kernel {
    /// Reads and checks the descriptor at `path`.
    ///
    /// # Errors
    /// [`DescriptorError`], which names the file and the line or the key.
    pub fn read(path: &Path) -> Result<Kernel, DescriptorError> {
        let bytes = read_limited(path, "a kernel descriptor", MAX_DESCRIPTOR_BYTES)?;
        Kernel::parse(path, &bytes)
    }

    /// Checks a descriptor's text. `path` is where relative paths start, and what errors name.
    ///
    /// # Errors
    /// [`DescriptorError`], which names the file and the line or the key.
    pub fn parse(path: &Path, text: &[u8]) -> Result<Kernel, DescriptorError> {
        let raw: RawKernel =
            serde_json::from_slice(text).map_err(|error| DescriptorError::Json {
                path: path.to_owned(),
                line: error.line(),
                column: error.column(),
                problem: without_place(&error),
            })?;
        check_kernel(path, raw).map_err(|Problem { key, problem }| DescriptorError::Invalid {
            path: path.to_owned(),
            key,
            problem,
        })
    }

    /// The arguments of size `size`, from 0.
    ///
    /// # Errors
    /// [`NoSuchSize`].
    pub fn size(&self, size: usize) -> Result<&Size, NoSuchSize> {
        self.sizes.get(size).ok_or_else(|| NoSuchSize {
            path: self.path.clone(),
            size,
            last: self.sizes.len() - 1,
        })
    }

    /// Reads the kernel's module.
    ///
    /// # Errors
    /// [`ReadError`], which names the module's file.
    pub fn read_wasm(&self) -> Result<Vec<u8>, ReadError> {
        read_limited(&self.wasm, "a wasm module", MAX_WASM_BYTES)
    }
}

/// serde_json's message without its own " at line L column C", which the caller prints in front.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(at) => text[..at].to_owned(),
        None => text,
    }
}

#[derive(Deserialize)]
struct RawKernel {
    name: String,
    func: String,
    wasm: String,
    #[serde(default)]
    native: BTreeMap<String, String>,
    tol: Option<[f64; 2]>,
    args: Vec<RawArgument>,
    out_elems: u64,
    #[serde(default)]
    sizes: Vec<RawSize>,
}

#[derive(Deserialize)]
struct RawSize {
    args: Vec<RawArgument>,
    out_elems: u64,
}

/// Numbers stay JSON here, so that errors about them can name the key.
#[derive(Deserialize)]
struct RawArgument {
    kind: String,
    name: String,
    #[serde(rename = "type")]
    ty: String,
    dims: Option<i64>,
    mins: Option<Vec<i64>>,
    extents: Option<Vec<i64>>,
    strides: Option<Vec<i64>>,
    fill: Option<Vec<Json>>,
    data: Option<Vec<Json>>,
    value: Option<Json>,
}

/// A key and what is wrong with it.
struct Problem {
    key: String,
    problem: String,
}

fn problem<T>(key: impl Into<String>, problem: impl Into<String>) -> Result<T, Problem> {
    Err(Problem { key: key.into(), problem: problem.into() })
}

fn check_kernel(path: &Path, raw: RawKernel) -> Result<Kernel, Problem> {
    check_symbol("name", &raw.name)?;
    check_symbol("func", &raw.func)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let locate = |key: &str, text: &str| {
        if text.is_empty() || text.contains('\0') {
            return problem(key, "is not a file name");
        }
        Ok(folder.join(text))
    };
    let wasm = locate("wasm", &raw.wasm)?;
    let mut native = BTreeMap::new();
    for (target, text) in &raw.native {
        native.insert(target.clone(), locate(&format!("native.{target}"), text)?);
    }
    if let Some(tolerances) = raw.tol {
        for (at, tolerance) in tolerances.into_iter().enumerate() {
            if !(tolerance.is_finite() && tolerance >= 0.0) {
                return problem(format!("tol[{at}]"), "must be zero or more");
            }
        }
    }
    let mut sizes = vec![check_size("", raw.args, raw.out_elems)?];
    for (at, size) in raw.sizes.into_iter().enumerate() {
        sizes.push(check_size(&format!("sizes[{at}]."), size.args, size.out_elems)?);
    }
    Ok(Kernel {
        path: path.to_owned(),
        name: raw.name,
        func: raw.func,
        wasm,
        native,
        tolerance: raw.tol.map(|[absolute, relative]| (absolute, relative)),
        sizes,
    })
}

/// Names end up in export names, tables and file names.
fn check_symbol(key: &str, name: &str) -> Result<(), Problem> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-.$:".contains(c);
    if name.is_empty() || name.len() > 200 || !name.chars().all(plain) {
        return problem(
            key,
            format!("{name:?} is not a name: 1 to 200 letters, digits and any of `_-.$:`"),
        );
    }
    Ok(())
}

fn check_size(prefix: &str, raw: Vec<RawArgument>, out_elems: u64) -> Result<Size, Problem> {
    const MAX_ARGS: usize = 256;
    if raw.is_empty() || raw.len() > MAX_ARGS {
        return problem(
            format!("{prefix}args"),
            format!("{} arguments; a kernel takes 1 to {MAX_ARGS}", raw.len()),
        );
    }
    let mut args = Vec::with_capacity(raw.len());
    let mut bytes = 0;
    for (at, argument) in raw.into_iter().enumerate() {
        let argument = check_argument(&format!("{prefix}args[{at}]"), argument, &mut bytes)?;
        args.push(argument);
    }
    let outputs = || {
        args.iter().filter_map(|argument| match argument {
            Argument::Buffer(buffer) if buffer.role == Role::Output => Some(buffer.elements()),
            _ => None,
        })
    };
    if outputs().next().is_none() {
        return problem(format!("{prefix}args"), "no argument is an output");
    }
    let total: u64 = outputs().sum();
    if total != out_elems {
        return problem(
            format!("{prefix}out_elems"),
            format!("is {out_elems}, but the outputs have {total} elements"),
        );
    }
    Ok(Size { args, out_elems })
}

fn check_argument(key: &str, raw: RawArgument, bytes: &mut u64) -> Result<Argument, Problem> {
    let Some(ty) = ElementType::from_name(&raw.ty) else {
        let known: Vec<&str> = ElementType::ALL.iter().map(|(_, name)| *name).collect();
        return problem(
            format!("{key}.type"),
            format!("unknown type {:?}; known are {}", raw.ty, known.join(", ")),
        );
    };
    let role = match raw.kind.as_str() {
        "scalar" => {
            let key = format!("{key}.value");
            let Some(json) = &raw.value else { return problem(key, "is missing") };
            let value = ty.parse(json).map_err(|text| Problem { key, problem: text })?;
            return Ok(Argument::Scalar { name: raw.name, value });
        }
        "input" => Role::Input,
        "output" => Role::Output,
        other => {
            return problem(
                format!("{key}.kind"),
                format!("unknown kind {other:?}; known are input, output, scalar"),
            );
        }
    };
    let dims = check_dims(key, &raw)?;
    let mut buffer = Buffer { name: raw.name, role, ty, dims, contents: Contents::Poison };
    *bytes += check_span(key, &buffer)?;
    if *bytes > MAX_ARGUMENT_BYTES {
        return problem(
            format!("{key}.extents"),
            format!("the arguments need more than {MAX_ARGUMENT_BYTES} bytes together"),
        );
    }
    buffer.contents = check_contents(key, &buffer, raw.fill, raw.data)?;
    Ok(Argument::Buffer(buffer))
}

fn check_dims(key: &str, raw: &RawArgument) -> Result<Vec<Dim>, Problem> {
    let list = |name: &str, values: &Option<Vec<i64>>| match values {
        Some(values) => Ok(values.clone()),
        None => problem(format!("{key}.{name}"), "is missing"),
    };
    let extents = list("extents", &raw.extents)?;
    let strides = list("strides", &raw.strides)?;
    let mins = raw.mins.clone().unwrap_or_else(|| vec![0; extents.len()]);
    let count = raw.dims.unwrap_or(extents.len() as i64);
    if !(0..=MAX_DIMS as i64).contains(&count) {
        return problem(format!("{key}.dims"), format!("is {count}, must be 0 to {MAX_DIMS}"));
    }
    for (name, values) in [("mins", &mins), ("extents", &extents), ("strides", &strides)] {
        if values.len() as i64 != count {
            return problem(
                format!("{key}.{name}"),
                format!("has {} entries for {count} dimensions", values.len()),
            );
        }
    }
    let mut dims = Vec::with_capacity(extents.len());
    for (at, &extent) in extents.iter().enumerate() {
        let narrow = |name: &str, value: i64| match i32::try_from(value) {
            Ok(value) => Ok(value),
            Err(_) => problem(
                format!("{key}.{name}[{at}]"),
                format!("{value} does not fit the 32 bits of halide_dimension_t"),
            ),
        };
        if extent < 1 {
            return problem(
                format!("{key}.extents[{at}]"),
                format!("is {extent}, must be 1 or more"),
            );
        }
        let dim = Dim {
            min: narrow("mins", mins[at])?,
            extent: narrow("extents", extent)?,
            stride: narrow("strides", strides[at])?,
        };
        if dim.stride < 1 && dim.extent > 1 {
            return problem(
                format!("{key}.strides[{at}]"),
                format!("is {}, must be 1 or more where the extent is more than 1", dim.stride),
            );
        }
        if dim.min.checked_add(dim.extent).is_none() {
            return problem(
                format!("{key}.mins[{at}]"),
                format!("{} + extent {} does not fit 32 bits", dim.min, dim.extent),
            );
        }
        dims.push(dim);
    }
    Ok(dims)
}

/// The buffer's bytes, once its strides are known not to overlap.
fn check_span(key: &str, buffer: &Buffer) -> Result<u64, Problem> {
    let mut by_stride: Vec<usize> = (0..buffer.dims.len()).collect();
    by_stride.retain(|&at| buffer.dims[at].extent > 1);
    by_stride.sort_by_key(|&at| buffer.dims[at].stride);
    // Elements that the dimensions so far span; below 2^31 + 16 * 2^62, so u128 cannot overflow.
    let mut span: u128 = 1;
    for at in by_stride {
        let dim = buffer.dims[at];
        if (dim.stride as u128) < span {
            return problem(
                format!("{key}.strides[{at}]"),
                format!(
                    "is {}, but the dimensions with smaller strides span {span} elements, so rows \
                     overlap",
                    dim.stride
                ),
            );
        }
        span += (dim.extent as u128 - 1) * dim.stride as u128;
    }
    let bytes = span * u128::from(buffer.ty.bytes());
    if bytes > u128::from(MAX_ARGUMENT_BYTES) {
        return problem(
            format!("{key}.extents"),
            format!("the buffer needs {bytes} bytes; the limit is {MAX_ARGUMENT_BYTES}"),
        );
    }
    Ok(bytes as u64)
}

fn check_contents(
    key: &str,
    buffer: &Buffer,
    fill: Option<Vec<Json>>,
    data: Option<Vec<Json>>,
) -> Result<Contents, Problem> {
    let parse = |key: String, json: &Json| {
        buffer.ty.parse(json).map_err(|text| Problem { key, problem: text })
    };
    match (buffer.role, fill, data) {
        (Role::Output, None, None) => Ok(Contents::Poison),
        (Role::Output, Some(_), _) => {
            problem(format!("{key}.fill"), "an output is not filled: the kernel writes it")
        }
        (Role::Output, _, Some(_)) => {
            problem(format!("{key}.data"), "an output has no data: the kernel writes it")
        }
        (Role::Input, Some(_), Some(_)) => {
            problem(format!("{key}.data"), "stands beside `fill`; an input has one of them")
        }
        (Role::Input, None, None) => {
            problem(format!("{key}.fill"), "is missing; an input needs `fill` or `data`")
        }
        (Role::Input, Some(ends), None) => {
            let [low, high] = ends.as_slice() else {
                return problem(format!("{key}.fill"), "must be [lowest, highest]");
            };
            let low = parse(format!("{key}.fill[0]"), low)?;
            let high = parse(format!("{key}.fill[1]"), high)?;
            let ordered = match (low.as_integer(), high.as_integer()) {
                (Some(low), Some(high)) => low <= high,
                _ => match (low.as_float(), high.as_float()) {
                    (Some(low), Some(high)) => (high - low).is_finite() && low <= high,
                    _ => false,
                },
            };
            if !ordered {
                return problem(
                    format!("{key}.fill"),
                    format!("{low} to {high} is not a finite ascending range"),
                );
            }
            Ok(Contents::Fill(low, high))
        }
        (Role::Input, None, Some(values)) => {
            if values.len() as u64 != buffer.span() {
                return problem(
                    format!("{key}.data"),
                    format!("has {} values, the buffer {}", values.len(), buffer.span()),
                );
            }
            let parsed: Result<Vec<Value>, Problem> = values
                .iter()
                .enumerate()
                .map(|(at, json)| parse(format!("{key}.data[{at}]"), json))
                .collect();
            Ok(Contents::Data(parsed?))
        }
    }
}

#[cfg(test)]
mod tests;
