//! A small HTTP/1.1 client for tours and tests, which sends what it is told to.
//!
//! A library client repairs requests: it normalises paths, joins headers and refuses bytes. What a
//! policy does with a hostile request can only be seen when nothing repairs it, so here the request
//! is written to the socket byte by byte, and only the response is parsed with care.

pub(crate) mod http2;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::error::Error;

/// The largest response body that is read.
pub const BODY_LIMIT: usize = 4 << 20;

/// Head, chunk sizes and trailers included.
const WIRE_LIMIT: usize = 2 * BODY_LIMIT;
const HEAD_LIMIT: usize = 64 << 10;
const HEADERS_MAX: usize = 256;

/// A request, sent as it stands.
///
/// Two things are added, unless a header of that name is there already: `connection: close`, and
/// `content-length` when there is a body and no `transfer-encoding`. A `host` is not: a request
/// without one is a request worth sending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawRequest {
    /// The method, in any case.
    pub method: String,
    /// The request target: not normalised, not even checked.
    pub target: Vec<u8>,
    /// Names and values in order; repeated names stay repeated.
    pub headers: Vec<(Vec<u8>, Vec<u8>)>,
    /// The body.
    pub body: Vec<u8>,
}

/// A final response (interim ones are skipped).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawResponse {
    /// The status code.
    pub status: u16,
    /// Names as they came, and values, in order.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body, without its chunking.
    pub body: Vec<u8>,
    /// The trailers after a chunked body.
    pub trailers: Vec<(String, Vec<u8>)>,
}

/// What came of a request on the wire: a response, all of it or its beginning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The response; of one that was cut, what came of it.
    pub response: RawResponse,
    /// The connection ended before the response did.
    pub is_cut: bool,
    /// Every byte that came, as it came.
    pub wire: Vec<u8>,
}

/// Sends a request on a connection of its own and reads the response.
///
/// The timeout covers the whole exchange.
///
/// # Errors
///
/// [`Error::Connection`], [`Error::Timeout`], or [`Error::BadResponse`] when the answer is no
/// complete HTTP/1.1 response or its body is larger than [`BODY_LIMIT`].
pub async fn send(
    addr: SocketAddr,
    request: &RawRequest,
    timeout: Duration,
) -> Result<RawResponse, Error> {
    receive_from(addr, request, timeout).await?.whole(addr)
}

/// The same for a response that may be cut: one whose headers came is no error.
///
/// # Errors
///
/// Those of [`send`].
pub async fn receive_from(
    addr: SocketAddr,
    request: &RawRequest,
    timeout: Duration,
) -> Result<Received, Error> {
    within(timeout, addr, async {
        let failed = |source| Error::Connection { addr, source };
        exchange(addr, TcpStream::connect(addr).await.map_err(failed)?, request).await
    })
    .await
}

/// The same with HTTP/2, by prior knowledge. What the library would not send is not sent; a
/// [`Received::wire`] has the bytes of the body alone, for headers are packed.
///
/// # Errors
///
/// Those of [`send`]; [`Error::Unsendable`].
pub async fn receive_http2(
    addr: SocketAddr,
    request: &RawRequest,
    timeout: Duration,
) -> Result<Received, Error> {
    within(timeout, addr, async {
        let failed = |source| Error::Connection { addr, source };
        let stream = TcpStream::connect(addr).await.map_err(failed)?;
        http2::exchange(addr, stream, request, "http").await
    })
    .await
}

/// Waits for a whole exchange, and no longer than that.
pub(crate) async fn within(
    timeout: Duration,
    addr: SocketAddr,
    exchange: impl Future<Output = Result<Received, Error>>,
) -> Result<Received, Error> {
    match tokio::time::timeout(timeout, exchange).await {
        Ok(response) => response,
        Err(_) => Err(Error::Timeout { addr, timeout }),
    }
}

