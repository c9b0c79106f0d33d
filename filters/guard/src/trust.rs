//! Step 1: who sent a request, and what headers of the mesh count for that.

use crate::facts::{Claimed, MalformedPart};
use crate::header;
use crate::host::{Host, HostFault};
use crate::versioning::parse_vector;
use crate::via::Via;
use origin_tag::{ConflictKind, Stamp, VersionVector};
use policy_core::name::FILTER_STATE_PEER_IDS;
use policy_core::{Caller, Deadline, Policy, Reason, RegionId, Role, Token};

/// Headers that count when a trusted region or gateway sent them.
pub(crate) const BELIEVED: [&str; 16] = [
    header::VIA,
    header::SUBJECT,
    header::FENCE,
    header::EPOCH,
    header::CONSISTENCY,
    header::ORIGIN,
    header::VERSION,
    header::UNSYNCED,
    header::BASE,
    header::VV,
    header::CONFLICT,
    header::MERGE,
    header::DEADLINE_MS,
    header::STALE,
    header::LOCK,
    header::DEGRADE,
];

/// Who sent a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sender {
    /// Anybody: what headers of the mesh say is only said.
    Anybody,
    /// Another region's gateway, by its certificate.
    Region(RegionId),
    /// A gateway of this region, or a workload whose requests a guard has judged.
    Gateway,
}

impl Sender {
    /// Finds out who sent the request at hand and by what name, if the policy knows it, or why the
    /// request goes no further: it is nobody whom this listener is for, or the proxy did not say.
    pub(crate) fn of<'p>(
        policy: &'p Policy,
        host: &mut impl Host,
    ) -> Result<(Self, Option<&'p str>), Reason> {
        if policy.role().routes() {
            return Ok((Self::Anybody, None));
        }
        let id = identity(host).map_err(|_| Reason::HostFailure)?;
        let name = id.as_deref().and_then(|id| policy.known_id(id));
        if policy.role() == Role::Inbound {
            let is_gateway = id.is_some_and(|id| policy.believes(&id));
            return Ok((if is_gateway { Self::Gateway } else { Self::Anybody }, name));
        }
        let region = id.and_then(|id| policy.peer_region(&id)).ok_or(Reason::PeerUntrusted)?;
        // A region has no business at its own east-west gateway.
        let is_other = region != policy.here();
        is_other.then_some((Self::Region(region), name)).ok_or(Reason::PeerUntrusted)
    }

    pub(crate) fn is_trusted(self) -> bool {
        self != Self::Anybody
    }

    /// Whether a header was this sender's to set and has done its work: it goes no further, and that
    /// it came is nothing to count. Routers tell the next one of timeouts and attempts.
    pub(crate) fn has_spent(self, name: &[u8]) -> bool {
        self.is_trusted() && (name == header::ROUTE.as_bytes() || header::is_of_envoy(name))
    }

    /// Whether a header of the mesh that this sender set may go on.
    pub(crate) fn may_set(self, name: &[u8]) -> bool {
        self.is_trusted() && BELIEVED.iter().any(|known| name == known.as_bytes())
    }
}

/// The one name in the client's certificate. One with several speaks for whom it likes: nobody.
fn identity(host: &mut impl Host) -> Result<Option<Vec<u8>>, HostFault> {
    let all = host.property(&["filter_state", FILTER_STATE_PEER_IDS])?;
    let id = match all.filter(|all| !all.is_empty()) {
        Some(all) => Some(all),
        // A listener that we did not render: its authority issues one name to each.
        None => host.property(&["connection", "uri_san_peer_certificate"])?,
    };
    Ok(id.filter(|id| !id.is_empty() && !id.contains(&b',')))
}

/// What a trusted sender said, read.
#[derive(Debug, Default)]
pub(crate) struct Believed<'h> {
    /// The regions that the request has passed.
    pub(crate) via: Via,
    /// The fencing token.
    pub(crate) token: Option<Token<'h>>,
    /// What is left of the caller's time.
    pub(crate) deadline: Option<Deadline>,
    /// The version that the writer of an eventual write has read.
    pub(crate) base: Option<Stamp>,
    /// The version vector of that write.
    vector: Option<VersionVector>,
    /// Whether another guard has found it to be in conflict.
    pub(crate) has_conflict: bool,
    /// How much the application should leave out, as whoever let it in says: 0 to 4.
    pub(crate) degrade: u8,
}

