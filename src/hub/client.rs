//! What is asked of the hub over HTTP, how its answers are read, and how often it is asked again.

use super::{
    HubError, Kind, Progress, Repo, Settings, Tell, date,
    repo::{is_commit, is_revision},
};
use serde::Deserialize;
use std::{cell::Cell, fmt::Write as _, io::Read, time::Duration};
use ureq::{
    Agent, Body,
    http::{HeaderMap, Method, Response},
};

/// How long a hub may take to be found, to begin an answer, and between two pieces of it.
const TO_CONNECT: Duration = Duration::from_secs(10);
const TO_ANSWER: Duration = Duration::from_secs(30);
/// Bytes of the longest answer that is not a file.
const LONGEST_ANSWER: u64 = 64 << 20;
/// Characters of what a stranger says that are shown.
const LONGEST_SAID: usize = 200;
/// Redirections that are followed.
const REDIRECTS: u32 = 8;
/// Tries one after the other that brought nothing, and of all.
const IDLE_TRIES: u32 = 6;
const MOST_TRIES: u32 = 1000;
/// The longest wait between two tries, unless the hub asks for more.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// What the hub knows of a repository.
#[derive(Debug, Deserialize)]
pub(super) struct About {
    /// The commit of the revision.
    pub(super) sha: String,
    /// Its files.
    #[serde(default)]
    pub(super) siblings: Vec<File>,
}

/// A file of a repository.
#[derive(Debug, Deserialize)]
pub(super) struct File {
    /// Its name.
    #[serde(rename = "rfilename")]
    pub(super) name: String,
    /// Its size, where the hub says it.
    #[serde(default)]
    pub(super) size: Option<u64>,
}

/// What the hub says of the contents of a file.
#[derive(Debug)]
pub(super) struct Contents {
    /// The name of the contents: their digest.
    pub(super) etag: String,
    /// Bytes.
    pub(super) size: u64,
}

/// How one try failed.
pub(super) enum Failure {
    /// It may go better the next time.
    Again { reason: String, wait: Option<u64> },
    /// It will not.
    Final(HubError),
}

impl From<HubError> for Failure {
    fn from(error: HubError) -> Self {
        Self::Final(error)
    }
}

/// A connection to the hub for one repository.
pub(super) struct Client<'a> {
    agent: Agent,
    settings: &'a Settings,
    repo: &'a Repo,
}

impl<'a> Client<'a> {
    pub(super) fn new(repo: &'a Repo, settings: &'a Settings) -> Self {
        let is_here = ["http://127.0.0.1", "http://localhost", "http://[::1]"]
            .iter()
            .any(|here| origin(&settings.endpoint).starts_with(here));
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            // Followed by hand: a token is for the hub and no other, and the first answer says more
            // of a file than the last.
            .max_redirects(0)
            .timeout_connect(Some(TO_CONNECT))
            .timeout_recv_response(Some(TO_ANSWER))
            .timeout_per_read(Some(TO_ANSWER))
            .user_agent(concat!("mstar/", env!("CARGO_PKG_VERSION")));
        if is_here {
            config = config.proxy(None);
        }
        Self { agent: config.build().new_agent(), settings, repo }
    }

    /// What the hub knows of the repository at the revision.
    pub(super) fn about(&self, tell: &mut Tell<'_>) -> Result<About, HubError> {
        let revision = quoted(self.repo.revision(), false);
        let url = format!("{}/revision/{revision}?blobs=true", self.api());
        let read = self.patiently(&url, tell, &Cell::new(0), &mut |_| self.json::<About>(&url));
        match read {
            Ok(about) if is_commit(&about.sha) => Ok(about),
            Ok(about) => {
                let found = said(about.sha.as_bytes());
                Err(HubError::Nonsense { url, reason: format!("`{found}` is no commit") })
            }
            Err(HubError::NoSuchRevision { repo, .. }) => {
                Err(HubError::NoSuchRevision { repo, known: self.revisions() })
            }
            Err(error) => Err(error),
        }
    }

    /// Branches and tags, as far as the hub tells.
    fn revisions(&self) -> Vec<String> {
        #[derive(Deserialize)]
        struct Named {
            name: String,
        }
        #[derive(Deserialize)]
        struct Names {
            #[serde(default)]
            branches: Vec<Named>,
            #[serde(default)]
            tags: Vec<Named>,
        }
        let found = self.json::<Names>(&format!("{}/refs", self.api()));
        let names = found.ok().map(|it| it.branches.into_iter().chain(it.tags).map(|it| it.name));
        names.map_or_else(Vec::new, |names| names.filter(|it| is_revision(it)).collect())
    }

