//! Where the program is tried as a user tries it: a folder of its own, with a recipe that takes
//! seconds and a store beside it.

use mstar::base::Digest;
use mstar::event::{Event, Record};
use mstar::store::Store;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use tempfile::TempDir;

/// Two iterations beside their control. The warm-up has two shards.
pub(crate) const RECIPE: &str = r#"format = 1
name = "tiny"

[policy]
model = "builtin:mini-vlm"

[data]
source = "builtin:mini-vista"
prompts = 520
validation = 16
test = 16

[warmup]
prompts = 520
samples = 1
temperature = 0.5
keep = 24

[training]
method = "continuous"
interval = 0.05
iterations = 2
steps_per_iteration = 12
batch_size = 8
learning_rate = 7e-4

[exploration]
samples = 2
max_new_tokens = 28

[temperature]
value = 0.5

[evaluation]
pass_samples = 2

[control]
equal_steps = true
data = "warmup"
"#;

/// The end of a recipe over data of its own: one iteration of seconds.
pub(crate) const SMALL: &str = r#"[warmup]
prompts = 16
samples = 1
[training]
iterations = 1
interval = 0.5
allow_empty = true
batch_size = 8
[exploration]
samples = 1
max_new_tokens = 24
[temperature]
value = 0.5
"#;

/// Kinds of stages that give the policy and the prompts.
pub(crate) const GROUND: &[&str] = &["import", "prepare"];
/// Kinds of stages that give the policy.
pub(crate) const POLICY: &[&str] = &["import"];

/// What a command left.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Said {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("data is UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("talk is UTF-8"),
        }
    }

    /// The same, when the exit code is this one.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}\n{}", self.stdout, self.stderr);
        self
    }

    /// The data as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).expect("the data is JSON")
    }

    /// Everything, for a snapshot.
    pub(crate) fn told(&self) -> String {
        let code = self.code.map_or("a signal".to_owned(), |code| code.to_string());
        let mut text = format!("exit {code}\n");
        for (name, stream) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !stream.is_empty() {
                text += &format!("-- {name}\n{stream}");
            }
        }
        text
    }

    /// The lines of the talk that begin with one of these words.
    pub(crate) fn talk(&self, words: &[&str]) -> String {
        let is_meant = |line: &&str| words.iter().any(|word| line.trim_start().starts_with(word));
        self.stderr.lines().filter(is_meant).map(|line| format!("{line}\n")).collect()
    }
}

/// Compares with the snapshot of that name. Only seconds are left out.
#[track_caller]
pub(crate) fn assert_told(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_omit_expression(true);
    settings.add_filter(r"\b\d+(\.\d+)? (ms|s)\b", "[time]");
    settings.bind(|| insta::assert_snapshot!(name, text));
}

/// A folder to try the program in.
pub(crate) struct Sandbox {
    folder: TempDir,
}

impl Sandbox {
    /// With the recipe `tiny.toml` and no store.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("there is a folder for temporary files");
        fs::write(folder.path().join("tiny.toml"), RECIPE).unwrap();
        Self { folder }
    }

    /// With a store in which `tiny.toml` was carried out.
    pub(crate) fn finished() -> Self {
        let sandbox = Self::new();
        copy(&finished().0.join(".mstar"), &sandbox.store());
        sandbox
    }

    /// With a store in which nothing is left of a run but the artifacts of some kinds of stages.
    pub(crate) fn with_only(kinds: &[&str]) -> Self {
        let sandbox = Self::finished();
        sandbox.forget(|kind, _| !kinds.contains(&kind));
        fs::remove_dir_all(sandbox.store().join("run-v1")).unwrap();
        sandbox
    }

    /// What a terminal shows when these lines are typed; `None` where no terminal can be had.
    pub(crate) fn in_terminal(&self, call: &[&str], typed: &str, colour: bool) -> Option<String> {
        let call = format!("{} {}", env!("CARGO_BIN_EXE_mstar"), call.join(" "));
        let mut command = Command::new("script");
        command.args(["--quiet", "--return", "--command", &call, "/dev/null"]);
        command.current_dir(self.path("")).env("NO_COLOR", if colour { "" } else { "1" });
        command.env_remove("MSTAR_STORE").env("TERM", "xterm");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().ok()?;
        child.stdin.take().unwrap().write_all(typed.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        Some(String::from_utf8(output.stdout).unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.path(".mstar")
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).unwrap();
    }

    /// The program, as it is called in this folder.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = program();
        command.args(arguments).current_dir(self.folder.path());
        command
    }

    /// Calls the program and waits for it.
    pub(crate) fn mstar(&self, arguments: &[&str]) -> Said {
        Said::of(self.command(arguments).output().expect("the program starts"))
    }

    /// Starts the program; what it says is thrown away, or goes to a file.
    pub(crate) fn start(&self, arguments: &[&str], stderr: Option<&str>) -> Child {
        let talk = match stderr {
            Some(name) => fs::File::create(self.path(name)).unwrap().into(),
            None => Stdio::null(),
        };
        let mut command = self.command(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(talk);
        command.spawn().expect("the program starts")
    }

    /// Digests of all files of all artifacts.
    pub(crate) fn artifacts(&self) -> BTreeMap<String, Digest> {
        artifacts(&self.store())
    }

    /// Takes artifacts away by kind and key.
    pub(crate) fn forget(&self, is_meant: impl Fn(&str, &str) -> bool) {
        for (key, kind, folder) in self.kinds() {
            if is_meant(&kind, &key) {
                fs::remove_dir_all(folder).unwrap();
            }
        }
    }

    /// Key, kind and folder of all artifacts.
    fn kinds(&self) -> Vec<(String, String, PathBuf)> {
        let mut found = Vec::new();
        for prefix in entries(&self.store().join("artifact-v1")) {
            for folder in entries(&prefix) {
                let text = fs::read_to_string(folder.join("manifest.json")).unwrap();
                let manifest: serde_json::Value = serde_json::from_str(&text).unwrap();
                let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
                let kind = text(&manifest["provenance"]["kind"]);
                found.push((text(&manifest["key"]), kind, folder));
            }
        }
        found
    }

    /// The folder of the artifact of a stage, by the stage's name in the latest run.
    pub(crate) fn artifact_of(&self, name: &str) -> PathBuf {
        let key = self.key_of(name);
        self.store().join("artifact-v1").join(&key[..2]).join(key)
    }

    /// The key of a stage, by its name in the latest run.
    pub(crate) fn key_of(&self, name: &str) -> String {
        let planned = self.records().into_iter().find_map(|event| match event {
            Event::Planned { stages, .. } => Some(stages),
            _ => None,
        });
        let stages = planned.expect("a run begins with its plan");
        stages.into_iter().find(|stage| stage.name == name).expect(name).key.to_string()
    }

    /// What was said in the latest run so far.
    pub(crate) fn records(&self) -> Vec<Event> {
        self.logs().pop().unwrap_or_default()
    }

    /// What was said in each run, oldest first.
    pub(crate) fn logs(&self) -> Vec<Vec<Event>> {
        let Ok(Some(store)) = Store::open_existing(&self.store()) else { return Vec::new() };
        let log = |run: mstar::store::Run| {
            let records = Record::read_log(&run.events().unwrap()).expect("the log is whole");
            records.into_iter().map(|record| record.event).collect()
        };
        store.runs().unwrap().into_iter().map(log).collect()
    }
}

