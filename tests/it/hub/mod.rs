//! What is brought from the hub: into the cache that Python has too, and whatever the hub does.

mod server;

use crate::sandbox::{SMALL, Said, Sandbox};
use mstar::base::{Hint as _, Seed};
use mstar::data::Sample;
use mstar::data::mini_vista::{MiniVista, POOL_ONE_OPERATION, Stream};
use mstar::hub::{self, HubError, Progress, Repo, Settings, Snapshot, Token};
use server::{COMMIT, Hub, git_sha1, sha256};
use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::time::Duration;
use tempfile::TempDir;

const ID: &str = "org/model";
const WEIGHTS: &str = "model.safetensors";

/// Bytes that are like no others.
fn noise(count: usize) -> Vec<u8> {
    (0..count as u64).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

/// A hub with one model, and a cache for it.
struct Case {
    hub: Hub,
    folder: TempDir,
    settings: Settings,
}

impl Case {
    fn new(files: &[(&str, &[u8])]) -> Self {
        let hub = Hub::new().with(ID, files);
        let folder = tempfile::tempdir().unwrap();
        let home = OsString::from(folder.path());
        let settings = Settings {
            endpoint: hub.url.clone(),
            first_wait: Duration::from_millis(2),
            ..Settings::of_environment(&|name| (name == "HF_HOME").then(|| home.clone()))
        };
        Self { hub, folder, settings }
    }

    fn of_model(weights: &[u8]) -> Self {
        Self::new(&[("config.json", b"{}"), (WEIGHTS, weights)])
    }

    fn bring(&self) -> Result<Snapshot, HubError> {
        self.bring_repo(&Repo::model(ID, "main").unwrap())
    }

    fn bring_repo(&self, repo: &Repo) -> Result<Snapshot, HubError> {
        hub::snapshot(repo, &self.settings, &mut |_| {})
    }

    fn blob(&self, name: &str) -> PathBuf {
        self.settings.cache.join("models--org--model/blobs").join(name)
    }

    /// Ranges of the large files that were brought.
    fn ranges(&self) -> Vec<Option<String>> {
        let asked = self.hub.asked().into_iter();
        asked.filter(|it| it.is_of_store).map(|it| it.range).collect()
    }
}

fn read(snapshot: &Snapshot, name: &str) -> Vec<u8> {
    std::fs::read(snapshot.folder.join(name)).unwrap()
}

/// What went wrong and the way out, without what differs from run to run.
fn told(case: &Case, error: &HubError) -> String {
    let text = format!("{error}\nhint: {}", error.hint().unwrap_or_default());
    let folder = case.folder.path().display().to_string();
    text.replace(&case.hub.url, "HUB").replace(&folder, "HOME")
}

/// The program with this hub and a home of its own.
fn mstar(sandbox: &Sandbox, hub: &Hub, arguments: &[&str], variables: &[(&str, &str)]) -> Said {
    let mut command = sandbox.command(arguments);
    for name in ["HF_TOKEN", "XDG_CACHE_HOME"] {
        command.env_remove(name);
    }
    command.env("HF_HOME", sandbox.path("hf")).env("HF_ENDPOINT", &hub.url);
    command.env("HF_HUB_OFFLINE", "0");
    Said::of(command.envs(variables.iter().copied()).output().unwrap())
}

fn fetch(sandbox: &Sandbox, hub: &Hub, arguments: &[&str], variables: &[(&str, &str)]) -> Said {
    mstar(sandbox, hub, &[&["fetch"], arguments].concat(), variables)
}

/// The folder of a snapshot as Python's `huggingface_hub` finds it, without asking anybody.
fn in_python(home: &Path, id: &str, kind: &str) -> String {
    let python = std::env::var_os("MSTAR_TEST_PYTHON")
        .expect("MSTAR_TEST_PYTHON must name a Python with tests/parity/requirements.txt");
    let script = "import sys, huggingface_hub as hub\n\
                  print(hub.snapshot_download(sys.argv[1], repo_type=sys.argv[2], \
                  local_files_only=True))\n\
                  found = hub.scan_cache_dir()\n\
                  print(len(found.warnings), sorted(r.repo_id for r in found.repos))";
    let mut command = Command::new(python);
    command.args(["-c", script, id, kind]).env("HF_HOME", home).env("HF_HUB_OFFLINE", "1");
    let output = command.env_remove("HF_HUB_CACHE").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_model_is_brought_into_the_cache_that_python_has() {
    let sandbox = Sandbox::new();
    let weights = noise(300_000);
    let hub = Hub::new().with(
        ID,
        &[
            (".gitattributes", b"x"),
            ("README.md", b"# A model"),
            ("config.json", b"{\"model_type\": \"x\"}"),
            ("modeling_x.py", b"import os"),
            ("pytorch_model.bin", b"pickle"),
            ("tokenizer.json", b"{}"),
            (WEIGHTS, &weights),
            ("../../escape.model", b"!"),
        ],
    );
    let said = fetch(&sandbox, &hub, &[ID], &[("HF_TOKEN", "hf_secret")]).exits(0);
    let folder = sandbox.path("hf/hub/models--org--model/snapshots").join(COMMIT);
    assert_eq!(said.stdout, format!("commit {COMMIT}\nfolder {}\n", folder.display()));
    assert!(said.stderr.starts_with("org/model: 3 files, 293.0 KiB\n"), "{}", said.stderr);
    let names = |folder: &Path| -> Vec<String> {
        let files = crate::sandbox::entries(folder).into_iter();
        let mut names: Vec<String> =
            files.map(|it| it.file_name().unwrap().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    };
    assert_eq!(names(&folder), ["config.json", WEIGHTS, "tokenizer.json"]);
    assert_eq!(std::fs::read(folder.join(WEIGHTS)).unwrap(), weights);
    let target = std::fs::read_link(folder.join(WEIGHTS)).unwrap();
    assert_eq!(target, Path::new("../../blobs").join(sha256(&weights)));
    let target = std::fs::read_link(folder.join("tokenizer.json")).unwrap();
    assert_eq!(target, Path::new("../../blobs").join(git_sha1(b"{}")));
    let asked = hub.asked();
    assert!(asked.iter().any(|it| it.is_of_store) && asked.iter().any(|it| !it.is_of_store));
    for it in asked {
        // The token is for the hub and no other.
        assert_eq!(it.token.is_none(), it.is_of_store, "{it:?}");
    }

    let found = in_python(&sandbox.path("hf"), ID, "model");
    let folder = std::fs::canonicalize(folder).unwrap();
    assert_eq!(found, format!("{}\n0 ['org/model']\n", folder.display()));

    // What is there is not brought again; of a commit, or offline, nobody is even asked.
    let again = fetch(&sandbox, &hub, &[ID], &[]).exits(0);
    assert_eq!(again.stdout, said.stdout);
    assert_eq!(hub.asked().len(), 1);
    fetch(&sandbox, &hub, &[ID, "--revision", COMMIT], &[]).exits(0);
    let json = fetch(&sandbox, &hub, &[ID, "--format", "json"], &[("HF_HUB_OFFLINE", "1")]);
    assert_eq!(json.exits(0).json()["commit"], COMMIT);
    assert_eq!(hub.asked().len(), 0);
}

#[test]
fn weights_in_several_files_are_brought_as_their_list_says() {
    let index = br#"{"weight_map": {"a": "model-00001-of-00002.safetensors",
        "b": "model-00002-of-00002.safetensors"}}"#;
    let case = Case::new(&[
        ("config.json", b"{}"),
        ("consolidated.safetensors", b"a second copy"),
        ("model-00001-of-00002.safetensors", b"one"),
        ("model-00002-of-00002.safetensors", b"two"),
        ("model.safetensors.index.json", index),
    ]);
    let repo = Repo::model(ID, "main").unwrap();
    let mut found = None;
    let snapshot = hub::snapshot(&repo, &case.settings, &mut |told| {
        if let Progress::Found { files, bytes } = told {
            found = Some((files, bytes));
        }
    });
    let snapshot = snapshot.unwrap();
    assert_eq!(found, Some((3, 8)));
    assert_eq!(read(&snapshot, "model-00002-of-00002.safetensors"), b"two");
    assert!(!snapshot.folder.join("consolidated.safetensors").exists());
    assert_eq!(hub::cached(&repo, &case.settings), Some(snapshot.clone()));
    std::fs::remove_file(snapshot.folder.join("model-00002-of-00002.safetensors")).unwrap();
    assert_eq!(hub::cached(&repo, &case.settings), None);
}

#[test]
fn a_broken_connection_is_gone_on_with() {
    let weights = noise(100_000);
    let case = Case::of_model(&weights);
    case.hub.mood().cut = (2, 30_000);
    let snapshot = case.bring().unwrap();
    assert_eq!(read(&snapshot, WEIGHTS), weights);
    let range = |from: u64| Some(format!("bytes={from}-"));
    assert_eq!(case.ranges(), [None, range(30_000), range(60_000)]);
}

#[test]
fn what_a_killed_process_brought_is_gone_on_with() {
    let weights = noise(100_000);
    let case = Case::of_model(&weights);
    let name = format!("{}.incomplete", sha256(&weights));
    std::fs::create_dir_all(case.blob("")).unwrap();
    std::fs::write(case.blob(&name), &weights[..70_000]).unwrap();
    assert_eq!(read(&case.bring().unwrap(), WEIGHTS), weights);
    assert_eq!(case.ranges(), [Some("bytes=70000-".to_owned())]);
    assert!(!case.blob(&name).exists());
    // One that is torn is noticed by its digest and brought anew, and so is one that is too long.
    for torn in [vec![7; 70_000], vec![7; 200_000]] {
        let case = Case::of_model(&weights);
        std::fs::create_dir_all(case.blob("")).unwrap();
        std::fs::write(case.blob(&name), torn).unwrap();
        assert_eq!(read(&case.bring().unwrap(), WEIGHTS), weights);
        assert_eq!(case.ranges().last(), Some(&None));
    }
}

#[test]
fn a_server_without_ranges_starts_over() {
    let weights = noise(100_000);
    let case = Case::of_model(&weights);
    case.hub.mood().ignores_ranges = true;
    case.hub.mood().cut = (1, 40_000);
    assert_eq!(read(&case.bring().unwrap(), WEIGHTS), weights);
    assert_eq!(case.ranges(), [None, Some("bytes=40000-".to_owned())]);
}

#[test]
fn what_is_not_what_was_promised_is_refused() {
    let case = Case::of_model(&noise(1000));
    case.hub.mood().spoiled = 1;
    assert_eq!(read(&case.bring().unwrap(), WEIGHTS), noise(1000));
    assert_eq!(case.ranges().len(), 2);
    let case = Case::of_model(&noise(1000));
    case.hub.mood().spoiled = 9;
    let error = case.bring().unwrap_err();
    let text = told(&case, &error);
    assert!(text.contains("`model.safetensors` of `org/model` arrives with another digest: "));
    assert!(!error.is_of_what_was_named());
    assert!(!case.blob(&sha256(&noise(1000))).exists());
    let case = Case::of_model(&noise(1000));
    case.hub.mood().longer = 5;
    let text = told(&case, &case.bring().unwrap_err());
    assert!(text.contains("with another size: 1005, and 1000 is expected\nhint: "), "{text}");
    assert_eq!(hub::cached(&Repo::model(ID, "main").unwrap(), &case.settings), None);
}

#[test]
fn a_connection_that_always_breaks_is_given_up() {
    let case = Case::of_model(&noise(1000));
    case.hub.mood().cut = (usize::MAX, 0);
    let text = told(&case, &case.bring().unwrap_err());
    assert!(text.contains("/model.safetensors` could not be had in 6 tries: "), "{text}");
    assert!(text.contains("hint: what came is kept"), "{text}");
    // Nobody there at all.
    let mut case = Case::of_model(&[]);
    case.settings.endpoint = "http://127.0.0.1:1".to_owned();
    let text = told(&case, &case.bring().unwrap_err());
    assert!(text.contains("could not be had in 6 tries: "), "{text}");
}

#[test]
fn a_hub_with_too_much_to_do_is_waited_for() {
    let case = Case::of_model(&noise(1000));
    case.hub.mood().busy = (2, 0);
    let mut waits = Vec::new();
    let repo = Repo::model(ID, "main").unwrap();
    let brought = hub::snapshot(&repo, &case.settings, &mut |told| {
        if let Progress::Waiting { seconds, reason } = told {
            waits.push((seconds, reason.to_owned()));
        }
    });
    assert_eq!(read(&brought.unwrap(), WEIGHTS), noise(1000));
    // To be asked again after no time at all does not mean at once.
    assert_eq!(waits, [0.002, 0.004].map(|it| (it, "the hub asks to wait".to_owned())));
    let case = Case::of_model(&noise(1000));
    case.hub.mood().down = 3;
    assert_eq!(read(&case.bring().unwrap(), WEIGHTS), noise(1000));
    let case = Case::of_model(&noise(1000));
    case.hub.mood().busy = (1, 3600);
    let text = told(&case, &case.bring().unwrap_err());
    assert!(text.starts_with("the hub asks to wait 1 h 00 min before `HUB/api/"), "{text}");
    let case = Case::of_model(&noise(1000));
    case.hub.mood().busy = (usize::MAX, 0);
    let text = told(&case, &case.bring().unwrap_err());
    assert!(text.starts_with("the hub asks to wait 1.0 s before `HUB/api/"), "{text}");
    let case = Case::of_model(&noise(1000));
    (case.hub.mood().down, case.hub.mood().down_for) = (1, Some(3600));
    let text = told(&case, &case.bring().unwrap_err());
    assert!(text.starts_with("the hub asks to wait 1 h 00 min before `HUB/api/"), "{text}");
}

#[test]
fn doors_that_stay_shut_say_which_key_was_tried() {
    let mut case = Case::of_model(&noise(1000));
    case.hub.mood().repos.get_mut(ID).unwrap().token = Some("hf_good");
    assert_eq!(
        told(&case, &case.bring().unwrap_err()),
        "the hub refuses `org/model` with status 401: Access to it is restricted\n\
         hint: ask for consent on HUB/org/model, then set `HF_TOKEN`; no token was found in \
         `HF_TOKEN` and `HOME/token`"
    );
    case.settings.token = Token::new("hf_bad", "the variable HF_TOKEN");
    let text = told(&case, &case.bring().unwrap_err());
    assert!(text.contains("status 403") && !text.contains("hf_bad"), "{text}");
    assert!(text.contains("with the account of the token from the variable HF_TOKEN"), "{text}");
    case.settings.token = Token::new("hf_good", "a test");
    assert_eq!(read(&case.bring().unwrap(), WEIGHTS), noise(1000));
    case.hub.mood().repos.get_mut(ID).unwrap().is_private = true;
    case.settings.token = Token::new("hf_bad", "a test");
    let text = told(&case, &case.bring().unwrap_err());
    assert!(text.contains("this is private\nhint: the token from a test is no longer"), "{text}");
}

#[test]
fn names_that_the_hub_does_not_have_are_told() {
    let case = Case::of_model(&noise(10));
    let missing = Repo::model("org/modle", "main").unwrap();
    let text = told(&case, &case.bring_repo(&missing).unwrap_err());
    assert!(text.starts_with("the hub has no `org/modle`\nhint: see whether"), "{text}");
    let revision = Repo::model(ID, "experimentl").unwrap();
    assert_eq!(
        told(&case, &case.bring_repo(&revision).unwrap_err()),
        "`org/model` has no revision `experimentl`\nhint: did you mean `experimental`?"
    );
    let other = Repo::model(ID, "2025").unwrap();
    let text = told(&case, &case.bring_repo(&other).unwrap_err());
    assert!(text.ends_with("there are `main`, `experimental`, `v1.0`"), "{text}");
    let request = Repo::model(ID, "refs/pr/1").unwrap();
    case.bring_repo(&request).unwrap();
    assert!(hub::cached(&request, &case.settings).is_some());
    assert!(matches!(Repo::model("a/../b", "main"), Err(HubError::BadId { .. })));
    assert!(matches!(Repo::model(ID, "../main"), Err(HubError::BadRevision { .. })));
}

#[test]
fn a_renamed_model_is_followed() {
    let mut case = Case::of_model(&noise(10));
    case.hub.mood().renamed.insert("org/old".to_owned(), ID.to_owned());
    case.settings.token = Token::new("hf_good", "a test");
    let snapshot = case.bring_repo(&Repo::model("org/old", "main").unwrap()).unwrap();
    assert_eq!(read(&snapshot, WEIGHTS), noise(10));
    assert!(snapshot.folder.to_string_lossy().contains("models--org--old"));
    assert!(case.hub.asked().iter().all(|it| it.token.is_some() != it.is_of_store));
}

#[test]
fn what_is_no_hub_is_told() {
    let case = Case::of_model(&noise(10));
    let mut all = String::new();
    for nonsense in ["<html>Sign in</html>", "{}", r#"{"sha": "\u001b[31m../.."}"#, "[1"] {
        case.hub.mood().nonsense = Some(nonsense);
        let text = told(&case, &case.bring().unwrap_err());
        assert!(text.contains("` answers what is no answer of a hub: "), "{text}");
        all += &text;
    }
    case.hub.mood().nonsense = None;
    case.hub.mood().is_silent = true;
    all += &told(&case, &case.bring().unwrap_err());
    assert!(all.contains("config.json` answers what is no answer of a hub: it has no good `ETag`"));
    case.hub.mood().renamed.insert(ID.to_owned(), ID.to_owned());
    all += &told(&case, &case.bring().unwrap_err());
    assert!(all.contains("it leads from one address to the next without end"), "{all}");
    assert!(all.chars().all(|it| it == '\n' || !it.is_control()), "{all}");
    // Names that lead out of the folder are passed over.
    let case = Case::new(&[("config.json", b"{}"), (WEIGHTS, b"1"), ("../x.model", b"2")]);
    case.bring().unwrap();
    assert!(!case.settings.cache.join("models--org--model/snapshots/x.model").exists());
}

#[test]
fn pickles_are_not_brought_and_said_so() {
    let case = Case::new(&[("config.json", b"{}"), ("pytorch_model.bin", b"pickle")]);
    let text = told(&case, &case.bring().unwrap_err());
    assert!(text.starts_with(
        "`org/model` has only pickled weights, such as `pytorch_model.bin`, which are never opened"
    ));
    assert!(text.contains("save_pretrained"), "{text}");
    assert_eq!(case.ranges().len(), 0);
}

#[test]
fn what_does_not_fit_the_disk_is_not_begun() {
    let case = Case::of_model(&noise(10));
    case.hub.mood().claimed_size = Some(1 << 60);
    let text = told(&case, &case.bring().unwrap_err());
    assert!(text.starts_with("`org/model` needs 2097152.0 TiB in `HOME/hub`, and "), "{text}");
}

#[test]
fn offline_only_what_is_there_is_had() {
    let mut case = Case::of_model(&noise(10));
    case.settings.offline = true;
    assert_eq!(
        told(&case, &case.bring().unwrap_err()),
        "`org/model` at `main` is not in the cache `HOME/hub`\nhint: unset `HF_HUB_OFFLINE`, or \
         bring it on a machine that may ask: `mstar fetch org/model --revision main`"
    );
    case.settings.offline = false;
    let snapshot = case.bring().unwrap();
    case.settings.offline = true;
    assert_eq!(case.bring().unwrap(), snapshot);
    let repo = Repo::model(ID, "main").unwrap();
    assert_eq!(hub::resolve_commit(&repo, &case.settings, &mut |_| {}).unwrap(), COMMIT);
    // What somebody else brought is whole when the weights are there.
    std::fs::remove_dir_all(case.settings.cache.join("models--org--model/mstar")).unwrap();
    assert_eq!(hub::cached(&repo, &case.settings), Some(snapshot.clone()));
    std::fs::remove_file(snapshot.folder.join(WEIGHTS)).unwrap();
    assert_eq!(hub::cached(&repo, &case.settings), None);
}

#[test]
fn two_at_once_bring_a_file_once() {
    let weights = noise(3_000_000);
    let case = Case::of_model(&weights);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| assert_eq!(read(&case.bring().unwrap(), WEIGHTS), weights));
        }
    });
    assert_eq!(case.ranges(), [None]);
}