    /// What the hub says of the contents of a file, without bringing them.
    pub(super) fn contents(
        &self,
        commit: &str,
        file: &str,
        tell: &mut Tell<'_>,
    ) -> Result<Contents, HubError> {
        let url = self.address(commit, file);
        self.patiently(&url, tell, &Cell::new(0), &mut |_| {
            let answer = self.send(Method::HEAD, &url, 0)?;
            let text = |name: &str| answer.headers().get(name)?.to_str().ok();
            let etag = text("x-linked-etag").or_else(|| text("etag"));
            let size = text("x-linked-size").or_else(|| text("content-length"));
            let nonsense =
                |reason: &str| HubError::Nonsense { url: url.clone(), reason: reason.to_owned() };
            let etag = etag.map(|etag| etag.trim_start_matches("W/").trim_matches('"').to_owned());
            let is_name = |etag: &String| {
                !etag.is_empty() && etag.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'-')
            };
            let etag = etag.filter(is_name).ok_or_else(|| nonsense("it has no good `ETag`"))?;
            let size = size.and_then(|size| size.parse().ok());
            Ok(Contents { etag, size: size.ok_or_else(|| nonsense("it has no good size"))? })
        })
    }

    /// Asks for a file from a byte on.
    pub(super) fn read(
        &self,
        commit: &str,
        file: &str,
        from: u64,
    ) -> Result<Response<Body>, Failure> {
        self.send(Method::GET, &self.address(commit, file), from)
    }

    /// The address of a file.
    pub(super) fn address(&self, commit: &str, file: &str) -> String {
        let (endpoint, repo) = (&self.settings.endpoint, self.repo);
        format!("{endpoint}/{repo}/resolve/{commit}/{}", quoted(file, true))
    }

    fn api(&self) -> String {
        let kind = match self.repo.kind() {
            Kind::Model => "models",
            Kind::Data => "datasets",
        };
        format!("{}/api/{kind}/{}", self.settings.endpoint, self.repo.id())
    }

    /// Tries until it is done, or cannot be, or too often in vain. `arrived` counts the bytes that
    /// tries brought: one that brought some was not in vain.
    pub(super) fn patiently<T>(
        &self,
        url: &str,
        tell: &mut Tell<'_>,
        arrived: &Cell<u64>,
        attempt: &mut dyn FnMut(&mut Tell<'_>) -> Result<T, Failure>,
    ) -> Result<T, HubError> {
        let (mut idle, mut before) = (0, arrived.get());
        for tries in 1.. {
            let (reason, asked) = match attempt(tell) {
                Ok(value) => return Ok(value),
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Again { reason, wait }) => (reason, wait),
            };
            idle = if arrived.get() > before { 1 } else { idle + 1 };
            before = arrived.get();
            let longest = self.settings.longest_wait.as_secs();
            if let Some(seconds) = asked.filter(|it| *it > longest || idle >= IDLE_TRIES) {
                return Err(HubError::TooMany { url: url.to_owned(), seconds: seconds.max(1) });
            }
            if idle >= IDLE_TRIES || tries >= MOST_TRIES {
                return Err(HubError::Broken { url: url.to_owned(), tries, reason });
            }
            let doubled = self.settings.first_wait.saturating_mul(1 << (idle - 1).min(16));
            let usual = doubled.min(LONGEST_WAIT);
            // Who asks to wait for nothing is not asked again at once, time after time.
            let wait = usual.max(Duration::from_secs(asked.unwrap_or(0)));
            tell(Progress::Waiting { seconds: wait.as_secs_f64(), reason: &reason });
            std::thread::sleep(wait);
        }
        unreachable!("the number of tries is bounded")
    }

    fn json<T: for<'de> Deserialize<'de>>(&self, url: &str) -> Result<T, Failure> {
        let answer = self.send(Method::GET, url, 0)?;
        let text = text_of(answer).map_err(again)?;
        serde_json::from_slice(&text).map_err(|error| {
            let reason = said(error.to_string().as_bytes());
            HubError::Nonsense { url: url.to_owned(), reason }.into()
        })
    }

    /// Sends a request and follows where it leads. What only has to be known of a file is asked of
    /// the hub itself, and so not where its contents lie.
    fn send(&self, method: Method, url: &str, from: u64) -> Result<Response<Body>, Failure> {
        let home = origin(&self.settings.endpoint);
        let mut address = url.to_owned();
        for _ in 0..REDIRECTS {
            let mut request = match method {
                Method::HEAD => self.agent.head(&address),
                _ => self.agent.get(&address),
            };
            request = request.header("Accept-Encoding", "identity");
            if from > 0 {
                request = request.header("Range", format!("bytes={from}-"));
            }
            if let Some(token) = self.settings.token.as_ref().filter(|_| origin(&address) == home) {
                request = request.header("Authorization", token.authorization());
            }
            let answer = request.call().map_err(|error| self.of_connection(url, error))?;
            let status = answer.status().as_u16();
            let next = answer.headers().get("location").and_then(|it| it.to_str().ok());
            let next = match (status, next) {
                (301 | 302 | 303 | 307 | 308, Some(next)) => joined(&address, next),
                (200..=299, _) => return Ok(answer),
                _ => return Err(self.refusal(url, answer)),
            };
            if method == Method::HEAD && origin(&next) != home {
                return Ok(answer);
            }
            address = next;
        }
        let reason = "it leads from one address to the next without end".to_owned();
        Err(HubError::Nonsense { url: url.to_owned(), reason }.into())
    }

    fn of_connection(&self, url: &str, error: ureq::Error) -> Failure {
        match error {
            ureq::Error::BadUri(_) | ureq::Error::Http(_) | ureq::Error::InvalidProxyUrl => {
                let reason = error.to_string();
                HubError::Nonsense { url: url.to_owned(), reason }.into()
            }
            ureq::Error::HostNotFound => again("no such host is known here"),
            ureq::Error::Io(error) => again(error),
            other => again(other),
        }
    }

    /// What an answer that is no success means.
    fn refusal(&self, url: &str, answer: Response<Body>) -> Failure {
        let status = answer.status().as_u16();
        let header = |name: &str| {
            let value = answer.headers().get(name).and_then(|value| value.to_str().ok());
            value.unwrap_or_default().to_owned()
        };
        let (code, in_header) = (header("x-error-code"), header("x-error-message"));
        let after = retry_after(answer.headers());
        let limited = after.or_else(|| limited_for(answer.headers()));
        let message = match in_header.is_empty() {
            true => said(&text_of(answer).unwrap_or_default()),
            false => said(in_header.as_bytes()),
        };
        let (repo, token) = (self.repo, self.settings.token.as_ref());
        match (status, code.as_str()) {
            (429, _) => {
                let reason = "the hub asks to wait".to_owned();
                Failure::Again { reason, wait: limited.or(Some(0)) }
            }
            (408 | 500.., _) => {
                let reason = format!("status {status} {message}").trim_end().to_owned();
                Failure::Again { reason, wait: after }
            }
            (_, "RevisionNotFound") => {
                HubError::NoSuchRevision { repo: repo.clone(), known: Vec::new() }.into()
            }
            (404, "EntryNotFound") => {
                HubError::Status { url: url.to_owned(), status, message }.into()
            }
            (_, "RepoNotFound") | (404, _) => {
                HubError::NoSuchRepo { repo: repo.clone(), has_token: token.is_some() }.into()
            }
            (401 | 403, _) => HubError::Refused {
                repo: repo.to_string(),
                status,
                message,
                is_gated: code == "GatedRepo",
                token: token
                    .map(|token| token.place().to_owned())
                    .ok_or_else(|| self.settings.looked_for_token()),
                page: format!("{}/{repo}", self.settings.endpoint),
            }
            .into(),
            _ => HubError::Status { url: url.to_owned(), status, message }.into(),
        }
    }
}

