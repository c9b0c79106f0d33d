//! What stands behind the proxy: upstreams, and services that plugins call.

use crate::Headers;
use std::future::{Future, ready};
use std::pin::Pin;
use std::time::Duration;

/// What arrives at a service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Incoming {
    /// The cluster that it was sent to.
    pub cluster: String,
    /// Headers, pseudo-headers among them.
    pub headers: Headers,
    /// The body.
    pub body: Vec<u8>,
    /// The trailers.
    pub trailers: Option<Headers>,
    /// All of it is there.
    pub is_complete: bool,
    /// It is headers alone: no body began, not even an empty one.
    pub is_bare: bool,
}

impl Incoming {
    /// The path.
    pub fn path(&self) -> String {
        self.headers.text(":path").unwrap_or_default()
    }
}

/// A response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// Headers without pseudo-headers.
    pub headers: Headers,
    /// The body, in the parts that it comes in.
    pub body: Vec<Vec<u8>>,
    /// The trailers.
    pub trailers: Option<Headers>,
}

impl Response {
    /// A response without headers or body.
    pub fn new(status: u16) -> Self {
        Self { status, headers: Headers::new(), body: Vec::new(), trailers: None }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: impl AsRef<str>, value: impl Into<Vec<u8>>) -> Self {
        self.headers.add(name, value);
        self
    }

    /// Adds a part of the body.
    #[must_use]
    pub fn body(mut self, part: impl Into<Vec<u8>>) -> Self {
        self.body.push(part.into());
        self
    }

    /// Adds a trailer.
    #[must_use]
    pub fn trailer(mut self, name: impl AsRef<str>, value: impl Into<Vec<u8>>) -> Self {
        self.trailers.get_or_insert_default().add(name, value);
        self
    }
}

/// Why there is no response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Failure {
    /// No connection could be made.
    Refused,
    /// The connection broke before a response began.
    Reset,
    /// Nobody answered in time.
    Timeout,
    /// No host is healthy.
    NoHealthyHost,
}

/// What a service does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It responds, some time later.
    Respond(Response, Duration),
    /// It fails, some time later.
    Fail(Failure, Duration),
    /// It begins to respond, some time later, and the connection breaks before the end.
    Cut(Response, Duration),
    /// It never answers. Whoever waits with a timeout sees that.
    Silence,
}

impl Answer {
    /// The same answer, so much later.
    #[must_use]
    pub fn after(self, more: Duration) -> Self {
        match self {
            Self::Respond(response, after) => Self::Respond(response, after.saturating_add(more)),
            Self::Fail(failure, after) => Self::Fail(failure, after.saturating_add(more)),
            Self::Cut(response, after) => Self::Cut(response, after.saturating_add(more)),
            Self::Silence => Self::Silence,
        }
    }
}

/// How an answer that came ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ending {
    Respond(Response),
    Fail(Failure),
    Cut(Response),
}

impl Answer {
    /// When it comes, and how it ends; nothing for silence.
    pub(crate) fn ending(self) -> Option<(Duration, Ending)> {
        match self {
            Self::Respond(response, after) => Some((after, Ending::Respond(response))),
            Self::Fail(failure, after) => Some((after, Ending::Fail(failure))),
            Self::Cut(response, after) => Some((after, Ending::Cut(response))),
            Self::Silence => None,
        }
    }
}

impl From<Response> for Answer {
    fn from(response: Response) -> Self {
        Self::Respond(response, Duration::ZERO)
    }
}

impl From<Failure> for Answer {
    fn from(failure: Failure) -> Self {
        Self::Fail(failure, Duration::ZERO)
    }
}

/// An answer that is on its way.
pub type Answering = Pin<Box<dyn Future<Output = Answer>>>;

/// Something that answers requests: a script, or a client that asks a real server.
///
/// A closure from [`Incoming`] to anything that makes an [`Answer`] is one.
pub trait Service {
    /// Answers a request.
    fn answer(&self, incoming: Incoming) -> Answering;
}

impl<F, A> Service for F
where
    F: Fn(Incoming) -> A,
    A: Into<Answer>,
{
    fn answer(&self, incoming: Incoming) -> Answering {
        Box::pin(ready(self(incoming).into()))
    }
}

/// A service that answers everything with an empty 200.
pub fn ok(_incoming: Incoming) -> Answer {
    Response::new(200).into()
}
