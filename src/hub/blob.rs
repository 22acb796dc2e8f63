//! Brings the contents of one file: goes on where a broken connection left off, and compares what
//! came with the digest that the hub calls it by.

use super::{
    HubError, Progress, Repo, Tell,
    cache::Cache,
    client::{Client, Contents, Failure, again},
};
use crate::store::Arriving;
use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256};
use std::{cell::Cell, fmt::Write as _, io::Read as _};
use ureq::{Body, http::Response};

/// Bytes that are read at a time.
const PIECE: usize = 1 << 17;

/// Brings a file of a commit, unless its contents are there, and gives it its name in the snapshot.
pub(super) fn bring(
    (repo, client, cache): (&Repo, &Client<'_>, &Cache<'_>),
    commit: &str,
    file: &str,
    tell: &mut Tell<'_>,
) -> Result<(), HubError> {
    let contents = client.contents(commit, file, tell)?;
    tell(Progress::File { name: file, bytes: contents.size });
    let [blob, unfinished, lock] = cache.blob(&contents.etag);
    let is_there = || blob.metadata().is_ok_and(|about| about.len() == contents.size);
    if !is_there() {
        let mut arriving = Arriving::open(&unfinished, &lock)?;
        // Whoever held the lock may have brought it.
        if is_there() {
            arriving.drop_file()?;
        } else {
            let download = Download { repo, client, commit, file, contents: &contents };
            download.whole(&mut arriving, tell)?;
            return finish(arriving, cache, (commit, file), &contents.etag);
        }
    }
    tell(Progress::Kept(contents.size));
    cache.link(commit, file, &contents.etag)
}

fn finish(
    arriving: Arriving,
    cache: &Cache<'_>,
    (commit, file): (&str, &str),
    etag: &str,
) -> Result<(), HubError> {
    let [blob, ..] = cache.blob(etag);
    arriving.finish(&blob)?;
    cache.link(commit, file, etag)
}

/// A file that is brought.
struct Download<'a> {
    repo: &'a Repo,
    client: &'a Client<'a>,
    commit: &'a str,
    file: &'a str,
    contents: &'a Contents,
}

impl Download<'_> {
    /// Brings what is missing; if what is there then is not what was promised, all of it once more.
    fn whole(&self, arriving: &mut Arriving, tell: &mut Tell<'_>) -> Result<(), HubError> {
        if arriving.length() > self.contents.size {
            arriving.clear()?;
        }
        tell(Progress::Kept(arriving.length()));
        let etag = &self.contents.etag;
        for is_last in [false, true] {
            let found = self.rest(arriving, tell)?;
            if found.as_ref().is_none_or(|found| found == etag) {
                break;
            }
            tell(Progress::Lost(arriving.length()));
            arriving.clear()?;
            if let Some(found) = found.filter(|_| is_last) {
                return Err(self.altered("digest", etag.clone(), found));
            }
        }
        Ok(())
    }

    /// Brings what is missing, and returns the digest of all, where the hub has one to compare
    /// with.
    fn rest(
        &self,
        arriving: &mut Arriving,
        tell: &mut Tell<'_>,
    ) -> Result<Option<String>, HubError> {
        let mut digest = Digesting::of(self.contents);
        arriving.read(&mut |piece| digest.update(piece))?;
        let arrived = Cell::new(0);
        let address = self.client.address(self.commit, self.file);
        self.client.patiently(&address, tell, &arrived, &mut |tell| {
            if arriving.length() == self.contents.size {
                return Ok(());
            }
            let answer = self.client.read(self.commit, self.file, arriving.length())?;
            if self.begins_at(&answer)? != arriving.length() {
                tell(Progress::Lost(arriving.length()));
                arriving.clear().map_err(HubError::from)?;
                digest = Digesting::of(self.contents);
            }
            let mut take = |piece: &[u8]| {
                digest.update(piece);
                arrived.set(arrived.get() + piece.len() as u64);
                tell(Progress::Arrived(piece.len() as u64));
                arriving.append(piece).map_err(|error| HubError::Store(error).into())
            };
            read_pieces(answer, &mut take)?;
            match arriving.length() {
                length if length == self.contents.size => Ok(()),
                length if length > self.contents.size => Err(self.wrong_size(length).into()),
                length => Err(again(format!(
                    "the connection ended after {length} of {} bytes",
                    self.contents.size
                ))),
            }
        })?;
        Ok(digest.finish())
    }

    /// The byte that an answer begins at, after its size was compared with the promised one.
    fn begins_at(&self, answer: &Response<Body>) -> Result<u64, HubError> {
        let text = |name: &str| answer.headers().get(name)?.to_str().ok();
        let number = |text: &str| text.trim().parse::<u64>().ok();
        let (start, size) = match answer.status().as_u16() {
            206 => {
                let range = text("content-range").and_then(|it| it.strip_prefix("bytes "));
                let (range, size) = range.and_then(|it| it.split_once('/')).unwrap_or_default();
                let start = range.split('-').next().and_then(number);
                (
                    start.ok_or_else(|| self.nonsense("it has no good `Content-Range`"))?,
                    number(size),
                )
            }
            _ => (0, text("content-length").and_then(number)),
        };
        match size {
            Some(size) if size != self.contents.size => Err(self.wrong_size(size)),
            _ => Ok(start),
        }
    }

    fn wrong_size(&self, found: u64) -> HubError {
        self.altered("size", self.contents.size.to_string(), found.to_string())
    }

    fn altered(&self, what: &'static str, expected: String, found: String) -> HubError {
        let (repo, file) = (self.repo.to_string(), self.file.to_owned());
        HubError::Altered { repo, file, what, expected, found }
    }

    fn nonsense(&self, reason: &str) -> HubError {
        let url = self.client.address(self.commit, self.file);
        HubError::Nonsense { url, reason: reason.to_owned() }
    }
}

/// Hands an answer over piece by piece.
fn read_pieces(
    answer: Response<Body>,
    take: &mut dyn FnMut(&[u8]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut reader = answer.into_body().into_reader();
    let mut piece = vec![0; PIECE];
    loop {
        match reader.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(count) => take(&piece[..count])?,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(again(error)),
        }
    }
}

/// The digest that the hub calls a file by: SHA-256 of large ones, and that of Git of the others;
/// nothing where it calls it otherwise.
struct Digesting(Option<Context>);

impl Digesting {
    fn of(contents: &Contents) -> Self {
        let is_hexadecimal = contents.etag.bytes().all(|it| it.is_ascii_hexdigit());
        Self(match contents.etag.len() {
            64 if is_hexadecimal => Some(Context::new(&SHA256)),
            40 if is_hexadecimal => {
                let mut context = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
                context.update(format!("blob {}\0", contents.size).as_bytes());
                Some(context)
            }
            _ => None,
        })
    }

    fn update(&mut self, piece: &[u8]) {
        if let Some(context) = &mut self.0 {
            context.update(piece);
        }
    }

    fn finish(self) -> Option<String> {
        let mut text = String::new();
        for byte in self.0?.finish().as_ref() {
            write!(text, "{byte:02x}").expect("a text takes all that is written");
        }
        Some(text)
    }
}