/// A connection that broke.
pub(super) fn again(error: impl std::fmt::Display) -> Failure {
    Failure::Again { reason: error.to_string(), wait: None }
}

/// The text of an answer.
fn text_of(answer: Response<Body>) -> std::io::Result<Vec<u8>> {
    let mut text = Vec::new();
    answer.into_body().into_reader().take(LONGEST_ANSWER).read_to_end(&mut text)?;
    Ok(text)
}

/// What a stranger says, so that it can go before somebody's eyes.
fn said(text: &[u8]) -> String {
    let value: Option<serde_json::Value> = serde_json::from_slice(text).ok();
    let inside = value.as_ref().and_then(|value| value.get("error")?.as_str());
    let text = inside.map_or_else(|| String::from_utf8_lossy(text), Into::into);
    let text = text.trim();
    // A page for browsers says nothing to people.
    let text = if text.starts_with('<') { "" } else { text };
    text.chars().filter(|it| !it.is_control()).take(LONGEST_SAID).collect()
}

/// Seconds that the hub asks to wait: in `Retry-After`, also as a date.
fn retry_after(headers: &HeaderMap) -> Option<u64> {
    let text = |name: &str| headers.get(name)?.to_str().ok();
    let after = text("retry-after").and_then(|it| it.trim().parse().ok());
    // By the clock of the server, which sends it along: the one here may be another.
    let date = |name: &str| date::seconds(text(name)?);
    let until = || Some(date("retry-after")? - date("date")?);
    after.or_else(|| until().map(|seconds| u64::try_from(seconds).unwrap_or(0)))
}

