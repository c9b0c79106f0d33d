//! The metrics of the guard: a closed set, so that no label is unbounded.

use fencing::Refused;
use origin_tag::CausalRefusal;
use policy_core::name::{
    METRIC_ACTUAL_UNKNOWN, METRIC_CONFLICTS, METRIC_DECISIONS, METRIC_FOREIGN,
    METRIC_FUTURE_VERSIONS, METRIC_LEASE_EPOCH, METRIC_LEASE_HERE, METRIC_LEASE_KNOWN,
    METRIC_LOST_RECORDS, METRIC_POLLS, METRIC_REGION_HEALTH, METRIC_SHED, METRIC_SHED_RATIO,
    METRIC_STATE_AGE, METRIC_VIOLATION,
};
use policy_core::{Priority, Reason, Role};
use residency::Refusal;

/// One metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    /// 1 while a root of the VM that told last refuses its configuration.
    ConfigRejected,
    /// The first 12 hexadecimal digits of the hash of the policy set that an attachment serves by,
    /// as a number; 0 while it refuses everything.
    ConfigHash(Role),
    /// Since when an attachment serves by its policy, in seconds since the Unix epoch; 0 while it
    /// refuses everything.
    ConfigLoaded(Role),
    /// Values in shared data that somebody else wrote under a name of ours.
    ForeignSharedData,
    /// Requests that carried headers their sender may not set.
    Stripped,
    /// Responses of which words of the mesh were taken that were not the upstream's to say.
    UpstreamStripped,
    /// Responses that should have been redacted and could not be.
    Unredacted,
    /// Eventual writes that arrived in a region without a version.
    Unversioned,
    /// Decision records that could not be written.
    LostRecord,
    /// 1 while a root of the VM that told last cannot evaluate its candidate.
    CandidateRejected,
    /// Refused requests that an exception was about which has expired.
    LapsedException,
    /// Requests whose client seems to be in another country than where its subject resides.
    ClientElsewhere,
    /// Responses that were withheld because of what their upstream says their data is.
    Withheld(Reason),
    /// Requests that rules in shadow would have treated otherwise, and how.
    ShadowDifference(Reason),
    /// Requests that the candidate would have treated otherwise, and how.
    CandidateDifference(Reason),
    /// Requests that ran in another region than was decided.
    Violation,
    /// Requests that ran where nothing says what region it is.
    ActualUnknown,
    /// Requests about subjects of whom sources name several countries.
    SubjectConflict,
    /// How many tenant maps of an attachment are not what their signatures say.
    UnsoundMaps(Role),
    /// Reads that were served by a copy which is too far behind, or may be.
    Stale(Role),
    /// Looks at the clocks that found the wall clock to have stepped.
    ClockStepped,
    /// Entity tags that looked like ours and were not.
    TagRefused,
    /// What clients said that they had seen and that was not believed, and why.
    CausalRefused(CausalRefusal),
    /// Versions that were further ahead than any may be, or that no clock could be held against, by
    /// what brought them.
    FutureVersion(VersionSource),
    /// Leased writes that a peer has refused as not its own, and that are decided once more.
    Rerouted,
    /// Leased writes that could happen twice, for they have no key, and that passed.
    Keyless(Role),
    /// Writes that have run and that fewer regions have acknowledged than they need.
    AcksMissing(Role),
    /// Leased writes that have run and whose lease was granted anew meanwhile.
    ChangedInflight(Role),
    /// Sessions that came and were not believed, and why.
    SessionRefused(Refusal),
    /// Questions for region state, by what came of them.
    Poll(PollOutcome),
    /// Requests that passed here and that another guard refused, and why.
    Refused(Reason),
    /// Requests whose region could not be reached after the decision.
    Unreachable(Reason),
    /// Requests by what was done with them and why; no role where there was no policy.
    Decision(Option<Role>, Reason),
}

/// What came of a question for region state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PollOutcome {
    /// What the agent said is believed.
    Adopted,
    /// The proxy could not ask.
    NotSent,
    /// Nothing came back, or not in time.
    NoAnswer,
    /// The answer is no 200: the agent refused, or the proxy answers for one that it cannot reach or
    /// that takes too long.
    BadStatus,
    /// The answer is too long to be read.
    Oversized,
    /// It bears no signature of ours for this question.
    BadSignature,
    /// It is not a document of the format.
    Malformed,
    /// It is one that cannot be believed.
    Refused(Refused),
}

