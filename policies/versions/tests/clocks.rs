//! V1, V2, V4 and V7: what versions promise before anything is merged, and that each of these
//! properties notices a clock or a stamp that is broken on purpose.

mod common;

use common::{Found, fails, holds};
use proptest::prelude::*;
use std::collections::BTreeSet;
use versions::{Clock, Stamp, Tick, Time};

const NOW: u64 = 1_800_000_000_000;
const BOUND: u64 = 500;

/// Wall clocks that stand, step and run, up to ten seconds off.
fn wall() -> impl Strategy<Value = u64> {
    prop_oneof![Just(NOW), NOW..NOW + 3, NOW - 10_000..NOW + 10_000]
}

fn walls() -> impl Strategy<Value = Vec<u64>> {
    prop::collection::vec(wall(), 1..40)
}

fn tick(time: Time) -> Tick {
    Tick { ms: time.ms(), counter: time.counter(), ahead_ms: 0 }
}

// === V1: stamps are unique over all VMs and all their lives ===

/// One life of one VM, and the walls at which it stamps.
type Life = (u32, Vec<u64>);

fn lives() -> impl Strategy<Value = Vec<Life>> {
    prop::collection::vec((0..3_u32, walls()), 1..6)
}

/// `life` stamps at these walls, as this life (a number of its own) of this VM.
fn v1_unique(lives: Vec<Life>, life: impl Fn(u32, u32, &[u64]) -> Vec<Stamp>) -> Found {
    let mut seen = BTreeSet::new();
    for (number, (vm, walls)) in (0..).zip(lives) {
        for stamp in life(vm, number, &walls) {
            if !seen.insert(stamp) {
                return Err(format!("{stamp} twice, at last by VM {vm} in life {number}"));
            }
        }
    }
    Ok(())
}

/// `walls` as a VM of this node stamps them.
fn stamped(node: u32, walls: &[u64]) -> Vec<Stamp> {
    let mut clock = Clock::default();
    walls.iter().map(|wall| Stamp::new(clock.tick(*wall), *b"tpe", node)).collect()
}

#[test]
fn v1_stamps_are_unique_over_vms_and_lives() {
    // A node number is random; here it is one that nothing else has.
    holds(lives(), |lives| v1_unique(lives, |_, life, walls| stamped(life, walls)));
}

#[test]
fn v1_notices_a_node_that_outlives_its_clock() {
    fails(lives(), |lives| v1_unique(lives, |vm, _, walls| stamped(vm, walls)));
}

#[test]
fn v1_notices_a_clock_without_a_counter() {
    let stamped = |_, life, walls: &[u64]| {
        walls.iter().map(|ms| Stamp::new(tick(Time::new(*ms, 0)), *b"tpe", life)).collect()
    };
    fails(lives(), |lives| v1_unique(lives, stamped));
}

// === V2: the stamps of one VM are strictly increasing ===

/// Where a clock stands before its first tick, so that counters run over too.
fn start() -> impl Strategy<Value = Time> {
    (NOW - 2..NOW + 2, prop_oneof![Just(0), u16::MAX - 3..=u16::MAX])
        .prop_map(|(ms, counter)| Time::new(ms, counter))
}

/// `next` is the time after the last one at this wall.
fn v2_increasing((start, walls): (Time, Vec<u64>), next: impl Fn(Time, u64) -> Time) -> Found {
    let mut last = start;
    for wall in walls {
        let time = next(last, wall);
        if time <= last {
            return Err(format!("{time:?} after {last:?} at {wall}"));
        }
        last = time;
    }
    Ok(())
}

#[test]
fn v2_stamps_of_a_vm_increase() {
    holds((start(), walls()), |input| {
        v2_increasing(input, |last, wall| {
            let mut clock = Clock::default();
            clock.merge(last, wall, u64::MAX).expect("there is no bound");
            clock.tick(wall).time()
        })
    });
}

#[test]
fn v2_notices_broken_clocks() {
    let broken: [fn(Time, u64) -> Time; 3] = [
        // The wall clock alone.
        |_, wall| Time::new(wall, 0),
        // The largest wall clock, without a counter.
        |last, wall| Time::new(wall.max(last.ms()), 0),
        // A counter that wraps.
        |last, wall| {
            let counter = if wall > last.ms() { 0 } else { last.counter().wrapping_add(1) };
            Time::new(wall.max(last.ms()), counter)
        },
    ];
    for next in broken {
        fails((start(), walls()), |input| v2_increasing(input, next));
    }
}

// === V4: a clock is at most the bound ahead of the wall clock, or it is refused or told ===

/// What happens to a clock at a wall time.
#[derive(Debug, Clone, Copy)]
enum Event {
    Tick(u64),
    Merge(Time, u64),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        wall().prop_map(Event::Tick),
        (wall(), any::<u16>(), wall())
            .prop_map(|(ms, counter, wall)| Event::Merge(Time::new(ms, counter), wall)),
        // What nobody honest sends.
        (0..u64::MAX, any::<u16>(), wall())
            .prop_map(|(ms, counter, wall)| Event::Merge(Time::new(ms, counter), wall)),
    ];
    prop::collection::vec(event, 1..40)
}

