//! Prompts whose pictures stay in the file of their table until somebody asks for them.
//!
//! A picture is read by its row: the index of the file's pages says where it lies, and no more is
//! decompressed than its page. What was decoded is kept while there is room, so that a table of small
//! pictures is decoded once.

use super::{
    codec::{TableError, guarded, path_of_pictures, read, torn},
    prompts::{ONE, SEVERAL, decoded, of_list},
    schema::{Row, schema_to_read},
};
use crate::data::{Pictures, Sample};
use arrow_array::{Array as _, ListArray, RecordBatch};
use bytes::Bytes;
use image::RgbImage;
use parquet::{
    arrow::{
        ProjectionMask,
        arrow_reader::{
            ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection,
            RowSelector,
        },
    },
    errors::ParquetError,
    file::{
        metadata::PageIndexPolicy,
        reader::{ChunkReader, Length},
    },
};
use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bytes of decoded pictures that are kept of a table.
const KEPT: usize = 256 << 20;

/// The pictures of one prompt, in the file of its table.
#[derive(Clone)]
pub struct Stored {
    table: Arc<Table>,
    row: usize,
    count: usize,
}

impl Stored {
    /// The pictures, in their order. Any thread may ask.
    ///
    /// # Errors
    /// [`TableError`], when the file cannot be read or a picture is damaged.
    pub fn read(&self) -> Result<Arc<[RgbImage]>, TableError> {
        match self.table.kept().images.get(&self.row) {
            Some(images) => return Ok(Arc::clone(images)),
            None if self.count == 0 => return Ok(Arc::new([])),
            None => {}
        }
        guarded::<Sample, _>(|| self.table.read(self.row))
            .map_err(|fault| of(&self.table.path, fault))
    }
}

impl Pictures for Stored {
    fn count(&self) -> usize {
        self.count
    }
}

impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} pictures of row {}", self.count, self.row)
    }
}

/// The prompts of a file, whose pictures stay there. The file must not change while it is open; its
/// path is told where it cannot be read.
///
/// # Errors
/// [`TableError`], as [`decode`](super::decode) has it, but for what is wrong with a picture.
pub fn stored_prompts(file: File, path: &Path) -> Result<Vec<Sample<Stored>>, TableError> {
    stored_within(file, path, KEPT).map_err(|fault| of(path, fault))
}

fn of(path: &Path, fault: TableError) -> TableError {
    TableError::File { file: path.to_owned(), fault: Box::new(fault) }
}

fn stored_within(file: File, path: &Path, most: usize) -> Result<Vec<Sample<Stored>>, TableError> {
    guarded::<Sample, _>(|| {
        let length = file.metadata().map_err(torn::<Sample>)?.len();
        let file = InFile { file: Arc::new(file), length };
        let texts: Vec<Sample<()>> = read(file.clone())?;
        let table = Arc::new(Table::open(file, path, most)?);
        let counts = table.counts(texts.len())?;
        let stored = |(row, (text, count)): (usize, (Sample<()>, usize))| {
            text.with_images(Stored { table: Arc::clone(&table), row, count })
        };
        Ok(texts.into_iter().zip(counts).enumerate().map(stored).collect())
    })
}

/// A table that is read by rows.
struct Table {
    file: InFile,
    path: PathBuf,
    metadata: ArrowReaderMetadata,
    /// The column of pictures: whether it has lists, and which leaf their bytes are.
    has_lists: bool,
    leaf: usize,
    /// The first row of each group, and the number of rows.
    groups: Vec<usize>,
    /// The first row of each page of pictures, and the number of rows.
    pages: Vec<usize>,
    kept: Mutex<Kept>,
    most: usize,
}

/// Decoded pictures by row.
#[derive(Default)]
struct Kept {
    images: BTreeMap<usize, Arc<[RgbImage]>>,
    bytes: usize,
}

