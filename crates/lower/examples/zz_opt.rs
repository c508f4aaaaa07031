use cranelift_codegen::settings::Configurable;
fn main() {
    let mut fb = cranelift_codegen::settings::builder();
    for (k,v) in [("opt_level","speed"),("enable_probestack","true"),("probestack_strategy","inline"),("preserve_frame_pointers","true"),("unwind_info","true")] { fb.set(k,v).unwrap(); }
    let isa = cranelift_native::builder().unwrap().finish(cranelift_codegen::settings::Flags::new(fb)).unwrap();
    let dump = std::env::var("DUMP").is_ok();
    for f in std::env::args().skip(1) {
        let text = std::fs::read_to_string(&f).unwrap();
        let func = cranelift_reader::parse_functions(&text).unwrap().remove(0);
        let effort = std::env::var("EFFORT").ok().and_then(|e| e.parse().ok()).unwrap_or(1);
        let t = std::time::Instant::now();
        let out = egraft_lower::optimize(&func, &*isa, &egraft_lower::LowerOptions { effort, ..Default::default() });
        let dt = t.elapsed();
        let t2 = std::time::Instant::now();
        let mut c = cranelift_codegen::Context::for_function(func.clone());
        c.set_disasm(dump);
        let code = c.compile_stencil(&*isa, &mut Default::default()).unwrap();
        let ct = t2.elapsed();
        match out {
            egraft_lower::Outcome::Improved(i) => {
                let mut c2 = cranelift_codegen::Context::for_function(i.func.clone());
                c2.set_disasm(dump);
                let code2 = c2.compile_stencil(&*isa, &mut Default::default()).unwrap();
                println!("{f} {dt:?} compile {ct:?} IMPROVED {} -> {} ({:.3}) replaced {} nodes {} insts {} bytes {} -> {} rules {:?}", i.stats.cost_before, i.stats.cost_after, i.stats.cost_after as f64/i.stats.cost_before as f64, i.stats.replaced, i.stats.enodes, i.stats.insts_before, code.buffer.data().len(), code2.buffer.data().len(), i.stats.rules.iter().map(|r| format!("{}:{}/{}", r.rule, r.joined, r.matched)).collect::<Vec<_>>());
                if dump { println!("{}", i.func); println!("=== STOCK\n{}\n=== OURS\n{}", code.vcode.unwrap(), code2.vcode.unwrap()); }
            }
            egraft_lower::Outcome::Unchanged(u) => println!("{f} {dt:?} compile {ct:?} unchanged: {} nodes {} {}", u.reason, u.stats.enodes, u.stats.insts_before),
        }
    }
}
