//! A kernel's arguments as Halide lays them out, in whatever memory the kernel runs in.
//!
//! Knows `halide_buffer_t` for pointers of 4 and of 8 bytes. Allocates and writes through a [`Space`],
//! and calls nothing.

use crate::compare::Output;
use crate::descriptor::{Argument, Buffer, Role, Size};
use crate::fill::contents;

/// Allocations are aligned to this many bytes, so that all engines see the same alignment.
const ALIGNMENT: u64 = 128;
const DIM_BYTES: usize = 16;

/// Memory that a kernel runs in: of a wasm module, of another process, or of this one.
pub trait Space {
    /// Why memory cannot be had or reached.
    type Error;

    /// Bytes of a pointer: 8 for native code on 64-bit machines, else 4.
    fn pointer_bytes(&self) -> u32;

    /// Allocates `bytes` bytes for `what`, at any alignment.
    ///
    /// # Errors
    /// If there is no such memory.
    fn allocate(&mut self, bytes: u64, what: &str) -> Result<u64, Self::Error>;

    /// Writes `bytes` to an allocation.
    ///
    /// # Errors
    /// If the memory cannot be reached.
    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), Self::Error>;

    /// Reads `len` bytes of an allocation.
    ///
    /// # Errors
    /// If the memory cannot be reached.
    fn read(&mut self, address: u64, len: u64) -> Result<Vec<u8>, Self::Error>;
}

/// Where one size's arguments lie.
#[derive(Debug)]
pub struct Layout {
    arguments: u64,
    placed: Vec<Placed>,
}

#[derive(Debug)]
struct Placed {
    /// Its place among the arguments.
    index: usize,
    host: u64,
    buffer: Buffer,
    /// The `halide_buffer_t` and where it lies: a kernel may write its fields.
    header: (u64, Vec<u8>),
}

impl Layout {
    /// Allocates every argument of `size` and the array of pointers to them, and writes what no call
    /// changes.
    ///
    /// # Errors
    /// The space's.
    pub fn new<S: Space>(space: &mut S, size: &Size) -> Result<Layout, S::Error> {
        let width = space.pointer_bytes() as usize;
        let mut placed = Vec::new();
        let mut pointers = Vec::with_capacity(size.args.len() * width);
        for (index, argument) in size.args.iter().enumerate() {
            let pointer = match argument {
                Argument::Scalar { name, value } => {
                    let slot = aligned(space, 8, name)?;
                    space.write(slot, &value.to_bytes())?;
                    slot
                }
                Argument::Buffer(buffer) => {
                    let host = aligned(space, buffer.bytes(), &buffer.name)?;
                    let bytes = header_bytes(width) + buffer.dims.len() * DIM_BYTES;
                    let header = aligned(space, bytes as u64, &buffer.name)?;
                    let bytes = header_of(buffer, width, host, header);
                    let buffer = buffer.clone();
                    placed.push(Placed { index, host, buffer, header: (header, bytes) });
                    header
                }
            };
            pointers.extend_from_slice(&pointer.to_le_bytes()[..width]);
        }
        let arguments = aligned(space, pointers.len() as u64, "the argument list")?;
        space.write(arguments, &pointers)?;
        Ok(Layout { arguments, placed })
    }

    /// The address of the array of pointers, which a kernel's `_argv` function takes.
    pub fn arguments(&self) -> u64 {
        self.arguments
    }

    /// Fills the inputs, poisons the outputs and writes every buffer's header.
    ///
    /// # Errors
    /// The space's.
    pub fn prepare<S: Space>(&self, space: &mut S) -> Result<(), S::Error> {
        self.placed.iter().try_for_each(|Placed { index, host, buffer, header }| {
            space.write(*host, &contents(buffer, *index))?;
            space.write(header.0, &header.1)
        })
    }

    /// What the outputs hold now, in the order of the arguments.
    ///
    /// # Errors
    /// The space's.
    pub fn outputs<S: Space>(&self, space: &mut S) -> Result<Vec<Output>, S::Error> {
        let outputs = self.placed.iter().filter(|placed| placed.buffer.role == Role::Output);
        outputs
            .map(|Placed { host, buffer, .. }| {
                let bytes = space.read(*host, buffer.bytes())?;
                Ok(Output { buffer: buffer.clone(), bytes })
            })
            .collect()
    }
}

/// `bytes` bytes, aligned to [`ALIGNMENT`].
fn aligned<S: Space>(space: &mut S, bytes: u64, what: &str) -> Result<u64, S::Error> {
    Ok(space.allocate(bytes + ALIGNMENT, what)?.next_multiple_of(ALIGNMENT))
}

