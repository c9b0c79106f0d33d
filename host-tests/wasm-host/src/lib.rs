//! Runs an unmodified proxy-wasm plugin in-process, by the rules of Envoy.
//!
//! [`Host`] sets a proxy up, [`Proxy`] runs it, [`Outcome`] tells what came of a request. The README
//! has a table of what can be asked.
//!
//! ```text
//! Request ─► Proxy: listener ─► filters ─► router ─► Service (a script, or a real server)
//!                │                 │
//!             schedule          VM of a thread ─ hostcalls ─► common: clock, shared data, metrics
//!                                                             faults, trace, log
//! ```
//!
//! Nothing here reads a clock, a random number or the network by itself: time is what waits for it,
//! random bytes come from a seed, services are what you say. So two runs of one setting are the same,
//! to the instruction. A callback never runs within another one: what a plugin asks for meanwhile is
//! an action that is done after it returns, as Envoy does.

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
pub use faults::{FaultPlan, OtherThread};
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
