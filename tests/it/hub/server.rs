//! A server that behaves like the hub, and another host beside it that hands out its large files.

use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use serde_json::json;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};

pub(super) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// A repository.
#[derive(Clone, Default)]
pub(super) struct Repo {
    pub(super) files: BTreeMap<String, Vec<u8>>,
    /// Only for who shows this token.
    pub(super) token: Option<&'static str>,
    /// Whether nobody may know of it without the token; else only its files are kept back.
    pub(super) is_private: bool,
}

/// How the hub behaves; numbers count down.
#[derive(Default)]
pub(super) struct Mood {
    pub(super) repos: BTreeMap<String, Repo>,
    /// Old names of repositories.
    pub(super) renamed: BTreeMap<String, String>,
    /// Answers 429 with such a `Retry-After`.
    pub(super) busy: (usize, u64),
    /// Answers 503.
    pub(super) down: usize,
    /// The `Retry-After` of these.
    pub(super) down_for: Option<u64>,
    /// Large files of which only this many bytes come, and then the connection breaks.
    pub(super) cut: (usize, usize),
    /// Large files that come with a wrong byte.
    pub(super) spoiled: usize,
    /// Bytes that large files come with more than were promised.
    pub(super) longer: usize,
    /// Whether large files come from their first byte on, whatever was asked for.
    pub(super) ignores_ranges: bool,
    /// What is said of a repository, in place of what there is to say.
    pub(super) nonsense: Option<&'static str>,
    /// Whether nothing is said of the contents of files.
    pub(super) is_silent: bool,
    /// A size that is claimed for each file.
    pub(super) claimed_size: Option<u64>,
}

/// What was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) is_of_store: bool,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) range: Option<String>,
    pub(super) token: Option<String>,
}

pub(super) struct Hub {
    pub(super) url: String,
    mood: Arc<Mutex<Mood>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Hub {
    pub(super) fn new() -> Self {
        let (hub, store) = (listen(), listen());
        let store_url = format!("http://{}", store.local_addr().unwrap());
        let found = Self {
            url: format!("http://{}", hub.local_addr().unwrap()),
            mood: Arc::default(),
            asked: Arc::default(),
        };
        for (listener, is_of_store) in [(hub, false), (store, true)] {
            let (mood, asked) = (found.mood.clone(), found.asked.clone());
            let store_url = store_url.clone();
            std::thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    let (mood, asked) = (mood.clone(), asked.clone());
                    let store_url = store_url.clone();
                    // Who is asked at once by two answers both.
                    std::thread::spawn(move || {
                        let said = Server { is_of_store, store_url, mood, asked }.answer(&stream);
                        // A client may go away.
                        drop(said);
                    });
                }
            });
        }
        found
    }

    /// With such files of a model or, below `datasets/`, a data set.
    pub(super) fn with(self, id: &str, files: &[(&str, &[u8])]) -> Self {
        let files = files.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec()));
        let repo = Repo { files: files.collect(), ..Repo::default() };
        self.mood().repos.insert(id.to_owned(), repo);
        self
    }

    pub(super) fn mood(&self) -> MutexGuard<'_, Mood> {
        self.mood.lock().unwrap()
    }

    /// What was asked since the last call.
    pub(super) fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

fn listen() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

