use egraft_verify::*;
use std::path::Path;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let (proofs, timeout, update) = (Path::new(&a[1]), a[2].parse().unwrap(), a[3] == "update");
    let mut set = egraft_rules::RuleSet::default();
    for f in a[4].split(',') {
        set.rules.extend(egraft_rules::RuleSet::from_folder(Path::new(f)).unwrap().rules);
    }
    if a.len() > 5 {
        let only = &a[5..];
        set.rules.retain(|r| {
            only.iter().any(|o| r.name.contains(o.as_str()) || r.file.contains(o.as_str()))
        });
    }
    let cache = ProofCache::read(proofs).unwrap();
    let ev = read_evidence(Path::new("isle-rules/evidence.json")).unwrap();
    let n = std::sync::atomic::AtomicUsize::new(0);
    let (rep, used) = prove_set(
        &set,
        &Options { timeout_ms: timeout, ask: a[3] != "cached", ..Default::default() },
        2,
        &cache,
        &ev,
        |r| {
            let k = n.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            if r.standing != Standing::Proven || r.seconds > 5.0 {
                println!(
                    "{k} {} {:?} {:.1}s {} of {} {:?}",
                    r.name, r.standing, r.seconds, r.proven, r.instances, r.note
                );
            }
        },
    )
    .unwrap();
    println!(
        "{} rules {} proven, {} instances, {} parts, {} queries, asked {}, {:.1}s",
        rep.rules.len(),
        rep.count(Standing::Proven),
        rep.rules.iter().map(|r| r.instances).sum::<usize>(),
        rep.rules.iter().map(|r| r.parts).sum::<usize>(),
        rep.rules.iter().map(|r| r.queries).sum::<usize>(),
        rep.asked,
        rep.seconds
    );
    if update {
        let mut u = used;
        u.extend(cache);
        u.write(proofs).unwrap();
        println!("written {}", u.len());
    }
}
