//! Reads from a wasm binary what selective capture must know, and makes reduced modules of it.
//! Does not validate: a binary it cannot follow has no scan, and Wasmtime judges it.
//!
//! A reduced module keeps types, imports, globals, memories, tables and the wanted bodies byte for
//! byte, and exports of all but functions, which the translation of a body sees in its memories. Every
//! other body becomes one trap. Exports of functions, the start function and table contents go. None
//! of these is seen by the translation of a body, except of one that names functions or element
//! segments, which are gone, or passive segments, which lie behind the functions that the host can
//! enter in Wasmtime's `VMContext`: such bodies are marked.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use wasmparser::{CompositeInnerType, ElementItems, ExternalKind, Operator, Parser, Payload};
use wasmparser::{ConstExpr, ElementKind, FunctionBody, TableInit, TypeRef};

const TYPES: u8 = 1;
const FUNCTIONS: u8 = 3;
const EXPORTS: u8 = 7;
const START: u8 = 8;
const ELEMENTS: u8 = 9;
const CODE: u8 = 10;
const DATA_COUNT: u8 = 12;
/// The first byte of every SIMD operator, relaxed ones too.
const SIMD_PREFIX: u8 = 0xfd;
/// `[] -> []`.
const NULLARY_TYPE: &[u8] = &[0x60, 0, 0];
/// No locals, `unreachable`, `end`.
const TRAP_BODY: &[u8] = &[0x00, 0x00, 0x0b];

/// What one wasm body holds, counted without compiling it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BodySummary {
    /// Its index in the module's function index space.
    pub index: u32,
    /// Its name in the name section.
    pub name: Option<String>,
    /// Bytes of the body, locals included.
    pub bytes: usize,
    /// Operators, `end`s included.
    pub operators: usize,
    /// SIMD operators.
    pub vector_operators: usize,
    /// `loop` operators, whether or not anything branches back.
    pub loops: usize,
    /// Loops that are the innermost around some SIMD operator.
    pub vector_loops: usize,
    /// Whether a reduced module changes its translation, or does not validate with it.
    pub(crate) needs_whole: bool,
}

/// The parts of a module.
pub(crate) struct Scan {
    /// Id and content of each section, in order.
    sections: Vec<(u8, Range<usize>)>,
    /// How many types there are.
    types: u32,
    /// The type `[] -> []`.
    nullary: Option<u32>,
    /// How many functions are imported.
    imported: u32,
    /// The type of each defined function.
    signatures: Vec<u32>,
    /// Each export that is no function.
    exports: Vec<Range<usize>>,
    /// The content of each body.
    bodies: Vec<Range<usize>>,
    pub(crate) summaries: Vec<BodySummary>,
    /// Types of the functions that the host can enter.
    entered: BTreeSet<u32>,
    /// Exception handling or references to functions in initialisers: capture the whole module.
    pub(crate) whole: bool,
}

impl Scan {
    /// Reads `wasm`; `None` if it is not a module that can be followed.
    pub(crate) fn new(wasm: &[u8], names: &HashMap<u32, String>) -> Option<Scan> {
        let scan = read(wasm, names).ok()?;
        (scan.signatures.len() == scan.bodies.len()).then_some(scan)
    }

    /// The module with only the bodies of `wanted`, which are function indices.
    pub(crate) fn reduced(&self, wasm: &[u8], wanted: &BTreeSet<u32>) -> Vec<u8> {
        self.rebuild(wasm, wanted, &[])
    }

    /// The types of functions that the host can enter.
    pub(crate) fn entered(&self) -> Vec<u32> {
        let mut entered = self.entered.clone();
        // Wasmtime's own start-up function has it.
        entered.insert(self.nullary());
        entered.into_iter().collect()
    }

    /// The type `[] -> []`, which made modules add if there is none.
    fn nullary(&self) -> u32 {
        self.nullary.unwrap_or(self.types)
    }

