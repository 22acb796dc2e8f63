//! What the end of a zip archive claims, looked at before the list of files that it speaks of is
//! read: whoever reads that list makes room for as many files as are claimed.

use std::io::{self, Read, Seek, SeekFrom};

/// Bytes of the end of an archive without its comment, and of the longest comment.
const END: u64 = 22;
const LONGEST_COMMENT: u64 = 0xffff;
/// Bytes of what stands before it in a large archive: where the longer end is, and that end.
const LOCATOR: u64 = 20;
const LONG_END: u64 = 56;
/// Bytes of the shortest entry in the list of files.
const SHORTEST_ENTRY: u64 = 46;

/// Refuses an archive that claims more files than `most`, or a list of files that is not in it.
///
/// # Errors
/// What is wrong with it, as it follows its name.
pub(super) fn check(archive: &mut (impl Read + Seek), most: u64) -> Result<(), String> {
    let claimed = Claimed::read(archive).map_err(|error| format!("cannot be read: {error}"))?;
    let Claimed { files, list_at, list_bytes, ends_at } =
        claimed.ok_or("cannot be read: it does not end as an archive does")?;
    if files > most {
        return Err(format!("has {files} files, more than {most}"));
    }
    let list_end = list_at.checked_add(list_bytes).filter(|end| *end <= ends_at);
    if list_end.is_none() || files > list_bytes / SHORTEST_ENTRY {
        return Err(format!("claims {files} files, and the list of them is not in it"));
    }
    Ok(())
}

/// What an archive claims.
struct Claimed {
    files: u64,
    /// Where the list of them begins, and its bytes.
    list_at: u64,
    list_bytes: u64,
    /// Where the claims begin, before which the list must lie.
    ends_at: u64,
}

impl Claimed {
    /// Finds the end as whoever unpacks the archive does: the last that looks like one.
    fn read(archive: &mut (impl Read + Seek)) -> io::Result<Option<Self>> {
        let length = archive.seek(SeekFrom::End(0))?;
        let from = length.saturating_sub(END + LONGEST_COMMENT + LOCATOR);
        let tail = bytes_at(archive, from, length - from)?;
        let is_end = |at: &usize| tail[*at..].starts_with(b"PK\x05\x06");
        let Some(at) = (0..(tail.len() + 1).saturating_sub(END as usize)).rev().find(is_end) else {
            return Ok(None);
        };
        let end = &tail[at..];
        let comment = number(end, 20, 2);
        let short = Self {
            files: number(end, 8, 2),
            list_bytes: number(end, 12, 4),
            list_at: number(end, 16, 4),
            ends_at: from + at as u64,
        };
        let locator = length.checked_sub(END + comment + LOCATOR);
        let locator =
            locator.and_then(|at| tail.get(usize::try_from(at.checked_sub(from)?).ok()?..));
        match locator.filter(|locator| locator.starts_with(b"PK\x06\x07")) {
            None => Ok(Some(short)),
            Some(locator) => Self::long(archive, number(locator, 8, 8), short.ends_at),
        }
    }

    /// The end of a large archive. One that is not where it should be is none: looking for it may
    /// take as long as the archive is.
    fn long(archive: &mut (impl Read + Seek), at: u64, before: u64) -> io::Result<Option<Self>> {
        if at.checked_add(LONG_END + LOCATOR).is_none_or(|end| end > before) {
            return Ok(None);
        }
        let end = bytes_at(archive, at, LONG_END)?;
        Ok(end.starts_with(b"PK\x06\x06").then(|| Self {
            files: number(&end, 32, 8),
            list_bytes: number(&end, 40, 8),
            list_at: number(&end, 48, 8),
            ends_at: at,
        }))
    }
}

fn bytes_at(archive: &mut (impl Read + Seek), at: u64, count: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    archive.seek(SeekFrom::Start(at))?;
    archive.take(count).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A number of so many bytes, the last of which counts most; what is not there counts nothing.
fn number(bytes: &[u8], at: usize, count: usize) -> u64 {
    let digits = bytes.iter().skip(at).take(count).rev();
    digits.fold(0, |number, digit| number << 8 | u64::from(*digit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Cursor, Write as _};
    use zip::{ZipWriter, write::FileOptions};

    /// An archive of nothing but claims: `files` in a list of so many bytes behind `before` of them.
    fn claiming(files: u64, list_bytes: u64, before: usize) -> Cursor<Vec<u8>> {
        let mut bytes = vec![0; before];
        let end_at = bytes.len() as u64;
        bytes.extend(b"PK\x06\x06\x2c\0\0\0\0\0\0\0\x2d\0\x2d\0\0\0\0\0\0\0\0\0");
        for value in [files, files, list_bytes, 0] {
            bytes.extend(value.to_le_bytes());
        }
        bytes.extend(b"PK\x06\x07\0\0\0\0");
        bytes.extend(end_at.to_le_bytes());
        bytes.extend(b"\x01\0\0\0PK\x05\x06\0\0\0\0");
        bytes.extend([0xff; 12]);
        bytes.extend(b"\0\0");
        Cursor::new(bytes)
    }

    #[test]
    fn more_files_than_an_archive_can_hold_are_refused_unread() {
        let told = |files, list_bytes| check(&mut claiming(files, list_bytes, 920), 100);
        assert_eq!(told(20, 920), Ok(()));
        assert_eq!(told(101, 920).unwrap_err(), "has 101 files, more than 100");
        let wrong = "claims 21 files, and the list of them is not in it";
        assert_eq!(told(21, 920).unwrap_err(), wrong);
        assert_eq!(told(21, 966).unwrap_err(), wrong);
        assert_eq!(told(21, u64::MAX).unwrap_err(), wrong);
        let mut astray = claiming(20, 920, 920);
        astray.get_mut()[920] = b'?';
        assert!(check(&mut astray, 100).is_err());
        for torn in ["", "PK\x05\x06", "no archive at all, though a long one"] {
            assert!(check(&mut Cursor::new(torn), 100).is_err(), "{torn}");
        }
    }

    #[test]
    fn archives_of_every_form_are_let_through() {
        for comment in ["", "a comment with PK\x05\x06 in it"] {
            let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
            writer.set_comment(comment);
            writer.start_file("a", FileOptions::default().large_file(true)).unwrap();
            writer.write_all(b"a").unwrap();
            let mut archive = writer.finish().unwrap();
            assert_eq!(check(&mut archive, 1), Ok(()), "{comment}");
            archive.get_mut().splice(..0, *b"before");
            assert_eq!(check(&mut archive, 1), Ok(()), "{comment}");
        }
        let mut many = ZipWriter::new(Cursor::new(Vec::new()));
        for at in 0..70_000 {
            many.start_file(at.to_string(), FileOptions::default()).unwrap();
        }
        let mut many = many.finish().unwrap();
        assert_eq!(check(&mut many, 70_000), Ok(()));
        assert!(check(&mut many, 69_999).is_err());
    }
}