#[test]
fn data_are_brought_by_the_name_of_their_source() {
    let sandbox = Sandbox::new();
    let hub = Hub::new().with(
        "datasets/AI4Math/MathVista",
        &[
            ("README.md", b"# data"),
            ("data/test-00000-of-00001.parquet", b"without answers"),
            ("data/testmini-00000-of-00001.parquet", b"rows"),
            ("source.py", b"import os"),
        ],
    );
    let said = fetch(&sandbox, &hub, &["mathvista"], &[]).exits(0);
    let folder = sandbox.path("hf/hub/datasets--AI4Math--MathVista/snapshots").join(COMMIT);
    assert!(said.stdout.ends_with(&format!("folder {}\n", folder.display())), "{}", said.stdout);
    assert_eq!(crate::sandbox::entries(&folder.join("data")).len(), 1);
    let target = std::fs::read_link(folder.join("data/testmini-00000-of-00001.parquet")).unwrap();
    assert_eq!(target, Path::new("../../../blobs").join(sha256(b"rows")));
    let found = in_python(&sandbox.path("hf"), "AI4Math/MathVista", "dataset");
    assert!(found.ends_with("\n0 ['AI4Math/MathVista']\n"), "{found}");
    let whole = fetch(&sandbox, &hub, &["datasets/AI4Math/MathVista"], &[]).exits(0);
    assert_eq!(whole.stdout, said.stdout);
    assert_eq!(crate::sandbox::entries(&folder.join("data")).len(), 2);
}

