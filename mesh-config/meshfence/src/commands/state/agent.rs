//! What an agent says: the document that it serves, as a table.

use super::get;
use crate::exit::{Exit, Failure};
use crate::terminal::{BAD, BOLD, DIM, GOOD};
use comfy_table::{Table, presets};
use guard::Question;
use guard::header::SIG;
use policy_core::wire::{LiveDocument, LiveLease, OverrideMode};
use policy_core::{Health, LeaseState, Situation};
use policy_doc::AgentUrl;
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What an agent has said.
#[derive(Debug)]
pub(super) struct Seen {
    document: LiveDocument,
    signed: Signed,
}

/// What its signature is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Signed {
    /// By the key that was given.
    Right,
    /// It has one, and no key was given to check it with.
    Unchecked,
    /// It has none.
    Missing,
}

/// Asks an agent, as a proxy does.
pub(super) async fn ask(url: &AgentUrl, key: Option<&(String, Vec<u8>)>) -> Result<Seen, Failure> {
    let mut nonce = [0_u8; 16];
    getrandom::fill(&mut nonce)
        .map_err(|error| Failure::new(Exit::Environment, format!("no random bytes: {error}")))?;
    let question = Question::new(&nonce);
    let response = get(url, &question.path()).await?;
    let wrong = |what: String| {
        Failure::new(Exit::Environment, format!("the agent at {} {what}", url.authority()))
    };
    if response.status != 200 {
        return Err(wrong(format!("answers with {}", response.status)));
    }
    let mut sigs = response.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(SIG));
    // Which of two would it be?
    let sig = sigs.next().map(|(_, value)| value).filter(|_| sigs.next().is_none());
    let signed = match (key, sig) {
        (Some((id, secret)), Some(sig)) => {
            let known = |key: &str| (key == id).then_some(secret.as_slice());
            if !question.is_signed(sig, &response.body, known) {
                return Err(wrong(format!("does not sign with `{id}`, or signs something else")));
            }
            Signed::Right
        }
        (Some((id, _)), None) => return Err(wrong(format!("does not sign with `{id}`"))),
        (None, Some(_)) => Signed::Unchecked,
        (None, None) => Signed::Missing,
    };
    let document = LiveDocument::from_json(&response.body)
        .map_err(|fault| wrong(format!("says what is no region state, at {fault}")))?;
    Ok(Seen { document, signed })
}

impl Seen {
    /// For machines: the document as it came, and what its signature is worth.
    pub(super) fn machine(&self) -> String {
        let signature = match self.signed {
            Signed::Right => "right",
            Signed::Unchecked => "unchecked",
            Signed::Missing => "missing",
        };
        json!({"state": self.document, "signature": signature}).to_string()
    }

    /// For people.
    pub(super) fn human(&self) -> String {
        let Self { document, signed } = self;
        let signature = match signed {
            Signed::Right => "signed",
            Signed::Unchecked => "signed; pass its key by --key to check that",
            Signed::Missing => "not signed",
        };
        let (seq, generation) = (document.issued_seq, document.generation);
        let mut text = format!(
            "{BOLD}{}{BOLD:#} {DIM}document {seq} of generation {generation}, {signature}{DIM:#}\n",
            printable(&document.region),
        );
        let situation = document.situation.unwrap_or(Situation::Normal);
        let style = if situation == Situation::Normal { GOOD } else { BAD };
        // Writing into a String cannot fail.
        let _ = writeln!(text, "situation {style}{situation}{style:#}");
        if let Some(order) = &document.order {
            let what = match order.mode {
                OverrideMode::None => "none",
                OverrideMode::Force => "force",
                OverrideMode::Freeze => "freeze",
            };
            let why = order.why.as_deref().map(|why| format!(": {}", printable(why)));
            let (by, why) = (printable(&order.by), why.unwrap_or_default());
            let left = seconds(order.remaining_ms);
            let _ = writeln!(text, "override {BAD}{what}{BAD:#} by {by}{why}, {left} left");
        }
        if let Some(it) = &document.migration {
            let _ = writeln!(
                text,
                "migration {} % of {}'s users in {}",
                it.stage,
                printable(&it.from),
                printable(&it.to)
            );
        }
        let _ = write!(text, "\n{}\n\n{}", leases(&document.leases), regions(document));
        text
    }
}

