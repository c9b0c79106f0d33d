//! HTTP/1.1 by hand: a client and upstreams that send bodies by pieces and say what came of a message
//! that did not end.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::time::Instant;

use crate::case::{Piece, pair};

/// How long the proxy may leave a piece unread: it does so for good when it has answered already.
const PIECE_LIMIT: Duration = Duration::from_secs(2);
/// How many requests wait for a connection, by cluster.
const WAITING: &str = "^cluster\\..*\\.upstream_rq_pending_active$";

/// A direction of traffic into the proxy, which counts the bytes that it has read from there.
#[derive(Debug, Clone)]
pub(crate) struct Flow {
    admin: Arc<OnceLock<SocketAddr>>,
    counter: String,
    sent: Arc<AtomicU64>,
}

/// A message as it came.
#[derive(Debug, Default)]
pub(crate) struct Message {
    /// Its first line.
    pub(crate) first: String,
    /// Its headers.
    pub(crate) headers: Vec<(Vec<u8>, Vec<u8>)>,
    /// What came of its body.
    pub(crate) body: Vec<u8>,
    /// Its trailers.
    pub(crate) trailers: Vec<(Vec<u8>, Vec<u8>)>,
    /// Whether it came whole.
    pub(crate) complete: bool,
}

/// What is sent after a first line.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rest<'a> {
    /// Headers.
    pub(crate) headers: &'a [String],
    /// The body.
    pub(crate) body: &'a [Piece],
    /// Trailers.
    pub(crate) trailers: &'a [String],
    /// Whether the end of the body is left out.
    pub(crate) cut: bool,
    /// Whether a message without a body says so.
    pub(crate) says_empty: bool,
}

/// Whether counts of the proxy say that it has come to where it should, given what was sent.
type IsOver = fn(&BTreeMap<String, u64>, u64) -> bool;

// === impl Flow ===

impl Flow {
    /// One that the proxy counts under this name.
    pub(crate) fn new(admin: &Arc<OnceLock<SocketAddr>>, counter: String) -> Self {
        Self { admin: Arc::clone(admin), counter, sent: Arc::default() }
    }

