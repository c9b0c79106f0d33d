//! What a proxy believes: the metrics of its guards, as a table.

use super::get;
use crate::exit::{Exit, Failure};
use crate::terminal::{BAD, BOLD, DIM, GOOD};
use comfy_table::{Table, presets};
use policy_core::name::{
    METRIC_LEASE_EPOCH, METRIC_LEASE_HERE, METRIC_LEASE_KNOWN, METRIC_POLLS, METRIC_REGION_HEALTH,
    METRIC_STATE_AGE,
};
use policy_doc::AgentUrl;
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The metrics of guards, as Prometheus gets them.
const PATH: &str = "/stats/prometheus?filter=meshfence_(region|lease)";

/// Several polls were missed, if there is one a second.
const OLD_MS: u64 = 5_000;

/// What the guards of a proxy say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// How old it is what they believe, in milliseconds; none if nothing was said of it.
    age_ms: Option<u64>,
    /// Whether each region serves.
    health: BTreeMap<String, bool>,
    leases: BTreeMap<(String, String), Lease>,
    /// What came of questions, by outcome.
    polls: BTreeMap<String, u64>,
}

#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Lease {
    is_known: bool,
    epoch: Option<u64>,
    is_here: bool,
}

/// Asks a proxy by its admin port.
pub(super) async fn ask(url: &AgentUrl) -> Result<Seen, Failure> {
    let response = get(url, PATH).await?;
    let wrong = |what: String| {
        Failure::new(Exit::Environment, format!("the proxy at {} {what}", url.authority()))
            .help("name its admin port")
    };
    if response.status != 200 {
        return Err(wrong(format!("answers with {}", response.status)));
    }
    let text = String::from_utf8_lossy(&response.body);
    let seen = Seen::read(&text);
    if seen == Seen::default() {
        let message = format!("the proxy at {} has no guard that asks an agent", url.authority());
        return Err(Failure::new(Exit::Environment, message)
            .help("`meshfence up` starts none: its region state is that of the test it plays"));
    }
    Ok(seen)
}