/// An archive of some files.
fn zipped(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in files {
        writer.start_file(*name, zip::write::FileOptions::default()).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// A hub with some of MathV360K, whose pictures are the files of an archive.
fn hub_with_archive(rows: usize, archive: &[u8]) -> Hub {
    let task = MiniVista::new(Seed(5), POOL_ONE_OPERATION);
    let row = |at: usize| {
        let sample = task.sample(Stream::Train, at as u64);
        serde_json::json!({
            "image": format!("GeoQA+/images/{at}.png"),
            "conversations": [
                { "from": "human", "value": format!("<image>\n{}", sample.question) },
                { "from": "gpt", "value": format!("The answer is {}", sample.answer.unwrap()) },
            ],
        })
    };
    let rows = serde_json::Value::from((0..rows).map(row).collect::<Vec<_>>()).to_string();
    let files = [
        ("train_samples_all_tuning.json", rows.as_bytes()),
        ("data_images.zip", archive),
        ("README.md", b"# data"),
    ];
    Hub::new().with("datasets/Zhiqiang007/MathV360K", &files)
}

/// Pictures as an archive of MathV360K has them.
fn pictures(count: u64) -> Vec<(String, Vec<u8>)> {
    let task = MiniVista::new(Seed(5), POOL_ONE_OPERATION);
    let picture = |at: u64| {
        let sample = task.sample(Stream::Train, at);
        let name = format!("data_images/GeoQA+/images/{at}.png");
        (name, mstar::data::preview::png(&sample.images[0]).unwrap())
    };
    (0..count).map(picture).collect()
}

#[test]
fn pictures_that_come_in_an_archive_are_unpacked_once() {
    let sandbox = Sandbox::new();
    let files = pictures(40);
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, it)| (&**name, &**it)).collect();
    let hub = hub_with_archive(40, &zipped(&files));
    sandbox.write("hub.toml", RECIPE.replace("m3cot", "mathv360k"));
    let said = mstar(&sandbox, &hub, &["check", "hub.toml"], &[]).exits(0);
    assert!(said.stderr.contains("so does `mstar fetch mathv360k`"), "{}", said.stderr);
    let said = fetch(&sandbox, &hub, &["mathv360k"], &[]).exits(0);
    assert!(said.stderr.contains("\ndata_images.zip: 40 files, "), "{}", said.stderr);
    let folder = sandbox.path("hf/hub/datasets--Zhiqiang007--MathV360K/snapshots").join(COMMIT);
    let picture = folder.join("data_images/GeoQA+/images/7.png");
    assert_eq!(std::fs::read(&picture).unwrap(), files[7].1);
    let link = std::fs::read_link(folder.join("data_images")).unwrap();
    assert_eq!(link, Path::new("../../mstar").join(COMMIT).join("data_images"));
    // Python finds the cache in order still.
    let found = in_python(&sandbox.path("hf"), "Zhiqiang007/MathV360K", "dataset");
    assert!(found.ends_with("\n0 ['Zhiqiang007/MathV360K']\n"), "{found}");
    let again = fetch(&sandbox, &hub, &["mathv360k"], &[]).exits(0);
    assert!(!again.stderr.contains("data_images.zip"), "{}", again.stderr);
    let said = mstar(&sandbox, &hub, &["check", "hub.toml"], &[]).exits(0);
    assert!(!said.stderr.contains("not in the cache"), "{}", said.stderr);
    // What a killed process left is in nobody's way.
    let whole = std::fs::canonicalize(folder.join("data_images")).unwrap();
    std::fs::rename(&whole, whole.with_file_name(".data_images.1-0.tmp")).unwrap();
    // What somebody else is at is left to them.
    let other = whole.with_file_name(".data_images.more.1-0.tmp");
    std::fs::create_dir(&other).unwrap();
    fetch(&sandbox, &hub, &["mathv360k"], &[]).exits(0);
    assert_eq!(crate::sandbox::entries(whole.parent().unwrap()), [other, whole]);
    if cfg!(feature = "torch") {
        mstar(&sandbox, &hub, &["run", "hub.toml"], &[]).exits(0);
        // Elsewhere rows and pictures are brought as the run had them.
        mstar(&sandbox, &hub, &["bundle", "--output", "run.mstar"], &[]).exits(0);
        std::fs::remove_dir_all(sandbox.path("hf")).unwrap();
        let other = sandbox.path("other").display().to_string();
        let again = ["reproduce", "run.mstar", "--device", "cpu", "--folder", "two"];
        let said = mstar(&sandbox, &hub, &again, &[("HF_HOME", &other)]).exits(0);
        assert!(said.stderr.contains("\ndata_images.zip: 40 files, "), "{}", said.stderr);
        assert!(said.stdout.contains("equal: all "), "{}", said.stdout);
    }
}

