//! Region state as a configuration or a test says it: for a first try without an agent.

use super::{MigrationDocument, OverrideMode};
use crate::vocabulary::{Health, LeaseState, Situation};
use alloc::collections::BTreeMap;
use alloc::string::String;
use serde::{Deserialize, Serialize};

/// What is known of the regions: the static form of region state.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StateDocument {
    /// `normal` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub situation: Option<Situation>,
    /// Health by region; one not named is up.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub health: BTreeMap<String, Health>,
    /// Leases by `context` or `context/shard`; one not named is held at home, epoch 1.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub leases: BTreeMap<String, LeaseDocument>,
    /// How far the copies in a region are behind, in milliseconds; those in one not named are not.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub lag_ms: BTreeMap<String, u32>,
    /// How much of its capacity a region uses, in percent; one not named cannot be told.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub load: BTreeMap<String, u16>,
    /// A share of the users of one region who are served by another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub migration: Option<MigrationDocument>,
    /// What an operator has ordered.
    #[serde(default, rename = "override", skip_serializing_if = "Option::is_none")]
    pub order: Option<OverrideMode>,
}

/// One lease of a [`StateDocument`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LeaseDocument {
    /// `active` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<LeaseState>,
    /// The region that holds it; a lease that is held has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<String>,
    /// The epoch, 1 to 15 digits, as a string because numbers become doubles on their way through
    /// Istio; a lease that is held has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<String>,
}