impl Table {
    fn open(file: InFile, path: &Path, most: usize) -> Result<Self, TableError> {
        let options = ArrowReaderOptions::new().with_offset_index_policy(PageIndexPolicy::Optional);
        let metadata = ArrowReaderMetadata::load(&file, options).map_err(torn::<Sample>)?;
        let (has_lists, leaf) = column_of_pictures(&metadata)?;
        let (mut groups, mut pages, mut rows) = (Vec::new(), Vec::new(), 0);
        for (number, group) in metadata.metadata().row_groups().iter().enumerate() {
            let count = usize::try_from(group.num_rows()).map_err(torn::<Sample>)?;
            groups.push(rows);
            pages.push(rows);
            let index = metadata.metadata().page_index_for_row_group(number);
            let firsts = index.page_locations(leaf).into_iter().flatten();
            for first in firsts.map(|location| location.first_row_index) {
                let first = usize::try_from(first).map_err(torn::<Sample>)?;
                let is_later = pages.last().is_some_and(|&last| last < rows + first);
                if is_later && first < count {
                    pages.push(rows + first);
                }
            }
            rows += count;
        }
        groups.push(rows);
        pages.push(rows);
        let (path, kept) = (path.to_owned(), Mutex::default());
        Ok(Self { file, path, metadata, has_lists, leaf, groups, pages, kept, most })
    }

    /// How many pictures each row has.
    fn counts(&self, rows: usize) -> Result<Vec<usize>, TableError> {
        if !self.has_lists {
            return Ok(vec![1; rows]);
        }
        // The names of pictures are as many, and short.
        let names = self.leaf + 1;
        let mut counts = Vec::with_capacity(rows);
        let reader = self.reader(names).build().map_err(torn::<Sample>)?;
        for batch in reader {
            let batch = batch.map_err(torn::<Sample>)?;
            let lists: &ListArray = column(&batch)?;
            counts.extend((0..lists.len()).map(|row| lists.value_length(row) as usize));
        }
        if counts.len() == rows { Ok(counts) } else { Err(torn::<Sample>("rows are missing")) }
    }

    fn reader(&self, leaf: usize) -> ParquetRecordBatchReaderBuilder<InFile> {
        let mask = ProjectionMask::leaves(self.metadata.parquet_schema(), [leaf]);
        let (file, metadata) = (self.file.clone(), self.metadata.clone());
        ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata).with_projection(mask)
    }

    /// Reads the page of a row, keeps what is in it while there is room, and gives the row's.
    fn read(&self, row: usize) -> Result<Arc<[RgbImage]>, TableError> {
        let page = around(&self.pages, row);
        let batch = self.batch(page.clone())?;
        let decode = |at: usize| -> Result<Arc<[RgbImage]>, TableError> {
            let images = match self.has_lists {
                true => of_list(column(&batch)?, at - page.start, at)?,
                false => {
                    let place = at - page.start;
                    decoded(column(&batch)?, place..place + 1, (ONE, at))?
                }
            };
            Ok(images.into())
        };
        let wanted = decode(row)?;
        self.keep(row, &wanted);
        // Of those beside it each is asked for by its own row, which then says what is wrong.
        for other in page.clone().filter(|other| *other != row) {
            if self.is_full() {
                break;
            }
            if let Ok(images) = decode(other) {
                self.keep(other, &images);
            }
        }
        Ok(wanted)
    }

    fn batch(&self, rows: Range<usize>) -> Result<RecordBatch, TableError> {
        let group = around(&self.groups, rows.start);
        let number = self.groups.partition_point(|&first| first <= rows.start) - 1;
        let selectors =
            vec![RowSelector::skip(rows.start - group.start), RowSelector::select(rows.len())];
        let mut reader = self
            .reader(self.leaf)
            .with_row_groups(vec![number])
            .with_row_selection(RowSelection::from(selectors))
            .with_batch_size(rows.len())
            .build()
            .map_err(torn::<Sample>)?;
        let batch = reader.next().transpose().map_err(torn::<Sample>)?;
        let is_whole = |batch: &RecordBatch| batch.num_rows() == rows.len();
        batch.filter(is_whole).ok_or_else(|| torn::<Sample>("rows are missing"))
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Nothing that can fail is done while it is held.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_full(&self) -> bool {
        self.kept().bytes >= self.most
    }

    fn keep(&self, row: usize, images: &Arc<[RgbImage]>) {
        let bytes: usize = images.iter().map(|image| image.as_raw().len()).sum();
        let mut kept = self.kept();
        if kept.bytes + bytes <= self.most && !kept.images.contains_key(&row) {
            kept.images.insert(row, Arc::clone(images));
            kept.bytes += bytes;
        }
    }
}

