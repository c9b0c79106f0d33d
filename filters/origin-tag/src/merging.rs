//! The header `x-meshfence-merge`: how what is kept in several regions becomes one.

use core::fmt::{self, Write as _};
use policy_core::{Merging, Policy};

/// The longest value: a strategy and 32 names of regions.
pub const MERGING_LEN_MAX: usize = 1_200;

/// How what is kept in several regions becomes one, as text: `or-set; regions="taiwan tokyo"`.
#[derive(Debug, Clone, Copy)]
pub struct MergingText<'p> {
    policy: &'p Policy,
    decided: Merging,
}

/// The value of `x-meshfence-merge` for what was decided.
pub fn merging(policy: &Policy, decided: Merging) -> MergingText<'_> {
    MergingText { policy, decided }
}

impl fmt::Display for MergingText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { policy, decided } = self;
        write!(f, "{}; regions=\"", decided.strategy)?;
        for (number, region) in decided.regions.iter().enumerate() {
            if number > 0 {
                f.write_char(' ')?;
            }
            f.write_str(policy.region_name(region))?;
        }
        f.write_char('"')
    }
}
