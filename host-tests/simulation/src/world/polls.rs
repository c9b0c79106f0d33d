//! How what the lease store knows gets to the VMs of proxies.

use super::{AGENT_TICK_MS, Asker, Event, STORE, TICK_MS, World};
use crate::agent::{Reply, Sync};
use crate::place::Side;
use crate::proxy::{Answer, Body, Ticked};
use crate::story::Column;
use fencing::Lead;
use fencing::Poller;
use policy_core::LeaseState;
use policy_core::wire::LiveDocument;
use std::rc::Rc;

/// Of so many documents one goes through its bytes.
const BYTES_EACH: u32 = 8;
/// As many answers and documents of an agent are remembered.
const REMEMBERED: usize = 24;

impl World<'_> {
    pub(super) fn on_tick(&mut self, number: usize, vm: usize) {
        let now = self.now;
        let fixture = self.fixture;
        self.at(now + TICK_MS, Event::Tick { proxy: number, vm });
        let Some(proxy) = self.proxies.get_mut(number) else { return };
        let Some(life) = proxy.vms.get(vm).filter(|vm| vm.paused_until <= now).map(|vm| vm.life)
        else {
            return;
        };
        if proxy.down_until > now {
            return;
        }
        let ticked = proxy.on_tick(fixture, vm, now);
        self.look(number, vm);
        match ticked {
            Ticked::Nothing => {}
            Ticked::Ask => self.ask(number, vm),
            // Others tick on threads of their own meanwhile.
            Ticked::Lead(lead, cas) => {
                let at = now + self.polls.below(4);
                self.at(at, Event::Lead { proxy: number, vm, life, lead, cas });
            }
        }
    }

    pub(super) fn on_lead(
        &mut self,
        (number, vm, life): (usize, usize, u32),
        lead: Lead,
        cas: u32,
    ) {
        let Some(proxy) = self.proxies.get_mut(number) else { return };
        let lives = proxy.vms.get(vm).is_some_and(|vm| vm.life == life);
        if lives && proxy.lead.set(cas, lead.to_bytes()) {
            self.ask(number, vm);
        }
    }

    /// What a VM believes is seen by whoever watches.
    fn look(&mut self, number: usize, vm: usize) {
        let Some(proxy) = self.proxies.get_mut(number) else { return };
        let policy = &self.fixture.roles.of(proxy.side).edge;
        let Some(believer) = proxy.vms.get_mut(vm) else { return };
        if believer.looked.replace(believer.revision()) == Some(believer.revision()) {
            return;
        }
        let state = &believer.state;
        let mut index = 0;
        for (lease, spec) in policy.leases().iter().enumerate() {
            for shard in 0..spec.shards.len() {
                if let policy_core::LeaseView::Held(held) = state.lease(lease, shard) {
                    self.monitor.believed((number, vm), index, held.epoch, self.now);
                }
                index += 1;
            }
        }
    }

    fn ask(&mut self, number: usize, vm: usize) {
        let (now, fixture) = (self.now, self.fixture);
        let nonce = self.polls.any();
        let Some(proxy) = self.proxies.get_mut(number) else { return };
        let Some(life) = proxy.vms.get(vm).map(|vm| vm.life) else { return };
        if !proxy.on_ask(fixture, vm, now, nonce) {
            return;
        }
        let (side, asked_ms) = (proxy.side, proxy.clock.monotonic_ms(now));
        let from = Asker { proxy: number, vm, life, nonce, asked_ms };
        let region = self.regions.of(side);
        let slow_ms = region.slow_ms;
        let timeout = u64::from(Poller::timeout_ms(fixture.ttl_ms));
        self.at(now + timeout, Event::PollFailed { from });
        let arrival = self.network.send(now, side.site(), side.site());
        let late = self.polls.below(slow_ms + 1);
        if let Some(at) = arrival.first {
            self.at(at + late, Event::Poll { side, from });
        }
    }

    pub(super) fn on_poll(&mut self, side: Side, from: Asker) {
        let now = self.now;
        let picked = self.polls.any();
        let slow = self.polls.any();
        let region = self.regions.of_mut(side);
        if region.paused_until > now {
            let until = region.paused_until;
            self.at(until, Event::Poll { side, from });
            return;
        }
        let now_ms = region.clock.monotonic_ms(now);
        let document = region.agent.document(now_ms, region.clock.wall_ms(now));
        if region.silent > 0 {
            return;
        }
        let Some(mut document) = document else { return };
        let pick = |len: usize| usize::try_from(picked).unwrap_or(0).checked_rem(len).unwrap_or(0);
        if region.lies > 0
            && let Some(old) = region.documents.get(pick(region.documents.len()))
        {
            document.leases.clone_from(&old.leases);
            document.situation = old.situation;
        }
        document.migration.clone_from(&self.migration);
        region.issued += 1;
        let document = Rc::new(document);
        let body = if region.babbles > 0 {
            Body::Bytes(garbage(&document, picked).into())
        } else if region.issued.is_multiple_of(BYTES_EACH) {
            Body::Bytes(serde_json::to_vec(&*document).unwrap_or_default().into())
        } else {
            Body::Document(Rc::clone(&document))
        };
        let mut answer = Answer { nonce: from.nonce, is_signed: true, body };
        if region.replays > 0
            && let Some(old) = region.answers.get(pick(region.answers.len()))
        {
            answer = old.clone();
        }
        let keeps = region.issued.is_multiple_of(5);
        if keeps && region.answers.len() < REMEMBERED && region.lies + region.babbles == 0 {
            region.answers.push(Answer { nonce: from.nonce, ..answer.clone() });
            region.documents.push(document);
        }
        let late = slow.checked_rem(region.slow_ms + 1).unwrap_or(0);
        if let Some(at) = self.network.send(now, side.site(), side.site()).first {
            self.at(at + late, Event::PollAnswered { from, answer });
        }
    }

    pub(super) fn on_poll_failed(&mut self, from: Asker) {
        let (now, fixture) = (self.now, self.fixture);
        if let Some(proxy) = self.proxies.get_mut(from.proxy)
            && proxy.vms.get(from.vm).is_some_and(|vm| vm.life == from.life)
            && proxy.awaits(from.vm, from.nonce)
        {
            proxy.on_failure(fixture, from.vm, now);
        }
    }

    pub(super) fn on_poll_answered(&mut self, from: Asker, answer: &Answer) {
        let (now, fixture) = (self.now, self.fixture);
        let Some(proxy) = self.proxies.get_mut(from.proxy) else { return };
        let Some(vm) = proxy.vms.get(from.vm).filter(|vm| vm.life == from.life) else { return };
        let paused_until = vm.paused_until.max(proxy.down_until);
        if paused_until > now {
            self.at(paused_until, Event::PollAnswered { from, answer: answer.clone() });
            return;
        }
        if !proxy.awaits(from.vm, from.nonce) {
            return;
        }
        let side = proxy.side;
        let answered = proxy.on_answer(fixture, from.vm, now, answer);
        let is_genuine = answer.nonce == from.nonce || !proxy.has_key;
        if let Some(why) = answered.refused {
            self.counts.unadopted += 1;
            self.tell(Column::At(side), || {
                format!("p{}.{} refuses a document: {}", from.proxy, from.vm, why.as_str())
            });
        }
        if let Some(document) = answered.adopted {
            self.counts.adopted += 1;
            if is_genuine {
                self.promise(from, &document);
            }
            self.tell(Column::At(side), || {
                format!("p{}.{} adopts {}", from.proxy, from.vm, brief(&document))
            });
        }
        self.look(from.proxy, from.vm);
    }

    fn promise(&mut self, from: Asker, document: &LiveDocument) {
        let is_active = |lease: &&policy_core::wire::LiveLease| lease.state == LeaseState::Active;
        for lease in document.leases.iter().filter(is_active) {
            if let Some(number) = self.fixture.lease(&lease.ctx, lease.shard.as_deref()) {
                let which = (from.proxy, number);
                self.monitor.promised(which, lease.epoch, from.asked_ms, lease.ttl_ms);
            }
        }
    }

    pub(super) fn on_agent_tick(&mut self, side: Side) {
        let now = self.now;
        self.at(now + AGENT_TICK_MS, Event::AgentTick(side));
        let nonce = self.polls.any();
        let region = self.regions.of_mut(side);
        if region.paused_until > now {
            return;
        }
        let now_ms = region.clock.monotonic_ms(now);
        let Some(sync) = region.agent.on_tick(now_ms, nonce) else { return };
        let arrivals = self.network.send(now, side.site(), STORE);
        if let Some(at) = arrivals.second {
            self.at(at, Event::Synced(sync.clone()));
        }
        if let Some(at) = arrivals.first {
            self.at(at, Event::Synced(sync));
        }
    }

    pub(super) fn on_synced(&mut self, sync: &Sync) {
        let now = self.now;
        let side = sync.from;
        let reply = self.store.on_sync(sync, self.store_clock.monotonic_ms(now));
        for granted in self.store.granted() {
            let before = self.granted_before(granted.lease);
            self.counts.regranted += u64::from(before.is_some());
            self.counts.moved += u64::from(before.is_some_and(|before| before != granted.to));
            self.monitor.granted(granted.lease, granted.epoch, granted.to, now);
            self.note(|notes, now| notes.granted.push((now, granted)));
            let name = self.lease_text(granted.lease);
            self.tell(Column::Elsewhere, || {
                format!("{name} is granted to {}, epoch {}", granted.to, granted.epoch)
            });
        }
        self.monitor.epochs(self.store.epochs(), now);
        let life = self.regions.of(side).life;
        let reply = Rc::new(reply);
        let arrivals = self.network.send(now, STORE, side.site());
        for at in [arrivals.first, arrivals.second].into_iter().flatten() {
            self.at(at, Event::Replied { side, life, reply: Rc::clone(&reply) });
        }
    }

    fn granted_before(&mut self, lease: usize) -> Option<Side> {
        self.monitor.newest_holder(lease)
    }

    pub(super) fn on_replied(&mut self, side: Side, life: u32, reply: &Rc<Reply>) {
        let now = self.now;
        let region = self.regions.of_mut(side);
        if region.life != life {
            return;
        }
        if region.paused_until > now {
            let until = region.paused_until;
            self.at(until, Event::Replied { side, life, reply: Rc::clone(reply) });
            return;
        }
        let now_ms = region.clock.monotonic_ms(now);
        region.agent.on_reply(now_ms, Reply::clone(reply));
    }
}

