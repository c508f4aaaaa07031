//! Corrupted, truncated, hostile and oversized inputs: each case must end in a clear error that
//! names the place, without a panic, a hang, or a partial output.
//!
//! A case is a line of the table in `cases`; the test prints how many there were.

mod common;

use common::{KERNEL, MODULE, Ran, descriptor, egraft, kernels};
use serde_json::{Value as Json, json};
use std::path::Path;

/// What a case does to its folder before the command runs.
type Setup = Box<dyn Fn(&Path)>;

struct Case {
    name: String,
    setup: Setup,
    arguments: Vec<String>,
    code: i32,
    /// Texts that the error must hold.
    says: Vec<String>,
}

/// The fewest cases that the table may shrink to.
const FEWEST: usize = 60;

#[derive(Default)]
struct Cases(Vec<Case>);

impl Cases {
    fn add(
        &mut self,
        name: &str,
        setup: impl Fn(&Path) + 'static,
        arguments: &str,
        code: i32,
        says: &[&str],
    ) {
        self.0.push(Case {
            name: name.to_owned(),
            setup: Box::new(setup),
            arguments: arguments.split_whitespace().map(str::to_owned).collect(),
            code,
            says: says.iter().map(|text| (*text).to_owned()).collect(),
        });
    }

    /// `egraft compile` on these bytes.
    fn module(&mut self, name: &str, bytes: impl Into<Vec<u8>>, says: &[&str]) {
        let bytes = bytes.into();
        let setup = move |folder: &Path| write(folder, "m.wasm", &bytes);
        let mut all = vec!["m.wasm"];
        all.extend(says);
        self.add(name, setup, "compile m.wasm -o out.cwasm", 1, &all);
    }

    /// `egraft run --kernel` on the descriptor of `common` after a change.
    fn descriptor(&mut self, name: &str, change: impl Fn(&mut Json) + 'static, says: &[&str]) {
        let setup = move |folder: &Path| {
            let mut json = descriptor();
            change(&mut json);
            write(folder, "k.json", json.to_string().as_bytes());
            write(folder, "k.wat", KERNEL.as_bytes());
        };
        let mut all = vec!["k.json"];
        all.extend(says);
        self.add(name, setup, "run --kernel k.json --rounds 1", 1, &all);
    }

    /// `egraft run --kernel` on the kernel of `common` after a change of its text.
    fn kernel(
        &mut self,
        name: &str,
        from: &'static str,
        to: &'static str,
        code: i32,
        says: &[&str],
    ) {
        let setup = move |folder: &Path| {
            let text = KERNEL.replacen(from, to, 1);
            assert_ne!(text, KERNEL, "{from} is not in the kernel");
            write(folder, "k.wat", text.as_bytes());
            write(folder, "k.json", descriptor().to_string().as_bytes());
        };
        let mut all = vec!["k.wat"];
        all.extend(says);
        self.add(name, setup, "run --kernel k.json --compare --rounds 1", code, &all);
    }

    /// `egraft rules check` on these bytes.
    fn isle(&mut self, name: &str, bytes: impl Into<Vec<u8>>, says: &[&str]) {
        let bytes = bytes.into();
        let setup = move |folder: &Path| write(folder, "r.isle", &bytes);
        let mut all = vec!["r.isle"];
        all.extend(says);
        self.add(name, setup, "rules check r.isle", 1, &all);
    }

    /// `egraft run` on the module of `common`.
    fn run(&mut self, name: &str, arguments: &str, code: i32, says: &[&str]) {
        self.add(name, |folder| write(folder, "m.wat", MODULE.as_bytes()), arguments, code, says);
    }
}

fn write(folder: &Path, name: &str, bytes: &[u8]) {
    std::fs::write(folder.join(name), bytes).expect("the case's file is written");
}

/// A file of zeros that takes no room.
fn sparse(folder: &Path, name: &str, bytes: u64) {
    std::fs::File::create(folder.join(name)).and_then(|file| file.set_len(bytes)).expect("a file");
}

/// A binary module from sections: id and content.
fn sections(sections: &[(u8, &[u8])]) -> Vec<u8> {
    let mut bytes = b"\0asm\x01\0\0\0".to_vec();
    for (id, content) in sections {
        bytes.extend([*id, u8::try_from(content.len()).expect("a short section")]);
        bytes.extend_from_slice(content);
    }
    bytes
}

