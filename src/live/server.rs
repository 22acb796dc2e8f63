//! The page on this machine: a listener on the loopback interface and a thread for each browser.
//!
//! Two pages to read need no framework: requests are parsed by `httparse`, every answer ends its
//! connection, and all that a request may take is bounded here.

use super::feed::{Feed, Source};
use super::request::{Guard, LONGEST_HEAD, Page, Refusal, TOO_LARGE};
use crate::base::Hint;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use thiserror::Error;

/// Between two looks at the log, while a page is open.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Looks after which a silent stream says that it is still there.
const LOOKS_TO_KEEP: u32 = 50;
/// Browsers served at a time.
const MOST_CONNECTIONS: usize = 16;
/// How long a browser may take for a piece of its request, and for taking a piece of an answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Pieces that a request may come in.
const MOST_PIECES: usize = 64;
/// Waits of [`LOOK_EVERY`] for streams to tell the end.
const WAITS_AT_THE_END: usize = 30;

/// Why the page cannot be served.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The port belongs to another program.
    #[error("port {port} is taken")]
    Taken {
        /// The port that was asked for.
        port: u16,
    },
    /// The system refuses.
    #[error("the page cannot be served: {0}")]
    Io(#[from] io::Error),
}

impl Hint for ServeError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Taken { .. } => Some("leave `--port` out, and a free one is chosen".to_owned()),
            Self::Io(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                Some("choose a port above 1023, or leave `--port` out".to_owned())
            }
            Self::Io(_) => None,
        }
    }
}

/// What all threads of a server share.
struct Shared {
    guard: Guard,
    feed: Mutex<Feed>,
    stops: AtomicBool,
    connections: AtomicUsize,
    streams: AtomicUsize,
}

impl Shared {
    fn feed(&self) -> MutexGuard<'_, Feed> {
        // A report that could not be made must not end the page.
        self.feed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A page that is served until this is dropped. Browsers are told the end of the run then.
pub struct Server {
    address: SocketAddr,
    token: String,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves the page of a run on a port of the loopback interface; 0 stands for a free one.
    ///
    /// # Errors
    /// When the port is taken, or the system refuses.
    pub fn start(source: Source, port: u16) -> Result<Self, ServeError> {
        let listener = Self::listen(port)?;
        Self::start_on(listener, source)
    }

    /// Takes a port, before there is anything to serve on it.
    ///
    /// # Errors
    /// When the port is taken, or the system refuses.
    pub fn listen(port: u16) -> Result<TcpListener, ServeError> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port));
        listener.map_err(|error| match error.kind() {
            io::ErrorKind::AddrInUse => ServeError::Taken { port },
            _ => ServeError::Io(error),
        })
    }

    /// Serves the page of a run on a port that was taken before.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn start_on(listener: TcpListener, source: Source) -> Result<Self, ServeError> {
        let (address, token) = (listener.local_addr()?, token()?);
        let shared = Arc::new(Shared {
            guard: Guard::new(address.port(), &token),
            feed: Mutex::new(Feed::new(source)),
            stops: AtomicBool::new(false),
            connections: AtomicUsize::new(0),
            streams: AtomicUsize::new(0),
        });
        let accepting = Arc::clone(&shared);
        let thread = thread::Builder::new().name("page".to_owned());
        let thread = Some(thread.spawn(move || accept(&listener, &accepting))?);
        Ok(Self { address, token, shared, thread })
    }

    /// The whole address; who has it may read.
    pub fn url(&self) -> String {
        format!("http://{}/?token={}", self.address, self.token)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stops.store(true, Ordering::Release);
        // Wakes the thread that waits for a connection.
        TcpStream::connect_timeout(&self.address, PATIENCE).ok();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
        for _ in 0..WAITS_AT_THE_END {
            if self.shared.streams.load(Ordering::Acquire) == 0 {
                break;
            }
            thread::sleep(LOOK_EVERY);
        }
    }
}

/// 128 random bits that nobody can guess.
fn token() -> io::Result<String> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.stops.load(Ordering::Acquire) {
            return;
        }
        let Ok(stream) = stream else {
            // Out of descriptors: others may end meanwhile.
            thread::sleep(LOOK_EVERY);
            continue;
        };
        if shared.connections.load(Ordering::Acquire) >= MOST_CONNECTIONS {
            continue;
        }
        shared.connections.fetch_add(1, Ordering::AcqRel);
        let own = Arc::clone(shared);
        let serving = thread::Builder::new().name("browser".to_owned()).spawn(move || {
            let counted = Counted(&own.connections);
            // A browser that went away is no failure.
            serve(stream, &own).ok();
            drop(counted);
        });
        if serving.is_err() {
            shared.connections.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

/// Counts down when dropped, also when a thread panics.
struct Counted<'a>(&'a AtomicUsize);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

