//! An upstream that tells what reached it.
//!
//! HTTP/1.1 and HTTP/2 with prior knowledge on one port. Any request is answered 200 with JSON
//!
//! ```json
//! {"region": "tokyo", "method": "GET", "path": "/a?b=c", "authority": "shop.example",
//!  "protocol": "HTTP/1.1", "headers": [["user-agent", "x"]], "bodyBytes": 0}
//! ```
//!
//! Headers come in the order of arrival, a repeated name next to its first occurrence (that is how
//! the HTTP library keeps them), with `\xNN` for bytes that are no UTF-8. A gRPC request is
//! answered with that JSON as its message and `grpc-status: 0`.
//!
//! What a test can ask for, in the request it sends through the mesh:
//!
//! | header | effect |
//! |---|---|
//! | `echo-status: 503` | answers with that status |
//! | `echo-header: name=value`, repeatable | adds that response header |
//! | `echo-content-type: text/plain` | says that of the body |
//! | `echo-body: TEXT` | answers with that body; `request` stands for the body of the request |
//! | `echo-repeat: N` | answers with a JSON array that has the body N times, of 4 MiB at most |
//! | `echo-encoding: gzip` | compresses the body, whatever the client accepts |
//! | `echo-chunks: N` | sends the body chunked, in N pieces of one length, each by itself |
//! | `echo-trailer: name=value`, repeatable | adds that trailer; with HTTP/1.1 for who asks by `te: trailers` |
//! | `echo-hold: KEY` | waits for the release of KEY, 30 s at most |
//! | `echo-hold-body: KEY` | the same behind the first piece of the body, with headers and that piece sent |
//! | `echo-id: KEY` | writes `ran KEY as ID` to standard output at once, ID being the `x-request-id`: so that it is known of a killed upstream too what ran there |
//!
//! And directly at the upstream: `GET /_echo/held?key=KEY` is `{"held": n}`,
//! `POST /_echo/release?key=KEY` is `{"released": n}`, `GET /_echo/count` is `{"count": n}` (the
//! requests that arrived, controls aside), `GET /_echo/seen?key=ID` is the JSON above of the request
//! with this `x-request-id`, if it is one of the last (404 if not), whatever was answered to it and
//! whatever became of the answer; `GET /health` is `ok`.

mod asked;

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;

use crate::error::Error;
pub use asked::{ANSWER_LIMIT, Answer, Asked, Pairs};
use asked::{BAD_KEY, is_key};

/// The largest request body that is read.
pub const BODY_LIMIT: usize = 1 << 20;
/// How many requests are held at once, over all keys.
pub const HELD_MAX: usize = 256;
/// How many connections are served at once; others wait.
const CONNECTIONS_MAX: usize = 4096;
/// Of how many requests it remembers what they were.
const SEEN_MAX: usize = 64;

/// What an echo upstream needs to know.
#[derive(Debug, Clone)]
pub struct EchoOptions {
    /// The region it answers for.
    pub region: String,
    /// Where it listens.
    pub listen: SocketAddr,
    /// How long a request is held if nobody releases it.
    pub hold_limit: Duration,
}

type Body = UnsyncBoxBody<Bytes, Infallible>;

#[derive(Debug)]
struct State {
    region: String,
    hold_limit: Duration,
    count: AtomicU64,
    held: Mutex<BTreeMap<String, Held>>,
    /// The last requests, the newest at the end: their `x-request-id` and what is told of them.
    seen: Mutex<VecDeque<(String, serde_json::Value)>>,
}

/// A body in pieces.
struct Pieces {
    left: VecDeque<Bytes>,
    trailers: Option<HeaderMap>,
    /// What is waited for when the first piece is gone.
    wait: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    has_begun: bool,
    /// A piece has just gone: it leaves before the next one is looked at.
    is_fresh: bool,
}

/// The requests held under one key. Exists only while there are any.
#[derive(Debug, Default)]
struct Held {
    count: usize,
    release: Arc<Notify>,
}