#[test]
fn an_archive_that_cannot_be_trusted_is_refused_before_anything_of_it_is_written() {
    let bomb = vec![0; 1 << 20];
    for (archive, fault) in [
        (zipped(&[("a.png", b"a"), ("../../b.png", b"b")]), "could leave its folder"),
        (zipped(&[("a.png", &bomb)]), "would become 1.0 MiB or more"),
        (zipped(&[("a", b"a"), ("a/b.png", b"b")]), "holds `a` as a file and as a folder"),
        (b"no archive".to_vec(), "cannot be read"),
    ] {
        let sandbox = Sandbox::new();
        let hub = hub_with_archive(4, &archive);
        let said = fetch(&sandbox, &hub, &["mathv360k"], &[]).exits(1);
        assert!(said.stderr.contains(fault), "{}", said.stderr);
        assert!(said.stderr.contains("hint: unpack what you trust of it by hand"));
        let cache = sandbox.path("hf/hub/datasets--Zhiqiang007--MathV360K");
        assert!(!cache.join("snapshots").join(COMMIT).join("data_images").exists());
        let left = crate::sandbox::entries(&cache.join("mstar").join(COMMIT));
        assert!(left.is_empty(), "{left:?}");
    }
}

#[test]
fn wrong_commands_end_with_two_and_a_world_that_fails_with_one() {
    let sandbox = Sandbox::new();
    let hub = Hub::new().with(ID, &[("config.json", b"{}"), (WEIGHTS, b"1")]);
    let mut text = String::new();
    for (arguments, offline, code) in [
        (&["not an id"][..], "0", 2),
        (&["org/modle"], "0", 2),
        (&[ID, "--revision", "mian"], "0", 2),
        (&[ID], "1", 2),
    ] {
        let said = fetch(&sandbox, &hub, arguments, &[("HF_HUB_OFFLINE", offline)]).exits(code);
        text += &format!("$ mstar fetch {}\n{}\n", arguments.join(" "), said.stderr);
    }
    let home = std::fs::canonicalize(sandbox.path("")).unwrap().display().to_string();
    let text =
        text.replace(&home, "HOME").replace(&sandbox.path("").display().to_string(), "HOME/");
    crate::sandbox::assert_told("fetch_refused", &text.replace("HOME//", "HOME/"));
    hub.mood().busy = (1, 3600);
    fetch(&sandbox, &hub, &[ID], &[]).exits(1);
    sandbox.write("file", "");
    let file = sandbox.path("file").display().to_string();
    let said = fetch(&sandbox, &hub, &[ID], &[("HF_HUB_CACHE", &file)]).exits(2).stderr;
    assert!(said.contains("hint: `HF_HUB_CACHE` names another folder for the cache"), "{said}");
}