fn halide_module() -> Vec<u8> {
    std::fs::read(kernels().join("blur3x3_u8.wasm")).expect("a bundled kernel")
}

/// A compiled module, made by the command itself.
fn cwasm(folder: &Path, more: &[&str]) -> Vec<u8> {
    write(folder, "good.wat", MODULE.as_bytes());
    let arguments = [&["compile", "good.wat", "-o", "good.cwasm"], more].concat();
    egraft(folder, &arguments, b"").success();
    std::fs::read(folder.join("good.cwasm")).expect("the compiled module")
}

fn wasm_cases(cases: &mut Cases) {
    const TYPE: (u8, &[u8]) = (1, &[1, 0x60, 0, 0]);
    const FUNC: (u8, &[u8]) = (3, &[1, 0]);
    let body = |code: &'static [u8]| sections(&[TYPE, FUNC, (10, code)]);
    cases.module("empty file", "", &["empty"]);
    cases.module("magic only", "\0asm", &["m.wasm"]);
    cases.module("another version", b"\0asm\x02\0\0\0", &["version"]);
    cases.module("a component", b"\0asm\x0d\0\x01\0", &["component"]);
    cases.module("an ELF file", b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0", &["ELF"]);
    cases.module("random bytes", [0xff, 0xfe, 0x80, 0x81, 0], &["neither"]);
    let half = halide_module()[..10_000].to_vec();
    cases.module("a kernel cut in half", half, &["offset"]);
    let mut flipped = halide_module();
    flipped[4000..4100].fill(0xff);
    cases.module("a kernel with bytes overwritten", flipped, &["offset"]);
    let mut longer = halide_module();
    longer.extend([0xee; 50]);
    cases.module("a kernel with bytes behind", longer, &["offset"]);
    cases.module("unknown section", sections(&[(99, &[0])]), &["section"]);
    cases.module("section longer than the file", b"\0asm\x01\0\0\0\x01\x7f\x01", &["offset"]);
    let endless = b"\0asm\x01\0\0\0\x01\xff\xff\xff\xff\xff\xff";
    cases.module("endless LEB128", endless, &["offset"]);
    let many = sections(&[(1, &[0xff, 0xff, 0xff, 0xff, 0x0f])]);
    cases.module("four billion types", many, &["offset"]);
    cases.module("no code for a function", sections(&[TYPE, FUNC]), &["function"]);
    cases.module("sections out of order", sections(&[FUNC, TYPE]), &["offset"]);
    cases.module("illegal opcode", body(&[1, 3, 0, 0xff, 0x0b]), &["opcode"]);
    cases.module("operand missing", body(&[1, 3, 0, 0x6a, 0x0b]), &["offset"]);
    cases.module("body without end", body(&[1, 2, 0, 0x01]), &["offset"]);
    let locals = body(&[1, 8, 1, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x7f, 0x0b]);
    cases.module("four billion locals", locals, &["local"]);
    cases.module("call of nothing", body(&[1, 4, 0, 0x10, 0x63, 0x0b]), &["offset"]);
    cases.module("branch out of everything", body(&[1, 4, 0, 0x0c, 0x63, 0x0b]), &["offset"]);
    let memory = sections(&[(5, &[1, 0, 0xff, 0xff, 0xff, 0xff, 0x0f])]);
    cases.module("memory beyond 4 GiB", memory, &["memory"]);
    let export = sections(&[(7, &[1, 1, b'f', 0, 9])]);
    cases.module("export of nothing", export, &["offset"]);
    let start = sections(&[(8, &[5])]);
    cases.module("start function out of range", start, &["offset"]);

    cases.add("missing module", |_| {}, "compile no.wasm -o out.cwasm", 1, &["no.wasm"]);
    cases.add("a folder as module", |_| {}, "compile . -o out.cwasm", 1, &[".: "]);
    let oversized = |folder: &Path| sparse(folder, "m.wasm", 300 << 20);
    cases.add("oversized module", oversized, "compile m.wasm", 1, &["m.wasm", "limit"]);
    cases.add("oversized module, run", oversized, "run m.wasm", 1, &["m.wasm", "limit"]);
    #[cfg(unix)]
    cases.add("an endless device", |_| {}, "inspect /dev/zero", 1, &["/dev/zero", "limit"]);
}

fn wat_cases(cases: &mut Cases) {
    cases.module("parenthesis missing", "(module (func)", &["-->"]);
    cases.module("parenthesis too many", "(module))", &["-->"]);
    cases.module("unknown instruction", "(module (func i32.frobnicate))", &["frobnicate"]);
    cases.module("unknown name", "(module (func call $nobody))", &["nobody"]);
    cases.module("number too large", "(module (func i32.const 99999999999 drop))", &["-->"]);
    cases.module("name twice", "(module (func $a) (func $a))", &["duplicate"]);
    cases.module("string without end", "(module (data \"abc", &["-->"]);
    cases.module("comment without end", "(module (; never", &["-->"]);
    cases.module("nested without end", "(".repeat(200_000), &["m.wasm"]);
    cases.module("ill typed", "(module (func (result i32) f32.const 0))", &["type mismatch"]);
    cases.module("prose", "Dear compiler, please be quick.", &["-->"]);
}

fn output_cases(cases: &mut Cases) {
    cases.run("output in no folder", "compile m.wat -o no/out.cwasm", 1, &["no/out.cwasm"]);
    cases.run("a folder as output", "compile m.wat -o .", 1, &["cannot write ."]);
    cases.run("output onto the input", "compile m.wat -o m.wat", 1, &["m.wat", "replace"]);
    cases.run("standard input without output", "compile -", 1, &["-o"]);
    cases.run(
        "emit into a file",
        "compile m.wat -o out.cwasm --emit clif --emit-dir m.wat",
        1,
        &["m.wat"],
    );
    cases.run("unknown target", "compile m.wat -o out.cwasm --target pdp11", 1, &["pdp11"]);
    cases.run("unknown cpu", "compile m.wat -o out.cwasm --cpu z80", 1, &["z80"]);
    cases.run(
        "native for another machine",
        "compile m.wat -o out.cwasm --target s390x --cpu native",
        1,
        &["native", "s390x"],
    );
    cases.run("unknown effort", "compile m.wat -o out.cwasm --effort 9", 1, &["effort 9"]);
    cases.run("unknown subcommand", "frobnicate m.wat", 2, &["frobnicate"]);
    cases.run("no rounds", "run --kernel m.wat --rounds 0", 2, &["--rounds"]);
    cases.run("function unknown to explain", "explain m.wat nobody", 1, &["m.wat", "nobody"]);
}

fn cwasm_cases(cases: &mut Cases) {
    let cut = |name: &str, cases: &mut Cases, keep: fn(usize) -> usize, says: &[&str]| {
        let setup = move |folder: &Path| {
            let bytes = cwasm(folder, &[]);
            write(folder, "m.cwasm", &bytes[..keep(bytes.len())]);
        };
        cases.add(name, setup, "run m.cwasm --invoke add 1 2", 1, says);
    };
    cut("compiled module cut in half", cases, |len| len / 2, &["m.cwasm", "cut off"]);
    cut("compiled module without its end", cases, |len| len - 1, &["m.cwasm", "cut off"]);
    cut("compiled module's header alone", cases, |_| 64, &["m.cwasm", "cut off"]);
    cut("compiled module's first bytes", cases, |_| 20, &["m.cwasm", "cut off"]);
    let zeroed = |folder: &Path| {
        let mut bytes = cwasm(folder, &[]);
        let table = usize::try_from(u64::from_le_bytes(bytes[0x28..0x30].try_into().unwrap()));
        let table = table.expect("an offset");
        bytes[table..].fill(0);
        write(folder, "m.cwasm", &bytes);
    };
    cases.add("section table zeroed", zeroed, "run m.cwasm --invoke add 1 2", 1, &["m.cwasm"]);
    let version = |folder: &Path| {
        let mut bytes = cwasm(folder, &[]);
        // Wasmtime's section starts with a format version, a length, and its own major version.
        let at = bytes.windows(4).rposition(|window| window == b"\0\x0248");
        let at = at.expect("the version of Wasmtime is in the module");
        bytes[at + 2] = b'1';
        write(folder, "m.cwasm", &bytes);
    };
    let arguments = "run m.cwasm --invoke add 1 2";
    cases.add("of another Wasmtime", version, arguments, 1, &["m.cwasm", "version"]);
    let foreign = |folder: &Path| {
        let bytes = cwasm(folder, &["--target", "s390x"]);
        write(folder, "m.cwasm", &bytes);
    };
    cases.add("for another machine", foreign, arguments, 1, &["m.cwasm"]);
    let good = |folder: &Path| drop(cwasm(folder, &[]));
    cases.add(
        "compiled twice",
        good,
        "compile good.cwasm -o out.cwasm",
        1,
        &["good.cwasm", "compiled already"],
    );
    cases.add("inspected after compiling", good, "inspect good.cwasm", 1, &["compiled already"]);
}

fn run_cases(cases: &mut Cases) {
    cases.run("no such export", "run m.wat --invoke nobody", 1, &["m.wat", "nobody", "add"]);
    cases.run("not a function", "run m.wat --invoke global", 1, &["global", "not a function"]);
    cases.run("too few arguments", "run m.wat --invoke add 1", 1, &["add", "2 arguments"]);
    cases.run("not a number", "run m.wat --invoke add 1 x", 1, &["argument 2", "\"x\""]);
    cases.run("number too large", "run m.wat --invoke add 1 4294967296", 1, &["argument 2"]);
    cases.run("not a program", "run m.wat", 1, &["m.wat", "_start"]);
    cases.run("a trap", "run m.wat --invoke trap", 4, &["m.wat", "trap", "unreachable"]);
    cases.run("endless recursion", "run m.wat --invoke deep", 4, &["m.wat", "stack"]);
    cases.run("access beyond memory", "run m.wat --invoke fill 65536", 4, &["out of bounds"]);
    let program = |text: &'static str| move |folder: &Path| write(folder, "p.wat", text.as_bytes());
    cases.add(
        "imports from nowhere",
        program(r#"(module (import "env" "f" (func)) (func (export "_start")))"#),
        "run p.wat",
        1,
        &["p.wat", "env.f"],
    );
    cases.add(
        "a start function that traps",
        program(r#"(module (func $s unreachable) (start $s) (func (export "_start")))"#),
        "run p.wat",
        4,
        &["p.wat", "unreachable"],
    );
    let plain = || program(r#"(module (memory (export "memory") 1) (func (export "_start")))"#);
    cases.add("no such folder", plain(), "run p.wat --dir no", 1, &["--dir no"]);
    cases.add("no such variable", plain(), "run p.wat --env NOT_SET_4711", 1, &["NOT_SET_4711"]);
}

fn descriptor_cases(cases: &mut Cases) {
    let text = |bytes: Vec<u8>| move |folder: &Path| write(folder, "k.json", &bytes);
    let good = descriptor().to_string().into_bytes();
    let run = "run --kernel k.json";
    let cut = good[..good.len() / 2].to_vec();
    cases.add("descriptor cut off", text(cut), run, 1, &["k.json:1:"]);
    cases.add("not JSON", text(b"{\n \"name\": oops\n}".to_vec()), run, 1, &["k.json:2:10"]);
    cases.add("JSON nested deep", text(b"[".repeat(500_000)), run, 1, &["k.json:1:"]);
    cases.add("binary descriptor", text(vec![0; 100]), run, 1, &["k.json:1:1"]);
    cases.add("empty descriptor", text(Vec::new()), run, 1, &["k.json:1:0"]);
    cases.add("descriptor is a list", text(b"[1]".to_vec()), run, 1, &["k.json:1:"]);
    let oversized = |folder: &Path| sparse(folder, "k.json", 17 << 20);
    cases.add("oversized descriptor", oversized, run, 1, &["k.json", "limit"]);
    cases.add("missing descriptor", |_| {}, run, 1, &["k.json"]);
    cases.descriptor(
        "key missing",
        |json| drop(json.as_object_mut().unwrap().remove("func")),
        &["missing field `func`"],
    );
    cases.descriptor("a path as name", |json| json["func"] = json!("../../x"), &["`func`"]);
    cases.descriptor("no arguments", |json| json["args"] = json!([]), &["`args`"]);
    cases.descriptor("arguments of another kind", |json| json["args"] = json!("x"), &["string"]);
    let many = |json: &mut Json| json["args"] = vec![json["args"][0].clone(); 300].into();
    cases.descriptor("300 arguments", many, &["`args`", "300"]);
    let set = |pointer: &'static str, value: Json| {
        move |json: &mut Json| *json.pointer_mut(pointer).unwrap() = value.clone()
    };
    for (name, pointer, value, says) in [
        ("unknown kind", "/args/0/kind", json!("inout"), ["`args[0].kind`", "inout"]),
        ("unknown type", "/args/0/type", json!("f16"), ["`args[0].type`", "f16"]),
        ("negative extent", "/args/0/extents/0", json!(-1), ["`args[0].extents[0]`", "-1"]),
        ("zero extent", "/args/2/extents/0", json!(0), ["`args[2].extents[0]`", "0"]),
        ("extent beyond 32 bits", "/args/0/extents/0", json!(1u64 << 40), ["extents[0]", "32"]),
        ("extent beyond memory", "/args/0/extents/0", json!(i32::MAX), ["extents", "bytes"]),
        ("stride beyond memory", "/args/0/strides/0", json!(i32::MAX), ["args[0]", "bytes"]),
        ("stride zero", "/args/0/strides/0", json!(0), ["`args[0].strides[0]`", "0"]),
        ("stride negative", "/args/0/strides/0", json!(-1), ["`args[0].strides[0]`", "-1"]),
        ("fractional extent", "/args/0/extents/0", json!(1.5), ["k.json:1:", "1.5"]),
        ("dimensions that differ", "/args/0/dims", json!(2), ["`args[0].mins`", "2"]),
        ("a million dimensions", "/args/0/dims", json!(1_000_000), ["`args[0].dims`", "16"]),
        ("min at the end of i32", "/args/0/mins/0", json!(i32::MAX), ["`args[0].mins[0]`", "32"]),
        ("scalar too large", "/args/1/value", json!(256), ["`args[1].value`", "u8"]),
        ("scalar of text", "/args/1/value", json!("x"), ["`args[1].value`", "integer"]),
        ("fill beyond the type", "/args/0/fill/1", json!(300), ["`args[0].fill[1]`", "u8"]),
        ("fill backwards", "/args/0/fill", json!([9, 1]), ["`args[0].fill`", "ascending"]),
        ("fill of three", "/args/0/fill", json!([1, 2, 3]), ["`args[0].fill`", "lowest"]),
        ("count of outputs wrong", "/out_elems", json!(99), ["`out_elems`", "100"]),
        ("count negative", "/out_elems", json!(-1), ["k.json:1:", "-1"]),
        ("module missing", "/wasm", json!("no.wasm"), ["no.wasm", "No such file"]),
        ("module is a folder", "/wasm", json!("."), ["directory", "."]),
        ("module is the descriptor", "/wasm", json!("k.json"), ["k.json", "-->"]),
    ] {
        // Errors about the module name the module's file instead of the descriptor.
        let first = if pointer == "/wasm" { "" } else { "k.json" };
        let setup = set(pointer, value);
        cases.descriptor(name, setup, &says);
        cases.0.last_mut().unwrap().says[0] = first.to_owned();
    }
    let overlap = |json: &mut Json| {
        for (key, value) in [("dims", json!(2)), ("mins", json!([0, 0]))] {
            json["args"][0][key] = value;
        }
        json["args"][0]["extents"] = json!([10, 10]);
        json["args"][0]["strides"] = json!([1, 9]);
    };
    cases.descriptor("rows that overlap", overlap, &["`args[0].strides[1]`", "overlap"]);
    let data = |json: &mut Json| {
        json["args"][0].as_object_mut().unwrap().remove("fill");
        json["args"][0]["data"] = json!([1, 2, 3]);
    };
    cases.descriptor("too little data", data, &["`args[0].data`", "3 values"]);
    let sizes = |json: &mut Json| json["sizes"] = json!([{ "args": [], "out_elems": 1 }]);
    cases.descriptor("bad further size", sizes, &["`sizes[0].args`"]);
    let both = |folder: &Path| {
        write(folder, "k.json", descriptor().to_string().as_bytes());
        write(folder, "k.wat", KERNEL.as_bytes());
    };
    cases.add("no such size", both, "run --kernel k.json --size 7", 1, &["k.json", "no size 7"]);

    cases.kernel("no function", "\"scale_argv\"", "\"scale\"", 1, &["scale_argv"]);
    cases.kernel("no malloc", "\"malloc\"", "\"alloc\"", 1, &["malloc"]);
    cases.kernel("no memory", "(export \"memory\")", "", 1, &["memory"]);
    cases.kernel("wide memory", "\"memory\") 1", "\"memory\") i64 1", 1, &["k.wat"]);
    cases.kernel("imports", "(module", "(module (import \"e\" \"f\" (func))", 1, &["e.f"]);
    cases.kernel(
        "malloc out of memory",
        "(i32.const 1024)",
        "(i32.const -200)",
        1,
        &["outside memory"],
    );
    cases.kernel("malloc of nothing", "(i32.const 1024)", "(i32.const 0)", 1, &["malloc"]);
    let own = "the kernel's own words";
    cases.kernel("kernel traps", "(i32.const 0)))\n", "unreachable))\n", 4, &[own, "unreachable"]);
    cases.kernel("kernel fails", "(i32.const 0)))\n", "(i32.const -3)))\n", 4, &[own, "-3"]);
    cases.kernel("kernel of another type", "(param $args i32)", "(param $args i64)", 1, &["k.wat"]);
}

fn isle_cases(cases: &mut Cases) {
    let rule = ";; Adding nothing.\n(rule r (simplify (iadd ty x (k ty 0))) x)\n";
    cases.isle("rule cut off", &rule[..rule.len() / 2], &["r.isle:"]);
    cases.isle("parenthesis too many", format!("{rule})"), &["r.isle:3"]);
    cases.isle("unknown term", rule.replace("iadd", "iwed"), &["r.isle:2", "iwed"]);
    cases.isle("too many operands", rule.replace("(k ty 0)", "x x x"), &["r.isle:2"]);
    cases.isle("variable from nowhere", rule.replace(") x)", ") y)"), &["r.isle:2", "y"]);
    cases.isle("no name", rule.replace("rule r ", "rule "), &["r.isle:2", "name"]);
    cases.isle("no reason", rule.replace(";; Adding nothing.", ""), &["r.isle:2", "reason"]);
    cases.isle("name twice", rule.repeat(2), &["r.isle:4", "r.isle:2"]);
    cases.isle("no operation", rule.replace("(iadd ty x (k ty 0))", "x"), &["r.isle:2"]);
    cases.isle("a declaration", format!("{rule}(decl f (Value) Value)\n"), &["r.isle:3", "decl"]);
    cases.isle("no rules", ";; Nothing.\n", &["no rules"]);
    cases.isle("not UTF-8", vec![b';', 0xff, 0xfe, b'\n'], &["UTF-8"]);
    cases.isle("binary", vec![0; 1000], &["r.isle:1"]);
    cases.isle("nested deep", "(".repeat(100_000), &["r.isle:1", "levels"]);
    let oversized = |folder: &Path| sparse(folder, "r.isle", 5 << 20);
    cases.add("oversized rules", oversized, "rules check r.isle", 1, &["r.isle", "limit"]);
    cases.add("missing rules", |_| {}, "rules check r.isle", 1, &["r.isle"]);
    cases.add("a folder as rules", |_| {}, "rules check .", 1, &[".: "]);
    cases.add("no such rule", |_| {}, "rules show no_such_rule_4711", 1, &["no_such_rule_4711"]);
}

fn egraph_cases(cases: &mut Cases) {
    let other_version = [b"EGRAFTEG\x09".as_slice(), &[0; 55]].concat();
    let files: [(&str, Vec<u8>, &str); 3] = [
        ("no e-graph", b"{}".to_vec(), "does not begin with EGRAFTEG"),
        ("a header cut off", b"EGRAFTEG\x01\0\0\0".to_vec(), "12 bytes"),
        ("another version", other_version, "version 9"),
    ];
    for command in ["egraph show g.egraph", "egraph load g.egraph -o out.cwasm"] {
        for (name, bytes, says) in files.clone() {
            let setup = move |folder: &Path| write(folder, "g.egraph", &bytes);
            cases.add(&format!("{command}: {name}"), setup, command, 1, &["g.egraph", says]);
        }
    }
    cases.add("missing e-graph", |_| {}, "egraph show g.egraph", 1, &["g.egraph"]);
    let save = "egraph save m.wat no -o out.cwasm";
    cases.run("no such function to save", save, 1, &["m.wat", "`no`"]);
    let matcher = "compile m.wat -o out.cwasm --matcher tpu";
    cases.run("no such matcher", matcher, 2, &["cpu and gpu"]);
}

fn folder_cases(cases: &mut Cases) {
    let bad = |folder: &Path| write(folder, "bad.json", b"{");
    cases.add("bench of a missing folder", |_| {}, "bench no", 1, &["no"]);
    cases.add("bench of an empty folder", |_| {}, "bench .", 1, &["no kernel descriptors"]);
    cases.add("bench of a bad descriptor", bad, "bench . --json out.cwasm", 1, &["bad.json:1:1"]);
    let good = |folder: &Path| {
        write(folder, "k.json", descriptor().to_string().as_bytes());
        write(folder, "k.wat", KERNEL.as_bytes());
    };
    cases.add("bench into no folder", good, "bench . --json no/r.json", 1, &["no/r.json"]);
    cases.add("an engine twice", good, "bench . --engines stock,stock", 1, &["--engines"]);
    cases.add("an unknown engine", good, "bench . --engines v9", 1, &["v9", "known are stock"]);
    cases.add("no engine's name", good, "bench . --engines a/b", 1, &["--engines", "a/b"]);
    cases.add("no such processor", good, "bench . --pin many", 2, &["--pin", "1023"]);
    let peer = |text: &'static str| {
        move |folder: &Path| {
            good(folder);
            std::fs::create_dir(folder.join("peers")).expect("a folder");
            write(&folder.join("peers"), "p.json", text.as_bytes());
        }
    };
    let bench = "bench . --peers peers --engines stock,p --rounds 1 --json out.cwasm";
    cases.add("a peer without a command", peer(r#"{"about": "x"}"#), bench, 1, &["p.json:1:"]);
    let result = |text: &'static str| move |folder: &Path| write(folder, "r.json", text.as_bytes());
    for command in ["bench compare r.json", "bench report r.json -o out.cwasm"] {
        let add = |cases: &mut Cases, name: &str, text: &'static str, says: &[&str]| {
            cases.add(&format!("{command}: {name}"), result(text), command, 1, says);
        };
        add(cases, "no JSON", "{", &["r.json", "line 1"]);
        add(cases, "no result", "{}", &["r.json", "schema"]);
        let old = r#"{"schema": "egraft-bench/1"}"#;
        add(cases, "an older format", old, &["r.json", "egraft-bench/1", "measure again"]);
        add(cases, "half a result", r#"{"schema": "egraft-bench/2"}"#, &["r.json", "created"]);
    }
    let compare = "bench compare r.json --least 0";
    cases.add("a least change of nothing", result("{}"), compare, 1, &["--least 0"]);
    cases.add("filter without match", good, "bench . --filter zzz", 1, &["zzz"]);
    let compile = "compile m.wat -o out.cwasm --cache-dir c";
    cases.run("a file as cache", &compile.replace("-dir c", "-dir m.wat"), 1, &["m.wat"]);
    #[cfg(unix)]
    {
        let open = |folder: &Path| {
            use std::os::unix::fs::PermissionsExt;
            write(folder, "m.wat", MODULE.as_bytes());
            std::fs::create_dir(folder.join("c")).expect("a folder");
            let all = std::fs::Permissions::from_mode(0o777);
            std::fs::set_permissions(folder.join("c"), all).expect("open to all");
        };
        cases.add("cache open to others", open, compile, 1, &["/c", "others may write"]);
    }
}

fn check(case: &Case) -> Result<(), String> {
    let folder = tempfile::tempdir().expect("a folder");
    (case.setup)(folder.path());
    let names = || {
        let mut names: Vec<_> = std::fs::read_dir(folder.path())
            .expect("the folder is read")
            .map(|entry| entry.expect("an entry").file_name())
            .collect();
        names.sort();
        names
    };
    let before = names();
    let Ran { code, stdout, stderr } = egraft(folder.path(), &case.arguments, b"");
    let mut wrong = Vec::new();
    if code != Some(case.code) {
        wrong.push(format!("exit code {code:?} instead of {}", case.code));
    }
    if stderr.contains("panicked") || stderr.contains("RUST_BACKTRACE") {
        wrong.push("it panicked".to_owned());
    }
    for text in &case.says {
        if !stderr.contains(text) {
            wrong.push(format!("the error does not say {text:?}"));
        }
    }
    // An empty folder of --emit-dir or --cache-dir is no output.
    let new: Vec<_> = names()
        .into_iter()
        .filter(|name| !before.contains(name) && !folder.path().join(name).is_dir())
        .collect();
    if !new.is_empty() {
        wrong.push(format!("it left {new:?}"));
    }
    if wrong.is_empty() {
        return Ok(());
    }
    Err(format!(
        "{}: egraft {}\n  {}\n  stdout: {}\n  stderr: {}",
        case.name,
        case.arguments.join(" "),
        wrong.join("; "),
        stdout.chars().take(300).collect::<String>(),
        stderr.chars().take(600).collect::<String>(),
    ))
}

#[test]
fn bad_inputs_end_in_clear_errors() {
    let mut cases = Cases::default();
    wasm_cases(&mut cases);
    wat_cases(&mut cases);
    output_cases(&mut cases);
    cwasm_cases(&mut cases);
    run_cases(&mut cases);
    descriptor_cases(&mut cases);
    isle_cases(&mut cases);
    egraph_cases(&mut cases);
    folder_cases(&mut cases);
    let count = cases.0.len();
    assert!(count >= FEWEST, "{count} cases, the table must have {FEWEST}");
    let failures: Vec<String> = cases.0.iter().filter_map(|case| check(case).err()).collect();
    println!("{} of {count} bad inputs ended in clear errors", count - failures.len());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Two functions that are kept in a cache.
const TWO_LOOPS: &str = r#"(module
  (memory (export "memory") 1)
  (func (export "add") (param $at i32)
    (loop $next
      (v128.store (local.get $at)
        (i8x16.add (v128.load (local.get $at)) (v128.const i64x2 1 1)))
      (br_if $next (local.tee $at (i32.sub (local.get $at) (i32.const 16))))))
  (func (export "xor") (param $at i32)
    (loop $next
      (v128.store (local.get $at)
        (v128.xor (v128.load (local.get $at)) (v128.const i64x2 1 1)))
      (br_if $next (local.tee $at (i32.sub (local.get $at) (i32.const 16))))))
  (func $scalar (export "scalar") (param i32) (result i32) (local.get 0)))
"#;

/// Damaged cache entries are no errors of the user's: the module compiles as without a cache, and a
/// warning says that entries were not used.
#[test]
fn damaged_cache_entries_are_never_used() {
    type Damage = fn(&Path, &[std::path::PathBuf]);
    let damages: [(&str, Damage); 8] = [
        ("cut in half", |_, entries| {
            for entry in entries {
                let bytes = std::fs::read(entry).unwrap();
                std::fs::write(entry, &bytes[..bytes.len() / 2]).unwrap();
            }
        }),
        ("emptied", |_, entries| {
            entries.iter().for_each(|entry| std::fs::write(entry, b"").unwrap());
        }),
        ("zeroed", |_, entries| {
            for entry in entries {
                let len = std::fs::metadata(entry).unwrap().len() as usize;
                std::fs::write(entry, vec![0; len]).unwrap();
            }
        }),
        ("one bit flipped", |_, entries| {
            for entry in entries {
                let mut bytes = std::fs::read(entry).unwrap();
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
                std::fs::write(entry, bytes).unwrap();
            }
        }),
        ("grown", |_, entries| {
            for entry in entries {
                let mut bytes = std::fs::read(entry).unwrap();
                bytes.push(0);
                std::fs::write(entry, bytes).unwrap();
            }
        }),
        ("swapped", |_, entries| {
            let all: Vec<Vec<u8>> =
                entries.iter().map(|entry| std::fs::read(entry).unwrap()).collect();
            for (at, entry) in entries.iter().enumerate() {
                std::fs::write(entry, &all[(at + 1) % all.len()]).unwrap();
            }
        }),
        ("machine code put in their place", |folder, entries| {
            let foreign = cwasm(folder, &[]);
            entries.iter().for_each(|entry| std::fs::write(entry, &foreign).unwrap());
        }),
        ("oversized", |_, entries| {
            for entry in entries {
                std::fs::OpenOptions::new()
                    .write(true)
                    .open(entry)
                    .and_then(|file| file.set_len(4 << 30))
                    .unwrap();
            }
        }),
    ];
    for (name, damage) in damages {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        write(folder, "m.wat", TWO_LOOPS.as_bytes());
        let compile = |output: &str| {
            egraft(folder, &["compile", "m.wat", "-o", output, "--cache-dir", "cache"], b"")
        };
        compile("first.cwasm").success();
        let entries: Vec<_> = std::fs::read_dir(folder.join("cache"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| std::fs::metadata(path).unwrap().len() > 0)
            .collect();
        assert!(entries.len() >= 2, "{name}: the cache has {} entries", entries.len());
        damage(folder, &entries);
        let ran = compile("second.cwasm");
        let warned = ran.stderr.contains("were not used") && !ran.stderr.contains("panicked");
        assert!(warned, "{name}: {}", ran.stderr);
        ran.success();
        let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
        assert!(read("first.cwasm") == read("second.cwasm"), "{name}: the code differs");
    }
}
