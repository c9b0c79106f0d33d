//! What the guard may ask of its surroundings: about two dozen things, all in bytes.

use crate::metric::Metric;
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

    /// A clock that never steps, in milliseconds since nobody knows when, if it can be read.
    fn monotonic_ms(&mut self) -> Option<u64>;

    /// Adds one to a counter.
    fn count(&mut self, metric: Metric);
}

/// What the guard may ask of the VM that it is configured in.
pub trait Vm {
    /// The secrets of the VM's environment: the variables whose names begin with
    /// [`SECRET_PREFIX`](policy_core::name::SECRET_PREFIX), with their values.
    fn secrets(&mut self) -> Vec<(String, Vec<u8>)>;

    /// A value that all VMs of one id share, in one proxy; any of their plugins may have written it.
    fn shared(&mut self, key: &str) -> Option<Vec<u8>>;

    /// Shares a value.
    ///
    /// # Errors
    /// The proxy did not.
    fn share(&mut self, key: &str, value: &[u8]) -> Result<(), HostFault>;

    /// The wall clock: milliseconds since the Unix epoch, if it can be read.
    fn unix_ms(&mut self) -> Option<u64>;
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
    pub headers: Vec<(&'static str, Vec<u8>)>,
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