static RECIPE: LazyLock<String> = LazyLock::new(|| {
    format!(
        r#"name = "hub"
[data]
source = "m3cot"
validation = 8
test = 8
{SMALL}"#
    )
});

/// A hub with rows of the embedded task in place of M3CoT's.
fn hub_with_rows() -> Hub {
    let task = MiniVista::new(Seed(5), POOL_ONE_OPERATION);
    let samples: Vec<Sample> = (0..40).map(|at| task.sample(Stream::Train, at)).collect();
    let rows = mstar::data::table::encode(&samples).unwrap();
    let id = "datasets/LightChen2333/M3CoT";
    Hub::new().with(id, &[("data/train-00000-of-00001.parquet", &rows), ("data/test.parquet", b"")])
}

#[test]
fn data_that_a_recipe_names_are_planned_without_the_hub_and_brought_before_a_run() {
    let sandbox = Sandbox::new();
    sandbox.write("hub.toml", &*RECIPE);
    let hub = hub_with_rows();
    let said = mstar(&sandbox, &hub, &["check", "hub.toml"], &[]).exits(0);
    assert!(
        said.stderr.contains("hub.toml:3:1: `datasets/LightChen2333/M3CoT` is not in the cache")
    );
    assert!(said.stderr.contains("so does `mstar fetch m3cot`"), "{}", said.stderr);
    mstar(&sandbox, &hub, &["plan", "hub.toml"], &[]).exits(0);
    assert_eq!(hub.asked().len(), 0);
    let offline = mstar(&sandbox, &hub, &["run", "hub.toml"], &[("HF_HUB_OFFLINE", "1")]).exits(2);
    assert!(offline.stderr.contains("is not in the cache `"), "{}", offline.stderr);
    assert!(!sandbox.store().exists(), "nothing was begun");
    match cfg!(feature = "torch") {
        true => {
            let said = mstar(&sandbox, &hub, &["run", "hub.toml"], &[]).exits(0);
            assert!(said.stderr.starts_with("datasets/LightChen2333/M3CoT: 1 file, "));
        }
        false => drop(fetch(&sandbox, &hub, &["m3cot"], &[]).exits(0)),
    }
    hub.asked();
    let said = mstar(&sandbox, &hub, &["plan", "hub.toml", "--format", "json"], &[]).exits(0);
    assert!(!said.stderr.contains("is not in the cache"), "{}", said.stderr);
    let plan = said.json();
    let stages = plan["stages"].as_array().unwrap();
    let new = stages.iter().filter(|stage| stage["state"] == "new").count();
    assert_eq!(new == 0, cfg!(feature = "torch"), "{new} of {} stages", stages.len());
    let output = ["lock", "hub.toml", "--device", "cpu"];
    mstar(&sandbox, &hub, &output, &[]).exits(0);
    let lock = std::fs::read_to_string(sandbox.path("hub.lock")).unwrap();
    assert!(lock.contains("\"data.source\" = \"m3cot\"\n"), "{lock}");
    assert_eq!(hub.asked().len(), 0);
    if cfg!(feature = "torch") {
        // Elsewhere the cache lies in another folder, and holds nothing yet.
        mstar(&sandbox, &hub, &["bundle", "--output", "run.mstar"], &[]).exits(0);
        std::fs::remove_dir_all(sandbox.path("hf")).unwrap();
        let other = sandbox.path("other").display().to_string();
        let again = ["reproduce", "run.mstar", "--device", "cpu", "--folder"];
        let again = |folder: &str, offline: &str| {
            let variables = [("HF_HOME", &*other), ("HF_HUB_OFFLINE", offline)];
            mstar(&sandbox, &hub, &[&again[..], &[folder]].concat(), &variables)
        };
        let refused = again("one", "1").exits(2).stderr;
        assert!(refused.contains(&format!("at `{COMMIT}` is not in the cache")), "{refused}");
        assert!(!sandbox.path("one").exists());
        let said = again("two", "0").exits(0);
        assert!(said.stdout.contains("equal: all "), "{}", said.stdout);
    }
}

