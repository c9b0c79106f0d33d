//! What Prometheus should wake somebody for: one rule file, the same for every region.

mod fencing;
mod shedding;
mod versioning;

use crate::banner::banner;
use crate::yaml::{Node, emit, map};
use policy_core::name::{METRIC_ACTUAL_UNKNOWN, METRIC_LOST_RECORDS, METRIC_VIOLATION};
use policy_doc::PolicySet;

/// The name of the rule file.
pub const ALERTS_FILE: &str = "alerts.yaml";

/// How urgent an alert is, as ADR-037 has it. Priorities of requests are something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Severity {
    /// Somebody is woken.
    P0,
    /// Whoever is on call looks at it now.
    P1,
    /// Somebody looks at it the same day.
    P2,
}

/// One alert.
struct Alert {
    name: &'static str,
    severity: Severity,
    /// What fires it.
    expr: String,
    /// For how long it has to hold.
    lasts: &'static str,
    summary: String,
    description: &'static str,
    /// What to do, step by step.
    runbook: &'static str,
}

/// The rule file.
pub fn alerts(set: &PolicySet) -> String {
    let residency = vec![violation(set), unknown(set), lost(set)];
    let groups = [
        ("meshfence-residency", residency),
        ("meshfence-fencing", fencing::alerts(set)),
        ("meshfence-versioning", versioning::alerts(set)),
        ("meshfence-load-shedding", shedding::alerts(set)),
    ];
    let groups = groups.into_iter().filter(|(_, alerts)| !alerts.is_empty());
    let groups = groups.map(|(name, alerts)| {
        let rules = Node::List(alerts.into_iter().map(Alert::node).collect());
        map! { "name" => name, "rules" => rules }
    });
    banner(set, "Prometheus") + &emit(&map! { "groups" => Node::List(groups.collect()) })
}

/// That a counter has grown within a while. One that is new starts at what it has counted, of which
/// `increase` would not see the first.
fn grows(counter: &str, within: &str) -> String {
    format!(
        "sum by (instance) (increase({counter}[{within}])) > 0 or sum by (instance) ({counter} \
         unless {counter} offset {within}) > 0"
    )
}

/// Data ran in another region than was decided.
fn violation(set: &PolicySet) -> Alert {
    Alert {
        name: "MeshfenceResidencyViolation",
        severity: Severity::P0,
        expr: grows(METRIC_VIOLATION, "5m"),
        lasts: "0m",
        summary: format!("requests of {} ran in a region that was not decided", set.name),
        description: "The upstream that answered is in another region than the guard chose. \
                      Personal data may have been where it must not be.",
        runbook: "1. Find the records with \"violation\":true in the access logs of the instance; \
                  `to` is where the request was to run, `actual` where it ran.\n\
                  2. Compare the endpoints and localities of the upstream's cluster with the \
                  policy's regions: a cluster that mixes regions, or a locality that says the wrong \
                  one, is the usual cause.\n\
                  3. Take the wrong endpoints out. Until then, take the region out of service \
                  rather than let requests go on.\n\
                  4. Check the logs with `meshfence audit verify`, keep them, and tell whoever is \
                  responsible for data protection: there may be a duty to report.",
    }
}

/// Nobody knows where requests run.
fn unknown(set: &PolicySet) -> Alert {
    Alert {
        name: "MeshfenceActualRegionUnknown",
        severity: Severity::P2,
        expr: format!("sum by (instance) (increase({METRIC_ACTUAL_UNKNOWN}[30m])) > 0"),
        lasts: "30m",
        summary: format!("nothing says in which region some upstreams of {} are", set.name),
        description: "Where a request ran cannot be held against what was decided.",
        runbook: "Give the endpoints a locality whose region is a region of the policy, by its \
                  name or its `cloudRegion`, or the metadata `meshfence: {region: NAME}`.",
    }
}

/// The chain of records has a hole.
fn lost(set: &PolicySet) -> Alert {
    Alert {
        name: "MeshfenceRecordsLost",
        severity: Severity::P2,
        expr: grows(METRIC_LOST_RECORDS, "30m"),
        lasts: "0m",
        summary: format!("decisions of {} were not recorded", set.name),
        description: "The proxy did not take a decision record. The next one counts them: `lost`.",
        runbook: "Look for errors of the proxy at that time, and run `meshfence audit verify` on \
                  its access log to see what is missing.",
    }
}

impl Alert {
    fn node(self) -> Node {
        let severity = match self.severity {
            Severity::P0 => ("page", "P0"),
            Severity::P1 => ("page", "P1"),
            Severity::P2 => ("ticket", "P2"),
        };
        map! {
            "alert" => self.name,
            "expr" => self.expr,
            "for" => self.lasts,
            "labels" => map! { "severity" => severity.0, "priority" => severity.1 },
            "annotations" => map! {
                "summary" => self.summary,
                "description" => self.description,
                "runbook" => Node::Lines(self.runbook.to_owned()),
            },
        }
    }
}

#[cfg(test)]
mod tests;
