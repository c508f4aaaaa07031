//! The code store under hostile entries, concurrent processes and killed writers.

use egraft_seam::{CodeStore, Lookup, Payload, Rejection, StoreError, StoreKey};
use std::path::Path;
use std::process::{Command, Stdio};

fn key(n: u32) -> StoreKey {
    let mut bytes = [0; 32];
    bytes[..4].copy_from_slice(&n.to_le_bytes());
    StoreKey::from_bytes(bytes)
}

fn code(n: u32, size: usize) -> Payload {
    Payload::Code((0..size).map(|i| (i as u32).wrapping_mul(n + 1) as u8).collect())
}

fn open(directory: &Path) -> CodeStore {
    CodeStore::open(directory, 1 << 20).unwrap()
}

#[test]
fn what_is_put_is_got() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory.path().join("made/for/us"));
    assert_eq!(store.get(&key(1)), Lookup::Miss);
    let stock = Payload::Stock { reason: "no gain".to_owned(), code: vec![1, 2, 3] };
    assert_eq!(store.put_many(&[(key(1), code(1, 1000)), (key(2), stock.clone())]).unwrap(), 2);
    assert_eq!(store.get(&key(1)), Lookup::Hit(code(1, 1000)));
    assert_eq!(open(store.directory()).get(&key(2)), Lookup::Hit(stock));
    let stats = store.stats();
    assert_eq!((stats.hits, stats.misses, stats.rejected, stats.written), (1, 1, 0, 2));
}

#[test]
fn truncated_changed_swapped_and_foreign_entries_are_rejected() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    store.put(key(1), code(1, 64)).unwrap();
    store.put(key(2), code(2, 64)).unwrap();
    let path = store.directory().join(key(1).file_name());
    let other = store.directory().join(key(2).file_name());
    let whole = std::fs::read(&path).unwrap();
    let mut rejected = 0;
    let mut expect_rejection = |bytes: &[u8], what: &str| {
        std::fs::write(&path, bytes).unwrap();
        assert!(matches!(store.get(&key(1)), Lookup::Rejected(_)), "{what}");
        rejected += 1;
    };
    for end in 0..whole.len() {
        expect_rejection(&whole[..end], &format!("cut at {end}"));
    }
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        expect_rejection(&bytes, &format!("byte {at}"));
    }
    expect_rejection(&[&whole[..], &[0]].concat(), "a byte more");
    expect_rejection(&[0; 4096], "zeros");
    expect_rejection(b"\x7fELF and so on", "another format");
    expect_rejection(&std::fs::read(&other).unwrap(), "another key's entry");
    assert_eq!(store.get(&key(1)), Lookup::Rejected(Rejection::ForeignKey));
    assert!(rejected > 2 * 150, "{rejected}");

    // A new result takes the damaged entry's place.
    store.put(key(1), code(1, 64)).unwrap();
    assert_eq!(store.get(&key(1)), Lookup::Hit(code(1, 64)));
}

#[test]
fn the_size_bound_holds_and_the_unused_goes_first() {
    let directory = tempfile::tempdir().unwrap();
    let limit = 20_000;
    let store = CodeStore::open(directory.path(), limit).unwrap();
    for n in 0..100 {
        store.put(key(n), code(n, 1000)).unwrap();
        assert!(store.size().unwrap() <= limit);
        // Key 0 stays in use, so it outlives those that came after it.
        std::thread::sleep(std::time::Duration::from_millis(2));
        assert_eq!(store.get(&key(0)), Lookup::Hit(code(0, 1000)), "after {n}");
    }
    assert_eq!(store.get(&key(1)), Lookup::Miss);
    assert_eq!(store.get(&key(99)), Lookup::Hit(code(99, 1000)));
    assert!(store.stats().evicted > 80);
    assert_eq!(store.put(key(200), code(0, 30_000)).unwrap(), 0, "larger than the store");
    assert_eq!(store.get(&key(99)), Lookup::Hit(code(99, 1000)));
}

#[test]
fn a_killed_writers_file_is_cleaned_away() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let left = store.directory().join(".tmp-123-0");
    std::fs::write(&left, b"half an ent").unwrap();
    assert_eq!(store.size().unwrap(), 0);
    store.put(key(1), code(1, 10)).unwrap();
    assert!(!left.exists());
    assert_eq!(store.stats().orphans, 1);
}

