//! Names that more than one side has to agree on: what enforces, what renders and what looks on.

/// The prefix of headers that only Meshfence itself may set.
pub const HEADER_PREFIX: &str = "x-meshfence-";
/// Request: the region to route to; the route table matches on it.
pub const HEADER_ROUTE: &str = "x-meshfence-route";
/// Response: the id of the decision record.
pub const HEADER_DECISION: &str = "x-meshfence-decision";

/// The root of the module that holds all four policies in one pass (Istio's `pluginName`).
pub const ROOT_GUARD: &str = "guard";

/// The property that keeps the decision record; the access log finds it in filter state under
/// `wasm.` and this name. One segment: Envoy would keep the NUL of a second one in the name.
pub const PROPERTY_DECISION: &str = "meshfence_decision";

/// The metric of requests that ran in another region than was decided, which alerts are about.
pub const METRIC_VIOLATION: &str = "meshfence_residency_violation_total";

/// The labels of metrics, written into their names as `label=.=value;.;`.
pub const METRIC_LABELS: [&str; 3] = ["role", "verdict", "reason"];

/// What the names of secrets in a VM's environment begin with. Other variables may hold what
/// somebody else can guess.
pub const SECRET_PREFIX: &str = "MESHFENCE_";

/// The filter state in which a rendered listener keeps every URI of the client's certificate,
/// joined by commas: the attribute of the connection has the first one only.
pub const FILTER_STATE_PEER_IDS: &str = "meshfence.peer_uri_sans";