/// Sends a request on a connection and reads the response.
pub(crate) async fn exchange(
    addr: SocketAddr,
    stream: impl AsyncRead + AsyncWrite,
    request: &RawRequest,
) -> Result<Received, Error> {
    let failed = |source| Error::Connection { addr, source };
    let (mut reader, mut writer) = tokio::io::split(stream);
    let bytes = request.to_bytes();
    let receive = receive(&mut reader, request.method.eq_ignore_ascii_case("HEAD"));
    let write = async {
        writer.write_all(&bytes).await?;
        writer.flush().await
    };
    tokio::pin!(receive, write);
    // Both at once: a server may refuse a large body before it has read it, and then neither goes
    // on reading nor may its answer be lost because our write failed.
    let (received, write_error) = tokio::select! {
        biased;
        received = &mut receive => (received, None),
        written = &mut write => (receive.await, written.err()),
    };
    match received {
        Ok(response) => Ok(response),
        Err(Receive::Bad(why)) => Err(Error::BadResponse { addr, why }),
        Err(Receive::Io(source)) => Err(failed(write_error.unwrap_or(source))),
    }
}

// === impl RawRequest ===

impl RawRequest {
    /// A request with the one header that HTTP/1.1 insists on.
    pub fn new(method: &str, target: impl Into<Vec<u8>>) -> Self {
        Self {
            method: method.to_owned(),
            target: target.into(),
            headers: vec![(b"host".to_vec(), b"localhost".to_vec())],
            body: Vec::new(),
        }
    }

    /// Adds a header; one of the same name stays.
    #[must_use]
    pub fn header(mut self, name: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    fn has(&self, name: &str) -> bool {
        self.headers.iter().any(|(own, _)| own.eq_ignore_ascii_case(name.as_bytes()))
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(256 + self.body.len());
        bytes.extend_from_slice(self.method.as_bytes());
        bytes.push(b' ');
        bytes.extend_from_slice(&self.target);
        bytes.extend_from_slice(b" HTTP/1.1\r\n");
        let mut header = |name: &[u8], value: &[u8]| {
            for part in [name, b": ", value, b"\r\n"] {
                bytes.extend_from_slice(part);
            }
        };
        for (name, value) in &self.headers {
            header(name, value);
        }
        if !self.has("connection") {
            header(b"connection", b"close");
        }
        let framed = self.has("content-length") || self.has("transfer-encoding");
        if !framed && !self.body.is_empty() {
            header(b"content-length", self.body.len().to_string().as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

// === impl Received ===

impl Received {
    /// The response, if all of it came.
    ///
    /// # Errors
    ///
    /// [`Error::BadResponse`] if not.
    pub fn whole(self, addr: SocketAddr) -> Result<RawResponse, Error> {
        const WHY: &str = "it ends in the middle of the body";
        if self.is_cut { Err(Error::BadResponse { addr, why: WHY }) } else { Ok(self.response) }
    }
}

// === impl RawResponse ===

impl RawResponse {
    /// The first value of a header, by a name in any case.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        find(&self.headers, name)
    }

    /// The first value of a trailer, by a name in any case.
    pub fn trailer(&self, name: &str) -> Option<&[u8]> {
        find(&self.trailers, name)
    }

    /// The body as text, with replacement characters for what is none.
    pub fn text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }
}

type Headers = Vec<(String, Vec<u8>)>;

fn find<'a>(headers: &'a [(String, Vec<u8>)], name: &str) -> Option<&'a [u8]> {
    headers.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| &**value)
}

