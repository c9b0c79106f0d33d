//! What there is to see where there is more to do than can be done.

use super::{Alert, Severity};
use policy_core::name::{METRIC_SHED, METRIC_SHED_RATIO};
use policy_core::{Priority, SheddingMode};
use policy_doc::PolicySet;

/// The alerts about load shedding; none where nothing is shed.
pub(super) fn alerts(set: &PolicySet) -> Vec<Alert> {
    if set.body.load_shedding.mode == SheddingMode::Enforce {
        vec![critical(set), lasting(set)]
    } else {
        Vec::new()
    }
}

/// What nobody can do without is refused.
fn critical(set: &PolicySet) -> Alert {
    let counter = format!(r#"{METRIC_SHED}{{priority="{}"}}"#, Priority::Critical);
    Alert {
        name: "MeshfenceCriticalShed",
        severity: Severity::P0,
        expr: format!("sum by (instance, context) (rate({counter}[1m])) > 0.1"),
        lasts: "1m",
        summary: format!("critical requests of {} are refused for want of capacity", set.name),
        description: "Everything less important is refused already, and what is left is more than the \
                      backend can do.",
        runbook: "1. Is a region down? Then this one does the work of two: see \
                  `meshfence_region_health`.\n\
                  2. Has the backend become slower? `meshfence_shed_limit` of the pool falls while as \
                  much arrives as before. Roll back what changed, or add capacity.\n\
                  3. Does one caller send it all? Decision records name cohorts of nobody, so look at \
                  the access log.",
    }
}

/// A failover is over in minutes, and so should this be.
fn lasting(set: &PolicySet) -> Alert {
    Alert {
        name: "MeshfenceShedding",
        severity: Severity::P2,
        expr: format!("max by (instance, role, pool) ({METRIC_SHED_RATIO}) > 20"),
        lasts: "10m",
        summary: format!("a pool of {} has had to refuse work for ten minutes", set.name),
        description: "The least important work goes first. Who is refused is told when to come again.",
        runbook: "1. Compare `meshfence_shed_in_flight` with `meshfence_shed_limit`: at the limit the \
                  backend is full; below it an upstream reports its load, or `shed_floor` of region \
                  state is set.\n\
                  2. Add capacity, or take back what makes the backend slow.",
    }
}
