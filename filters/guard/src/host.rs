//! What the guard may ask of its surroundings: about two dozen things, all in bytes.

use crate::metric::{Counter, Gauge, Metric};
use std::borrow::Cow;
use std::fmt;

/// What the guard may ask of the proxy for one stream.
///
/// Everything that the proxy could refuse says so; nothing here panics.
pub trait Host {
    /// All request headers, in one read. Only while request headers are being handled.
    fn request_headers(&mut self) -> Option<Headers>;

    /// Replaces every value of a request header by this one.
    ///
    /// # Errors
    /// The proxy did not.
    fn set_request_header(&mut self, name: &str, value: &[u8]) -> Result<(), HostFault>;

    /// Removes every value of a request header.
    ///
    /// # Errors
    /// The proxy did not.
    fn remove_request_header(&mut self, name: &[u8]) -> Result<(), HostFault>;

    /// Replaces every value of a response header by this one.
    ///
    /// # Errors
    /// The proxy did not.
    fn set_response_header(&mut self, name: &str, value: &[u8]) -> Result<(), HostFault>;

    /// An attribute of the stream, as the proxy serialises it: none if there is none, no bytes if
    /// it is there and cannot be serialised.
    ///
    /// # Errors
    /// The proxy did not look.
    fn property(&mut self, path: &[&str]) -> Result<Option<Vec<u8>>, HostFault>;

    /// All response headers, in one read. Only while response headers are being handled.
    fn response_headers(&mut self) -> Option<Headers>;

    /// Removes every value of a response header.
    ///
    /// # Errors
    /// The proxy did not.
    fn remove_response_header(&mut self, name: &[u8]) -> Result<(), HostFault>;

    /// All request trailers. Only while request trailers are being handled.
    fn request_trailers(&mut self) -> Option<Headers>;

    /// Removes every value of a request trailer.
    ///
    /// # Errors
    /// The proxy did not.
    fn remove_request_trailer(&mut self, name: &[u8]) -> Result<(), HostFault>;

    /// This many bytes of the response's body, those that have waited longest. Only while its body
    /// or its trailers are being handled.
    fn response_body(&mut self, size: usize) -> Option<Vec<u8>>;

    /// Puts these bytes where the first `size` bytes of the response's body are.
    ///
    /// # Errors
    /// The proxy did not.
    fn replace_response_body(&mut self, size: usize, bytes: &[u8]) -> Result<(), HostFault>;

    /// All response trailers. Only while response trailers are being handled.
    fn response_trailers(&mut self) -> Option<Headers>;

    /// Removes every value of a response trailer.
    ///
    /// # Errors
    /// The proxy did not.
    fn remove_response_trailer(&mut self, name: &[u8]) -> Result<(), HostFault>;

    /// Ends the response where it is: its caller sees that it was cut off.
    ///
    /// # Errors
    /// The proxy did not.
    fn close_response(&mut self) -> Result<(), HostFault>;

    /// Keeps what a request goes by where a second pass of it finds it, and no client can write.
    ///
    /// # Errors
    /// The proxy did not.
    fn note_pass(&mut self, token: &[u8]) -> Result<(), HostFault>;

    /// Keeps the decision record where the access log finds it. Once, when the stream ends.
    ///
    /// # Errors
    /// The proxy did not.
    fn record(&mut self, json: &[u8]) -> Result<(), HostFault>;

