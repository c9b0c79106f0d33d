//! The agent of a region, as a pure state machine: what it claims of the lease store, and what it
//! promises to the proxies of its region.
//!
//! Its rules, each of which the simulator can break to show what it is for:
//!
//! - What the store says counts from the moment when it was *asked*, by a clock that never steps, and
//!   is shortened by the drift that two clocks may have.
//! - A lease is given up in three steps: no document promises it any more, what was promised runs
//!   out, and only then is it released. So nobody else has it while a proxy still believes the last
//!   document.
//! - An agent that starts has forgotten what it promised, and takes it that it has promised all there
//!   is. Grants to what it was before are not its own: it gets new ones, with a higher epoch, so that
//!   a release that is still on its way releases nothing.
//! - The numbering of documents is the store's: a number for each start, which never comes twice.

use crate::mutant::Mutant;
use crate::place::{Each, Side};
use policy_core::wire::{LiveDocument, LiveLease, OverrideDocument, OverrideMode};
use policy_core::{Health, LeaseState, Situation};
use std::collections::VecDeque;
use std::rc::Rc;

/// How much two clocks may gain on each other, in parts of a thousand.
const DRIFT_PER_MILLE: u64 = 1;
/// Questions that are remembered; the answer to an older one tells nothing new.
const OPEN_MAX: usize = 16;

/// A lease of the policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseName {
    /// The context that it is named after.
    pub ctx: String,
    /// The shard.
    pub shard: Option<String>,
    /// Where it starts.
    pub home: Side,
    /// Whether it can be in each region.
    pub possible: Each<bool>,
}

impl LeaseName {
    /// `lease` or `lease/shard`.
    pub fn text(&self) -> String {
        match &self.shard {
            Some(shard) => format!("{}/{shard}", self.ctx),
            None => self.ctx.clone(),
        }
    }
}

/// What an agent says to the lease store, all of it at once.
#[derive(Debug, Clone)]
pub struct Sync {
    /// Whose agent.
    pub from: Side,
    /// The number of its start; none before it has one.
    pub start: Option<u64>,
    /// Grows with everything that it says, so that what comes late is known as such.
    pub seq: u64,
    /// What the answer is told from others by.
    pub nonce: u64,
    /// Whether its region can serve.
    pub is_healthy: bool,
    /// By lease.
    pub claims: Vec<Claim>,
}

/// What an agent claims of a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// Nothing.
    Nothing,
    /// To get it, if nobody has it.
    Want,
    /// To keep the grant with this epoch.
    Hold(u64),
    /// To give the grant with this epoch back.
    Release(u64),
}

/// What the lease store answers.
#[derive(Debug, Clone)]
pub struct Reply {
    /// Of the question.
    pub nonce: u64,
    /// The number of the agent's start.
    pub start: u64,
    /// What the regions are going through.
    pub situation: Situation,
    /// For how much longer nobody writes, by an operator's order.
    pub frozen_ms: u64,
    /// Which regions serve.
    pub up: Each<bool>,
    /// By lease.
    pub grants: Vec<Grant>,
}

/// What the lease store knows of a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// Who has it, and the number of the agent's start.
    pub holder: Option<(Side, u64)>,
    /// Of the newest grant; 0 before the first.
    pub epoch: u64,
    /// How long it still lasts.
    pub remaining_ms: u64,
    /// Where an operator wants it.
    pub wanted: Option<Side>,
}

/// The agent of a region.
#[derive(Debug, Clone)]
pub struct Agent {
    side: Side,
    ttl_ms: u32,
    sync_ms: u64,
    names: Rc<[LeaseName]>,
    regions: Rc<Each<String>>,
    mutant: Option<Mutant>,
    start: Option<u64>,
    is_healthy: bool,
    due_ms: u64,
    open: VecDeque<(u64, u64)>,
    known: Option<Known>,
    own: Vec<Own>,
    said: u64,
    issued: u64,
}

/// The newest answer, and when it was asked for.
#[derive(Debug, Clone)]
struct Known {
    asked_ms: u64,
    reply: Reply,
}

/// What an agent has to remember of a lease itself.
#[derive(Debug, Clone, Copy)]
struct Own {
    /// Until when proxies may believe what they were told of it.
    promised_until_ms: u64,
    /// It promises no epoch up to this one any more.
    given_up: u64,
}

impl Agent {
    /// An agent that starts.
    pub fn new(
        side: Side,
        (names, regions): (Rc<[LeaseName]>, Rc<Each<String>>),
        (ttl_ms, sync_ms): (u32, u64),
        mutant: Option<Mutant>,
        now_ms: u64,
    ) -> Self {
        let forgets = mutant == Some(Mutant::AgentForgetsPromises);
        let promised_until_ms = now_ms + if forgets { 0 } else { u64::from(ttl_ms) };
        let own = names.iter().map(|_| Own { promised_until_ms, given_up: 0 }).collect();
        Self {
            side,
            ttl_ms,
            sync_ms,
            names,
            regions,
            mutant,
            start: None,
            is_healthy: true,
            due_ms: 0,
            open: VecDeque::new(),
            known: None,
            own,
            said: 0,
            issued: 0,
        }
    }

    /// Whether its region can serve, as whoever looks after it has found.
    pub fn set_health(&mut self, is_healthy: bool) {
        self.is_healthy = is_healthy;
        self.due_ms = 0;
    }

