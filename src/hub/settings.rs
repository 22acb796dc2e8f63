//! Where the hub is, where its cache lies, and the token for it: what Python's `huggingface_hub`
//! reads out of the environment, read in the same way.

use crate::base::Bytes;
use crate::store::free_space;
use std::{
    ffi::OsString,
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

const ENDPOINT: &str = "https://huggingface.co";
const TOKENS: [&str; 2] = ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"];
/// Bytes of the longest file that is taken for a token.
const LONGEST_TOKEN: u64 = 4096;

/// How the hub is reached.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The address of the hub, without a `/` at the end.
    pub endpoint: String,
    /// The folder of the cache.
    pub cache: PathBuf,
    /// The token, if there is one.
    pub token: Option<Token>,
    /// Where a token is looked for.
    pub token_file: PathBuf,
    /// Whether nothing may be asked of the hub.
    pub offline: bool,
    /// How long is waited after the first failure of a connection; doubled after each further one.
    pub first_wait: Duration,
    /// The longest wait that a hub which has too much to do may ask for.
    pub longest_wait: Duration,
}

/// A token, which nobody is shown.
#[derive(Clone)]
pub struct Token {
    value: String,
    place: String,
}

impl Token {
    /// A token that was found somewhere.
    pub fn new(value: &str, place: &str) -> Option<Self> {
        let value = value.trim();
        let is_good = !value.is_empty() && value.chars().all(|it| it.is_ascii_graphic());
        is_good.then(|| Self { value: value.to_owned(), place: place.to_owned() })
    }

    /// Where it was found.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// What a request carries.
    pub(super) fn authorization(&self) -> String {
        format!("Bearer {}", self.value)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a token from {}", self.place)
    }
}

impl Settings {
    /// The settings that an environment says.
    pub fn of_environment(variable: &dyn Fn(&str) -> Option<OsString>) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let text = |name: &str| set(name).and_then(|value| value.into_string().ok());
        let home = set("HOME").map(PathBuf::from).unwrap_or_default();
        let path = |name: &str| set(name).map(|value| expanded(Path::new(&value), &home));
        let hub_home = path("HF_HOME").unwrap_or_else(|| {
            path("XDG_CACHE_HOME").unwrap_or_else(|| home.join(".cache")).join("huggingface")
        });
        let cache = path("HF_HUB_CACHE")
            .or_else(|| path("HUGGINGFACE_HUB_CACHE"))
            .unwrap_or_else(|| hub_home.join("hub"));
        // A worker, or whoever goes on with a run, may stand elsewhere.
        let cache = std::path::absolute(&cache).unwrap_or(cache);
        let token_file = path("HF_TOKEN_PATH").unwrap_or_else(|| hub_home.join("token"));
        let is_true = |name: &str| {
            text(name).is_some_and(|it| matches!(&*it.to_uppercase(), "1" | "ON" | "YES" | "TRUE"))
        };
        let in_variable = || {
            let found = TOKENS.iter().find_map(|name| Some((*name, text(name)?)))?;
            Token::new(&found.1, &format!("the variable {}", found.0))
        };
        let token = in_variable().or_else(|| in_file(&token_file));
        Self {
            endpoint: text("HF_ENDPOINT")
                .map_or_else(|| ENDPOINT.to_owned(), |it| it.trim_end_matches('/').to_owned()),
            cache,
            token: token.filter(|_| !is_true("HF_HUB_DISABLE_IMPLICIT_TOKEN")),
            token_file,
            offline: is_true("HF_HUB_OFFLINE") || is_true("TRANSFORMERS_OFFLINE"),
            first_wait: Duration::from_secs(1),
            longest_wait: Duration::from_secs(300),
        }
    }

    /// Where the hub is unless somebody says otherwise.
    pub const ENDPOINT: &str = ENDPOINT;

    /// What is free for the cache.
    pub fn free(&self) -> Bytes {
        free_space(&self.cache)
    }

    /// Where a token was looked for, for people.
    pub(super) fn looked_for_token(&self) -> String {
        format!("`HF_TOKEN` and `{}`", self.token_file.display())
    }
}

/// A path whose `~` stands for the home folder.
fn expanded(path: &Path, home: &Path) -> PathBuf {
    path.strip_prefix("~").map_or_else(|_| path.to_owned(), |rest| home.join(rest))
}

fn in_file(path: &Path) -> Option<Token> {
    std::fs::metadata(path).ok().filter(|about| about.is_file() && about.len() <= LONGEST_TOKEN)?;
    Token::new(&std::fs::read_to_string(path).ok()?, &path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Settings {
        Settings::of_environment(&|name| {
            variables.iter().find(|it| it.0 == name).map(|it| OsString::from(it.1))
        })
    }

    #[test]
    fn folders_are_those_of_python() {
        let cache = |variables: &[(&str, &str)]| of(variables).cache.display().to_string();
        assert_eq!(cache(&[("HOME", "/h")]), "/h/.cache/huggingface/hub");
        assert_eq!(cache(&[("HOME", "/h"), ("XDG_CACHE_HOME", "/x")]), "/x/huggingface/hub");
        assert_eq!(cache(&[("HOME", "/h"), ("HF_HOME", "~/f")]), "/h/f/hub");
        assert_eq!(cache(&[("HF_HOME", "/f"), ("HF_HUB_CACHE", "/c")]), "/c");
        assert_eq!(of(&[("HF_HOME", "/f")]).token_file, Path::new("/f/token"));
    }

    #[test]
    fn switches_and_addresses_are_read() {
        assert!(!of(&[("HF_HUB_OFFLINE", "0")]).offline);
        assert!(of(&[("HF_HUB_OFFLINE", "yes")]).offline);
        assert_eq!(of(&[("HF_ENDPOINT", "http://hub/")]).endpoint, "http://hub");
    }

    #[test]
    fn a_token_is_taken_from_the_first_place_and_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        crate::store::write_beside(&file, b"hf_file\n").unwrap();
        let home = folder.path().to_str().unwrap();
        let from_file = of(&[("HF_HOME", home)]).token.unwrap();
        assert_eq!(from_file.authorization(), "Bearer hf_file");
        assert_eq!(from_file.place(), file.to_str().unwrap());
        let both = of(&[("HF_HOME", home), ("HF_TOKEN", " hf_env ")]);
        assert_eq!(both.token.as_ref().unwrap().authorization(), "Bearer hf_env");
        assert!(!format!("{both:?}").contains("hf_env"));
        let none = of(&[("HF_HOME", home), ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")]);
        assert!(none.token.is_none());
    }
}