/// A held request; gives its place back also when its client goes away.
struct Place {
    state: Arc<State>,
    key: String,
    release: Arc<Notify>,
}

// === impl EchoOptions ===

impl EchoOptions {
    /// The usual options.
    pub fn new(region: impl Into<String>, listen: SocketAddr) -> Self {
        Self { region: region.into(), listen, hold_limit: Duration::from_secs(30) }
    }
}

/// Serves until `shutdown` resolves; open connections are then closed at once.
///
/// # Errors
///
/// [`Error::PortInUse`] or [`Error::PortUnusable`] when it cannot listen.
pub async fn serve(options: EchoOptions, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
    let addr = options.listen;
    let listener = TcpListener::bind(addr).await.map_err(|source| {
        let (region, purpose) = (options.region.clone(), "application");
        if source.kind() == std::io::ErrorKind::AddrInUse {
            Error::PortInUse { region, purpose, addr }
        } else {
            Error::PortUnusable { region, purpose, addr, source }
        }
    })?;
    serve_on(listener, options, shutdown).await;
    Ok(())
}

/// Serves on a socket that listens already, so that a test can let the system choose the port.
pub async fn serve_on(
    listener: TcpListener,
    options: EchoOptions,
    shutdown: impl Future<Output = ()>,
) {
    let state = Arc::new(State {
        region: options.region,
        hold_limit: options.hold_limit,
        count: AtomicU64::new(0),
        held: Mutex::default(),
        seen: Mutex::default(),
    });
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    tokio::pin!(shutdown);
    loop {
        let accept = async {
            // Never closed, so this waits for a place and does not fail.
            let place = Arc::clone(&places).acquire_owned().await;
            (listener.accept().await, place)
        };
        let (accepted, place) = tokio::select! {
            () = &mut shutdown => return,
            Some(_) = connections.join_next() => continue,
            accepted = accept => accepted,
        };
        let Ok((stream, _)) = accepted else {
            // Out of file descriptors, most likely: trying again at once would spin.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        let state = Arc::clone(&state);
        connections.spawn(async move {
            let service = hyper::service::service_fn(move |request| {
                let state = Arc::clone(&state);
                async move { Ok::<_, Infallible>(answer(&state, request).await) }
            });
            let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
            // A broken connection is the client's affair.
            let _ = server.serve_connection(TokioIo::new(stream), service).await;
            drop(place);
        });
    }
}

async fn answer(state: &Arc<State>, request: Request<Incoming>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let mut response = if let Some(response) = control(state, &parts) {
        response
    } else {
        state.count.fetch_add(1, Ordering::Relaxed);
        if let Some(line) = ran(&parts.headers) {
            // A lost line is the reader's to notice; the request is answered all the same.
            let _ = std::io::stdout().write_all(line.as_bytes());
        }
        echo(state, &parts, body).await.unwrap_or_else(|refusal| refusal)
    };
    if let Ok(region) = HeaderValue::from_str(&state.region) {
        response.headers_mut().insert("x-echo-region", region);
    }
    response
}

/// The upstream's own resources.
fn control(state: &State, parts: &http::request::Parts) -> Option<Response<Body>> {
    let key = || {
        let query = parts.uri.query().unwrap_or_default();
        let key = query.split('&').find_map(|pair| pair.strip_prefix("key="));
        key.filter(|key| is_key(key)).map(str::to_owned)
    };
    let on_key = |f: &dyn Fn(&str) -> serde_json::Value| match key() {
        Some(key) => as_json(StatusCode::OK, &f(&key)),
        None => refuse(StatusCode::BAD_REQUEST, BAD_KEY),
    };
    Some(match (&parts.method, parts.uri.path()) {
        (&Method::GET | &Method::HEAD, "/health") => refuse(StatusCode::OK, "ok"),
        (&Method::GET, "/_echo/count") => {
            as_json(StatusCode::OK, &json!({"count": state.count.load(Ordering::Relaxed)}))
        }
        (&Method::GET, "/_echo/seen") => match key().and_then(|key| state.seen(&key)) {
            Some(told) => as_json(StatusCode::OK, &told),
            None => refuse(StatusCode::NOT_FOUND, "no such request was seen lately"),
        },
        (&Method::GET, "/_echo/held") => on_key(&|key| {
            let held = state.held().get(key).map_or(0, |held| held.count);
            json!({"held": held})
        }),
        (&Method::POST, "/_echo/release") => on_key(&|key| json!({"released": state.release(key)})),
        (_, path) if path.starts_with("/_echo/") => {
            refuse(StatusCode::NOT_FOUND, "there is no such control")
        }
        _ => return None,
    })
}

/// What is written of a request that wants to be found again.
fn ran(headers: &HeaderMap) -> Option<String> {
    let key = |name: &str| headers.get(name)?.to_str().ok().filter(|key| is_key(key));
    let id = key("x-request-id").unwrap_or("-");
    Some(format!("ran {} as {id}\n", key("echo-id")?))
}

/// The `Err` is an answer too: that the request asks for something impossible.
async fn echo(
    state: &Arc<State>,
    parts: &http::request::Parts,
    body: Incoming,
) -> Result<Response<Body>, Response<Body>> {
    let bad = |text| refuse(StatusCode::BAD_REQUEST, text);
    let body = drain(body).await?;
    let told = describe(state, parts, body.len());
    if let Some(id) = parts.headers.get("x-request-id").and_then(|id| id.to_str().ok()) {
        state.remember(id, &told);
    }
    let headers = parts.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    let asked = Asked::read(headers, &body).map_err(bad)?;
    if let Some(key) = &asked.hold {
        let held = Arc::clone(state).hold(key.clone()).await;
        held.map_err(|text| refuse(StatusCode::SERVICE_UNAVAILABLE, text))?;
    }
    let Answer { status, headers, pieces, is_chunked, trailers } =
        asked.answer(&told).map_err(bad)?;
    let body = if is_chunked {
        let wait = asked.hold_body.map(|key| {
            let held = Arc::clone(state).hold(key);
            // With too many held already it goes on at once, and whoever waits learns by its clock.
            let wait: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(async {
                let _ = held.await;
            });
            wait
        });
        Pieces::new(pieces, fields(trailers), wait).boxed_unsync()
    } else {
        Full::new(Bytes::from(pieces.concat())).boxed_unsync()
    };
    let mut response = Response::new(body);
    *response.status_mut() =
        StatusCode::from_u16(status).map_err(|_| bad("there is no such status"))?;
    *response.headers_mut() = fields(headers);
    Ok(response)
}

/// Names and values as the HTTP library has them. All of them are good: they came in headers.
fn fields(pairs: Pairs) -> HeaderMap {
    let mut fields = HeaderMap::new();
    for (name, value) in pairs {
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(&value))
        {
            fields.append(name, value);
        }
    }
    fields
}

