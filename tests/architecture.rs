//! Holds the house to its plan: imports run one way, files stay small and well named, libtorch
//! stays in the engine.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic, helpers of tests included")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Lines a file may have, tests not counted.
const LONGEST: usize = 600;
/// Names that name nothing.
const BANNED: [&str; 9] =
    ["imp", "utils", "util", "helpers", "helper", "common", "misc", "base_new", "types"];

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Source files without tests, which may reach further and be longer.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.file_stem().is_some_and(|stem| stem == "tests") {
            continue;
        }
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The code of a file: without its tests and without comments.
fn code(text: &str) -> String {
    let end = text.find("\n#[cfg(test)]\nmod tests").unwrap_or(text.len());
    let lines = text[..end].lines();
    lines.map(|line| line.split("//").next().unwrap_or("")).collect::<Vec<_>>().join("\n")
}

/// Each room with the rooms that its door allows it to import.
fn rooms() -> BTreeMap<String, BTreeSet<String>> {
    let mut rooms = BTreeMap::new();
    for entry in fs::read_dir(source()).unwrap() {
        let path = entry.unwrap().path();
        if !path.is_dir() || path.ends_with("bin") {
            continue;
        }
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let door = fs::read_to_string(path.join("mod.rs"))
            .unwrap_or_else(|_| panic!("room `{name}` has no door, `src/{name}/mod.rs`"));
        let line = door
            .lines()
            .find_map(|line| line.strip_prefix("//! May import: "))
            .unwrap_or_else(|| panic!("the door of `{name}` has no line `//! May import: …`"));
        let line = line.trim_end_matches('.');
        let allowed = match line {
            "nothing of this crate" => BTreeSet::new(),
            _ => line.split(", ").map(str::to_owned).collect(),
        };
        rooms.insert(name, allowed);
    }
    rooms
}

/// Rooms that a piece of code imports: `crate::room`, also inside `use crate::{a, b::c}`.
fn imports(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (start, _) in code.match_indices("crate::") {
        if code[..start].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$') {
            continue;
        }
        let rest = &code[start + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let (mut depth, mut at_item) = (0, true);
            for (index, character) in group.char_indices() {
                match character {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => at_item = true,
                    c if at_item && c.is_alphabetic() => {
                        at_item = false;
                        found.insert(identifier(&group[index..]));
                    }
                    _ => {}
                }
            }
        } else {
            found.insert(identifier(rest));
        }
    }
    found
}

/// Every identifier of a piece of code.
fn names(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !c.is_alphanumeric() && c != '_')
}

fn identifier(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

#[test]
fn rooms_import_only_what_their_doors_allow() {
    let rooms = rooms();
    let mut faults = Vec::new();
    for (room, allowed) in &rooms {
        for file in files(&source().join(room)) {
            let text = fs::read_to_string(&file).unwrap();
            for import in imports(&code(&text)) {
                if import != *room && rooms.contains_key(&import) && !allowed.contains(&import) {
                    faults.push(format!("{}: `{room}` may not import `{import}`", file.display()));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn doors_name_rooms_that_exist_and_make_no_cycle() {
    let rooms = rooms();
    for (room, allowed) in &rooms {
        for import in allowed {
            assert!(
                rooms.contains_key(import),
                "the door of `{room}` names `{import}`, which is no room"
            );
        }
    }
    let mut left = rooms.clone();
    while !left.is_empty() {
        let free: Vec<String> = left
            .iter()
            .filter(|(_, allowed)| allowed.iter().all(|import| !left.contains_key(import)))
            .map(|(room, _)| room.clone())
            .collect();
        assert!(!free.is_empty(), "imports go in a circle among {:?}", left.keys());
        left.retain(|room, _| !free.contains(room));
    }
}

#[test]
fn only_the_engine_speaks_to_libtorch() {
    for file in files(&source()) {
        if file.starts_with(source().join("engine")) {
            continue;
        }
        let text = code(&fs::read_to_string(&file).unwrap());
        for word in ["tch", "torch_sys"] {
            let speaks = names(&text).any(|name| name == word);
            assert!(!speaks, "{}: `{word}` outside the engine", file.display());
        }
    }
}

#[test]
fn files_are_small_named_and_begin_with_their_purpose() {
    for file in files(&source()) {
        let text = fs::read_to_string(&file).unwrap();
        let end = text.find("\n#[cfg(test)]\nmod tests").unwrap_or(text.len());
        let lines = text[..end].lines().count();
        // A flat table of definitions may be longer, and says so in its head.
        let table = text.lines().take(12).any(|line| line.contains("A flat table"));
        assert!(lines <= LONGEST || table, "{}: {lines} lines", file.display());
        assert!(text.starts_with("//!"), "{}: does not say what it is for", file.display());
        let stem = file.file_stem().unwrap().to_string_lossy().into_owned();
        assert!(!BANNED.contains(&stem.as_str()), "{}: a name that names nothing", file.display());
        assert!(!stem.ends_with("_new") && !stem.contains("_v2"), "{}", file.display());
    }
}

#[test]
fn imports_are_read_from_groups_and_paths() {
    let text = "use crate::{base::{Key, Seed}, event};\nlet x = crate::plan::lower;";
    let expected: BTreeSet<String> = ["base", "event", "plan"].map(str::to_owned).into();
    assert_eq!(imports(text), expected);
}
