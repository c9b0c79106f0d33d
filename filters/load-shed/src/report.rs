//! What a worker tells the others of its proxy, and its form in what they share.
//!
//! One report a worker, of all pools whose limit follows something. Counts go up for ever and whoever
//! reads takes differences over windows of its own, so that nobody has to agree on when a window
//! begins and a report that is missed loses nothing.

use crate::counters::Counts;
use crate::decision::Decision;
use crate::key::BUCKETS;
use crate::spread::CLASSES;

/// The first byte of a report.
const FORM: u8 = 1;
/// How many pools a report tells of at most.
pub(crate) const POOLS_MAX: usize = 64;
/// How old a report may be, in milliseconds.
pub(crate) const FRESH_MS: u64 = 1_000;

/// What one worker has counted, at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Whose it is.
    pub(crate) node: u32,
    /// When it was made, by the monotonic clock of the proxy.
    pub(crate) at_ms: u64,
    pub(crate) pools: Vec<PoolReport>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PoolReport {
    /// Which pool it is: of what name, limit and baseline.
    pub(crate) pool: u64,
    /// When this worker had the first request of it.
    pub(crate) born_ms: u64,
    pub(crate) in_flight: u32,
    /// How loaded upstreams have said that they are, in thousandths; zero where none did.
    pub(crate) utilisation: u16,
    pub(crate) counts: Counts,
    pub(crate) decision: Option<Decision>,
}

impl Report {
    /// The node number of the worker that it is of.
    pub const fn node(&self) -> u32 {
        self.node
    }

    /// Whether it is of a worker that has said nothing for so long.
    pub const fn is_abandoned(&self, now_ms: u64, after_ms: u64) -> bool {
        now_ms.saturating_sub(self.at_ms) > after_ms
    }

    /// Whether it says how things are now. What is from the future is no report of this proxy.
    pub(crate) const fn is_fresh(&self, now_ms: u64) -> bool {
        self.at_ms <= now_ms && now_ms.saturating_sub(self.at_ms) <= FRESH_MS
    }

    pub(crate) fn pool(&self, pool: u64) -> Option<&PoolReport> {
        self.pools.iter().find(|report| report.pool == pool)
    }

    /// The form in which workers share it.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        out.push(FORM);
        out.extend(self.node.to_le_bytes());
        out.extend(self.at_ms.to_le_bytes());
        let pools = self.pools.get(..POOLS_MAX).unwrap_or(&self.pools);
        out.push(u8::try_from(pools.len()).unwrap_or(u8::MAX));
        for pool in pools {
            pool.write(&mut out);
        }
        out
    }

    /// Reads that form. Nothing where anything in it cannot be, or something follows.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut input = Input(bytes);
        if input.u8()? != FORM {
            return None;
        }
        let (node, at_ms) = (input.u32()?, input.u64()?);
        let count = usize::from(input.u8()?);
        if count > POOLS_MAX {
            return None;
        }
        let pools = (0..count).map(|_| PoolReport::read(&mut input, at_ms));
        let pools = pools.collect::<Option<Vec<_>>>()?;
        input.0.is_empty().then_some(Self { node, at_ms, pools })
    }
}

impl PoolReport {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.pool.to_le_bytes());
        out.extend(self.born_ms.to_le_bytes());
        out.extend(self.in_flight.to_le_bytes());
        out.extend(self.utilisation.to_le_bytes());
        let Counts { arrivals, passed, admitted, served, failed, apart, latency_us, area } =
            self.counts;
        for count in arrivals.into_iter().chain([passed, admitted, served, failed]).chain(apart) {
            out.extend(count.to_le_bytes());
        }
        out.extend(latency_us.to_le_bytes());
        out.extend(area.to_le_bytes());
        match &self.decision {
            None => out.push(0),
            Some(decision) => {
                out.push(1);
                decision.write(out);
            }
        }
    }

    fn read(input: &mut Input<'_>, at_ms: u64) -> Option<Self> {
        let (pool, born_ms) = (input.u64()?, input.u64()?);
        let (in_flight, utilisation) = (input.u32()?, input.u16()?);
        let arrivals = input.u32s::<BUCKETS>()?;
        let counts = Counts {
            arrivals,
            passed: input.u32()?,
            admitted: input.u32()?,
            served: input.u32()?,
            failed: input.u32()?,
            apart: input.u32s::<CLASSES>()?,
            latency_us: input.u64()?,
            area: input.u64()?,
        };
        let decision = match input.u8()? {
            0 => None,
            1 => Some(Decision::read(input).filter(|decision| decision.at_ms <= at_ms)?),
            _ => return None,
        };
        let report = Self { pool, born_ms, in_flight, utilisation, counts, decision };
        (born_ms <= at_ms).then_some(report)
    }
}

