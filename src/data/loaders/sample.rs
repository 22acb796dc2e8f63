//! A row as a sample: which columns hold question, answer, category and images, by the format or as
//! the recipe says. The images stay as they lie until they are needed.

use super::{
    cell::{Cell, Row},
    files::Format,
    whole::read_whole,
};
use crate::base::Hint;
use crate::data::PLACE;
use crate::data::picture::{self, PictureLimits};
use base64::Engine as _;
use image::RgbImage;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes of the largest file that is read as an image.
const LARGEST_FILE: u64 = 256 << 20;
/// The category of samples that have none.
const ALL: &str = "all";

/// What columns are called that a recipe does not name; the first that is there is meant.
const QUESTION: [&str; 3] = ["question", "query", "text"];
const ANSWER: [&str; 2] = ["answer", "label"];
const CHOICES: [&str; 2] = ["choices", "options"];
const CATEGORY: [&str; 4] = ["category", "l2-category", "domain", "task"];
/// Where conversations are.
const CONVERSATIONS: &str = "conversations";
/// Where MathVista has what its questions are about.
const METADATA: &str = "metadata";
/// Where MathV360K has the path that its categories are in.
const IMAGE: &str = "image";

/// The columns that a recipe names; empty for those that the format has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Columns {
    /// The question.
    pub question: String,
    /// The answer.
    pub answer: String,
    /// The image.
    pub image: String,
    /// The category.
    pub category: String,
    /// The choices.
    pub choices: String,
}

/// A sample whose images were not decoded yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    /// What is asked, with the choices where there are any.
    pub question: String,
    /// The answer.
    pub answer: String,
    /// The category.
    pub category: String,
    /// The images in their order; there may be none.
    pub images: Vec<Picture>,
    /// Whether there are choices and the answer is none of them.
    pub is_no_choice: bool,
    /// The file that holds the row.
    pub file: Arc<Path>,
    /// The row in it, from 1.
    pub row: u64,
}

/// An image as it lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Picture {
    /// In a file.
    File(PathBuf),
    /// As bytes of a file.
    Bytes(Vec<u8>),
    /// As a part of a file of many.
    Part(Part),
}

/// Some bytes of an open file.
#[derive(Clone, Debug)]
pub struct Part {
    file: Arc<File>,
    at: u64,
    length: usize,
}

impl Part {
    /// So many bytes from some place on.
    pub fn new(file: &Arc<File>, at: u64, length: usize) -> Self {
        Self { file: Arc::clone(file), at, length }
    }

    fn read(&self) -> std::io::Result<Vec<u8>> {
        let mut bytes = vec![0; self.length];
        self.file.read_exact_at(&mut bytes, self.at)?;
        Ok(bytes)
    }
}

impl PartialEq for Part {
    fn eq(&self, other: &Self) -> bool {
        let is_same = Arc::ptr_eq(&self.file, &other.file);
        is_same && (self.at, self.length) == (other.at, other.length)
    }
}

impl Eq for Part {}

/// A row that is no sample, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("row {row} of `{}`{}{fault}", file.display(), in_field(field))]
pub struct BadSample {
    /// The file.
    pub file: PathBuf,
    /// The row, from 1.
    pub row: u64,
    /// The column; empty for the whole row.
    pub field: String,
    /// What is wrong with it.
    pub fault: String,
    /// The way out.
    pub hint: String,
}

fn in_field(field: &str) -> String {
    if field.is_empty() { " ".to_owned() } else { format!(": `{field}` ") }
}

impl Hint for BadSample {
    fn hint(&self) -> Option<String> {
        Some(self.hint.clone())
    }
}

/// What columns of images are called that a recipe does not name.
fn usual_images(format: Format) -> &'static [&'static str] {
    match format {
        Format::Images => &["file_name"],
        Format::MathVista => &["decoded_image", IMAGE],
        _ => &[IMAGE, "images", "image_path"],
    }
}

/// The columns in which a sample may lie: no other one is looked at.
pub(super) fn looked_at(format: Format, columns: &Columns) -> Vec<String> {
    let Columns { question, answer, image, category, choices } = columns;
    let letters: Vec<String> = ('A'..='Z').map(String::from).collect();
    let letters: Vec<&str> = letters.iter().map(String::as_str).collect();
    let category_of_format: &[&str] = match format {
        Format::MathVista => &[METADATA],
        Format::MathV360k => &[IMAGE],
        _ => &CATEGORY,
    };
    let places: [(&str, &[&str]); 6] = [
        (question, &QUESTION),
        (answer, &ANSWER),
        (image, usual_images(format)),
        (category, category_of_format),
        (choices, &CHOICES),
        (choices, &letters),
    ];
    let mut all = vec![CONVERSATIONS.to_owned()];
    for (named, usual) in places {
        // A dot leads into a struct.
        match named.split('.').next().filter(|first| !first.is_empty()) {
            Some(first) => all.push(first.to_owned()),
            None => all.extend(usual.iter().map(|name| (*name).to_owned())),
        }
    }
    all
}

