//! Which of 64 cohorts a caller belongs to for an hour.
//!
//! Within a priority whole cohorts are let go, so that a session either works or does not: at a share
//! `r` to shed, five requests in a row of one caller all pass with about `1 - r` instead of
//! `(1 - r)^5`. Who is let go changes each hour, and nobody can choose: the hash is keyed with a
//! secret, and only what was verified or what a caller cannot change at will goes into it. A cookie
//! is no input.

use crate::key::COHORTS;
use core::hash::Hasher;
use core::net::IpAddr;
use siphasher::sip::SipHasher24;

/// The length of the secret that cohorts are drawn with, in bytes.
pub const SALT_LEN: usize = 16;

const HOUR_S: u64 = 3_600;

/// What a caller is known by.
#[derive(Debug, Clone, Copy)]
pub enum Caller<'a> {
    /// A verified subject.
    Subject(&'a [u8]),
    /// The address of a client that has none. Of it counts what one customer of a network usually
    /// has to himself: 24 bits of IPv4, 56 of IPv6.
    Address(IpAddr),
}

/// The cohort of a caller. `wall_s` is the time of day in seconds since 1970; proxies with the same
/// salt agree while their clocks do.
///
/// The hour of each caller begins at a moment of its own, so that not everybody changes at once: at
/// any time only those change whose hour is over.
pub fn cohort(salt: &[u8; SALT_LEN], caller: Caller<'_>, wall_s: u64) -> u8 {
    let offset_s = hash(salt, caller, None) % HOUR_S;
    let hour = wall_s.saturating_add(offset_s) / HOUR_S;
    let [first, ..] = hash(salt, caller, Some(hour)).to_le_bytes();
    first % COHORTS
}

fn hash(salt: &[u8; SALT_LEN], caller: Caller<'_>, hour: Option<u64>) -> u64 {
    let mut hasher = SipHasher24::new_with_key(salt);
    // What has another length or kind cannot be taken for one another: the hour comes first, with a
    // mark of its own, and the rest is one caller of one kind.
    match hour {
        None => hasher.write(&[0]),
        Some(hour) => {
            hasher.write(&[1]);
            hasher.write(&hour.to_le_bytes());
        }
    }
    match caller {
        Caller::Subject(subject) => {
            hasher.write(&[0]);
            hasher.write(subject);
        }
        Caller::Address(address) => match address.to_canonical() {
            IpAddr::V4(address) => {
                hasher.write(&[4]);
                hasher.write(address.octets().first_chunk::<3>().map_or(&[], <[u8; 3]>::as_slice));
            }
            IpAddr::V6(address) => {
                hasher.write(&[6]);
                hasher.write(address.octets().first_chunk::<7>().map_or(&[], <[u8; 7]>::as_slice));
            }
        },
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALT: [u8; SALT_LEN] = [7; SALT_LEN];

    /// Of many hours, so that two callers do not have the same ones by chance.
    fn of_two_days(salt: &[u8; SALT_LEN], caller: Caller<'_>) -> Vec<u8> {
        (0..48).map(|hour: u64| cohort(salt, caller, hour.saturating_mul(HOUR_S))).collect()
    }

    fn address(text: &str) -> Caller<'static> {
        Caller::Address(text.parse().unwrap())
    }

    #[test]
    fn who_is_one_caller() {
        for (one, other, is_same, why) in [
            (address("192.0.2.1"), address("192.0.2.254"), true, "one network"),
            (address("192.0.2.1"), address("192.0.3.1"), false, "the last bit of the network"),
            (address("192.0.2.1"), address("::ffff:192.0.2.9"), true, "an IPv4 address either way"),
            (address("2001:db8:0:ab00::1"), address("2001:db8:0:abff::9"), true, "one customer"),
            (address("2001:db8:0:ab00::1"), address("2001:db8:0:aa00::1"), false, "two customers"),
            (Caller::Subject(b"ann"), Caller::Subject(b"ann"), true, "one subject"),
            (Caller::Subject(b"ann"), Caller::Subject(b"anne"), false, "two subjects"),
            (Caller::Subject(b""), Caller::Subject(b"\0"), false, "two subjects"),
            (Caller::Subject(&[192, 0, 2]), address("192.0.2.1"), false, "two kinds of caller"),
            (Caller::Subject(&[4, 192, 0, 2]), address("192.0.2.1"), false, "two kinds of caller"),
        ] {
            let is_equal = of_two_days(&SALT, one) == of_two_days(&SALT, other);
            assert_eq!(is_equal, is_same, "{one:?} and {other:?}: {why}");
        }
    }

    #[test]
    fn nobody_can_choose_without_the_secret() {
        let caller = Caller::Subject(b"ann");
        assert_ne!(of_two_days(&SALT, caller), of_two_days(&[8; SALT_LEN], caller));
    }

    #[test]
    fn it_changes_once_an_hour_for_each_caller_at_a_moment_of_its_own() {
        let mut moments = [0_u32; 6];
        for number in 0..60_u32 {
            let name = number.to_le_bytes();
            let at = |s: u64| cohort(&SALT, Caller::Subject(&name), s);
            let changes: Vec<u64> =
                (1..3 * HOUR_S).filter(|s| at(s.saturating_sub(1)) != at(*s)).collect();
            for pair in changes.windows(2) {
                let apart_s = pair[1].saturating_sub(pair[0]);
                assert_eq!(apart_s % HOUR_S, 0, "{number}: {changes:?}");
            }
            if let Some(first) = changes.first() {
                let sixth = &mut moments[usize::try_from(first % HOUR_S / 600).unwrap()];
                *sixth = sixth.saturating_add(1);
            }
        }
        // About ten in each ten minutes of the hour.
        assert!(moments.iter().all(|count| (3..25).contains(count)), "{moments:?}");
    }

    #[test]
    fn callers_are_spread_over_all_cohorts_evenly() {
        let mut counts = [0_u32; 64];
        for number in 0..6_400_u32 {
            let name = number.to_le_bytes();
            let count =
                &mut counts[usize::from(cohort(&SALT, Caller::Subject(&name), 1_700_000_000))];
            *count = count.saturating_add(1);
        }
        assert!(counts.iter().all(|count| (50..160).contains(count)), "{counts:?}");
    }

    #[test]
    fn there_is_one_at_any_time_of_day() {
        for wall_s in [0, 1, u64::MAX] {
            assert!(cohort(&SALT, Caller::Subject(b"ann"), wall_s) < COHORTS, "{wall_s}");
        }
    }
}
