//! What cannot be read or written is told as it was named, and is no failed stage.

use crate::index::four_runs;
use crate::sandbox::assert_told;
use std::fs;

#[test]
fn commands_name_what_the_user_named() {
    let sandbox = four_runs();
    let store = sandbox.store();
    let mut told = String::new();
    let mut tell = |arguments: &[&str]| {
        let said = sandbox.mstar(arguments);
        told += &format!("# {}\n{}", arguments.join(" "), said.told());
        said
    };
    tell(&["report", "mini-1", "--format", "csv", "--output", "no/such.csv"]).exits(2);
    tell(&["report", "mini-1", "--format", "html", "--output", "no/such.html"]).exits(2);
    fs::create_dir(sandbox.path("folder")).unwrap();
    tell(&["report", "mini-1", "--format", "csv", "--output", "folder"]).exits(2);
    assert!(fs::read_dir(sandbox.path("folder")).unwrap().next().is_none());
    // An index that cannot be removed is asked around, unless a new one is all that is wanted.
    sandbox.mstar(&["index"]).exits(0);
    fs::remove_file(store.join("index-v1.sqlite")).unwrap();
    fs::create_dir(store.join("index-v1.sqlite")).unwrap();
    tell(&["index", "--rebuild"]).exits(2);
    tell(&["index"]).exits(0);
    fs::remove_dir(store.join("index-v1.sqlite")).unwrap();
    // Where no lock can be taken nothing can be removed, and all can be looked at.
    fs::remove_dir_all(store.join("lock-v1")).unwrap();
    sandbox.write(".mstar/lock-v1", "");
    tell(&["gc"]).exits(2);
    let said = sandbox.mstar(&["gc", "--dry-run", "--keep-runs", "1"]).exits(0);
    assert!(said.stdout.contains("run mini-1"), "{}", said.stdout);
    fs::write(store.join("run-v1/mini-1/run.json"), "{").unwrap();
    tell(&["show", "mini-1", "--quiet"]).exits(2);
    tell(&["gc", "--dry-run"]).exits(2);
    assert_told("unwritable", &told);
}

#[cfg(feature = "torch")]
#[test]
fn what_only_a_report_reads_is_told_when_it_was_altered() {
    let sandbox = crate::sandbox::Sandbox::finished();
    assert_eq!(sandbox.mstar(&["report"]).exits(0).stderr, "");
    let file = sandbox.artifact_of("evaluate 2 test").join("rollouts.parquet");
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, bytes).unwrap();
    let said = sandbox.mstar(&["report"]).exits(0);
    let key = &sandbox.key_of("evaluate 2 test")[..12];
    let warning =
        format!("warning: artifact {key} was altered: `rollouts.parquet` is not what was stored");
    assert!(said.stderr.contains(&warning), "{}", said.stderr);
    let way_out = "and the next `mstar run` makes it again";
    assert!(said.stderr.contains(way_out), "{}", said.stderr);
    fs::remove_dir_all(file.parent().unwrap()).unwrap();
    sandbox.mstar(&["run", "--resume", "tiny-1"]).exits(0);
    assert_eq!(sandbox.mstar(&["report"]).exits(0).stderr, "");
}
