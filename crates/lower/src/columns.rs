//! Columns of several vectors, as transposes take them: wasm has shuffles of two vectors, so LLVM puts a
//! vector together from lanes of four, eight or sixteen others one lane at a time.
//!
//! All columns of one block of rows are made by one network of interleavings, as many for each column as
//! there are stages: pairs of lanes of two rows, pairs of these pairs, and so on. Neighbouring columns
//! share all but the last of them.

use cranelift_codegen::cursor::{Cursor, FuncCursor};
use cranelift_codegen::ir::{
    Block, ConstantData, Function, Inst, InstBuilder, InstructionData, Value,
};
use rustc_hash::{FxHashMap, FxHashSet};

/// Where a byte of a vector comes from: a vector that is no shuffle, and a byte of it.
type Byte = (Value, u8);

/// Fewest rows of which a column is taken in stages.
const LEAST_ROWS: usize = 4;

/// Makes columns by interleaving, where `func` takes several of the same rows lane by lane.
pub fn interleave_columns(func: &mut Function) {
    let mut read = None;
    let blocks: Vec<Block> = func.layout.blocks().collect();
    for block in blocks {
        let shuffles: Vec<Inst> =
            func.layout.block_insts(block).filter(|inst| is_shuffle(func, *inst)).collect();
        if shuffles.len() < LEAST_ROWS - 1 {
            continue;
        }
        let read = read.get_or_insert_with(|| read_by_others(func));
        let mut sources = Sources::default();
        let mut columns = Vec::new();
        for inst in shuffles {
            let bytes = sources.add(func, inst);
            if read.contains(&func.dfg.first_result(inst))
                && let Some(column) = Column::of(&bytes)
            {
                columns.push((inst, column));
            }
        }
        let mut counts: FxHashMap<Vec<Value>, usize> = FxHashMap::default();
        for (_, column) in &columns {
            *counts.entry(column.rows.clone()).or_default() += 1;
        }
        let mut network = Network::default();
        for (root, column) in columns {
            if counts[&column.rows] > 1 {
                let made = network.column(func, root, column);
                let value = func.dfg.first_result(root);
                func.dfg.clear_results(root);
                func.dfg.change_to_alias(value, made);
                func.layout.remove_inst(root);
            }
        }
    }
}

fn is_shuffle(func: &Function, inst: Inst) -> bool {
    matches!(func.dfg.insts[inst], InstructionData::Shuffle { .. })
}

/// Values that others than shuffles read.
fn read_by_others(func: &Function) -> FxHashSet<Value> {
    let insts = func.layout.blocks().flat_map(|block| func.layout.block_insts(block));
    let others = insts.filter(|inst| !is_shuffle(func, *inst));
    let read = others.flat_map(|inst| func.dfg.inst_values(inst));
    read.map(|value| func.dfg.resolve_aliases(value)).collect()
}

/// Where the bytes of a block's shuffles come from, those before that it reads looked through.
#[derive(Default)]
struct Sources {
    of: FxHashMap<Value, [Byte; 16]>,
}

impl Sources {
    fn add(&mut self, func: &Function, inst: Inst) -> [Byte; 16] {
        let value = func.dfg.first_result(inst);
        let mut bytes = own_bytes(value);
        if let InstructionData::Shuffle { args, imm, .. } = func.dfg.insts[inst]
            && let Some(mask) = func.dfg.immediates.get(imm)
        {
            let sources = args.map(|arg| {
                let arg = func.dfg.resolve_aliases(arg);
                self.of.get(&arg).copied().unwrap_or_else(|| own_bytes(arg))
            });
            for (byte, &from) in bytes.iter_mut().zip(mask.as_slice()) {
                let from = usize::from(from) % 32;
                *byte = sources[from / 16][from % 16];
            }
        }
        self.of.insert(value, bytes);
        bytes
    }
}

fn own_bytes(value: Value) -> [Byte; 16] {
    std::array::from_fn(|at| (value, at as u8))
}

/// Lane `lane`, of `16 / rows` bytes, of each row.
struct Column {
    rows: Vec<Value>,
    lane: usize,
}

impl Column {
    fn of(bytes: &[Byte; 16]) -> Option<Column> {
        [4, 8, 16].into_iter().find_map(|count| {
            let width = 16 / count;
            let lane = usize::from(bytes[0].1) / width;
            let is_lane = |lanes: &[Byte]| {
                let all = lanes.iter().enumerate();
                let mut all = all
                    .map(|(at, byte)| byte.0 == lanes[0].0 && byte.1 as usize == lane * width + at);
                all.all(|is| is)
            };
            let rows: Vec<Value> = bytes.chunks(width).map(|lanes| lanes[0].0).collect();
            let different: FxHashSet<&Value> = rows.iter().collect();
            let fits = different.len() == count && bytes.chunks(width).all(is_lane);
            fits.then_some(Column { rows, lane })
        })
    }
}

/// The interleavings that a block has so far.
#[derive(Default)]
struct Network {
    made: FxHashMap<(Value, Value, [u8; 16]), Value>,
}

impl Network {
    /// Makes a column before `root`.
    fn column(&mut self, func: &mut Function, root: Inst, column: Column) -> Value {
        let Column { mut rows, mut lane } = column;
        while rows.len() > 1 {
            let (width, lanes) = (16 / rows.len(), rows.len());
            let upper = lane >= lanes / 2;
            lane %= lanes / 2;
            let mask = interleaving(width, upper);
            let pairs = rows.chunks(2);
            rows = pairs.map(|pair| self.shuffle(func, root, pair[0], pair[1], mask)).collect();
        }
        rows[0]
    }

    fn shuffle(
        &mut self,
        func: &mut Function,
        root: Inst,
        one: Value,
        other: Value,
        mask: [u8; 16],
    ) -> Value {
        *self.made.entry((one, other, mask)).or_insert_with(|| {
            let imm = func.dfg.immediates.push(ConstantData::from(&mask[..]));
            let place = func.srcloc(root);
            let mut cursor = FuncCursor::new(func).at_inst(root).with_srcloc(place);
            cursor.ins().shuffle(one, other, imm)
        })
    }
}

/// Lanes of `width` bytes of the lower or upper halves of two vectors, in turns.
fn interleaving(width: usize, upper: bool) -> [u8; 16] {
    std::array::from_fn(|at| {
        let (lane, within) = (at / width, at % width);
        let vector = lane % 2 * 16;
        (vector + usize::from(upper) * 8 + lane / 2 * width + within) as u8
    })
}
