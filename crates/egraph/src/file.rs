//! E-graphs as bytes: the format that docs/egraph-format.md describes.
//!
//! Invariant: what [`load`] gives is congruence-closed and well typed, whatever the bytes were; what [`save`] writes is
//! the same for graphs that differ in the order of their unions only.

use crate::graph::{ClassParts, EGraph};
use egraft_ir::{Annotations, ClassId, Facts, KnownBits, Node, Op, SignCopies, Ty};
use egraft_rules::{FactSource, MatchGraph, build};
use rustc_hash::FxHashMap;
use thiserror::Error;

/// The first bytes of a file.
pub const MAGIC: [u8; 8] = *b"EGRAFTEG";
/// The version that is written, and the only one that is read.
pub const VERSION: u32 = 2;

const HEADER: usize = 64;
const CONSTANT: usize = 16;
const CLASS: usize = 32;
const NODE: usize = 16;
const WORD: usize = 4;

/// What is wrong with the bytes of an e-graph.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum FileError {
    /// It does not begin with [`MAGIC`].
    #[error("it is no e-graph: it does not begin with EGRAFTEG")]
    Magic,
    /// Another version.
    #[error("it has version {found} of the format, this program reads {VERSION}; save it anew")]
    Version {
        /// The version found.
        found: u32,
    },
    /// The counts in the header ask for more or fewer bytes.
    #[error("it has {found} bytes where its header asks for {wanted}")]
    Length {
        /// Bytes there are.
        found: usize,
        /// Bytes there should be.
        wanted: u128,
    },
    /// The checksum is another.
    #[error("its bytes were changed: the checksum is {found:#018x}, the header has {wanted:#018x}")]
    Checksum {
        /// That of the bytes.
        found: u64,
        /// That in the header.
        wanted: u64,
    },
    /// A class, a node or a root makes no sense.
    #[error("{what} {number} (at byte {offset}): {problem}")]
    Entry {
        /// What it is.
        what: &'static str,
        /// Its number.
        number: usize,
        /// Where it begins.
        offset: usize,
        /// What is wrong.
        problem: String,
    },
}

/// What a file has.
#[derive(Debug)]
pub struct Saved {
    /// The graph.
    pub graph: EGraph,
    /// The classes that matter.
    pub roots: Vec<ClassId>,
    /// The digest of the rules that it was rewritten with, as the writer gave it.
    pub rules: u64,
}

/// A checksum: FNV-1a of 64 bits.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// Numbers that were met, in the order in which they were.
#[derive(Default)]
struct Constants {
    all: Vec<u128>,
    places: FxHashMap<u128, u32>,
}

impl Constants {
    fn place(&mut self, value: u128) -> u32 {
        *self.places.entry(value).or_insert_with(|| {
            self.all.push(value);
            self.all.len() as u32 - 1
        })
    }
}

/// The bytes of a graph.
///
/// The graph is rebuilt and canonical; `rules` says with which rules it was rewritten.
pub fn save(graph: &EGraph, roots: &[ClassId], rules: u64) -> Vec<u8> {
    let number: FxHashMap<ClassId, u32> = graph.classes().zip(0..).collect();
    let mut constants = Constants::default();
    let (mut classes, mut nodes, mut immediates) = (Vec::new(), Vec::new(), Vec::new());
    for class in graph.classes() {
        let mut of_class = graph.nodes(class).to_vec();
        of_class.sort_unstable();
        let Facts { bits, copies, annotations } = graph.facts(class);
        classes.extend([
            immediates.len() as u32,
            of_class.len() as u32,
            graph.class_type(class) as u32,
            constants.place(bits.zeros),
            constants.place(bits.ones),
            constants.place(copies.0),
            constants.place(annotations.to_bits()),
            0,
        ]);
        for node in of_class {
            nodes.push(node.op as u32 | (node.ty as u32) << 8 | (node.from as u32) << 16);
            nodes.extend(node.args.map(|arg| match arg {
                ClassId::NONE => u32::MAX,
                arg => number[&graph.find(arg)],
            }));
            immediates.push(constants.place(node.imm));
        }
    }
    let roots: Vec<u32> = roots.iter().map(|root| number[&graph.find(*root)]).collect();
    let mut body: Vec<u8> =
        constants.all.iter().flat_map(|constant| constant.to_le_bytes()).collect();
    for words in [&classes, &nodes, &immediates, &roots] {
        body.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    }
    let counts = [constants.all.len(), classes.len() / 8, immediates.len(), roots.len()];
    let mut bytes = Vec::with_capacity(HEADER + body.len());
    bytes.extend(MAGIC);
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend((HEADER as u32).to_le_bytes());
    bytes.extend(checksum(&body).to_le_bytes());
    bytes.extend(rules.to_le_bytes());
    bytes.extend(counts.into_iter().flat_map(|count| (count as u32).to_le_bytes()));
    bytes.resize(HEADER, 0);
    bytes.extend(body);
    bytes
}

