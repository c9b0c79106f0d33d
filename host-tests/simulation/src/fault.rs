//! What goes wrong, when, and for how long.

use crate::clock::Ms;
use crate::place::{Side, Site};
use crate::rng::Rng;
use crate::setting::{HEALED_MS, Mode};

/// Something that goes wrong for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// One site does not reach another; both ways or one.
    Cut {
        /// From here.
        from: Site,
        /// To there.
        to: Site,
        /// Nor back.
        both: bool,
    },
    /// It does and it does not, for so long each.
    Flaps {
        /// From here.
        from: Site,
        /// To there.
        to: Site,
        /// For how long each.
        each_ms: u64,
    },
    /// Messages take longer, each as it likes, so that they overtake each other.
    Slow {
        /// From here.
        from: Site,
        /// To there.
        to: Site,
        /// By up to so much.
        by_ms: u64,
    },
    /// Messages come twice.
    Doubles {
        /// From here.
        from: Site,
        /// To there.
        to: Site,
    },
    /// The agent does not answer proxies.
    AgentSilent(Side),
    /// It answers them late, by up to so much.
    AgentSlow(Side, u64),
    /// It answers them what is no document.
    AgentBabbles(Side),
    /// Somebody answers them what it answered another question with.
    Replay(Side),
    /// It says again what was so a while ago, as if it were new.
    AgentLies(Side),
    /// It starts again.
    AgentRestarts(Side),
    /// It stands still.
    AgentPauses(Side),
    /// The region cannot serve.
    Sick(Side),
    /// A thread of a proxy stands still.
    VmPauses(Side, u64),
    /// A whole proxy does.
    ProxyPauses(Side, u64),
    /// A VM starts again.
    VmReloads(Side, u64),
    /// A proxy does, after so long; its machine too, or not.
    ProxyRestarts(Side, u64, bool),
    /// Another plugin writes into shared data.
    Foreign(Side, u64, Foreign),
    /// Somebody sets the clock on the wall of every proxy of a region.
    WallSteps(Side, i64),
    /// A machine stands still, and its clock does not notice.
    ClockStops(Side, u64),
    /// What should go to the other region comes back to this one.
    Misroutes(Side),
    /// An operator moves a lease; with force, whoever has it.
    Moves(u64, bool),
    /// An operator moves a lease to a region.
    MovesTo(usize, Side, bool),
    /// An operator moves a share of a region's users to the other one.
    Stage(Side, u8),
    /// An operator moves everything that a region has.
    Evacuates(Side),
    /// An operator stops writes.
    Freezes,
}

/// What another plugin writes into shared data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Foreign {
    /// Bytes.
    Garbage,
    /// What a VM wrote a while ago.
    Old,
    /// What a VM could have written, with more time.
    Forged,
    /// That somebody leads, for ever.
    Lead,
}

/// When it goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Planned {
    /// From then on.
    pub from: Ms,
    /// Until then.
    pub until: Ms,
    /// What.
    pub fault: Fault,
}

const SLOWER: [u64; 4] = [200, 3_000, 20_000, 90_000];

/// What goes wrong in one world.
pub fn plan(rng: &mut Rng, mode: Mode, has_key: bool) -> Vec<Planned> {
    let count = rng.between(2, 9);
    let mut planned: Vec<Planned> = (0..count).map(|_| one(rng, mode, has_key)).collect();
    // Things that go wrong together in practice.
    if rng.chance(400) {
        together(rng, &mut planned);
    }
    if mode == Mode::Beyond && rng.chance(600) {
        two_holders(rng, &mut planned);
    }
    planned.sort_by_key(|planned| planned.from);
    planned
}

/// What goes wrong together.
fn together(rng: &mut Rng, planned: &mut Vec<Planned>) {
    let side = if rng.chance(500) { Side::Taiwan } else { Side::Tokyo };
    let start = rng.between(5_000, HEALED_MS - 40_000);
    let mut add = |after: Ms, lasts: Ms, fault| {
        let from = start + after;
        planned.push(Planned { from, until: (from + lasts).min(HEALED_MS), fault });
    };
    let (home, store) = (side.site(), Site::Witness);
    match rng.below(5) {
        // The agent is renewed and the region emptied, while proxies do not reach it.
        0 => {
            add(0, rng.between(2_000, 14_000), Fault::AgentSilent(side));
            add(300, 0, Fault::AgentRestarts(side));
            add(rng.between(500, 5_000), 0, Fault::Evacuates(side));
        }
        // Answers of the lease store come late, and then questions do not come at all.
        1 => {
            add(
                0,
                60_000,
                Fault::Slow { from: store, to: home, by_ms: rng.between(5_000, 40_000) },
            );
            let cut = Fault::Cut { from: home, to: store, both: false };
            add(rng.between(1_000, 20_000), rng.between(20_000, 60_000), cut);
        }
        // A sick region, whose way out leads back in.
        2 => {
            add(0, 40_000, Fault::Misroutes(side));
            add(0, 40_000, Fault::Sick(side));
        }
        // A region is cut off while proxies still hear its agent.
        3 => {
            let lasts = rng.between(17_000, 50_000);
            add(0, lasts, Fault::Cut { from: home, to: store, both: true });
            if rng.chance(500) {
                add(0, lasts, Fault::Cut { from: home, to: side.other().site(), both: true });
            }
        }
        // Everything is moved there and back, and what is on its way comes late.
        _ => {
            let slow =
                Fault::Slow { from: home, to: Site::Data, by_ms: rng.between(3_000, 90_000) };
            add(0, 50_000, slow);
            add(rng.between(0, 5_000), 0, Fault::Evacuates(side));
            add(rng.between(20_000, 40_000), 0, Fault::Evacuates(side.other()));
        }
    }
}

