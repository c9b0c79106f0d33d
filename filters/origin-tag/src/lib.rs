//! Origin and version of an eventual write, and what is known of versions.
//!
//! ```text
//! If-Match ─► Tag ─┐                      ┌─► x-meshfence-version, -base, -vv
//! meshfence-causal ┼─► Stamper ─► Stamp ──┤
//! peers, upstreams ┘      ▲               └─► Recent ─► judge ─► x-meshfence-conflict
//!                    floor, other VMs
//! ```
//!
//! What is remembered between requests is the clock of a VM, so that every stamp is larger than
//! whatever the VM has issued or seen before, a node number that no other VM has, and the versions
//! that it has seen last.
#![forbid(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

mod causal;
mod conflict;
mod merging;
mod recent;
mod stamper;
mod tag;

pub use causal::{Causal, CausalRefusal};
pub use conflict::{Conflict, ConflictKind, Write, judge};
pub use merging::{MERGING_LEN_MAX, MergingText, merging};
pub use recent::{Held, Recent};
pub use stamper::{Marking, Received, Stamper};
pub use tag::{Seen, Tag};
pub use versions::{Stamp, Time, VersionVector};

/// The code of the region that a version comes from; none if the value is no version.
pub fn code(value: &[u8]) -> Option<[u8; 3]> {
    Stamp::parse(value).map(|stamp| stamp.code())
}
