//! What the VMs of one proxy tell each other of their clocks: at a tick, never on the path of a
//! request.
//!
//! What is shared is one time under a seal, the largest that any of them has issued or taken over.
//! Without a key nobody's word is taken, and a VM's stamps are larger than its own and than what
//! requests and responses bring, no more.

use crate::guard::InForce;
use crate::host::{Cas, Vm};
use crate::keyring::KeyRing;
use crate::metric::{Gauge, Metric, VersionSource};
use origin_tag::{Stamp, Stamper, Time};
use policy_core::{Mode, Versioning};

/// Where it is shared.
const NAME: &str = "meshfence/v1/clock";
const SEALED: [&[u8]; 2] = [b"meshfence/v1/clock/shared", b""];
/// How often a VM tries to share what another one has shared meanwhile.
const SHARE_TRIES: usize = 3;

/// What one VM knows of the others' clocks.
#[derive(Debug, Default)]
pub(crate) struct Exchange {
    /// Which value of the shared data was looked at last.
    seen: Option<Cas>,
    /// The time that was in it.
    shared: Option<Time>,
    /// The floor that was too far ahead and has been counted.
    far_floor: Option<Stamp>,
}

impl Exchange {
    /// Takes over what others have seen, what the agent says was stamped before, and what the clocks
    /// say; shares what this VM has seen.
    pub(crate) fn on_tick(
        &mut self,
        force: &InForce,
        stamper: &mut Stamper,
        floor: Option<Stamp>,
        vm: &mut impl Vm,
    ) {
        let versioning = force.policy.versioning();
        if versioning.mode != Mode::Enforce {
            return;
        }
        // Without a clock nothing can be held to its bound.
        let Some(wall_ms) = vm.unix_ms() else { return };
        if vm.monotonic_ms().is_some_and(|now_ms| stamper.has_stepped(wall_ms, now_ms)) {
            vm.count(Metric::ClockStepped);
        }
        let far = floor.filter(|floor| !stamper.follow(versioning, floor.time(), wall_ms));
        if far.is_some() && far != self.far_floor {
            vm.count(Metric::FutureVersion(VersionSource::Floor));
        }
        self.far_floor = far;
        if force.keys.first().is_some() {
            self.exchange(&force.keys, versioning, stamper, wall_ms, vm);
        }
        vm.set(Gauge::ClockAhead, stamper.time().ms().saturating_sub(wall_ms));
    }

    fn exchange(
        &mut self,
        keys: &KeyRing,
        versioning: Versioning,
        stamper: &mut Stamper,
        wall_ms: u64,
        vm: &mut impl Vm,
    ) {
        for _ in 0..SHARE_TRIES {
            let there = vm.shared(NAME);
            if let Some((sealed, cas)) = &there
                && self.seen != Some(*cas)
            {
                self.seen = Some(*cas);
                self.shared = read(keys, sealed);
                match self.shared {
                    None => vm.count(Metric::ForeignSharedData),
                    Some(time) if !stamper.follow(versioning, time, wall_ms) => {
                        // It stays there: others have to know of it too.
                        vm.count(Metric::FutureVersion(VersionSource::SharedData));
                    }
                    Some(_) => {}
                }
            }
            let own = stamper.time();
            if there.is_some() && self.shared >= Some(own) {
                return;
            }
            let Some(sealed) = keys.seal(SEALED, &own.to_bytes()) else { return };
            if vm.share(NAME, &sealed, there.map(|(_, cas)| cas)).is_ok() {
                return;
            }
        }
    }
}

/// The time that is under a seal of ours.
fn read(keys: &KeyRing, sealed: &[u8]) -> Option<Time> {
    let bytes: [u8; 8] = keys.unseal(SEALED, sealed)?.try_into().ok()?;
    Some(Time::from_bytes(bytes))
}
