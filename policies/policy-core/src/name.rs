//! Names that more than one side has to agree on: what enforces, what renders and what looks on.

/// The prefix of headers that only Meshfence itself may set.
pub const HEADER_PREFIX: &str = "x-meshfence-";
/// Request: the region to route to; the route table matches on it.
pub const HEADER_ROUTE: &str = "x-meshfence-route";
/// Response: the id of the decision record.
pub const HEADER_DECISION: &str = "x-meshfence-decision";

/// The root of the module that holds all four policies in one pass (Istio's `pluginName`).
pub const ROOT_GUARD: &str = "guard";

/// The root of the module that makes a second pass possible, on the clusters of peers.
pub const ROOT_REROUTE: &str = "reroute";

/// The property that keeps what the first pass of a request went by.
pub const PROPERTY_PASS: &str = "meshfence_pass";

/// The property that keeps the decision record; the access log finds it in filter state under
/// `wasm.` and this name. One segment: Envoy would keep the NUL of a second one in the name.
pub const PROPERTY_DECISION: &str = "meshfence_decision";

/// The metric of requests that ran in another region than was decided, which alerts are about.
pub const METRIC_VIOLATION: &str = "meshfence_residency_violation_total";

/// The metric of questions for region state, which alerts are about.
pub const METRIC_POLLS: &str = "meshfence_region_state_polls_total";

/// The gauge of how old what is believed of the regions is.
pub const METRIC_STATE_AGE: &str = "meshfence_region_state_age_milliseconds";

/// The metric of decisions, by verdict and reason.
pub const METRIC_DECISIONS: &str = "meshfence_decisions_total";

/// The metric of requests of which nothing says where they ran.
pub const METRIC_ACTUAL_UNKNOWN: &str = "meshfence_actual_region_unknown_total";

/// The metric of decision records that the proxy did not take.
pub const METRIC_LOST_RECORDS: &str = "meshfence_lost_records_total";

/// The gauge of whether a region serves.
pub const METRIC_REGION_HEALTH: &str = "meshfence_region_health";

/// The gauge of the newest epoch of a lease that was certain.
pub const METRIC_LEASE_EPOCH: &str = "meshfence_lease_epoch";

/// The gauge of whether it is certain that this region holds a lease.
pub const METRIC_LEASE_HERE: &str = "meshfence_lease_here";

/// The gauge of whether it is certain how a lease is: who holds it, or that nobody may write.
pub const METRIC_LEASE_KNOWN: &str = "meshfence_lease_known";

/// The metric of what somebody else wrote into shared data under a name of ours.
pub const METRIC_FOREIGN: &str = "meshfence_foreign_shared_data_total";

/// The metric of writes that are in conflict with another one, which alerts are about.
pub const METRIC_CONFLICTS: &str = "meshfence_consistency_conflicts_total";

/// The metric of versions from clocks that are too far ahead, which alerts are about.
pub const METRIC_FUTURE_VERSIONS: &str = "meshfence_future_versions_total";

/// The metric of requests that were shed, which alerts are about.
pub const METRIC_SHED: &str = "meshfence_shed_total";

/// The gauge of how much of what comes has to be shed, of a thousand.
pub const METRIC_SHED_RATIO: &str = "meshfence_shed_ratio_permille";

/// The labels of metrics, written into their names as `label=.=value;.;`.
pub const METRIC_LABELS: [&str; 12] = [
    "role", "verdict", "reason", "outcome", "lease", "shard", "region", "context", "kind",
    "source", "priority", "pool",
];

/// What the names of secrets in a VM's environment begin with. Other variables may hold what
/// somebody else can guess.
pub const SECRET_PREFIX: &str = "MESHFENCE_";

/// The filter state in which a rendered listener keeps every URI of the client's certificate,
/// joined by commas: the attribute of the connection has the first one only.
pub const FILTER_STATE_PEER_IDS: &str = "meshfence.peer_uri_sans";
