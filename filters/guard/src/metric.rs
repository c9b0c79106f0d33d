//! The metrics of the guard: a closed set, so that no label is unbounded.

use policy_core::Reason;

/// One metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    /// Requests by what was done with them and why.
    Decision(Reason),
    /// Requests that carried headers no caller may set.
    Stripped,
    /// Requests whose region could not be reached after the decision.
    Unreachable(Reason),
    /// 1 while a root of the VM that told last refuses its configuration.
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

impl Metric {
    /// One past the largest [`Metric::index`].
    pub const COUNT: usize = 2 + 2 * Reason::ALL.len();

    /// A dense number below [`Metric::COUNT`], for tables of what a proxy calls it.
    pub fn index(self) -> usize {
        let reasons = Reason::ALL.len();
        let of =
            |reason: Reason| Reason::ALL.iter().position(|known| *known == reason).unwrap_or(0);
        match self {
            Self::ConfigRejected => 0,
            Self::Stripped => 1,
            Self::Unreachable(reason) => of(reason).saturating_add(2),
            Self::Decision(reason) => of(reason).saturating_add(2).saturating_add(reasons),
        }
    }

    /// Whether it is counted or set.
    pub fn kind(self) -> MetricKind {
        match self {
            Self::ConfigRejected => MetricKind::Gauge,
            Self::Decision(_) | Self::Stripped | Self::Unreachable(_) => MetricKind::Counter,
        }
    }

    /// The name with its labels in the form that Istio and the rendered bootstraps extract them
    /// from: `label=.=value;.;name`.
    pub fn name(self) -> String {
        match self {
            Self::Decision(reason) => {
                let verdict = reason.verdict();
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
            assert!(seen.insert(Metric::Decision(*reason).index()));
        }
        assert_eq!(seen.len(), Metric::COUNT);
        assert_eq!(seen.last(), Some(&(Metric::COUNT - 1)));
    }
}
