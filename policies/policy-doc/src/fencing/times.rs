//! `lease`, `health` and `transitions` of a `Fencing`: how leases are granted, lost and moved.

use crate::diagnostic::Sink;
use crate::fields::{Fields, Shape};
use crate::set::{FencingTimes, HealthTimes, TransitionLimits};
use crate::yaml::Entry;
use policy_core::wire::LeaseTimes;
use std::ops::RangeInclusive;

const LEASE: Shape = Shape { what: "`lease`", keys: &["ttl", "renew", "poll"], later: &[] };
const HEALTH: Shape = Shape { what: "`health`", keys: &["interval", "failures"], later: &[] };
const TRANSITIONS: Shape =
    Shape { what: "`transitions`", keys: &["minHold", "maxPerHour", "maxOverride"], later: &[] };

const SECOND_MS: u32 = 1_000;
const HOUR_MS: u32 = 3_600_000;

/// A holder that renews too rarely loses its lease to one answer that is late.
const RENEW_MS_MIN: u32 = 100;
const INTERVAL_MS: RangeInclusive<u32> = SECOND_MS..=HOUR_MS / 6;
const FAILURES: RangeInclusive<u64> = 1..=100;
const MIN_HOLD_MS: RangeInclusive<u32> = 0..=24 * HOUR_MS;
const MAX_PER_HOUR: RangeInclusive<u64> = 1..=60;
const MAX_OVERRIDE_MS: RangeInclusive<u32> = 60 * SECOND_MS..=24 * HOUR_MS;

/// What a `Fencing` says of times.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    /// What proxies go by.
    pub(crate) lease: LeaseTimes,
    /// The rest.
    pub(crate) own: FencingTimes,
}

impl Times {
    /// Reads them. Where nothing is said of it, a short lease is renewed and asked for more often
    /// than others are.
    pub(super) fn decode(fields: &Fields<'_>, sink: &mut Sink) -> Self {
        let mut times = Self { lease: LeaseTimes::default(), own: FencingTimes::default() };
        let open = |key: &str, shape: &Shape, sink: &mut Sink| {
            let entry = fields.get(key)?;
            Fields::open_at(&entry.value, entry.key.span, shape, sink)
        };
        if let Some(lease) = open("lease", &LEASE, sink) {
            times.lease(lease, sink);
        }
        if let Some(health) = open("health", &HEALTH, sink) {
            let HealthTimes { interval_ms, failures } = &mut times.own.health;
            set(interval_ms, duration(health.get("interval"), INTERVAL_MS, sink));
            set(failures, number(health.get("failures"), FAILURES, sink));
        }
        if let Some(limits) = open("transitions", &TRANSITIONS, sink) {
            let TransitionLimits { min_hold_ms, max_per_hour, max_override_ms } =
                &mut times.own.transitions;
            set(min_hold_ms, duration(limits.get("minHold"), MIN_HOLD_MS, sink));
            set(max_per_hour, number(limits.get("maxPerHour"), MAX_PER_HOUR, sink));
            set(max_override_ms, duration(limits.get("maxOverride"), MAX_OVERRIDE_MS, sink));
        }
        times
    }

    fn lease(&mut self, lease: Fields<'_>, sink: &mut Sink) {
        let LeaseTimes { ttl_ms, poll_ms } = &mut self.lease;
        set(ttl_ms, duration(lease.get("ttl"), LeaseTimes::TTL_MS, sink));
        let most = *ttl_ms / 3;
        let renew_ms = &mut self.own.renew_ms;
        *renew_ms = most.min(*renew_ms);
        *poll_ms = most.min(*poll_ms);
        set(renew_ms, duration(lease.get("renew"), RENEW_MS_MIN..=most, sink));
        set(poll_ms, duration(lease.get("poll"), LeaseTimes::POLL_MS_MIN..=most, sink));
    }
}

fn set(slot: &mut u32, value: Option<u32>) {
    *slot = value.unwrap_or(*slot);
}

fn duration(entry: Option<&Entry>, range: RangeInclusive<u32>, sink: &mut Sink) -> Option<u32> {
    let range = u64::from(*range.start())..=u64::from(*range.end());
    entry?.duration_ms(range, sink).and_then(|duration| u32::try_from(duration).ok())
}

fn number(entry: Option<&Entry>, range: RangeInclusive<u64>, sink: &mut Sink) -> Option<u32> {
    let entry = entry?;
    let number = entry.value.number(&entry.what(), range, sink)?;
    u32::try_from(number.value).ok()
}
