//! One proxy: the data that its VMs share, and in each VM what the module has there, `Watch`,
//! `Poller` and the state that requests are decided by. This is the thin layer that stands for the
//! module and its host; the mistakes of a [`Mutant`] are made here.

use crate::clock::{Clock, Ms};
use crate::fixture::Fixture;
use crate::mutant::Mutant;
use crate::place::Side;
use crate::rng::Rng;
use fencing::{Lead, Poll, Poller, Refused, Shared, Watch};
use policy_core::wire::LiveDocument;
use policy_core::{
    Caller, Decision, Evidence, LeaseView, Policy, RegionState, Request, Until, decide,
};
use std::rc::Rc;

/// Each so manieth time what VMs share goes through its bytes, to see that these say the same.
const BYTES_EACH: u32 = 8;

/// A value in shared data, with what is compared before it is replaced.
#[derive(Debug, Clone)]
pub struct Cell<T> {
    /// Whether our key has sealed it, and what it is.
    pub value: Option<(bool, T)>,
    /// Grows with every change.
    pub cas: u32,
}

impl<T> Cell<T> {
    const fn new() -> Self {
        Self { value: None, cas: 0 }
    }

    /// Replaces it, if nobody has meanwhile.
    pub fn set(&mut self, cas: u32, value: T) -> bool {
        let is_same = self.cas == cas;
        if is_same {
            self.put(true, value);
        }
        is_same
    }

    /// Replaces it.
    pub fn put(&mut self, is_sealed: bool, value: T) {
        self.value = Some((is_sealed, value));
        self.cas += 1;
    }
}

/// What VMs share of region state.
#[derive(Debug, Clone)]
pub enum Blob {
    /// As the crate has it.
    Whole(Rc<Shared>),
    /// As it is written.
    Bytes(Rc<[u8]>),
}

impl Blob {
    fn read(&self) -> Option<Shared> {
        match self {
            Self::Whole(shared) => Some(Shared::clone(shared)),
            Self::Bytes(bytes) => serde_json::from_slice(bytes).ok(),
        }
    }
}

/// One proxy.
#[derive(Debug)]
pub struct Proxy {
    /// Where it is.
    pub side: Side,
    /// Its clocks.
    pub clock: Clock,
    /// Whether its VMs have a key, so that they can believe each other and the agent can sign.
    pub has_key: bool,
    /// Grows with every start.
    pub life: u32,
    /// It is not there before.
    pub down_until: Ms,
    /// Who asks.
    pub lead: Cell<[u8; 12]>,
    /// What was told.
    pub told: Cell<Blob>,
    /// What was shared some time ago.
    pub before: Vec<Blob>,
    /// Its workers.
    pub vms: Vec<Vm>,
    shares: u32,
    mutant: Option<Mutant>,
}

/// One VM.
#[derive(Debug)]
pub struct Vm {
    /// Grows with every start.
    pub life: u32,
    /// When it asks.
    pub poller: Poller,
    /// What it believes.
    pub watch: Watch,
    /// What requests are decided by.
    pub state: RegionState,
    /// Its thread stands still before.
    pub paused_until: Ms,
    /// The state that whoever watches has seen.
    pub looked: Option<u64>,
    revision: u64,
    seen: u32,
    open: Option<u64>,
    last_known: Option<(RegionState, u64)>,
}

/// What came of a tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ticked {
    /// Nothing.
    Nothing,
    /// It wants to lead, if nobody has said so since.
    Lead(Lead, u32),
    /// It asks.
    Ask,
}

/// An answer of the agent.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Of the question, as its signature says.
    pub nonce: u64,
    /// Whether the signature is right.
    pub is_signed: bool,
    /// What it says.
    pub body: Body,
}

/// The body of an answer.
#[derive(Debug, Clone)]
pub enum Body {
    /// A document that was written and read.
    Document(Rc<LiveDocument>),
    /// Bytes that somebody has to read.
    Bytes(Rc<[u8]>),
}