/// Bytes that were measured against the header.
struct Reader<'a> {
    bytes: &'a [u8],
    constants: Vec<u128>,
    /// Where classes, nodes, immediates and roots begin, and how many there are.
    classes: (usize, usize),
    nodes: (usize, usize),
    immediates: usize,
    roots: (usize, usize),
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(std::array::from_fn(|byte| bytes[at + byte]))
}

fn long(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(std::array::from_fn(|byte| bytes[at + byte]))
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8]) -> Result<Reader<'a>, FileError> {
        if !bytes.starts_with(&MAGIC) {
            return Err(FileError::Magic);
        }
        if bytes.len() < HEADER {
            return Err(FileError::Length { found: bytes.len(), wanted: HEADER as u128 });
        }
        let found = word(bytes, 8);
        if found != VERSION || word(bytes, 12) as usize != HEADER {
            return Err(FileError::Version { found });
        }
        let counts = [32, 36, 40, 44].map(|at| word(bytes, at) as usize);
        let sizes = [CONSTANT, CLASS, NODE, WORD, WORD];
        let [constants, classes, nodes, roots] = counts;
        let counts = [constants, classes, nodes, nodes, roots];
        let wanted = counts.iter().zip(sizes).map(|(count, size)| *count as u128 * size as u128);
        let wanted = HEADER as u128 + wanted.sum::<u128>();
        if wanted != bytes.len() as u128 {
            return Err(FileError::Length { found: bytes.len(), wanted });
        }
        let (found, wanted) = (checksum(&bytes[HEADER..]), long(bytes, 16));
        if found != wanted {
            return Err(FileError::Checksum { found, wanted });
        }
        let mut starts = [HEADER; 5];
        for at in 1..5 {
            starts[at] = starts[at - 1] + counts[at - 1] * sizes[at - 1];
        }
        let constants = bytes[HEADER..starts[1]]
            .chunks_exact(CONSTANT)
            .map(|chunk| u128::from_le_bytes(std::array::from_fn(|byte| chunk[byte])))
            .collect();
        Ok(Reader {
            bytes,
            constants,
            classes: (starts[1], classes),
            nodes: (starts[2], nodes),
            immediates: starts[3],
            roots: (starts[4], roots),
        })
    }

    fn constant(&self, place: u32) -> Result<u128, String> {
        let found = self.constants.get(place as usize).copied();
        found.ok_or_else(|| format!("constant {place} of {}", self.constants.len()))
    }

    fn ty(&self, number: u32) -> Result<Ty, String> {
        Ty::ALL.get(number as usize).copied().ok_or_else(|| format!("type {number}"))
    }

    /// A class without its nodes: the first of these, how many, its type and facts.
    fn class(&self, number: usize, next: usize) -> Result<(usize, Ty, Facts), String> {
        let at = self.classes.0 + number * CLASS;
        let words: [u32; 8] = std::array::from_fn(|place| word(self.bytes, at + WORD * place));
        let [first, count, ty, zeros, ones, copies, annotations, _] = words;
        let ty = self.ty(ty)?;
        let bits = KnownBits { zeros: self.constant(zeros)?, ones: self.constant(ones)? };
        let copies = SignCopies(self.constant(copies)?);
        let annotations = Annotations::from_bits(self.constant(annotations)?);
        let annotations = annotations.ok_or("its annotations are not closed under implication")?;
        if first as usize != next || count == 0 || count as usize > self.nodes.1 - next {
            return Err(format!("nodes from {first} on, {count} of them, where {next} is due"));
        }
        if ty.value() != ty {
            return Err(format!("{ty} is no type of a value"));
        }
        if bits.zeros & bits.ones != 0 || bits.ones & !ty.mask() != 0 {
            return Err("what is known of its bits contradicts itself or its type".to_owned());
        }
        Ok((count as usize, ty, Facts { bits, copies, annotations }))
    }

    /// A node whose operands are numbers of classes.
    fn node(&self, number: usize) -> Result<Node, String> {
        let at = self.nodes.0 + number * NODE;
        let head = word(self.bytes, at);
        let op = *Op::ALL.get(head as usize & 0xff).ok_or_else(|| format!("op {}", head & 0xff))?;
        let (ty, from) = (self.ty(head >> 8 & 0xff)?, self.ty(head >> 16)?);
        let args = [1, 2, 3].map(|place| ClassId(word(self.bytes, at + WORD * place)));
        let imm = self.constant(word(self.bytes, self.immediates + WORD * number))?;
        let node = Node { op, ty, from, imm, args };
        let used = node.args().len();
        if let Some(arg) = node.args().iter().find(|arg| arg.index() >= self.classes.1) {
            return Err(format!("operand {arg} of {} classes", self.classes.1));
        }
        if args[used..].iter().any(|arg| *arg != ClassId::NONE) {
            return Err("an operand behind one that is missing".to_owned());
        }
        Ok(node)
    }
}