    /// Sends bytes and waits until the proxy has read them, so that what comes next is a read of
    /// its own, and until nothing of it waits for a connection to an upstream: which of the two comes
    /// first would be chance.
    async fn send(&self, writer: &mut OwnedWriteHalf, bytes: &[u8]) -> io::Result<()> {
        writer.write_all(bytes).await?;
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let sent = self.sent.fetch_add(length, Ordering::Relaxed).saturating_add(length);
        let Some(admin) = self.admin.get() else { return Ok(()) };
        let read = format!("^{}$", self.counter.replace('.', "\\."));
        let deadline = Instant::now() + PIECE_LIMIT;
        let steps: [(&str, IsOver); 2] = [
            (&read, |counts, sent| counts.values().any(|count| *count >= sent)),
            (WAITING, |counts, _| counts.values().all(|count| *count == 0)),
        ];
        for (expression, is_over) in steps {
            while Instant::now() < deadline {
                // One that did not come says nothing.
                let counts = suite::stats(*admin, expression).await;
                if counts.is_ok_and(|counts| is_over(&counts, sent)) {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    }

    /// Sends a message, every piece a read of its own.
    pub(crate) async fn message(
        &self,
        writer: &mut OwnedWriteHalf,
        first: &str,
        rest: Rest<'_>,
    ) -> io::Result<()> {
        let Rest { headers, body, trailers, cut, says_empty } = rest;
        let has = |name: &str| headers.iter().any(|header| pair(header).0 == name);
        let some = !body.is_empty() || !trailers.is_empty();
        let chunked = some && !has("content-length");
        let mut head = format!("{first}\r\n");
        for header in headers {
            head.extend([header, "\r\n"]);
        }
        if chunked {
            head += "transfer-encoding: chunked\r\n";
        } else if says_empty && !has("content-length") {
            head += "content-length: 0\r\n";
        }
        head += "\r\n";
        self.send(writer, head.as_bytes()).await?;
        for piece in body {
            let piece = piece.bytes();
            let bytes = if chunked {
                [format!("{:x}\r\n", piece.len()).as_bytes(), &piece, b"\r\n"].concat()
            } else {
                piece
            };
            self.send(writer, &bytes).await?;
        }
        if chunked && !cut {
            let mut end = "0\r\n".to_owned();
            for trailer in trailers {
                end.extend([trailer, "\r\n"]);
            }
            end += "\r\n";
            self.send(writer, end.as_bytes()).await?;
        }
        Ok(())
    }
}

/// A connection with small writes sent at once.
pub(crate) async fn connect(addr: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(addr).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// How the end of a body is known.
enum Framing {
    Length(usize),
    Chunked,
    Close,
}

/// Reads one message; none if the connection ends before the first byte. An answer to HEAD has no body
/// whatever it says.
pub(crate) async fn receive(
    reader: &mut (impl AsyncRead + Unpin),
    wire: &mut Vec<u8>,
    to_head: bool,
) -> Option<Message> {
    let mut message = Message::default();
    let head = loop {
        if let Some(head) = take_until(wire, b"\r\n\r\n") {
            break head;
        }
        if !more(reader, wire).await {
            return (!wire.is_empty()).then_some(message);
        }
    };
    let mut lines = head.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    message.first = String::from_utf8_lossy(lines.next().unwrap_or_default()).into_owned();
    message.headers = lines.filter(|line| !line.is_empty()).map(header).collect();
    let framing = if to_head { Framing::Length(0) } else { framing(&message) };
    match framing {
        Framing::Length(length) => {
            while wire.len() < length {
                if !more(reader, wire).await {
                    message.body = std::mem::take(wire);
                    return Some(message);
                }
            }
            message.body = wire.drain(..length).collect();
        }
        Framing::Close => {
            while more(reader, wire).await {}
            message.body = std::mem::take(wire);
        }
        Framing::Chunked => {
            if chunks(reader, wire, &mut message).await.is_none() {
                return Some(message);
            }
        }
    }
    message.complete = true;
    Some(message)
}

fn framing(message: &Message) -> Framing {
    let value = |name: &[u8]| {
        let found = message.headers.iter().find(|(own, _)| own.eq_ignore_ascii_case(name));
        found.map(|(_, value)| String::from_utf8_lossy(value).into_owned())
    };
    if value(b"transfer-encoding").is_some() {
        return Framing::Chunked;
    }
    let length = value(b"content-length").and_then(|length| length.parse().ok());
    match length {
        Some(length) => Framing::Length(length),
        // With a length it has a body all the same: who sends one shall be seen to.
        None if [" 204 ", " 304 "].iter().any(|code| message.first.contains(code)) => {
            Framing::Length(0)
        }
        None if message.first.starts_with("HTTP/") => Framing::Close,
        None => Framing::Length(0),
    }
}

/// The chunks of a body and the trailers; none if the connection ends before they do.
async fn chunks(
    reader: &mut (impl AsyncRead + Unpin),
    wire: &mut Vec<u8>,
    message: &mut Message,
) -> Option<()> {
    loop {
        let size = line(reader, wire).await?;
        let size = usize::from_str_radix(String::from_utf8_lossy(&size).trim(), 16).ok()?;
        if size == 0 {
            break;
        }
        while wire.len() < size + 2 {
            if !more(reader, wire).await {
                return None;
            }
        }
        message.body.extend(wire.drain(..size));
        wire.drain(..2);
    }
    loop {
        let trailer = line(reader, wire).await?;
        if trailer.trim_ascii().is_empty() {
            return Some(());
        }
        message.trailers.push(header(trailer.trim_ascii()));
    }
}

async fn line(reader: &mut (impl AsyncRead + Unpin), wire: &mut Vec<u8>) -> Option<Vec<u8>> {
    loop {
        if let Some(line) = take_until(wire, b"\r\n") {
            return Some(line);
        }
        if !more(reader, wire).await {
            return None;
        }
    }
}

/// Waits for the end of a connection. What comes until then is kept.
pub(crate) async fn closed(reader: &mut (impl AsyncRead + Unpin), wire: &mut Vec<u8>) {
    while more(reader, wire).await {}
}

async fn more(reader: &mut (impl AsyncRead + Unpin), wire: &mut Vec<u8>) -> bool {
    reader.read_buf(wire).await.is_ok_and(|length| length > 0)
}

/// Takes everything up to and with an end.
fn take_until(wire: &mut Vec<u8>, end: &[u8]) -> Option<Vec<u8>> {
    let at = wire.windows(end.len()).position(|window| window == end)?;
    Some(wire.drain(..at + end.len()).collect())
}

fn header(line: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let mut parts = line.splitn(2, |byte| *byte == b':');
    let mut part = || parts.next().unwrap_or_default().trim_ascii().to_vec();
    (part().to_ascii_lowercase(), part())
}