fn leases(leases: &[LiveLease]) -> Table {
    let mut table = Table::new();
    let titles = ["", "lease", "shard", "state", "holder", "epoch", "left", "before"];
    table.load_style(presets::NOTHING).set_header(titles);
    for lease in leases {
        let is_held = lease.state == LeaseState::Active && lease.ttl_ms > 0;
        table.add_row([
            String::from(if is_held { "✓" } else { "✗" }),
            printable(&lease.ctx),
            printable(lease.shard.as_deref().unwrap_or_default()),
            lease.state.to_string(),
            printable(lease.holder.as_deref().unwrap_or_default()),
            lease.epoch.to_string(),
            seconds(lease.ttl_ms),
            printable(lease.prev.as_deref().unwrap_or_default()),
        ]);
    }
    table
}

fn regions(document: &LiveDocument) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["", "region", "health", "lag", "load"]);
    let leases = document.leases.iter().filter_map(|lease| lease.holder.as_ref());
    let mut names: Vec<&String> = [&document.region].into_iter().chain(leases).collect();
    names.extend(document.health.keys());
    names.extend(document.lag_ms.keys());
    names.extend(document.load.keys());
    names.extend(document.expected_multiplier.keys());
    names.extend(document.shed_floor.keys());
    names.sort();
    names.dedup();
    for name in names {
        let health = document.health.get(name).copied().unwrap_or(Health::Up);
        let lag = document.lag_ms.get(name).into_iter().flatten();
        let lag: Vec<String> =
            lag.map(|(what, ms)| format!("{} {ms} ms", printable(what))).collect();
        let percent = |of: &BTreeMap<String, u16>, what: &str| {
            of.get(name).map(|percent| format!("{percent} %{what}"))
        };
        let load: Vec<String> = [
            percent(&document.load, ""),
            percent(&document.expected_multiplier, " of the usual to come"),
            percent(&document.shed_floor, " shed at least"),
        ]
        .into_iter()
        .flatten()
        .collect();
        table.add_row([
            String::from(if health == Health::Up { "✓" } else { "✗" }),
            printable(name),
            health.to_string(),
            lag.join(", "),
            load.join(", "),
        ]);
    }
    table
}

/// What an agent says without what a terminal would obey.
fn printable(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect()
}

fn seconds(ms: u32) -> String {
    format!("{}.{} s", ms / 1_000, ms % 1_000 / 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = r#"{
        "v": 1, "region": "taiwan", "gen": 3, "issued_seq": 918273, "situation": "failover",
        "leases": [
            {"ctx": "orders", "shard": "taiwan~tokyo", "holder": "tokyo", "epoch": 42, "ttl_ms": 14040, "state": "active", "prev": "taiwan"},
            {"ctx": "inventory", "epoch": 3, "ttl_ms": 0, "state": "vacant"}],
        "health": {"taiwan": "down"}, "lag_ms": {"tokyo": {"postgresql": 120, "kafka": 80}},
        "load": {"tokyo": 71}, "expected_multiplier": {"tokyo": 200}, "shed_floor": {"tokyo": 5},
        "migration": {"stage": 50, "from": "taiwan", "to": "tokyo", "salt": "s"},
        "override": {"mode": "freeze", "by": "mei", "why": "audit", "remaining_ms": 59900}}"#;

    #[test]
    fn a_document_is_a_table() {
        let document = LiveDocument::from_json(DOCUMENT.as_bytes()).unwrap();
        let seen = Seen { document, signed: Signed::Unchecked };
        let plain = anstream::adapter::strip_str(&seen.human()).to_string();
        insta::assert_snapshot!(plain);
        let machine: serde_json::Value = serde_json::from_str(&seen.machine()).unwrap();
        assert_eq!(machine["signature"], "unchecked");
        assert_eq!(machine["state"]["leases"][0]["epoch"], 42);
    }
}