#[cfg(unix)]
#[test]
fn what_others_may_write_is_refused() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let chmod = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = open(&path);
    let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o700);
    store.put(key(1), code(1, 10)).unwrap();
    let entry = store.directory().join(key(1).file_name());

    for mode in [0o777, 0o770, 0o720, 0o702, 0o1777] {
        chmod(&path, mode);
        let error = CodeStore::open(&path, 1 << 20).unwrap_err();
        assert!(matches!(error, StoreError::Untrusted { .. }), "{mode:o}: {error}");
        assert!(error.to_string().contains("chmod"), "{error}");
        // A store that was opened before notices too.
        assert!(matches!(store.get(&key(1)), Lookup::Rejected(Rejection::Untrusted(_))));
        assert!(matches!(store.put(key(2), code(2, 10)), Err(StoreError::Untrusted { .. })));
    }
    chmod(&path, 0o755);
    assert_eq!(open(&path).get(&key(1)), Lookup::Hit(code(1, 10)));

    chmod(directory.path(), 0o777);
    let error = CodeStore::open(&path, 1 << 20).unwrap_err();
    assert!(matches!(error, StoreError::Untrusted { .. }), "an ancestor: {error}");
    chmod(directory.path(), 0o700);

    chmod(&entry, 0o666);
    assert!(matches!(store.get(&key(1)), Lookup::Rejected(Rejection::Untrusted(_))));
    chmod(&entry, 0o600);
    assert_eq!(store.get(&key(1)), Lookup::Hit(code(1, 10)));

    let elsewhere = directory.path().join("elsewhere");
    std::fs::rename(&entry, &elsewhere).unwrap();
    symlink(&elsewhere, &entry).unwrap();
    assert!(matches!(store.get(&key(1)), Lookup::Rejected(_)), "a symbolic link");
    std::fs::remove_file(&entry).unwrap();
    std::fs::create_dir(&entry).unwrap();
    assert!(matches!(store.get(&key(1)), Lookup::Rejected(_)), "a directory");
}

#[test]
fn a_file_in_the_directorys_place_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    std::fs::write(&path, b"").unwrap();
    assert!(matches!(CodeStore::open(&path, 1), Err(StoreError::Io { .. })));
}

#[test]
fn threads_share_a_store() {
    let directory = tempfile::tempdir().unwrap();
    let limit = 200_000;
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let directory = directory.path();
            scope.spawn(move || {
                let store = CodeStore::open(directory, limit).unwrap();
                exercise(&store, thread, 40);
                assert!(store.size().unwrap() <= limit);
            });
        }
    });
    assert!(open(directory.path()).size().unwrap() > 0);
}

/// Puts and gets keys that other writers use as well. Every hit must be right.
fn exercise(store: &CodeStore, seed: u32, rounds: u32) {
    let mut hits = 0;
    for round in 0..rounds {
        let n = (seed * 7 + round * 3) % 50;
        store.put(key(n), code(n, 100 + n as usize)).unwrap();
        for n in 0..50 {
            match store.get(&key(n)) {
                Lookup::Hit(found) => {
                    assert_eq!(found, code(n, 100 + n as usize));
                    hits += 1;
                }
                Lookup::Miss => {}
                Lookup::Rejected(rejection) => panic!("{n}: {rejection}"),
            }
        }
    }
    assert!(hits > rounds);
}

/// Set for child processes: the store's directory and a seed.
const CHILD: &str = "EGRAFT_SEAM_STORE_TEST_CHILD";

/// Not a test of its own: the body of the child processes below.
#[test]
fn child_process() {
    let Ok(task) = std::env::var(CHILD) else {
        return;
    };
    let (seed, directory) = task.split_once(':').unwrap();
    let store = CodeStore::open(Path::new(directory), 1 << 20).unwrap();
    let seed = seed.parse().unwrap();
    if seed == u32::MAX {
        // To be killed at some point.
        for n in 0.. {
            let _ = store.put(key(n % 50), code(n % 50, 100 + (n % 50) as usize));
        }
    }
    exercise(&store, seed, 30);
}

fn child(directory: &Path, seed: u32) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "child_process"])
        .env(CHILD, format!("{seed}:{}", directory.display()))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

#[test]
fn processes_share_a_store_and_killed_writers_do_no_harm() {
    let directory = tempfile::tempdir().unwrap();
    let mut killed = 0;
    let mut children: Vec<_> =
        (0..3).map(|seed| child(directory.path(), seed).spawn().unwrap()).collect();
    for round in 0..10 {
        let mut victim = child(directory.path(), u32::MAX).spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(20 + 7 * round));
        victim.kill().unwrap();
        assert!(!victim.wait().unwrap().success());
        killed += 1;
    }
    for child in &mut children {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(killed, 10);
    let store = open(directory.path());
    exercise(&store, 9, 30);
    assert_eq!(store.stats().rejected, 0);
    let left = std::fs::read_dir(directory.path())
        .unwrap()
        .filter(|file| file.as_ref().unwrap().file_name().to_string_lossy().starts_with(".tmp-"))
        .count();
    assert_eq!(left, 0);
}
