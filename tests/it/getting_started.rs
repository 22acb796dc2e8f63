//! A newcomer's first commands: `init`, `doctor`, `explain`, completions and manual pages.

use crate::sandbox::{Sandbox, assert_told, mstar_at_home};
use mstar::base::FAULT_CODES;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn a_first_recipe_is_good_and_nothing_is_overwritten() {
    let sandbox = Sandbox::new();
    let made = sandbox.mstar(&["init"]).exits(0);
    assert_eq!(made.stdout, "first-recipe.toml\n");
    sandbox.mstar(&["check", "first-recipe.toml"]).exits(0);
    let tested = sandbox.mstar(&["test", "first-recipe.toml"]).exits(0).stdout;
    assert!(tested.ends_with("2 passed, 0 failed\n"), "{tested}");
    sandbox.mstar(&["plan", "first-recipe.toml"]).exits(0);
    let before = fs::read_to_string(sandbox.path("first-recipe.toml")).unwrap();
    let mut told = format!("# init\n{}", made.told());
    for name in ["first-recipe", "tiny", "No Such Name", "no/such/folder"] {
        told += &format!("# init {name}\n{}", sandbox.mstar(&["init", name]).told());
    }
    assert_told("init", &told);
    assert_eq!(fs::read_to_string(sandbox.path("first-recipe.toml")).unwrap(), before);
    sandbox.mstar(&["init", "second.toml"]).exits(0);
    let second = fs::read_to_string(sandbox.path("second.toml")).unwrap();
    assert_eq!(second, before.replace("first-recipe", "second"));
    fs::create_dir(sandbox.path("studies")).unwrap();
    let made = sandbox.mstar(&["init", "studies/../studies/third"]).exits(0).stdout;
    assert_eq!(made, "studies/../studies/third.toml\n");
    let third = fs::read_to_string(sandbox.path("studies/third.toml")).unwrap();
    assert_eq!(third, before.replace("first-recipe", "third"));
}

#[test]
fn what_cannot_be_is_asked_again() {
    let sandbox = Sandbox::new();
    let typed = "My Study\nstudy\ncontinous\nrest-em\nfoo\n0\n2\n";
    let Some(shown) = sandbox.in_terminal(&["init"], typed, false) else { return };
    for words in [
        "`My Study` is no name",
        "such as `my-study`",
        "`continous` is no method",
        "`foo` is no number of iterations",
        "`0` is no number of iterations",
    ] {
        assert!(shown.contains(words), "{words} is not in {shown}");
    }
    let recipe = fs::read_to_string(sandbox.path("study.toml")).unwrap();
    assert!(recipe.contains("method = \"rest-em\"") && recipe.contains("iterations = 2"));
    sandbox.mstar(&["check", "study.toml"]).exits(0);
}

#[test]
fn no_result_goes_where_somebody_wrote_something() {
    let sandbox = Sandbox::new();
    sandbox.write("keep.rhai", "fn keep(candidate) { true }\n");
    fs::copy(sandbox.path("tiny.toml"), sandbox.path("plain.lock")).unwrap();
    let written = |name: &str| fs::read(sandbox.path(name)).unwrap();
    let before = ["tiny.toml", "keep.rhai", "plain.lock"].map(written);
    let mut told = String::new();
    for arguments in [
        &["lock", "tiny.toml", "--output", "tiny.toml"][..],
        &["lock", "tiny.toml", "--output", "keep.rhai"],
        // Beside a recipe of that name its lock would be the recipe itself.
        &["lock", "plain.lock"],
        &["data", "preview", "--output", "tiny.toml"],
        &["report", "--output", "tiny.toml"],
        &["report", "--format", "html", "--output", "./tiny.toml"],
    ] {
        let said = sandbox.mstar(arguments).exits(2).told();
        told += &format!("# {}\n{said}", arguments.join(" "));
    }
    assert_told("outputs_refused", &told);
    assert_eq!(["tiny.toml", "keep.rhai", "plain.lock"].map(written), before);
    // A lock by another name is replaced by a lock.
    for _ in 0..2 {
        sandbox.mstar(&["lock", "tiny.toml", "--output", "locked.toml"]).exits(0);
    }
    let said = sandbox.mstar(&["plan", "tiny"]).exits(2).stderr;
    assert!(said.contains("did you mean `tiny.toml`?"), "{said}");
}

