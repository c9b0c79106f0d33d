//! Requests and responses between the parts of the model.

use guard::fake::Answered;

/// Headers in order, names in lower case, pseudo headers among them.
pub(crate) type Headers = Vec<(String, Vec<u8>)>;

/// A request as a listener has it.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) headers: Headers,
    pub(crate) body: Vec<u8>,
}

/// A response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Headers,
    /// The body, in the pieces that it comes in; none, not even an empty one, of headers alone.
    pub(crate) body: Vec<Vec<u8>>,
    pub(crate) trailers: Headers,
    /// It ended before its end.
    pub(crate) is_cut: bool,
}

/// The value of the first header with this name.
pub(crate) fn first<'h>(headers: &'h Headers, name: &str) -> Option<&'h [u8]> {
    headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_slice())
}

/// Whether Envoy takes a request for gRPC.
pub(crate) fn is_grpc(headers: &Headers) -> bool {
    let rest =
        first(headers, "content-type").and_then(|kind| kind.strip_prefix(b"application/grpc"));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"+"))
}

impl Response {
    /// What Envoy itself answers; a gRPC request gets a gRPC status for it.
    pub(crate) fn of_envoy(status: u16, is_grpc: bool, body: &str) -> Self {
        let answer =
            Answered { status, grpc_status: None, headers: Vec::new(), body: body.to_owned() };
        let grpc_status = is_grpc.then(|| grpc_status(status));
        Self::local(&Answered { grpc_status, ..answer })
    }

    /// What a proxy makes of a local answer.
    pub(crate) fn local(answer: &Answered) -> Self {
        let Answered { status, grpc_status, headers, body } = answer;
        let mut all: Headers = headers
            .iter()
            .map(|(name, value)| (name.clone(), value.clone().into_bytes()))
            .collect();
        let mut set = |name: &str, value: Vec<u8>| {
            all.retain(|(known, _)| known != name);
            all.push((name.to_owned(), value));
        };
        let Some(code) = grpc_status else {
            if !body.is_empty() && !headers.iter().any(|(name, _)| name == "content-type") {
                set("content-type", b"text/plain".to_vec());
            }
            return Self::whole(*status, all, body.as_bytes());
        };
        set("content-type", b"application/grpc".to_vec());
        set("grpc-status", code.to_string().into_bytes());
        if !body.is_empty() {
            set("grpc-message", escaped(body).into_bytes());
        }
        Self::whole(200, all, b"")
    }

    /// A response whose body comes at once.
    pub(crate) fn whole(status: u16, headers: Headers, body: &[u8]) -> Self {
        let body = if body.is_empty() { Vec::new() } else { vec![body.to_vec()] };
        Self { status, headers, body, trailers: Vec::new(), is_cut: false }
    }
}

/// A gRPC message as a header value (gRPC over HTTP/2, `Percent-Encoded`).
fn escaped(message: &str) -> String {
    let escape = |byte: u8| match byte {
        b' '..=b'~' if byte != b'%' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    message.bytes().map(escape).collect()
}

/// The gRPC status that stands for an HTTP status (gRPC's own table).
fn grpc_status(status: u16) -> u8 {
    match status {
        400 => 13,
        401 => 16,
        403 => 7,
        404 => 12,
        429 | 502 | 503 | 504 => 14,
        _ => 2,
    }
}