    /// The reduced module with groups appended, one for each type in `entered`: a function that the
    /// host can enter, then a copy of each of `wanted`. At last comes a function that the host
    /// cannot enter, and the copies once more.
    pub(crate) fn with_histories(
        &self,
        wasm: &[u8],
        wanted: &BTreeSet<u32>,
        entered: &[u32],
    ) -> Vec<u8> {
        self.rebuild(wasm, wanted, entered)
    }

    /// A module of the same types and no bodies but traps: for each type in `entered` a function
    /// that the host can enter, and one that it cannot; at last two more of these.
    pub(crate) fn canaries(&self, wasm: &[u8], entered: &[u32]) -> Vec<u8> {
        let mut out = wasm[..8].to_vec();
        let types = self.sections.iter().find(|(id, _)| *id == TYPES);
        let types = types.map_or(&[0][..], |(_, range)| &wasm[range.clone()]);
        section(&mut out, TYPES, &extended(types, 1, NULLARY_TYPE));
        let (mut functions, mut exports, mut code) = (Vec::new(), Vec::new(), Vec::new());
        for content in [&mut functions, &mut code] {
            number(content, 2 * (entered.len() as u32 + 1));
        }
        number(&mut exports, entered.len() as u32);
        for at in 0..entered.len() {
            export(&mut exports, &at.to_string(), 2 * at as u32);
        }
        for ty in entered.iter().chain([&self.types]) {
            for ty in [*ty, self.types] {
                number(&mut functions, ty);
                number(&mut code, TRAP_BODY.len() as u32);
                code.extend(TRAP_BODY);
            }
        }
        section(&mut out, FUNCTIONS, &functions);
        section(&mut out, EXPORTS, &exports);
        section(&mut out, CODE, &code);
        out
    }

    /// How many functions are imported; the index of the first defined one.
    pub(crate) fn first_defined(&self) -> u32 {
        self.imported
    }

    /// How many functions are defined.
    pub(crate) fn defined(&self) -> usize {
        self.bodies.len()
    }

    /// What is known of the body of a defined function.
    pub(crate) fn summary(&self, index: u32) -> &BodySummary {
        &self.summaries[(index - self.imported) as usize]
    }

    fn body<'a>(&self, wasm: &'a [u8], index: u32) -> &'a [u8] {
        &wasm[self.bodies[(index - self.imported) as usize].clone()]
    }

    fn rebuild(&self, wasm: &[u8], wanted: &BTreeSet<u32>, entered: &[u32]) -> Vec<u8> {
        let added = added_functions(entered, wanted);
        let mut out = wasm[..8].to_vec();
        let mut exported = false;
        for (id, range) in &self.sections {
            let content = &wasm[range.clone()];
            if matches!(*id, EXPORTS | START | ELEMENTS | DATA_COUNT | CODE) && !exported {
                section(&mut out, EXPORTS, &self.exports(wasm, entered, wanted));
                exported = true;
            }
            match *id {
                EXPORTS | START | ELEMENTS => {}
                TYPES if entered.contains(&self.types) => {
                    section(&mut out, TYPES, &extended(content, 1, NULLARY_TYPE));
                }
                FUNCTIONS if added > 0 => {
                    let mut types = Vec::new();
                    // The last type once more: the function that the host cannot enter.
                    for ty in entered.iter().chain(entered.last()) {
                        number(&mut types, *ty);
                        for index in wanted {
                            number(&mut types, self.signatures[(index - self.imported) as usize]);
                        }
                    }
                    section(&mut out, FUNCTIONS, &extended(content, added, &types));
                }
                CODE => section(&mut out, CODE, &self.code(wasm, wanted, entered)),
                id => section(&mut out, id, content),
            }
        }
        out
    }

    fn exports(&self, wasm: &[u8], entered: &[u32], wanted: &BTreeSet<u32>) -> Vec<u8> {
        let mut out = Vec::new();
        number(&mut out, (self.exports.len() + entered.len()) as u32);
        for range in &self.exports {
            out.extend(&wasm[range.clone()]);
        }
        // Longer than any other export, so different.
        let longest = self.exports.iter().map(|range| range.len()).max().unwrap_or(0);
        for at in 0..entered.len() {
            let before = self.bodies.len() + at * (1 + wanted.len());
            export(&mut out, &format!("{at:0>longest$}"), self.imported + before as u32);
        }
        out
    }

    fn code(&self, wasm: &[u8], wanted: &BTreeSet<u32>, entered: &[u32]) -> Vec<u8> {
        let mut out = Vec::new();
        number(&mut out, self.bodies.len() as u32 + added_functions(entered, wanted));
        let mut push = |body: &[u8]| {
            number(&mut out, body.len() as u32);
            out.extend(body);
        };
        for index in (self.imported..).take(self.bodies.len()) {
            push(if wanted.contains(&index) { self.body(wasm, index) } else { TRAP_BODY });
        }
        for _ in entered.iter().chain(entered.last()) {
            push(TRAP_BODY);
            for index in wanted {
                push(self.body(wasm, *index));
            }
        }
        out
    }
}

