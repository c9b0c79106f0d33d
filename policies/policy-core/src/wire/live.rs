//! Region state as the agent of a region serves it: one JSON document, parsed strictly.
//!
//! Every time in it is what was left of it when the agent answered: no clock of one machine is
//! compared with that of another. What it means is `RegionState::from_live`'s to say.

use super::{ConfigFault, json};
use crate::lease::Lease;
use crate::vocabulary::{Health, LeaseState, Situation};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::RangeInclusive;
use serde::{Deserialize, Serialize};

/// The version of the document that this release reads and writes.
pub const LIVE_VERSION: u32 = 1;
/// A longer document is refused before it is read.
pub const LIVE_LEN_MAX: usize = 256 << 10;
/// More leases than a policy can have are none of a policy's.
pub const LIVE_LEASES_MAX: usize = 2_000;
/// As many regions as a policy can have.
const REGIONS_MAX: usize = 32;
const TECHNOLOGIES_MAX: usize = 16;
const NAME_LEN_MAX: usize = 256;

/// What an agent knows of the regions at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LiveDocument {
    /// Always [`LIVE_VERSION`].
    pub v: u32,
    /// The region whose agent says this.
    pub region: String,
    /// Grows when an operator has started the numbering of an agent anew; never goes down.
    #[serde(rename = "gen")]
    pub generation: u32,
    /// Grows with every document of a generation, so that an old one cannot be passed off as new.
    pub issued_seq: u64,
    /// The agent's wall clock, for people; no decision depends on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_time_ms: Option<u64>,
    /// What the regions are going through; `normal` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub situation: Option<Situation>,
    /// The leases. One that is not here is unknown.
    pub leases: Vec<LiveLease>,
    /// Health by region; one not named is up.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub health: BTreeMap<String, Health>,
    /// How far the copies in a region are behind, in milliseconds, by region and technology; a
    /// region not named cannot be told.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub lag_ms: BTreeMap<String, BTreeMap<String, u32>>,
    /// How much of its capacity a region uses, in percent; one not named cannot be told.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub load: BTreeMap<String, u16>,
    /// How many times its usual load a region has to expect, in percent, because it stands in for
    /// another one or soon will: 100 to 1000. One not named has to expect what it has.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub expected_multiplier: BTreeMap<String, u16>,
    /// How much of what comes to a region is shed at least, in percent, whatever its proxies measure:
    /// 0 to 98. Of one not named nothing has to be.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub shed_floor: BTreeMap<String, u16>,
    /// A share of the users of one region who are served by another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub migration: Option<MigrationDocument>,
    /// What an operator has ordered.
    #[serde(default, rename = "override", skip_serializing_if = "Option::is_none")]
    pub order: Option<OverrideDocument>,
    /// No stamp of this region was larger than this version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hlc_floor: Option<String>,
}

impl LiveDocument {
    /// A document of the first generation that says nothing but this: the regions are well, and nothing
    /// is ordered.
    pub fn new(region: impl Into<String>, issued_seq: u64, leases: Vec<LiveLease>) -> Self {
        Self {
            v: LIVE_VERSION,
            region: region.into(),
            generation: 1,
            issued_seq,
            server_time_ms: None,
            situation: None,
            leases,
            health: BTreeMap::new(),
            lag_ms: BTreeMap::new(),
            load: BTreeMap::new(),
            expected_multiplier: BTreeMap::new(),
            shed_floor: BTreeMap::new(),
            migration: None,
            order: None,
            hlc_floor: None,
        }
    }
}

/// One lease, or one shard of a lease that is split.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LiveLease {
    /// The context that the lease is named after.
    pub ctx: String,
    /// The shard; absent if the lease is not split.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<String>,
    /// What it is in.
    pub state: LeaseState,
    /// The region that holds it; one that is active has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<String>,
    /// The number of its newest grant, above 0.
    pub epoch: u64,
    /// For how long it was certain when the agent answered, in milliseconds.
    pub ttl_ms: u32,
    /// Who held it before, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prev: Option<String>,
}

impl LiveLease {
    /// `lease` or `lease/shard`, as policies name it.
    pub fn name(&self) -> String {
        let Some(shard) = &self.shard else { return self.ctx.clone() };
        // Asked for with every document, for every lease.
        let length = self.ctx.len().saturating_add(shard.len()).saturating_add(1);
        let mut name = String::with_capacity(length);
        name.push_str(&self.ctx);
        name.push('/');
        name.push_str(shard);
        name
    }
}

/// A share of the users of one region who are served by another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MigrationDocument {
    /// How many of a hundred: 0 to 100.
    pub stage: u8,
    /// Whose users.
    pub from: String,
    /// Where they are served.
    pub to: String,
    /// What their buckets are drawn by: as long as it stays, a larger share only adds users.
    pub salt: String,
}