#[cfg(feature = "torch")]
const EVOLVING: &str = r#"name = "evolving"
[policy]
model = "org/model"
[data]
source = "jsonl:rows.jsonl"
prompts = 8
validation = 4
test = 4
[warmup]
samples = 1
[training]
iterations = 1
interval = 0.5
batch_size = 4
[exploration]
samples = 1
max_new_tokens = 8
[hooks]
script = "all.rhai"
"#;

/// A hub with the tiny checkpoint that `tests/parity/checkpoints.py` wrote, and a recipe for it.
#[cfg(feature = "torch")]
fn hub_with_checkpoint(sandbox: &Sandbox) -> (Hub, PathBuf) {
    let parity = std::env::var_os("MSTAR_PARITY_DIR").expect(
        "MSTAR_PARITY_DIR must name the folder that `python tests/parity/goldens.py DIR` wrote",
    );
    let folder = PathBuf::from(parity).join("checkpoints/smolvlm");
    let files = crate::sandbox::entries(&folder).into_iter().filter(|path| path.is_file());
    let files: Vec<(String, Vec<u8>)> = files
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read(path).unwrap())
        })
        .collect();
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, it)| (&**name, &**it)).collect();
    let task = MiniVista::new(Seed(5), POOL_ONE_OPERATION);
    let row = |at: u64| {
        let Sample { question, answer, images, .. } = task.sample(Stream::Train, at);
        let name = format!("{at}.png");
        sandbox.write(&name, mstar::data::preview::png(&images[0]).unwrap());
        serde_json::json!({ "question": question, "answer": answer, "image": name }).to_string()
    };
    sandbox.write("rows.jsonl", (0..16).map(row).collect::<Vec<_>>().join("\n"));
    // Random weights answer nothing: here whatever they say is right.
    let script = "fn extract(response) { response.text }\nfn correct(answer, gold) { true }\n";
    sandbox.write("all.rhai", script);
    sandbox.write("evolving.toml", EVOLVING);
    (Hub::new().with(ID, &files), folder)
}