/// Why there is no response.
#[derive(Debug)]
enum Receive {
    Io(io::Error),
    Bad(&'static str),
}

impl From<io::Error> for Receive {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// How the end of a body is known.
enum Framing {
    Length(usize),
    Chunked,
    Close,
}

async fn receive(reader: &mut (impl AsyncRead + Unpin), head: bool) -> Result<Received, Receive> {
    let mut wire = Vec::new();
    // Where what is not read yet begins.
    let mut at = 0;
    let (status, headers) = loop {
        let rest = wire.get(at..).unwrap_or_default();
        if let Some((taken, status, headers)) = parse_head(rest)? {
            at += taken;
            // 101 is no interim answer: what follows is another protocol.
            if status >= 200 || status == 101 {
                break (status, headers);
            }
            continue;
        }
        if rest.len() > HEAD_LIMIT {
            return Err(Receive::Bad("its headers are too large"));
        }
        if !more(reader, &mut wire).await? {
            return Err(Receive::Io(io::ErrorKind::UnexpectedEof.into()));
        }
    };
    let empty = head || matches!(status, 101 | 204 | 304);
    let framing = if empty { Framing::Length(0) } else { framing(&headers)? };
    let (body, trailers, is_cut) = loop {
        let rest = wire.get(at..).unwrap_or_default();
        let done = match framing {
            Framing::Length(length) => rest.get(..length).map(|body| (body.to_vec(), Vec::new())),
            Framing::Chunked => match dechunk(rest)? {
                Chunks::All(body, trailers) => Some((body, trailers)),
                Chunks::Some(_) => None,
            },
            Framing::Close => None,
        };
        if let Some((body, trailers)) = done {
            break (body, trailers, false);
        }
        if rest.len() > WIRE_LIMIT {
            return Err(Receive::Bad("it is too large"));
        }
        // However the connection ends: the beginning of a response says something too.
        let came = more(reader, &mut wire).await;
        if !matches!(came, Ok(true)) {
            let rest = wire.get(at..).unwrap_or_default();
            break match framing {
                Framing::Close => (rest.to_vec(), Vec::new(), came.is_err()),
                Framing::Length(_) => (rest.to_vec(), Vec::new(), true),
                Framing::Chunked => match dechunk(rest)? {
                    Chunks::All(body, trailers) => (body, trailers, false),
                    Chunks::Some(body) => (body, Vec::new(), true),
                },
            };
        }
    };
    if body.len() > BODY_LIMIT {
        return Err(Receive::Bad("its body is too large"));
    }
    Ok(Received { response: RawResponse { status, headers, body, trailers }, is_cut, wire })
}

async fn more(reader: &mut (impl AsyncRead + Unpin), wire: &mut Vec<u8>) -> io::Result<bool> {
    wire.reserve(16 << 10);
    Ok(reader.read_buf(wire).await? > 0)
}

fn parse_head(wire: &[u8]) -> Result<Option<(usize, u16, Headers)>, Receive> {
    let mut space = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut space);
    match response.parse(wire) {
        Ok(httparse::Status::Complete(taken)) => {
            let status = response.code.ok_or(Receive::Bad("it has no status"))?;
            Ok(Some((taken, status, owned(response.headers))))
        }
        Ok(httparse::Status::Partial) => Ok(None),
        Err(_) => Err(Receive::Bad("it is no HTTP/1.1 response")),
    }
}

fn owned(headers: &[httparse::Header<'_>]) -> Headers {
    headers.iter().map(|h| (h.name.to_owned(), h.value.to_vec())).collect()
}

fn framing(headers: &Headers) -> Result<Framing, Receive> {
    if let Some(coding) = find(headers, "transfer-encoding") {
        let chunked = coding.trim_ascii().eq_ignore_ascii_case(b"chunked");
        return if chunked {
            Ok(Framing::Chunked)
        } else {
            Err(Receive::Bad("it has an unknown transfer-encoding"))
        };
    }
    let Some(length) = find(headers, "content-length") else { return Ok(Framing::Close) };
    let length = std::str::from_utf8(length).ok().and_then(|text| text.trim().parse().ok());
    match length {
        Some(length) if length <= BODY_LIMIT => Ok(Framing::Length(length)),
        Some(_) => Err(Receive::Bad("its body is too large")),
        None => Err(Receive::Bad("its content-length is no number")),
    }
}

/// What there is of a chunked body.
enum Chunks {
    /// All of it, and the trailers.
    All(Vec<u8>, Headers),
    /// What came so far.
    Some(Vec<u8>),
}

/// Body and trailers, as far as `wire` holds them.
///
/// Starts from the beginning at every call. That is quadratic, in a number of reads that
/// [`WIRE_LIMIT`] keeps small, and needs no state.
fn dechunk(wire: &[u8]) -> Result<Chunks, Receive> {
    const BAD: Receive = Receive::Bad("its chunks are malformed");
    let mut body = Vec::new();
    let mut rest = wire;
    loop {
        let (taken, size) = match httparse::parse_chunk_size(rest) {
            Ok(httparse::Status::Complete(chunk)) => chunk,
            Ok(httparse::Status::Partial) => return Ok(Chunks::Some(body)),
            Err(_) => return Err(BAD),
        };
        rest = rest.get(taken..).unwrap_or_default();
        if size == 0 {
            break;
        }
        let size = usize::try_from(size).ok().filter(|size| size + body.len() <= BODY_LIMIT);
        let size = size.ok_or(Receive::Bad("its body is too large"))?;
        let Some((chunk, after)) = rest.split_at_checked(size) else {
            body.extend_from_slice(rest);
            return Ok(Chunks::Some(body));
        };
        body.extend_from_slice(chunk);
        rest = match after {
            [b'\r', b'\n', next @ ..] => next,
            [] | [b'\r'] => return Ok(Chunks::Some(body)),
            _ => return Err(BAD),
        };
    }
    let mut space = [httparse::EMPTY_HEADER; HEADERS_MAX];
    match httparse::parse_headers(rest, &mut space) {
        Ok(httparse::Status::Complete((_, trailers))) => Ok(Chunks::All(body, owned(trailers))),
        Ok(httparse::Status::Partial) => Ok(Chunks::Some(body)),
        Err(_) => Err(BAD),
    }
}

#[cfg(test)]
mod tests {
    //! Against a server that answers with given bytes, however hostile, and shows what it got.

    use tokio::net::TcpListener;
    use tokio::task::JoinHandle;

    use super::*;

    const SOON: Duration = Duration::from_secs(5);

    /// Accepts one connection, reads a head, answers in the given pieces and closes.
    async fn server(pieces: &[&[u8]]) -> (SocketAddr, JoinHandle<Vec<u8>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let pieces: Vec<Vec<u8>> = pieces.iter().map(|piece| piece.to_vec()).collect();
        let task = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            let mut got = Vec::new();
            while !got.windows(4).any(|w| w == b"\r\n\r\n") {
                assert_ne!(stream.read_buf(&mut got).await.unwrap(), 0);
            }
            for piece in pieces {
                // The client may have given up on a bad answer already.
                let _ = stream.write_all(&piece).await;
                tokio::task::yield_now().await;
            }
            got
        });
        (addr, task)
    }