/// What an operator has ordered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OverrideDocument {
    /// What.
    pub mode: OverrideMode,
    /// Who.
    pub by: String,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// For how long from the moment the agent answered, in milliseconds.
    pub remaining_ms: u32,
}

/// What an operator can order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OverrideMode {
    /// Nothing.
    None,
    /// The agents move a lease whatever they would have done. Proxies see a grant like any other:
    /// nothing makes them pass over a lease.
    Force,
    /// Nobody writes leased data.
    Freeze,
}

impl LiveDocument {
    /// How many times its usual load a region can be told to expect, in percent.
    pub const EXPECTED_MULTIPLIER: RangeInclusive<u16> = 100..=1_000;
    /// How much a region can be told to shed at least, in percent.
    pub const SHED_FLOOR: RangeInclusive<u16> = 0..=98;

    /// Reads a document.
    ///
    /// # Errors
    /// The JSON path of the first thing that is not as the format says.
    pub fn from_json(bytes: &[u8]) -> Result<Self, ConfigFault> {
        if bytes.len() > LIVE_LEN_MAX {
            return Err(fault(".", format!("is longer than {LIVE_LEN_MAX} bytes")));
        }
        let document: Self = json::read(bytes)?;
        document.check()?;
        Ok(document)
    }

    /// What types cannot say.
    fn check(&self) -> Result<(), ConfigFault> {
        if self.v != LIVE_VERSION {
            return Err(fault("v", format!("this release reads version {LIVE_VERSION}")));
        }
        for (path, count, most) in [
            ("leases", self.leases.len(), LIVE_LEASES_MAX),
            ("health", self.health.len(), REGIONS_MAX),
            ("lag_ms", self.lag_ms.len(), REGIONS_MAX),
            ("load", self.load.len(), REGIONS_MAX),
            ("expected_multiplier", self.expected_multiplier.len(), REGIONS_MAX),
            ("shed_floor", self.shed_floor.len(), REGIONS_MAX),
        ] {
            if count > most {
                return Err(fault(path, format!("are {count}, more than {most}")));
            }
        }
        if self.lag_ms.values().any(|of| of.is_empty() || of.len() > TECHNOLOGIES_MAX) {
            return Err(fault("lag_ms", format!("name 1 to {TECHNOLOGIES_MAX} technologies each")));
        }
        for (key, said, bounds) in [
            ("expected_multiplier", &self.expected_multiplier, Self::EXPECTED_MULTIPLIER),
            ("shed_floor", &self.shed_floor, Self::SHED_FLOOR),
        ] {
            if let Some((region, _)) = said.iter().find(|(_, percent)| !bounds.contains(*percent)) {
                let message = format!("is not between {} and {}", bounds.start(), bounds.end());
                return Err(fault(&format!("{key}.{region}"), message));
            }
        }
        let mut names = BTreeSet::new();
        for (number, lease) in self.leases.iter().enumerate() {
            let at = |key: &str| format!("leases[{number}].{key}");
            if !(1..=Lease::EPOCH_MAX).contains(&lease.epoch) {
                return Err(fault(&at("epoch"), "is no number of 1 to 15 digits above 0".into()));
            }
            if lease.state == LeaseState::Active && lease.holder.is_none() {
                return Err(fault(&at("holder"), "is missing where the lease is active".into()));
            }
            if lease.state == LeaseState::Vacant && lease.holder.is_some() {
                return Err(fault(&at("holder"), "is there where nobody holds the lease".into()));
            }
            let name = lease.name();
            if name.len() > NAME_LEN_MAX {
                return Err(fault(&at("ctx"), format!("is longer than {NAME_LEN_MAX} bytes")));
            }
            if !names.insert(name) {
                return Err(fault(&at("ctx"), "stands twice".into()));
            }
        }
        if let Some(migration) = &self.migration {
            if migration.stage > 100 {
                return Err(fault("migration.stage", "is more than 100".into()));
            }
            if migration.from == migration.to {
                return Err(fault("migration.to", "is where they come from".into()));
            }
            if migration.salt.len() > NAME_LEN_MAX {
                return Err(fault("migration.salt", "is too long".into()));
            }
        }
        Ok(())
    }
}