/// A region is emptied, its agent goes on as before, and a proxy that starts has nothing to know
/// better by: two regions write.
fn two_holders(rng: &mut Rng, planned: &mut Vec<Planned>) {
    let side = if rng.chance(500) { Side::Taiwan } else { Side::Tokyo };
    let start = rng.between(6_000, 20_000);
    let number = rng.any();
    for (after, fault) in [
        (0, Fault::Evacuates(side)),
        (18_000, Fault::AgentLies(side)),
        (18_500, Fault::ProxyRestarts(side, number, false)),
        (18_600, Fault::ProxyRestarts(side, number.wrapping_add(7), false)),
    ] {
        let from = start + after;
        let lasts = if after == 18_000 { 30_000 } else { 700 };
        planned.push(Planned { from, until: from + lasts, fault });
    }
}

fn one(rng: &mut Rng, mode: Mode, has_key: bool) -> Planned {
    let from = rng.between(4_000, HEALED_MS - 6_000);
    let most = *rng.pick(&[2_000, 10_000, 30_000, 60_000]).unwrap_or(&2_000);
    let mut until = (from + rng.between(500, most)).min(HEALED_MS);
    let side = if rng.chance(500) { Side::Taiwan } else { Side::Tokyo };
    let number = rng.any();
    let fault = match rng.below(34) {
        0..=5 => {
            let (from, to) = ends(rng, side);
            Fault::Cut { from, to, both: rng.chance(600) }
        }
        6 => {
            let (from, to) = ends(rng, side);
            Fault::Flaps { from, to, each_ms: rng.between(100, 6_000) }
        }
        7..=9 => {
            let (from, to) = ends(rng, side);
            Fault::Slow { from, to, by_ms: rng.pick(&SLOWER).copied().unwrap_or(0) }
        }
        10 => {
            let (from, to) = ends(rng, side);
            Fault::Doubles { from, to }
        }
        11 => Fault::AgentSilent(side),
        12 => Fault::AgentSlow(side, rng.pick(&[500, 3_000, 8_000]).copied().unwrap_or(0)),
        13 => Fault::AgentBabbles(side),
        14 | 15 if has_key => Fault::Replay(side),
        14..=17 => Fault::AgentRestarts(side),
        18 => Fault::AgentPauses(side),
        19 | 20 => Fault::Sick(side),
        21 => Fault::VmPauses(side, number),
        22 => Fault::ProxyPauses(side, number),
        23 => Fault::VmReloads(side, number),
        24 | 25 => {
            until = until.min(from + 5_000);
            Fault::ProxyRestarts(side, number, rng.chance(500))
        }
        26 => {
            let what = [Foreign::Garbage, Foreign::Old, Foreign::Forged, Foreign::Lead];
            Fault::Foreign(side, number, rng.pick(&what).copied().unwrap_or(Foreign::Garbage))
        }
        27 => {
            let by_ms = i64::try_from(rng.between(0, 1_200_000)).unwrap_or(0) - 600_000;
            Fault::WallSteps(side, by_ms)
        }
        28 => Fault::Misroutes(side),
        29..=31 => Fault::Moves(number, rng.chance(400)),
        32 if mode == Mode::Beyond => Fault::AgentLies(side),
        33 if mode == Mode::Beyond => Fault::ClockStops(side, number),
        _ => Fault::Freezes,
    };
    Planned { from, until, fault }
}

/// Two sites of which at least one is a region.
fn ends(rng: &mut Rng, side: Side) -> (Site, Site) {
    let other = [side.other().site(), Site::Witness, Site::Witness, Site::Data];
    let other = rng.pick(&other).copied().unwrap_or(Site::Witness);
    if rng.chance(500) { (side.site(), other) } else { (other, side.site()) }
}
