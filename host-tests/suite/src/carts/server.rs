//! A server of HTTP/1.1, as much of it as an Envoy and a small client need: one request after the
//! other on a connection, bodies with a length.

use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fmt::{Display, Write as _};
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

const HEAD_MAX: usize = 64 << 10;
const BODY_MAX: usize = 1 << 20;

/// A request.
#[derive(Debug, Clone)]
pub struct HttpRequest {
    /// The method.
    pub method: String,
    /// The path as it came.
    pub path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// A response with JSON.
#[derive(Debug, Clone)]
pub struct HttpResponse {
    status: u16,
    headers: String,
    body: String,
}

impl HttpRequest {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(own, _)| own.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The body, if it is that.
    pub fn json<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(&self.body).ok()
    }
}

impl HttpResponse {
    /// A response without headers of its own.
    pub fn new(status: u16, body: &Value) -> Self {
        Self { status, headers: String::new(), body: body.to_string() }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Display) -> Self {
        // Writing into a String cannot fail.
        let _ = write!(self.headers, "{name}: {value}\r\n");
        self
    }

    fn to_bytes(&self) -> Vec<u8> {
        let Self { status, headers, body } = self;
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status} Whatever\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n{headers}\r\n"
        );
        [head.as_bytes(), body.as_bytes()].concat()
    }
}

/// Answers what comes to a socket, until it is dropped.
pub(super) async fn serve<F: Future<Output = HttpResponse> + Send>(
    listener: TcpListener,
    answer: impl Fn(HttpRequest) -> F + Send + Sync + 'static,
) {
    let answer = Arc::new(answer);
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let answer = Arc::clone(&answer);
        connections.spawn(async move {
            let mut stream = stream;
            while let Some(request) = receive(&mut stream).await {
                let response = answer(request).await.to_bytes();
                if stream.write_all(&response).await.is_err() {
                    return;
                }
            }
        });
        while connections.try_join_next().is_some() {}
    }
}

/// The next request of a connection; none if it ends, or says what is not understood here.
async fn receive(stream: &mut TcpStream) -> Option<HttpRequest> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= HEAD_MAX {
            return None;
        }
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).ok()?;
    let mut lines = head.split("\r\n");
    let mut start = lines.next()?.split(' ');
    let (method, path) = (start.next()?.to_owned(), start.next()?.to_owned());
    let headers = lines.filter_map(|line| line.split_once(':'));
    let headers = headers.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect();
    let mut request = HttpRequest { method, path, headers, body: Vec::new() };
    if request.header("transfer-encoding").is_some() {
        return None;
    }
    let length = request.header("content-length").map_or(Some(0), |text| text.parse().ok())?;
    if length > BODY_MAX {
        return None;
    }
    request.body = vec![0; length];
    stream.read_exact(&mut request.body).await.ok()?;
    Some(request)
}
