//! The numbers of the proxy-wasm ABI, versions 0.2.0 and 0.2.1.

use std::fmt;

/// What a hostcall returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u32)]
pub enum Status {
    /// It was done.
    Ok = 0,
    /// There is no such thing.
    NotFound = 1,
    /// An argument is out of range, or what it names is not there in this phase.
    BadArgument = 2,
    /// A value has no serialisation.
    SerializationFailure = 3,
    /// Bytes could not be read.
    ParseFailure = 4,
    /// An expression could not be read.
    BadExpression = 5,
    /// A pointer leaves the memory of the guest.
    InvalidMemoryAccess = 6,
    /// A queue is empty.
    Empty = 7,
    /// Somebody else wrote first.
    CasMismatch = 8,
    /// A result is not what was asked for.
    ResultMismatch = 9,
    /// The host failed.
    InternalFailure = 10,
    /// A connection broke.
    BrokenConnection = 11,
    /// Nobody has written this yet.
    Unimplemented = 12,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 13] = [
        Self::Ok,
        Self::NotFound,
        Self::BadArgument,
        Self::SerializationFailure,
        Self::ParseFailure,
        Self::BadExpression,
        Self::InvalidMemoryAccess,
        Self::Empty,
        Self::CasMismatch,
        Self::ResultMismatch,
        Self::InternalFailure,
        Self::BrokenConnection,
        Self::Unimplemented,
    ];

    /// The number that the guest gets.
    pub const fn code(self) -> u32 {
        self as u32
    }

    /// The status of a number.
    pub fn of(code: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.code() == code)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// The version of the ABI that a module was written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AbiVersion {
    /// 0.2.0.
    V0_2_0,
    /// 0.2.1, which adds `proxy_get_log_level`.
    V0_2_1,
}

/// How loud a log line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u32)]
pub enum LogLevel {
    /// Everything.
    Trace = 0,
    /// For whoever writes the plugin.
    Debug = 1,
    /// What happens.
    Info = 2,
    /// What somebody should look at.
    Warn = 3,
    /// What went wrong.
    Error = 4,
    /// What ends something.
    Critical = 5,
}

impl LogLevel {
    pub(crate) fn of(code: u32) -> Option<Self> {
        const ALL: [LogLevel; 6] = [
            LogLevel::Trace,
            LogLevel::Debug,
            LogLevel::Info,
            LogLevel::Warn,
            LogLevel::Error,
            LogLevel::Critical,
        ];
        ALL.into_iter().find(|level| *level as u32 == code)
    }
}

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
        })
    }
}

/// A header map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u32)]
pub enum MapType {
    /// The request's headers.
    RequestHeaders = 0,
    /// The request's trailers.
    RequestTrailers = 1,
    /// The response's headers.
    ResponseHeaders = 2,
    /// The response's trailers.
    ResponseTrailers = 3,
    /// What a gRPC stream began with.
    GrpcReceiveInitialMetadata = 4,
    /// What a gRPC stream ended with.
    GrpcReceiveTrailingMetadata = 5,
    /// The headers of the answer to an HTTP call.
    HttpCallResponseHeaders = 6,
    /// The trailers of the answer to an HTTP call.
    HttpCallResponseTrailers = 7,
}

impl MapType {
    pub(crate) fn of(code: u32) -> Option<Self> {
        const ALL: [MapType; 8] = [
            MapType::RequestHeaders,
            MapType::RequestTrailers,
            MapType::ResponseHeaders,
            MapType::ResponseTrailers,
            MapType::GrpcReceiveInitialMetadata,
            MapType::GrpcReceiveTrailingMetadata,
            MapType::HttpCallResponseHeaders,
            MapType::HttpCallResponseTrailers,
        ];
        ALL.into_iter().find(|map| *map as u32 == code)
    }
}

/// A buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u32)]
pub enum BufferType {
    /// The request's body.
    HttpRequestBody = 0,
    /// The response's body.
    HttpResponseBody = 1,
    /// What came over a TCP connection.
    DownstreamData = 2,
    /// What goes over a TCP connection.
    UpstreamData = 3,
    /// The body of the answer to an HTTP call.
    HttpCallResponseBody = 4,
    /// A gRPC message.
    GrpcReceiveBuffer = 5,
    /// The configuration of the VM.
    VmConfiguration = 6,
    /// The configuration of the plugin.
    PluginConfiguration = 7,
    /// What a foreign function was called with.
    CallData = 8,
}

impl BufferType {
    pub(crate) fn of(code: u32) -> Option<Self> {
        const ALL: [BufferType; 9] = [
            BufferType::HttpRequestBody,
            BufferType::HttpResponseBody,
            BufferType::DownstreamData,
            BufferType::UpstreamData,
            BufferType::HttpCallResponseBody,
            BufferType::GrpcReceiveBuffer,
            BufferType::VmConfiguration,
            BufferType::PluginConfiguration,
            BufferType::CallData,
        ];
        ALL.into_iter().find(|buffer| *buffer as u32 == code)
    }
}

/// A direction of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// From the client to the upstream.
    Request,
    /// From the upstream to the client.
    Response,
}

/// What a filter wants to become of headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeadersStatus {
    Continue,
    /// The next filters do not see the headers; this one sees the body.
    Stop,
    /// Nothing moves, and what comes is kept.
    StopAll,
}

impl HeadersStatus {
    /// From what the callback returned. ABI 0.2 makes `StopIteration` mean "all of it", unless the
    /// plugin's configuration says otherwise.
    pub(crate) fn of(returned: u32, allow_stop_iteration: bool) -> Self {
        match returned {
            // 2 is "continue, but do not end the stream", which Envoy's filter maps to continue.
            0 | 2 => Self::Continue,
            1 if allow_stop_iteration => Self::Stop,
            _ => Self::StopAll,
        }
    }
}

/// What a filter wants to become of a part of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DataStatus {
    Continue,
    /// Kept, with a limit that ends the stream.
    StopAndBuffer,
    /// Kept, with a limit that makes the sender wait.
    StopAndWatermark,
    /// The filter took it.
    StopNoBuffer,
}

impl DataStatus {
    pub(crate) fn of(returned: u32) -> Self {
        match returned {
            0 => Self::Continue,
            1 => Self::StopAndBuffer,
            2 => Self::StopAndWatermark,
            _ => Self::StopNoBuffer,
        }
    }
}

/// What a filter wants to become of trailers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TrailersStatus {
    Continue,
    Stop,
}

impl TrailersStatus {
    pub(crate) fn of(returned: u32) -> Self {
        if returned == 0 { Self::Continue } else { Self::Stop }
    }
}
