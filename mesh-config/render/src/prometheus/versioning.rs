//! What there is to see where writes do not know of each other, or clocks do not agree.

use super::{Alert, Severity, grows};
use policy_core::name::{METRIC_CONFLICTS, METRIC_FUTURE_VERSIONS};
use policy_doc::PolicySet;

/// The alerts about versions.
pub(super) fn alerts(set: &PolicySet) -> Vec<Alert> {
    vec![conflicts(set), ahead(set)]
}

/// A write has overwritten one that its writer had not seen.
fn conflicts(set: &PolicySet) -> Alert {
    let counter = format!(r#"{METRIC_CONFLICTS}{{kind=~"concurrent|lost_update"}}"#);
    Alert {
        name: "MeshfenceDataConflicts",
        severity: Severity::P1,
        expr: grows(&counter, "5m"),
        lasts: "0m",
        summary: format!("writes of {} conflict with others", set.name),
        description: "Somebody has written without having seen what was there. One of the two writes \
                      wins in every region; the other one is lost.",
        runbook: "1. `meshfence_consistency_conflicts_total` by `context` and `kind`: `concurrent` are \
                  writes of two regions, `lost_update` of one.\n\
                  2. Find them in the decision records by `conflict`; `version` is that of the write.\n\
                  3. If there are more than usual, look at the replication lag of the context: what is \
                  copied late is not seen.\n\
                  4. Where losing a write is no option, merge (`Contexts.merge`) or refuse \
                  (`Versioning.spec.onLostUpdate: deny`).",
    }
}

/// A clock is too far ahead for its versions to be compared with others.
fn ahead(set: &PolicySet) -> Alert {
    Alert {
        name: "MeshfenceFutureVersions",
        severity: Severity::P1,
        expr: grows(METRIC_FUTURE_VERSIONS, "5m"),
        lasts: "0m",
        summary: format!("versions of {} are from clocks that are too far ahead", set.name),
        description: "Clocks of two machines are further apart than `maxDrift`. Whatever the one that is \
                      ahead has stamped wins until the others' clocks get there.",
        runbook: "1. By `source`, what has brought them: `request`: the proxies of another region; \
                  `response` and `tag`: what an application holds; `shared_data` and `floor`: this very \
                  machine's clock is behind.\n\
                  2. Compare the clocks with their time servers; `meshfence_clock_steps_total` tells \
                  where one was set.\n\
                  3. Writes that were marked `x-meshfence-unsynced` meanwhile are worth a look.",
    }
}
