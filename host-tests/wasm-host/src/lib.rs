//! Runs an unmodified proxy-wasm plugin in-process, by the rules of Envoy.

mod abi;
mod attributes;
mod cluster;
mod code;
mod common;
mod context;
mod faults;
mod filters;
mod grpc;
mod headers;
mod host;
mod hostcalls;
#[cfg(feature = "http")]
mod http;
mod metrics;
mod outcome;
pub mod pairs;
mod plugin;
mod proto;
mod proxy;
mod request;
mod route;
mod schedule;
mod service;
mod shared;
mod stream;
mod trace;
mod value;
mod vm;

pub use abi::{AbiVersion, BufferType, Direction, LogLevel, MapType, Status};
pub use cluster::ClusterInfo;
pub use code::{Code, LoadError};
pub use faults::FaultPlan;
pub use headers::Headers;
pub use host::{Host, StartError, UPSTREAM};
#[cfg(feature = "http")]
pub use http::Origin;
pub use metrics::{MetricKind, MetricName, MetricValue, TagExtractor};
pub use outcome::{Ended, Outcome};
pub use plugin::{FailurePolicy, Plugin};
pub use proxy::{Limits, Proxy, StreamNumber, Unexpected};
pub use request::{Request, get, post};
pub use route::Route;
pub use schedule::Order;
pub use service::{Answer, Answering, Failure, Incoming, Response, Service, ok};
pub use trace::{CallSite, Callback, Cost, HostCall, LogLine, Trace};
pub use value::Value;
pub use vm::CallRequest;
