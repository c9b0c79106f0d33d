//! Seeds, in every mode that each draws: nothing may be violated.

use simulation::run::{self, Many};
use std::io::Write as _;

/// How many seeds CI plays.
const SEEDS: u64 = 20_000;

#[test]
fn no_seed_violates_anything() {
    let what = Many { failures_max: 1, ..Many::default() };
    let summary = run::many(0..SEEDS, what, |_| ()).unwrap();
    let story = summary.failed.first().map(|seed| run::story(*seed, None, None).unwrap().text);
    assert_eq!(story, None, "{}", story.as_deref().unwrap_or_default());
    let [bounded, fenced, beyond] = summary.modes;
    let counts = &summary.counts;
    // Past what catches the output of tests that succeed.
    let mut out = std::io::stderr();
    writeln!(
        out,
        "{} seeds ({bounded} bounded, {fenced} fenced, {beyond} beyond), \
         no violation: {counts:?}",
        summary.played,
    )
    .unwrap();
    assert_eq!(summary.played, SEEDS);
    // A world in which little happens proves little.
    for (what, count, at_least) in [
        ("bounded", bounded, SEEDS / 3),
        ("fenced", fenced, SEEDS / 3),
        ("beyond", beyond, SEEDS / 6),
        ("decisions", counts.decided, 200 * SEEDS),
        ("writes that reach an application", counts.accepted, 50 * SEEDS),
        ("commits", counts.committed, 50 * SEEDS),
        ("refusals", counts.refused, 20 * SEEDS),
        ("grants to another region", counts.moved, SEEDS),
        ("grants after the first", counts.regranted, 2 * SEEDS),
        ("writes that the datastore refuses", counts.stale, SEEDS / 10),
        ("documents that are refused", counts.unadopted, SEEDS / 4),
    ] {
        assert!(count >= at_least, "only {count} {what}");
    }
}