fn fault(path: &str, message: String) -> ConfigFault {
    ConfigFault { path: path.into(), message }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec;
    use serde_json::{Value, json};

    fn whole() -> Value {
        json!({
            "v": 1, "region": "taiwan", "gen": 3, "issued_seq": 918_273,
            "server_time_ms": 1_795_832_787_000_u64, "situation": "failover",
            "leases": [
                {"ctx": "orders", "shard": "tokyo", "holder": "tokyo", "epoch": 42,
                 "ttl_ms": 14_000, "state": "active", "prev": "taiwan"},
                {"ctx": "inventory", "epoch": 3, "ttl_ms": 0, "state": "vacant"},
            ],
            "health": {"taiwan": "up", "tokyo": "degraded"},
            "lag_ms": {"tokyo": {"postgresql": 120, "kafka": 80}},
            "load": {"taiwan": 71},
            "expected_multiplier": {"taiwan": 200, "tokyo": 100},
            "shed_floor": {"taiwan": 98, "tokyo": 0},
            "migration": {"stage": 50, "from": "taiwan", "to": "tokyo", "salt": "s1"},
            "override": {"mode": "freeze", "by": "mei", "why": "audit", "remaining_ms": 60_000},
            "hlc_floor": "0192f3a4b5c60007-tyo-3fa29c1b",
        })
    }

    #[test]
    fn what_was_written_is_read() {
        let document = LiveDocument::from_json(whole().to_string().as_bytes()).unwrap();
        assert_eq!(serde_json::to_value(&document).unwrap(), whole());
        assert_eq!(document.leases.first().unwrap().name(), "orders/tokyo");
    }

    #[test]
    fn what_is_not_exactly_a_document_is_refused_with_its_path() {
        let with = |pointer: &str, value: Value| {
            let mut document = whole();
            *document.pointer_mut(pointer).unwrap() = value;
            document.to_string()
        };
        let lease = |value: Value| with("/leases", json!([value]));
        for (text, path) in [
            ("{".to_string(), "."),
            ("[]".to_string(), "."),
            (whole().to_string() + "{}", "."),
            (with("/v", json!(2)), "v"),
            (with("/gen", json!(-1)), "gen"),
            (with("/issued_seq", json!("7")), "issued_seq"),
            (with("/health/tokyo", json!("fine")), "health.tokyo"),
            (with("/leases/0/epoch", json!(0)), "leases[0].epoch"),
            (with("/leases/0/epoch", json!(1_000_000_000_000_000_u64)), "leases[0].epoch"),
            (with("/leases/0/epoch", json!(4.5)), "leases[0].epoch"),
            (with("/leases/0/ttl_ms", json!(-1)), "leases[0].ttl_ms"),
            (with("/leases/0/holder", json!(null)), "leases[0].holder"),
            (with("/leases/0/state", json!("held")), "leases[0].state"),
            (
                lease(
                    json!({"ctx": "a", "state": "vacant", "holder": "tokyo", "epoch": 1, "ttl_ms": 1}),
                ),
                "leases[0].holder",
            ),
            (lease(json!({"ctx": "a", "state": "vacant", "epoch": 1})), "leases[0]"),
            (
                lease(json!({"ctx": "a", "state": "vacant", "epoch": 1, "ttl_ms": 1, "x": 1})),
                "leases[0].x",
            ),
            (
                lease(json!({"ctx": "a".repeat(300), "state": "vacant", "epoch": 1, "ttl_ms": 1})),
                "leases[0].ctx",
            ),
            (with("/lag_ms/tokyo", json!({})), "lag_ms"),
            (with("/expected_multiplier/taiwan", json!(99)), "expected_multiplier.taiwan"),
            (with("/expected_multiplier/tokyo", json!(1001)), "expected_multiplier.tokyo"),
            (with("/expected_multiplier/tokyo", json!(150.5)), "expected_multiplier.tokyo"),
            (with("/shed_floor/tokyo", json!(99)), "shed_floor.tokyo"),
            (with("/shed_floor/tokyo", json!("5")), "shed_floor.tokyo"),
            (with("/shed_floor", json!([5])), "shed_floor"),
            (with("/migration/stage", json!(101)), "migration.stage"),
            (with("/migration/to", json!("taiwan")), "migration.to"),
            (with("/override/mode", json!("ignore")), "override.mode"),
            (with("/situation", json!("war")), "situation"),
        ] {
            let fault = LiveDocument::from_json(text.as_bytes()).unwrap_err();
            assert_eq!(fault.path, path, "{fault}: {text}");
        }
        let mut twice = whole();
        let first = twice["leases"][0].clone();
        twice["leases"] = json!(vec![first.clone(), first]);
        let fault = LiveDocument::from_json(twice.to_string().as_bytes()).unwrap_err();
        assert_eq!(fault.path, "leases[1].ctx");
    }

    #[test]
    fn what_is_too_large_is_not_read() {
        let padded = whole().to_string() + &" ".repeat(LIVE_LEN_MAX);
        assert_eq!(LiveDocument::from_json(padded.as_bytes()).unwrap_err().path, ".");
        let mut many = whole();
        let one = |number| json!({"ctx": format!("c{number}"), "state": "vacant", "epoch": 1, "ttl_ms": 1});
        many["leases"] = (0..=LIVE_LEASES_MAX).map(one).collect();
        assert_eq!(
            LiveDocument::from_json(many.to_string().as_bytes()).unwrap_err().path,
            "leases"
        );
    }
}