/// Seconds until the hub may be asked as often again: `t=` in `RateLimit`, which comes along with
/// other answers, too.
fn limited_for(headers: &HeaderMap) -> Option<u64> {
    let limit = headers.get("ratelimit")?.to_str().ok()?;
    limit.split([';', ',']).find_map(|it| it.trim().strip_prefix("t=")?.parse().ok())
}

/// Scheme, host and port of an address.
fn origin(url: &str) -> &str {
    let host_at = url.find("://").map_or(0, |at| at + 3);
    let end = url[host_at..].find(['/', '?', '#']).map_or(url.len(), |at| host_at + at);
    &url[..end]
}

/// Where an address leads to from another.
fn joined(from: &str, to: &str) -> String {
    let scheme = from.split("://").next().unwrap_or_default();
    if to.contains("://") {
        to.to_owned()
    } else if let Some(rest) = to.strip_prefix("//") {
        format!("{scheme}://{rest}")
    } else if to.starts_with('/') {
        format!("{}{to}", origin(from))
    } else {
        let path = from.split(['?', '#']).next().unwrap_or_default();
        let folder = path.rfind('/').map_or(path, |at| &path[..=at]);
        format!("{folder}{to}")
    }
}

/// A name as a part of an address.
fn quoted(text: &str, keeps_slashes: bool) -> String {
    let mut quoted = String::with_capacity(text.len());
    for byte in text.bytes() {
        let is_kept = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        if is_kept || keeps_slashes && byte == b'/' {
            quoted.push(char::from(byte));
        } else {
            write!(quoted, "%{byte:02X}").expect("a text takes all that is written");
        }
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_joined_quoted_and_told_apart() {
        let from = "https://hub.co/a/b?x=1";
        assert_eq!(joined(from, "/c"), "https://hub.co/c");
        assert_eq!(joined(from, "c"), "https://hub.co/a/c");
        assert_eq!(joined(from, "//cdn.co/c"), "https://cdn.co/c");
        assert_eq!(joined(from, "http://cdn.co/c"), "http://cdn.co/c");
        assert_eq!(origin(from), "https://hub.co");
        // Who only begins like the hub is not the hub.
        assert_ne!(origin("https://hub.co.evil.com/a"), origin(from));
        assert_ne!(origin("https://hub.co@evil.com/a"), origin(from));
        assert_eq!(quoted("refs/pr/1", false), "refs%2Fpr%2F1");
        assert_eq!(quoted("a b/ä", true), "a%20b/%C3%A4");
    }

    #[test]
    fn what_the_hub_asks_to_wait_is_a_number_or_a_date() {
        let wait = |said: &[(&'static str, &'static str)]| {
            let values = said.iter().map(|(name, value)| (*name, value.parse().unwrap()));
            let mut headers = HeaderMap::new();
            values.for_each(|(name, value)| drop(headers.insert(name, value)));
            [retry_after(&headers), limited_for(&headers)]
        };
        let now = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(wait(&[("retry-after", " 7 ")]), [Some(7), None]);
        assert_eq!(
            wait(&[now, ("retry-after", "Sun, 06 Nov 1994 08:51:07 GMT")]),
            [Some(90), None]
        );
        assert_eq!(
            wait(&[now, ("retry-after", "Sunday, 06-Nov-94 08:00:00 GMT")]),
            [Some(0), None]
        );
        assert_eq!(wait(&[("retry-after", "Sun, 06 Nov 1994 08:51:07 GMT")]), [None, None]);
        assert_eq!(wait(&[now, ("retry-after", "soon")]), [None, None]);
        let limited = ("ratelimit", "\"api\";r=0;t=55");
        assert_eq!(wait(&[("retry-after", "soon"), limited]), [None, Some(55)]);
        assert_eq!(wait(&[]), [None, None]);
    }

    #[test]
    fn what_a_stranger_says_is_made_harmless() {
        assert_eq!(said(br#"{"error": "no\u001b[31m"}"#), "no[31m");
        assert_eq!(said(b"<html>"), "");
        assert_eq!(said(&[b'a'; 500]).len(), LONGEST_SAID);
    }
}
