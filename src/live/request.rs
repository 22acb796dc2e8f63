//! What a browser may ask for, and why it is refused: the page is for who started it, not for every
//! site that the same browser has open.

use crate::base::Digest;

/// Bytes that the head of a request may have.
pub(super) const LONGEST_HEAD: usize = 8192;
/// Headers that a request may have.
const MOST_HEADERS: usize = 64;

/// What is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Page {
    /// The page itself.
    Main,
    /// What would be said of it, without the page.
    MainHead,
    /// The stream of what changes.
    Events,
    /// The same without the stream.
    EventsHead,
}

/// Why a request is not served: the status and a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal(pub(super) u16, pub(super) &'static str);

const MALFORMED: Refusal = Refusal(400, "this is no request that can be read");
pub(super) const TOO_LARGE: Refusal = Refusal(431, "the head of the request is too long");
const HOST: Refusal = Refusal(403, "the request is for another host");
const ORIGIN: Refusal = Refusal(403, "the request comes from the page of another site");
const TOKEN: Refusal = Refusal(403, "the token is missing or wrong: open the whole address");
const METHOD: Refusal = Refusal(405, "this page is only read");
const NOT_FOUND: Refusal = Refusal(404, "there is no such page");

/// Who may read.
#[derive(Clone, Debug)]
pub(super) struct Guard {
    hosts: [String; 2],
    token: Digest,
}

impl Guard {
    pub(super) fn new(port: u16, token: &str) -> Self {
        let hosts = [format!("127.0.0.1:{port}"), format!("localhost:{port}")];
        Self { hosts, token: Digest::of(token.as_bytes()) }
    }

    /// What a request asks for. A site that has its name lead to this machine is known by the host,
    /// one that sends its visitors here by the origin, and both do not know the token.
    pub(super) fn admit(&self, head: &[u8]) -> Result<Page, Refusal> {
        let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        match request.parse(head) {
            Ok(httparse::Status::Complete(_)) => {}
            Ok(httparse::Status::Partial) => return Err(MALFORMED),
            Err(httparse::Error::TooManyHeaders) => return Err(TOO_LARGE),
            Err(_) => return Err(MALFORMED),
        }
        let all = |name: &str| {
            let is_meant = |it: &&httparse::Header<'_>| it.name.eq_ignore_ascii_case(name);
            request.headers.iter().filter(is_meant).map(|it| it.value).collect::<Vec<_>>()
        };
        let is_ours = |host: &[u8]| self.hosts.iter().any(|own| own.as_bytes() == host);
        match all("host").as_slice() {
            [host] if is_ours(host) => {}
            _ => return Err(HOST),
        }
        let from_here = |origin: &&[u8]| origin.strip_prefix(b"http://").is_some_and(is_ours);
        if !all("origin").iter().all(from_here) {
            return Err(ORIGIN);
        }
        let is_head = match request.method {
            Some("GET") => false,
            Some("HEAD") => true,
            _ => return Err(METHOD),
        };
        let target = request.path.unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let token = query.split('&').find_map(|pair| pair.strip_prefix("token="));
        // Comparing digests takes the same time wherever two tokens begin to differ.
        if token.is_none_or(|token| Digest::of(token.as_bytes()) != self.token) {
            return Err(TOKEN);
        }
        match path {
            "/" if is_head => Ok(Page::MainHead),
            "/events" if is_head => Ok(Page::EventsHead),
            "/" => Ok(Page::Main),
            "/events" => Ok(Page::Events),
            _ => Err(NOT_FOUND),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_knows_the_token_and_comes_from_here_is_let_in() {
        let guard = Guard::new(4242, "secret");
        let ask = |line: &str, headers: &str| {
            guard.admit(format!("{line} HTTP/1.1\r\n{headers}\r\n").as_bytes())
        };
        let host = "Host: 127.0.0.1:4242\r\n";
        assert_eq!(ask("GET /?token=secret", host), Ok(Page::Main));
        assert_eq!(
            ask("GET /events?a=b&token=secret", "hOST: localhost:4242\r\n"),
            Ok(Page::Events)
        );
        let own = format!("{host}Origin: http://127.0.0.1:4242\r\n");
        assert_eq!(ask("GET /events?token=secret", &own), Ok(Page::Events));
        for origin in ["https://127.0.0.1:4242", "http://evil.example", "null", ""] {
            let headers = format!("{host}Origin: {origin}\r\n");
            assert_eq!(ask("GET /?token=secret", &headers), Err(ORIGIN), "{origin}");
        }
        for host in ["", "Host: evil.example:4242\r\n", "Host: 127.0.0.1\r\n"] {
            assert_eq!(ask("GET /?token=secret", host), Err(HOST), "{host}");
        }
        assert_eq!(ask("GET /?token=secret", &format!("{host}{host}")), Err(HOST));
        for token in ["/", "/?token=", "/?token=Secret", "/?token=secre", "/nothing"] {
            assert_eq!(ask(&format!("GET {token}"), host), Err(TOKEN), "{token}");
        }
        assert_eq!(ask("POST /?token=secret", host), Err(METHOD));
        assert_eq!(ask("HEAD /?token=secret", host), Ok(Page::MainHead));
        assert_eq!(ask("HEAD /?token=wrong", host), Err(TOKEN));
        assert_eq!(ask("GET /../etc/passwd?token=secret", host), Err(NOT_FOUND));
        assert_eq!(ask("nonsense", host), Err(MALFORMED));
        assert_eq!(guard.admit(b"GET / HTTP/1.1\r\nHost"), Err(MALFORMED));
        assert_eq!(ask("GET /?token=secret", &"A: b\r\n".repeat(65)), Err(TOO_LARGE));
    }
}