/// Appends the export of a function.
fn export(out: &mut Vec<u8>, name: &str, function: u32) {
    number(out, name.len() as u32);
    out.extend(name.as_bytes());
    out.push(0);
    number(out, function);
}

/// How many functions [`Scan::with_histories`] adds.
fn added_functions(entered: &[u32], wanted: &BTreeSet<u32>) -> u32 {
    if entered.is_empty() { 0 } else { ((entered.len() + 1) * (1 + wanted.len())) as u32 }
}

fn section(out: &mut Vec<u8>, id: u8, content: &[u8]) {
    out.push(id);
    number(out, content.len() as u32);
    out.extend(content);
}

/// A vector of a wasm binary with `count` more items, encoded in `items`.
fn extended(content: &[u8], count: u32, items: &[u8]) -> Vec<u8> {
    let mut at = 0;
    let mut before = 0u32;
    for byte in content {
        before |= u32::from(byte & 0x7f) << (7 * at).min(31);
        at += 1;
        if byte & 0x80 == 0 {
            break;
        }
    }
    let mut out = Vec::with_capacity(content.len() + items.len() + 5);
    number(&mut out, before + count);
    out.extend(&content[at..]);
    out.extend(items);
    out
}

/// Appends an unsigned LEB128 number.
fn number(out: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn read(wasm: &[u8], names: &HashMap<u32, String>) -> wasmparser::Result<Scan> {
    let mut scan = Scan {
        sections: Vec::new(),
        types: 0,
        nullary: None,
        imported: 0,
        signatures: Vec::new(),
        exports: Vec::new(),
        bodies: Vec::new(),
        summaries: Vec::new(),
        entered: BTreeSet::new(),
        whole: false,
    };
    // Types of imported and defined functions, in the function index space.
    let mut functions = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload?;
        if let Some(section) = payload.as_section() {
            // Bodies are listed one by one behind their section.
            if !matches!(payload, Payload::CodeSectionEntry(_)) {
                scan.sections.push(section);
            }
        }
        match payload {
            Payload::TypeSection(reader) => {
                for group in reader {
                    for ty in group?.types() {
                        if let CompositeInnerType::Func(ty) = &ty.composite_type.inner
                            && ty.params().is_empty()
                            && ty.results().is_empty()
                        {
                            scan.nullary.get_or_insert(scan.types);
                        }
                        scan.types += 1;
                    }
                }
            }
            Payload::ImportSection(reader) => {
                for import in reader.into_imports() {
                    match import?.ty {
                        TypeRef::Func(ty) => functions.push(ty),
                        TypeRef::FuncExact(_) | TypeRef::Tag(_) => scan.whole = true,
                        _ => {}
                    }
                }
                scan.imported = functions.len() as u32;
            }
            Payload::FunctionSection(reader) => {
                for ty in reader {
                    functions.push(ty?);
                }
                scan.signatures = functions[scan.imported as usize..].to_vec();
            }
            Payload::TableSection(reader) => {
                for table in reader {
                    if let TableInit::Expr(expr) = table?.init {
                        scan.whole |= !references(&expr)?.is_empty();
                    }
                }
            }
            Payload::TagSection(_) => scan.whole = true,
            Payload::GlobalSection(reader) => {
                for global in reader {
                    scan.whole |= !references(&global?.init_expr)?.is_empty();
                }
            }
            Payload::ExportSection(reader) => {
                let mut starts = Vec::new();
                for item in reader.clone().into_iter_with_offsets() {
                    starts.push(item?.0);
                }
                let ends = starts.iter().copied().skip(1).chain([reader.range().end]);
                for ((export, start), end) in reader.into_iter().zip(starts.clone()).zip(ends) {
                    let export = export?;
                    match export.kind {
                        ExternalKind::Func => {
                            scan.entered.extend(functions.get(export.index as usize));
                        }
                        ExternalKind::FuncExact | ExternalKind::Tag => scan.whole = true,
                        _ => scan.exports.push(start..end),
                    }
                }
            }
            Payload::ElementSection(reader) => {
                for element in reader {
                    let element = element?;
                    if let ElementKind::Active { offset_expr, .. } = &element.kind {
                        scan.whole |= !references(offset_expr)?.is_empty();
                    }
                    let indices = match element.items {
                        ElementItems::Functions(items) => {
                            items.into_iter().collect::<wasmparser::Result<Vec<_>>>()?
                        }
                        ElementItems::Expressions(_, items) => {
                            let mut indices = Vec::new();
                            for expr in items {
                                indices.extend(references(&expr?)?);
                            }
                            indices
                        }
                    };
                    let types = indices.iter().filter_map(|index| functions.get(*index as usize));
                    scan.entered.extend(types);
                }
            }
            Payload::CodeSectionEntry(body) => {
                let index = scan.imported + scan.bodies.len() as u32;
                let (summary, handles) = summarize(wasm, &body)?;
                scan.whole |= handles;
                scan.bodies.push(body.range());
                scan.summaries.push(BodySummary {
                    index,
                    name: names.get(&index).cloned(),
                    ..summary
                });
            }
            _ => {}
        }
    }
    Ok(scan)
}

