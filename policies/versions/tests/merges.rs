//! V5: whatever is delivered to two regions, in any order and any number of times, they end with
//! the same state; and the state is what the merge says it is. Each property is shown to notice a
//! merge that is broken on purpose.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a story that cannot be played fails the test"
)]

mod common;

use common::{Found, fails, holds};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use versions::merge::{Cart, Register, Reviews, Stock};
use versions::{Causality, Clock, Stamp, Tick, VersionVector};

const NOW: u64 = 1_800_000_000_000;

/// A merge that may be broken.
type Merge<S> = fn(&mut S, S);

// === delivery ===

/// To which region something is delivered, and what: one of the copies, or the other region's own.
type Delivery = (bool, Option<prop::sample::Index>);

/// How copies come to two regions.
#[derive(Debug, Clone)]
struct Deliveries {
    first: Vec<Delivery>,
    /// Then each region gets every copy, in an order of its own.
    orders: [Vec<prop::sample::Index>; 2],
}

fn deliveries() -> impl Strategy<Value = Deliveries> {
    let delivery = (any::<bool>(), prop::option::of(any::<prop::sample::Index>()));
    let order = || prop::collection::vec(any::<prop::sample::Index>(), 40);
    (prop::collection::vec(delivery, 0..10), [order(), order()])
        .prop_map(|(first, orders)| Deliveries { first, orders })
}

/// `count` numbers in the order that these indices say.
fn order(count: usize, indices: &[prop::sample::Index]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    for (place, index) in (0..count).zip(indices.iter().cycle()) {
        order.swap(place, index.index(count));
    }
    order
}

/// Delivers copies to two regions and gives back what these have in the end.
fn v5_converges<S: Clone + PartialEq + Debug>(
    copies: &[S],
    deliveries: &Deliveries,
    merge: impl Fn(&mut S, S),
) -> Result<S, String> {
    let orders = deliveries.orders.each_ref().map(|indices| order(copies.len(), indices));
    let mut regions = orders.each_ref().map(|order| copies[order[0]].clone());
    for (to_second, what) in &deliveries.first {
        let what = match what {
            Some(index) => index.get(copies).clone(),
            None => regions[usize::from(!to_second)].clone(),
        };
        merge(&mut regions[usize::from(*to_second)], what);
    }
    for (region, order) in regions.iter_mut().zip(orders) {
        for number in order {
            merge(region, copies[number].clone());
        }
    }
    let [here, there] = regions;
    if here == there { Ok(here) } else { Err(format!("{here:?}\nand\n{there:?}")) }
}

fn same<T: PartialEq + Debug>(found: &T, expected: &T) -> Found {
    if found == expected { Ok(()) } else { Err(format!("{found:?} instead of {expected:?}")) }
}

// === writes ===

/// Versions of two regions whose clocks are up to ten seconds apart, with ties in everything.
fn versions() -> impl Strategy<Value = Stamp> {
    let ms = prop_oneof![NOW..NOW + 3, Just(NOW - 10_000), Just(NOW + 10_000)];
    let code = prop_oneof![Just(*b"tpe"), Just(*b"tyo")];
    (ms, 0..2_u16, code, 1..3_u32).prop_map(|(ms, counter, code, node)| {
        Stamp::new(Tick { ms, counter, ahead_ms: 0 }, code, node)
    })
}

/// What happens in two regions: a write in the one or the other, or one of them hears of the other.
#[derive(Debug, Clone, Copy)]
enum Step {
    Write { region: usize, what: What, item: u8, quantity: u32, passes_ms: u64 },
    Hear { region: usize },
}

#[derive(Debug, Clone, Copy)]
enum What {
    Add,
    Remove,
    Set,
}

/// How far the clocks of the two regions are off, and what happens there.
type Story = ([i64; 2], Vec<Step>);

