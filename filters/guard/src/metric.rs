//! The metrics of the guard: a closed set, so that no label is unbounded.

use policy_core::{Reason, Verdict};

/// One metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    /// Requests by what was done with them and why.
    Decision(Verdict, Reason),
    /// Requests that carried headers no caller may set.
    Stripped,
    /// Requests whose region could not be reached after the decision.
    Unreachable(Reason),
    /// 1 while the newest configuration is refused.
    ConfigRejected,
}

/// Whether a metric is counted or set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// Only ever grows.
    Counter,
    /// Is set.
    Gauge,
}

const VERDICTS: [Verdict; 5] =
    [Verdict::Allow, Verdict::Route, Verdict::Deny, Verdict::Hold, Verdict::Shed];

impl Metric {
    /// One past the largest [`Metric::index`].
    pub const COUNT: usize = 2 + (VERDICTS.len() + 1) * Reason::ALL.len();

    /// A dense number below [`Metric::COUNT`], for tables of what a proxy calls it.
    pub fn index(self) -> usize {
        let reasons = Reason::ALL.len();
        let of =
            |reason: Reason| Reason::ALL.iter().position(|known| *known == reason).unwrap_or(0);
        match self {
            Self::ConfigRejected => 0,
            Self::Stripped => 1,
            Self::Unreachable(reason) => of(reason).saturating_add(2),
            Self::Decision(verdict, reason) => {
                let row = VERDICTS.iter().position(|known| *known == verdict).unwrap_or(0);
                row.saturating_add(1)
                    .saturating_mul(reasons)
                    .saturating_add(of(reason))
                    .saturating_add(2)
            }
        }
    }

    /// Whether it is counted or set.
    pub fn kind(self) -> MetricKind {
        match self {
            Self::ConfigRejected => MetricKind::Gauge,
            Self::Decision(..) | Self::Stripped | Self::Unreachable(_) => MetricKind::Counter,
        }
    }

    /// The name with its labels in the form that Istio and the rendered bootstraps extract them
    /// from: `label=.=value;.;name`.
    pub fn name(self) -> String {
        match self {
            Self::Decision(verdict, reason) => {
                format!("verdict=.={verdict};.;reason=.={reason};.;meshfence_decisions_total")
            }
            Self::Stripped => String::from("meshfence_stripped_requests_total"),
            Self::Unreachable(reason) => {
                format!("reason=.={reason};.;meshfence_unreachable_total")
            }
            Self::ConfigRejected => String::from("meshfence_config_rejected"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_metric_has_a_number_of_its_own() {
        let mut seen = BTreeSet::from([Metric::ConfigRejected.index(), Metric::Stripped.index()]);
        for reason in Reason::ALL {
            assert!(seen.insert(Metric::Unreachable(*reason).index()));
            for verdict in VERDICTS {
                assert!(seen.insert(Metric::Decision(verdict, *reason).index()));
            }
        }
        assert_eq!(seen.len(), Metric::COUNT);
        assert_eq!(seen.last(), Some(&(Metric::COUNT - 1)));
    }
}