fn serve(mut stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    let head = read_head(&mut stream)?;
    let admitted = head.and_then(|head| shared.guard.admit(&head));
    match admitted {
        Ok(Page::MainHead) => {
            let head = head_of(200, "text/html; charset=utf-8", page()?.len());
            stream.write_all(head.as_bytes())
        }
        Ok(Page::Main) => answer(&mut stream, 200, "text/html; charset=utf-8", &page()?),
        Ok(Page::EventsHead) => stream.write_all(head_of_events().as_bytes()),
        Ok(Page::Events) => {
            shared.streams.fetch_add(1, Ordering::AcqRel);
            let _counted = Counted(&shared.streams);
            events(&mut stream, shared)
        }
        Err(Refusal(status, why)) => {
            answer(&mut stream, status, "text/plain; charset=utf-8", &format!("{why}\n"))?;
            // A connection that is closed with something unread is reset, and the answer is lost.
            stream.shutdown(Shutdown::Write)?;
            let mut rest = [0; 4096];
            for _ in 0..MOST_PIECES {
                if stream.read(&mut rest)? == 0 {
                    break;
                }
            }
            Ok(())
        }
    }
}

/// Reads to the empty line that ends the head; refuses what goes on for too long.
fn read_head(stream: &mut TcpStream) -> io::Result<Result<Vec<u8>, Refusal>> {
    let mut head = Vec::new();
    let mut piece = [0; 2048];
    for _ in 0..MOST_PIECES {
        let length = stream.read(&mut piece)?;
        head.extend_from_slice(&piece[..length]);
        if length == 0 || head.windows(4).any(|it| it == b"\r\n\r\n") {
            break;
        }
        if head.len() > LONGEST_HEAD {
            return Ok(Err(TOO_LARGE));
        }
    }
    Ok(if head.len() > LONGEST_HEAD { Err(TOO_LARGE) } else { Ok(head) })
}

/// Headers of every answer: nothing is kept, framed, guessed or passed on.
const HEADERS: &str = "Cache-Control: no-store\r\n\
    Connection: close\r\n\
    Cross-Origin-Opener-Policy: same-origin\r\n\
    Cross-Origin-Resource-Policy: same-origin\r\n\
    Referrer-Policy: no-referrer\r\n\
    X-Content-Type-Options: nosniff\r\n\
    X-Frame-Options: DENY\r\n";

fn answer(stream: &mut TcpStream, status: u16, content: &str, body: &str) -> io::Result<()> {
    stream.write_all(head_of(status, content, body.len()).as_bytes())?;
    stream.write_all(body.as_bytes())
}

fn head_of(status: u16, content: &str, length: usize) -> String {
    let reason = match status {
        200 => "OK",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        _ => "Request Header Fields Too Large",
    };
    let allow = if status == 405 { "Allow: GET, HEAD\r\n" } else { "" };
    format!(
        "HTTP/1.1 {status} {reason}\r\n{HEADERS}{allow}Content-Type: {content}\r\n\
         Content-Length: {length}\r\n\r\n"
    )
}

/// The page, whose script has a word of its own that nothing shown in it can know.
fn page() -> io::Result<String> {
    Ok(include_str!("page.html")
        .replace("{{style}}", &[crate::report::STYLE, include_str!("page.css")].concat())
        .replace("{{script}}", include_str!("page.js"))
        .replace("{{nonce}}", &token()?))
}

fn head_of_events() -> String {
    format!("HTTP/1.1 200 OK\r\n{HEADERS}Content-Type: text/event-stream\r\n\r\n")
}

/// Tells what changes until the browser goes away or the server stops.
fn events(stream: &mut TcpStream, shared: &Shared) -> io::Result<()> {
    stream.write_all(head_of_events().as_bytes())?;
    let (mut version, mut results, mut silent) = (None, 0, 0);
    loop {
        let stops = shared.stops.load(Ordering::Acquire);
        let (state, report) = {
            let mut feed = shared.feed();
            feed.look();
            (feed.state(version), feed.report(results))
        };
        silent += 1;
        if let Some((now, state)) = state {
            version = Some(now);
            silent = 0;
            write!(stream, "event: state\ndata: {state}\n\n")?;
        }
        if let Some((of, report)) = report {
            results = of;
            silent = 0;
            let report = serde_json::to_string(&*report)?;
            write!(stream, "event: report\ndata: {report}\n\n")?;
        }
        if stops {
            return stream.write_all(b"event: end\ndata: {}\n\n");
        }
        if silent >= LOOKS_TO_KEEP {
            silent = 0;
            stream.write_all(b": still here\n\n")?;
        }
        thread::sleep(LOOK_EVERY);
    }
}
