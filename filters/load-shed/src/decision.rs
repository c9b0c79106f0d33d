//! What the workers of a proxy do alike: the limit, and what of the work is let go.
//!
//! One worker decides, the one that has had requests of the pool for longest, and the others do as it
//! says. Were each to reckon for itself, they would look at different moments, and as limit and ratio
//! are sums of all that was ever seen, they would end up apart. Each repeats in its own report what
//! it last did, so that whoever comes next to decide, after the first is gone or silent for a second,
//! goes on from there; a worker that has just started knows nothing and is never the one beside others.

use crate::control::{LIMIT_MAX, RATIO_MAX};
use crate::number::bounded;
use crate::report::Input;

/// A duration as large as any that is believed, in milliseconds.
const MS_MAX: f64 = 3_600_000.0;
/// A rate as large as any that is believed, in requests a second; a number in flight likewise.
const RATE_MAX: f64 = 1e9;

/// What holds until the next decision, and what that one needs to follow it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Decision {
    /// When it was made, by the monotonic clock of the proxy; and by whom.
    pub(crate) at_ms: u64,
    pub(crate) node: u32,
    /// How many may be in flight in the whole proxy.
    pub(crate) limit: f64,
    /// How long requests take that have not to wait; zero where that is not known yet.
    pub(crate) base_ms: f64,
    /// How far the long ones of those lie from the short ones.
    pub(crate) spread_ms: f64,
    /// How long they take now.
    pub(crate) smooth_ms: f64,
    /// The share of work that has to go.
    pub(crate) ratio: f64,
    /// Requests offered a second.
    pub(crate) offered: f64,
    /// Requests served a second while no more could be; zero where that never was.
    pub(crate) capacity: f64,
    /// The largest mean in flight of a window of the last one to two minutes: whoever adopts a decision
    /// begins to count anew.
    pub(crate) peak: f64,
    /// How many keys are let in.
    pub(crate) threshold: f64,
    /// For how many windows the limit has been at its least with requests still waiting.
    pub(crate) strained: u8,
}

impl Decision {
    /// Which of two decisions holds: the later one, of two at once either, but everywhere the same.
    pub(crate) fn order(&self) -> (u64, u32) {
        (self.at_ms, self.node)
    }

    /// The same within what others believe, whatever it was made from: a worker whose report is none
    /// would be taken for silent, and its place for free.
    pub(crate) const fn believable(self) -> Self {
        Self {
            limit: bounded(self.limit, 1.0, LIMIT_MAX),
            base_ms: bounded(self.base_ms, 0.0, MS_MAX),
            spread_ms: bounded(self.spread_ms, 0.0, MS_MAX),
            smooth_ms: bounded(self.smooth_ms, 0.0, MS_MAX),
            ratio: bounded(self.ratio, 0.0, RATIO_MAX),
            offered: bounded(self.offered, 0.0, RATE_MAX),
            capacity: bounded(self.capacity, 0.0, RATE_MAX),
            peak: bounded(self.peak, 0.0, RATE_MAX),
            threshold: bounded(self.threshold, 0.0, 256.0),
            ..self
        }
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let Self { at_ms, node, limit, base_ms, spread_ms, smooth_ms, ratio, .. } = *self;
        let Self { offered, capacity, peak, threshold, strained, .. } = *self;
        out.extend(at_ms.to_le_bytes());
        out.extend(node.to_le_bytes());
        for number in
            [limit, base_ms, spread_ms, smooth_ms, ratio, offered, capacity, peak, threshold]
        {
            out.extend(number.to_le_bytes());
        }
        out.push(strained);
    }