impl Seen {
    /// Reads the text format of Prometheus, as far as it is about region state.
    fn read(text: &str) -> Self {
        let mut seen = Self::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let Some((metric, value)) = line.rsplit_once(' ') else { continue };
            let (name, labels) = metric.split_once('{').unwrap_or((metric, ""));
            let Some(at) = name.find("meshfence_") else { continue };
            let name = name.get(at..).unwrap_or_default();
            let Some(value) = value.parse::<f64>().ok().filter(|value| *value >= 0.0) else {
                continue;
            };
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "what guards count are whole numbers, and this one is not below 0"
            )]
            let value = value as u64;
            let label = |key: &str| label(labels, key).unwrap_or_default().to_owned();
            let lease = (label("lease"), label("shard"));
            match name {
                METRIC_STATE_AGE => seen.age_ms = Some(value),
                METRIC_REGION_HEALTH => {
                    seen.health.insert(label("region"), value > 0);
                }
                METRIC_POLLS => {
                    seen.polls.insert(label("outcome"), value);
                }
                METRIC_LEASE_KNOWN => {
                    seen.leases.entry(lease).or_default().is_known = value > 0;
                }
                METRIC_LEASE_EPOCH => {
                    seen.leases.entry(lease).or_default().epoch = Some(value);
                }
                METRIC_LEASE_HERE => seen.leases.entry(lease).or_default().is_here = value > 0,
                _ => {}
            }
        }
        seen
    }

    /// For machines.
    pub(super) fn machine(&self) -> String {
        let leases: Vec<_> = self
            .leases
            .iter()
            .map(|((lease, shard), it)| {
                let shard = (!shard.is_empty()).then_some(shard);
                json!({
                    "lease": lease, "shard": shard, "known": it.is_known, "epoch": it.epoch,
                    "here": it.is_here,
                })
            })
            .collect();
        let Self { age_ms, health, polls, .. } = self;
        json!({"ageMs": age_ms, "health": health, "leases": leases, "polls": polls}).to_string()
    }

    /// For people.
    pub(super) fn human(&self) -> String {
        let age = match self.age_ms {
            None => format!("{BAD}nothing is known{BAD:#}"),
            // So old as can be is what no agent has ever said.
            Some(age) if age >= u64::from(u32::MAX) => format!("{BAD}nothing is known{BAD:#}"),
            Some(age) => {
                let style = if age < OLD_MS { GOOD } else { BAD };
                format!("{style}{age} ms old{style:#}")
            }
        };
        let polls: Vec<String> =
            self.polls.iter().map(|(outcome, count)| format!("{outcome} {count}")).collect();
        let mut text = format!("{BOLD}region state{BOLD:#} {age}\n");
        // Writing into a String cannot fail.
        let _ = writeln!(text, "{DIM}questions: {}{DIM:#}\n", polls.join(", "));
        let mut leases = Table::new();
        let titles = ["", "lease", "shard", "holder", "epoch"];
        leases.load_style(presets::NOTHING).set_header(titles);
        for ((name, shard), lease) in &self.leases {
            let holder = match (lease.is_known, lease.is_here) {
                (false, _) => "unknown",
                (true, true) => "this region",
                (true, false) => "not here",
            };
            let epoch = lease.epoch.map(|epoch| epoch.to_string()).unwrap_or_default();
            let mark = if lease.is_known { "✓" } else { "✗" };
            leases.add_row([mark, name, shard, holder, &epoch]);
        }
        let mut regions = Table::new();
        regions.load_style(presets::NOTHING).set_header(["", "region", "health"]);
        for (name, is_up) in &self.health {
            let (mark, health) = if *is_up { ("✓", "up") } else { ("✗", "down") };
            regions.add_row([mark, name, health]);
        }
        let _ = write!(text, "{leases}\n\n{regions}");
        text
    }
}

/// The value of a label. Ours are names of policies, which hold no quotes.
fn label<'l>(labels: &'l str, key: &str) -> Option<&'l str> {
    labels.trim_end_matches('}').split("\",").find_map(|pair| {
        let (name, value) = pair.split_once("=\"")?;
        (name == key).then(|| value.trim_end_matches('"'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATS: &str = "\
# TYPE envoy_meshfence_lease_known gauge
meshfence_lease_known{lease=\"orders\",shard=\"taiwan~tokyo\"} 1
meshfence_lease_known{lease=\"inventory\"} 0
meshfence_lease_epoch{lease=\"orders\",shard=\"taiwan~tokyo\"} 42
meshfence_lease_here{lease=\"orders\",shard=\"taiwan~tokyo\"} 1
envoy_meshfence_region_health{region=\"taiwan\"} 1
meshfence_region_health{region=\"tokyo\"} 0
meshfence_region_state_age_milliseconds{} 7250
meshfence_region_state_polls_total{outcome=\"adopted\"} 81
meshfence_region_state_polls_total{outcome=\"bad_status\"} 3
nothing of ours 1
";

    #[test]
    fn metrics_are_a_table() {
        let seen = Seen::read(STATS);
        assert_eq!(seen.age_ms, Some(7_250));
        insta::assert_snapshot!(anstream::adapter::strip_str(&seen.human()).to_string());
        let machine: serde_json::Value = serde_json::from_str(&seen.machine()).unwrap();
        assert_eq!(machine["leases"][1]["epoch"], 42);
        assert_eq!(machine["polls"]["bad_status"], 3);
    }

    #[test]
    fn what_says_nothing_of_regions_is_nothing() {
        for text in ["", "# nothing", "envoy_cluster_membership_healthy{} 1", "meshfence_ x"] {
            assert_eq!(Seen::read(text), Seen::default(), "{text}");
        }
    }
}
