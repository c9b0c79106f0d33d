//! Who sheds: ours, what Envoy has itself, or nobody.

use crate::bootstrap::{plugin_filter, type_url};
use clap::ValueEnum;
use serde_json::{Value, json};
use simulation::overload::roster::Algorithm;

/// What stands before the router.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, ValueEnum)]
pub enum Variant {
    /// Nothing.
    None,
    /// Envoy's limit that follows the latency, with the values of its documentation's example.
    AdaptiveConcurrency,
    /// Envoy's rejection by success rate, with its defaults.
    AdmissionControl,
    /// Ours, `latency: auto`.
    Meshfence,
    /// Ours, and behind it Envoy's limit, which then sees what was let in.
    Both,
}

impl Variant {
    /// Those that are compared unless others are asked for.
    pub const DEFAULT: [Self; 4] =
        [Self::None, Self::AdaptiveConcurrency, Self::AdmissionControl, Self::Meshfence];

    /// What tables call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::AdaptiveConcurrency => "adaptive_concurrency",
            Self::AdmissionControl => "admission_control",
            Self::Meshfence => "meshfence",
            Self::Both => "meshfence + adaptive_concurrency",
        }
    }

    /// Whether our module is in it.
    pub const fn has_module(self) -> bool {
        matches!(self, Self::Meshfence | Self::Both)
    }

    /// The same in the model, where that has it.
    pub const fn model(self) -> Option<Algorithm> {
        match self {
            Self::None => Some(Algorithm::Nothing),
            Self::AdaptiveConcurrency => Some(Algorithm::AdaptiveConcurrency),
            Self::AdmissionControl => Some(Algorithm::AdmissionControl),
            Self::Meshfence => Some(Algorithm::Ours),
            Self::Both => None,
        }
    }

    /// Its filters, in their order; `plugin` is the file that configures ours.
    pub fn filters(self, plugin: &str) -> Vec<Value> {
        match self {
            Self::None => Vec::new(),
            Self::AdaptiveConcurrency => vec![adaptive_concurrency()],
            Self::AdmissionControl => vec![admission_control()],
            Self::Meshfence => vec![plugin_filter(plugin)],
            Self::Both => vec![plugin_filter(plugin), adaptive_concurrency()],
        }
    }
}

/// The example of Envoy's documentation of the filter.
fn adaptive_concurrency() -> Value {
    let message = "envoy.extensions.filters.http.adaptive_concurrency.v3.AdaptiveConcurrency";
    json!({
        "name": "envoy.filters.http.adaptive_concurrency",
        "typed_config": {
            "@type": type_url(message),
            "gradient_controller_config": {
                "sample_aggregate_percentile": {"value": 90},
                "concurrency_limit_params": {"concurrency_update_interval": "0.1s"},
                "min_rtt_calc_params": {
                    "jitter": {"value": 10},
                    "interval": "60s",
                    "request_count": 50,
                },
            },
            "enabled": {
                "default_value": true,
                "runtime_key": "bench.adaptive_concurrency",
            },
        },
    })
}

/// Envoy's defaults, which are a window of 30 s, success of 95 % and 80 % rejected at most; what has
/// to be said is what success is: every status below 500.
fn admission_control() -> Value {
    let message = "envoy.extensions.filters.http.admission_control.v3.AdmissionControl";
    json!({
        "name": "envoy.filters.http.admission_control",
        "typed_config": {
            "@type": type_url(message),
            "enabled": {"default_value": true, "runtime_key": "bench.admission_control"},
            "success_criteria": {
                "http_criteria": {"http_success_status": [{"start": 100, "end": 500}]},
                "grpc_criteria": {"grpc_success_status": [0]},
            },
        },
    })
}