/// Bytes of a `halide_buffer_t`: two 64-bit fields, 12 bytes, and four pointers.
fn header_bytes(pointer: usize) -> usize {
    (16 + 8 + 4 * pointer).next_multiple_of(8)
}

/// `halide_buffer_t` at `address`, followed by its dimensions. Source: `HalideRuntime.h`.
fn header_of(buffer: &Buffer, width: usize, host: u64, address: u64) -> Vec<u8> {
    let (code, bits) = buffer.ty.halide_code_and_bits();
    let dims = address + header_bytes(width) as u64;
    let mut bytes = Vec::new();
    let pointer = |value: u64| value.to_le_bytes().into_iter().take(width);
    bytes.extend([0; 8]); // device
    bytes.extend(pointer(0)); // device_interface
    bytes.extend(pointer(host));
    bytes.extend([0; 8]); // flags
    bytes.extend([code, bits]);
    bytes.extend(1u16.to_le_bytes()); // lanes
    bytes.extend((buffer.dims.len() as i32).to_le_bytes());
    bytes.extend(pointer(dims));
    bytes.extend(pointer(0)); // padding
    bytes.resize(header_bytes(width), 0);
    for dim in &buffer.dims {
        for field in [dim.min, dim.extent, dim.stride, 0] {
            bytes.extend_from_slice(&field.to_le_bytes());
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::descriptor::{Contents, Dim};
    use crate::fill::POISON;
    use crate::scalar::ElementType;

    /// Memory that only grows.
    struct Heap {
        width: u32,
        bytes: Vec<u8>,
    }

    impl Space for Heap {
        type Error = String;

        fn pointer_bytes(&self) -> u32 {
            self.width
        }

        fn allocate(&mut self, bytes: u64, _: &str) -> Result<u64, String> {
            let address = self.bytes.len();
            self.bytes.resize(address + bytes as usize, 0);
            Ok(address as u64)
        }

        fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), String> {
            self.bytes[address as usize..][..bytes.len()].copy_from_slice(bytes);
            Ok(())
        }

        fn read(&mut self, address: u64, len: u64) -> Result<Vec<u8>, String> {
            Ok(self.bytes[address as usize..][..len as usize].to_vec())
        }
    }

    fn pointer(heap: &mut Heap, at: u64) -> u64 {
        let mut bytes = [0; 8];
        let width = heap.width as usize;
        bytes[..width].copy_from_slice(&heap.read(at, width as u64).unwrap());
        u64::from_le_bytes(bytes)
    }

    #[test]
    fn headers_are_halides_on_32_and_64_bits() {
        let output = Buffer {
            name: "out".into(),
            role: Role::Output,
            ty: ElementType::U16,
            dims: vec![Dim { min: 5, extent: 3, stride: 1 }],
            contents: Contents::Poison,
        };
        let value = ElementType::U8.parse(&9.into()).unwrap();
        let scalar = Argument::Scalar { name: "gain".into(), value };
        let size = Size { args: vec![scalar, Argument::Buffer(output)], out_elems: 3 };
        // Offsets of host, type, dimensions and dim in `halide_buffer_t`.
        for (width, [host, ty, dimensions, dim]) in [(4, [12, 24, 28, 32]), (8, [16, 32, 36, 40])] {
            let mut heap = Heap { width, bytes: vec![0; 64] };
            let layout = Layout::new(&mut heap, &size).unwrap();
            layout.prepare(&mut heap).unwrap();
            assert_eq!(layout.outputs(&mut heap).unwrap()[0].bytes, [POISON; 6]);

            let list = layout.arguments();
            let [gain, header] = [0, 1].map(|at| pointer(&mut heap, list + at * u64::from(width)));
            assert_eq!(heap.read(gain, 1).unwrap(), [9]);
            assert_eq!(heap.read(header + ty, 4).unwrap(), [1, 16, 1, 0]);
            assert_eq!(heap.read(header + dimensions, 4).unwrap(), [1, 0, 0, 0]);
            let dims = pointer(&mut heap, header + dim);
            assert_eq!(dims, header + if width == 4 { 40 } else { 56 });
            let words: Vec<u8> =
                [5u32, 3, 1, 0].iter().flat_map(|word| word.to_le_bytes()).collect();
            assert_eq!(heap.read(dims, 16).unwrap(), words);
            let first = pointer(&mut heap, header + host);
            assert!(first.is_multiple_of(ALIGNMENT));
            assert_eq!(heap.read(first, 6).unwrap(), [POISON; 6]);
        }
    }
}