fn story() -> impl Strategy<Value = Story> {
    let what = prop_oneof![Just(What::Add), Just(What::Remove), Just(What::Set)];
    let step = prop_oneof![
        3 => (0..2_usize, what, 0..3_u8, 0..4_u32, 0..2_u64).prop_map(
            |(region, what, item, quantity, passes_ms)| Step::Write {
                region, what, item, quantity, passes_ms,
            },
        ),
        1 => (0..2_usize).prop_map(|region| Step::Hear { region }),
    ];
    ([-10_000..10_000_i64, -10_000..10_000_i64], prop::collection::vec(step, 1..12))
}

/// Plays a story and gives back what each region had after each step. `write` also sees with which
/// version.
fn play<S: Clone + Default>(
    (skews, steps): Story,
    mut write: impl FnMut(&mut S, (What, u8, u32), Stamp),
    merge: impl Fn(&mut S, S),
) -> Vec<S> {
    let mut regions = [S::default(), S::default()];
    let mut clocks = [Clock::default(); 2];
    let mut now = NOW;
    let mut copies = vec![S::default()];
    for step in steps {
        let region = match step {
            Step::Write { region, what, item, quantity, passes_ms } => {
                now += passes_ms;
                let tick = clocks[region].tick(now.checked_add_signed(skews[region]).unwrap());
                let version = Stamp::new(tick, [*b"tpe", *b"tyo"][region], 1);
                write(&mut regions[region], (what, item, quantity), version);
                region
            }
            Step::Hear { region } => {
                let other = regions[1 - region].clone();
                merge(&mut regions[region], other);
                region
            }
        };
        copies.push(regions[region].clone());
    }
    copies
}

// === the register ===

/// A version and a value.
type Write = (Stamp, u8);

fn registers() -> impl Strategy<Value = (Vec<Write>, Deliveries)> {
    (prop::collection::vec((versions(), 0..3_u8), 1..12), deliveries())
}

#[test]
fn v5_registers_converge_to_the_last_write() {
    holds(registers(), |(writes, deliveries)| {
        let copies: Vec<_> = writes.iter().map(|(at, value)| Register::new(*at, *value)).collect();
        let end = v5_converges(&copies, &deliveries, Register::merge)?;
        same(&(end.version(), *end.value()), writes.iter().max().unwrap())
    });
}

#[test]
fn v5_notices_broken_registers() {
    let broken: [Merge<Write>; 4] = [
        // By milliseconds alone, as ADR-037 has it: of two in one millisecond each region keeps
        // the one that it has.
        |own, other| {
            if other.0.ms() > own.0.ms() {
                *own = other;
            }
        },
        // The same, and the other one wins.
        |own, other| {
            if other.0.ms() >= own.0.ms() {
                *own = other;
            }
        },
        // By the version alone, where two writes have one.
        |own, other| {
            if other.0 > own.0 {
                *own = other;
            }
        },
        // What comes last.
        |own, other| *own = other,
    ];
    for merge in broken {
        fails(registers(), |(copies, deliveries)| {
            v5_converges(&copies, &deliveries, merge).map(drop)
        });
    }
}

// === the cart ===

/// What is there of each item under each version, by the rule itself: what some copy has, and no
/// copy has removed.
#[derive(Debug, Clone, Default)]
struct Put {
    all: BTreeMap<(u8, Stamp), u32>,
    removed: BTreeSet<(u8, Stamp)>,
}

impl Put {
    fn items(&self) -> Vec<(u8, u64)> {
        let mut items = BTreeMap::new();
        for ((item, version), quantity) in &self.all {
            if !self.removed.contains(&(*item, *version)) {
                *items.entry(*item).or_insert(0) += u64::from(*quantity);
            }
        }
        items.into_iter().filter(|(_, quantity)| *quantity > 0).collect()
    }
}

/// A cart, and beside it what each write means.
type Both = (Cart<u8>, Put);