/// The functions that an initialiser refers to.
fn references(expr: &ConstExpr<'_>) -> wasmparser::Result<Vec<u32>> {
    let mut indices = Vec::new();
    for operator in expr.get_operators_reader() {
        if let Operator::RefFunc { function_index } = operator? {
            indices.push(function_index);
        }
    }
    Ok(indices)
}

/// Counts, and whether the body handles exceptions.
fn summarize(wasm: &[u8], body: &FunctionBody<'_>) -> wasmparser::Result<(BodySummary, bool)> {
    let mut summary = BodySummary { bytes: body.range().len(), ..BodySummary::default() };
    let mut handles = false;
    // The open blocks; for a loop, whether it has a SIMD operator of its own.
    let mut open: Vec<Option<bool>> = Vec::new();
    let mut reader = body.get_operators_reader()?;
    while !reader.eof() {
        let (operator, offset) = reader.read_with_offset()?;
        summary.operators += 1;
        if wasm.get(offset) == Some(&SIMD_PREFIX) {
            summary.vector_operators += 1;
            if let Some(has) = open.iter_mut().rev().find_map(Option::as_mut)
                && !std::mem::replace(has, true)
            {
                summary.vector_loops += 1;
            }
        }
        match operator {
            Operator::Loop { .. } => {
                summary.loops += 1;
                open.push(Some(false));
            }
            Operator::Block { .. } | Operator::If { .. } => open.push(None),
            Operator::Try { .. } | Operator::TryTable { .. } => {
                handles = true;
                open.push(None);
            }
            Operator::End => {
                open.pop();
            }
            Operator::RefFunc { .. }
            | Operator::TableInit { .. }
            | Operator::ElemDrop { .. }
            | Operator::ArrayNewElem { .. }
            | Operator::ArrayInitElem { .. }
            | Operator::ArrayNewData { .. }
            | Operator::ArrayInitData { .. }
            | Operator::MemoryInit { .. }
            | Operator::DataDrop { .. } => summary.needs_whole = true,
            _ => {}
        }
    }
    Ok((summary, handles))
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmtime::Engine;

    const WAT: &str = r#"(module
        (type $pair (func (param i32 i64) (result i64)))
        (import "" "f" (func (param i32)))
        (memory 1) (table 2 funcref) (elem (i32.const 0) $scalar)
        (func $scalar (type $pair) (local i32)
            (loop $l (br_if $l (local.get 0))) (local.get 1))
        (export "0" (memory 0))
        (func $vector (export "v") (param i32) (local v128)
            (v128.store (local.get 0) (local.get 1))
            (loop $out (loop $in (block
                (v128.store (local.get 0) (local.get 1))
                (v128.store (local.get 0) (local.get 1)))
                (br_if $in (local.get 0))) (br_if $out (local.get 0))))
        (data (i32.const 0) "x"))"#;

    #[test]
    fn bodies_are_counted() {
        let wasm = wat::parse_str(WAT).unwrap();
        let names = HashMap::from([(2, "vector".to_owned())]);
        let scan = Scan::new(&wasm, &names).unwrap();
        let [scalar, vector] = &scan.summaries[..] else { panic!() };
        assert_eq!((scalar.index, scalar.loops, scalar.vector_operators), (1, 1, 0));
        assert_eq!((vector.index, vector.loops, vector.vector_loops), (2, 2, 1));
        assert_eq!((vector.vector_operators, vector.name.as_deref()), (3, Some("vector")));
        assert!(!scan.whole);
        assert_eq!(scan.entered.len(), 2);
    }

    #[test]
    fn reduced_modules_are_valid_and_keep_what_is_wanted() {
        let wasm = wat::parse_str(WAT).unwrap();
        let scan = Scan::new(&wasm, &HashMap::new()).unwrap();
        let wanted = BTreeSet::from([2]);
        let reduced = scan.reduced(&wasm, &wanted);
        let again = Scan::new(&reduced, &HashMap::new()).unwrap();
        assert_eq!(again.body(&reduced, 1), TRAP_BODY);
        assert_eq!(again.body(&reduced, 2), scan.body(&wasm, 2));
        // The third type is the one that is added: no function here has it.
        assert_eq!(scan.entered().len(), 3);
        let histories = scan.with_histories(&wasm, &wanted, &scan.entered());
        let longer = Scan::new(&histories, &HashMap::new()).unwrap();
        assert_eq!(longer.defined(), 2 + 4 * 2);
        assert_eq!(longer.body(&histories, 10), scan.body(&wasm, 2));
        assert_eq!(longer.body(&histories, 4), scan.body(&wasm, 2));
        for module in [reduced, histories, scan.canaries(&wasm, &scan.entered())] {
            Engine::default().precompile_module(&module).unwrap();
        }
    }

    #[test]
    fn what_leaves_traces_of_its_own_is_captured_whole() {
        let whole =
            |wat: &str| Scan::new(&wat::parse_str(wat).unwrap(), &HashMap::new()).unwrap().whole;
        assert!(whole("(module (tag) (func))"));
        assert!(whole("(module (func (block $b (try_table (catch_all $b)))))"));
        assert!(whole("(module (global funcref (ref.func 0)) (func))"));
        assert!(!whole("(module (global i32 (i32.const 0)) (func))"));
    }

    #[test]
    fn what_is_no_whole_module_has_no_scan() {
        let wasm = wat::parse_str(WAT).unwrap();
        for end in 0..wasm.len() {
            // A cut between sections may leave a module, but never one with bodies amiss.
            if let Some(scan) = Scan::new(&wasm[..end], &HashMap::new()) {
                assert_eq!(scan.signatures.len(), scan.bodies.len());
            }
        }
    }
}