impl PollOutcome {
    const FIRST: [Self; 7] = [
        Self::Adopted,
        Self::NotSent,
        Self::NoAnswer,
        Self::BadStatus,
        Self::Oversized,
        Self::BadSignature,
        Self::Malformed,
    ];
    const COUNT: usize = Self::FIRST.len() + Refused::ALL.len();

    fn index(self) -> usize {
        match self {
            Self::Refused(why) => Self::FIRST.len().saturating_add(place(&Refused::ALL, &why)),
            other => place(&Self::FIRST, &other),
        }
    }

    /// The word in metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Adopted => "adopted",
            Self::NotSent => "not_sent",
            Self::NoAnswer => "no_answer",
            Self::BadStatus => "bad_status",
            Self::Oversized => "oversized",
            Self::BadSignature => "bad_signature",
            Self::Malformed => "malformed",
            Self::Refused(why) => why.as_str(),
        }
    }
}

/// What brings a version from elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum VersionSource {
    /// A write that another guard has stamped.
    Request,
    /// What a client has read.
    Tag,
    /// What an upstream holds.
    Response,
    /// Another VM of the proxy.
    SharedData,
    /// The agent of the region.
    Floor,
}

impl VersionSource {
    const ALL: [Self; 5] =
        [Self::Request, Self::Tag, Self::Response, Self::SharedData, Self::Floor];

    /// The word in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Tag => "tag",
            Self::Response => "response",
            Self::SharedData => "shared_data",
            Self::Floor => "floor",
        }
    }
}

/// A counter with a name of the policy in it: there are no more of them than a policy has contexts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counter<'p> {
    /// Eventual writes that were in conflict with another one.
    Conflict {
        /// Where it was seen.
        role: Role,
        /// The context of the write.
        context: &'p str,
        /// `concurrent`, `lost_update` or `suspected`; `tie` and `ambiguous` besides.
        kind: &'static str,
    },
    /// Requests that were shed.
    Shed {
        /// Where.
        role: Role,
        /// The context of the request.
        context: &'p str,
        /// How important it was.
        priority: Priority,
        /// Why.
        reason: Reason,
    },
    /// Conflicts that a version has resolved.
    Resolution {
        /// Where it was seen.
        role: Role,
        /// The context of the write.
        context: &'p str,
        /// `write_wins` or `held_wins`.
        outcome: &'static str,
    },
}

impl Counter<'_> {
    /// The name with its labels, as [`Metric::name`].
    pub fn name(&self) -> String {
        match self {
            Self::Conflict { role, context, kind } => labelled(
                [("role", role.as_str()), ("context", context), ("kind", kind)],
                METRIC_CONFLICTS,
            ),
            Self::Shed { role, context, priority, reason } => labelled(
                [
                    ("role", role.as_str()),
                    ("context", context),
                    ("priority", priority.as_str()),
                    ("reason", reason.as_str()),
                ],
                METRIC_SHED,
            ),
            Self::Resolution { role, context, outcome } => labelled(
                [("role", role.as_str()), ("context", context), ("outcome", outcome)],
                "meshfence_conflict_resolutions_total",
            ),
        }
    }
}

/// A name with its labels, put together from its parts: a shed request should not cost a format.
fn labelled<const COUNT: usize>(labels: [(&str, &str); COUNT], name: &str) -> String {
    let mut text = String::with_capacity(160);
    for (label, value) in labels {
        for part in [label, "=.=", value, ";.;"] {
            text.push_str(part);
        }
    }
    text.push_str(name);
    text
}