fn write_cart((cart, put): &mut Both, (what, item, quantity): (What, u8, u32), version: Stamp) {
    let seen: Vec<_> = put.all.keys().filter(|(found, _)| *found == item).copied().collect();
    match what {
        What::Add => cart.add(item, quantity, version),
        What::Remove => cart.remove(&item),
        What::Set => cart.set_quantity(item, quantity, version),
    }
    if !matches!(what, What::Add) {
        put.removed.extend(seen);
    }
    if !matches!(what, What::Remove) {
        put.all.insert((item, version), quantity);
    }
}

fn merge_both((cart, put): &mut Both, (other, other_put): Both) {
    cart.merge(other);
    put.all.extend(other_put.all);
    put.removed.extend(other_put.removed);
}

/// Every copy of a story, delivered: one cart everywhere, with what the rule says.
fn v5_carts(
    (story, deliveries): (Story, Deliveries),
    merge: impl Fn(&mut Cart<u8>, Cart<u8>),
) -> Found {
    let copies = play(story, write_cart, merge_both);
    let carts: Vec<Cart<u8>> = copies.iter().map(|(cart, _)| cart.clone()).collect();
    let end = v5_converges(&carts, &deliveries, &merge)?;
    let mut all = Both::default();
    for copy in copies {
        merge_both(&mut all, copy);
    }
    same(&end.items().map(|(item, quantity)| (*item, quantity)).collect(), &all.1.items())?;
    same(&Cart::checkout(carts), &end)
}

#[test]
fn v5_carts_converge_to_what_was_put_in_and_not_removed() {
    holds((story(), deliveries()), |input| v5_carts(input, Cart::merge));
}

#[test]
fn v5_notices_broken_carts() {
    let broken: [Merge<Cart<u8>>; 3] = [
        // The whole cart of whoever comes last.
        |own, other| *own = other,
        // The fuller one.
        |own, other| {
            if other.items().count() > own.items().count() {
                *own = other;
            }
        },
        // No memory of what was removed: another copy brings it back.
        |own, other| {
            own.merge(other);
            own.forget(versions::Time::MAX);
        },
    ];
    for merge in broken {
        fails((story(), deliveries()), |input| v5_carts(input, merge));
    }
    // Quantities without versions: a second delivery counts twice.
    let add_up = |own: &mut BTreeMap<u8, u64>, other: BTreeMap<u8, u64>| {
        for (item, quantity) in other {
            *own.entry(item).or_default() += quantity;
        }
    };
    fails((story(), deliveries()), |(story, deliveries)| {
        let copies = play(story, write_cart, merge_both);
        let copies: Vec<BTreeMap<u8, u64>> =
            copies.iter().map(|(_, put)| put.items().into_iter().collect()).collect();
        v5_converges(&copies, &deliveries, add_up).map(drop)
    });
}

// === the stock ===

/// Every write of a story, with what its writer had seen.
type Writes = Vec<(Stamp, u64, VersionVector)>;

fn write_stock(stock: &mut Stock, quantity: u32, version: Stamp, writes: &mut Writes) {
    let mut seen = stock.seen().unwrap();
    stock.write(u64::from(quantity), version).unwrap();
    assert!(seen.observe(version));
    writes.push((version, u64::from(quantity), seen));
}

/// Every copy of a story, delivered: one stock everywhere, with the writes that nobody has seen,
/// and each write that gave way unseen in the log.
fn v5_stocks((story, deliveries): (Story, Deliveries), merge: impl Fn(&mut Stock, Stock)) -> Found {
    let mut writes = Vec::new();
    let copies = play(
        story,
        |stock: &mut Stock, (_, _, quantity), version| {
            write_stock(stock, quantity, version, &mut writes);
        },
        Stock::merge,
    );
    let end = v5_converges(&copies, &deliveries, merge)?;
    let is_unseen = |write: &&(Stamp, u64, VersionVector)| {
        writes.iter().all(|other| other.2.compare(&write.2) != Causality::After)
    };
    let expected: BTreeSet<_> =
        writes.iter().filter(is_unseen).map(|write| (write.0, write.1)).collect();
    same(&end.siblings().collect(), &expected)?;
    same(&end.quantity(), &expected.iter().map(|(_, quantity)| *quantity).min())?;
    for conflict in end.conflicts() {
        let least = conflict.writes.iter().map(|(_, quantity)| *quantity).min();
        same(&Some(conflict.quantity), &least)?;
        same(
            &(conflict.settled_by.is_none()),
            &(conflict.writes == Vec::from_iter(expected.clone())),
        )?;
    }
    same(&end.conflicts().any(|conflict| conflict.settled_by.is_none()), &(expected.len() > 1))
}

