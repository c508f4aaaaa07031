//! CLIF for filetests: text that does not change when numbering does, and loops around functions
//! that have none.

use cranelift_codegen::cursor::{Cursor, FuncCursor};
use cranelift_codegen::ir::{
    AbiParam, Block, Function, Inst, InstBuilder, InstructionData, Opcode, types,
};
use std::collections::{HashMap, HashSet};

/// The function's text without dead instructions, its values numbered in order of appearance.
pub(super) fn normal_text(func: &Function) -> String {
    let mut func = func.clone();
    func.dfg.resolve_all_aliases();
    remove_dead(&mut func);
    renumber(&func.display().to_string())
}

/// Runs the only block of a function without a loop in a loop, until a new last argument is 0. Rules
/// are tried only on functions with a loop.
pub(super) fn wrap_in_loop(func: &mut Function) -> Result<(), String> {
    let blocks: Vec<Block> = func.layout.blocks().collect();
    let [entry] = blocks.as_slice() else { return Ok(()) };
    let last = func.layout.last_inst(*entry).ok_or("an empty block")?;
    if func.dfg.insts[last].opcode() != Opcode::Return {
        return Err("a function without a loop ends with `return`".to_owned());
    }
    func.signature.params.push(AbiParam::new(types::I32));
    let again = func.dfg.append_block_param(*entry, types::I32);

    let body = func.dfg.make_block();
    let exit = func.dfg.make_block();
    func.layout.append_block(body);
    func.layout.append_block(exit);
    let insts: Vec<Inst> = func.layout.block_insts(*entry).collect();
    for inst in insts {
        func.layout.remove_inst(inst);
        func.layout.append_inst(inst, if inst == last { exit } else { body });
    }
    let mut cursor = FuncCursor::new(func);
    cursor.goto_bottom(*entry);
    cursor.ins().jump(body, &[]);
    cursor.goto_bottom(body);
    cursor.ins().brif(again, body, &[], exit, &[]);
    Ok(())
}

/// Removes instructions that have no effect and whose results nothing reads.
fn remove_dead(func: &mut Function) {
    loop {
        let mut read = HashSet::new();
        for block in func.layout.blocks() {
            for inst in func.layout.block_insts(block) {
                read.extend(func.dfg.inst_values(inst));
            }
        }
        let dead: Vec<Inst> = func
            .layout
            .blocks()
            .flat_map(|block| func.layout.block_insts(block))
            .filter(|inst| {
                removable(&func.dfg.insts[*inst])
                    && !func.dfg.inst_results(*inst).iter().any(|result| read.contains(result))
            })
            .collect();
        if dead.is_empty() {
            return;
        }
        dead.into_iter().for_each(|inst| func.layout.remove_inst(inst));
    }
}

fn removable(data: &InstructionData) -> bool {
    let opcode = data.opcode();
    !(opcode.is_terminator()
        || opcode.is_branch()
        || opcode.is_call()
        || opcode.can_load()
        || opcode.can_store()
        || opcode.can_trap()
        || opcode.other_side_effects())
}

/// Renames `v12` and the like by their first appearance.
fn renumber(text: &str) -> String {
    let mut numbers = HashMap::new();
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut before = ' ';
    while let Some(first) = rest.chars().next() {
        let digits = rest[first.len_utf8()..].bytes().take_while(u8::is_ascii_digit).count();
        let starts_word = !before.is_alphanumeric() && before != '_' && before != '%';
        if first == 'v' && starts_word && digits > 0 {
            let next = numbers.len();
            let number = *numbers.entry(&rest[..=digits]).or_insert(next);
            out += &format!("v{number}");
            rest = &rest[1 + digits..];
            before = '0';
        } else {
            out.push(first);
            rest = &rest[first.len_utf8()..];
            before = first;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dead_code_goes_and_numbers_follow_the_text() {
        let text = "function %v7(i32) -> i32 {
block0(v9: i32):
    v3 = iadd v9, v9
    v4 = imul v3, v3
    v8 = isub v9, v9
    return v8
}
";
        let func = &cranelift_reader::parse_functions(text).unwrap()[0];
        let expected = "function %v7(i32) -> i32 fast {
block0(v0: i32):
    v1 = isub v0, v0
    return v1
}
";
        assert_eq!(normal_text(func), expected);
    }

    #[test]
    fn a_straight_function_gets_a_loop() {
        let text =
            "function %f(i32) -> i32 {\nblock0(v0: i32):\n    v1 = iadd v0, v0\n    return v1\n}\n";
        let mut func = cranelift_reader::parse_functions(text).unwrap().remove(0);
        wrap_in_loop(&mut func).unwrap();
        let flags = cranelift_codegen::settings::Flags::new(cranelift_codegen::settings::builder());
        cranelift_codegen::verify_function(&func, &flags).unwrap();
        assert_eq!(func.layout.blocks().count(), 3);
    }
}