/// What came of an answer.
#[derive(Debug)]
pub struct Answered {
    /// The document that was adopted, and when it had been asked for as the VM counts.
    pub adopted: Option<Rc<LiveDocument>>,
    /// Why one was not.
    pub refused: Option<Refused>,
}

impl Vm {
    fn new(policy: &Policy, node: u32, life: u32) -> Self {
        Self {
            life,
            poller: Poller::new(node),
            watch: Watch::default(),
            state: RegionState::unknown(policy),
            paused_until: 0,
            looked: None,
            revision: 0,
            seen: 0,
            open: None,
            last_known: None,
        }
    }
}

/// What a decision asks for.
struct Facts {
    caller: Caller,
    now_ms: u64,
    wall_s: u64,
}

impl Evidence for Facts {
    fn caller(&mut self, _: &Policy, _: Option<&[u8]>) -> Caller {
        self.caller
    }

    fn unix_s(&mut self) -> Option<u64> {
        Some(self.wall_s)
    }

    fn monotonic_ms(&mut self) -> Option<u64> {
        Some(self.now_ms)
    }
}

impl Proxy {
    /// A proxy that starts.
    pub fn new(
        fixture: &Fixture,
        side: Side,
        clock: Clock,
        (vms, has_key): (u64, bool),
        mutant: Option<Mutant>,
        rng: &mut Rng,
    ) -> Self {
        let policy = &fixture.roles.of(side).edge;
        let vms = (0..vms).map(|_| Vm::new(policy, node(rng), 0)).collect();
        Self {
            side,
            clock,
            has_key,
            life: 0,
            down_until: 0,
            lead: Cell::new(),
            told: Cell::new(),
            before: Vec::new(),
            vms,
            shares: 0,
            mutant,
        }
    }

    /// What its VMs take for the time.
    pub fn now_ms(&self, now: Ms) -> u64 {
        if self.mutant == Some(Mutant::WallClock) {
            self.clock.wall_ms(now)
        } else {
            self.clock.monotonic_ms(now)
        }
    }

    /// The whole proxy starts again.
    pub fn restart(
        &mut self,
        fixture: &Fixture,
        now: Ms,
        (until, reboots): (Ms, bool),
        rng: &mut Rng,
    ) {
        if reboots {
            self.clock.reboot(now);
        }
        self.life += 1;
        self.down_until = until;
        (self.lead, self.told) = (Cell::new(), Cell::new());
        self.before.clear();
        for number in 0..self.vms.len() {
            self.reload(fixture, number, rng);
        }
    }

    /// One VM starts again.
    pub fn reload(&mut self, fixture: &Fixture, number: usize, rng: &mut Rng) {
        let policy = &fixture.roles.of(self.side).edge;
        let Some(vm) = self.vms.get_mut(number) else { return };
        let mut fresh = Vm::new(policy, node(rng), vm.life + 1);
        if self.mutant == Some(Mutant::LeaseSurvivesRestart) {
            fresh.watch = vm.watch.clone();
            fresh.state = vm.state.clone();
        }
        *vm = fresh;
    }

    /// A tick of a VM: it takes over what others share, and sees whether it has to ask.
    pub fn on_tick(&mut self, fixture: &Fixture, number: usize, now: Ms) -> Ticked {
        let now_ms = self.now_ms(now);
        self.adopt_shared(fixture, number);
        let believes_all = self.mutant == Some(Mutant::ForeignSharedBelieved);
        let lead = self.lead.value.filter(|(is_sealed, _)| *is_sealed || believes_all);
        let mut lead = lead.and_then(|(_, bytes)| Lead::from_bytes(&bytes));
        if self.mutant == Some(Mutant::LeadIsForEver) {
            lead = lead.map(|lead| Lead { until_ms: now_ms + 1, ..lead });
        }
        let cas = self.lead.cas;
        let Some(vm) = self.vms.get_mut(number) else { return Ticked::Nothing };
        vm.refresh(&fixture.roles.of(self.side).edge, now_ms);
        match vm.poller.on_tick(now_ms, fixture.poll_ms, self.has_key, lead) {
            Poll::Wait => Ticked::Nothing,
            Poll::Lead(lead) => Ticked::Lead(lead, cas),
            Poll::Ask => Ticked::Ask,
        }
    }

