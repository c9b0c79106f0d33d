//! The metrics of the guard: a closed set, so that no label is unbounded.

use policy_core::name::METRIC_VIOLATION;
use policy_core::{Reason, Role};
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
    /// Sessions that came and were not believed, and why.
    SessionRefused(Refusal),
    /// Requests that passed here and that another guard refused, and why.
    Refused(Reason),
    /// Requests whose region could not be reached after the decision.
    Unreachable(Reason),
    /// Requests by what was done with them and why; no role where there was no policy.
    Decision(Option<Role>, Reason),
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
const SINGLE: usize = 13;
const SESSIONS: usize = SINGLE + 3 * ROLES;
const REFUSED: usize = SESSIONS + Refusal::ALL.len();
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
            Self::ConfigHash(role) => (SINGLE, place(Role::ALL, &role)),
            Self::ConfigLoaded(role) => (SINGLE + ROLES, place(Role::ALL, &role)),
            Self::UnsoundMaps(role) => (SINGLE + 2 * ROLES, place(Role::ALL, &role)),
            Self::SessionRefused(why) => (SESSIONS, place(&Refusal::ALL, &why)),
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
                     meshfence_decisions_total"
                )
            }
            Self::ConfigHash(role) => format!("role=.={role};.;meshfence_config_hash"),
            Self::ConfigLoaded(role) => {
                format!("role=.={role};.;meshfence_config_loaded_timestamp_seconds")
            }
            Self::UnsoundMaps(role) => format!("role=.={role};.;meshfence_unsound_tenant_maps"),
            Self::SessionRefused(why) => {
                format!("reason=.={};.;meshfence_sessions_refused_total", why.as_str())
            }
            Self::SubjectConflict => String::from("meshfence_subject_conflicts_total"),
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
            Self::ActualUnknown => String::from("meshfence_actual_region_unknown_total"),
            Self::LostRecord => String::from("meshfence_lost_records_total"),
            Self::Unredacted => String::from("meshfence_unredacted_responses_total"),
            Self::ForeignSharedData => String::from("meshfence_foreign_shared_data_total"),
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
        ];
        all.extend(Refusal::ALL.map(Metric::SessionRefused));
        for role in Role::ALL {
            all.extend([
                Metric::ConfigHash(*role),
                Metric::ConfigLoaded(*role),
                Metric::UnsoundMaps(*role),
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
