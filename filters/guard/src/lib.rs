//! The life of a request: facts from headers, one decision, its effects, against one narrow host.

mod host;
mod metric;

pub use host::{Headers, Host, HostFault, Reply};
pub use metric::{Metric, MetricKind};