#[test]
fn v5_stocks_converge_to_what_nobody_has_seen_all_of() {
    holds((story(), deliveries()), |input| v5_stocks(input, Stock::merge));
}

#[test]
fn v5_notices_broken_stocks() {
    let broken: [Merge<Stock>; 2] = [
        // What comes last.
        |own, other| *own = other,
        // By the newest version: what was concurrent is lost.
        |own, other| {
            let newest = |stock: &Stock| stock.siblings().map(|(version, _)| version).max();
            if newest(&other) > newest(own) {
                *own = other;
            }
        },
    ];
    for merge in broken {
        fails((story(), deliveries()), |input| v5_stocks(input, merge));
    }
    // The minimum of all that is close together, the newer of what is not: a guess in the place
    // of causality depends on the order.
    let guess = |own: &mut (Stamp, u8), other: (Stamp, u8)| {
        *own = if own.0.ms().abs_diff(other.0.ms()) < 10_002 {
            (own.0.max(other.0), own.1.min(other.1))
        } else {
            (*own).max(other)
        };
    };
    fails(registers(), |(copies, deliveries)| v5_converges(&copies, &deliveries, guess).map(drop));
}

#[test]
fn v5_a_restocked_product_has_more() {
    // The minimum of all there ever was, as ADR-037 has it, converges too, and never grows again.
    let version = |ms, code| Stamp::new(Tick { ms, counter: 0, ahead_ms: 0 }, code, 1);
    let mut taiwan = Stock::new();
    taiwan.write(3, version(1, *b"tpe")).unwrap();
    let mut tokyo = taiwan.clone();
    tokyo.write(100, version(2, *b"tyo")).unwrap();
    let old = taiwan.clone();
    taiwan.merge(tokyo);
    taiwan.merge(old);
    assert_eq!(taiwan.quantity(), Some(100));
    assert_eq!(taiwan.conflicts().count(), 0);
}

// === reviews ===

fn reviews() -> impl Strategy<Value = (Vec<Write>, Deliveries)> {
    registers()
}

#[test]
fn v5_reviews_converge_to_all_of_them() {
    holds(reviews(), |(writes, deliveries)| {
        // Each copy has two of them.
        let copies: Vec<_> = writes
            .iter()
            .zip(writes.iter().cycle().skip(1))
            .map(|(one, two)| {
                let mut copy = Reviews::new();
                for (version, text) in [one, two] {
                    copy.append(*version, *text);
                }
                copy
            })
            .collect();
        let end = v5_converges(&copies, &deliveries, Reviews::merge)?;
        // Where two have one version, which must not be, the larger.
        let expected: BTreeMap<Stamp, u8> = BTreeSet::from_iter(writes).into_iter().collect();
        same(&end.iter().map(|(version, text)| (version, *text)).collect(), &expected)
    });
}

#[test]
fn v5_notices_broken_reviews() {
    let broken: [Merge<Vec<Write>>; 2] = [
        // Appended as it comes.
        |own, other| own.extend(other),
        // Each once, in the order in which it came.
        |own, other| {
            for review in other {
                if !own.contains(&review) {
                    own.push(review);
                }
            }
        },
    ];
    for merge in broken {
        fails(reviews(), |(writes, deliveries)| {
            let copies: Vec<_> = writes.into_iter().map(|write| vec![write]).collect();
            v5_converges(&copies, &deliveries, merge).map(drop)
        });
    }
}
