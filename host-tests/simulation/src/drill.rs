//! A timeline of a failover, played against a policy set: what would come of it.
//!
//! Pure: a [`PolicySet`] and a [`Timeline`] in, a [`DrillReport`] out, and the same for the same.
//! Clients sit in both regions, ask the one that they are in, and the other one where that does not
//! serve them. Two regions are played; a set with more or fewer is refused.

use crate::check::Violation;
use crate::clock::Ms;
use crate::fault::{Fault, Planned};
use crate::fixture::Fixture;
use crate::place::{Side, Site};
use crate::rng::Rng;
use crate::setting::{Mode, Setting};
use crate::story::Story;
use crate::world::{CLIENTS_STOP_MS, Notes, Options, rehearse};
use policy_doc::{Event, Happening, HealthTimes, PolicySet, Timeline};
use std::collections::BTreeMap;

/// What came of a timeline.
#[derive(Debug)]
pub struct DrillReport {
    /// What must not be, F1 to F12; nothing if all is well.
    pub violations: Vec<Violation>,
    /// Times in which two regions wrote with the same lease.
    pub dual_writers: Vec<DualWriters>,
    /// Grants, in order.
    pub moves: Vec<Move>,
    /// How long writes with each lease were interrupted by what began at a time.
    pub recoveries: Vec<Recovery>,
    /// What began so late that a pause after it could not be seen: when.
    pub unjudged_ms: Vec<Ms>,
    /// Requests by context and outcome: `ok`, the reason of the last refusal, or `no answer`.
    pub requests: BTreeMap<(String, &'static str), u64>,
    /// Eventual writes.
    pub versions_written: u64,
    /// Eventual writes that were acknowledged and are in no region any more that is there.
    pub versions_lost: u64,
    /// Eventual writes that lost to one that had not seen them.
    pub versions_overwritten: u64,
    /// What happened, line by line.
    pub story: Story,
}

/// Two regions wrote with the same lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DualWriters {
    /// The lease.
    pub lease: String,
    /// From when on.
    pub from_ms: Ms,
    /// Until when.
    pub until_ms: Ms,
}

/// A lease was granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// When.
    pub at_ms: Ms,
    /// The lease.
    pub lease: String,
    /// Who had it before.
    pub from: Option<String>,
    /// Who has it.
    pub to: String,
    /// With which epoch.
    pub epoch: u64,
}

/// Writes with a lease after something began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovery {
    /// When it began.
    pub at_ms: Ms,
    /// The lease.
    pub lease: String,
    /// How long after that they succeeded again, whatever happened meanwhile; 0 if they were not
    /// interrupted, nothing if they did not before the end.
    pub after_ms: Option<Ms>,
}

impl DrillReport {
    /// The longest time that writes with a lease needed to succeed again, over those that did;
    /// nothing if none did.
    pub fn rto_ms(&self) -> Option<Ms> {
        self.recoveries.iter().filter_map(|recovery| recovery.after_ms).max()
    }
}

/// How long a health check may take.
const CHECK_MS: Ms = 5_000;
/// A pause between writes that is not worth a word.
const PAUSE_MS: Ms = 6_000;

/// Plays a timeline against a policy set. What bounds its times, and what operators may do, is judged
/// where a document is read; here both are trusted.
///
/// # Errors
/// What the set or the timeline has that cannot be played, in words for whoever wrote it.
pub fn play(set: &PolicySet, timeline: &Timeline) -> Result<DrillReport, String> {
    let fixture = Fixture::of(set)?;
    let HealthTimes { interval_ms, failures } = set.fencing_times.health;
    let found_ms = u64::from(interval_ms) * u64::from(failures) + CHECK_MS;
    let detects_ms = timeline.detects_ms.unwrap_or(found_ms);
    let faults = plan(&fixture, timeline, detects_ms)?;
    if fixture.kinds.is_empty() {
        return Err("no context of the policy set has writes that can be made up".to_owned());
    }
    let proxies = 2;
    let setting = Setting {
        mode: Mode::Fenced,
        proxies,
        vms: 2,
        has_key: true,
        has_inbound: true,
        sync_ms: u64::from(set.fencing_times.renew_ms),
        clients: timeline.clients.max(2 * u64::try_from(fixture.kinds.len()).unwrap_or(0)),
        kinds: (0..fixture.kinds.len()).collect(),
        rows: 3,
        slow: 0,
        drift_ppm: Vec::new(),
        faults,
        heals: timeline.lasts_ms + 1,
        probes: None,
        ends: timeline.lasts_ms,
        has_homes: true,
        rng: Rng::new(timeline.seed),
    };
    let options = Options { seed: timeline.seed, is_told: true, ..Options::default() };
    let (report, notes) = rehearse(&fixture, options, setting);
    if notes.requests.is_empty() {
        return Err("nothing is asked in so short a time: let it last longer".to_owned());
    }
    let mut requests = BTreeMap::new();
    for ((kind, outcome), count) in &notes.requests {
        let context = fixture.kinds.get(*kind).map(|kind| kind.context.clone());
        *requests.entry((context.unwrap_or_default(), *outcome)).or_insert(0) += count;
    }
    let unjudged_ms = unjudged(timeline, detects_ms, set.body.fencing.lease.ttl_ms.into());
    Ok(DrillReport {
        violations: report.violation.into_iter().collect(),
        dual_writers: dual_writers(&fixture, &notes),
        moves: moves(&fixture, &notes),
        recoveries: recoveries(&fixture, &notes, timeline, &unjudged_ms),
        unjudged_ms,
        requests,
        versions_written: notes.written,
        versions_lost: notes.lost,
        versions_overwritten: notes.overwritten,
        story: report.story,
    })
}