fn describe(state: &State, parts: &http::request::Parts, body_bytes: usize) -> serde_json::Value {
    let path = parts.uri.path_and_query().map_or("*", |path| path.as_str());
    let host = || parts.headers.get("host").map(|value| readable(value.as_bytes()));
    let authority = parts.uri.authority().map(ToString::to_string).or_else(host);
    let header = |(name, value): (&HeaderName, &HeaderValue)| {
        json!([name.as_str(), readable(value.as_bytes())])
    };
    json!({
        "region": state.region,
        "method": parts.method.as_str(),
        "path": path,
        "authority": authority,
        "protocol": format!("{:?}", parts.version),
        "headers": parts.headers.iter().map(header).collect::<Vec<_>>(),
        "bodyBytes": body_bytes,
    })
}

/// Reads a body to its end, so that the sender is not left with a half-written one.
async fn drain(mut body: Incoming) -> Result<Vec<u8>, Response<Body>> {
    let mut all = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| refuse(StatusCode::BAD_REQUEST, "the body is broken"))?;
        let data = frame.data_ref().map(AsRef::as_ref).unwrap_or_default();
        if all.len() + data.len() > BODY_LIMIT {
            return Err(refuse(StatusCode::PAYLOAD_TOO_LARGE, "the body is larger than 1 MiB"));
        }
        all.extend_from_slice(data);
    }
    Ok(all)
}

