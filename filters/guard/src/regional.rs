//! Region state in a VM: asked of the agent by one VM of a proxy, shared with the others under a
//! seal, believed for as long as it says, and never after a contradiction.
//!
//! ```text
//! tick ─► shared data: sealed by one of us? ─► watch ─► views of the policies
//!   └──► due? leading? ─► GET to the agent ─► answer: signed? read? newer? ─► watch ─► shared data
//! ```
//!
//! Nothing of this is on the path of a request.

use crate::guard::InForce;
use crate::header;
use crate::host::{AgentCall, Cas, Vm};
use crate::keyring::{Key, KeyRing};
use crate::metric::{Gauge, Metric, PollOutcome};
use crate::question::Question;
use fencing::{Lead, Poll, Poller, Shared, Watch};
use origin_tag::{Stamp, Time};
use policy_core::Policy;
use policy_core::wire::{Agent, LIVE_LEN_MAX, LiveDocument};

/// How often a VM looks at least, in milliseconds: what one of them has learned the others know so much
/// later.
pub const TICK_MS: u32 = 250;

const SEALED: &[u8] = b"meshfence/v1/region-state/shared";
const LEADS: &[u8] = b"meshfence/v1/region-state/lead";
/// What is shared is a document and what is remembered of documents before it.
const SHARED_LEN_MAX: usize = 4 * LIVE_LEN_MAX;
/// A VM is in one region; a few more are room for attachments that are moved.
const WATCHED_MAX: usize = 8;
/// How often a VM tries to share what another one has shared meanwhile.
const SHARE_TRIES: usize = 3;

/// What one VM knows of region state, whatever its configurations.
#[derive(Debug)]
pub struct Regional {
    node: u32,
    watched: Vec<Watched>,
}

/// What it knows by the agent of one region.
#[derive(Debug)]
struct Watched {
    region: Box<str>,
    agent: Agent,
    watch: Watch,
    poller: Poller,
    /// What the proxy calls the question that is on its way.
    call: Option<u32>,
    /// Which value of the shared data was looked at last.
    seen: Option<Cas>,
    /// What came of the last question.
    last: Option<PollOutcome>,
}

impl Regional {
    /// The VM with this node number.
    pub fn new(node: u32) -> Self {
        Self { node, watched: Vec::new() }
    }

    /// What is known by the agent of a policy, if it has one.
    fn of(&mut self, policy: &Policy) -> Option<&mut Watched> {
        let (region, agent) = (policy.region_name(policy.here()), policy.agent()?);
        let is_it = |known: &Watched| *known.region == *region && known.agent == *agent;
        if !self.watched.iter().any(is_it) {
            if self.watched.len() >= WATCHED_MAX {
                self.watched.remove(0);
            }
            self.watched.push(Watched::new(self.node, region, agent));
        }
        self.watched.iter_mut().find(|known| is_it(known))
    }

    /// A policy comes into force: it is judged by what this VM and the others of its proxy know
    /// already. Nobody is asked yet: a proxy that is starting may not be able to.
    pub(crate) fn on_start(&mut self, force: &InForce, vm: &mut impl Vm) {
        if let Some(watched) = self.of(&force.policy) {
            let now_ms = vm.monotonic_ms();
            watched.read_shared(&force.keys, now_ms, vm);
            watched.tell(force, now_ms, vm);
        }
    }

    /// Time has passed: what others have learned is taken over, the agent is asked if it is this VM's
    /// turn, and what has become too old is not believed any more.
    pub(crate) fn on_tick(&mut self, force: &InForce, issued: Time, vm: &mut impl Vm) {
        let Some(watched) = self.of(&force.policy) else { return };
        let now_ms = vm.monotonic_ms();
        watched.read_shared(&force.keys, now_ms, vm);
        if force.take_wants_state() {
            watched.poller.hurry();
        }
        // Without a clock nothing that an agent promises could be believed.
        if let Some(now_ms) = now_ms {
            watched.poll(force, issued, now_ms, vm);
        }
        watched.tell(force, now_ms, vm);
    }

    /// The largest version that the agent knows of its region.
    pub(crate) fn floor(&mut self, policy: &Policy) -> Option<Stamp> {
        let (document, _) = self.of(policy)?.watch.newest()?;
        Stamp::parse(document.hlc_floor.as_deref()?.as_bytes())
    }

    /// The proxy has an answer to the question that it calls by this number, or none.
    pub(crate) fn on_answer(&mut self, force: &InForce, call: u32, size: usize, vm: &mut impl Vm) {
        let Some(watched) = self.of(&force.policy).filter(|known| known.call == Some(call)) else {
            return;
        };
        watched.call = None;
        let Some((asked_ms, nonce)) = watched.poller.on_answer() else { return };
        let outcome = match watched.read_answer(force, asked_ms, nonce, size, vm) {
            Ok(()) => PollOutcome::Adopted,
            Err(outcome) => outcome,
        };
        let now_ms = vm.monotonic_ms();
        watched.close(force, outcome, asked_ms, now_ms, vm);
        if let (Some(_), Some(now_ms)) = (watched.watch.newest(), now_ms) {
            watched.share(&force.keys, now_ms, vm);
        }
        watched.tell(force, now_ms, vm);
    }
}

