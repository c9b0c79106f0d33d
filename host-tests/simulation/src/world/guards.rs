//! The guards that a request passes: each decides by what its VM believes, as the module does.

use super::{Event, Leaving, World};
use crate::check::Pass;
use crate::clock::Ms;
use crate::fixture::side_of;
use crate::kinds;
use crate::mutant::Mutant;
use crate::place::Side;
use crate::story::Column;
use fencing::{parse, token};
use policy_core::{
    CanonicalPath, Decision, Effect, IdempotencyKey, Reason, RegionId, Request, RequestKind, Until,
    Verdict,
};

/// Where a guard stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Guard {
    Edge,
    Peer,
    Inbound,
}

impl Guard {
    const fn name(self) -> &'static str {
        match self {
            Self::Edge => "edge",
            Self::Peer => "peer",
            Self::Inbound => "inbound",
        }
    }
}

/// Where a request goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Inbound,
    App,
    Region(Side),
}

impl World<'_> {
    /// The proxy that has a guard.
    fn proxy_of(&self, side: Side, guard: Guard) -> Option<usize> {
        let of_side = usize::try_from(self.setting.proxies).unwrap_or(1);
        let first = if side == Side::Taiwan { 0 } else { of_side };
        // With two, the application has the second one to itself.
        let own = usize::from(guard == Guard::Inbound).min(of_side.saturating_sub(1));
        (first + own < self.proxies.len()).then_some(first + own)
    }

    /// A request comes to a guard.
    pub(super) fn on_arrive(
        &mut self,
        number: usize,
        guard: Guard,
        side: Side,
        from: Option<Side>,
    ) {
        let now = self.now;
        let picked = self.traffic.any();
        let Some(at) = self.proxy_of(side, guard) else { return };
        let Some(proxy) = self.proxies.get_mut(at) else { return };
        let picked = usize::try_from(picked >> 1).unwrap_or(0);
        let vm = picked.checked_rem(proxy.vms.len()).unwrap_or(0);
        let Some(paused_until) = proxy.vms.get(vm).map(|vm| vm.paused_until) else { return };
        if proxy.down_until > now {
            self.answer(number, side, Err("connection refused"));
            return;
        }
        if paused_until > now {
            self.at(paused_until, Event::Arrive { attempt: number, guard, side, from });
            return;
        }
        let Some(attempt) = self.attempts.get_mut(number) else { return };
        if guard == Guard::Edge {
            attempt.edge = Some((at, vm));
            if self.options.mutant != Some(Mutant::ClientTokenKept) {
                attempt.tokens.clear();
            }
        }
        let refusal = self.judge(number, guard, side, from, (at, vm));
        if let Err(reason) = refusal {
            self.refuse(number, guard, side, (at, vm), reason);
        }
    }

    fn refuse(
        &mut self,
        number: usize,
        guard: Guard,
        side: Side,
        (proxy, vm): (usize, usize),
        reason: Reason,
    ) {
        self.counts.refused += 1;
        self.tell(Column::At(side), || format!("{} p{proxy}.{vm} refuses: {reason}", guard.name()));
        if reason == Reason::FenceAhead {
            self.hurry((proxy, vm));
        }
        // Whoever chose the region has to ask again.
        if reason.is_between_regions()
            && let Some(edge) = self.attempts.get(number).and_then(|attempt| attempt.edge)
        {
            self.hurry(edge);
        }
        self.answer(number, side, Err(reason.as_str()));
    }

    fn hurry(&mut self, (proxy, vm): (usize, usize)) {
        let proxy = self.proxies.get_mut(proxy);
        if let Some(vm) = proxy.and_then(|proxy| proxy.vms.get_mut(vm)) {
            vm.poller.hurry();
        }
    }

    /// A guard judges a request, and lets it go on or says why not.
    fn judge(
        &mut self,
        number: usize,
        guard: Guard,
        side: Side,
        from: Option<Side>,
        (at, vm): (usize, usize),
    ) -> Result<(), Reason> {
        let (now, fixture, mutant) = (self.now, self.fixture, self.options.mutant);
        let roles = fixture.roles.of(side);
        let policy = match guard {
            Guard::Edge => &roles.edge,
            Guard::Peer => &roles.peer,
            Guard::Inbound => &roles.inbound,
        };
        let Some(attempt) = self.attempts.get(number) else { return Ok(()) };
        let Some(op) = self.ops.get(attempt.op) else { return Ok(()) };
        if guard == Guard::Peer {
            if attempt.via.contains(&side) && mutant != Some(Mutant::NoViaCheck) {
                return Err(Reason::Loop);
            }
            if attempt.via.last().copied() != from {
                return Err(Reason::PeerUntrusted);
            }
        }
        let came = match attempt.tokens.as_slice() {
            _ if guard == Guard::Edge => None,
            [] => None,
            [only] => Some(parse(only.as_bytes()).ok_or(Reason::Malformed)?),
            _ if mutant == Some(Mutant::ClientTokenKept) => {
                attempt.tokens.last().and_then(|last| parse(last.as_bytes()))
            }
            _ => return Err(Reason::Malformed),
        };
        let proxy = self.proxies.get_mut(at).ok_or(Reason::HostFailure)?;
        let lease = came.as_ref().and_then(|token| fixture.lease(token.lease, token.shard));
        let own = came.as_ref().and_then(|token| {
            let name = token
                .shard
                .map_or(token.lease.to_owned(), |shard| format!("{}/{shard}", token.lease));
            proxy.believed(policy, vm, &name)
        });
        let mut token_seen = came;
        if let (Some(token), Some(own), Some(Mutant::NewerEpochAccepted)) =
            (&mut token_seen, own, mutant)
        {
            token.epoch = if token.epoch > own { own } else { token.epoch };
        }
        let path = CanonicalPath::parse(op.path.as_bytes()).map_err(|_| Reason::Malformed)?;
        let request = Request {
            method: op.method.as_bytes(),
            host: fixture.host.as_bytes(),
            path: &path,
            kind: RequestKind::Plain,
            idempotency_key: IdempotencyKey::Present,
            deadline: None,
            token: token_seen,
            client_country: None,
            entry: attempt.via.first().and_then(|first| policy.region(fixture.name(*first))),
        };
        let caller = kinds::caller(op.country);
        let decision = proxy.judge(policy, vm, &request, caller, now).ok_or(Reason::HostFailure)?;
        let local_ms = proxy.clock.monotonic_ms(now);
        self.counts.decided += 1;
        if self.options.is_logged {
            self.decisions.push(log(now, side, guard, &decision));
        }
        let believes = guard != Guard::Edge
            && mutant == Some(Mutant::ReceiverBelievesToken)
            && came.is_some_and(|token| token.holder == fixture.name(side));
        if !decision.verdict().is_pass() && !believes {
            return Err(decision.reason);
        }
        let is_write = decision.effect == Some(Effect::Write) && decision.leased;
        let mut fence =
            decision.fence.and_then(|fence| Some((fixture.lease_of(&fence)?, fence.epoch)));
        if believes && fence.is_none() {
            fence = lease.zip(came.map(|token| token.epoch));
        } else if let (Some(lease), Some(token)) = (lease, came) {
            fence = fence.map(|_| (lease, token.epoch));
        }
        let to = decision.region.map_or(side, side_of);
        let text = decision.fence.map(|fence| token(&fence, policy.region_name(fence.holder)));
        let is_routed = decision.verdict() == Verdict::Route;
        self.monitor_pass(number, guard, side, (at, local_ms), own, (fence, is_write));
        self.pass(number, guard, side, (at, vm), (fence, text), (to, is_routed));
        Ok(())
    }

    fn monitor_pass(
        &mut self,
        number: usize,
        guard: Guard,
        side: Side,
        (proxy, local_ms): (usize, u64),
        own: Option<u64>,
        (fence, is_write): (Option<(usize, u64)>, bool),
    ) {
        let now = self.now;
        let Some(attempt) = self.attempts.get(number) else { return };
        self.monitor.hops(&attempt.via, side, now);
        let (Some((lease, epoch)), true) = (fence, is_write) else { return };
        if guard != Guard::Edge {
            self.monitor.took(epoch, own, now);
        }
        self.monitor.decided(Pass { proxy, lease, epoch, local_ms }, now);
    }

    /// A guard lets a request go on: it leaves a little later, or much.
    fn pass(
        &mut self,
        number: usize,
        guard: Guard,
        side: Side,
        (at, vm): (usize, usize),
        (fence, text): (Option<(usize, u64)>, Option<String>),
        (to, is_routed): (Side, bool),
    ) {
        let now = self.now;
        // Most leave at once; some threads are as slow as the margin allows for.
        let held = if self.traffic.chance(100) { self.traffic.below(Until::MARGIN_MS) } else { 0 };
        let Some(attempt) = self.attempts.get_mut(number) else { return };
        if guard == Guard::Edge {
            if let Some(text) = &text {
                attempt.tokens.push(text.clone());
                attempt.ours = Some(text.clone());
            }
            if is_routed {
                attempt.via = vec![side];
            }
        }
        let next = match guard {
            Guard::Edge if is_routed => Next::Region(to),
            Guard::Edge | Guard::Peer if self.setting.has_inbound => Next::Inbound,
            Guard::Edge | Guard::Peer | Guard::Inbound => Next::App,
        };
        let Some(proxy) = self.proxies.get(at) else { return };
        let lives = (proxy.life, proxy.vms.get(vm).map_or(0, |vm| vm.life));
        let leaving = Leaving {
            attempt: number,
            side,
            guard,
            next,
            proxy: at,
            vm,
            lives,
            decided_ms: proxy.clock.monotonic_ms(now),
            fence,
        };
        self.at(now + held, Event::Leave(Box::new(leaving)));
    }

    pub(super) fn on_leave(&mut self, leaving: Leaving) {
        let now = self.now;
        let Leaving { attempt: number, side, guard, next, .. } = leaving;
        let Some(proxy) = self.proxies.get(leaving.proxy) else { return };
        let Some(vm) = proxy.vms.get(leaving.vm) else { return };
        if (proxy.life, vm.life) != leaving.lives || proxy.down_until > now {
            return;
        }
        if vm.paused_until > now {
            let until = vm.paused_until;
            self.at(until, Event::Leave(Box::new(leaving)));
            return;
        }
        let local_ms = proxy.clock.monotonic_ms(now);
        let held_ms = local_ms.saturating_sub(leaving.decided_ms);
        if let Some((lease, epoch)) = leaving.fence {
            let pass = Pass { proxy: leaving.proxy, lease, epoch, local_ms };
            self.monitor.left(pass, held_ms, now);
            if next == Next::App {
                self.monitor.accepted(side, lease, epoch, held_ms, now);
                self.counts.accepted += 1;
                self.note(|notes, now| notes.accepted.push((now, lease, side, epoch)));
            }
            self.tell(Column::At(side), || {
                let to = match next {
                    Next::App => "the application".to_owned(),
                    Next::Inbound => "the workload".to_owned(),
                    Next::Region(to) => to.to_string(),
                };
                let held = if held_ms > 0 { format!(", {held_ms} ms late") } else { String::new() };
                format!("{} -> {to}: epoch {epoch} of lease {lease}{held}", guard.name())
            });
        }
        match next {
            Next::App => self.at(now + 1, Event::App { attempt: number, side }),
            Next::Inbound => {
                let from = Some(side);
                self.at(
                    now + 1,
                    Event::Arrive { attempt: number, guard: Guard::Inbound, side, from },
                );
            }
            Next::Region(to) => {
                let strays = self.regions.of(side).misroutes > 0;
                let arrivals = self.network.send(now, side.site(), to.site());
                let to = if strays { side } else { to };
                for at in [arrivals.first, arrivals.second].into_iter().flatten() {
                    let (guard, from) = (Guard::Peer, Some(side));
                    self.at(at, Event::Arrive { attempt: number, guard, side: to, from });
                }
            }
        }
    }
}

/// A decision as one line.
fn log(now: Ms, side: Side, guard: Guard, decision: &Decision<'_>) -> String {
    let epoch = decision.fence.map_or(0, |fence| fence.epoch);
    let region = decision.region.map(RegionId::rank);
    format!("{now} {side} {} {} {region:?} {epoch}", guard.name(), decision.reason)
}
