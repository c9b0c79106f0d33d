//! What a decision looks at on its way, for whoever wants to explain it.

use crate::caller::Caller;
use crate::decision::{Fence, Merging};
use crate::lease::LeaseView;
use crate::policy::{Context, LeaseSpec, Match};
use crate::reason::Reason;
use crate::region::{RegionId, RegionSet};
use crate::residency::{Circumstances, ResidencyCell, Subject};
use crate::vocabulary::{Effect, SubjectMode};

/// Something that a decision has looked at. The last one before a refusal is what it was about.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::large_enum_variant, reason = "seen one at a time, and kept only for people")]
pub enum Step<'p> {
    /// A health path or a CORS preflight: nothing else is looked at.
    Exempt(Reason),
    /// No context matches.
    Unmatched {
        /// Whether the host is one of the policy's.
        knows_host: bool,
    },
    /// The context was found.
    Classified {
        /// By this match.
        found: &'p Match,
        /// The context.
        context: &'p Context,
        /// What the request does.
        effect: Effect,
    },
    /// The caller will not wait for ever.
    Deadline {
        /// What is left for the next hop in milliseconds; nothing if it cannot be met.
        left: Option<u64>,
    },
    /// Whom the request is about.
    Subject {
        /// What the context asks for.
        mode: SubjectMode,
        /// What is known of the caller, where that was asked.
        caller: Option<Caller>,
        /// Whom the request is taken to be about, or why it is refused.
        about: Result<Subject, Reason>,
    },
    /// What the residency rules say.
    Residency {
        /// Of this subject's data.
        cell: ResidencyCell,
        /// The narrowest rule that applies.
        rule: Option<&'p str>,
        /// What they would say if none were in shadow, where that is something else.
        shadow: Option<ResidencyCell>,
        /// What of the request they ask for.
        circumstances: Circumstances,
    },
    /// The lease that the request needs.
    Lease {
        /// Which one.
        lease: &'p LeaseSpec,
        /// The shard, if the lease is split and the shard is known.
        shard: Option<&'p str>,
        /// What region state says of it.
        view: LeaseView,
    },
    /// The lease is as it has to be.
    Held {
        /// Which one.
        lease: &'p LeaseSpec,
        /// Its token.
        fence: Fence<'p>,
    },
    /// Where the request could run without a lease.
    Candidates {
        /// The regions that are allowed and up.
        regions: RegionSet,
        /// The subject's home, if it is one of them.
        home: Option<RegionId>,
    },
    /// What several regions have becomes one, behind a request that passes.
    Merge {
        /// Whose data.
        context: &'p Context,
        /// How, and where it may be.
        merging: Merging,
    },
}

/// Sees the steps of a decision in their order.
pub trait Trace<'p> {
    /// The next step.
    fn see(&mut self, step: Step<'p>);
}

/// Sees nothing: this costs a decision nothing.
impl Trace<'_> for () {
    fn see(&mut self, _: Step<'_>) {}
}
