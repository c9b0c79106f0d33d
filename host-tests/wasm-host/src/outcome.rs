//! What came of a request.

use crate::context::Stored;
use crate::service::Incoming;
use crate::trace::{HostCall, LogLine, Trace};
use crate::{Headers, Value};
use std::collections::BTreeMap;
use std::time::Duration;

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ended {
    /// The client has the whole response.
    Complete,
    /// The stream was reset; the client may have a part of a response.
    Reset,
    /// It did not: somebody paused and nobody continues, or it was closed before.
    Hung,
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// How it ended.
    pub ended: Ended,
    /// The status; 0 without a response.
    pub status: u16,
    /// The headers that the client got, without pseudo-headers.
    pub headers: Headers,
    /// The body that the client got.
    pub body: Vec<u8>,
    /// The trailers that the client got.
    pub trailers: Option<Headers>,
    /// The response is headers alone: no body began, not even an empty one.
    pub is_bare: bool,
    /// The details of a response that the proxy itself made.
    pub local_reply: Option<String>,
    /// Envoy's details of the response code.
    pub details: Option<String>,
    /// Envoy's response flags, as a number.
    pub flags: u64,
    /// The route that the request took.
    pub route: Option<String>,
    /// The cluster that the request went to.
    pub cluster: Option<String>,
    /// What the upstream saw, as far as it got.
    pub upstream: Option<Incoming>,
    /// What plugins logged meanwhile.
    pub logs: Vec<LogLine>,
    /// What plugins did meanwhile.
    pub trace: Trace,
    /// What would have killed Envoy meanwhile.
    pub deaths: Vec<String>,
    /// Hostcalls that were not expected.
    pub unexpected: Vec<HostCall>,
    /// How long it took, by the virtual clock.
    pub took: Duration,
    pub(crate) filter_state: BTreeMap<String, Stored>,
}

impl Outcome {
    /// The body as text, with what is not UTF-8 replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The first value of a header that the client got.
    pub fn header(&self, name: &str) -> Option<String> {
        self.headers.text(name)
    }

    /// What a plugin stored with the stream by this name.
    pub fn property(&self, name: &str) -> Option<&Value> {
        self.filter_state.get(&format!("wasm.{name}")).map(|stored| &stored.value)
    }

    /// The lines that plugins logged.
    pub fn messages(&self) -> Vec<&str> {
        let own = self.logs.iter().filter(|line| line.plugin.is_some());
        own.map(|line| line.message.as_str()).collect()
    }

    /// The fuel that the guest used for it.
    pub fn fuel(&self) -> u64 {
        self.trace.cost().fuel
    }
}
