//! The text of one wasm function, by offset in its module. Only reads; what cannot be printed has no
//! text.

use std::ops::RangeInclusive;

/// One instruction.
pub(super) struct WasmInst {
    /// Where it lies in the binary module.
    pub(super) offset: u32,
    pub(super) text: String,
}

/// A wasm function as text.
#[derive(Default)]
pub(super) struct WasmFunction {
    /// In the order of their offsets.
    pub(super) insts: Vec<WasmInst>,
    /// From `loop` to its `end`, by start.
    pub(super) loops: Vec<RangeInclusive<u32>>,
}

impl WasmFunction {
    /// The function of this index in a binary module; empty if the module cannot be printed.
    pub(super) fn read(wasm: &[u8], index: u32) -> WasmFunction {
        let mut text = String::new();
        let config = wasmprinter::Config::new();
        let Ok(lines) = config.offsets_and_lines(wasm, &mut text) else {
            return WasmFunction::default();
        };
        let mark = format!("(;{index};)");
        let mut lines = lines
            .map(|(offset, line)| (offset, line.trim()))
            .skip_while(|(_, line)| !(line.starts_with("(func ") && line.contains(&mark)));
        lines.next();
        let mut function = WasmFunction::default();
        for (offset, line) in lines {
            // Locals, types and the like are in parentheses, and so is what follows the function.
            if line.starts_with("(func") || line.starts_with("(table") || line.starts_with("(data")
            {
                break;
            }
            let (Some(offset), false) = (offset, line.starts_with('(')) else { continue };
            let text = line.trim_end_matches(')').to_owned();
            // Only a parenthesis of the instruction's own has a partner.
            let text = if text.contains('(') { line.to_owned() } else { text };
            if !text.is_empty() {
                function.insts.push(WasmInst { offset: offset as u32, text });
            }
        }
        function.find_loops();
        function
    }

    fn find_loops(&mut self) {
        let mut open: Vec<Option<u32>> = Vec::new();
        for inst in &self.insts {
            match inst.text.split_whitespace().next().unwrap_or_default() {
                "loop" => open.push(Some(inst.offset)),
                "block" | "if" | "try_table" => open.push(None),
                "end" => {
                    if let Some(Some(start)) = open.pop() {
                        self.loops.push(start..=inst.offset);
                    }
                }
                _ => {}
            }
        }
        self.loops.sort_by_key(|range| *range.start());
    }

    /// The innermost loop that holds an offset, by position.
    pub(super) fn loop_of(&self, offset: u32) -> Option<usize> {
        self.loops.iter().rposition(|range| range.contains(&offset))
    }

    /// Whether loop `outer` holds loop `inner` and is another.
    pub(super) fn holds(&self, outer: usize, inner: usize) -> bool {
        outer != inner && self.loops[outer].contains(self.loops[inner].start())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_have_their_offsets_and_loops_their_ends() {
        let wat = r#"(module
            (func (export "first") (param i32) (result i32) local.get 0)
            (func $second (param i32) (local i32)
                (loop $a (block $b (loop $c (br_if $c (local.get 0))))
                    (br_if $a (local.get 1)))))"#;
        let wasm = wat::parse_str(wat).unwrap();
        let function = WasmFunction::read(&wasm, 1);
        let texts: Vec<&str> = function.insts.iter().map(|inst| inst.text.as_str()).collect();
        assert!(texts[0].starts_with("loop"), "{texts:?}");
        assert_eq!(texts.iter().filter(|text| text.starts_with("end")).count(), 3, "{texts:?}");
        assert_eq!(function.loops.len(), 2);
        let inner = texts.iter().position(|text| text.starts_with("br_if")).unwrap();
        assert_eq!(function.loop_of(function.insts[inner].offset), Some(1));
        assert!(function.holds(0, 1) && !function.holds(1, 0));
        for inst in &function.insts {
            assert_eq!(wasm[inst.offset as usize] == 0x03, inst.text.starts_with("loop"));
        }
        assert_eq!(WasmFunction::read(&wasm, 0).insts.len(), 1);
        assert!(WasmFunction::read(&wasm, 7).insts.is_empty());
        assert!(WasmFunction::read(b"\0asm", 0).insts.is_empty());
    }
}
