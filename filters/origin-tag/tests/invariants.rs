//! The invariants of versions that clocks and conflicts keep: V3 and V8, what V4 is of a VM, and a
//! million stamps. Each is a property of the thing under test, and fails for one that is broken on
//! purpose. (V1, V2, V4, V5 and V7 are in `versions`, V6 is in `guard`, which knows whom to trust.)
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "what fails fails the test")]

use origin_tag::{
    Conflict, ConflictKind, Marking, Stamp, Stamper, Time, VersionVector, Write, judge,
};
use policy_core::{Mode, OnDrift, OnLostUpdate, Versioning};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestError, TestRng, TestRunner};
use std::collections::BTreeSet;
use std::fmt::Debug;

const BOUND_MS: u64 = 500;
const NOW_MS: u64 = 1_732_483_200_000;
const CODES: [[u8; 3]; 2] = [*b"tpe", *b"tyo"];

const VERSIONING: Versioning = Versioning {
    mode: Mode::Enforce,
    max_drift_ms: 500,
    on_drift: OnDrift::Tag,
    on_lost_update: OnLostUpdate::Pass,
    causal_lifetime_ms: None,
    conflict_window_ms: 1_000,
    has_hints: false,
};

/// A deterministic source of numbers (splitmix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }
}

/// Asserts that a property fails for some input: it notices what is broken.
fn notices<I: Debug>(inputs: impl Strategy<Value = I>, holds: impl Fn(I) -> bool) {
    let config = Config { failure_persistence: None, cases: 1_000, ..Config::default() };
    let rng = TestRng::deterministic_rng(config.rng_algorithm);
    let found = TestRunner::new_with_rng(config, rng).run(&inputs, |input| {
        if holds(input) { Ok(()) } else { Err(TestCaseError::fail("it does not hold")) }
    });
    assert!(matches!(found, Err(TestError::Fail(..))), "nothing was noticed");
}

/// One step of a history over several VMs.
#[derive(Debug, Clone)]
struct Step {
    vm: usize,
    /// Which of the versions so far its writer has seen.
    sees: usize,
    /// How the VM's wall clock moves before it, in milliseconds.
    moves: i64,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (0..4_usize, any::<usize>(), -300..300_i64).prop_map(|(vm, sees, moves)| Step {
        vm,
        sees,
        moves,
    });
    prop::collection::vec(step, 1..60)
}

/// Plays a history in which every write has seen one before it, and holds what is told to be in order
/// against the versions.
fn seen_is_smaller(steps: &[Step], follow: fn(&mut Stamper, Time, u64) -> bool) -> bool {
    let mut vms: Vec<Stamper> = (0..4).map(Stamper::new).collect();
    let mut walls = [NOW_MS; 4];
    let mut stamps: Vec<Stamp> = Vec::new();
    steps.iter().all(|step| {
        walls[step.vm] = walls[step.vm].saturating_add_signed(step.moves);
        let seen = (!stamps.is_empty()).then(|| stamps[step.sees % stamps.len()]);
        let is_behind =
            seen.is_some_and(|seen| !follow(&mut vms[step.vm], seen.time(), walls[step.vm]));
        let code = CODES[step.vm % 2];
        let marking = vms[step.vm].mark(VERSIONING, code, walls[step.vm], is_behind);
        let stamp = marking.stamp().unwrap();
        stamps.push(stamp);
        let is_told = matches!(marking, Marking::Unsynced(_));
        seen.is_none_or(|seen| seen < stamp || is_told)
    })
}

fn follow(stamper: &mut Stamper, seen: Time, wall_ms: u64) -> bool {
    stamper.observe(VERSIONING, seen, wall_ms)
}

/// What a VM has seen, and the wall clock meanwhile.
fn shown() -> impl Strategy<Value = (Vec<(u64, u16)>, u64)> {
    (prop::collection::vec((any::<u64>(), any::<u16>()), 1..40), NOW_MS..NOW_MS + 10_000)
}

proptest! {
    #[test]
    fn v3_what_a_writer_has_seen_is_smaller(steps in steps()) {
        prop_assert!(seen_is_smaller(&steps, follow));
    }

    #[test]
    fn v4_nothing_raises_a_clock_above_its_bound((seen, wall_ms) in shown()) {
        prop_assert!(stays_within(&seen, wall_ms, follow));
    }

    #[test]
    fn v8_no_concurrent_write_is_missed(history in histories()) {
        prop_assert!(missed(&history, judge_all).is_none());
    }
}

/// Whether the clock stays within its bound whatever it is shown.
fn stays_within(
    seen: &[(u64, u16)],
    wall_ms: u64,
    follow: fn(&mut Stamper, Time, u64) -> bool,
) -> bool {
    let mut stamper = Stamper::new(1);
    seen.iter().all(|(ms, counter)| {
        // Far ones, and ones about the bound.
        let ms = if ms % 2 == 0 { *ms >> 16 } else { wall_ms + ms % 1_000 };
        follow(&mut stamper, Time::new(ms, *counter), wall_ms);
        stamper.time().ms() <= wall_ms + BOUND_MS
    })
}

