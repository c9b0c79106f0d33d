//! What Prometheus should wake somebody for: one rule file, the same for every region.

use crate::banner::banner;
use crate::yaml::{Node, emit, list, map};
use policy_core::name::METRIC_VIOLATION;
use policy_doc::PolicySet;

/// The name of the rule file.
pub const ALERTS_FILE: &str = "alerts.yaml";

/// How urgent an alert is, as ADR-037 has it. Priorities of requests are something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Severity {
    /// Somebody is woken.
    P0,
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
    let alerts = [violation(set), unknown(set), lost(set)];
    let rules = Node::List(alerts.into_iter().map(Alert::node).collect());
    let group = map! { "name" => "meshfence-residency", "rules" => rules };
    banner(set, "Prometheus") + &emit(&map! { "groups" => list![group] })
}

/// Data ran in another region than was decided.
fn violation(set: &PolicySet) -> Alert {
    Alert {
        name: "MeshfenceResidencyViolation",
        severity: Severity::P0,
        // A counter that is new starts at what it has counted: `increase` would not see the first.
        expr: format!(
            "sum by (instance) (increase({METRIC_VIOLATION}[5m])) > 0 or sum by (instance) \
             ({METRIC_VIOLATION} unless {METRIC_VIOLATION} offset 5m) > 0"
        ),
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
        expr: String::from(
            "sum by (instance) (increase(meshfence_actual_region_unknown_total[30m])) > 0",
        ),
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
        expr: String::from("sum by (instance) (increase(meshfence_lost_records_total[30m])) > 0"),
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