#[cfg(feature = "torch")]
#[test]
fn a_first_recipe_runs() {
    let sandbox = Sandbox::new();
    sandbox.mstar(&["init", "first"]).exits(0);
    let mut arguments = vec!["run", "first.toml"];
    for small in [
        "data.prompts=40",
        "data.validation=8",
        "data.test=8",
        "warmup.prompts=20",
        "training.iterations=1",
        "training.batch_size=4",
        "exploration.samples=4",
        "evaluation.pass_samples=2",
    ] {
        arguments.extend(["--set", small]);
    }
    sandbox.mstar(&arguments).exits(0);
}

#[test]
fn shells_are_told_what_can_be_typed() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = mstar_at_home(&["completions", shell]).exits(0).stdout;
        for word in ["mstar", "reproduce", "resolved"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    let sandbox = Sandbox::new();
    sandbox.write("mstar.bash", mstar_at_home(&["completions", "bash"]).stdout);
    let complete = "source mstar.bash; COMP_WORDS=(mstar explai); COMP_CWORD=1; \
        _mstar mstar explai mstar; echo \"${COMPREPLY[@]}\"";
    let mut bash = std::process::Command::new("bash");
    let output = bash.args(["-c", complete]).current_dir(sandbox.path("")).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "explain\n");
    mstar_at_home(&["completions", "cmd"]).exits(2);
}

#[test]
fn manual_pages_are_written_for_every_command() {
    let page = mstar_at_home(&["man"]).exits(0).stdout;
    assert!(page.contains(".TH mstar 1") && page.contains("mstar\\-test(1)"), "{page}");
    let sandbox = Sandbox::new();
    sandbox.mstar(&["man", "pages"]).exits(0);
    let names: BTreeSet<String> = fs::read_dir(sandbox.path("pages"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    for name in ["mstar.1", "mstar-run.1", "mstar-test.1", "mstar-data-preview.1"] {
        assert!(names.contains(name), "{name} is not in {names:?}");
    }
    assert!(!names.contains("mstar-worker.1"), "{names:?}");
    sandbox.mstar(&["man", "tiny.toml"]).exits(2);
}

#[test]
fn the_doctor_tells_what_is_there_and_keeps_secrets() {
    let sandbox = Sandbox::new();
    let doctor = |token: Option<&str>| {
        let mut command = sandbox.command(&["doctor"]);
        command.env("HOME", sandbox.path("home")).env_remove("HF_HOME").env_remove("HF_TOKEN");
        command.env_remove("XDG_CACHE_HOME").env_remove("HUGGING_FACE_HUB_TOKEN");
        command.env("HF_HUB_OFFLINE", "0");
        command.envs(token.map(|token| ("HF_TOKEN", token)));
        crate::sandbox::Said::of(command.output().unwrap()).exits(0).stdout
    };
    let found = doctor(None);
    for what in [
        "mstar",
        "libtorch",
        "processor",
        "memory",
        "GPUs",
        "store",
        "disk",
        "Python     not needed",
    ] {
        assert!(found.lines().any(|line| line.starts_with(what)), "{what} is not in {found}");
    }
    assert!(found.contains("hub token  none\n           -> "), "{found}");
    #[cfg(feature = "torch")]
    assert!(!found.contains("does not start"), "{found}");
    let found = doctor(Some("hf_secret"));
    assert!(found.contains("hub token  in the variable HF_TOKEN\n"), "{found}");
    assert!(!found.contains("secret"), "{found}");
    fs::create_dir_all(sandbox.path("home/.cache/huggingface")).unwrap();
    sandbox.write("home/.cache/huggingface/token", "hf_secret");
    let found = doctor(None);
    assert!(found.contains(".cache/huggingface/token\n") && !found.contains("secret"), "{found}");
    assert!(found.contains("hub cache  ") && found.contains(".cache/huggingface/hub ("), "{found}");
    assert!(!found.contains("offline"), "{found}");
    let mut elsewhere = sandbox.command(&["doctor"]);
    let found = elsewhere.env("HF_ENDPOINT", "http://hub.example").output().unwrap();
    let found = crate::sandbox::Said::of(found).exits(0).stdout;
    assert!(found.contains("; of http://hub.example"), "{found}");
    let offline = sandbox.mstar(&["doctor"]).exits(0).stdout;
    assert!(offline.contains("hub cache  /nowhere/hub/hub ("), "{offline}");
    assert!(offline.contains("; offline, only what is there is used)\n"), "{offline}");
}

#[test]
fn faults_keys_and_functions_are_explained() {
    let mut told = String::new();
    let words = ["no-effect", "reward", "keep", "test.expect", "score", "stage-failed"];
    for word in
        words.into_iter().chain(["no-efect", "trian-reward", "stage-done", "nothing like it"])
    {
        told += &format!("# {word}\n{}", mstar_at_home(&["explain", word]).told());
    }
    assert_told("explained", &told);
}

/// Source files, each with its code: without its tests.
fn sources(folder: &Path, found: &mut BTreeMap<PathBuf, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|it| it == "rs") && !path.ends_with("tests.rs") {
            let text = fs::read_to_string(&path).unwrap();
            let end = text.find("\n#[cfg(test)]\nmod tests").unwrap_or(text.len());
            found.insert(path, text[..end].to_owned());
        }
    }
}

