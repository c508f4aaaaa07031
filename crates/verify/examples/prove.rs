use egraft_verify::*;
fn main() {
    let mut set =
        egraft_rules::RuleSet::from_folder(std::path::Path::new("isle-rules/rewrite")).unwrap();
    let args: Vec<String> = std::env::args().skip(1).collect();
    if !args.is_empty() {
        set.rules.retain(|r| {
            args.iter().any(|a| r.name.starts_with(a.as_str()) || r.file.contains(a.as_str()))
        });
    }
    let mut p = Prover::start(Options { timeout_ms: 3000, ..Default::default() }).unwrap();
    let t0 = std::time::Instant::now();
    let (mut n, mut inst, mut q) = (0, 0, 0);
    let mut bad = 0;
    p.prove_all(&set, |r, pr| {
        n += 1;
        inst += pr.instances.len();
        q += pr.instances.iter().map(|i| i.queries).sum::<usize>();
        let v = pr.verdict();
        if v != Verdict::Proven {
            bad += 1;
            let i = pr.instances.iter().find(|i| i.verdict == v);
            println!(
                "{} [{:?} {:?}]: {:?}",
                r.name,
                i.map(|i| i
                    .instance
                    .types
                    .of
                    .iter()
                    .flatten()
                    .map(|t| t.name())
                    .collect::<Vec<_>>()),
                i.map(|i| &i.instance.fixed),
                v
            );
        }
        if n % 50 == 0 {
            println!("-- {n} rules {inst} instances {q} queries {:?}", t0.elapsed());
        }
    })
    .unwrap();
    println!(
        "{n} rules, {inst} instances, {q} queries, {} asked, bad {bad}, {:?}",
        p.asked(),
        t0.elapsed()
    );
}