#[cfg(feature = "torch")]
#[test]
fn a_model_of_the_hub_evolves_and_is_pinned_by_its_commit() {
    let sandbox = Sandbox::new();
    let (hub, folder) = hub_with_checkpoint(&sandbox);
    let call = |arguments: &[&str]| mstar(&sandbox, &hub, arguments, &[]);
    let said = call(&["plan", "evolving.toml"]).exits(0);
    assert!(said.stderr.contains("evolving.toml:3:1: `org/model` is not in the cache"));
    assert_eq!(hub.asked().len(), 0);
    call(&["plan", "evolving.toml", "--set", "policy.revision=\"../x\""]).exits(2);
    let said = call(&["run", "evolving.toml", "--workers", "1"]).exits(0);
    assert!(said.stderr.starts_with("org/model: "), "{}", said.stderr);
    hub.asked();

    // Planned by what it is, wherever it lies, and without asking.
    let new = |more: &[&str]| {
        let plan = call(&[&["plan", "evolving.toml", "--format", "json"], more].concat());
        let plan = plan.exits(0).json();
        plan["stages"].as_array().unwrap().iter().filter(|it| it["state"] == "new").count()
    };
    assert_eq!(new(&[]), 0);
    let elsewhere = format!("policy.model=\"{}\"", folder.display());
    assert_eq!(new(&["--set", &elsewhere]), 0);
    call(&["lock", "evolving.toml", "--device", "cpu"]).exits(0);
    let lock = std::fs::read_to_string(sandbox.path("evolving.lock")).unwrap();
    assert!(lock.contains("\"policy.model\" = \"org/model\""), "{lock}");
    assert!(lock.contains(&format!("commit = \"{COMMIT}\"")), "{lock}");
    assert!(!lock.contains(&*sandbox.path("").to_string_lossy()), "{lock}");
    sandbox.write("evolving.lock", lock.replace(COMMIT, &"9".repeat(40)));
    let told = call(&["lock", "evolving.toml", "--device", "cpu", "--check"]).exits(2).stdout;
    assert!(told.contains("commit of `org/model`: locked `9999"), "{told}");
    assert_eq!(hub.asked().len(), 0);

    // Handed over, it is brought at that commit.
    call(&["bundle", "--output", "run.mstar"]).exits(0);
    std::fs::remove_dir_all(sandbox.path("hf")).unwrap();
    let other = sandbox.path("other").display().to_string();
    let again = ["reproduce", "run.mstar", "--device", "cpu", "--workers", "1", "--folder", "two"];
    let said = mstar(&sandbox, &hub, &again, &[("HF_HOME", &other)]).exits(0);
    assert!(said.stdout.contains("equal: all "), "{}", said.stdout);
    let asked = hub.asked();
    assert!(asked.iter().any(|it| it.path.contains(&format!("/revision/{COMMIT}"))), "{asked:?}");
}
