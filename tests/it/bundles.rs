//! Archives that somebody made to do harm, or that did not arrive whole: each is refused, and
//! nothing of it is written.

use crate::sandbox::{Sandbox, assert_told};
use mstar::base::Digest;
use mstar::bundle::{self, Content, Entry, FORMAT, Limits, MANIFEST, Manifest, Member};
use std::fs;
use std::io::Write as _;
use std::ops::ControlFlow;
use tar::{EntryType, Header};

/// A good small bundle.
fn good() -> Vec<u8> {
    let member = |path: &str, text: &str| Member {
        path: path.to_owned(),
        content: Content::Bytes(text.as_bytes().to_vec()),
    };
    let members = vec![member("events.jsonl", ""), member("recipe/a.toml", "seed = 1\n")];
    let mut bytes = Vec::new();
    bundle::write(&mut bytes, ("tiny", "tiny-1"), members).unwrap();
    bytes
}

/// A header with any name, also such as no honest writer makes.
fn header(name: &[u8], kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_ustar();
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o644);
    for set in [Header::set_uid, Header::set_gid, Header::set_mtime] {
        set(&mut header, 0);
    }
    header.set_cksum();
    header
}

/// An archive: headers and what follows each, then the end.
struct Raw(Vec<u8>);

impl Raw {
    fn new() -> Self {
        Self(Vec::new())
    }

    /// With a list of these members first.
    fn listing(entries: &[(&str, &[u8])]) -> Self {
        let entry = |(path, bytes): &(&str, &[u8])| Entry {
            path: (*path).to_owned(),
            size: bytes.len() as u64,
            digest: Digest::of(bytes),
        };
        let members = entries.iter().map(entry).collect();
        let (name, run) = ("tiny".to_owned(), "tiny-1".to_owned());
        let manifest = Manifest { format: FORMAT, name, run, members };
        let text = serde_json::to_string(&manifest).unwrap();
        Self::new().file(MANIFEST, text.as_bytes())
    }

    /// With a list of one member that says it is so large.
    fn claiming(path: &str, size: u64) -> Self {
        let digest = Digest::of(b"");
        let text = format!(
            r#"{{"format":1,"name":"a","run":"a-1","members":[{{"path":"{path}","size":{size},"digest":"{digest}"}}]}}"#
        );
        Self::new().file(MANIFEST, text.as_bytes())
    }

    fn raw(mut self, header: &Header, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(bytes);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    fn file(self, name: &str, bytes: &[u8]) -> Self {
        let header = header(name.as_bytes(), EntryType::Regular, bytes.len() as u64);
        self.raw(&header, bytes)
    }

    /// A member that anybody may run.
    fn program(self, name: &str, bytes: &[u8]) -> Self {
        let mut header = header(name.as_bytes(), EntryType::Regular, bytes.len() as u64);
        header.set_mode(0o4755);
        header.set_cksum();
        self.raw(&header, bytes)
    }

    /// A member without content, of some kind.
    fn odd(self, name: &str, kind: EntryType) -> Self {
        self.raw(&header(name.as_bytes(), kind, 0), b"")
    }

    fn end(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        compressed(&self.0)
    }
}

fn compressed(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 3).unwrap()
}

/// Two members whose names a list has; honest but for the names.
fn named(one: &str, other: &str) -> Vec<u8> {
    let members: [(&str, &[u8]); 2] = [(one, b"1"), (other, b"2")];
    Raw::listing(&members).file(one, b"1").file(other, b"2").end()
}

