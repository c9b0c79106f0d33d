//! What a seed makes of a world: how large it is, what it promises, and what goes wrong in it.

use crate::clock::Ms;
use crate::fault::{Planned, plan};
use crate::rng::Rng;

/// How much goes wrong, and what is promised nevertheless.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The datastore does not look at epochs. Clocks differ by no more than they may.
    Bounded,
    /// The datastore looks at epochs. Clocks differ by no more than they may.
    Fenced,
    /// The datastore looks at epochs; clocks run as they like or stand still, and agents say again
    /// what was so a while ago. Only the datastore's check has to hold, and what each proxy owes to
    /// what it was told.
    Beyond,
}

impl Mode {
    /// Whether the datastore looks at epochs.
    pub const fn checks(self) -> bool {
        !matches!(self, Self::Bounded)
    }

    /// The name on a command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bounded => "bounded",
            Self::Fenced => "fenced",
            Self::Beyond => "beyond",
        }
    }

    /// The mode of this name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Bounded, Self::Fenced, Self::Beyond].into_iter().find(|mode| mode.name() == name)
    }
}

/// When everything is well again.
pub const HEALED_MS: Ms = 70_000;
/// How long after that every lease has to be written again: the time of a lease, the guard of the
/// store, and ten seconds in which an agent says what it wants, proxies ask, and whoever failed to be
/// answered twice has let others try.
pub const RECOVERED_MS: Ms = HEALED_MS + 27_000;

/// What a seed makes of a world.
#[derive(Debug, Clone)]
pub struct Setting {
    /// How much goes wrong.
    pub mode: Mode,
    /// Proxies in each region.
    pub proxies: u64,
    /// VMs in each proxy.
    pub vms: u64,
    /// Whether the VMs have a key.
    pub has_key: bool,
    /// Whether a guard stands before each application.
    pub has_inbound: bool,
    /// How often an agent speaks to the lease store.
    pub sync_ms: u64,
    /// How many clients there are.
    pub clients: u64,
    /// What they ask for.
    pub kinds: Vec<usize>,
    /// How many rows of each kind.
    pub rows: u64,
    /// How many of a thousand transactions take long.
    pub slow: u64,
    /// How much each clock gains, in millionths.
    pub drift_ppm: Vec<i64>,
    /// What goes wrong.
    pub faults: Vec<Planned>,
    /// When everything is well again.
    pub heals: Ms,
    /// When every lease is to be written to from either region.
    pub probes: Option<Ms>,
    /// When it ends.
    pub ends: Ms,
    /// A client uses the region that it is in, and the other one if that does not serve it.
    pub has_homes: bool,
    /// The numbers of everything else.
    pub rng: Rng,
}

/// Kinds of requests that there are.
pub const KINDS: usize = 11;

impl Setting {
    /// The setting of a seed.
    pub fn of(seed: u64, mode: Option<Mode>) -> Self {
        let mut rng = Rng::new(seed);
        let drawn = match rng.below(5) {
            0 | 1 => Mode::Bounded,
            2 | 3 => Mode::Fenced,
            _ => Mode::Beyond,
        };
        let mode = mode.unwrap_or(drawn);
        let (proxies, vms) = (rng.between(1, 2), rng.between(1, 3));
        let has_key = rng.chance(850);
        let bound =
            if mode == Mode::Beyond { rng.pick(&[10_000, 50_000, 250_000]).copied() } else { None };
        let bound: i64 = bound.unwrap_or(500);
        let mut drift = || {
            let width = u64::try_from(2 * bound).unwrap_or(0);
            i64::try_from(rng.between(0, width)).unwrap_or(0) - bound
        };
        let drift_ppm = (0..12).map(|_| drift()).collect();
        // One of them always needs no lease.
        let mut kinds: Vec<usize> = (0..rng.between(1, 4)).map(|_| rng.place(KINDS)).collect();
        kinds.push(KINDS - 1);
        let mut rows = rng.between(1, 2);
        let slow = rng.pick(&[20, 60, 300]).copied().unwrap_or(0);
        let (has_inbound, clients) = (rng.chance(750), rng.between(3, 5));
        let sync_ms = rng.pick(&[1_000, 2_000, 4_000]).copied().unwrap_or(1_000);
        let faults = plan(&mut rng, mode, has_key);
        if mode == Mode::Beyond {
            // Two regions that write at the same time have to meet.
            rows = 1;
            kinds.drain(1..kinds.len() - 1);
        }
        Self {
            mode,
            proxies,
            vms,
            has_key,
            has_inbound,
            sync_ms,
            clients,
            kinds,
            rows,
            slow,
            drift_ppm,
            faults,
            heals: HEALED_MS,
            probes: Some(RECOVERED_MS),
            ends: RECOVERED_MS + 8_000,
            has_homes: false,
            rng,
        }
    }
}