/// The words that are given as codes: what stands after `code: ` and as the first argument of `fault`.
fn codes_given(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for before in ["code: ", "fault("] {
        for (place, _) in text.match_indices(before) {
            let rest = text[place + before.len()..].trim_start();
            let word = rest.strip_prefix('"').and_then(|rest| rest.split('"').next());
            // A code is one word; what has spaces is a message.
            found.extend(word.filter(|word| !word.contains(' ')).map(str::to_owned));
        }
    }
    found
}

/// What is told of the files of each kind of stage is what a run left.
#[cfg(feature = "torch")]
#[test]
fn stages_write_what_is_explained() {
    use mstar::plan::stage_docs;
    let sandbox = Sandbox::finished();
    let docs = stage_docs();
    let mut kinds = BTreeSet::new();
    for fan in crate::sandbox::entries(&sandbox.store().join("artifact-v1")) {
        for artifact in crate::sandbox::entries(&fan) {
            let manifest = fs::read_to_string(artifact.join("manifest.json")).unwrap();
            let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
            let kind = manifest["provenance"]["kind"].as_str().unwrap();
            let doc = docs.iter().find(|doc| doc.kind == kind).unwrap();
            for name in manifest["files"].as_object().unwrap().keys() {
                let is_companion = mstar::data::checkpoint::Companions::NAMES.contains(&&**name);
                let is_told = doc
                    .writes
                    .iter()
                    .any(|(told, _)| told == name || told.starts_with("*.json") && is_companion);
                assert!(is_told, "`{kind}` writes `{name}`");
            }
            kinds.insert(kind.to_owned());
        }
    }
    assert!(kinds.len() >= 6, "{kinds:?}");
}

#[test]
fn every_fault_has_an_entry_and_every_entry_a_fault() {
    let known: BTreeSet<&str> = FAULT_CODES.iter().map(|entry| entry.code).collect();
    assert_eq!(known.len(), FAULT_CODES.len());
    assert!(FAULT_CODES.is_sorted_by_key(|entry| entry.code));
    let mut texts = BTreeMap::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut texts);
    texts.retain(|path, _| !path.ends_with("base/codes.rs"));
    let mut given = BTreeSet::new();
    for (path, text) in &texts {
        for code in codes_given(text) {
            assert!(known.contains(code.as_str()), "`{code}` of {} has no entry", path.display());
            given.insert(code);
        }
    }
    assert!(given.len() > 70, "{}", given.len());
    for code in known {
        let written = format!("\"{code}\"");
        assert!(texts.values().any(|text| text.contains(&written)), "nothing is told as `{code}`");
    }
}