/// The part of some rows, given by the first of each part, in which a row is.
fn around(firsts: &[usize], row: usize) -> Range<usize> {
    let next = firsts.partition_point(|&first| first <= row);
    firsts[next - 1]..firsts[next]
}

/// Whether a table has lists of pictures, and which leaf their bytes are.
fn column_of_pictures(metadata: &ArrowReaderMetadata) -> Result<(bool, usize), TableError> {
    let table = Sample::<Vec<RgbImage>>::TABLE;
    let fault = |column: &'static str, fault: String| TableError::Column { table, column, fault };
    let expected = schema_to_read::<Sample>();
    for column in Sample::<Vec<RgbImage>>::COLUMNS.iter().filter(|it| it.replaceable) {
        let Ok(found) = metadata.schema().field_with_name(column.name) else { continue };
        let field = expected.field_with_name(column.name).expect("it is a column of the table");
        if found.data_type() != field.data_type() {
            let types = (field.data_type(), found.data_type());
            return Err(fault(column.name, format!("should be {}, but is {}", types.0, types.1)));
        }
        if found.is_nullable() {
            return Err(fault(column.name, "may lack values".to_owned()));
        }
        let path = path_of_pictures(column);
        let leaves = metadata.parquet_schema().columns();
        let leaf = leaves.iter().position(|leaf| Some(leaf.path()) == path.as_ref());
        let leaf = leaf.ok_or_else(|| fault(column.name, "has no bytes".to_owned()))?;
        return Ok((column.name == SEVERAL, leaf));
    }
    Err(fault(ONE, "is missing".to_owned()))
}

/// The only column of a batch.
fn column<A: 'static>(batch: &RecordBatch) -> Result<&A, TableError> {
    let found = batch.columns().first().and_then(|column| column.as_any().downcast_ref());
    found.ok_or_else(|| torn::<Sample>("a column is missing"))
}

/// A file that several threads read, each at places of its own.
#[derive(Clone)]
struct InFile {
    file: Arc<File>,
    length: u64,
}

impl Length for InFile {
    fn len(&self) -> u64 {
        self.length
    }
}

