//! How many retries are let in while work is shed.

use crate::number::float;
use policy_core::wire;
use std::cell::Cell;

/// How long attempts count, in seconds.
const SPAN_S: usize = 10;

/// The attempts of the last ten seconds of one worker.
///
/// Offered load with a share `q` of retries is `1 + q` times the first attempts; a tenth keeps what
/// retries add below what shedding takes away.
#[derive(Debug, Default)]
pub(crate) struct Retries {
    seconds: [Cell<Second>; SPAN_S],
    /// How many may get in: of a hundred first attempts, and a second in the whole proxy.
    bounds: wire::Retries,
}

#[derive(Debug, Clone, Copy, Default)]
struct Second {
    number: u64,
    firsts: u32,
    retries: u32,
}

impl Retries {
    /// From now on so many may get in.
    pub(crate) fn bound(&mut self, bounds: wire::Retries) {
        self.bounds = bounds;
    }

    /// A first attempt was offered.
    pub(crate) fn on_first(&self, now_ms: u64) {
        self.update(now_ms, |second| second.firsts = second.firsts.saturating_add(1));
    }

    /// A retry got in.
    pub(crate) fn on_retry(&self, now_ms: u64) {
        self.update(now_ms, |second| second.retries = second.retries.saturating_add(1));
    }

    /// Whether one more may get in while work is shed. `workers` share the floor.
    pub(crate) fn has_room(&self, now_ms: u64, workers: u32) -> bool {
        let this = now_ms / 1_000;
        let (mut firsts, mut retries) = (0_u64, 0_u64);
        for second in self.seconds.iter().map(Cell::get) {
            // The ring holds a second that is long past until another one takes its place.
            if this.saturating_sub(second.number) < 10 && second.number <= this {
                firsts = firsts.saturating_add(second.firsts.into());
                retries = retries.saturating_add(second.retries.into());
            }
        }
        let wire::Retries { budget, floor } = self.bounds;
        let floor = match f64::from(floor) * 10.0 / f64::from(workers.max(1)) {
            share if share > 0.0 => share.max(1.0),
            _ => 0.0,
        };
        float(retries) < floor.max((float(firsts) * f64::from(budget) / 100.0).floor())
    }

    fn update(&self, now_ms: u64, change: impl FnOnce(&mut Second)) {
        let number = now_ms / 1_000;
        let place = usize::try_from(number % 10).unwrap_or(0);
        if let Some(cell) = self.seconds.get(place) {
            let mut second = cell.get();
            if second.number != number {
                second = Second { number, ..Second::default() };
            }
            change(&mut second);
            cell.set(second);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retries(budget: u16, floor: u16) -> Retries {
        let mut retries = Retries::default();
        retries.bound(wire::Retries { budget, floor });
        retries
    }

    /// How many of a thousand retries get in.
    fn admitted(retries: &Retries, now_ms: u64, workers: u32) -> usize {
        let ask = || retries.has_room(now_ms, workers).then(|| retries.on_retry(now_ms));
        (0..1_000).filter_map(|_| ask()).count()
    }

    #[test]
    fn the_larger_of_budget_and_floor_gets_in() {
        for (budget, floor, firsts, workers, expected, why) in [
            (10, 0, 100, 1, 10, "ten of a hundred"),
            (10, 0, 99, 1, 9, "whole ones only"),
            (10, 0, 9, 1, 0, "a tenth of nine is none"),
            (10, 0, 0, 1, 0, "nothing of nothing"),
            (0, 0, 1_000, 1, 0, "there is neither"),
            (100, 0, 50, 1, 50, "as many as first attempts"),
            (10, 3, 100, 1, 30, "three a second for ten seconds are more"),
            (10, 3, 500, 1, 50, "a tenth of five hundred is more"),
            (0, 3, 0, 1, 30, "the floor needs no first attempts"),
            (0, 3, 0, 4, 8, "workers share it: 7.5, and who has a part of a place has it"),
            (0, 3, 0, 100, 1, "of a place that many share each has one"),
            (0, 0, 0, 100, 0, "but not of none"),
            (0, 3, 0, 0, 30, "there is always one worker"),
            (10, 3, 100, 4, 10, "the budget is each worker's own"),
        ] {
            let retries = retries(budget, floor);
            (0..firsts).for_each(|_| retries.on_first(5_000));
            assert_eq!(admitted(&retries, 5_000, workers), expected, "{why}");
        }
    }

    #[test]
    fn attempts_count_for_ten_seconds() {
        for (now_ms, expected, why) in [
            (5_000, 10, "the same second"),
            (14_999, 10, "the tenth second"),
            (15_000, 0, "the eleventh, whose place is that of the first"),
            (16_000, 0, "later, with another place"),
            (500_000_000, 0, "a second long past that has its place still"),
            (4_999, 0, "a clock that went back: the attempts are to come"),
        ] {
            let retries = retries(10, 0);
            (0..100).for_each(|_| retries.on_first(5_500));
            assert_eq!(admitted(&retries, now_ms, 1), expected, "at {now_ms}: {why}");
        }
    }

    #[test]
    fn retries_that_got_in_use_the_budget_for_ten_seconds() {
        let retries = retries(0, 1);
        for (now_ms, expected, why) in [
            (0, 10, "ten of one a second"),
            (9_999, 0, "they still count"),
            (10_000, 10, "not any more"),
            (10_000, 0, "those that were refused would count for nothing"),
        ] {
            assert_eq!(admitted(&retries, now_ms, 1), expected, "at {now_ms}: {why}");
        }
    }

    #[test]
    fn those_that_got_in_before_anything_was_shed_count() {
        let retries = retries(10, 0);
        (0..100).for_each(|_| retries.on_first(0));
        (0..50).for_each(|_| retries.on_retry(0));
        assert_eq!(admitted(&retries, 0, 1), 0, "the budget is used up when something is");
    }

    #[test]
    fn others_may_be_said_to_get_in() {
        let mut retries = retries(10, 0);
        (0..100).for_each(|_| retries.on_first(0));
        assert_eq!(admitted(&retries, 0, 1), 10);
        retries.bound(wire::Retries { budget: 20, floor: 0 });
        assert_eq!(admitted(&retries, 0, 1), 10, "twenty, of which ten got in before");
    }
}