/// What is refused, with what it stands for.
fn hostile() -> Vec<(&'static str, Vec<u8>)> {
    let one: &[(&str, &[u8])] = &[("a", b"1")];
    let manifest = |text: &str| Raw::new().file(MANIFEST, text.as_bytes()).end();
    let after = |more: &[u8]| [good(), more.to_vec()].concat();
    let mut wide = zstd::Encoder::new(Vec::new(), 3).unwrap();
    wide.window_log(27).unwrap();
    wide.write_all(&Raw::listing(one).file("a", b"1").0).unwrap();
    let mut padded = Raw::listing(one).file("a", b"1").0;
    padded.resize(padded.len() + (64 << 20), 0);
    let mut behind = Raw::listing(one).file("a", b"1").0;
    behind.resize(behind.len() + 1024, 0);
    behind.extend(b"more");
    vec![
        ("empty", Vec::new()),
        ("text", b"format = 1\n".to_vec()),
        ("a zip", b"PK\x03\x04".to_vec()),
        ("no tar", compressed(b"nothing that is known")),
        ("zeros without end", compressed(&vec![0; 64 << 20])),
        ("other member first", Raw::new().file("a", b"1").end()),
        ("list is no JSON", manifest("{")),
        ("list without format", manifest("{}")),
        ("later format", manifest(r#"{"format": 2, "new": true}"#)),
        ("unknown field", manifest(r#"{"format":1,"name":"","run":"","members":[],"x":1}"#)),
        ("long list", Raw::new().file(MANIFEST, &vec![b' '; 5 << 20]).end()),
        ("absolute path", named("/tmp/a", "b")),
        ("way out", named("../a", "b")),
        ("way out inside", named("a/../../b", "c")),
        ("hidden", named(".ssh/a", "b")),
        ("backslash", named("..\\a", "b")),
        ("drive", named("C:a", "b")),
        ("empty part", named("a//b", "c")),
        ("control", named("a\nb", "c")),
        ("letters of others", named("a\u{2044}b", "c")),
        ("twice", named("a", "a")),
        ("twice in capitals", named("readme", "README")),
        ("the list twice", named("a", "Manifest.JSON")),
        ("file as folder", named("a", "a/b")),
        (
            "nul in a name",
            Raw::listing(one).raw(&header(b"a\0b", EntryType::Regular, 1), b"1").end(),
        ),
        ("link", Raw::listing(one).odd("a", EntryType::Symlink).end()),
        ("hard link", Raw::listing(one).odd("a", EntryType::Link).end()),
        ("folder", Raw::listing(one).odd("a", EntryType::Directory).end()),
        ("device", Raw::listing(one).odd("a", EntryType::Char).end()),
        ("pipe", Raw::listing(one).odd("a", EntryType::Fifo).end()),
        ("holes", Raw::listing(one).odd("a", EntryType::GNUSparse).end()),
        ("long name", Raw::listing(one).odd("a", EntryType::GNULongName).end()),
        ("extension", Raw::listing(one).odd("a", EntryType::XHeader).end()),
        ("global extension", Raw::listing(one).odd("a", EntryType::XGlobalHeader).end()),
        ("not listed", Raw::listing(one).file("a", b"1").file("b", b"2").end()),
        ("other order", {
            let two: &[(&str, &[u8])] = &[("a", b"1"), ("b", b"2")];
            Raw::listing(two).file("b", b"2").file("a", b"1").end()
        }),
        ("shorter than listed", Raw::claiming("a", 5).file("a", b"1").end()),
        ("huge in the list", Raw::claiming("a", u64::MAX).file("a", b"1").end()),
        ("huge weights", Raw::claiming("weights/a", 1 << 50).file("weights/a", b"1").end()),
        ("huge in the header", {
            Raw::claiming("weights/a", 8 << 30)
                .raw(&header(b"weights/a", EntryType::Regular, 8 << 30), b"1")
                .end()
        }),
        ("header alone is huge", {
            Raw::listing(one).raw(&header(b"a", EntryType::Regular, 8 << 30), b"1").end()
        }),
        ("a program", Raw::listing(one).program("a", b"1").end()),
        ("altered", Raw::listing(one).file("a", b"2").end()),
        ("member missing", Raw::listing(one).end()),
        ("much memory", wide.finish().unwrap()),
        ("much padding", compressed(&padded)),
        ("text behind the end", compressed(&behind)),
        ("text after the archive", after(b"more")),
        ("another archive after it", after(&good())),
        ("not what a run leaves", good()),
    ]
}

#[test]
fn what_is_hostile_or_torn_is_refused_with_a_sentence_and_leaves_nothing() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path("inner")).unwrap();
    let mut told = String::new();
    for (what, bytes) in hostile() {
        sandbox.write("inner/bad.mstar", bytes);
        let said = sandbox.mstar(&["verify", "inner/bad.mstar"]).exits(2);
        assert_eq!(said.stdout, "");
        told += &format!("# {what}\n{}", said.stderr);
        let again = sandbox.mstar(&["reproduce", "inner/bad.mstar", "--folder", "inner/new"]);
        assert_eq!(
            (again.exits(2).stderr, said.stderr.clone()),
            (said.stderr.clone(), said.stderr)
        );
    }
    assert_told("bundles_hostile", &told);
    let left: Vec<_> = fs::read_dir(sandbox.path("inner")).unwrap().collect();
    assert_eq!(left.len(), 1, "only the archive itself is there: {left:?}");
    assert!(!sandbox.store().exists());
}

#[test]
fn every_torn_end_is_refused_and_no_flipped_bit_changes_what_is_read() {
    let whole = good();
    let read = |bytes: &[u8]| bundle::contents(bytes, &Limits::default());
    let files = |contents: &bundle::Contents| -> Vec<(String, Vec<u8>)> {
        contents.files().map(|(name, bytes)| (name.to_owned(), bytes.to_vec())).collect()
    };
    let contents = files(&read(&whole).unwrap());
    assert_eq!(contents.len(), 2);
    for end in 0..whole.len() {
        let told = read(&whole[..end]).unwrap_err();
        let is_torn = matches!(told, bundle::Error::Torn { .. });
        assert!(is_torn || end == 0, "cut to {end} of {} bytes: {told}", whole.len());
    }
    for bit in 0..whole.len() * 8 {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        if let Ok(read) = read(&bytes) {
            assert_eq!(files(&read), contents, "bit {bit}");
        }
    }
}

#[test]
fn limits_hold_whatever_a_bundle_says() {
    let whole = good();
    let refused = |limits: Limits| bundle::contents(&whole[..], &limits).unwrap_err().to_string();
    let limits = Limits::default();
    for (limits, word) in [
        (Limits { members: 1, ..limits }, "2 members, and up to 1"),
        (Limits { manifest_bytes: 10, ..limits }, "up to 10 B are read"),
        (Limits { kept_bytes: 3, ..limits }, "up to 3 B are read"),
        (Limits { total_bytes: 4, ..limits }, "up to 4 B are read"),
    ] {
        let said = refused(limits);
        assert!(said.contains(word), "{said}");
    }
    let mut pieces = 0;
    let stopped = bundle::read(&whole[..], &limits, &mut |_, _| {
        pieces += 1;
        ControlFlow::Break(())
    });
    assert_eq!((stopped.unwrap_err(), pieces), (bundle::Error::Stopped, 1));
}