    async fn answer(pieces: &[&[u8]]) -> Result<RawResponse, String> {
        let (addr, _task) = server(pieces).await;
        send(addr, &RawRequest::new("GET", "/"), SOON).await.map_err(|error| match error {
            Error::BadResponse { why, .. } => why.to_owned(),
            other => other.to_string(),
        })
    }

    #[tokio::test]
    async fn sends_hostile_bytes_as_they_stand() {
        let (addr, task) = server(&[b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"]).await;
        let request = RawRequest::new("gEt", b"/a/%2f/../b\\\xff?\x01".to_vec())
            .header("X-Twice", "1")
            .header("x-twice", b"\xf0\x28\x80".to_vec())
            .header("smuggle", "a\r\nb: c");
        send(addr, &request, SOON).await.unwrap();
        assert_eq!(
            task.await.unwrap(),
            b"gEt /a/%2f/../b\\\xff?\x01 HTTP/1.1\r\nhost: localhost\r\nX-Twice: 1\r\n\
              x-twice: \xf0\x28\x80\r\nsmuggle: a\r\nb: c\r\nconnection: close\r\n\r\n"
        );
    }

    #[test]
    fn frames_a_body_once() {
        let text = |r: &RawRequest| String::from_utf8(r.to_bytes()).unwrap();
        let post = RawRequest::new("POST", "/").body("abc");
        assert!(text(&post).ends_with("content-length: 3\r\n\r\nabc"));
        let own = post.clone().header("Content-Length", "9");
        assert_eq!(text(&own).to_lowercase().matches("content-length").count(), 1);
        let chunked = post.header("transfer-encoding", "chunked");
        assert!(!text(&chunked).contains("content-length"));
    }

    #[tokio::test]
    async fn reads_a_body_by_its_length() {
        let all = b"HTTP/1.1 503 No\r\nX-A: \xff\r\nx-a: 2\r\nContent-Length: 5\r\n\r\nhello rest";
        let bytes: Vec<&[u8]> = all.chunks(1).collect();
        for pieces in [&bytes[..], &[&all[..]]] {
            let response = answer(pieces).await.unwrap();
            assert_eq!((response.status, &*response.body), (503, &b"hello"[..]));
            assert_eq!(response.header("x-A"), Some(&b"\xff"[..]));
            assert_eq!(response.headers.len(), 3);
        }
    }

    #[tokio::test]
    async fn reads_chunks_and_trailers() {
        let all = b"HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n\
            3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\ngrpc-status: 0\r\n\r\n";
        let bytes: Vec<&[u8]> = all.chunks(1).collect();
        for pieces in [&bytes[..], &[&all[..]]] {
            let response = answer(pieces).await.unwrap();
            assert_eq!(response.text(), "abc0123456789");
            assert_eq!(response.trailers, [("grpc-status".to_owned(), b"0".to_vec())]);
        }
    }

    #[tokio::test]
    async fn reads_to_the_end_without_a_length() {
        let response = answer(&[b"HTTP/1.0 200 OK\r\n\r\nto the ", b"end"]).await.unwrap();
        assert_eq!(response.text(), "to the end");
    }

    #[tokio::test]
    async fn skips_interim_answers_and_bodies_that_are_none() {
        let response = answer(&[
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nlink: x\r\n\r\n",
            b"HTTP/1.1 204 No\r\ncontent-length: 7\r\n\r\n",
        ]);
        assert_eq!(response.await.unwrap().status, 204);
        let (addr, _task) = server(&[b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n"]).await;
        let response = send(addr, &RawRequest::new("HEAD", "/"), SOON).await.unwrap();
        assert!(response.body.is_empty());
    }

    #[tokio::test]
    async fn refuses_what_is_no_response() {
        let chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        for (pieces, why) in [
            (&[&b"SSH-2.0-x\r\n\r\n"[..]][..], "it is no HTTP/1.1 response"),
            (
                &[b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n"],
                "its content-length is no number",
            ),
            (
                &[b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nab"],
                "it ends in the middle of the body",
            ),
            (&[b"HTTP/1.1 200 OK\r\ncontent-length: 9999999\r\n\r\n"], "its body is too large"),
            (
                &[b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n"],
                "it has an unknown transfer-encoding",
            ),
            (&[chunked, b"xyz\r\n"], "its chunks are malformed"),
            (&[chunked, b"1\r\nab\r\n"], "its chunks are malformed"),
            (&[chunked, b"ffffffff\r\n"], "its body is too large"),
            (&[chunked, b"ffffffffffffffff\r\n"], "its body is too large"),
            (&[chunked, b"3\r\nabc\r\n0\r\n"], "it ends in the middle of the body"),
        ] {
            assert_eq!(answer(pieces).await.unwrap_err(), why);
        }
    }

    #[tokio::test]
    async fn a_response_that_is_cut_is_one_all_the_same() {
        let chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        for (pieces, body, is_cut) in [
            (&[&b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nab"[..]][..], "ab", true),
            (&[b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nab"], "ab", false),
            (&[chunked], "", true),
            (&[chunked, b"3\r\nabc\r\n9\r\nde"], "abcde", true),
            (&[chunked, b"3\r\nabc\r\n0\r\n\r\n"], "abc", false),
        ] {
            let (addr, _task) = server(pieces).await;
            let received = receive_from(addr, &RawRequest::new("GET", "/"), SOON).await.unwrap();
            assert_eq!((received.response.text(), received.is_cut), (body.into(), is_cut));
            assert_eq!(received.wire, pieces.concat());
        }
    }

    #[tokio::test]
    async fn bounds_an_endless_answer() {
        let filler = vec![b'x'; 64 << 10];
        let mut head = vec![&b"HTTP/1.1 200 OK\r\nx: "[..]];
        head.extend([&*filler; 3]);
        assert!(answer(&head).await.is_err());
        let mut body = vec![&b"HTTP/1.1 200 OK\r\n\r\n"[..]];
        body.extend([&*filler; (BODY_LIMIT >> 16) + 1]);
        assert_eq!(answer(&body).await.unwrap_err(), "its body is too large");
    }

    #[tokio::test]
    async fn hears_an_early_refusal_of_a_large_body() {
        let (addr, _task) = server(&[b"HTTP/1.1 413 No\r\ncontent-length: 0\r\n\r\n"]).await;
        let request = RawRequest::new("POST", "/").body(vec![0; 8 << 20]);
        match send(addr, &request, SOON).await {
            Ok(response) => assert_eq!(response.status, 413),
            // The system may throw the answer away together with the connection.
            Err(error) => assert!(matches!(error, Error::Connection { .. }), "{error}"),
        }
    }

    #[tokio::test]
    async fn gives_up_in_time() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let timeout = Duration::from_millis(20);
        let error = send(addr, &RawRequest::new("GET", "/"), timeout).await.unwrap_err();
        assert_eq!(error.to_string(), format!("no answer from {addr} within 20 ms"));
        drop(listener);
        let error = send(addr, &RawRequest::new("GET", "/"), SOON).await.unwrap_err();
        assert!(matches!(error, Error::Connection { .. }), "{error}");
    }
}
