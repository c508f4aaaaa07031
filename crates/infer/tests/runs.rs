//! Runs that are interrupted, sharded or threaded differently give the same files.

use egraft_infer::{InferError, Options, Workload, infer, merge};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

fn workload() -> Vec<Workload> {
    let text = r#"[
        {"name": "small", "family": "arith", "about": "sums", "base": "i8x16",
         "ops": ["iadd", "isub", "ineg"], "atoms": ["x", "y", "0", "?c"], "size": 2,
         "terms": 10000},
        {"name": "small_minmax", "family": "minmax", "about": "minima", "base": "i8x16",
         "ops": ["umin", "umax"], "atoms": ["x", "y", "0"], "size": 2, "terms": 10000,
         "premise_size": 1, "premises": ["known_ule ty x y"]}
    ]"#;
    serde_json::from_str(text).unwrap()
}

fn files(folder: &Path) -> BTreeMap<String, String> {
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read_to_string(path).unwrap())
        })
        .collect()
}

fn one_run(work: Option<&Path>) -> BTreeMap<String, String> {
    let out = tempfile::tempdir().unwrap();
    infer(&workload(), &Options::default(), work, Some(out.path()), &|_| {}).unwrap();
    files(out.path())
}

#[test]
fn what_is_interrupted_goes_on_to_the_same_rules() {
    let whole = one_run(None);
    assert!(whole.values().map(|text| text.matches("(rule ").count()).sum::<usize>() > 10);

    // Killed while it wrote: the log ends within a line, at several places.
    let full = tempfile::tempdir().unwrap();
    assert_eq!(one_run(Some(full.path())), whole);
    let log = std::fs::read(full.path().join("judged.jsonl")).unwrap();
    for part in [3, 2] {
        let work = tempfile::tempdir().unwrap();
        std::fs::copy(full.path().join("run.json"), work.path().join("run.json")).unwrap();
        std::fs::write(work.path().join("judged.jsonl"), &log[..log.len() / part]).unwrap();
        assert_eq!(one_run(Some(work.path())), whole);
    }

    // Killed by a panic in its midst.
    let work = tempfile::tempdir().unwrap();
    let calls = AtomicUsize::new(0);
    let stopped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        infer(&workload(), &Options::default(), Some(work.path()), None, &|_| {
            assert!(calls.fetch_add(1, Ordering::Relaxed) < 2, "interrupted");
        })
    }));
    assert!(stopped.is_err());
    assert_eq!(one_run(Some(work.path())), whole);
}

#[test]
fn shards_merge_to_one_run() {
    let whole = one_run(None);
    let parts: Vec<tempfile::TempDir> = (0..2).map(|_| tempfile::tempdir().unwrap()).collect();
    for (part, folder) in parts.iter().enumerate() {
        let options = Options { shard: Some((part as u64, 2)), ..Options::default() };
        let report = infer(&workload(), &options, Some(folder.path()), None, &|_| {}).unwrap();
        assert_eq!(report.rules, 0);
    }
    let folders: Vec<_> = parts.iter().map(|folder| folder.path().to_owned()).collect();
    let out = tempfile::tempdir().unwrap();
    merge(&workload(), &Options::default(), &folders, out.path(), &|_| {}).unwrap();
    assert_eq!(files(out.path()), whole);

    let one = merge(&workload(), &Options::default(), &folders[..1], out.path(), &|_| {});
    assert!(matches!(one, Err(InferError::NotJudged { .. })), "{one:?}");
}

#[test]
fn threads_do_not_matter() {
    let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let many = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
    assert_eq!(alone.install(|| one_run(None)), many.install(|| one_run(None)));
}

#[test]
fn bad_input_is_named() {
    let refused = |change: &dyn Fn(&mut Workload)| {
        let mut all = workload();
        change(&mut all[1]);
        infer(&all, &Options::default(), None, None, &|_| {}).unwrap_err().to_string()
    };
    assert!(refused(&|one| one.ops.push("iad".into())).contains("small_minmax"));
    assert!(refused(&|one| one.ops.push("avg_round@i32x4".into())).contains("avg_round@i32x4"));
    assert!(refused(&|one| one.atoms.push("x".into())).contains("twice"));
    assert!(refused(&|one| one.base = "i9".into()).contains("i9"));
    assert!(refused(&|one| one.premises.push("known_ule ty x q".into())).contains("`q`"));
    assert!(refused(&|one| one.premises.push("known_ule x y".into())).contains("arguments"));
    let never = refused(&|one| one.premises = vec!["known_ult ty x x".into()]);
    assert!(never.contains("holds of no values"), "{never}");

    let work = tempfile::tempdir().unwrap();
    let first = &workload()[..1];
    infer(first, &Options::default(), Some(work.path()), None, &|_| {}).unwrap();
    let other = infer(&workload()[1..], &Options::default(), Some(work.path()), None, &|_| {});
    assert!(matches!(other, Err(InferError::OtherRun { .. })), "{other:?}");
    std::fs::write(work.path().join("judged.jsonl"), "nonsense\n").unwrap();
    let damaged = infer(first, &Options::default(), Some(work.path()), None, &|_| {});
    assert!(matches!(damaged, Err(InferError::Format { line: 1, .. })), "{damaged:?}");
    assert!(matches!(Workload::named(&["none".into()]), Err(InferError::NoWorkload(_))));
}

#[test]
fn the_built_in_tables_are_sound() {
    let all = Workload::built_in();
    let mut names: Vec<&str> = all.iter().map(|one| one.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all.len());
    // Reads every op, atom and premise, and draws samples; enumerates next to nothing.
    let tiny: Vec<Workload> =
        all.into_iter().map(|one| Workload { size: 0, premise_size: 0, terms: 0, ..one }).collect();
    infer(&tiny, &Options::default(), None, None, &|_| {}).unwrap();
    assert_eq!(Options::default().schedule.phases.len(), 4);
}