/// Where a row is, and how it is read.
pub(super) struct Place<'a> {
    pub(super) format: Format,
    pub(super) columns: &'a Columns,
    pub(super) file: &'a Arc<Path>,
    pub(super) row: u64,
}

impl Place<'_> {
    pub(super) fn bad(&self, field: &str, fault: String, hint: &str) -> BadSample {
        let (file, field, hint) = (self.file.to_path_buf(), field.to_owned(), hint.to_owned());
        BadSample { file, row: self.row, field, fault, hint }
    }

    /// The sample of a row.
    pub(super) fn sample(&self, mut row: Row) -> Result<Unread, BadSample> {
        if matches!(self.format, Format::Llava | Format::MathV360k) {
            self.unfold_conversation(&mut row)?;
        }
        let choices = self.choices(&row)?;
        let mut question = self.text(&row, &self.columns.question, &QUESTION)?.trim().to_owned();
        let answer = self.text(&row, &self.columns.answer, &ANSWER)?;
        let answer = self.answer(answer, &choices);
        let is_no_choice = !choices.is_empty() && !is_letter_of(&answer, choices.len());
        if !choices.is_empty() && self.format != Format::MathVista {
            let lines = ('A'..='Z').zip(&choices).map(|(letter, it)| format!("\n({letter}) {it}"));
            question = format!("{question}\nChoices:{}", lines.collect::<String>());
        }
        let category = self.category(&row);
        let images = self.images(&row)?;
        let question = self.placed(question, images.len())?;
        let (file, row) = (Arc::clone(self.file), self.row);
        Ok(Unread { question, answer, category, images, is_no_choice, file, row })
    }

    /// A question with a place for each of its images, or with none where all of them come first.
    fn placed(&self, question: String, images: usize) -> Result<String, BadSample> {
        let places = question.matches(PLACE).count();
        if places == 0 {
            return Ok(question);
        }
        if places != images {
            let fault = format!("the question has {places} `{PLACE}`, and the row {images} images");
            return Err(self.bad(
                "",
                fault,
                "give an image for each, or take them out of the text",
            ));
        }
        let mut rest = question.as_str();
        while let Some(after) = rest.strip_prefix(PLACE) {
            rest = after.trim_start();
        }
        Ok(if rest.contains(PLACE) { question } else { rest.to_owned() })
    }

    /// The column that is meant: the one the recipe names, or else the first usual one that is there.
    fn find<'r>(
        &self,
        row: &'r Row,
        named: &str,
        usual: &[&'static str],
    ) -> Result<(String, &'r Cell), BadSample> {
        let missing = |field: &str| {
            let has: Vec<String> = row.keys().take(16).map(|name| format!("`{name}`")).collect();
            let fault = "is not there".to_owned();
            let hint = format!("the row has {}: name the column in `data.columns`", has.join(", "));
            self.bad(field, fault, &hint)
        };
        if !named.is_empty() {
            // A dot leads into a struct.
            let mut parts = named.split('.');
            let first = row.get(parts.next().unwrap_or_default());
            let cell = parts.fold(first, |cell, part| cell.map(|cell| cell.at(part)));
            return cell.map(|cell| (named.to_owned(), cell)).ok_or_else(|| missing(named));
        }
        let found = usual.iter().find_map(|name| Some(((*name).to_owned(), row.get(*name)?)));
        found.ok_or_else(|| missing(usual[0]))
    }

    fn text(&self, row: &Row, named: &str, usual: &[&'static str]) -> Result<String, BadSample> {
        let (field, cell) = self.find(row, named, usual)?;
        let text = cell.text().filter(|text| !text.trim().is_empty());
        text.ok_or_else(|| {
            let fault = match cell.is_empty() {
                true => "is empty, and text is expected".to_owned(),
                false => format!("should be text, and is {}", cell.kind()),
            };
            self.bad(&field, fault, "mend the row, or write `data.on_bad_sample = \"skip\"`")
        })
    }

    /// The choices of a question: a list, or the columns `A`, `B` and so on.
    fn choices(&self, row: &Row) -> Result<Vec<String>, BadSample> {
        let named = &self.columns.choices;
        if let Ok((field, cell)) = self.find(row, named, &CHOICES) {
            let list = if cell.is_empty() { Some(Vec::new()) } else { cell.texts() };
            return list.ok_or_else(|| {
                let fault = format!("should be a list of texts, and is {}", cell.kind());
                self.bad(&field, fault, "mend the row, or name another column")
            });
        }
        if !named.is_empty() {
            return self.find(row, named, &CHOICES).map(|_| Vec::new());
        }
        let option = |letter: char| row.get(&letter.to_string()).filter(|cell| !cell.is_empty());
        Ok(('A'..='Z').map_while(option).filter_map(Cell::text).collect())
    }

    /// The answer in the form in which it is compared: the letter of a choice, or the bare value.
    fn answer(&self, answer: String, choices: &[String]) -> String {
        let letter = |at: usize| ('A'..='Z').nth(at).map(|letter| letter.to_string());
        if self.format == Format::Ai2d
            && let Some(letter) = answer.parse().ok().and_then(letter)
        {
            return letter;
        }
        if let Some(at) = choices.iter().position(|choice| *choice == answer) {
            return letter(at).unwrap_or(answer);
        }
        if self.format == Format::MathV360k {
            let bare = answer.trim().strip_prefix("The answer is ").unwrap_or(&answer);
            return bare.trim().trim_end_matches('.').to_owned();
        }
        answer
    }

    fn category(&self, row: &Row) -> String {
        let found = match self.format {
            // What people quote of MathVista is the task.
            Format::MathVista if self.columns.category.is_empty() => {
                row.get(METADATA).map(|metadata| metadata.at("task"))
            }
            // The images of MathV360K lie in a folder for each data set that it is made of.
            Format::MathV360k if self.columns.category.is_empty() => {
                let path = row.get(IMAGE).and_then(Cell::text).unwrap_or_default();
                let source = path.split('/').next().unwrap_or(ALL);
                return if source.is_empty() { ALL } else { source }.to_owned();
            }
            _ => self.find(row, &self.columns.category, &CATEGORY).ok().map(|(_, cell)| cell),
        };
        let text = found.and_then(Cell::text).filter(|text| !text.trim().is_empty());
        text.unwrap_or_else(|| ALL.to_owned())
    }

    /// Puts the first question and the first answer of a conversation into columns of their own.
    fn unfold_conversation(&self, row: &mut Row) -> Result<(), BadSample> {
        let Some(Cell::List(turns)) = row.get(CONVERSATIONS) else {
            let found = row.get(CONVERSATIONS).map_or("missing", Cell::kind);
            let fault = format!("should be a list of turns, and is {found}");
            return Err(self.bad(CONVERSATIONS, fault, "a turn has `from` and `value`"));
        };
        let said = |who: [&str; 2]| {
            let by =
                |turn: &&Cell| turn.at("from").text().is_some_and(|from| who.contains(&&*from));
            turns.iter().find(by).and_then(|turn| turn.at("value").text())
        };
        let turns = (said(["human", "user"]), said(["gpt", "assistant"]));
        let (Some(question), Some(answer)) = turns else {
            let fault = "has no turn of `human` with one of `gpt` after it".to_owned();
            return Err(self.bad(CONVERSATIONS, fault, "a turn has `from` and `value`"));
        };
        row.insert("question".to_owned(), Cell::Text(question));
        row.insert("answer".to_owned(), Cell::Text(answer));
        Ok(())
    }

    /// The images of a row; none where the format lets a row have none and it says so.
    fn images(&self, row: &Row) -> Result<Vec<Picture>, BadSample> {
        let usual = usual_images(self.format);
        let filled = |name: &&str| row.get(*name).is_some_and(|cell| !cell.is_empty());
        let usual = &usual[usual.iter().position(filled).unwrap_or(0)..];
        let may_have_none =
            matches!(self.format, Format::Jsonl | Format::Llava | Format::Parquet | Format::Tsv);
        let (field, cell) = match self.find(row, &self.columns.image, usual) {
            // A conversation about nothing that is seen has no key for it.
            Err(_) if self.format == Format::Llava && self.columns.image.is_empty() => {
                return Ok(Vec::new());
            }
            found => found.map_err(|mut bad| {
                if may_have_none {
                    bad.hint.push_str("; of a row about no image it is null or an empty list");
                }
                bad
            })?,
        };
        match cell {
            Cell::Null if may_have_none => Ok(Vec::new()),
            Cell::List(several) if several.is_empty() && !may_have_none => {
                Ok(vec![self.picture(&field, &Cell::Null)?])
            }
            Cell::List(several) => several.iter().map(|it| self.picture(&field, it)).collect(),
            Cell::Text(text) if text.trim_start().starts_with('[') => match cell.texts() {
                Some(paths) => {
                    paths.into_iter().map(|it| self.picture(&field, &Cell::Text(it))).collect()
                }
                None => Ok(vec![self.picture(&field, cell)?]),
            },
            one => Ok(vec![self.picture(&field, one)?]),
        }
    }

    fn picture(&self, field: &str, cell: &Cell) -> Result<Picture, BadSample> {
        let hint = "leave the row out, or write `data.on_bad_sample = \"skip\"`";
        match cell {
            Cell::Bytes(bytes) => Ok(Picture::Bytes(bytes.clone())),
            Cell::Table(_) => match (cell.at("bytes"), cell.at("path")) {
                (Cell::Bytes(bytes), _) => Ok(Picture::Bytes(bytes.clone())),
                (_, Cell::Text(path)) => self.file(field, path),
                _ => Err(self.bad(field, "has neither `bytes` nor `path`".to_owned(), hint)),
            },
            Cell::Text(text) if !text.trim().is_empty() => match encoded(text) {
                Some(bytes) => Ok(Picture::Bytes(bytes)),
                None => self.file(field, text.trim()),
            },
            other if other.is_empty() => {
                Err(self.bad(field, "is empty, and an image is expected".to_owned(), hint))
            }
            other => {
                let fault = format!("should be an image, and is {}", other.kind());
                Err(self.bad(field, fault, "an image is a path, base64, or a struct of bytes"))
            }
        }
    }

    /// A file that a row names, from the folder of the row's file; it may not leave that folder.
    fn file(&self, field: &str, path: &str) -> Result<Picture, BadSample> {
        let folder = self.file.parent().unwrap_or(Path::new(""));
        let inside = Path::new(path).components().all(|part| {
            matches!(part, std::path::Component::Normal(_) | std::path::Component::CurDir)
        });
        if !inside {
            let shown: String = path.chars().take(80).collect();
            let fault = format!("names `{shown}`, which is not below the folder of its file");
            return Err(self.bad(field, fault, "write paths from the folder of the file"));
        }
        let mut roots = vec![folder.to_owned()];
        if self.format == Format::MathV360k {
            roots = vec![folder.join("data_images"), folder.join("../data_images"), folder.into()];
        }
        let found = roots.iter().map(|root| root.join(path)).find(|file| file.is_file());
        found.map(Picture::File).ok_or_else(|| {
            let shown: String = path.chars().take(80).collect();
            let fault = format!("names `{shown}`, and there is no such file");
            self.bad(field, fault, "fetch the images, and put them beside the file of rows")
        })
    }
}

