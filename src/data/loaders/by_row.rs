//! A reader that gives up inside a row that takes more than any row may, whatever reads from it.

use std::cell::Cell;
use std::io::{self, Read, Seek, SeekFrom};
use std::rc::Rc;

/// Bytes of the longest row: an image of many megapixels in base64 fits.
pub(super) const LONGEST_ROW: u64 = 256 << 20;

/// What is read, and how much of it since the last row.
pub(super) struct ByRow<R> {
    inner: R,
    read: Rc<Cell<u64>>,
}

/// Tells a [`ByRow`] that a row ended.
pub(super) struct RowEnds(Rc<Cell<u64>>);

impl RowEnds {
    pub(super) fn tell(&self) {
        self.0.set(0);
    }
}

/// Makes a reader that knows of rows.
pub(super) fn by_row<R: Read>(inner: R) -> (ByRow<R>, RowEnds) {
    let read = Rc::new(Cell::new(0));
    (ByRow { inner, read: Rc::clone(&read) }, RowEnds(read))
}

impl<R: Read> Read for ByRow<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.read.get() > LONGEST_ROW {
            return Err(io::Error::other(format!("a row is longer than {LONGEST_ROW} bytes")));
        }
        let count = self.inner.read(buffer)?;
        self.read.set(self.read.get() + count as u64);
        Ok(count)
    }
}

impl<R: Seek> Seek for ByRow<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.read.set(0);
        self.inner.seek(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_of_short_rows_are_read_and_a_long_row_is_not() {
        let piece = 1 << 20;
        let (mut reader, ends) = by_row(io::repeat(b'a'));
        let mut buffer = vec![0; piece];
        for _ in 0..600 {
            reader.read_exact(&mut buffer).expect("rows end in time");
            ends.tell();
        }
        let read = (0..600).find(|_| reader.read_exact(&mut buffer).is_err());
        assert_eq!(read, Some(257));
    }
}