#[test]
fn v3_notices_clocks_that_do_not_follow() {
    let broken: [fn(&mut Stamper, Time, u64) -> bool; 3] = [
        // Nobody.
        |_, _, _| true,
        // Without what tells the versions of one millisecond from each other.
        |stamper, seen, wall_ms| follow(stamper, Time::new(seen.ms(), 0), wall_ms),
        // Without saying of whom it does not.
        |stamper, seen, wall_ms| {
            follow(stamper, seen, wall_ms);
            true
        },
    ];
    for follow in broken {
        notices(steps(), |steps| seen_is_smaller(&steps, follow));
    }
}

#[test]
fn v4_notices_a_clock_that_follows_everybody() {
    let everybody =
        |stamper: &mut Stamper, seen: Time, _| stamper.observe(VERSIONING, seen, seen.ms());
    notices(shown(), |(seen, wall_ms)| stays_within(&seen, wall_ms, everybody));
}

/// What happens to one thing that is kept in two regions.
#[derive(Debug, Clone)]
enum Happens {
    /// A write in a region, by somebody who has read what was there, or something older.
    Write { region: usize, read: Option<usize> },
    /// What one region holds reaches the other.
    Copied { from: usize },
}

fn histories() -> impl Strategy<Value = Vec<Happens>> {
    let write = (0..2_usize, prop::option::of(any::<usize>()))
        .prop_map(|(region, read)| Happens::Write { region, read });
    let copied = (0..2_usize).prop_map(|from| Happens::Copied { from });
    prop::collection::vec(prop_oneof![write, copied], 1..40)
}

/// A version as an observer who sees everything knows it.
#[derive(Debug, Clone)]
struct Known {
    stamp: Stamp,
    vector: VersionVector,
    /// Every version before it, itself included.
    past: BTreeSet<Stamp>,
}

/// What tells how a write and a version that it meets, with its vector, are in conflict.
type Detector = fn(&Write, Stamp, Option<&VersionVector>) -> Option<Conflict>;

/// The first write that met one of the other region, neither of which had seen the other, and that
/// the detector did not find.
fn missed(history: &[Happens], detect: Detector) -> Option<(Stamp, Stamp)> {
    let mut regions = [Stamper::new(1), Stamper::new(2)];
    let mut held: [Option<Known>; 2] = [None, None];
    let mut written: [BTreeSet<Stamp>; 2] = Default::default();
    let mut all: Vec<Known> = Vec::new();
    for (number, happens) in history.iter().enumerate() {
        // Few enough milliseconds that many writes fall into one, and then a pause that is longer than
        // any window.
        let number = u64::try_from(number).unwrap();
        let wall_ms = NOW_MS + number / 4 + number / 5 * 5_000;
        match happens {
            Happens::Write { region, read } => {
                let base = match read {
                    Some(read) if !all.is_empty() => Some(all[read % all.len()].clone()),
                    _ => held[*region].clone(),
                };
                let marking = regions[*region].mark(VERSIONING, CODES[*region], wall_ms, false);
                let stamp = marking.stamp().unwrap();
                let seen = base.as_ref().map(|base| base.vector);
                let write = Write { stamp, seen };
                // What a region writes is in the order of its versions.
                let mut past = written[*region].clone();
                past.extend(base.iter().flat_map(|base| base.past.iter()));
                past.insert(stamp);
                written[*region].insert(stamp);
                if let (Some(met), Some(_)) = (&held[*region], seen) {
                    let is_other = met.stamp.code() != stamp.code();
                    let is_concurrent =
                        is_other && !past.contains(&met.stamp) && !met.past.contains(&stamp);
                    let found = detect(&write, met.stamp, Some(&met.vector));
                    let is_found = found.map(|found| found.kind) == Some(ConflictKind::Concurrent);
                    if is_concurrent && !is_found {
                        return Some((stamp, met.stamp));
                    }
                }
                let vector = write.vector().unwrap_or_else(|| VersionVector::of(stamp));
                let known = Known { stamp, vector, past };
                all.push(known.clone());
                if held[*region].as_ref().is_none_or(|met| met.stamp < stamp) {
                    held[*region] = Some(known);
                }
            }
            Happens::Copied { from } => {
                let (source, target) = (held[*from].clone(), &mut held[1 - *from]);
                let is_newer =
                    |copy: &Known| target.as_ref().is_none_or(|met| met.stamp < copy.stamp);
                if let Some(copy) = source.filter(is_newer) {
                    *target = Some(copy);
                }
            }
        }
    }
    None
}

fn judge_all(write: &Write, held: Stamp, vector: Option<&VersionVector>) -> Option<Conflict> {
    judge(VERSIONING, write, held, vector)
}