/// What goes wrong by a timeline.
fn plan(fixture: &Fixture, timeline: &Timeline, detects_ms: Ms) -> Result<Vec<Planned>, String> {
    let side = |name: &str| {
        let found = Side::BOTH.into_iter().find(|side| fixture.name(*side) == name);
        found.ok_or_else(|| format!("`{name}` is no region of the policy set"))
    };
    let lease = |name: &str, to: &str| {
        let found = fixture.leases.iter().position(|lease| lease.text() == name);
        let number = found.ok_or_else(|| format!("`{name}` is no lease of the policy set"))?;
        let to = side(to)?;
        let can = fixture.leases.get(number).is_some_and(|lease| *lease.possible.of(to));
        can.then_some((number, to)).ok_or_else(|| {
            format!(
                "`{name}` cannot be in {}: residency does not let its data be there",
                fixture.name(to)
            )
        })
    };
    let mut planned = Vec::new();
    for happening in &timeline.events {
        let Happening { at_ms, event, .. } = happening;
        let end = timeline.end_of(happening);
        let mut add = |from: Ms, fault| planned.push(Planned { from, until: end, fault });
        match event {
            Event::RegionLost { region } => {
                let side = side(region)?;
                cut_off(side, |fault| add(*at_ms, fault));
                // Both of its proxies.
                add(*at_ms, Fault::ProxyRestarts(side, 0, true));
                add(*at_ms, Fault::ProxyRestarts(side, 7, true));
                add(*at_ms, Fault::AgentPauses(side));
                if end <= timeline.lasts_ms {
                    add(end, Fault::AgentRestarts(side));
                }
            }
            Event::Isolated { region } => {
                let side = side(region)?;
                cut_off(side, |fault| add(*at_ms, fault));
            }
            Event::Parted => {
                let (from, to) = (Site::Taiwan, Site::Tokyo);
                add(*at_ms, Fault::Cut { from, to, both: true });
            }
            Event::Attacked { region } => {
                let from = at_ms + detects_ms;
                if from < end {
                    add(from, Fault::Sick(side(region)?));
                }
            }
            Event::Restricted { region } => add(*at_ms, Fault::Evacuates(side(region)?)),
            Event::Switchover { lease: name, to } => {
                let (lease, to) = lease(name, to)?;
                add(*at_ms, Fault::MovesTo(lease, to, false));
            }
            Event::Override { lease: name, to } => {
                let (lease, to) = lease(name, to)?;
                add(*at_ms, Fault::MovesTo(lease, to, true));
            }
            Event::Frozen => add(*at_ms, Fault::Freezes),
            Event::Stage { from, percent } if *percent <= 100 => {
                add(*at_ms, Fault::Stage(side(from)?, *percent));
            }
            Event::Stage { percent, .. } => return Err(format!("{percent} is more than 100")),
            Event::Healed => {}
        }
    }
    planned.sort_by_key(|planned| planned.from);
    Ok(planned)
}

fn cut_off(side: Side, mut add: impl FnMut(Fault)) {
    for to in [side.other().site(), Site::Witness, Site::Data] {
        add(Fault::Cut { from: side.site(), to, both: true });
    }
}

/// From the first write of a newer holder to the last one of the older.
fn dual_writers(fixture: &Fixture, notes: &Notes) -> Vec<DualWriters> {
    let mut found = Vec::new();
    for (lease, name) in fixture.leases.iter().enumerate() {
        let of_lease = || notes.accepted.iter().filter(|(_, of, ..)| *of == lease);
        let mut epochs: BTreeMap<u64, (Side, Ms, Ms)> = BTreeMap::new();
        for (at, _, side, epoch) in of_lease() {
            let window = epochs.entry(*epoch).or_insert((*side, *at, *at));
            window.2 = *at;
        }
        for ((_, older), (_, newer)) in epochs.iter().zip(epochs.iter().skip(1)) {
            if older.0 != newer.0 && newer.1 <= older.2 {
                let lease = name.text();
                found.push(DualWriters { lease, from_ms: newer.1, until_ms: older.2 });
            }
        }
    }
    found
}

