//! What is remembered of one request, and of one VM.

use crate::admission::Place;
use crate::chain::Chain;
use crate::committed::Committed;
use crate::exchange::Exchange;
use crate::record::Draft;
use crate::redaction::Body;
use crate::reroute::Waiting;
use crate::shedding::Shedding;
use crate::versioning::Tracked;
use origin_tag::{Recent, Stamper};
use policy_core::{Judged, ProfileSet, Reason, RegionId};
use std::fmt;

/// What the proxy does next with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// It goes on.
    Continue,
    /// It stays where it is: it was answered, or waits.
    Pause,
}

/// What one VM remembers between requests, whatever its configuration.
#[derive(Debug)]
pub struct Worker {
    pub(crate) stamper: Stamper,
    pub(crate) recent: Recent,
    pub(crate) exchange: Exchange,
    pub(crate) shedding: Shedding,
    pub(crate) chain: Chain,
    sequence: u64,
}

impl Worker {
    /// A VM with this node number: 32 random bits, so that no two VMs share one.
    pub fn new(node: u32) -> Self {
        Self {
            stamper: Stamper::new(node),
            recent: Recent::default(),
            exchange: Exchange::default(),
            shedding: Shedding::new(node),
            chain: Chain::default(),
            sequence: 0,
        }
    }

    pub(crate) fn next_decision(&mut self) -> DecisionId {
        self.sequence = self.sequence.wrapping_add(1);
        DecisionId { node: self.stamper.node(), sequence: self.sequence }
    }
}

/// The name of one decision, in its record and in the response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DecisionId {
    node: u32,
    sequence: u64,
}

impl DecisionId {
    /// The number of the VM that made it.
    pub(crate) const fn vm(self) -> u32 {
        self.node
    }

    /// The VM that made it.
    pub(crate) fn node(self) -> String {
        format!("{:08x}", self.node)
    }

    /// A number that looks random, the same for the same decision: it spreads retries
    /// (splitmix64).
    pub(crate) fn spread(self) -> u64 {
        let seed = (u64::from(self.node) << 32) ^ self.sequence;
        let mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

impl fmt::Display for DecisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}-{:x}", self.node, self.sequence)
    }
}

/// What is remembered of one request.
#[derive(Debug, Default)]
pub struct Stream {
    pub(crate) phase: Phase,
    /// Its record, from its decision to its end.
    pub(crate) record: Option<Draft>,
}

#[derive(Debug, Default)]
#[expect(clippy::large_enum_variant, reason = "there is one for each stream, and most pass")]
pub(crate) enum Phase {
    /// No request headers yet, or none ever: another filter may have answered first.
    #[default]
    New,
    /// It has been here before, and waits for region state.
    Waiting(Waiting),
    /// On its way.
    Passed(Passed),
    /// Answered by the guard; what it took is given back at its end.
    #[expect(dead_code, reason = "dropped at the end, which gives it back")]
    Answered(Option<Place>),
    /// Its response was refused after its request had passed: nothing more of it leaves.
    #[expect(dead_code, reason = "dropped at the end, which gives it back")]
    Refused(Option<Place>),
    /// Over.
    Done,
}

/// A request on its way.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each says something else, and all may be")]
pub(crate) struct Passed {
    pub(crate) id: DecisionId,
    pub(crate) is_grpc: bool,
    /// Where it runs.
    pub(crate) region: RegionId,
    /// Whether its data is about a person, so that no cache may keep the response.
    pub(crate) is_bound: bool,
    /// Whether it is a read that is served by a copy which is too far behind, or may be.
    pub(crate) is_stale: bool,
    /// Whether somebody only looks whether the region is there. No request is missed where it is not.
    pub(crate) is_probe: bool,
    /// What it means if its region cannot be reached.
    pub(crate) if_unreachable: Reason,
    /// What it is, if it is a leased write.
    pub(crate) committed: Option<Committed>,
    /// What its response is held against, if it is an eventual request.
    pub(crate) versions: Option<Tracked>,
    /// What it was judged by, for what the upstream says of its response.
    pub(crate) judged: Option<Judged>,
    /// By which profiles its response is redacted; none: it is not.
    pub(crate) redact: ProfileSet,
    /// What becomes of the response's body.
    pub(crate) body: Body,
    /// The place that it takes, where it is counted.
    pub(crate) place: Option<Place>,
}

impl Stream {
    /// Whether the request may go on: false before it was decided and once it was answered. Body
    /// and trailers have to wait for as long.
    pub fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Passed(_))
    }

    /// Whether the request waits for region state: see [`Guard::on_state`](crate::Guard::on_state).
    pub fn is_waiting(&self) -> bool {
        matches!(self.phase, Phase::Waiting(_))
    }
}
