//! What holds whatever happens to the disk, and between processes.

use super::*;
use crate::base::{Digest, Hint as _, Key};
use proptest::prelude::*;
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Command, Stdio},
};

fn key(name: &str) -> Key {
    Key(Digest::of(name.as_bytes()))
}

fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join(".mstar")).unwrap();
    (folder, store)
}

fn provenance() -> Provenance {
    Provenance {
        kind: "train".into(),
        behaviour: 1,
        options: serde_json::json!({"learning_rate": 1e-6}),
        inputs: BTreeMap::from([("policy".to_owned(), key("policy"))]),
        computed_on: "cpu".into(),
    }
}

fn make(store: &Store, name: &str, files: &[(&str, &[u8])]) -> Artifact {
    let lock = store.lock(key(name)).unwrap().unwrap();
    let staging = store.staging(key(name)).unwrap();
    for (name, bytes) in files {
        staging.results().write(name, bytes).unwrap();
    }
    staging.work().write("checkpoint", b"to be forgotten").unwrap();
    store.commit(&lock, provenance(), Sync::Now).unwrap()
}

fn record(store: &Store, name: &str, keys: &[&str]) -> RunLog {
    let keys: Vec<Key> = keys.iter().map(|name| key(name)).collect();
    let files = RunFiles { recipe: "format = 1", resolved: "format = 1", graph: "{}", keys: &keys };
    store.create_run(name, &files).unwrap()
}