/// What is told of region state, clocks and pools. Labels are names of the policy, so there are no more
/// of them than a policy can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gauge<'p> {
    /// How long ago the agent was asked for what is believed now, in milliseconds.
    StateAge,
    /// How far the versions of a VM are ahead of its wall clock, in milliseconds.
    ClockAhead,
    /// 1 while a region serves.
    RegionHealth(&'p str),
    /// 1 while it is certain how a lease is, or a shard of one: who holds it, or that nobody may
    /// write.
    LeaseKnown(&'p str, Option<&'p str>),
    /// The newest epoch of a lease that was certain.
    LeaseEpoch(&'p str, Option<&'p str>),
    /// 1 while it is certain that this region holds a lease.
    LeaseHere(&'p str, Option<&'p str>),
    /// How a pool is doing, and where: an Envoy may have guards of several roles, each with its pools.
    Pool(PoolGauge, Role, &'p str),
}

/// What is told of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolGauge {
    /// How many of its requests may be in flight in the proxy.
    Limit,
    /// How much of what comes has to go, of a thousand.
    Ratio,
    /// How many of its requests are in flight in the proxy.
    InFlight,
    /// How much applications are told to leave out: 0 to 4.
    Brownout,
}

impl PoolGauge {
    /// Everything that is told of a pool.
    pub const ALL: [Self; 4] = [Self::Limit, Self::Ratio, Self::InFlight, Self::Brownout];

    /// The name without labels.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Limit => "meshfence_shed_limit",
            Self::Ratio => METRIC_SHED_RATIO,
            Self::InFlight => "meshfence_shed_in_flight",
            Self::Brownout => "meshfence_shed_brownout_level",
        }
    }
}

impl Gauge<'_> {
    /// The name with its labels, as [`Metric::name`].
    pub fn name(&self) -> String {
        let of = |lease: &str, shard: Option<&str>, name: &str| match shard {
            Some(shard) => format!("lease=.={lease};.;shard=.={shard};.;{name}"),
            None => format!("lease=.={lease};.;{name}"),
        };
        match self {
            Self::StateAge => String::from(METRIC_STATE_AGE),
            Self::ClockAhead => String::from("meshfence_hlc_ahead_milliseconds"),
            Self::RegionHealth(region) => format!("region=.={region};.;{METRIC_REGION_HEALTH}"),
            Self::LeaseKnown(lease, shard) => of(lease, *shard, METRIC_LEASE_KNOWN),
            Self::LeaseEpoch(lease, shard) => of(lease, *shard, METRIC_LEASE_EPOCH),
            Self::LeaseHere(lease, shard) => of(lease, *shard, METRIC_LEASE_HERE),
            Self::Pool(what, role, pool) => {
                labelled([("role", role.as_str()), ("pool", pool)], what.as_str())
            }
        }
    }
}

/// Whether a metric is counted or set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// Only ever grows.
    Counter,
    /// Is set.
    Gauge,
}

const ROLES: usize = Role::ALL.len();
const REASONS: usize = Reason::ALL.len();
/// Metrics that there are one of.
const SINGLE: usize = 16;
const SESSIONS: usize = SINGLE + 7 * ROLES;
const POLLS: usize = SESSIONS + Refusal::ALL.len();
const CAUSAL: usize = POLLS + PollOutcome::COUNT;
const FUTURE: usize = CAUSAL + CausalRefusal::ALL.len();
const REFUSED: usize = FUTURE + VersionSource::ALL.len();
const UNREACHABLE: usize = REFUSED + REASONS;
const WITHHELD: usize = UNREACHABLE + REASONS;
const SHADOW: usize = WITHHELD + REASONS;
const CANDIDATE: usize = SHADOW + REASONS;
const DECISIONS: usize = CANDIDATE + REASONS;

/// The role of a decision without a policy.
const NO_ROLE: &str = "none";

impl Metric {
    /// One past the largest [`Metric::index`].
    pub const COUNT: usize = DECISIONS + (ROLES + 1) * REASONS;