/// Reads a graph.
///
/// # Errors
/// [`FileError`] if the bytes are no graph: every count, number and type is checked, and that equal nodes are in one class.
pub fn load(bytes: &[u8]) -> Result<Saved, FileError> {
    let reader = Reader::new(bytes)?;
    let entry = |what, number: usize, offset| {
        move |problem| FileError::Entry { what, number, offset, problem }
    };
    let mut classes = Vec::with_capacity(reader.classes.1);
    let mut next = 0;
    for number in 0..reader.classes.1 {
        let wrong = entry("class", number, reader.classes.0 + number * CLASS);
        let (count, ty, facts) = reader.class(number, next).map_err(wrong)?;
        let nodes: Result<Vec<Node>, FileError> = (next..next + count)
            .map(|node| {
                reader.node(node).map_err(entry("node", node, reader.nodes.0 + node * NODE))
            })
            .collect();
        next += count;
        classes.push(ClassParts { nodes: nodes?, facts, ty });
    }
    let node_at = |number: usize| entry("node", number, reader.nodes.0 + number * NODE);
    if next != reader.nodes.1 {
        return Err(node_at(next)("it is in no class".to_owned()));
    }
    let mut seen: FxHashMap<Node, usize> = FxHashMap::default();
    let mut number = 0;
    for class in &classes {
        for node in &class.nodes {
            let operand = |at: usize| classes[node.args[at].index()].ty;
            if !build::is_well_formed(node, operand) || node.result_type().value() != class.ty {
                let problem = format!("{node} does not fit its operands or its class");
                return Err(node_at(number)(problem));
            }
            let sorted = !node.op.is_commutative() || node.args[0] <= node.args[1];
            if let (Some(other), _) | (_, Some(other)) =
                (seen.insert(*node, number), (!sorted).then_some(number))
            {
                let problem = match sorted {
                    true => format!("{node} is node {other} too"),
                    false => format!("the operands of {node} are not in order"),
                };
                return Err(node_at(number)(problem));
            }
            number += 1;
        }
    }
    let mut roots = Vec::with_capacity(reader.roots.1);
    for number in 0..reader.roots.1 {
        let offset = reader.roots.0 + WORD * number;
        let class = word(bytes, offset) as usize;
        if class >= classes.len() {
            let problem = format!("class {class} of {}", classes.len());
            return Err(entry("root", number, offset)(problem));
        }
        roots.push(class);
    }
    let (graph, ids) = EGraph::from_parts(classes);
    let roots = roots.into_iter().map(|class| ids[class]).collect();
    Ok(Saved { graph, roots, rules: long(bytes, 24) })
}