impl ChunkReader for InFile {
    type T = BufReader<Rest>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        Ok(BufReader::new(Rest { file: self.clone(), at: start }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let end = start.checked_add(length as u64);
        if end.is_none_or(|end| end > self.length) {
            return Err(ParquetError::EOF(format!("{length} bytes at {start} are not there")));
        }
        let mut buffer = vec![0; length];
        self.file.read_exact_at(&mut buffer, start)?;
        Ok(buffer.into())
    }
}

/// What follows a place in a file.
struct Rest {
    file: InFile,
    at: u64,
}

impl Read for Rest {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.file.read_at(buffer, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Seed;
    use crate::data::table::{PromptWriter, encode};
    use rand::RngCore as _;
    use std::io::Write as _;

    /// Noise, which no compression makes smaller.
    fn noisy(count: u64, side: u32) -> Vec<Sample> {
        let sample = |id: u64| {
            let mut raw = vec![0; (side * side * 3) as usize];
            Seed(id).generator().fill_bytes(&mut raw);
            Sample {
                id,
                category: "all".to_owned(),
                question: format!("question {id}"),
                prompt: None,
                answer: (!id.is_multiple_of(3)).then(|| id.to_string()),
                images: vec![RgbImage::from_raw(side, side, raw).unwrap()],
            }
        };
        (0..count).map(sample).collect()
    }

    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    fn within(bytes: &[u8], most: usize) -> Result<Vec<Sample<Stored>>, TableError> {
        stored_within(file(bytes), Path::new("train.parquet"), most)
    }

    #[test]
    fn what_cannot_be_read_any_more_names_its_file() {
        let file = file(&encode(&noisy(3, 60)).unwrap());
        let shared = file.try_clone().unwrap();
        let stored = stored_prompts(file, Path::new("store/train.parquet")).unwrap();
        shared.set_len(0).unwrap();
        let said = stored[1].images.read().unwrap_err().to_string();
        assert!(said.starts_with("`store/train.parquet`: cannot read the table"), "{said}");
    }

    fn whole(sample: &Sample<Stored>) -> Sample {
        let images = sample.images.read().unwrap().to_vec();
        sample.clone().with_images(images)
    }

    #[test]
    fn every_picture_is_read_by_its_row_in_any_order() {
        let mut several = noisy(40, 20);
        let second = several[7].images[0].clone();
        several[3].images.push(second);
        several[8].images.clear();
        for samples in [noisy(40, 20), several, Vec::new()] {
            let stored = within(&encode(&samples).unwrap(), 0).unwrap();
            assert_eq!(stored.len(), samples.len());
            let counts: Vec<usize> = stored.iter().map(|it| it.images.count()).collect();
            assert_eq!(counts, samples.iter().map(|it| it.images.len()).collect::<Vec<_>>());
            for row in (0..samples.len()).rev().chain((0..samples.len()).step_by(7)) {
                assert_eq!(whole(&stored[row]), samples[row], "{row}");
            }
        }
    }

    #[test]
    fn groups_of_a_table_have_pages_of_their_own_and_large_pictures_too() {
        let samples = noisy(9, 160);
        let mut writer = PromptWriter::new(Vec::new(), false, true, 2).unwrap();
        samples.chunks(4).for_each(|group| writer.write(group).unwrap());
        let stored = within(&writer.finish().unwrap(), 0).unwrap();
        let table = &stored[0].images.table;
        assert_eq!(table.groups, [0, 4, 8, 9]);
        assert_eq!(table.pages, (0..10).collect::<Vec<_>>());
        assert!(stored.iter().zip(&samples).all(|(one, other)| whole(one) == *other));
        // Small ones are read together.
        let small = within(&encode(&noisy(300, 8)).unwrap(), 0).unwrap();
        let table = &small[0].images.table;
        assert!((2..20).contains(&table.pages.len()), "{:?}", table.pages);
    }

    #[test]
    fn no_more_is_kept_than_there_is_room_for() {
        let samples = noisy(30, 10);
        let each = 300;
        let bytes = encode(&samples).unwrap();
        let stored = within(&bytes, 4 * each).unwrap();
        for sample in stored.iter().chain(&stored) {
            assert_eq!(whole(sample).images, samples[sample.id as usize].images);
        }
        let kept = stored[0].images.table.kept();
        assert_eq!((kept.images.len(), kept.bytes), (4, 4 * each));
        let stored = within(&bytes, 1 << 20).unwrap();
        stored[29].images.read().unwrap();
        assert_eq!(stored[0].images.table.kept().images.len(), 30);
    }

    #[test]
    fn threads_that_read_at_once_see_what_one_sees() {
        let samples = noisy(24, 150);
        let stored = within(&encode(&samples).unwrap(), 200_000).unwrap();
        std::thread::scope(|scope| {
            for offset in 0..4 {
                let (stored, samples) = (&stored, &samples);
                scope.spawn(move || {
                    for row in (0..48).map(|at| (at * 5 + offset) % 24) {
                        assert_eq!(whole(&stored[row]), samples[row]);
                    }
                });
            }
        });
    }

    #[test]
    fn damage_is_told_by_the_row_and_never_by_a_panic() {
        let samples = noisy(6, 60);
        let good = encode(&samples).unwrap();
        for at in (0..good.len()).step_by(211).chain(good.len() - 400..good.len()) {
            let mut bytes = good.clone();
            bytes[at] ^= 0x55;
            let Ok(stored) = within(&bytes, KEPT) else { continue };
            for sample in &stored {
                drop(sample.images.read());
            }
        }
        for length in [0, 4, 12, good.len() / 2, good.len() - 1] {
            assert!(within(&good[..length], KEPT).is_err());
        }
    }
}