/// Whether an answer is the letter of one of so many choices: `B`, `(b)` or `B.`.
fn is_letter_of(answer: &str, choices: usize) -> bool {
    let bare = answer.trim().trim_start_matches('(').trim_end_matches(['.', ')']);
    let mut letters = ('A'..='Z').take(choices);
    letters.any(|letter| bare.eq_ignore_ascii_case(letter.encode_utf8(&mut [0; 4])))
}

/// Bytes in base64, with or without the head of a data URL; `None` for what is a path. Only texts
/// whose bytes begin as an image do are taken for one.
fn encoded(text: &str) -> Option<Vec<u8>> {
    let text = text.trim();
    let (is_url, text) = match text.strip_prefix("data:").and_then(|url| url.split_once(',')) {
        Some((_, text)) => (true, text),
        None => (false, text),
    };
    let letters: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let engine = base64::engine::general_purpose::STANDARD;
    let bytes = engine.decode(letters.trim_end_matches('=').as_bytes()).or_else(|_| {
        base64::engine::general_purpose::STANDARD_NO_PAD.decode(letters.trim_end_matches('='))
    });
    let bytes = bytes.ok()?;
    (is_url || image::guess_format(&bytes).is_ok()).then_some(bytes)
}

impl Unread {
    /// The pictures themselves.
    ///
    /// # Errors
    /// [`BadSample`], for what is no picture, is larger than it may be, or moves.
    pub fn decode(&self) -> Result<Vec<RgbImage>, BadSample> {
        let bad = |reason: String| BadSample {
            file: self.file.to_path_buf(),
            row: self.row,
            field: "image".to_owned(),
            fault: format!("cannot be decoded: {reason}"),
            hint: "mend it, or write `data.on_bad_sample = \"skip\"`".to_owned(),
        };
        self.images.iter().map(|picture| picture.decode().map_err(bad)).collect()
    }
}

impl Picture {
    fn decode(&self) -> Result<RgbImage, String> {
        let decode = |bytes: &[u8]| {
            picture::decode(bytes, &PictureLimits::default()).map_err(|error| error.to_string())
        };
        match self {
            Self::Bytes(bytes) => decode(bytes),
            Self::Part(part) => {
                let bytes = part.read();
                decode(&bytes.map_err(|error| format!("it was put aside and is gone: {error}"))?)
            }
            Self::File(path) => {
                let bytes = read_whole(path, LARGEST_FILE)
                    .map_err(|error| format!("`{}` {error}", path.display()))?;
                decode(&bytes).map_err(|reason| format!("`{}`: {reason}", path.display()))
            }
        }
    }
}