    pub(crate) fn read(input: &mut Input<'_>) -> Option<Self> {
        Some(Self {
            at_ms: input.u64()?,
            node: input.u32()?,
            limit: input.number(1.0, LIMIT_MAX)?,
            base_ms: input.number(0.0, MS_MAX)?,
            spread_ms: input.number(0.0, MS_MAX)?,
            smooth_ms: input.number(0.0, MS_MAX)?,
            ratio: input.number(0.0, RATIO_MAX)?,
            offered: input.number(0.0, RATE_MAX)?,
            capacity: input.number(0.0, RATE_MAX)?,
            peak: input.number(0.0, RATE_MAX)?,
            threshold: input.number(0.0, 256.0)?,
            strained: input.u8()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DECISION: Decision = Decision {
        at_ms: 12_345,
        node: 7,
        limit: 40.5,
        base_ms: 20.25,
        spread_ms: 10.125,
        smooth_ms: 30.5,
        ratio: 0.25,
        offered: 1_200.5,
        capacity: 900.25,
        peak: 55.5,
        threshold: 130.75,
        strained: 3,
    };

    fn bytes(decision: &Decision) -> Vec<u8> {
        let mut out = Vec::new();
        decision.write(&mut out);
        out
    }

    fn read(bytes: &[u8]) -> Option<Decision> {
        Decision::read(&mut Input(bytes))
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        assert_eq!(read(&bytes(&DECISION)), Some(DECISION));
        let least = Decision {
            at_ms: 0,
            node: 0,
            limit: 1.0,
            base_ms: 0.0,
            spread_ms: 0.0,
            smooth_ms: 0.0,
            ratio: 0.0,
            offered: 0.0,
            capacity: 0.0,
            peak: 0.0,
            threshold: 0.0,
            strained: 0,
        };
        assert_eq!(read(&bytes(&least)), Some(least));
        let most = Decision {
            at_ms: u64::MAX,
            node: u32::MAX,
            limit: LIMIT_MAX,
            base_ms: MS_MAX,
            spread_ms: MS_MAX,
            smooth_ms: MS_MAX,
            ratio: RATIO_MAX,
            offered: RATE_MAX,
            capacity: RATE_MAX,
            peak: RATE_MAX,
            threshold: 256.0,
            strained: u8::MAX,
        };
        assert_eq!(read(&bytes(&most)), Some(most));
    }

    #[test]
    fn a_part_of_one_is_none() {
        let whole = bytes(&DECISION);
        for length in 0..whole.len() {
            assert_eq!(read(&whole[..length]), None, "{length} bytes");
        }
    }

    #[test]
    fn what_cannot_be_is_not_believed() {
        let more = |value: f64| value.next_up();
        let forged = |name, change: fn(&mut Decision, f64), values: [f64; 2]| {
            let never = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
            for value in values.into_iter().chain(never) {
                let mut decision = DECISION;
                change(&mut decision, value);
                assert_eq!(read(&bytes(&decision)), None, "{name} {value}");
            }
        };
        forged("limit", |decision, value| decision.limit = value, [0.999, more(LIMIT_MAX)]);
        forged("base", |decision, value| decision.base_ms = value, [-0.001, more(MS_MAX)]);
        forged("spread", |decision, value| decision.spread_ms = value, [-0.001, more(MS_MAX)]);
        forged("smooth", |decision, value| decision.smooth_ms = value, [-0.001, more(MS_MAX)]);
        forged("ratio", |decision, value| decision.ratio = value, [-0.001, more(RATIO_MAX)]);
        forged("offered", |decision, value| decision.offered = value, [-0.001, more(RATE_MAX)]);
        forged("capacity", |decision, value| decision.capacity = value, [-0.001, more(RATE_MAX)]);
        forged("peak", |decision, value| decision.peak = value, [-0.001, more(RATE_MAX)]);
        forged("threshold", |decision, value| decision.threshold = value, [-0.001, more(256.0)]);
    }

    #[test]
    fn what_is_made_believable_can_be_read() {
        assert_eq!(DECISION.believable(), DECISION);
        for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 1e300] {
            let odd = Decision {
                at_ms: 12_345,
                node: 7,
                limit: number,
                base_ms: number,
                spread_ms: number,
                smooth_ms: number,
                ratio: number,
                offered: number,
                capacity: number,
                peak: number,
                threshold: number,
                strained: 3,
            };
            let believable = odd.believable();
            assert_eq!(read(&bytes(&believable)), Some(believable), "{number}");
        }
    }

    #[test]
    fn the_later_one_holds_and_of_two_at_once_the_same_everywhere() {
        let of = |at_ms, node| Decision { at_ms, node, ..DECISION };
        for (holds, other, why) in [
            (of(2, 1), of(1, 9), "it is later, whoever made it"),
            (of(2, 9), of(2, 1), "of two at once that of the larger number"),
        ] {
            assert!(holds.order() > other.order(), "{why}");
        }
        assert_eq!(of(2, 9).order(), Decision { limit: 1.0, ..of(2, 9) }.order());
    }
}
