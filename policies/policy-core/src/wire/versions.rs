//! How eventual writes are told from each other, as the plugin gets it.

use super::is_default;
use crate::vocabulary::{HintCarrier, MergeStrategy, Mode, OnDrift, OnLostUpdate};
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::RangeInclusive;
use serde::{Deserialize, Serialize};

/// How eventual writes are stamped, and what clients are told of versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Versioning {
    /// Whether it is enforced.
    pub mode: Mode,
    /// How far a stamp may be from the clock, in milliseconds.
    pub max_drift_ms: u32,
    /// What happens when it is further.
    pub on_drift: OnDrift,
    /// The eventual contexts whose responses tell their version as an `ETag`, and whose writes may
    /// bring it back. Needs a key.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub etag: Vec<String>,
    /// What a write gets that certainly overwrites what its writer has not seen. `deny` needs
    /// `etag`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub on_lost_update: OnLostUpdate,
    /// For how long it is believed what a client says of its own last write, in milliseconds; when
    /// absent clients are told nothing to say, and nothing of it is believed. Needs a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub causal_lifetime_ms: Option<u32>,
    /// Writes of different regions that are closer than this are suspected to know nothing of each
    /// other, in milliseconds.
    #[serde(default = "conflict_window", skip_serializing_if = "is_conflict_window")]
    pub conflict_window_ms: u32,
    /// Where origin and version are told as a hint too; nowhere when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hints: Option<HintCarrier>,
}

/// How the versions of several regions become one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Merge {
    /// How.
    pub strategy: MergeStrategy,
    /// The requests that they are merged on, of any context; when absent every write of the context
    /// says how it is merged. Only for what is merged item by item.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub at: Vec<MatchRef>,
}

/// A match by its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MatchRef {
    /// The context that has it.
    pub context: String,
    /// Its place in the list of the context, from 0 on.
    #[serde(rename = "match")]
    pub position: usize,
}

impl Versioning {
    /// How long a client may be believed, in milliseconds: a second to a day.
    pub const CAUSAL_LIFETIME_MS: RangeInclusive<u32> = 1_000..=86_400_000;
    /// How close two writes may have to be, in milliseconds: up to a minute.
    pub const CONFLICT_WINDOW_MS: RangeInclusive<u32> = 1..=60_000;
    /// How close they have to be where nothing is said.
    pub const CONFLICT_WINDOW_MS_DEFAULT: u32 = 1_000;
}

impl Default for Versioning {
    fn default() -> Self {
        Self {
            mode: Mode::Enforce,
            max_drift_ms: 500,
            on_drift: OnDrift::Tag,
            etag: Vec::new(),
            on_lost_update: OnLostUpdate::default(),
            causal_lifetime_ms: None,
            conflict_window_ms: Self::CONFLICT_WINDOW_MS_DEFAULT,
            hints: None,
        }
    }
}

fn conflict_window() -> u32 {
    Versioning::CONFLICT_WINDOW_MS_DEFAULT
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
fn is_conflict_window(window: &u32) -> bool {
    *window == Versioning::CONFLICT_WINDOW_MS_DEFAULT
}
