//! Timelines against the example: nothing is violated, and it takes no longer than is promised.

#![expect(clippy::unwrap_used, reason = "an example that does not load fails its test")]

use policy_doc::{Event, Happening, PolicySet, Purpose, Source, Timeline, load};
use simulation::drill::{DrillReport, play};

fn example() -> PolicySet {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../policies/tpe-tokyo");
    let mut files: Vec<_> = [directory.to_owned(), format!("{directory}/drills")]
        .iter()
        .flat_map(|directory| std::fs::read_dir(directory).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    let sources = files.iter().map(|path| Source {
        file: path.display().to_string(),
        text: std::fs::read_to_string(path).unwrap(),
    });
    load(sources.collect(), Purpose::Deploy).set.unwrap()
}

fn of(name: &str) -> DrillReport {
    let set = example();
    let timeline = set.timelines.iter().find(|timeline| timeline.name == name).unwrap();
    play(&set, timeline).unwrap()
}

fn count(report: &DrillReport, context: &str, outcome: &str) -> u64 {
    report.requests.get(&(context.to_owned(), outcome)).copied().unwrap_or(0)
}

/// Where a lease is at the end.
fn holder<'r>(report: &'r DrillReport, lease: &str) -> &'r str {
    &report.moves.iter().rfind(|moved| moved.lease == lease).unwrap().to
}

#[test]
fn the_scenarios_violate_nothing_and_end_where_they_should() {
    #[rustfmt::skip] // a table
    let table = [
        ("taiwan-destroyed", "tokyo", 25_000, "the lease of a region that is gone runs out"),
        ("submarine-cable-cut", "tokyo", 25_000, "an isolated region loses its leases"),
        ("attack-with-failover", "tokyo", 170_000, "a sick one gives them up once that is known"),
        ("access-restricted", "tokyo", 25_000, "an operator moves them"),
        ("rollback-to-taiwan", "taiwan", 25_000, "and back, when somebody says so"),
    ];
    for (name, at_the_end, rto_ms, why) in table {
        let report = of(name);
        assert_eq!(report.violations, [], "{name}: {why}");
        assert_eq!(report.dual_writers, [], "{name}: {why}");
        assert_eq!(holder(&report, "orders/taiwan~tokyo"), at_the_end, "{name}: {why}");
        assert_eq!(holder(&report, "orders/tokyo"), "tokyo", "{name}: it never leaves");
        let took_ms = report.rto_ms().unwrap();
        assert!(took_ms <= rto_ms, "{name}: {took_ms} ms, {why}");
        assert!(report.moves.iter().all(|moved| moved.epoch > 0));
        let ok = count(&report, "orders", "ok");
        assert!(ok > 50, "{name}: {ok} orders");
    }
}

#[test]
fn what_is_lost_with_a_region_is_told() {
    let report = of("taiwan-destroyed");
    assert!(report.versions_written > 50);
    assert!(report.versions_lost > 0, "what was only in Taiwan");
    let healed = of("submarine-cable-cut");
    assert_eq!(healed.versions_lost, 0, "what was only in Taiwan came when the cable was mended");
    assert!(healed.versions_overwritten > 0, "both regions went on");
}

#[test]
fn the_same_timeline_is_the_same() {
    let (first, second) = (of("taiwan-destroyed"), of("taiwan-destroyed"));
    assert_eq!(first.requests, second.requests);
    assert_eq!(first.moves, second.moves);
    assert_eq!(first.story.to_text(), second.story.to_text());
}

/// Nobody may write any more, or it happens when nobody wants to.
#[test]
fn what_is_never_over_is_not_told_as_over() {
    let base = example().timelines.remove(0);
    let isolated = |region: &str| Event::Isolated { region: region.to_owned() };
    let attacked = Event::Attacked { region: "taiwan".to_owned() };
    #[rustfmt::skip] // a table
    let table = [
        (20_000, vec![Event::Frozen], true, "nobody may write until the end"),
        (20_000, vec![isolated("taiwan"), isolated("tokyo")], true, "no region has its leases"),
        (60_000, vec![Event::Frozen], false, "a lease runs out first, and clients stop at 75 s"),
        (20_000, vec![attacked], false, "it would be found after 75 s"),
    ];
    for (at_ms, events, is_judged, why) in table {
        let event = |event| Happening { at_ms, until_ms: None, event };
        let events = events.into_iter().map(event).collect();
        let report = play(&example(), &Timeline { lasts_ms: 90_000, events, ..base.clone() });
        let report = report.unwrap();
        assert_eq!(report.rto_ms(), None, "{why}");
        assert_eq!(report.recoveries.is_empty(), !is_judged, "{why}");
        assert_eq!(report.unjudged_ms.is_empty(), is_judged, "{why}");
    }
}

#[test]
fn what_cannot_be_played_is_refused() {
    let base = example().timelines.remove(0);
    let with = |at_ms, event| Timeline {
        events: vec![Happening { at_ms, until_ms: None, event }],
        ..base.clone()
    };
    let lost = |region: &str| Event::RegionLost { region: region.to_owned() };
    let moved = |lease: &str| Event::Switchover { lease: lease.to_owned(), to: "tokyo".to_owned() };
    for (timeline, message) in [
        (with(20_000, lost("osaka")), "`osaka` is no region of the policy set"),
        (with(20_000, moved("orders")), "`orders` is no lease of the policy set"),
        (
            with(20_000, Event::Stage { from: "taiwan".into(), percent: 101 }),
            "101 is more than 100",
        ),
    ] {
        let refused = play(&example(), &timeline).unwrap_err();
        assert!(refused.starts_with(message), "{refused}");
    }
    let elsewhere = Event::Switchover { lease: "orders/tokyo".into(), to: "taiwan".into() };
    let refused = play(&example(), &with(20_000, elsewhere)).unwrap_err();
    assert!(refused.starts_with("`orders/tokyo` cannot be in taiwan"), "{refused}");
    let mut one = example();
    one.body.regions.truncate(1);
    assert!(play(&one, &base).unwrap_err().starts_with("a world has two regions"));
}