fn v4_bounded(
    events: Vec<Event>,
    tick: impl Fn(&mut Clock, u64) -> Tick,
    merge: impl Fn(&mut Clock, Time, u64) -> bool,
) -> Found {
    let mut clock = Clock::default();
    for event in events {
        let before = clock.time();
        match event {
            Event::Tick(wall) => {
                let tick = tick(&mut clock, wall);
                let ahead = tick.ms.saturating_sub(wall);
                if ahead > BOUND && tick.ahead_ms <= BOUND {
                    return Err(format!("{ahead} ms ahead at {wall}, and nobody is told"));
                }
            }
            Event::Merge(seen, wall) => {
                let taken = merge(&mut clock, seen, wall);
                let ahead = seen.ms().saturating_sub(wall);
                match taken {
                    true if ahead > BOUND => return Err(format!("{seen:?} was merged at {wall}")),
                    false if ahead <= BOUND => return Err(format!("{seen:?} is refused")),
                    false if clock.time() != before => {
                        return Err(format!("{seen:?} was refused and changed the clock"));
                    }
                    true if clock.time() < seen => return Err(format!("{seen:?} is forgotten")),
                    _ => {}
                }
            }
        }
        if clock.time() < before {
            return Err(format!("from {before:?} back to {:?}", clock.time()));
        }
    }
    Ok(())
}

fn merged(clock: &mut Clock, seen: Time, wall: u64) -> bool {
    clock.merge(seen, wall, BOUND).is_ok()
}

#[test]
fn v4_ahead_is_bounded_or_refused_or_told() {
    holds(events(), |events| v4_bounded(events, Clock::tick, merged));
}

#[test]
fn v4_notices_a_clock_that_believes_everyone() {
    let believe = |clock: &mut Clock, seen, wall| clock.merge(seen, wall, u64::MAX).is_ok();
    fails(events(), |events| v4_bounded(events, Clock::tick, believe));
}

#[test]
fn v4_notices_a_clock_that_merges_what_it_refuses() {
    let half = |clock: &mut Clock, seen, wall| {
        let taken = merged(clock, seen, wall);
        clock.merge(seen.min(Time::new(wall + 10_000, 0)), wall, u64::MAX).expect("no bound");
        taken
    };
    fails(events(), |events| v4_bounded(events, Clock::tick, half));
}

#[test]
fn v4_notices_a_clock_that_tells_nobody() {
    let silent = |clock: &mut Clock, wall| Tick { ahead_ms: 0, ..clock.tick(wall) };
    fails(events(), |events| v4_bounded(events, silent, merged));
}

// === V7: the order of the texts is the order of the versions ===

type Parts = (u64, u16, [u8; 3], u32);

fn parts() -> impl Strategy<Value = Parts> {
    let code = prop::array::uniform3(b'a'..=b'z');
    let ms = prop_oneof![0..20_u64, NOW..NOW + 20, 0..1_u64 << 48];
    let counter = prop_oneof![0..20_u16, any::<u16>()];
    (ms, counter, code, prop_oneof![0..20_u32, any::<u32>()])
}

/// Pairs that differ late as well as early.
fn pairs() -> impl Strategy<Value = (Parts, Parts)> {
    (parts(), parts(), 0..4_u8).prop_map(|(left, other, same)| {
        let (mut ms, mut counter, mut code, node) = other;
        if same > 0 {
            ms = left.0;
        }
        if same > 1 {
            counter = left.1;
        }
        if same > 2 {
            code = left.2;
        }
        (left, (ms, counter, code, node))
    })
}

fn v7_same_order((left, right): (Parts, Parts), text: impl Fn(Parts) -> String) -> Found {
    let (left_text, right_text) = (text(left), text(right));
    if left_text.as_bytes().cmp(right_text.as_bytes()) == left.cmp(&right) {
        Ok(())
    } else {
        Err(format!("{left_text} and {right_text}"))
    }
}

#[test]
fn v7_texts_sort_as_versions_do() {
    let stamp =
        |(ms, counter, code, node): Parts| Stamp::new(tick(Time::new(ms, counter)), code, node);
    let text = |parts: Parts| stamp(parts).to_string();
    // And versions as their parts.
    holds(pairs(), |(left, right)| {
        let (one, other) = (stamp(left), stamp(right));
        if one.cmp(&other) == left.cmp(&right) { Ok(()) } else { Err(format!("{one} and {other}")) }
    });
    holds(pairs(), |pair| v7_same_order(pair, text));
    holds(pairs(), |pair| {
        v7_same_order(pair, |parts| {
            let stamp = Stamp::parse(text(parts).as_bytes()).expect("it was written by us");
            assert_eq!(parts, (stamp.ms(), stamp.counter(), stamp.code(), stamp.node()));
            stamp.to_string()
        })
    });
}

#[test]
fn v7_notices_broken_texts() {
    let broken: [fn(Parts) -> String; 4] = [
        // Hexadecimal without its zeros.
        |(ms, counter, code, node)| {
            format!("{ms:x}{counter:x}-{}-{node:x}", String::from_utf8_lossy(&code))
        },
        // Decimal.
        |(ms, counter, code, node)| {
            format!("{ms}.{counter}-{}-{node}", String::from_utf8_lossy(&code))
        },
        // The region first.
        |(ms, counter, code, node)| {
            format!("{}-{ms:012x}{counter:04x}-{node:08x}", String::from_utf8_lossy(&code))
        },
        // Digits of both cases, as writers in two languages have them.
        |(ms, counter, code, node)| {
            let time = format!("{ms:012x}{counter:04x}");
            let time = if node % 2 == 0 { time } else { time.to_uppercase() };
            format!("{time}-{}-{node:08x}", String::from_utf8_lossy(&code))
        },
    ];
    for text in broken {
        fails(pairs(), |pair| v7_same_order(pair, text));
    }
}