    fn adopt_shared(&mut self, fixture: &Fixture, number: usize) {
        let believes_all = self.mutant == Some(Mutant::ForeignSharedBelieved);
        let forgets = self.mutant == Some(Mutant::SharedIsNewest);
        let side = fixture.name(self.side);
        let cas = self.told.cas;
        let (Some(vm), true) = (self.vms.get_mut(number), self.has_key) else { return };
        if vm.seen == cas {
            return;
        }
        vm.seen = cas;
        let Some((is_sealed, blob)) = &self.told.value else { return };
        if *is_sealed || believes_all {
            let shared = blob.read();
            if forgets && shared.is_some() {
                vm.watch = Watch::default();
            }
            // What cannot be read says nothing, whoever wrote it.
            let merged = shared.filter(|shared| vm.watch.merge(side, shared.clone()).is_ok());
            if merged.is_some_and(|shared| !vm.watch.knows_more_than(&shared)) {
                return;
            }
        }
        // What is not ours is overwritten, and what is less than what this VM knows.
        if let Some(shared) = vm.watch.shared()
            && !forgets
        {
            self.told.put(true, Blob::Whole(Rc::new(shared)));
            vm.seen = self.told.cas;
        }
    }

    /// A VM is about to ask: the nonce of its question.
    pub fn on_ask(&mut self, fixture: &Fixture, number: usize, now: Ms, nonce: u64) -> bool {
        let now_ms = self.now_ms(now);
        let Some(vm) = self.vms.get_mut(number) else { return false };
        let mut bytes = [0; Poller::NONCE_LEN];
        for (slot, byte) in bytes.iter_mut().zip(nonce.to_le_bytes()) {
            *slot = byte;
        }
        vm.open = Some(nonce);
        vm.poller.on_ask(now_ms, Poller::timeout_ms(fixture.ttl_ms), bytes);
        true
    }

    /// Whether a VM waits for the answer to this question.
    pub fn awaits(&self, number: usize, nonce: u64) -> bool {
        self.vms.get(number).is_some_and(|vm| vm.open == Some(nonce))
    }

    /// The proxy gave a call of a VM up.
    pub fn on_failure(&mut self, fixture: &Fixture, number: usize, now: Ms) {
        let now_ms = self.now_ms(now);
        if let Some(vm) = self.vms.get_mut(number)
            && vm.poller.on_answer().is_some()
        {
            vm.poller.on_failure(now_ms, fixture.poll_ms);
        }
    }

    /// The agent has answered a VM.
    pub fn on_answer(
        &mut self,
        fixture: &Fixture,
        number: usize,
        now: Ms,
        answer: &Answer,
    ) -> Answered {
        let now_ms = self.now_ms(now);
        let mut answered = Answered { adopted: None, refused: None };
        let (side, has_key, mutant) = (fixture.name(self.side), self.has_key, self.mutant);
        let Some(vm) = self.vms.get_mut(number) else { return answered };
        let Some((mut asked_ms, nonce)) = vm.poller.on_answer() else { return answered };
        let is_ours = nonce.starts_with(&answer.nonce.to_le_bytes()) && answer.is_signed;
        if mutant == Some(Mutant::PollCountsFromAnswer) {
            asked_ms = now_ms;
        }
        if mutant == Some(Mutant::NoMargin) {
            asked_ms += Until::MARGIN_MS;
        }
        let document = match &answer.body {
            Body::Document(document) => Some(Rc::clone(document)),
            Body::Bytes(bytes) => LiveDocument::from_json(bytes).ok().map(Rc::new),
        };
        let is_believed = is_ours || !has_key || mutant == Some(Mutant::NonceUnchecked);
        let Some(document) = document.filter(|_| is_believed) else {
            vm.poller.on_failure(now_ms, fixture.poll_ms);
            return answered;
        };
        let before = vm.watch.revision();
        let mut adopted =
            vm.watch.adopt(side, fixture.ttl_ms, LiveDocument::clone(&document), asked_ms);
        if adopted == Err(Refused::EpochRegressed) && mutant == Some(Mutant::EpochMayFall) {
            vm.watch = Watch::default();
            adopted =
                vm.watch.adopt(side, fixture.ttl_ms, LiveDocument::clone(&document), asked_ms);
        }
        match adopted {
            Ok(()) => {
                vm.poller.on_success(asked_ms, fixture.poll_ms);
                answered.adopted = Some(document);
            }
            Err(why) => {
                vm.poller.on_failure(now_ms, fixture.poll_ms);
                answered.refused = Some(why);
            }
        }
        vm.refresh(&fixture.roles.of(self.side).edge, now_ms);
        if before != vm.watch.revision() {
            self.share(fixture, number);
        }
        answered
    }

