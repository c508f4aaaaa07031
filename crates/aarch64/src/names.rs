//! Names behind a fast loop for the pointers that it moves.
//!
//! A pointer after the last turn is the one before plus a constant, which Cranelift would fold into addresses behind the
//! loop: then both are needed there, and each turn ends with a move. A parameter of the block behind hides the sum.

use cranelift_codegen::cursor::{Cursor, FuncCursor};
use cranelift_codegen::ir::{Block, Function, InstructionData, Opcode, Value};
use rustc_hash::FxHashMap;

/// Lets blocks behind the loop `fast`, which is one block, read what it moves under names of its own.
pub(crate) fn rename_behind(func: &mut Function, fast: Block) {
    let Some(last) = func.layout.last_inst(fast) else { return };
    let InstructionData::Brif { blocks, .. } = func.dfg.insts[last] else { return };
    let lists = &func.dfg.value_lists;
    let Some(after) = blocks.iter().map(|call| call.block(lists)).find(|to| *to != fast) else {
        return;
    };
    let is_sum = |value: &Value| {
        let inst = func.dfg.value_def(*value).inst();
        inst.is_some_and(|inst| {
            func.dfg.insts[inst].opcode() == Opcode::Iadd
                && func.layout.inst_block(inst) == Some(fast)
        })
    };
    let back = blocks.iter().filter(|call| call.block(lists) == fast);
    let args = back.flat_map(|call| call.args(lists)).filter_map(|arg| arg.as_value());
    let moved: Vec<Value> =
        args.map(|value| func.dfg.resolve_aliases(value)).filter(is_sum).collect();
    let mut names: FxHashMap<Value, Value> = FxHashMap::default();
    let mut cursor = FuncCursor::new(func);
    while let Some(block) = cursor.next_block() {
        while let Some(inst) = cursor.next_inst() {
            if block == fast {
                continue;
            }
            let read: Vec<Value> = cursor.func.dfg.inst_values(inst).collect();
            for value in read {
                let value = cursor.func.dfg.resolve_aliases(value);
                if moved.contains(&value) && !names.contains_key(&value) {
                    let ty = cursor.func.dfg.value_type(value);
                    names.insert(value, cursor.func.dfg.append_block_param(after, ty));
                }
            }
            cursor.func.dfg.map_inst_values(inst, |value| *names.get(&value).unwrap_or(&value));
        }
    }
    // In the order of the parameters.
    let mut names: Vec<(Value, Value)> = names.into_iter().collect();
    names.sort_by_key(|(_, name)| *name);
    let dfg = &mut func.stencil.dfg;
    let InstructionData::Brif { mut blocks, arg, opcode } = dfg.insts[last] else { return };
    for call in &mut blocks {
        if call.block(&dfg.value_lists) == after {
            for (value, _) in &names {
                call.append_argument(*value, &mut dfg.value_lists);
            }
        }
    }
    dfg.insts[last] = InstructionData::Brif { opcode, arg, blocks };
}