impl Watched {
    fn new(node: u32, region: &str, agent: &Agent) -> Self {
        Self {
            region: region.into(),
            agent: agent.clone(),
            watch: Watch::default(),
            poller: Poller::new(node),
            call: None,
            seen: None,
            last: None,
        }
    }

    fn state_key(&self) -> String {
        format!("meshfence/v1/region-state/{}", self.region)
    }

    fn lead_key(&self) -> String {
        format!("meshfence/v1/region-lead/{}", self.region)
    }

    /// Takes over what another VM of this proxy believes. Without a key nobody's word is taken.
    fn read_shared(&mut self, keys: &KeyRing, now_ms: Option<u64>, vm: &mut impl Vm) {
        let (Some(_), Some(now_ms)) = (keys.first(), now_ms) else { return };
        let Some((sealed, cas)) = vm.shared(&self.state_key()) else {
            return self.share(keys, now_ms, vm);
        };
        if self.seen == Some(cas) {
            return;
        }
        self.seen = Some(cas);
        let taken = self.take_over(keys, &sealed, now_ms);
        if taken.is_none() {
            vm.count(Metric::ForeignSharedData);
        }
        // A VM that is loaded anew knows no more than what is shared.
        if taken.is_none_or(|shared| self.watch.knows_more_than(&shared)) {
            self.share(keys, now_ms, vm);
        }
    }

    /// Takes over what was shared, if it is one of ours, and says what that was.
    fn take_over(&mut self, keys: &KeyRing, sealed: &[u8], now_ms: u64) -> Option<Shared> {
        let json = keys.unseal([SEALED, self.region.as_bytes()], sealed);
        let json = json.filter(|json| json.len() <= SHARED_LEN_MAX);
        let shared = json.and_then(|json| serde_json::from_slice::<Shared>(json).ok());
        // What another proxy of the same keys has sealed may be of a clock that is further on: it
        // would be believed for as long as that.
        let shared = shared.filter(|shared| shared.asked_ms() <= now_ms);
        let shared = shared?;
        self.watch.merge(&self.region, shared.clone()).ok()?;
        Some(shared)
    }

    /// Shares what this VM believes, and takes over what another one has shared meanwhile.
    fn share(&mut self, keys: &KeyRing, now_ms: u64, vm: &mut impl Vm) {
        let name = self.state_key();
        for _ in 0..SHARE_TRIES {
            let there = vm.shared(&name);
            if let Some((sealed, cas)) = &there {
                // What is not ours is overwritten.
                self.take_over(keys, sealed, now_ms);
                self.seen = Some(*cas);
            }
            let Some(shared) = self.watch.shared() else { return };
            let Ok(json) = serde_json::to_vec(&shared) else { return };
            let sealed = keys.seal([SEALED, self.region.as_bytes()], &json);
            let Some(sealed) = sealed else { return };
            if there.as_ref().is_some_and(|(known, _)| *known == sealed) {
                return;
            }
            if vm.share(&name, &sealed, there.map(|(_, cas)| cas)).is_ok() {
                self.seen = vm.shared(&name).filter(|(now, _)| *now == sealed).map(|(_, cas)| cas);
                return;
            }
        }
    }

    /// Asks the agent, if it is this VM's turn.
    fn poll(&mut self, force: &InForce, issued: Time, now_ms: u64, vm: &mut impl Vm) {
        let times = force.policy.lease_times();
        let has_keys = force.keys.first().is_some();
        let name = self.lead_key();
        let there = Some(()).filter(|()| has_keys).and_then(|()| vm.shared(&name));
        let lead = there.as_ref().and_then(|(sealed, _)| {
            Lead::from_bytes(force.keys.unseal([LEADS, self.region.as_bytes()], sealed)?)
        });
        if there.is_some() && lead.is_none() {
            vm.count(Metric::ForeignSharedData);
        }
        let was_lost = self.poller.is_asking();
        let step = self.poller.on_tick(now_ms, times.poll_ms, has_keys, lead);
        if was_lost && !self.poller.is_asking() {
            self.call = None;
            self.note(PollOutcome::NoAnswer, vm);
        }
        match step {
            Poll::Wait => {}
            Poll::Ask => self.ask(force, issued, now_ms, vm),
            Poll::Lead(lead) => {
                let sealed = force.keys.seal([LEADS, self.region.as_bytes()], &lead.to_bytes());
                let Some(sealed) = sealed else { return };
                // If another VM was quicker it leads; where nobody has ever led two may ask once.
                if vm.share(&name, &sealed, there.map(|(_, cas)| cas)).is_ok() {
                    self.ask(force, issued, now_ms, vm);
                }
            }
        }
    }

