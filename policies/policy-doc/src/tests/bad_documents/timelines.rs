//! Policy sets with drills in which operators do what they may not, or nobody could.

use super::cases::Case;

const LIMITS: &str = "{minHold: 60s, maxPerHour: 4, maxOverride: 4h}";

const MOVES: &str = "\
apiVersion: meshfence.dev/v1alpha1
kind: Timeline
metadata: {name: busy-operators}
spec:
  lasts: 10m
  events:
    - {at: 80s, event: switchover, lease: inventory, to: tokyo}
    - {at: 20s, event: switchover, lease: inventory, to: tokyo}
    - {at: 109s, event: switchover, lease: inventory, to: taiwan}
    - {at: 200s, event: override, lease: inventory, to: taiwan}
    - {at: 260s, event: healed}
    - {at: 300s, event: override, lease: payments/tokyo+taiwan, to: taiwan}
    - {at: 320s, event: switchover, lease: orders/tokyo+taiwan, to: tokyo}
";

const TIMES: &str = "\
apiVersion: meshfence.dev/v1alpha1
kind: Timeline
metadata: {name: out-of-time}
spec:
  lasts: 60s
  events:
    - {at: 1s, event: region-lost, region: taiwan}
    - {at: 61s, event: region-lost, region: taiwan}
    - {at: 2h, event: region-lost, region: taiwan}
    - {at: 20s, until: 20s, event: parted}
    - {at: 20s, until: 70s, event: parted}
    - {at: 20s, until: 30s, event: stage, from: osaka, percent: 101}
    - {at: 30s, event: switchover, lease: order, to: tokyo, region: tokyo}
    - {at: 40, event: region-los}
";

pub(super) const TIMELINES: &[Case] = &[
    Case {
        name: "operators_who_do_what_they_may_not",
        edits: &[("fencing.yaml", LIMITS, "{minHold: 30s, maxPerHour: 3, maxOverride: 1m}")],
        extra: &[("drills/moves.yaml", MOVES)],
    },
    Case { name: "a_drill_that_cannot_be", edits: &[], extra: &[("drills/times.yaml", TIMES)] },
];