fn is_grpc(content_type: &[u8]) -> bool {
    let kind = content_type.get(..16);
    kind.is_some_and(|kind| kind.eq_ignore_ascii_case(b"application/grpc"))
        && matches!(content_type.get(16), None | Some(b'+' | b';' | b' '))
}

/// Text as it is, other bytes as `\xNN`.
fn readable(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            // Writing into a string does not fail.
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

fn as_json(status: StatusCode, value: &serde_json::Value) -> Response<Body> {
    respond(status, "application/json", Full::new(Bytes::from(value.to_string())).boxed_unsync())
}

fn refuse(status: StatusCode, text: &'static str) -> Response<Body> {
    respond(status, "text/plain", Full::new(Bytes::from_static(text.as_bytes())).boxed_unsync())
}

fn respond(status: StatusCode, kind: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

// === impl State ===

impl State {
    fn held(&self) -> MutexGuard<'_, BTreeMap<String, Held>> {
        // Nothing panics while it is locked, and a count would still be right if something did.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn hold(self: Arc<Self>, key: String) -> Result<(), &'static str> {
        let (released, release) = {
            let mut held = self.held();
            if held.values().map(|held| held.count).sum::<usize>() >= HELD_MAX {
                return Err("too many requests are held already");
            }
            let entry = held.entry(key.clone()).or_default();
            entry.count += 1;
            // Counts as waiting from here on: a release cannot slip in between.
            (Arc::clone(&entry.release).notified_owned(), Arc::clone(&entry.release))
        };
        let limit = self.hold_limit;
        let _place = Place { state: self, key, release };
        // Nobody released it: answer anyway, the client learns by its clock.
        let _ = tokio::time::timeout(limit, released).await;
        Ok(())
    }

    fn remember(&self, id: &str, told: &serde_json::Value) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= SEEN_MAX {
            seen.pop_front();
        }
        seen.push_back((id.to_owned(), told.clone()));
    }

    fn seen(&self, id: &str) -> Option<serde_json::Value> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.iter().rev().find(|(known, _)| known == id).map(|(_, told)| told.clone())
    }

    /// Forgets the key at once: what comes under it from here on waits for the next release.
    fn release(&self, key: &str) -> usize {
        self.held().remove(key).map_or(0, |held| {
            held.release.notify_waiters();
            held.count
        })
    }
}

// === impl Place ===

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = self.state.held();
        let Some(entry) = held.get_mut(&self.key) else { return };
        if !Arc::ptr_eq(&entry.release, &self.release) {
            return;
        }
        entry.count = entry.count.saturating_sub(1);
        if entry.count == 0 {
            held.remove(&self.key);
        }
    }
}

// === impl Pieces ===

impl Pieces {
    fn new(
        pieces: Vec<Vec<u8>>,
        trailers: HeaderMap,
        wait: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    ) -> Self {
        let left = pieces.into_iter().map(Bytes::from).collect();
        let trailers = Some(trailers).filter(|trailers| !trailers.is_empty());
        Self { left, trailers, wait, has_begun: false, is_fresh: false }
    }
}

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        // A connection is flushed when there is nothing to write.
        if std::mem::take(&mut self.is_fresh) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.has_begun
            && let Some(wait) = &mut self.wait
        {
            if wait.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            self.wait = None;
        }
        if let Some(piece) = self.left.pop_front() {
            (self.has_begun, self.is_fresh) = (true, true);
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        Poll::Ready(self.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))))
    }
}

#[cfg(test)]
mod tests;