    /// What it says to the store now, if anything. `nonce` is random.
    pub fn on_tick(&mut self, now_ms: u64, nonce: u64) -> Option<Sync> {
        if now_ms < self.due_ms {
            return None;
        }
        self.due_ms = now_ms + self.sync_ms;
        self.open.push_back((nonce, now_ms));
        if self.open.len() > OPEN_MAX {
            self.open.pop_front();
        }
        let claims = (0..self.names.len()).map(|lease| self.claim(lease, now_ms)).collect();
        self.said += 1;
        let Self { side: from, start, said: seq, is_healthy, .. } = *self;
        Some(Sync { from, start, seq, nonce, is_healthy, claims })
    }

    fn claim(&mut self, lease: usize, now_ms: u64) -> Claim {
        let (Some(start), Some(known)) = (self.start, &self.known) else { return Claim::Nothing };
        let (Some(grant), Some(own), Some(name)) =
            (known.reply.grants.get(lease), self.own.get_mut(lease), self.names.get(lease))
        else {
            return Claim::Nothing;
        };
        if grant.holder != Some((self.side, start)) {
            // When it is free the store knows best.
            let wants = self.is_healthy && *name.possible.of(self.side);
            return if wants { Claim::Want } else { Claim::Nothing };
        }
        if !self.is_healthy || grant.wanted.is_some_and(|wanted| wanted != self.side) {
            own.given_up = own.given_up.max(grant.epoch);
        } else if grant.remaining_ms == 0 {
            // It has run out, and nobody else has got it: a new grant.
            return Claim::Want;
        }
        let is_over =
            now_ms >= own.promised_until_ms || self.mutant == Some(Mutant::AgentReleasesAtOnce);
        if grant.epoch <= own.given_up && is_over {
            Claim::Release(grant.epoch)
        } else {
            Claim::Hold(grant.epoch)
        }
    }

    /// The store has answered.
    pub fn on_reply(&mut self, now_ms: u64, reply: Reply) {
        let open = self.open.iter().find(|(nonce, _)| *nonce == reply.nonce);
        let Some((_, mut asked_ms)) = open.copied() else { return };
        if self.mutant == Some(Mutant::AgentCountsFromAnswer) {
            asked_ms = now_ms;
        }
        if *self.start.get_or_insert(reply.start) != reply.start {
            return;
        }
        if self.known.as_ref().is_some_and(|known| asked_ms <= known.asked_ms) {
            return;
        }
        self.known = Some(Known { asked_ms, reply });
        // Something may be there to be said at once: a lease is free, or has to be given up.
        let is_news = (0..self.names.len()).any(|lease| self.is_news(lease));
        if is_news {
            self.due_ms = self.due_ms.min(now_ms + 200);
        }
    }

    fn is_news(&self, lease: usize) -> bool {
        let Some(known) = &self.known else { return false };
        let (Some(grant), Some(name)) = (known.reply.grants.get(lease), self.names.get(lease))
        else {
            return false;
        };
        grant.holder.is_none() && self.is_healthy && *name.possible.of(self.side)
    }

    /// What it tells a proxy that asks; nothing as long as it knows nothing itself.
    pub fn document(&mut self, now_ms: u64, wall_ms: u64) -> Option<LiveDocument> {
        let (Some(start), Some(known)) = (self.start, self.known.take()) else { return None };
        self.issued += 1;
        let grants = known.reply.grants.iter().zip(self.names.iter()).zip(&mut self.own);
        let (side, ttl_ms, mutant) = (self.side, self.ttl_ms, self.mutant);
        let told = |((grant, name), own): ((&Grant, &LeaseName), &mut Own)| {
            let lasts = grant.remaining_ms
                - grant.remaining_ms.saturating_mul(DRIFT_PER_MILLE).div_ceil(1_000);
            let left = (known.asked_ms + lasts).saturating_sub(now_ms).min(u64::from(ttl_ms));
            let is_own = grant.holder == Some((side, start));
            let (state, left) = match grant.holder {
                None => (LeaseState::Vacant, 0),
                Some(_) if is_own && grant.epoch <= own.given_up => (LeaseState::Draining, 0),
                Some((holder, _)) if left > 0 && (is_own || holder != side) => {
                    (LeaseState::Active, left)
                }
                Some(_) => (LeaseState::Unknown, 0),
            };
            let is_active = state == LeaseState::Active;
            let left = if is_active && mutant == Some(Mutant::AgentServesWholeTtl) {
                u64::from(ttl_ms)
            } else {
                left
            };
            if is_active && is_own {
                own.promised_until_ms = own.promised_until_ms.max(now_ms + left);
            }
            (grant.epoch > 0).then(|| LiveLease {
                ctx: name.ctx.clone(),
                shard: name.shard.clone(),
                state,
                holder: grant.holder.map(|(holder, _)| self.regions.of(holder).clone()),
                epoch: grant.epoch,
                ttl_ms: u32::try_from(left).unwrap_or(0),
                prev: None,
            })
        };
        let leases = grants.filter_map(told).collect();
        let is_up = |of: Side| {
            if of == self.side { self.is_healthy } else { *known.reply.up.of(of) }
        };
        let down = Side::BOTH.into_iter().filter(|of| !is_up(*of));
        let gone_ms = now_ms.saturating_sub(known.asked_ms);
        let frozen_ms = known.reply.frozen_ms.saturating_sub(gone_ms);
        let document = LiveDocument {
            server_time_ms: Some(wall_ms),
            situation: Some(known.reply.situation),
            health: down.map(|side| (self.regions.of(side).clone(), Health::Down)).collect(),
            order: (frozen_ms > 0).then(|| OverrideDocument {
                mode: OverrideMode::Freeze,
                by: "operator".to_owned(),
                why: None,
                remaining_ms: u32::try_from(frozen_ms).unwrap_or(0),
            }),
            ..LiveDocument::new(
                self.regions.of(self.side).as_str(),
                (start << 32) | self.issued,
                leases,
            )
        };
        self.known = Some(known);
        Some(document)
    }
}
