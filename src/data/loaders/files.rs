//! Sources that are files: `FORMAT:PATH`, where the format says what the columns mean.

use super::rows::FORMATS;
use crate::base::{Hint, did_you_mean};
use std::fmt;
use std::path::{Path, PathBuf};

/// What a file's rows are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Objects, one a line or in an array, with images as paths or in base64.
    Jsonl,
    /// Conversations as LLaVA has them.
    Llava,
    /// Parquet with images as structs of bytes and a path.
    Parquet,
    /// Tab-separated values with images in base64.
    Tsv,
    /// A folder of images beside a `metadata.jsonl` that names them in `file_name`.
    Images,
    /// MathV360K: conversations beside `data_images`.
    MathV360k,
    /// MathVista, from the hub or its repository.
    MathVista,
    /// M3CoT.
    M3Cot,
    /// MMStar.
    MmStar,
    /// MMBench.
    MmBench,
    /// AI2D.
    Ai2d,
}

/// Every format by its name.
const NAMES: [(&str, Format); 11] = [
    ("jsonl", Format::Jsonl),
    ("llava", Format::Llava),
    ("parquet", Format::Parquet),
    ("tsv", Format::Tsv),
    ("images", Format::Images),
    ("mathv360k", Format::MathV360k),
    ("mathvista", Format::MathVista),
    ("m3cot", Format::M3Cot),
    ("mmstar", Format::MmStar),
    ("mmbench", Format::MmBench),
    ("ai2d", Format::Ai2d),
];

/// A source that is a file, or a folder of files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSource {
    /// What the rows are.
    pub format: Format,
    /// Where they are.
    pub path: PathBuf,
}

/// Why a source cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileSourceError {
    /// No format has this name.
    #[error("there is no format `{name}` of data files")]
    UnknownFormat {
        /// The name that was asked for.
        name: String,
    },
    /// The file is one of another format.
    #[error("`{path}` ends with `.{end}`, and `{format}` reads `.{reads}`")]
    OtherFormat {
        /// The path.
        path: PathBuf,
        /// How its name ends.
        end: String,
        /// The format that was asked for.
        format: Format,
        /// How the names of its files end.
        reads: String,
    },
    /// There is nothing at the path, or nothing to read.
    #[error("`{path}` {fault}")]
    Nothing {
        /// The path.
        path: PathBuf,
        /// What is wrong with it.
        fault: String,
    },
}

impl Hint for FileSourceError {
    fn hint(&self) -> Option<String> {
        let names = || NAMES.iter().map(|(name, _)| *name);
        Some(match self {
            Self::UnknownFormat { name } => match did_you_mean(name, names()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("there are `{}`", names().collect::<Vec<_>>().join("`, `")),
            },
            Self::OtherFormat { path, end, .. } => match end.as_str() {
                "json" | "jsonl" | "ndjson" => format!("write `jsonl:{}`", path.display()),
                end => format!("write `{end}:{}`", path.display()),
            },
            Self::Nothing { .. } => {
                "the path is taken from the folder of the file that names it".to_owned()
            }
        })
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = NAMES.iter().find(|(_, format)| format == self).map_or("", |(name, _)| *name);
        f.write_str(name)
    }
}

impl FileSource {
    /// The source that a recipe writes as `FORMAT:PATH`; `None` for names of other sources.
    ///
    /// # Errors
    /// [`FileSourceError::UnknownFormat`].
    pub fn parse(source: &str) -> Option<Result<Self, FileSourceError>> {
        let (name, path) = source.split_once(':').filter(|(name, _)| *name != "builtin")?;
        let format = NAMES.iter().find(|(known, _)| *known == name).map(|(_, format)| *format);
        Some(match format {
            Some(format) => Ok(Self { format, path: PathBuf::from(path) }),
            None => Err(FileSourceError::UnknownFormat { name: name.to_owned() }),
        })
    }

    /// The files with rows, in order: the path itself, those in the folder that have the format, or
    /// those whose names fit where the last part of the path has a `*`.
    ///
    /// # Errors
    /// [`FileSourceError::Nothing`].
    pub fn files(&self) -> Result<Vec<PathBuf>, FileSourceError> {
        let nothing = |fault: String| FileSourceError::Nothing { path: self.path.clone(), fault };
        if self.is_pattern() && !self.path.exists() {
            let found = self.path.to_str().and_then(|pattern| glob::glob(pattern).ok());
            let mut files: Vec<PathBuf> =
                found.into_iter().flatten().flatten().filter(|path| path.is_file()).collect();
            files.sort();
            if !files.is_empty() {
                return Ok(files);
            }
        }
        let about = std::fs::metadata(&self.path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound if self.is_pattern() => nothing("fits no file".to_owned()),
            std::io::ErrorKind::NotFound => nothing("does not exist".to_owned()),
            _ => nothing(format!("cannot be read: {error}")),
        })?;
        if about.is_file() {
            return self.only();
        }
        if !about.is_dir() {
            return Err(nothing("is no regular file".to_owned()));
        }
        let mut files = Vec::new();
        for folder in [self.path.clone(), self.path.join("data")] {
            let Ok(entries) = std::fs::read_dir(&folder) else { continue };
            files.extend(entries.flatten().map(|entry| entry.path()).filter(|path| self.has(path)));
        }
        files.sort();
        match files.is_empty() {
            true => {
                Err(nothing(format!("has no file ending with `.{}`", self.ends().join("`, `."))))
            }
            false => Ok(files),
        }
    }

    fn is_pattern(&self) -> bool {
        self.path.file_name().is_some_and(|name| name.to_string_lossy().contains('*'))
    }

    /// The path itself, which is a file. What ends like no format is told when its rows are read.
    fn only(&self) -> Result<Vec<PathBuf>, FileSourceError> {
        let end = self.path.extension().map(|end| end.to_string_lossy().to_lowercase());
        let is_other = |end: &String| !self.ends().contains(&&**end) && FORMATS.contains(&&**end);
        match end.filter(is_other) {
            None => Ok(vec![self.path.clone()]),
            Some(end) => {
                let (path, reads) = (self.path.clone(), self.ends().join("`, `."));
                Err(FileSourceError::OtherFormat { path, end, format: self.format, reads })
            }
        }
    }

    /// Ends of the names of files that have rows.
    fn ends(&self) -> &'static [&'static str] {
        match self.format {
            Format::Jsonl | Format::Images => &["jsonl", "ndjson", "json"],
            Format::Llava | Format::MathV360k => &["json", "jsonl"],
            Format::Parquet => &["parquet"],
            Format::Tsv => &["tsv"],
            _ => &FORMATS,
        }
    }

    fn has(&self, path: &Path) -> bool {
        let end = path.extension().map(|end| end.to_string_lossy().to_lowercase());
        let is_metadata = path.file_stem().is_some_and(|stem| stem == "metadata");
        end.is_some_and(|end| self.ends().contains(&end.as_str()))
            && (self.format != Format::Images || is_metadata)
            && path.is_file()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_of_files_are_told_from_others() {
        assert_eq!(FileSource::parse("builtin:mini-vista"), None);
        assert_eq!(FileSource::parse("mathv360k"), None);
        let source = FileSource::parse("jsonl:a/b.jsonl").unwrap().unwrap();
        assert_eq!((source.format, source.path), (Format::Jsonl, "a/b.jsonl".into()));
        let typo = FileSource::parse("jsnol:a").unwrap().unwrap_err();
        assert_eq!(typo.hint().as_deref(), Some("did you mean `jsonl`?"));
    }
}