    /// A dense number below [`Metric::COUNT`], for tables of what a proxy calls it.
    pub fn index(self) -> usize {
        let (base, offset) = match self {
            Self::ConfigRejected => (0, 0),
            Self::ForeignSharedData => (1, 0),
            Self::Stripped => (2, 0),
            Self::UpstreamStripped => (3, 0),
            Self::Unversioned => (4, 0),
            Self::LostRecord => (5, 0),
            Self::Violation => (6, 0),
            Self::ActualUnknown => (7, 0),
            Self::Unredacted => (8, 0),
            Self::CandidateRejected => (9, 0),
            Self::LapsedException => (10, 0),
            Self::SubjectConflict => (11, 0),
            Self::ClientElsewhere => (12, 0),
            Self::Rerouted => (13, 0),
            Self::ClockStepped => (14, 0),
            Self::TagRefused => (15, 0),
            Self::ConfigHash(role) => (SINGLE, place(Role::ALL, &role)),
            Self::ConfigLoaded(role) => (SINGLE + ROLES, place(Role::ALL, &role)),
            Self::UnsoundMaps(role) => (SINGLE + 2 * ROLES, place(Role::ALL, &role)),
            Self::Stale(role) => (SINGLE + 3 * ROLES, place(Role::ALL, &role)),
            Self::Keyless(role) => (SINGLE + 4 * ROLES, place(Role::ALL, &role)),
            Self::AcksMissing(role) => (SINGLE + 5 * ROLES, place(Role::ALL, &role)),
            Self::ChangedInflight(role) => (SINGLE + 6 * ROLES, place(Role::ALL, &role)),
            Self::SessionRefused(why) => (SESSIONS, place(&Refusal::ALL, &why)),
            Self::Poll(outcome) => (POLLS, outcome.index()),
            Self::CausalRefused(why) => (CAUSAL, place(&CausalRefusal::ALL, &why)),
            Self::FutureVersion(source) => (FUTURE, place(&VersionSource::ALL, &source)),
            Self::Refused(reason) => (REFUSED, place(Reason::ALL, &reason)),
            Self::Unreachable(reason) => (UNREACHABLE, place(Reason::ALL, &reason)),
            Self::Withheld(reason) => (WITHHELD, place(Reason::ALL, &reason)),
            Self::ShadowDifference(reason) => (SHADOW, place(Reason::ALL, &reason)),
            Self::CandidateDifference(reason) => (CANDIDATE, place(Reason::ALL, &reason)),
            Self::Decision(role, reason) => {
                let role = role.map_or(ROLES, |role| place(Role::ALL, &role));
                let row = role.saturating_mul(REASONS);
                (DECISIONS, row.saturating_add(place(Reason::ALL, &reason)))
            }
        };
        base.saturating_add(offset)
    }

    /// Whether it is counted or set.
    pub fn kind(self) -> MetricKind {
        match self {
            Self::ConfigRejected
            | Self::CandidateRejected
            | Self::ConfigHash(_)
            | Self::ConfigLoaded(_)
            | Self::UnsoundMaps(_) => MetricKind::Gauge,
            _ => MetricKind::Counter,
        }
    }