fn moves(fixture: &Fixture, notes: &Notes) -> Vec<Move> {
    let mut holders: BTreeMap<usize, Side> = BTreeMap::new();
    let mut moves = Vec::new();
    for (at_ms, granted) in &notes.granted {
        let from = holders.insert(granted.lease, granted.to);
        moves.push(Move {
            at_ms: *at_ms,
            lease: fixture
                .leases
                .get(granted.lease)
                .map(crate::agent::LeaseName::text)
                .unwrap_or_default(),
            from: from.map(|side| fixture.name(side).to_owned()),
            to: fixture.name(granted.to).to_owned(),
            epoch: granted.epoch,
        });
    }
    moves
}

/// When something began after which no pause could be seen: it takes a while to show (an attack until it
/// is found, a lease until it runs out), and clients stop before the end. Whatever ends something makes
/// no pause.
fn unjudged(timeline: &Timeline, detects_ms: Ms, ttl_ms: Ms) -> Vec<Ms> {
    let shows_ms = |event: &Event| match event {
        Event::Healed | Event::Stage { .. } => None,
        Event::Attacked { .. } => Some(detects_ms + ttl_ms),
        _ => Some(ttl_ms),
    };
    let is_late = |it: &&Happening| {
        let shows_ms = shows_ms(&it.event);
        shows_ms.is_some_and(|ms| it.at_ms + ms + PAUSE_MS > traffic_ends(timeline))
    };
    timeline.events.iter().filter(is_late).map(|it| it.at_ms).collect()
}

/// Until when clients want something for certain.
fn traffic_ends(timeline: &Timeline) -> Ms {
    timeline.lasts_ms.saturating_sub(CLIENTS_STOP_MS)
}

fn recoveries(
    fixture: &Fixture,
    notes: &Notes,
    timeline: &Timeline,
    unjudged_ms: &[Ms],
) -> Vec<Recovery> {
    let mut times: Vec<Ms> = timeline.events.iter().map(|event| event.at_ms).collect();
    times.sort_unstable();
    times.dedup();
    let traffic_ends = traffic_ends(timeline);
    let mut recoveries = Vec::new();
    let judged = times.iter().enumerate().filter(|(_, at_ms)| !unjudged_ms.contains(at_ms));
    for (number, at_ms) in judged {
        let next_ms = times.get(number + 1).copied().unwrap_or(timeline.lasts_ms);
        for (lease, name) in fixture.leases.iter().enumerate() {
            let commits = notes.committed.iter().filter(|(_, of)| *of == lease);
            let since = commits.map(|(at, _)| *at).filter(|at| at_ms <= at);
            recoveries.push(Recovery {
                at_ms: *at_ms,
                lease: name.text(),
                after_ms: recovered(*at_ms, next_ms, traffic_ends, since),
            });
        }
    }
    recoveries
}

/// How long after something began writes succeed again: after the longest pause that begins before
/// the next thing happens, whatever happens during it.
fn recovered(
    at_ms: Ms,
    next_ms: Ms,
    traffic_ends: Ms,
    writes: impl Iterator<Item = Ms>,
) -> Option<Ms> {
    let mut before = at_ms;
    let mut longest = (0, 0);
    for write in writes {
        if before >= next_ms {
            break;
        }
        // A pause that the next thing makes is not of this one; one that this one began with is.
        if before == at_ms || next_ms > before + PAUSE_MS {
            longest = longest.max((write - before, write - at_ms));
        }
        before = write;
    }
    let ends_ms = if before == at_ms { traffic_ends } else { next_ms.min(traffic_ends) };
    let is_over = before + PAUSE_MS >= ends_ms;
    is_over.then_some(if longest.0 > PAUSE_MS { longest.1 } else { 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_told_whatever_happens_during_it() {
        for (next_ms, writes, after_ms, why) in [
            (90_000, &[11_000, 12_000, 90_000][..], Some(80_000), "one long pause"),
            (
                90_000,
                &[11_000, 14_000, 18_000, 22_000, 27_000, 88_000],
                Some(78_000),
                "the longest",
            ),
            (25_000, &[11_000, 31_000, 32_000], Some(21_000), "something else happens meanwhile"),
            (25_000, &[11_000, 16_000, 21_000, 26_000], Some(0), "no pause to speak of"),
            (
                25_000,
                &[11_000, 16_000, 21_000, 24_000, 40_000],
                Some(0),
                "a pause of the next thing",
            ),
            (25_000, &[11_000, 16_000, 21_000, 24_000], Some(0), "after which nobody writes"),
            (15_000, &[40_000], Some(30_000), "a pause from the start, whatever comes soon after"),
            (15_000, &[], None, "which is never over"),
            (90_000, &[11_000], None, "never again"),
            (90_000, &[], None, "not once"),
        ] {
            let found = recovered(10_000, next_ms, 88_000, writes.iter().copied());
            assert_eq!(found, after_ms, "{why}");
        }
    }
}