/// Bytes that are still to be read.
pub(crate) struct Input<'a>(pub(crate) &'a [u8]);

impl Input<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.take().map(|[byte]| byte)
    }

    fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn u32s<const N: usize>(&mut self) -> Option<[u32; N]> {
        let mut numbers = [0; N];
        for number in &mut numbers {
            *number = self.u32()?;
        }
        Some(numbers)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    /// A number from `least` to `most`, which excludes what is none.
    pub(crate) fn number(&mut self, least: f64, most: f64) -> Option<f64> {
        let number = self.take().map(f64::from_le_bytes)?;
        (least..=most).contains(&number).then_some(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::*;

    /// How many bytes come before the pools, and how many a pool has without and with a decision.
    const HEAD: usize = 14;
    const POOL: (usize, usize) = (311, 396);

    fn decision() -> Decision {
        Decision {
            at_ms: 900,
            node: 3,
            limit: 40.0,
            base_ms: 20.0,
            spread_ms: 10.0,
            smooth_ms: 30.0,
            ratio: 0.25,
            offered: 1_200.0,
            capacity: 900.0,
            peak: 55.0,
            threshold: 130.5,
            strained: 3,
        }
    }

    /// Every number is another one, so that none can be taken for another.
    fn pool(pool: u64, decision: Option<Decision>) -> PoolReport {
        let number = |n: usize| u32::try_from(n).unwrap_or(0);
        let counts = Counts {
            arrivals: std::array::from_fn(|n| number(n).saturating_add(100)),
            passed: 201,
            admitted: 202,
            served: 203,
            failed: u32::MAX,
            apart: std::array::from_fn(|n| number(n).saturating_add(300)),
            latency_us: 1 << 40,
            area: u64::MAX,
        };
        PoolReport { pool, born_ms: 50, in_flight: 9, utilisation: 850, counts, decision }
    }

    fn report(pools: Vec<PoolReport>) -> Report {
        Report { node: 7, at_ms: 1_000, pools }
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        for (pools, length, why) in [
            (vec![], HEAD, "no pools"),
            (vec![pool(1, None)], 325, "one that has decided nothing"),
            (vec![pool(1, Some(decision()))], 410, "one that has"),
            (vec![pool(1, Some(decision())), pool(2, None)], 721, "two"),
        ] {
            let report = report(pools);
            let bytes = report.to_bytes();
            assert_eq!(bytes.len(), length, "{why}");
            assert_eq!(Report::from_bytes(&bytes), Some(report), "{why}");
        }
    }

    #[test]
    fn its_size_has_a_bound() {
        let most: Vec<_> = (0..64).map(|id| pool(id, Some(decision()))).collect();
        let bytes = report(most.clone()).to_bytes();
        assert_eq!(bytes.len(), HEAD + POOLS_MAX * POOL.1);
        assert_eq!(Report::from_bytes(&bytes), Some(report(most)));
        // One more, and it says so.
        let mut more = bytes;
        more[13] = 65;
        more.extend_from_within(more.len().saturating_sub(POOL.1)..);
        assert_eq!(Report::from_bytes(&more), None, "they are more than are believed");
        for length in [65, 255, 300] {
            let more = report((0..length).map(|id| pool(id, None)).collect()).to_bytes();
            assert_eq!(more.len(), HEAD + POOLS_MAX * POOL.0, "{length} pools");
        }
    }

    #[test]
    fn a_part_of_one_is_none_and_so_is_more() {
        let mut bytes = report(vec![pool(1, Some(decision())), pool(2, None)]).to_bytes();
        for length in 0..bytes.len() {
            assert_eq!(Report::from_bytes(&bytes[..length]), None, "{length} bytes");
        }
        bytes.push(0);
        assert_eq!(Report::from_bytes(&bytes), None, "something follows");
    }

    #[test]
    fn a_flipped_byte_is_refused_or_read_as_what_it_says() {
        let bytes = report(vec![pool(1, Some(decision())), pool(2, None)]).to_bytes();
        for place in 0..bytes.len() {
            for flip in [0x01, 0x80, 0xff] {
                let mut forged = bytes.clone();
                forged[place] ^= flip;
                if let Some(report) = Report::from_bytes(&forged) {
                    assert_eq!(report.to_bytes(), forged, "byte {place} ^ {flip}");
                }
            }
        }
    }

    #[test]
    fn what_cannot_be_is_no_report() {
        let later = |ms: u64| Decision { at_ms: ms, ..decision() };
        for (pools, is_one, why) in [
            (pool(1, Some(later(1_000))), true, "decided at once"),
            (pool(1, Some(later(1_001))), false, "decided after the report"),
            (PoolReport { born_ms: 1_000, ..pool(1, None) }, true, "born at once"),
            (PoolReport { born_ms: 1_001, ..pool(1, None) }, false, "born after the report"),
        ] {
            let bytes = report(vec![pools]).to_bytes();
            assert_eq!(Report::from_bytes(&bytes).is_some(), is_one, "{why}");
        }
        let bytes = report(vec![pool(1, None)]).to_bytes();
        for (place, byte, why) in [
            (0, 0, "another form"),
            (0, 2, "another form"),
            (13, 0, "fewer pools than there are"),
            (13, 2, "more pools than there are"),
            (13, 255, "more pools than are believed"),
            (bytes.len() - 1, 1, "a decision that is not there"),
            (bytes.len() - 1, 2, "neither with nor without a decision"),
        ] {
            let mut forged = bytes.clone();
            forged[place] = byte;
            assert_eq!(Report::from_bytes(&forged), None, "{why}");
        }
    }

    #[test]
    fn how_old_it_may_be() {
        let report = report(vec![]);
        for (now_ms, is_fresh, is_abandoned, why) in [
            (1_000, true, false, "just made"),
            (2_000, true, false, "a second old"),
            (2_001, false, false, "older than a second"),
            (999, false, false, "from the future"),
            (11_000, false, false, "ten seconds old"),
            (11_001, false, true, "older than ten seconds"),
            (u64::MAX, false, true, "older than anything"),
        ] {
            assert_eq!(report.is_fresh(now_ms), is_fresh, "at {now_ms}: {why}");
            assert_eq!(report.is_abandoned(now_ms, 10_000), is_abandoned, "at {now_ms}: {why}");
        }
    }

    #[test]
    fn a_pool_is_found_by_its_number() {
        let report = report(vec![pool(1, None), pool(2, None)]);
        assert_eq!(report.pool(2).map(|found| found.pool), Some(2));
        assert_eq!(report.pool(3), None);
        assert_eq!(report.node(), 7);
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn any_bytes_are_a_report_or_none(
            mut bytes in proptest::collection::vec(any::<u8>(), 0..900),
            count in 0..4_u8,
        ) {
            // Most begin like a report, or nearly none would be read beyond the first byte.
            if let (2.., [form, ..]) = (count, &mut *bytes) {
                *form = FORM;
            }
            if let Some(pools) = bytes.get_mut(13) {
                *pools = count;
            }
            if let Some(report) = Report::from_bytes(&bytes) {
                prop_assert_eq!(report.to_bytes(), bytes);
            }
        }
    }
}
