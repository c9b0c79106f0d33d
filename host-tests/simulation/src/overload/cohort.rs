//! Which of 64 cohorts a user belongs to, for an hour: that of the module, with a salt of no
//! consequence; and numbers like that for algorithms that group users in other ways.

use super::queue::{SECOND, Us};
use crate::rng::Rng;
use load_shed::{Caller, SALT_LEN};

const HOUR: Us = 3_600 * SECOND;
const SALT: [u8; SALT_LEN] = *b"of no importance";

/// The cohort of a user at some time.
pub fn of(user: u64, now: Us) -> u8 {
    load_shed::cohort(&SALT, Caller::Subject(&user.to_le_bytes()), now / SECOND)
}

/// A number of a user that is another one every hour.
pub fn hash(user: u64, now: Us) -> u64 {
    let mut salt = Rng::new(now / HOUR);
    Rng::new(user ^ salt.any()).any()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cohorts_are_64_and_change_with_the_hour() {
        let at = |now| (0..10_000).map(|user| of(user, now)).collect::<Vec<_>>();
        let (first, next, after) = (at(0), at(HOUR / 2), at(HOUR));
        let mut counts = [0; 64];
        for cohort in &first {
            counts[usize::from(*cohort)] += 1;
        }
        assert!(counts.iter().all(|count| *count > 100), "{counts:?}");
        let moved = |to: &[u8]| first.iter().zip(to).filter(|(from, to)| from != to).count();
        assert!((4_500..5_300).contains(&moved(&next)), "half of the hours are over");
        assert!(moved(&after) > 9_700);
    }
}
