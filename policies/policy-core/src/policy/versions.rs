//! How eventual writes are told from each other, compiled.

use super::Match;
use super::compile::fault;
use crate::vocabulary::{MergeStrategy, Mode, OnDrift, OnLostUpdate};
use crate::wire::{self, ConfigFault, PolicyBody};
use alloc::format;
use alloc::string::String;
use core::ops::RangeInclusive;

/// How eventual writes are stamped, and what clients are told of versions. Where that is disabled
/// nobody is told anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Versioning {
    /// Whether they are.
    pub mode: Mode,
    /// How far a stamp may be from the clock.
    pub max_drift_ms: u32,
    /// What happens when it is further.
    pub on_drift: OnDrift,
    /// What a write gets that certainly overwrites what its writer has not seen.
    pub on_lost_update: OnLostUpdate,
    /// For how long it is believed what a client says of its own last write; nothing of it where
    /// that is not said.
    pub causal_lifetime_ms: Option<u32>,
    /// Writes of different regions that are closer than this are suspected to know nothing of each
    /// other.
    pub conflict_window_ms: u32,
    /// Whether origin and version are told in `baggage` too, as a hint that nobody believes.
    pub has_hints: bool,
}

/// What is merged on a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Merged {
    /// The context that has it, by its number.
    pub context: usize,
    /// How.
    pub strategy: MergeStrategy,
}

/// What holds where nothing is said.
impl Default for Versioning {
    fn default() -> Self {
        Self::of(&wire::Versioning::default())
    }
}

impl Versioning {
    fn of(said: &wire::Versioning) -> Self {
        let acts = said.mode == Mode::Enforce;
        Self {
            mode: said.mode,
            max_drift_ms: said.max_drift_ms,
            on_drift: said.on_drift,
            on_lost_update: if acts { said.on_lost_update } else { OnLostUpdate::Pass },
            causal_lifetime_ms: said.causal_lifetime_ms.filter(|_| acts),
            conflict_window_ms: said.conflict_window_ms,
            has_hints: acts && said.hints.is_some(),
        }
    }

    pub(super) fn compile(body: &PolicyBody) -> Result<Self, ConfigFault> {
        let said = &body.versioning;
        let at = |key: &str| format!("policy.versioning.{key}");
        check_etag(body)?;
        if said.on_lost_update == OnLostUpdate::Deny && said.etag.is_empty() {
            let message = "`deny` needs `etag`: nothing else tells what a writer has seen";
            return Err(fault(at("onLostUpdate"), message));
        }
        if let Some(lifetime) = said.causal_lifetime_ms {
            if body.hmac.is_none() {
                return Err(fault(at("causalLifetimeMs"), "needs a key in `policy.hmac`"));
            }
            in_bounds(lifetime, wire::Versioning::CAUSAL_LIFETIME_MS, at("causalLifetimeMs"))?;
        }
        let window = said.conflict_window_ms;
        in_bounds(window, wire::Versioning::CONFLICT_WINDOW_MS, at("conflictWindowMs"))?;
        Ok(Self::of(said))
    }
}

fn in_bounds(value: u32, bounds: RangeInclusive<u32>, path: String) -> Result<(), ConfigFault> {
    if bounds.contains(&value) {
        return Ok(());
    }
    let message = format!("needs {} to {} milliseconds", bounds.start(), bounds.end());
    Err(fault(path, message))
}

/// What clients bring back is proven by a key, and only versions order eventual writes.
fn check_etag(body: &PolicyBody) -> Result<(), ConfigFault> {
    let names = &body.versioning.etag;
    if !names.is_empty() && body.hmac.is_none() {
        return Err(fault("policy.versioning.etag", "needs a key in `policy.hmac`"));
    }
    for (number, name) in names.iter().enumerate() {
        let refuse = |why: &str| {
            let path = format!("policy.versioning.etag[{number}]");
            Err(fault(path, format!("`{name}` {why}")))
        };
        match body.contexts.iter().find(|context| context.name == *name) {
            None => return refuse("is no context"),
            Some(context) if context.consistency.is_leased() => return refuse("is leased"),
            Some(_) if names.iter().take(number).any(|earlier| earlier == name) => {
                return refuse("stands twice");
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// Whether responses of a context tell their version.
pub(super) fn has_etag(body: &PolicyBody, context: &wire::Context) -> bool {
    body.versioning.mode == Mode::Enforce && body.versioning.etag.contains(&context.name)
}

/// How every write of a context says that it is merged.
pub(super) fn merge_of(body: &PolicyBody, context: &wire::Context) -> Option<MergeStrategy> {
    let merge = context.merge.as_ref().filter(|merge| merge.at.is_empty())?;
    told(body, merge.strategy)
}

/// Whether no write of a context is lost to another one.
pub(super) fn keeps_all(context: &wire::Context) -> bool {
    context.merge.as_ref().is_some_and(|merge| merge.strategy != MergeStrategy::LastWriteWins)
}

/// The last write wins where nothing is said, and nothing is said where versions are disabled.
fn told(body: &PolicyBody, strategy: MergeStrategy) -> Option<MergeStrategy> {
    let is_told = body.versioning.mode == Mode::Enforce && strategy != MergeStrategy::LastWriteWins;
    is_told.then_some(strategy)
}

/// Puts what is merged into the matches that it is merged on.
pub(super) fn compile_merges(body: &PolicyBody, matches: &mut [Match]) -> Result<(), ConfigFault> {
    for (number, context) in body.contexts.iter().enumerate() {
        let Some(merge) = &context.merge else { continue };
        let path = format!("policy.contexts[{number}].merge");
        if context.consistency.is_leased() {
            return Err(fault(path, "is for eventual contexts"));
        }
        if !merge.at.is_empty() && merge.strategy != MergeStrategy::OrSet {
            let message = format!("is not for `{}`", merge.strategy);
            return Err(fault(format!("{path}.at"), message));
        }
        for (place, at) in merge.at.iter().enumerate() {
            let path = format!("{path}.at[{place}]");
            let owner = body.contexts.iter().position(|owner| owner.name == at.context);
            let Some(owner) = owner else {
                return Err(fault(path, format!("`{}` is no context", at.context)));
            };
            // A request is told one thing.
            let own = body.contexts.get(owner).and_then(|owner| owner.merge.as_ref());
            if own.is_some_and(|own| own.at.is_empty()) {
                let message = format!("`{}` says itself how it is merged", at.context);
                return Err(fault(path, message));
            }
            let mut own = matches.iter_mut().filter(|found| found.context == owner);
            let Some(found) = own.nth(at.position) else {
                return Err(fault(path, format!("`{}` has no such match", at.context)));
            };
            if found.merges.is_some() {
                return Err(fault(path, "is a match that something is merged on already"));
            }
            found.merges = Some(Merged { context: number, strategy: merge.strategy });
        }
    }
    if body.versioning.mode != Mode::Enforce {
        for found in matches {
            found.merges = None;
        }
    }
    Ok(())
}