    /// Tells the other VMs what one believes.
    fn share(&mut self, fixture: &Fixture, number: usize) {
        if !self.has_key {
            return;
        }
        // Whoever writes has read: what others have told since counts too.
        self.adopt_shared(fixture, number);
        let Some(vm) = self.vms.get_mut(number) else { return };
        let Some(shared) = vm.watch.shared() else { return };
        self.shares += 1;
        let blob = if self.shares.is_multiple_of(BYTES_EACH) {
            Blob::Bytes(serde_json::to_vec(&shared).unwrap_or_default().into())
        } else {
            Blob::Whole(Rc::new(shared))
        };
        if self.before.len() < 8 {
            self.before.push(blob.clone());
        }
        if self.told.set(vm.seen.max(self.told.cas), blob) {
            vm.seen = self.told.cas;
        }
    }

    /// Decides a request in a VM.
    pub fn judge<'p>(
        &mut self,
        policy: &'p Policy,
        number: usize,
        request: &Request<'_>,
        caller: Caller,
        now: Ms,
    ) -> Option<Decision<'p>> {
        let now_ms = self.now_ms(now);
        let wall_s = self.clock.wall_ms(now) / 1_000;
        let vm = self.vms.get_mut(number)?;
        let (state, now_ms) = match (&vm.last_known, self.mutant) {
            (Some((state, asked_ms)), Some(Mutant::UnknownIsLastKnown)) => (state, *asked_ms),
            _ => (&vm.state, now_ms),
        };
        Some(decide(policy, state, request, &mut Facts { caller, now_ms, wall_s }))
    }

    /// Since which grant a VM takes a lease to be held, as far as it believes anything.
    pub fn believed(&self, policy: &Policy, number: usize, lease: &str) -> Option<u64> {
        let (lease, shard) = policy.find_lease(lease)?;
        match self.vms.get(number)?.state.lease(lease, shard) {
            LeaseView::Held(held) => Some(held.epoch),
            _ => None,
        }
    }
}

impl Vm {
    /// Grows with what requests are decided by.
    pub const fn revision(&self) -> u64 {
        self.revision
    }

    /// What requests are decided by follows what is believed.
    fn refresh(&mut self, policy: &Policy, now_ms: u64) {
        let is_over = self.state.until.is_some_and(|until| !until.is_ahead(Some(now_ms)));
        if self.revision == self.watch.revision() && !is_over {
            return;
        }
        self.revision = self.watch.revision();
        self.state = self.watch.state(policy, Some(now_ms));
        if let (Some(_), Some((_, asked_ms))) = (self.state.until, self.watch.newest()) {
            self.last_known = Some((self.state.clone(), asked_ms));
        }
    }
}

fn node(rng: &mut Rng) -> u32 {
    u32::try_from(rng.any() >> 32).unwrap_or(0)
}
