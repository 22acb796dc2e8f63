//! Reading a bundle that anybody may have made, piece by piece and within limits.
//!
//! Only the oldest form of tar is read: files with short names. Extensions, which is where an
//! archive could speak of links, other names and other sizes, are refused by their kind, and so is a
//! header that is not to the byte what [`super::write`] makes of a name and a size.

use super::write::header;
use super::{Entry, Error, Limits, MANIFEST, Manifest};
use crate::base::{Bytes, DigestWriter};
use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Read};
use std::ops::ControlFlow;
use tar::{Archive, EntryType};

/// Bytes that are handed on at once.
const PIECE: usize = 64 << 10;
/// Bytes of nothing that may stand between the last member and the end.
const PADDING: u64 = 20 << 10;
/// What a zstd frame begins with.
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Whether the first bytes of a file are those of a bundle.
pub fn is_compressed(start: &[u8]) -> bool {
    start.starts_with(&MAGIC)
}

/// Reads a bundle to its end. `take` is given the bytes of every member but the list, in pieces and
/// in order, an empty piece for an empty member; a member is only known to be what the list says
/// when the next one begins or the function returns.
///
/// # Errors
/// The first thing that is not as [`super::write`] writes it; [`Error::Stopped`] when `take` says so.
pub fn read(
    source: impl Read,
    limits: &Limits,
    take: &mut dyn FnMut(&Entry, &[u8]) -> ControlFlow<()>,
) -> Result<Manifest, Error> {
    let mut source = BufReader::new(source);
    let start = source.fill_buf().map_err(|error| torn(&error))?;
    if !is_compressed(start) {
        let reason = match start {
            [] => "it is empty",
            start if MAGIC.starts_with(start) => {
                return Err(Error::Torn { reason: "it ends at its beginning".to_owned() });
            }
            _ => "it is not compressed by zstd",
        };
        return Err(Error::NotABundle { reason: reason.to_owned() });
    }
    let mut decoder =
        zstd::Decoder::with_buffer(source).map_err(|error| torn(&error))?.single_frame();
    decoder.window_log_max(limits.window_log).map_err(|error| torn(&error))?;
    let mut archive = Archive::new(Decompressed(decoder));
    let manifest = members(&mut archive, limits, take)?;
    let mut decoder = archive.into_inner();
    let mut rest = Vec::new();
    let read = (&mut decoder).take(PADDING + 1).read_to_end(&mut rest);
    read.map_err(|error| torn(&error))?;
    if rest.len() as u64 > PADDING || rest.iter().any(|byte| *byte != 0) {
        return Err(Error::Trailing);
    }
    let mut source = decoder.0.finish();
    let after = source.fill_buf().map_err(|error| torn(&error))?;
    if after.is_empty() { Ok(manifest) } else { Err(Error::Trailing) }
}

fn members(
    archive: &mut Archive<impl Read>,
    limits: &Limits,
    take: &mut dyn FnMut(&Entry, &[u8]) -> ControlFlow<()>,
) -> Result<Manifest, Error> {
    let mut found = archive.entries().map_err(|error| torn(&error))?.raw(true);
    let first =
        found.next().ok_or_else(|| missing(MANIFEST))?.map_err(|error| not_a_tar(&error))?;
    let mut manifest = Manifest::parse(&list(first, limits)?, limits)?;
    let mut expected = std::mem::take(&mut manifest.members).into_iter();
    let mut seen = Vec::with_capacity(expected.len());
    for file in found {
        let mut file = file.map_err(|error| torn(&error))?;
        let name = name_of(&file)?;
        let entry = expected.next().filter(|entry| entry.path == name);
        let Some(entry) = entry else { return Err(Error::Unlisted { name }) };
        let (said, listed) = (Bytes(file.size()), Bytes(entry.size));
        if said != listed {
            return Err(Error::Size { name, said, listed });
        }
        let wanted = header(&name, entry.size).map_err(|error| torn(&error))?;
        if file.header().as_bytes() != wanted.as_bytes() {
            return Err(Error::OddHeader { name });
        }
        pass_on(&mut file, &entry, take)?;
        seen.push(entry);
    }
    if let Some(next) = expected.next() {
        return Err(Error::Torn { reason: format!("it ends before member `{}`", next.path) });
    }
    manifest.members = seen;
    Ok(manifest)
}

/// The text of the list, which must come first.
fn list(mut file: tar::Entry<'_, impl Read>, limits: &Limits) -> Result<Vec<u8>, Error> {
    let name = name_of(&file)?;
    if name != MANIFEST {
        let reason = format!("its first member is `{name}`, not `{MANIFEST}`");
        return Err(Error::NotABundle { reason });
    }
    if file.size() > limits.manifest_bytes {
        let (size, limit) = (Bytes(file.size()), Bytes(limits.manifest_bytes));
        return Err(Error::TooLarge { what: format!("member `{name}`"), size, limit });
    }
    let (size, mut text) = (file.size(), Vec::new());
    file.read_to_end(&mut text).map_err(|error| torn(&error))?;
    if text.len() as u64 == size { Ok(text) } else { Err(ends_in(MANIFEST)) }
}

