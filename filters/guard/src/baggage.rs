//! Hints of a write's version in W3C Baggage, for applications that pass on nothing else. Anybody may
//! change or drop them: nothing is ever decided by them, and none is read here.

use crate::header;
use crate::host::{Headers, Host, HostFault};
use crate::versioning::Versions;
use arrayvec::ArrayString;
use core::fmt::Write as _;
use origin_tag::{Marking, Stamp};
use policy_core::{Decision, Policy};

/// A longer header gets no hint. (Whoever propagates baggage has to keep 8192 bytes of it.)
const LEN_MAX: usize = 2_048;
/// Nor does one with more members, which need not be kept.
const MEMBERS_MAX: usize = 64;
/// How many hints there are.
const HINTS: usize = 3;
/// What the names of hints begin with.
const PREFIX: &str = "meshfence-";

/// Gives hints, if any are given, of a write that is stamped here.
pub(crate) fn hint(
    host: &mut impl Host,
    policy: &Policy,
    decision: &Decision<'_>,
    versions: &Versions,
    headers: &Headers,
) -> Result<(), HostFault> {
    let stamp = versions.marking.and_then(Marking::stamp);
    match stamp.filter(|_| policy.versioning().has_hints) {
        Some(stamp) => write(host, policy, decision, stamp, headers),
        None => Ok(()),
    }
}

fn write(
    host: &mut impl Host,
    policy: &Policy,
    decision: &Decision<'_>,
    stamp: Stamp,
    headers: &Headers,
) -> Result<(), HostFault> {
    let is_forged = members(headers).any(is_hint);
    match value(policy, decision, stamp, is_forged, headers) {
        Some(baggage) => host.set_request_header(header::BAGGAGE, baggage.as_bytes()),
        // What cannot be written without what somebody said in our name does not go on.
        None if is_forged => host.remove_request_header(header::BAGGAGE.as_bytes()),
        None => Ok(()),
    }
}

/// The members of all baggage of a request.
fn members(headers: &Headers) -> impl Iterator<Item = &[u8]> {
    let values = headers.iter().filter(|(name, _)| *name == header::BAGGAGE.as_bytes());
    let members = values.flat_map(|(_, value)| value.split(|byte| *byte == b','));
    members.map(<[u8]>::trim_ascii).filter(|member| !member.is_empty())
}

/// Whether a member speaks in the name of the mesh.
fn is_hint(member: &[u8]) -> bool {
    header::starts_with(member, PREFIX)
}

/// The baggage of a write with this version: the caller's members but for what they say in the name of
/// the mesh, and then origin, version and class of the data, if there is room for them. Nothing of a
/// person is in it: baggage goes wherever traces go.
fn value(
    policy: &Policy,
    decision: &Decision<'_>,
    stamp: Stamp,
    is_forged: bool,
    headers: &Headers,
) -> Option<ArrayString<LEN_MAX>> {
    let class = decision.context.and_then(|context| context.data_classes.first())?;
    let mut baggage = ArrayString::new();
    let mut count = 0_usize;
    for member in members(headers).filter(|member| !is_hint(member)) {
        let comma = if count > 0 { "," } else { "" };
        write!(baggage, "{comma}{}", core::str::from_utf8(member).ok()?).ok()?;
        count = count.saturating_add(1);
    }
    let end = baggage.len();
    let comma = if count > 0 { "," } else { "" };
    let origin = policy.region_name(policy.here());
    let hints = write!(
        baggage,
        "{comma}{PREFIX}origin={origin},{PREFIX}version={stamp},{PREFIX}class={class}"
    );
    if hints.is_ok() && count.saturating_add(HINTS) <= MEMBERS_MAX {
        return Some(baggage);
    }
    baggage.truncate(end);
    is_forged.then_some(baggage)
}