/// What a document says, in few words.
fn brief(document: &LiveDocument) -> String {
    let lease = |lease: &policy_core::wire::LiveLease| {
        let holder = lease.holder.as_deref().unwrap_or("-");
        let sign = match lease.state {
            LeaseState::Active => "",
            LeaseState::Draining => "~",
            _ => "?",
        };
        format!("{sign}{}{}", holder.chars().nth(1).unwrap_or('-'), lease.epoch)
    };
    let leases = document.leases.iter().map(lease).collect::<Vec<_>>().join(" ");
    format!("#{} {leases}", document.issued_seq & 0xffff_ffff)
}

/// What is no document, or none that may be adopted.
fn garbage(document: &LiveDocument, picked: u64) -> Vec<u8> {
    let mut bytes = serde_json::to_vec(document).unwrap_or_default();
    match picked % 6 {
        0 => bytes.truncate(bytes.len() / 2),
        1 => bytes.extend_from_slice(b"{}"),
        2 => bytes.resize(policy_core::wire::LIVE_LEN_MAX + 1, b' '),
        3 => {
            let mut other = document.clone();
            "nowhere".clone_into(&mut other.region);
            bytes = serde_json::to_vec(&other).unwrap_or_default();
        }
        4 => {
            let mut other = document.clone();
            for lease in &mut other.leases {
                lease.ttl_ms = 10_000_000;
            }
            bytes = serde_json::to_vec(&other).unwrap_or_default();
        }
        _ => bytes = Vec::new(),
    }
    bytes
}
