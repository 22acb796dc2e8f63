//! Writing a bundle: the same members give the same bytes, wherever and whenever.

use super::{Entry, FORMAT, MANIFEST, Manifest};
use crate::base::Digest;
use std::io::{self, Read, Write};
use tar::{Builder, EntryType, Header};

/// Dense, and still fast for what has no weights.
const LEVEL: i32 = 12;
/// Memory that reading takes, as a logarithm; readers refuse more.
const WINDOW_LOG: u32 = 22;

/// What a member holds.
pub enum Content {
    /// What is at hand.
    Bytes(Vec<u8>),
    /// What is read when its turn comes: its size, its digest and the bytes.
    Stream(u64, Digest, Box<dyn Read>),
}

/// A member to write.
pub struct Member {
    /// Its name; [`super::check_name`] must allow it.
    pub path: String,
    /// What it holds.
    pub content: Content,
}

/// Writes a bundle of members with different names.
///
/// # Errors
/// What the writer, or a member that is read, fails with.
pub fn write(
    to: &mut dyn Write,
    (name, run): (&str, &str),
    mut members: Vec<Member>,
) -> io::Result<()> {
    members.sort_by(|one, other| one.path.cmp(&other.path));
    let entries = members.iter().map(|member| {
        let (size, digest) = match &member.content {
            Content::Bytes(bytes) => (bytes.len() as u64, Digest::of(bytes)),
            Content::Stream(size, digest, _) => (*size, *digest),
        };
        Entry { path: member.path.clone(), size, digest }
    });
    let (name, run) = (name.to_owned(), run.to_owned());
    let manifest = Manifest { format: FORMAT, name, run, members: entries.collect() };
    let text = serde_json::to_string_pretty(&manifest).expect("a list is plain data") + "\n";
    let mut encoder = zstd::Encoder::new(to, LEVEL)?;
    encoder.window_log(WINDOW_LOG)?;
    encoder.include_checksum(true)?;
    let mut archive = Builder::new(encoder);
    append(&mut archive, MANIFEST, text.len() as u64, text.as_bytes())?;
    for (member, entry) in members.into_iter().zip(&manifest.members) {
        match member.content {
            Content::Bytes(bytes) => append(&mut archive, &entry.path, entry.size, &*bytes)?,
            Content::Stream(size, _, bytes) => append(&mut archive, &entry.path, size, bytes)?,
        }
    }
    archive.into_inner()?.finish()?.flush()
}

fn append(
    archive: &mut Builder<impl Write>,
    path: &str,
    size: u64,
    content: impl Read,
) -> io::Result<()> {
    archive.append(&header(path, size)?, content)
}

/// The header of a member, in which nothing but its name and size is free.
pub(super) fn header(path: &str, size: u64) -> io::Result<Header> {
    let mut header = Header::new_ustar();
    header.set_path(path)?;
    header.set_entry_type(EntryType::Regular);
    header.set_size(size);
    header.set_mode(0o644);
    for set in [Header::set_uid, Header::set_gid, Header::set_mtime] {
        set(&mut header, 0);
    }
    header.set_cksum();
    Ok(header)
}
