//! What is decided of a request.

use crate::caller::{Countries, Identity};
use crate::policy::{Context, Match};
use crate::reason::{Reason, Verdict};
use crate::redaction::ProfileSet;
use crate::region::{RegionId, RegionSet};
use crate::response::Judged;
use crate::vocabulary::{Effect, MergeStrategy, Operation, ResidencySource};

/// What is done with a request, why, and what follows from it.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each says something else, and all may be")]
pub struct Decision<'p> {
    /// Why it gets what it gets; this also says what that is.
    pub reason: Reason,
    /// The HTTP status of a refusal; 200 for a pass.
    pub status: u16,
    /// The part of the request that is malformed, for that reason.
    pub malformed: Option<&'static str>,
    /// The context it belongs to.
    pub context: Option<&'p Context>,
    /// The match that it belongs to.
    pub found: Option<&'p Match>,
    /// What it does, once that is known.
    pub effect: Option<Effect>,
    /// What it does with data, once that is known.
    pub operation: Option<Operation>,
    /// Who sent it, where that was asked and is known.
    pub identity: Option<Identity>,
    /// Where its subject resides.
    pub countries: Countries,
    /// What said so.
    pub source: Option<ResidencySource>,
    /// The residency rule that decided, else the narrowest that applied.
    pub rule: Option<&'p str>,
    /// The transfer basis that this rule rests on.
    pub basis: Option<&'p str>,
    /// The exception by which alone it may run where it does.
    pub exception: Option<&'p str>,
    /// Whether an exception would have made a difference that has expired.
    pub exception_lapsed: bool,
    /// Who blocks it, where a statute does.
    pub blocked_by: Option<&'p str>,
    /// What would have come of it if no rule were in shadow, where that is something else.
    pub shadow: Option<Shadowed<'p>>,
    /// Whether the client seems to be in another country than where its subject resides. That is no
    /// ground for anything: people travel.
    pub is_elsewhere: bool,
    /// What its response is judged by.
    pub judged: Option<Judged>,
    /// Where it runs.
    pub region: Option<RegionId>,
    /// Whether it is of somebody who is served in another region than before, as region state has
    /// it.
    pub moved: bool,
    /// Whether it is a read, served here by a copy that is too far behind, or may be.
    pub stale: bool,
    /// The token of a leased write.
    pub fence: Option<Fence<'p>>,
    /// The lease that the request needs, as this region knows it, whatever came of the request.
    pub held: Option<Fence<'p>>,
    /// Whether it depends on a lease, so that an unreachable region means an unreachable holder.
    pub leased: bool,
    /// Whether it is a leased write that could happen twice, for it has no key, and passes.
    pub keyless: bool,
    /// Whether it is an eventual write, to be stamped.
    pub stamped: bool,
    /// How what the regions have becomes one, for whoever merges it: the application behind a write
    /// of such data, or behind a request that it is merged on.
    pub merge: Option<Merging>,
    /// What is left of the caller's deadline for the next hop.
    pub remaining_ms: Option<u64>,
    /// How the response is redacted.
    pub redact: ProfileSet,
}

/// What would have come of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shadowed<'p> {
    /// Why it would have got what it would have got.
    pub reason: Reason,
    /// The residency rule.
    pub rule: Option<&'p str>,
    /// Where it would have run.
    pub region: Option<RegionId>,
}

/// The fencing token of a leased write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fence<'p> {
    /// The context that the lease is named after.
    pub lease: &'p str,
    /// The lease's shard, if it is split.
    pub shard: Option<&'p str>,
    /// Who holds it.
    pub holder: RegionId,
    /// Since which grant.
    pub epoch: u64,
}

/// How what several regions have becomes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Merging {
    /// How: never [`MergeStrategy::LastWriteWins`], which goes without saying.
    pub strategy: MergeStrategy,
    /// Where such data of the request's subject may be now: never nowhere.
    pub regions: RegionSet,
}

impl Decision<'_> {
    /// A decision before anything else is known of the request.
    pub fn early(reason: Reason) -> Self {
        Self {
            reason,
            status: reason.status(),
            malformed: None,
            context: None,
            found: None,
            effect: None,
            operation: None,
            identity: None,
            countries: Countries::NONE,
            source: None,
            rule: None,
            basis: None,
            exception: None,
            exception_lapsed: false,
            blocked_by: None,
            shadow: None,
            is_elsewhere: false,
            judged: None,
            region: None,
            moved: false,
            stale: false,
            fence: None,
            held: None,
            leased: false,
            keyless: false,
            stamped: false,
            merge: None,
            remaining_ms: None,
            redact: ProfileSet::EMPTY,
        }
    }

    /// A refusal of a request of which this part is malformed.
    pub fn malformed(part: &'static str) -> Self {
        Self { malformed: Some(part), ..Self::early(Reason::Malformed) }
    }

    /// Whether it is a write of eventually consistent data, to be told from others by a version.
    pub fn is_eventual_write(&self) -> bool {
        self.effect == Some(Effect::Write)
            && self.context.is_some_and(|context| context.lease.is_none())
    }

    /// What is done.
    pub fn verdict(&self) -> Verdict {
        self.reason.verdict()
    }
}