fn files_under(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files_under(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

#[test]
fn an_artifact_holds_its_results_and_nothing_else() {
    let (_folder, store) = store();
    let made = make(&store, "a", &[("model.safetensors", b"weights"), ("hf/config.json", b"{}")]);
    assert_eq!(made.bytes(), 9);
    let found = store.artifact(key("a")).unwrap().unwrap();
    assert_eq!(found.manifest(), made.manifest());
    assert_eq!(found.manifest().provenance, provenance());
    assert_eq!(found.read("hf/config.json").unwrap(), b"{}");
    assert_eq!(fs::read(found.path("model.safetensors").unwrap()).unwrap(), b"weights");
    assert!(!found.contains("checkpoint"));
    assert!(matches!(found.read("checkpoint"), Err(Error::NoSuchFile { .. })));
    assert!(store.artifact(key("b")).unwrap().is_none());
    assert!(files_under(&store.path().join("staging-v1")).is_empty());
}

#[test]
fn equal_work_gives_equal_bytes_and_may_be_committed_twice() {
    let bytes = |store: &Store| {
        let paths = files_under(&store.path().join("artifact-v1"));
        paths.iter().map(|path| fs::read(path).unwrap()).collect::<Vec<_>>()
    };
    let (_one, first) = store();
    let (_two, second) = store();
    make(&first, "a", &[("x", b"1"), ("y", b"2")]);
    make(&second, "a", &[("y", b"2"), ("x", b"1")]);
    assert_eq!(bytes(&first), bytes(&second));
    make(&first, "a", &[("x", b"1"), ("y", b"2")]);
    assert_eq!(bytes(&first), bytes(&second));
}

#[test]
fn a_commit_over_an_altered_artifact_replaces_it() {
    let (_folder, store) = store();
    let path = make(&store, "a", &[("x", b"one")]).path("x").unwrap();
    File::options().write(true).open(path).unwrap().write_all(b"t").unwrap();
    make(&store, "a", &[("x", b"one")]).verify().unwrap();
    store.artifact(key("a")).unwrap().unwrap().verify().unwrap();
}

#[test]
fn names_cannot_leave_their_folder() {
    let (_folder, store) = store();
    let staging = store.staging(key("a")).unwrap();
    for name in ["", "..", "../x", "/etc/passwd", "a//b", "a/../b", ".hidden", "a b", "a\\b"] {
        let refused = staging.results().write(name, b"");
        assert!(matches!(refused, Err(Error::BadName { .. })), "{name}");
        assert!(staging.results().read(name).is_err(), "{name}");
    }
    assert!(matches!(store.run("../run-v1"), Err(Error::NoSuchRun { .. })));
}

#[test]
fn a_staged_file_appears_when_it_is_finished() {
    let (_folder, store) = store();
    let staging = store.staging(key("a")).unwrap();
    let mut file = staging.work().create("large").unwrap();
    file.write_all(b"half").unwrap();
    assert!(!staging.work().exists("large"));
    assert!(staging.work().list().unwrap().is_empty());
    drop(file);
    assert!(
        fs::read_dir(staging.work().path("large").unwrap().parent().unwrap())
            .unwrap()
            .next()
            .is_none()
    );
    let mut file = staging.work().create("large").unwrap();
    file.write_all(b"whole").unwrap();
    file.finish().unwrap();
    assert_eq!(staging.work().read("large").unwrap().unwrap(), b"whole");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A store with one byte changed, or one file cut or removed, either says so or lost nothing.
    #[test]
    fn any_damage_is_found(
        file in 0_usize..3,
        at in 0_usize..2000,
        change in 0_u8..=255,
        how in 0..3,
    ) {
        let (_folder, store) = store();
        make(&store, "a", &[("x", b"some bytes"), ("y", b"others")]);
        let whole = store.artifact(key("a")).unwrap().unwrap();
        let path = files_under(&store.path().join("artifact-v1")).swap_remove(file);
        let mut bytes = fs::read(&path).unwrap();
        let at = at % bytes.len();
        match how {
            0 => bytes[at] ^= change,
            1 => bytes.truncate(at),
            _ => bytes.clear(),
        }
        File::options().write(true).truncate(true).open(&path).unwrap().write_all(&bytes).unwrap();
        let looked = store.artifact(key("a")).and_then(|found| {
            let found = found.expect("its folder is there");
            found.verify()?;
            Ok(found)
        });
        match looked {
            Ok(found) => prop_assert_eq!(found.manifest(), whole.manifest()),
            Err(Error::Altered { .. }) => {
                let lock = store.lock(key("a")).unwrap().unwrap();
                prop_assert!(store.discard_altered(&lock).unwrap());
                drop(lock);
                make(&store, "a", &[("x", b"some bytes"), ("y", b"others")]).verify().unwrap();
            }
            Err(other) => prop_assert!(false, "{}", other),
        }
    }

    /// Wherever a process stopped before the last rename, the stage can be done again.
    #[test]
    fn any_leftover_in_staging_can_be_gone_on_from(cut in 0_usize..12, manifest in any::<bool>()) {
        let (_folder, store) = store();
        let staging = store.staging(key("a")).unwrap();
        let folder = staging.results().path("x").unwrap();
        let folder = folder.parent().unwrap();
        for name in [".x.1-1.tmp", "x", if manifest { MANIFEST } else { "y" }] {
            let mut options = File::options();
            let mut file = options.create_new(true).write(true).open(folder.join(name)).unwrap();
            file.write_all(&b"{\"format\":1}"[..cut]).unwrap();
        }
        prop_assert!(store.artifact(key("a")).unwrap().is_none());
        let artifact = make(&store, "a", &[("x", b"some bytes"), ("y", b"others")]);
        let names: Vec<_> = artifact.manifest().files.keys().cloned().collect();
        prop_assert_eq!(names, ["x", "y"]);
        store.artifact(key("a")).unwrap().unwrap().verify().unwrap();
    }
}

#[test]
fn other_layouts_and_other_folders_are_refused() {
    let (folder, store) = store();
    assert!(Store::open_existing(&folder.path().join("none")).unwrap().is_none());
    assert!(!folder.path().join("none").exists());
    let mut version =
        File::options().write(true).truncate(true).open(store.path().join("version")).unwrap();
    version.write_all(b"2\n").unwrap();
    let refused = Store::open(store.path()).unwrap_err();
    assert!(matches!(&refused, Error::Version { found, known: 1, .. } if found == "2"));
    assert!(refused.hint().unwrap().contains("--store"));
    File::options().create_new(true).write(true).open(folder.path().join("thesis.tex")).unwrap();
    let refused = Store::open(folder.path()).unwrap_err();
    assert!(matches!(refused, Error::NotAStore { .. }), "a folder with something else in it");
    let refused = Store::open(&store.path().join("version")).unwrap_err();
    assert!(matches!(refused, Error::NotAFolder { .. }));
    let refused = Store::open(&store.path().join("version/below")).unwrap_err();
    assert!(refused.hint().is_some(), "{refused}");
    assert!(Store::open(Path::new("/proc/mstar")).unwrap_err().to_string().contains("/proc/mstar"));
}

#[test]
fn a_full_disk_says_what_is_free_and_what_to_do() {
    if !Path::new("/dev/full").exists() {
        return;
    }
    let refused = disk::write(Path::new("/dev/full"), b"bytes", Sync::Later).unwrap_err();
    assert!(refused.is_disk_full(), "{refused}");
    assert!(refused.to_string().starts_with("cannot write `/dev/full`"), "{refused}");
    let hint = refused.hint().unwrap();
    assert!(hint.contains("free") && hint.contains("mstar gc"), "{hint}");
}

const HOLDER: &str = "MSTAR_TEST_LOCK_HOLDER";

#[test]
fn lock_holder() {
    if let Some(path) = std::env::var_os(HOLDER) {
        let store = Store::open(Path::new(&path)).unwrap();
        let _lock = store.lock(key("alone")).unwrap().unwrap();
        let _presence = store.presence(key("worked-on")).unwrap();
        println!("\nheld");
        std::thread::sleep(std::time::Duration::from_secs(60));
    }
}

#[test]
fn locks_keep_others_out_and_end_with_their_process() {
    let (_folder, store) = store();
    let mut holder = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store::tests::lock_holder", "--nocapture"])
        .env(HOLDER, store.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(holder.stdout.take().unwrap()).lines();
    assert!(lines.map_while(Result::ok).any(|line| line == "held"));
    assert!(store.lock(key("alone")).unwrap().is_none());
    assert!(store.lock(key("worked-on")).unwrap().is_none(), "an orphan is still at it");
    holder.kill().unwrap();
    holder.wait().unwrap();
    assert!(store.lock(key("alone")).unwrap().is_some());
    assert!(store.lock(key("worked-on")).unwrap().is_some());
    let one = store.lock(key("alone")).unwrap();
    assert!(store.lock(key("alone")).unwrap().is_none());
    drop(one);
    assert!(store.lock(key("alone")).unwrap().is_some());
    assert!(files_under(&store.path().join("lock-v1")).is_empty(), "nothing is left behind");
}

#[test]
fn runs_are_numbered_and_a_torn_log_can_be_read() {
    let (_folder, store) = store();
    assert!(store.latest_run().unwrap().is_none());
    for name in ["zeta", "alpha", "../odd name"] {
        let mut log = record(&store, name, &["a"]);
        log.append(r#"{"event":"x"}"#).unwrap();
        log.close().unwrap();
    }
    let runs = store.runs().unwrap();
    let ids: Vec<&str> = runs.iter().map(Run::id).collect();
    assert_eq!(ids, ["zeta-1", "alpha-2", "-odd-name-3"]);
    let latest = store.latest_run().unwrap().unwrap();
    assert_eq!(latest.id(), "-odd-name-3");
    assert_eq!(latest.keys(), [key("a")]);
    assert_eq!(latest.recipe().unwrap(), "format = 1");
    let log = latest.folder().join("events.jsonl");
    File::options().write(true).open(log).unwrap().set_len(7).unwrap();
    assert_eq!(latest.events().unwrap(), r#"{"event"#);
}

#[test]
fn a_run_is_gone_on_with_by_one_alone_and_after_its_last_whole_line() {
    let (_folder, store) = store();
    assert!(matches!(store.reopen_run("first-1"), Err(Error::NoSuchRun { .. })));
    let mut log = record(&store, "first", &["a"]);
    log.append("one").unwrap();
    log.append("two").unwrap();
    let refused = store.reopen_run("first-1").unwrap_err();
    assert!(matches!(refused, Error::LivingRun { .. }) && refused.hint().is_some(), "{refused}");
    drop(log);
    let run = store.run("first-1").unwrap();
    let path = run.folder().join("events.jsonl");
    for torn in [&b"th"[..], "thr\u{e9}".as_bytes(), &[0xff, 0]] {
        File::options().append(true).open(&path).unwrap().write_all(torn).unwrap();
        let mut log = store.reopen_run("first-1").unwrap();
        assert_eq!(run.events().unwrap(), "one\ntwo\n");
        assert!(store.reopen_run("first-1").is_err());
        assert_eq!(log.id(), "first-1");
        log.append("").unwrap();
        log.close().unwrap();
        fs::write(&path, "one\ntwo\n").unwrap();
    }
    store.gc(&Retention { keep_runs: Some(0), dry_run: false }).unwrap();
    assert!(store.runs().unwrap().is_empty(), "it is let go of in the end");
}

#[test]
fn a_record_that_cannot_be_read_is_passed_over_and_named() {
    let (_folder, store) = store();
    for name in ["first", "second"] {
        record(&store, name, &["a"]).close().unwrap();
    }
    fs::write(store.run("second-2").unwrap().folder().join("run.json"), "{").unwrap();
    fs::create_dir(store.path().join("run-v1/empty-9")).unwrap();
    fs::write(store.path().join("run-v1/notes.txt"), "no run").unwrap();
    let ids: Vec<String> = store.runs().unwrap().iter().map(|run| run.id().to_owned()).collect();
    assert_eq!(ids, ["first-1"]);
    let unreadable = store.unreadable_runs().unwrap();
    let named: Vec<String> = unreadable.iter().map(ToString::to_string).collect();
    assert_eq!(named.len(), 2, "{named:?}");
    assert!(named[0].contains("`empty-9`") && named[1].contains("`second-2`"), "{named:?}");
    let log = record(&store, "second", &["a"]);
    assert_eq!(log.id(), "second-10", "no number is given twice");
}

#[test]
fn gc_keeps_what_runs_name() {
    let (_folder, store) = store();
    for name in ["old", "both", "new", "none"] {
        make(&store, name, &[("x", b"12345")]);
    }
    record(&store, "first", &["old", "both"]).close().unwrap();
    record(&store, "second", &["both", "new", "unfinished"]).close().unwrap();
    for name in ["unfinished", "forgotten", "both"] {
        store.staging(key(name)).unwrap().work().write("checkpoint", b"1").unwrap();
    }
    fs::copy("/proc/self/cmdline", store.path().join("tmp/leftover")).unwrap();
    let there = |name: &str| store.artifact(key(name)).unwrap().is_some();

    let dry = Retention { keep_runs: None, dry_run: true };
    let said = store.gc(&dry).unwrap();
    assert!(there("none"), "a dry run removes nothing");
    assert_eq!(store.gc(&Retention::default()).unwrap(), said);
    let mut what: Vec<Removable> = said.into_iter().map(|removal| removal.what).collect();
    what.sort();
    let mut expected = vec![
        Removable::Artifact(key("none")),
        Removable::Staging(key("forgotten")),
        Removable::Staging(key("both")),
        Removable::Leftover("leftover".into()),
    ];
    expected.sort();
    assert_eq!(what, expected);
    assert!(there("old") && there("both") && there("new") && !there("none"));
    assert!(store.staging_folder(key("unfinished")).exists());

    let running = record(&store, "third", &["old"]);
    store.gc(&Retention { keep_runs: Some(0), dry_run: false }).unwrap();
    assert!(there("old"), "a run that goes on keeps what it names");
    assert!(!there("both") && !there("new"));
    running.close().unwrap();
    store.gc(&Retention { keep_runs: Some(0), dry_run: false }).unwrap();
    assert!(!there("old"));
    assert!(store.runs().unwrap().is_empty());
}

#[test]
fn gc_refuses_when_a_record_cannot_be_read() {
    let (_folder, store) = store();
    make(&store, "a", &[("x", b"1")]);
    record(&store, "first", &["a"]).close().unwrap();
    let about = store.run("first-1").unwrap().folder().join("run.json");
    File::options().write(true).open(about).unwrap().set_len(3).unwrap();
    assert!(matches!(store.gc(&Retention::default()), Err(Error::BadRun { .. })));
    assert!(store.artifact(key("a")).unwrap().is_some());
}