    /// The name with its labels in the form that Istio and the rendered bootstraps extract them
    /// from: `label=.=value;.;name`.
    pub fn name(self) -> String {
        match self {
            Self::Decision(role, reason) => {
                let role = role.map_or(NO_ROLE, Role::as_str);
                let verdict = reason.verdict();
                format!(
                    "role=.={role};.;verdict=.={verdict};.;reason=.={reason};.;\
                     {METRIC_DECISIONS}"
                )
            }
            Self::ConfigHash(role) => format!("role=.={role};.;meshfence_config_hash"),
            Self::ConfigLoaded(role) => {
                format!("role=.={role};.;meshfence_config_loaded_timestamp_seconds")
            }
            Self::UnsoundMaps(role) => format!("role=.={role};.;meshfence_unsound_tenant_maps"),
            Self::Stale(role) => format!("role=.={role};.;meshfence_stale_reads_total"),
            Self::Rerouted => String::from("meshfence_rerouted_total"),
            Self::Keyless(role) => format!("role=.={role};.;meshfence_keyless_writes_total"),
            Self::AcksMissing(role) => format!("role=.={role};.;meshfence_acks_missing_total"),
            Self::ChangedInflight(role) => {
                format!("role=.={role};.;meshfence_changed_inflight_total")
            }
            Self::SessionRefused(why) => {
                format!("reason=.={};.;meshfence_sessions_refused_total", why.as_str())
            }
            Self::SubjectConflict => String::from("meshfence_subject_conflicts_total"),
            Self::ClockStepped => String::from("meshfence_clock_steps_total"),
            Self::TagRefused => String::from("meshfence_entity_tags_refused_total"),
            Self::CausalRefused(why) => {
                format!("reason=.={};.;meshfence_causal_refused_total", why.as_str())
            }
            Self::FutureVersion(source) => {
                format!("source=.={};.;{METRIC_FUTURE_VERSIONS}", source.as_str())
            }
            Self::Poll(outcome) => {
                let outcome = outcome.as_str();
                format!("outcome=.={outcome};.;{METRIC_POLLS}")
            }
            Self::Refused(reason) => format!("reason=.={reason};.;meshfence_refused_total"),
            Self::Unreachable(reason) => {
                format!("reason=.={reason};.;meshfence_unreachable_total")
            }
            Self::Withheld(reason) => format!("reason=.={reason};.;meshfence_withheld_total"),
            Self::ShadowDifference(reason) => {
                format!("reason=.={reason};.;meshfence_shadow_differences_total")
            }
            Self::CandidateDifference(reason) => {
                format!("reason=.={reason};.;meshfence_candidate_differences_total")
            }
            Self::CandidateRejected => String::from("meshfence_candidate_rejected"),
            Self::ClientElsewhere => String::from("meshfence_client_elsewhere_total"),
            Self::LapsedException => String::from("meshfence_expired_exceptions_total"),
            Self::Stripped => String::from("meshfence_stripped_requests_total"),
            Self::UpstreamStripped => String::from("meshfence_stripped_responses_total"),
            Self::Unversioned => String::from("meshfence_unversioned_writes_total"),
            Self::Violation => String::from(METRIC_VIOLATION),
            Self::ActualUnknown => String::from(METRIC_ACTUAL_UNKNOWN),
            Self::LostRecord => String::from(METRIC_LOST_RECORDS),
            Self::Unredacted => String::from("meshfence_unredacted_responses_total"),
            Self::ForeignSharedData => String::from(METRIC_FOREIGN),
            Self::ConfigRejected => String::from("meshfence_config_rejected"),
        }
    }
}

fn place<T: PartialEq>(all: &[T], one: &T) -> usize {
    all.iter().position(|known| known == one).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn every_metric_has_a_number_and_a_name_of_its_own() {
        let mut all = vec![
            Metric::ConfigRejected,
            Metric::ForeignSharedData,
            Metric::Stripped,
            Metric::UpstreamStripped,
            Metric::Unversioned,
            Metric::LostRecord,
            Metric::Violation,
            Metric::ActualUnknown,
            Metric::Unredacted,
            Metric::CandidateRejected,
            Metric::LapsedException,
            Metric::ClientElsewhere,
            Metric::SubjectConflict,
            Metric::Rerouted,
            Metric::ClockStepped,
            Metric::TagRefused,
        ];
        all.extend(CausalRefusal::ALL.map(Metric::CausalRefused));
        all.extend(VersionSource::ALL.map(Metric::FutureVersion));
        all.extend(Refusal::ALL.map(Metric::SessionRefused));
        all.extend(PollOutcome::FIRST.map(Metric::Poll));
        all.extend(Refused::ALL.map(|why| Metric::Poll(PollOutcome::Refused(why))));
        for role in Role::ALL {
            all.extend([
                Metric::ConfigHash(*role),
                Metric::ConfigLoaded(*role),
                Metric::UnsoundMaps(*role),
                Metric::Stale(*role),
                Metric::Keyless(*role),
                Metric::AcksMissing(*role),
                Metric::ChangedInflight(*role),
            ]);
        }
        for reason in Reason::ALL {
            all.extend([Metric::Refused(*reason), Metric::Unreachable(*reason)]);
            all.extend([Metric::ShadowDifference(*reason), Metric::CandidateDifference(*reason)]);
            all.push(Metric::Withheld(*reason));
            let roles = Role::ALL.iter().map(|role| Some(*role)).chain([None]);
            all.extend(roles.map(|role| Metric::Decision(role, *reason)));
        }
        let numbers: BTreeMap<usize, String> =
            all.iter().map(|metric| (metric.index(), metric.name())).collect();
        assert_eq!(numbers.len(), Metric::COUNT);
        assert_eq!(numbers.keys().last(), Some(&(Metric::COUNT - 1)));
        let names: std::collections::BTreeSet<&String> = numbers.values().collect();
        assert_eq!(names.len(), Metric::COUNT);
    }
}
