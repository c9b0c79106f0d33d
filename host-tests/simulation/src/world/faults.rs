//! What goes wrong begins and ends.

use super::{Home, World};
use crate::agent::Agent;
use crate::clock::Ms;
use crate::fault::{Fault, Foreign};
use crate::network::Link;
use crate::place::{Side, Site};
use crate::proxy::{Blob, Proxy};
use crate::story::Column;
use fencing::Lead;
use policy_core::wire::MigrationDocument;
use std::rc::Rc;

impl World<'_> {
    /// Something begins to go wrong, or it is over.
    pub(super) fn on_fault(&mut self, number: usize, begins: bool) {
        let Some(planned) = self.setting.faults.get(number).copied() else { return };
        let until = planned.until;
        let is_moment = matches!(
            planned.fault,
            Fault::AgentRestarts(_)
                | Fault::VmReloads(..)
                | Fault::Foreign(..)
                | Fault::WallSteps(..)
                | Fault::Moves(..)
                | Fault::Evacuates(..)
                | Fault::MovesTo(..)
                | Fault::Stage(..)
        );
        if begins || !is_moment {
            let sign = if begins { "**" } else { "** over:" };
            self.tell(Column::Elsewhere, || format!("{sign} {:?}", planned.fault));
        }
        self.of_network(planned.fault, begins);
        self.of_agent(planned.fault, begins, until);
        if begins {
            self.of_proxy(planned.fault, until);
            self.of_operator(planned.fault, until);
        }
    }

    /// What goes wrong between sites.
    fn of_network(&mut self, fault: Fault, begins: bool) {
        match fault {
            Fault::Cut { from, to, both } => {
                self.link(from, to, |link| count(&mut link.cuts, begins));
                if both {
                    self.link(to, from, |link| count(&mut link.cuts, begins));
                }
            }
            Fault::Flaps { from, to, each_ms } => {
                self.link(from, to, |link| link.flaps_ms = begins.then_some(each_ms));
            }
            Fault::Slow { from, to, by_ms } => {
                self.link(from, to, |link| link.slow_ms = if begins { by_ms } else { 0 });
            }
            Fault::Doubles { from, to } => {
                self.link(from, to, |link| link.doubled = if begins { 300 } else { 0 });
            }
            Fault::Misroutes(side) => count(&mut self.regions.of_mut(side).misroutes, begins),
            _ => {}
        }
    }

    /// What goes wrong with an agent.
    fn of_agent(&mut self, fault: Fault, begins: bool, until: Ms) {
        match fault {
            Fault::AgentSilent(side) => count(&mut self.regions.of_mut(side).silent, begins),
            Fault::AgentSlow(side, by_ms) => {
                self.regions.of_mut(side).slow_ms = if begins { by_ms } else { 0 };
            }
            Fault::AgentBabbles(side) => count(&mut self.regions.of_mut(side).babbles, begins),
            Fault::Replay(side) => count(&mut self.regions.of_mut(side).replays, begins),
            Fault::AgentLies(side) => count(&mut self.regions.of_mut(side).lies, begins),
            Fault::Sick(side) => {
                let region = self.regions.of_mut(side);
                count(&mut region.sick, begins);
                region.agent.set_health(region.sick == 0);
            }
            Fault::AgentPauses(side) if begins => self.regions.of_mut(side).paused_until = until,
            Fault::AgentRestarts(side) if begins => self.restart_agent(side),
            // What begins ends by itself, or is not an agent's.
            _ => {}
        }
    }

    /// What goes wrong with a proxy or its machine.
    fn of_proxy(&mut self, fault: Fault, until: Ms) {
        let now = self.now;
        match fault {
            Fault::VmPauses(side, number) => {
                if let Some(proxy) = self.proxy_mut(side, number) {
                    let place = place(number, proxy.vms.len());
                    if let Some(vm) = proxy.vms.get_mut(place) {
                        vm.paused_until = vm.paused_until.max(until);
                    }
                }
            }
            Fault::ProxyPauses(side, number) => {
                if let Some(proxy) = self.proxy_mut(side, number) {
                    for vm in &mut proxy.vms {
                        vm.paused_until = vm.paused_until.max(until);
                    }
                }
            }
            Fault::VmReloads(side, number) => self.reload(side, number),
            Fault::ProxyRestarts(side, number, reboots) => {
                let fixture = self.fixture;
                let Some(at) = self.of_side(side, number) else { return };
                if let Some(proxy) = self.proxies.get_mut(at) {
                    proxy.restart(fixture, now, (until, reboots), &mut self.rng);
                }
                self.monitor.restarted(at);
            }
            Fault::Foreign(side, number, what) => self.write_foreign(side, number, what),
            Fault::WallSteps(side, by_ms) if !self.options.has_still_walls => {
                self.counts.walls_set += 1;
                for proxy in self.proxies.iter_mut().filter(|proxy| proxy.side == side) {
                    proxy.clock.step_wall(by_ms);
                }
                self.regions.of_mut(side).clock.step_wall(by_ms);
            }
            Fault::ClockStops(side, number) => {
                let lost_ms = until - now;
                if number.is_multiple_of(3) {
                    self.regions.of_mut(side).clock.lose(now, lost_ms);
                } else if let Some(proxy) = self.proxy_mut(side, number) {
                    proxy.clock.lose(now, lost_ms);
                }
            }
            _ => {}
        }
    }

    /// What an operator orders.
    fn of_operator(&mut self, fault: Fault, until: Ms) {
        match fault {
            Fault::Moves(number, is_forced) => {
                let lease = place(number, self.fixture.leases.len());
                let holder = self.monitor.newest_holder(lease);
                let to = holder.map_or(Side::Tokyo, Side::other);
                self.store.want(lease, to, is_forced);
            }
            Fault::MovesTo(lease, to, is_forced) => self.store.want(lease, to, is_forced),
            Fault::Stage(side, stage) => {
                self.migration = Some(MigrationDocument {
                    stage,
                    from: self.fixture.name(side).to_owned(),
                    to: self.fixture.name(side.other()).to_owned(),
                    salt: "drill".to_owned(),
                });
            }
            Fault::Evacuates(side) => {
                for lease in 0..self.fixture.leases.len() {
                    if self.monitor.newest_holder(lease) == Some(side) {
                        self.store.want(lease, side.other(), false);
                    }
                }
            }
            Fault::Freezes => {
                let until_ms = self.store_clock.monotonic_ms(until);
                self.store.freeze(until_ms);
            }
            _ => {}
        }
        self.monitor.epochs(self.store.epochs(), self.now);
    }

    fn link(&mut self, from: Site, to: Site, change: impl FnOnce(&mut Link)) {
        if let Some(link) = self.network.link(from, to) {
            change(link);
        }
    }

    /// One of a region's proxies.
    fn of_side(&self, side: Side, number: u64) -> Option<usize> {
        let of_side = usize::try_from(self.setting.proxies).unwrap_or(1);
        let first = if side == Side::Taiwan { 0 } else { of_side };
        let at = first + place(number / 7, of_side);
        (at < self.proxies.len()).then_some(at)
    }

    fn proxy_mut(&mut self, side: Side, number: u64) -> Option<&mut Proxy> {
        let at = self.of_side(side, number)?;
        self.proxies.get_mut(at)
    }

    fn restart_agent(&mut self, side: Side) {
        let now = self.now;
        let times = (self.fixture.ttl_ms, self.setting.sync_ms);
        let names = (Rc::clone(&self.fixture.leases), Rc::clone(&self.fixture.names));
        let mutant = self.options.mutant;
        let region = self.regions.of_mut(side);
        let Home { clock, sick, life, agent, .. } = region;
        *life += 1;
        *agent = Agent::new(side, names, times, mutant, clock.monotonic_ms(now));
        agent.set_health(*sick == 0);
    }

    fn reload(&mut self, side: Side, number: u64) {
        let fixture = self.fixture;
        let Some(at) = self.of_side(side, number) else { return };
        let Some(proxy) = self.proxies.get_mut(at) else { return };
        let vm = place(number, proxy.vms.len());
        proxy.reload(fixture, vm, &mut self.rng);
        if !proxy.has_key {
            self.monitor.forget(at);
        }
    }

    fn write_foreign(&mut self, side: Side, number: u64, what: Foreign) {
        let now = self.now;
        let Some(at) = self.of_side(side, number) else { return };
        let Some(proxy) = self.proxies.get_mut(at) else { return };
        match what {
            Foreign::Garbage => {
                proxy.told.put(false, Blob::Bytes(b"not ours".as_slice().into()));
                proxy.lead.put(false, [0xff; 12]);
            }
            Foreign::Old => {
                // It was sealed by us, and says what was so then.
                let old = proxy.before.get(place(number, proxy.before.len())).cloned();
                if let Some(old) = old {
                    proxy.told.put(true, old);
                }
            }
            Foreign::Forged => {
                if let Some(forged) = forged(proxy, now) {
                    proxy.told.put(false, forged);
                }
            }
            Foreign::Lead => {
                let lead = Lead { node: 0, until_ms: u64::MAX };
                // Even if it could be sealed, nobody may lead for so long.
                proxy.lead.put(number.is_multiple_of(2), lead.to_bytes());
            }
        }
    }

    /// Everything is well again.
    pub(super) fn on_heal(&mut self) {
        let now = self.now;
        self.tell(Column::Elsewhere, || "** everything is well again".to_owned());
        for from in Site::ALL {
            for to in Site::ALL {
                self.link(from, to, |link| *link = Link::default());
            }
        }
        for side in Side::BOTH {
            let region = self.regions.of_mut(side);
            (region.silent, region.slow_ms, region.babbles, region.replays) = (0, 0, 0, 0);
            (region.lies, region.misroutes, region.sick) = (0, 0, 0);
            region.paused_until = now;
            region.agent.set_health(true);
        }
        for proxy in &mut self.proxies {
            proxy.down_until = proxy.down_until.min(now);
            for vm in &mut proxy.vms {
                vm.paused_until = vm.paused_until.min(now);
            }
        }
        self.store.settle();
    }
}

fn count(of: &mut u32, begins: bool) {
    *of = if begins { *of + 1 } else { of.saturating_sub(1) };
}

fn place(number: u64, len: usize) -> usize {
    let len = u64::try_from(len).unwrap_or(0);
    number.checked_rem(len).and_then(|place| usize::try_from(place).ok()).unwrap_or(0)
}

/// What a VM could have written if it had been asked later than it was.
fn forged(proxy: &Proxy, now: u64) -> Option<Blob> {
    let (_, blob) = proxy.told.value.as_ref()?;
    let mut value = match blob {
        Blob::Whole(shared) => serde_json::to_value(&**shared).ok()?,
        Blob::Bytes(bytes) => serde_json::from_slice(bytes).ok()?,
    };
    *value.get_mut("asked_ms")? = serde_json::Value::from(proxy.now_ms(now) + 600_000);
    let seq = value.pointer_mut("/document/issued_seq")?;
    *seq = serde_json::Value::from(seq.as_u64()? + 1_000_000);
    Some(Blob::Bytes(serde_json::to_vec(&value).ok()?.into()))
}
