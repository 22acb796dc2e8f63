//! Rows out of tab-separated values, as pandas writes them: a header, fields that hold quotes, tabs
//! or lines in double quotes. An `image` may name, by its `index`, the row that holds the image.

use super::{
    by_row::{ByRow, RowEnds, by_row},
    cell::{Cell, Row},
    rows::{self, RowsError, Visit, Wanted},
};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

/// An image of at most so many letters is the index of another row: no image is that small.
const LONGEST_REFERENCE: usize = 64;
/// The columns that a reference is about.
const IMAGE: &str = "image";
const INDEX: &str = "index";

/// Reads the rows; those of which only some fields are there cannot be read.
pub(super) fn each(
    file: &Path,
    wanted: Wanted<'_>,
    visit: &mut Visit<'_>,
) -> Result<(), RowsError> {
    let (mut reader, row_ends) = open(file)?;
    let header = reader.headers().map_err(|error| malformed(file, &error))?.clone();
    let places = match wanted.has(IMAGE) {
        true => Some(Places::of(file, &header)?),
        false => None,
    };
    let mut record = csv::StringRecord::new();
    for number in 1.. {
        let read = reader.read_record(&mut record);
        row_ends.tell();
        let row = match read {
            Ok(false) => break,
            Ok(true) => row_of(&header, &record, wanted),
            Err(error) if error.is_io_error() => return Err(malformed(file, &error)),
            Err(error) => Err(error.to_string()),
        };
        let row = row.and_then(|mut row| {
            if let Some(places) = &places {
                places.follow(file, &mut row)?;
            }
            Ok(row)
        });
        let row =
            row.map_err(|reason| RowsError::Row { file: file.to_owned(), row: number, reason });
        if visit(number, row).is_break() {
            break;
        }
    }
    Ok(())
}

fn open(file: &Path) -> Result<(csv::Reader<ByRow<File>>, RowEnds), RowsError> {
    let (opened, row_ends) = by_row(rows::open(file)?);
    // Rows of another length are told one by one.
    let reader = csv::ReaderBuilder::new().delimiter(b'\t').flexible(true).from_reader(opened);
    Ok((reader, row_ends))
}

fn malformed(file: &Path, error: &csv::Error) -> RowsError {
    RowsError::Malformed {
        file: file.to_owned(),
        format: "table of tab-separated values",
        reason: error.to_string(),
    }
}

fn row_of(
    header: &csv::StringRecord,
    record: &csv::StringRecord,
    wanted: Wanted<'_>,
) -> Result<Row, String> {
    if record.len() != header.len() {
        return Err(format!("it has {} fields, and the header {}", record.len(), header.len()));
    }
    let cell = |name: &str, text: &str| match text {
        text if !text.is_empty() && wanted.has(name) => Cell::Text(text.to_owned()),
        _ => Cell::Null,
    };
    let columns = header.iter().zip(record.iter());
    Ok(columns.map(|(name, text)| (name.to_owned(), cell(name, text))).collect())
}

/// Where in the file the rows lie that hold an image, by index.
struct Places(BTreeMap<String, csv::Position>);

impl Places {
    fn of(file: &Path, header: &csv::StringRecord) -> Result<Self, RowsError> {
        let mut places = BTreeMap::new();
        let column = |wanted: &str| header.iter().position(|name| name == wanted);
        let (Some(image), Some(index)) = (column(IMAGE), column(INDEX)) else {
            return Ok(Self(places));
        };
        let (mut reader, row_ends) = open(file)?;
        let mut record = csv::StringRecord::new();
        loop {
            let read = reader.read_record(&mut record);
            row_ends.tell();
            match read {
                Ok(false) => break,
                Ok(true) => {}
                Err(error) if error.is_io_error() => return Err(malformed(file, &error)),
                Err(_) => continue,
            }
            let holds = record.get(image).is_some_and(|text| text.len() > LONGEST_REFERENCE);
            if let (true, Some(index), Some(at)) = (holds, record.get(index), record.position()) {
                places.insert(index.to_owned(), at.clone());
            }
        }
        Ok(Self(places))
    }

    /// Puts the image in place of the index of the row that holds it.
    fn follow(&self, file: &Path, row: &mut Row) -> Result<(), String> {
        let Some(Cell::Text(reference)) = row.get(IMAGE) else { return Ok(()) };
        if reference.len() > LONGEST_REFERENCE || !row.contains_key(INDEX) {
            return Ok(());
        }
        let nowhere =
            || format!("its image is that of the row with index `{reference}`, which has none");
        let place = self.0.get(reference).ok_or_else(nowhere)?;
        let (mut reader, _) = open(file).map_err(|error| error.to_string())?;
        let header = reader.headers().map_err(|error| error.to_string())?.clone();
        reader.seek(place.clone()).map_err(|error| error.to_string())?;
        let mut record = csv::StringRecord::new();
        reader.read_record(&mut record).map_err(|error| error.to_string())?;
        let column = header.iter().position(|name| name == IMAGE).ok_or_else(nowhere)?;
        let image = record.get(column).ok_or_else(nowhere)?.to_owned();
        row.insert(IMAGE.to_owned(), Cell::Text(image));
        Ok(())
    }
}