/// The name of a file; what is no file is refused.
fn name_of(file: &tar::Entry<'_, impl Read>) -> Result<String, Error> {
    let name = String::from_utf8_lossy(&file.path_bytes()).into_owned();
    let kind = match file.header().entry_type() {
        EntryType::Regular => {
            super::check_name(&name)?;
            return Ok(name);
        }
        EntryType::Symlink | EntryType::Link => "a link",
        EntryType::Directory => "a folder",
        EntryType::Char | EntryType::Block | EntryType::Fifo => "a device or a pipe",
        EntryType::GNUSparse => "a file with holes",
        _ => "an extension",
    };
    let name = name.chars().take(100).flat_map(char::escape_default).collect();
    Err(Error::NotAFile { name, kind })
}

fn pass_on(
    file: &mut impl Read,
    entry: &Entry,
    take: &mut dyn FnMut(&Entry, &[u8]) -> ControlFlow<()>,
) -> Result<(), Error> {
    let mut digest = DigestWriter::default();
    let mut piece = vec![0; PIECE.min(usize::try_from(entry.size).unwrap_or(PIECE)).max(1)];
    let mut left = entry.size;
    loop {
        let count = match file.read(&mut piece) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(torn(&error)),
        };
        if count > 0 || entry.size == 0 {
            digest.update(&piece[..count]);
            if take(entry, &piece[..count]).is_break() {
                return Err(Error::Stopped);
            }
        }
        left = left.saturating_sub(count as u64);
        if count == 0 {
            break;
        }
    }
    match left {
        0 if digest.finish() == entry.digest => Ok(()),
        0 => Err(Error::Altered { name: entry.path.clone() }),
        _ => Err(ends_in(&entry.path)),
    }
}

/// What it says of a frame that asks for more memory than it is given: nobody here wrote that.
const TOO_WIDE: &str = "too much memory";

/// What the decompression said, so that it is told from what the archive says of itself.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Damaged(io::Error);

/// The decompressed bytes.
struct Decompressed<R: io::BufRead>(zstd::Decoder<'static, R>);

impl<R: io::BufRead> Read for Decompressed<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.read(into).map_err(|error| io::Error::new(error.kind(), Damaged(error)))
    }
}

fn torn(error: &io::Error) -> Error {
    Error::Torn { reason: error.to_string() }
}

fn not_a_tar(error: &io::Error) -> Error {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Damaged>());
    let is_damaged = inner.is_some_and(|it| !it.to_string().contains(TOO_WIDE));
    if is_damaged || error.kind() == io::ErrorKind::UnexpectedEof {
        return torn(error);
    }
    Error::NotABundle { reason: error.to_string() }
}

fn missing(name: &str) -> Error {
    Error::Missing { name: name.to_owned() }
}

fn ends_in(name: &str) -> Error {
    Error::Torn { reason: format!("it ends inside member `{name}`") }
}

/// A bundle that was read; of weights only the list has something.
#[derive(Clone, Debug)]
pub struct Contents {
    /// The list.
    pub manifest: Manifest,
    files: BTreeMap<String, Vec<u8>>,
}

impl Contents {
    /// The bytes of a member that must be there.
    ///
    /// # Errors
    /// [`Error::Missing`].
    pub fn bytes(&self, name: &str) -> Result<&[u8], Error> {
        self.files.get(name).map(Vec::as_slice).ok_or_else(|| missing(name))
    }

    /// The same as text.
    ///
    /// # Errors
    /// [`Error::Missing`], or [`Error::Unreadable`] when it is no text.
    pub fn text(&self, name: &'static str) -> Result<&str, Error> {
        let bytes = self.bytes(name)?;
        std::str::from_utf8(bytes)
            .map_err(|error| Error::Unreadable { what: name, reason: error.to_string() })
    }

    /// All members but weights, by name.
    pub fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
    }
}

/// Reads a bundle and keeps everything but its weights, whose digests are checked like all others.
///
/// # Errors
/// As [`read`].
pub fn contents(source: impl Read, limits: &Limits) -> Result<Contents, Error> {
    let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let manifest = read(source, limits, &mut |entry, piece| {
        if !entry.is_weights() {
            files.entry(entry.path.clone()).or_default().extend_from_slice(piece);
        }
        ControlFlow::Continue(())
    })?;
    Ok(Contents { manifest, files })
}