    /// Answers the request instead of passing it on.
    ///
    /// # Errors
    /// The proxy did not; the stream stays paused.
    fn reply(&mut self, reply: &Reply<'_>) -> Result<(), HostFault>;

    /// The wall clock: milliseconds since the Unix epoch, if it can be read.
    fn unix_ms(&mut self) -> Option<u64>;

    /// A clock that never steps, in microseconds since nobody knows when, if it can be read.
    fn monotonic_us(&mut self) -> Option<u64>;

    /// The same in milliseconds.
    fn monotonic_ms(&mut self) -> Option<u64> {
        self.monotonic_us().map(|us| us / 1_000)
    }

    /// Adds one to a counter.
    fn count(&mut self, metric: Metric);

    /// Adds one to a counter that has a name of the policy in it.
    fn count_named(&mut self, counter: Counter<'_>);
}

/// What the guard may ask of its VM, between requests: while it is configured, at a tick, and when an
/// agent has answered.
pub trait Vm {
    /// The secrets of the VM's environment: the variables whose names begin with
    /// [`SECRET_PREFIX`](policy_core::name::SECRET_PREFIX), with their values.
    fn secrets(&mut self) -> Vec<(String, Vec<u8>)>;

    /// A value that all VMs of one id share, in one proxy, and which one it is; any of their plugins
    /// may have written it.
    fn shared(&mut self, key: &str) -> Option<(Vec<u8>, Cas)>;

    /// Shares a value: with `after`, only if it is still that one that is there; without, whatever is
    /// there.
    ///
    /// # Errors
    /// The proxy did not, or another value is there.
    fn share(&mut self, key: &str, value: &[u8], after: Option<Cas>) -> Result<(), HostFault>;

    /// The wall clock: milliseconds since the Unix epoch, if it can be read.
    fn unix_ms(&mut self) -> Option<u64>;

    /// A clock that never steps, the same for all VMs of a proxy, in milliseconds since nobody knows
    /// when, if it can be read.
    fn monotonic_ms(&mut self) -> Option<u64>;

    /// Bytes that nobody can guess, if there are any.
    fn random(&mut self) -> Option<[u8; 16]>;

    /// Asks an agent; the answer comes later, under the number that is returned.
    ///
    /// # Errors
    /// The proxy did not.
    fn ask(&mut self, call: &AgentCall<'_>) -> Result<u32, HostFault>;

    /// The headers of an answer. Only while it is being handled; none if there was no answer.
    fn answer_headers(&mut self) -> Option<Headers>;

    /// The first bytes of an answer's body, this many at most. Only while it is being handled.
    fn answer_body(&mut self, size_max: usize) -> Option<Vec<u8>>;

    /// Adds one to a counter.
    fn count(&mut self, metric: Metric);

    /// Sets a gauge.
    fn set(&mut self, gauge: Gauge<'_>, value: u64);

    /// Writes a line of the proxy's log.
    fn log(&mut self, line: &str);
}

/// Which of the values that were ever shared under a key one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cas(pub u32);

/// A question to an agent: a GET.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AgentCall<'c> {
    /// The cluster of the proxy.
    pub cluster: &'c str,
    /// The `:authority`.
    pub authority: &'c str,
    /// The `:path`.
    pub path: &'c str,
    /// How long an answer may take, in milliseconds.
    pub timeout_ms: u32,
}

/// The proxy did not do what it was told to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostFault;

impl fmt::Display for HostFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the proxy refused a call")
    }
}

impl std::error::Error for HostFault {}

/// A local answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply<'r> {
    /// The HTTP status.
    pub status: u16,
    /// The gRPC status, for gRPC requests.
    pub grpc_status: Option<u8>,
    /// Further headers.
    pub headers: Vec<(&'static str, Cow<'static, [u8]>)>,
    /// The body; for gRPC requests the message.
    pub body: &'r [u8],
    /// For the access log's response code details.
    pub details: &'static str,
}

/// All headers of a message: one buffer and where the parts lie in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers {
    bytes: Vec<u8>,
    /// For each header the ends of its name and value; each begins where the last one ended.
    ends: Vec<(usize, usize)>,
}

impl Headers {
    /// Room for a message of this size, so that filling it in allocates nothing more.
    pub fn with_capacity(headers: usize, bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), ends: Vec::with_capacity(headers) }
    }

    /// Appends a header.
    pub fn push(&mut self, name: &[u8], value: &[u8]) {
        self.bytes.extend_from_slice(name);
        let name_end = self.bytes.len();
        self.bytes.extend_from_slice(value);
        self.ends.push((name_end, self.bytes.len()));
    }

    /// The first value of a header.
    pub fn first(&self, name: &[u8]) -> Option<&[u8]> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// The values of a header, in the order of the message.
    pub fn all<'h>(&'h self, name: &'h [u8]) -> impl Iterator<Item = &'h [u8]> {
        self.iter().filter(move |(known, _)| *known == name).map(|(_, value)| value)
    }

    /// The value of a header that is there once.
    pub fn only(&self, name: &[u8]) -> Option<&[u8]> {
        let mut values = self.iter().filter(|(known, _)| *known == name);
        let (_, value) = values.next()?;
        values.next().is_none().then_some(value)
    }

    /// The headers in the order of the message. Names are in lower case, as Envoy keeps them.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut start = 0;
        self.ends.iter().map(move |(name_end, value_end)| {
            let name = self.bytes.get(start..*name_end).unwrap_or_default();
            let value = self.bytes.get(*name_end..*value_end).unwrap_or_default();
            start = *value_end;
            (name, value)
        })
    }
}
