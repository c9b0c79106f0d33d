//! What a drill may ask of operators, to the millisecond.

use super::example;
use crate::{Source, load_timelines};

/// The codes of what is wrong with a timeline of a minute and a half, of a set whose leases may move
/// twice an hour, after half a minute, and be overridden for a minute.
fn wrong(events: &str) -> Vec<&'static str> {
    let mut set = example::set();
    let limits = &mut set.fencing_times.transitions;
    (limits.min_hold_ms, limits.max_per_hour, limits.max_override_ms) = (30_000, 2, 60_000);
    let text = format!(
        "apiVersion: meshfence.dev/v1alpha1\nkind: Timeline\nmetadata: {{name: t}}\n\
         spec:\n  lasts: 90s\n  events:\n{events}"
    );
    let (found, diagnostics) = load_timelines(Source { file: "t.yaml".into(), text }, &set);
    assert_eq!(found.is_empty(), !diagnostics.is_empty(), "{diagnostics:?}");
    diagnostics.iter().map(|diagnostic| diagnostic.code).collect()
}

#[test]
fn operators_may_do_what_they_may_to_the_millisecond() {
    let moved =
        |at: &str| format!("  - {{at: {at}, event: switchover, lease: inventory, to: tokyo}}\n");
    let forced =
        |at: &str| format!("  - {{at: {at}, event: override, lease: inventory, to: tokyo}}\n");
    let healed = |at: &str| format!("  - {{at: {at}, event: healed}}\n");
    let frozen = |at: &str| format!("  - {{at: {at}, event: frozen}}\n");
    for (events, codes, why) in [
        (
            moved("20s") + &moved("50s"),
            &[][..],
            "after just as long as it stays, and just as often",
        ),
        (moved("50s") + &moved("20s"), &[], "in any order"),
        (moved("20s") + &moved("49999ms"), &["MF233"], "too soon"),
        (moved("20s") + &moved("20s"), &["MF233"], "at once"),
        (moved("5s") + &moved("35s") + &moved("65s"), &["MF233"], "too often"),
        (forced("30s"), &[], "until the end, a minute later"),
        (forced("29999ms"), &["MF233"], "until the end, for too long"),
        (forced("20s") + &healed("80s"), &[], "until it is healed, a minute later"),
        (forced("20s") + &healed("80001ms"), &["MF233"], "until it is healed, too late"),
        (forced("20s") + &healed("80"), &["MF015"], "nobody knows until when"),
        (frozen("5s") + &frozen("89999ms"), &[], "while something can happen"),
        (frozen("4999ms"), &["MF015"], "before leases are granted"),
        (frozen("90s"), &["MF015"], "when all is over"),
        (frozen("2h"), &["MF015"], "later than any drill"),
    ] {
        assert_eq!(wrong(&events), codes, "{why}");
    }
}