#[test]
fn v8_notices_detectors_that_look_at_too_little() {
    let broken: [Detector; 3] = [
        // As the ADR has it: what is larger is newer.
        |write, held, vector| judge_all(write, held, vector).filter(|_| write.stamp < held),
        // What is far apart is in order.
        |write, held, vector| judge_all(write, held, vector).filter(|found| found.is_ambiguous),
        // It asks nobody what was read: then nothing is certain.
        |write, held, _| judge_all(&Write { seen: None, ..*write }, held, None),
    ];
    for detect in broken {
        notices(histories(), |history| missed(&history, detect).is_none());
    }
}

/// Eight VMs of two proxies, whose wall clocks step, with ticks between them as the module has them.
#[test]
fn a_million_stamps_are_unique_ordered_and_near_or_told() {
    const VMS: usize = 8;
    let mut dice = Dice(42);
    let mut vms: Vec<Stamper> = (0..8).map(|node| Stamper::new(0x1000 + node)).collect();
    let (mut walls, mut last) = ([NOW_MS; VMS], [None::<Stamp>; VMS]);
    let mut all: Vec<Stamp> = Vec::with_capacity(1_000_000);
    let (mut synced, mut unsynced, mut refused) = (0_u32, 0_u32, 0_u32);
    let mut shared = [Time::default(); 2];
    for number in 0..1_000_000_u32 {
        let vm = usize::try_from(dice.roll(8)).unwrap();
        match dice.roll(2_000) {
            // A step, in either direction.
            0 => walls[vm] = walls[vm] + dice.roll(20_000) - 10_000,
            1..200 => walls.iter_mut().for_each(|wall| *wall += 1),
            _ => {}
        }
        if number % 997 == 0 {
            // A tick: the larger of what is shared and what is known, held to the bound.
            let proxy = &mut shared[vm / 4];
            refused += u32::from(!vms[vm].observe(VERSIONING, *proxy, walls[vm]));
            *proxy = (*proxy).max(vms[vm].time());
        }
        let marking = vms[vm].mark(VERSIONING, CODES[vm / 4], walls[vm], false);
        let stamp = marking.stamp().unwrap();
        assert!(Some(stamp) > last[vm], "{stamp} comes after {:?}", last[vm]);
        last[vm] = Some(stamp);
        match marking {
            Marking::Synced(_) => {
                synced += 1;
                assert!(stamp.ms().abs_diff(walls[vm]) <= BOUND_MS, "{stamp} at {}", walls[vm]);
            }
            Marking::Unsynced(_) => {
                unsynced += 1;
                assert!(stamp.ms() > walls[vm] + BOUND_MS, "{stamp} at {}", walls[vm]);
            }
            Marking::Refused => panic!("{stamp} is refused where it is to be marked"),
        }
        all.push(stamp);
    }
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 1_000_000);
    // The clocks have stepped far enough for all of it to happen.
    assert!(
        synced > 100_000 && unsynced > 100_000 && refused > 10,
        "{synced} {unsynced} {refused}"
    );
}

#[test]
fn a_floor_is_followed_or_told() {
    let floor = Time::new(NOW_MS + 300, 7);
    let far = Time::new(NOW_MS + 10_000, 0);
    let mut stamper = Stamper::new(1);
    assert!(stamper.follow(VERSIONING, floor, NOW_MS));
    let stamp = stamper.mark(VERSIONING, CODES[0], NOW_MS, false);
    assert!(matches!(stamp, Marking::Synced(stamp) if stamp.time() > floor), "{stamp:?}");
    // The machine's clock is ten seconds behind what its region has issued.
    assert!(!stamper.follow(VERSIONING, far, NOW_MS));
    for (wall_ms, is_synced) in [
        (NOW_MS + 1, false),
        (NOW_MS + 9_499, false),
        (NOW_MS + 9_500, true),
        (NOW_MS + 20_000, true),
    ] {
        let marking = stamper.mark(VERSIONING, CODES[0], wall_ms, false);
        assert_eq!(matches!(marking, Marking::Synced(_)), is_synced, "{wall_ms}");
    }
}

#[test]
fn a_step_of_the_wall_clock_is_seen() {
    let mut stamper = Stamper::new(1);
    for (wall_ms, monotonic_ms, has_stepped) in [
        (NOW_MS, 1_000, false),
        (NOW_MS + 250, 1_250, false),
        (NOW_MS + 750, 1_500, false),
        (NOW_MS + 1_251, 1_750, true),
        (NOW_MS + 1_501, 2_000, false),
        (NOW_MS - 60_000, 2_250, true),
        (NOW_MS - 59_750, 2_500, false),
    ] {
        assert_eq!(stamper.has_stepped(wall_ms, monotonic_ms), has_stepped, "{wall_ms}");
    }
}