struct Server {
    is_of_store: bool,
    store_url: String,
    mood: Arc<Mutex<Mood>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

/// A status, headers, and a body; with `Some`, the connection breaks after so many bytes.
struct Answer(u16, Vec<(&'static str, String)>, Vec<u8>, Option<usize>);

impl Answer {
    fn refusal(status: u16, code: &str, message: &str) -> Self {
        let headers =
            vec![("X-Error-Code", code.to_owned()), ("X-Error-Message", message.to_owned())];
        Self(status, headers, Vec::new(), None)
    }

    fn json(value: &serde_json::Value) -> Self {
        Self(200, Vec::new(), value.to_string().into_bytes(), None)
    }
}

impl Server {
    fn answer(&self, stream: &TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream);
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 || line == "\r\n" {
                break;
            }
            lines.push(line.trim_end().to_owned());
        }
        let Some(first) = lines.first() else { return Ok(()) };
        let mut words = first.split(' ').map(str::to_owned);
        let header = |name: &str| {
            lines[1..].iter().find_map(|line| {
                let (key, value) = line.split_once(": ")?;
                key.eq_ignore_ascii_case(name).then(|| value.to_owned())
            })
        };
        let asked = Asked {
            is_of_store: self.is_of_store,
            method: words.next().unwrap_or_default(),
            path: words.next().unwrap_or_default(),
            range: header("range"),
            token: header("authorization"),
        };
        self.asked.lock().unwrap().push(asked.clone());
        let mut mood = self.mood.lock().unwrap();
        let answer = match self.is_of_store {
            true => from_store(&asked, &mut mood),
            false => self.of_hub(&asked, &mut mood),
        };
        drop(mood);
        let Answer(status, headers, body, cut) = answer;
        let mut head = format!("HTTP/1.1 {status} Said\r\nConnection: close\r\n");
        if headers.iter().all(|(name, _)| *name != "Content-Length") {
            head += &format!("Content-Length: {}\r\n", body.len());
        }
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        let mut stream = stream;
        stream.write_all(format!("{head}\r\n").as_bytes())?;
        if asked.method != "HEAD" {
            stream.write_all(&body[..cut.unwrap_or(body.len()).min(body.len())])?;
        }
        stream.flush()
    }

    fn of_hub(&self, asked: &Asked, mood: &mut Mood) -> Answer {
        if mood.busy.0 > 0 {
            mood.busy.0 -= 1;
            return Answer(429, vec![("Retry-After", mood.busy.1.to_string())], Vec::new(), None);
        }
        if mood.down > 0 {
            mood.down -= 1;
            let after = mood.down_for.map(|seconds| ("Retry-After", seconds.to_string()));
            let body = b"<html>down</html>".to_vec();
            return Answer(503, after.into_iter().collect(), body, None);
        }
        let path = asked.path.split('?').next().unwrap_or_default();
        for (old, new) in &mood.renamed {
            if path.contains(&format!("/{old}/")) {
                return Answer(307, vec![("Location", path.replacen(old, new, 1))], vec![], None);
            }
        }
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let (id, what, rest) = match parts.as_slice() {
            ["api", "models", org, name, what, rest @ ..] => {
                (format!("{org}/{name}"), format!("api {what}"), rest.join("/"))
            }
            ["api", "datasets", org, name, what, rest @ ..] => {
                (format!("datasets/{org}/{name}"), format!("api {what}"), rest.join("/"))
            }
            ["datasets", org, name, what, rest @ ..] => {
                (format!("datasets/{org}/{name}"), (*what).to_owned(), rest.join("/"))
            }
            [org, name, what, rest @ ..] => {
                (format!("{org}/{name}"), (*what).to_owned(), rest.join("/"))
            }
            _ => return Answer::refusal(404, "", "no such page"),
        };
        let shown = asked.token.as_deref();
        let Some(repo) = mood.repos.get(&id) else {
            let status = if shown.is_some() { 404 } else { 401 };
            return Answer::refusal(status, "RepoNotFound", "Repository not found");
        };
        let token = repo.token.map(|token| format!("Bearer {token}"));
        let is_let_in = token.is_none() || token.as_deref() == shown;
        if !is_let_in && repo.is_private {
            return Answer::refusal(403, "", "this is private");
        }
        match what.as_str() {
            "api refs" => Answer::json(&json!({
                "branches": [{"name": "main"}, {"name": "experimental"}], "tags": [{"name": "v1.0"}],
            })),
            "api revision" if !["main", COMMIT, "refs%2Fpr%2F1"].contains(&&*rest) => {
                Answer::refusal(404, "RevisionNotFound", &format!("Invalid rev id: {rest}"))
            }
            "api revision" if mood.nonsense.is_some() => {
                Answer(200, Vec::new(), mood.nonsense.unwrap().into(), None)
            }
            "api revision" => {
                let size = |bytes: &Vec<u8>| mood.claimed_size.unwrap_or(bytes.len() as u64);
                let file = |(name, bytes)| json!({"rfilename": name, "size": size(bytes)});
                let files: Vec<_> = repo.files.iter().map(file).collect();
                Answer::json(&json!({"id": id, "sha": COMMIT, "siblings": files}))
            }
            "resolve" if !is_let_in => Answer::refusal(
                if shown.is_some() { 403 } else { 401 },
                "GatedRepo",
                "Access to it \
                    is restricted",
            ),
            "resolve" => {
                let file = rest.split_once('/').unwrap_or_default().1;
                let Some(bytes) = repo.files.get(file) else {
                    return Answer::refusal(404, "EntryNotFound", "Entry not found");
                };
                let commit = ("X-Repo-Commit", COMMIT.to_owned());
                if mood.is_silent {
                    return Answer(200, vec![commit], bytes.clone(), None);
                }
                if is_large(file) {
                    let address = format!("{}/{id}/{file}?signed=1", self.store_url);
                    return Answer(
                        302,
                        vec![
                            commit,
                            ("Location", address),
                            ("X-Linked-Etag", format!("\"{}\"", sha256(bytes))),
                            ("X-Linked-Size", bytes.len().to_string()),
                            ("ETag", "\"of-the-redirection\"".to_owned()),
                        ],
                        Vec::new(),
                        None,
                    );
                }
                let etag = ("ETag", format!("\"{}\"", git_sha1(bytes)));
                Answer(200, vec![commit, etag], bytes.clone(), None)
            }
            _ => Answer::refusal(404, "", "no such page"),
        }
    }
}

/// Large files lie elsewhere.
fn is_large(file: &str) -> bool {
    file.ends_with(".safetensors") || file.ends_with(".parquet")
}

fn from_store(asked: &Asked, mood: &mut Mood) -> Answer {
    let path = asked.path.trim_start_matches('/').split('?').next().unwrap_or_default();
    let found = mood
        .repos
        .iter()
        .find_map(|(id, repo)| repo.files.get(path.strip_prefix(id.as_str())?.strip_prefix('/')?));
    let Some(bytes) = found else { return Answer::refusal(404, "", "no such blob") };
    let mut body = bytes.clone();
    body.extend(vec![0; mood.longer]);
    if mood.spoiled > 0 {
        mood.spoiled -= 1;
        body[0] ^= 1;
    }
    let whole = body.len();
    let from =
        asked.range.as_deref().filter(|_| !mood.ignores_ranges).and_then(|range| {
            range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok()
        });
    let cut = (mood.cut.0 > 0).then_some(mood.cut.1);
    mood.cut.0 = mood.cut.0.saturating_sub(1);
    match from {
        None => Answer(200, vec![("ETag", "\"of-the-store\"".to_owned())], body, cut),
        Some(from) if from >= whole => Answer::refusal(416, "", ""),
        Some(from) => {
            let range = format!("bytes {from}-{}/{whole}", whole - 1);
            Answer(206, vec![("Content-Range", range)], body[from..].to_vec(), cut)
        }
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn sha256(bytes: &[u8]) -> String {
    hexadecimal(digest(&SHA256, bytes).as_ref())
}

pub(super) fn git_sha1(bytes: &[u8]) -> String {
    let whole = [format!("blob {}\0", bytes.len()).as_bytes(), bytes].concat();
    hexadecimal(digest(&SHA1_FOR_LEGACY_USE_ONLY, &whole).as_ref())
}