/// The program, with nothing of the surroundings that it would listen to.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mstar"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("MSTAR_") {
            command.env_remove(name);
        }
    }
    command.env("OMP_NUM_THREADS", "1");
    // What is known of files on somebody's disk changes no test.
    command.env("MSTAR_CACHE", "");
    // What lies in somebody's cache of the hub changes no test, and no test asks the hub.
    command.env("HF_HOME", "/nowhere/hub").env("HF_HUB_OFFLINE", "1").env_remove("HF_HUB_CACHE");
    command
}

/// Calls the program in the project's own folder, with a store that is not there.
pub(crate) fn mstar_at_home(arguments: &[&str]) -> Said {
    let mut command = program();
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(["--store", "target/no-store"]);
    Said::of(command.args(arguments).output().expect("the program starts"))
}

/// A folder in which `tiny.toml` was carried out undisturbed by two workers, and what was said
/// meanwhile. Made once; nobody writes there.
pub(crate) fn finished() -> &'static (PathBuf, Said) {
    static FINISHED: std::sync::LazyLock<(PathBuf, Said)> = std::sync::LazyLock::new(|| {
        let parent = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let process = |path: &Path| path.extension()?.to_str()?.parse::<u32>().ok();
        for old in entries(parent) {
            let process = process(&old);
            if process.is_some_and(|process| !Path::new(&format!("/proc/{process}")).exists()) {
                fs::remove_dir_all(old).ok();
            }
        }
        let folder = parent.join(format!("finished.{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("tiny.toml"), RECIPE).unwrap();
        let mut command = program();
        command.args(["run", "tiny.toml", "--workers", "2"]).current_dir(&folder);
        let said = Said::of(command.output().expect("the program starts"));
        (folder, said.exits(0))
    });
    &FINISHED
}

/// Digests of all files of all artifacts in a store.
pub(crate) fn artifacts(store: &Path) -> BTreeMap<String, Digest> {
    let root = store.join("artifact-v1");
    let mut found = BTreeMap::new();
    let mut left = vec![root.clone()];
    while let Some(path) = left.pop() {
        if path.is_dir() {
            left.extend(entries(&path));
        } else {
            let name = path.strip_prefix(&root).unwrap().display().to_string();
            found.insert(name, Digest::of(&fs::read(&path).unwrap()));
        }
    }
    found
}

/// Fails with the names of the files that are not the same.
#[track_caller]
pub(crate) fn assert_same(found: &BTreeMap<String, Digest>, wanted: &BTreeMap<String, Digest>) {
    let other = |a: &BTreeMap<String, Digest>, b: &BTreeMap<String, Digest>| {
        let differs = |(name, digest): &(&String, &Digest)| b.get(*name) != Some(*digest);
        a.iter().filter(differs).map(|(name, _)| name.clone()).collect::<Vec<_>>()
    };
    let (more, less) = (other(found, wanted), other(wanted, found));
    assert!(!wanted.is_empty(), "there is something to compare with");
    assert!(
        more.is_empty() && less.is_empty(),
        "only or otherwise here: {more:#?}\nthere: {less:#?}"
    );
}

pub(crate) fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(found) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = found.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        fs::create_dir_all(to).unwrap();
        for path in entries(from) {
            copy(&path, &to.join(path.file_name().unwrap()));
        }
    } else {
        fs::copy(from, to).unwrap();
    }
}