impl<'h> Believed<'h> {
    /// Reads what a trusted sender claims. Each header may come once and has one form.
    pub(crate) fn read(policy: &Policy, claimed: &Claimed<'h>) -> Result<Self, MalformedPart> {
        if let Some(part) = claimed.repeated {
            return Err(MalformedPart(part));
        }
        let malformed = |part| move || MalformedPart(part);
        let via = match claimed.via {
            Some(via) => Via::parse(policy, via).ok_or_else(malformed(header::VIA))?,
            None => Via::default(),
        };
        let is_subject = |subject| parse_subject(policy, subject).is_some();
        if !claimed.subject.is_none_or(is_subject) {
            return Err(MalformedPart(header::SUBJECT));
        }
        let token = match claimed.fence {
            Some(fence) => Some(fencing::parse(fence).ok_or_else(malformed(header::FENCE))?),
            None => None,
        };
        let deadline = match claimed.deadline_ms {
            Some(ms) => Some(parse_ms(ms).ok_or_else(malformed(header::DEADLINE_MS))?),
            None => None,
        };
        let base = match claimed.base {
            Some(base) => Some(Stamp::parse(base).ok_or_else(malformed(header::BASE))?),
            None => None,
        };
        let vector = match claimed.vector {
            Some(vector) => Some(parse_vector(policy, vector).ok_or_else(malformed(header::VV))?),
            None => None,
        };
        let degrade = match claimed.degrade {
            Some([digit @ b'1'..=b'4']) => digit.saturating_sub(b'0'),
            Some(_) => return Err(MalformedPart(header::DEGRADE)),
            None => 0,
        };
        // A version says where it comes from, and so does its origin.
        let origin = claimed.origin.and_then(|name| {
            Some(policy.region_code(policy.region(core::str::from_utf8(name).ok()?)?))
        });
        let code = claimed.version.and_then(origin_tag::code);
        for (is_malformed, part) in [
            (claimed.version.is_some() && code.is_none(), header::VERSION),
            (claimed.origin.is_some() && (origin.is_none() || origin != code), header::ORIGIN),
            // Neither says anything without the other.
            (claimed.origin.is_some() != claimed.version.is_some(), header::VERSION),
            (claimed.unsynced.is_some_and(|mark| mark != b"1"), header::UNSYNCED),
            // What is in a vector was read with its base.
            (claimed.vector.is_some() && claimed.base.is_none(), header::VV),
            (claimed.base.is_some() && claimed.version.is_none(), header::BASE),
            (claimed.conflict.is_some_and(|kind| !is_conflict(kind)), header::CONFLICT),
            (claimed.lock.is_some_and(|lock| !fencing::is_lock(lock)), header::LOCK),
            (claimed.stale.is_some_and(|mark| mark != b"1"), header::STALE),
        ] {
            if is_malformed {
                return Err(MalformedPart(part));
            }
        }
        let has_conflict = claimed.conflict.is_some();
        Ok(Self { via, token, deadline, base, vector, has_conflict, degrade })
    }

    /// What the writer of the write with this version had seen, if that was said.
    pub(crate) fn seen(&self, version: Stamp) -> Option<VersionVector> {
        let mut seen = VersionVector::of(self.base?);
        let others = self.vector.iter().flat_map(VersionVector::iter);
        // Of the write's own region the vector has the write itself.
        for other in others.filter(|other| other.code() != version.code()) {
            // What there is no room for is as if it were not known.
            let _ = seen.observe(other);
        }
        Some(seen)
    }
}

/// The caller that `x-meshfence-subject` stands for.
pub(crate) fn parse_subject(policy: &Policy, value: &[u8]) -> Option<Caller> {
    let bases = policy.granted_bases();
    residency::parse_subject(value, |name| bases.iter().position(|basis| *basis.name == *name))
}

/// What `x-meshfence-subject` says of a caller; nothing of one who is not known.
pub(crate) fn subject(policy: &Policy, caller: &Caller) -> Option<String> {
    let bases = policy.granted_bases();
    residency::write_subject(caller, |number| bases.get(number).map(|basis| &*basis.name))
}

fn is_conflict(word: &[u8]) -> bool {
    ConflictKind::parse(word).is_some()
}

fn parse_ms(value: &[u8]) -> Option<Deadline> {
    let is_number = !value.is_empty() && value.len() <= 15 && value.iter().all(u8::is_ascii_digit);
    let digits = core::str::from_utf8(value).ok().filter(|_| is_number)?;
    digits.parse().ok().map(Deadline::from_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_are_digits() {
        for (value, ms) in [("0", Some(0)), ("995", Some(995)), ("", None), ("-1", None)] {
            assert_eq!(parse_ms(value.as_bytes()), ms.map(Deadline::from_ms), "{value}");
        }
        assert_eq!(parse_ms(b"9999999999999999"), None);
    }
}