    fn ask(&mut self, force: &InForce, issued: Time, now_ms: u64, vm: &mut impl Vm) {
        let times = force.policy.lease_times();
        let timeout_ms = Poller::timeout_ms(times.ttl_ms);
        let nonce = vm.random();
        let called = nonce.and_then(|nonce| {
            self.poller.on_ask(now_ms, timeout_ms, nonce);
            let path = Question::new(&nonce).reporting(issued).path();
            let Agent { cluster, authority } = &self.agent;
            vm.ask(&AgentCall { cluster, authority, path: &path, timeout_ms }).ok()
        });
        match called {
            Some(call) => self.call = Some(call),
            None => self.close(force, PollOutcome::NotSent, now_ms, Some(now_ms), vm),
        }
    }

    /// Believes an answer, or tells what is wrong with it.
    fn read_answer(
        &mut self,
        force: &InForce,
        asked_ms: u64,
        nonce: [u8; Poller::NONCE_LEN],
        size: usize,
        vm: &mut impl Vm,
    ) -> Result<(), PollOutcome> {
        let headers = vm.answer_headers().ok_or(PollOutcome::NoAnswer)?;
        match headers.only(b":status") {
            None => return Err(PollOutcome::NoAnswer),
            Some(b"200") => {}
            Some(_) => return Err(PollOutcome::BadStatus),
        }
        if size > LIVE_LEN_MAX {
            return Err(PollOutcome::Oversized);
        }
        let body = vm.answer_body(LIVE_LEN_MAX).ok_or(PollOutcome::NoAnswer)?;
        if force.keys.first().is_some() || force.policy.hmac().is_some() {
            let secret = |key: &str| force.keys.find(key).map(Key::secret);
            let question = Question::new(&nonce);
            let sig = headers.only(header::SIG.as_bytes());
            if !sig.is_some_and(|sig| question.is_signed(sig, &body, secret)) {
                return Err(PollOutcome::BadSignature);
            }
        }
        let document = LiveDocument::from_json(&body).map_err(|_| PollOutcome::Malformed)?;
        let ttl_ms = force.policy.lease_times().ttl_ms;
        let adopted = self.watch.adopt(&self.region, ttl_ms, document, asked_ms);
        adopted.map_err(PollOutcome::Refused)
    }

    /// A question is over.
    fn close(
        &mut self,
        force: &InForce,
        outcome: PollOutcome,
        asked_ms: u64,
        now_ms: Option<u64>,
        vm: &mut impl Vm,
    ) {
        let poll_ms = force.policy.lease_times().poll_ms;
        if outcome == PollOutcome::Adopted {
            self.poller.on_success(asked_ms, poll_ms);
        } else {
            self.poller.on_failure(now_ms.unwrap_or(asked_ms), poll_ms);
        }
        self.note(outcome, vm);
    }

    /// Counts what came of a question, and logs it where it is something else than last time.
    fn note(&mut self, outcome: PollOutcome, vm: &mut impl Vm) {
        vm.count(Metric::Poll(outcome));
        if self.last.replace(outcome) != Some(outcome) {
            vm.log(&format!("meshfence: region state of {}: {}", self.region, outcome.as_str()));
        }
    }

    /// Lets the policies in force judge by what is believed now, and tells what that is.
    fn tell(&self, force: &InForce, now_ms: Option<u64>, vm: &mut impl Vm) {
        force.refresh(&self.watch, now_ms);
        let age_ms = self
            .watch
            .newest()
            .zip(now_ms)
            .map(|((_, asked_ms), now_ms)| now_ms.saturating_sub(asked_ms));
        let policy = &force.policy;
        // Nothing is as old as it can be.
        vm.set(Gauge::StateAge, age_ms.unwrap_or(u64::from(u32::MAX)));
        let state = force.state();
        for region in policy.all_regions().iter() {
            let is_up = u64::from(state.up.contains(region));
            vm.set(Gauge::RegionHealth(policy.region_name(region)), is_up);
        }
        for (number, lease) in policy.leases().iter().enumerate() {
            for (place, shard) in lease.shards.iter().enumerate() {
                let (name, shard) = (&*lease.name, shard.name.as_deref());
                let held = state.held(number, place, now_ms);
                let is_known = state.knows(number, place, now_ms);
                vm.set(Gauge::LeaseKnown(name, shard), u64::from(is_known));
                let is_here = held.is_some_and(|held| held.holder == policy.here());
                vm.set(Gauge::LeaseHere(name, shard), u64::from(is_here));
                if let Some(held) = held {
                    vm.set(Gauge::LeaseEpoch(name, shard), held.epoch);
                }
            }
        }
    }
}
