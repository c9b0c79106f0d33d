//! A world: everything that there is in it, and what happens next.

mod faults;
mod guards;
mod notes;
mod polls;
mod requests;

use crate::agent::{Agent, LeaseName, Reply, Sync};
use crate::check::{Invariant, Monitor, Violation};
use crate::clock::{Clock, Ms};
use crate::data::{Database, Outcome, Statement};
use crate::fixture::Fixture;
use crate::history::{self, Done, Op as Act, Told};
use crate::mutant::Mutant;
use crate::network::Network;
use crate::place::{Each, Side, Site};
use crate::proxy::{Answer, Proxy};
use crate::rng::Rng;
use crate::setting::{Mode, Setting};
use crate::store::LeaseStore;
use crate::story::{Column, Story};
use guards::{Guard, Next};
pub(crate) use notes::Notes;
use policy_core::wire::{LiveDocument, MigrationDocument};
pub(crate) use requests::CLIENTS_STOP_MS;
use requests::{Attempt, Op};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BinaryHeap};
use std::rc::Rc;

/// How often a VM ticks.
const TICK_MS: Ms = 250;
/// How often an agent looks whether it has something to say.
const AGENT_TICK_MS: Ms = 200;

/// What a world is made for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Which seed.
    pub seed: u64,
    /// How much goes wrong; as the seed says where not said.
    pub mode: Option<Mode>,
    /// The mistake that is made.
    pub mutant: Option<Mutant>,
    /// Nobody sets a clock on a wall.
    pub has_still_walls: bool,
    /// Its story is told.
    pub is_told: bool,
    /// Every decision is written down.
    pub is_logged: bool,
}

/// What came of a world.
#[derive(Debug)]
pub struct Report {
    /// Of which seed.
    pub seed: u64,
    /// How much went wrong.
    pub mode: Mode,
    /// What was violated first.
    pub violation: Option<Violation>,
    /// What happened.
    pub story: Story,
    /// Every decision, where that was asked for.
    pub decisions: Vec<String>,
    /// How much happened.
    pub counts: Counts,
}

/// How much happened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Decisions.
    pub decided: u64,
    /// Leased writes that reached an application.
    pub accepted: u64,
    /// Writes that were committed.
    pub committed: u64,
    /// Writes that the datastore refused for their epoch.
    pub stale: u64,
    /// Requests that a guard refused.
    pub refused: u64,
    /// Grants beyond the first of each lease.
    pub regranted: u64,
    /// Grants to another region than the one before.
    pub moved: u64,
    /// Documents that were adopted.
    pub adopted: u64,
    /// Documents that were refused.
    pub unadopted: u64,
    /// Clocks on walls that were set.
    pub walls_set: u64,
}

impl Counts {
    /// Both together.
    pub fn add(&mut self, other: &Self) {
        self.decided += other.decided;
        self.accepted += other.accepted;
        self.committed += other.committed;
        self.stale += other.stale;
        self.refused += other.refused;
        self.regranted += other.regranted;
        self.moved += other.moved;
        self.adopted += other.adopted;
        self.unadopted += other.unadopted;
        self.walls_set += other.walls_set;
    }
}

/// Something that happens.
#[derive(Debug)]
enum Event {
    Tick { proxy: usize, vm: usize },
    Lead { proxy: usize, vm: usize, life: u32, lead: fencing::Lead, cas: u32 },
    Poll { side: Side, from: Asker },
    PollAnswered { from: Asker, answer: Answer },
    PollFailed { from: Asker },
    AgentTick(Side),
    Synced(Sync),
    Replied { side: Side, life: u32, reply: Rc<Reply> },
    Fault(usize),
    FaultOver(usize),
    Heal,
    Probe,
    Client(usize),
    Arrive { attempt: usize, guard: Guard, side: Side, from: Option<Side> },
    Leave(Box<Leaving>),
    App { attempt: usize, side: Side },
    Begin(Statement, usize),
    Begun { statement: Statement, attempt: usize, outcome: Outcome },
    Commit { statement: Statement, attempt: usize, read: u64 },
    Read { attempt: usize, side: Side },
    Answered { attempt: usize, side: Side, result: Result<Told, &'static str> },
    Told { attempt: usize, result: Result<Told, &'static str> },
    TimedOut { attempt: usize },
    Again { op: usize, entry: Side },
    Copied { to: Side, kind: usize, row: u8, write: u32 },
}

/// A VM that asked, and what its question is told from others by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Asker {
    proxy: usize,
    vm: usize,
    life: u32,
    nonce: u64,
    /// When it asked, by the clock of its proxy that never steps.
    asked_ms: u64,
}

/// A request on its way out of a VM.
#[derive(Debug)]
struct Leaving {
    attempt: usize,
    side: Side,
    guard: Guard,
    next: Next,
    proxy: usize,
    vm: usize,
    /// Of the proxy and the VM.
    lives: (u32, u32),
    /// By the clock of the proxy that never steps.
    decided_ms: u64,
    /// The lease and the epoch of a leased write.
    fence: Option<(usize, u64)>,
}

#[derive(Debug)]
struct Scheduled {
    at: Ms,
    number: u64,
    event: Event,
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Scheduled {}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Scheduled {
    /// The earliest is the greatest: a heap gives its greatest first.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

/// The agent of a region, and how it is.
#[derive(Debug)]
struct Home {
    agent: Agent,
    clock: Clock,
    life: u32,
    silent: u32,
    slow_ms: u64,
    babbles: u32,
    replays: u32,
    lies: u32,
    paused_until: Ms,
    sick: u32,
    misroutes: u32,
    /// What it answered before, for whoever replays it.
    answers: Vec<Answer>,
    /// What was so a while ago.
    documents: Vec<Rc<LiveDocument>>,
    issued: u32,
}

/// A world.
pub(crate) struct World<'f> {
    fixture: &'f Fixture,
    options: Options,
    setting: Setting,
    now: Ms,
    number: u64,
    queue: BinaryHeap<Scheduled>,
    network: Network,
    /// By what the numbers are for, so that more of one kind change no other.
    rng: Rng,
    polls: Rng,
    traffic: Rng,
    regions: Each<Home>,
    store: LeaseStore,
    store_clock: Clock,
    data: Database,
    proxies: Vec<Proxy>,
    monitor: Monitor,
    story: Story,
    ops: Vec<Op>,
    attempts: Vec<Attempt>,
    history: BTreeMap<(usize, u8), Vec<Done>>,
    statements: u64,
    decisions: Vec<String>,
    counts: Counts,
    notes: Option<Notes>,
    migration: Option<MigrationDocument>,
}

/// Plays the world of a seed.
pub fn play(fixture: &Fixture, options: Options) -> Report {
    let setting = Setting::of(options.seed, options.mode);
    let mut world = World::new(fixture, options, setting);
    world.run();
    world.finish()
}

/// Plays a world that is not a seed's alone, and writes down what a drill wants to know.
pub(crate) fn rehearse(fixture: &Fixture, options: Options, setting: Setting) -> (Report, Notes) {
    let mut world = World::new(fixture, options, setting);
    world.notes = Some(Notes::default());
    world.run();
    let mut notes = world.notes.take().unwrap_or_default();
    world.close(&mut notes);
    (world.finish(), notes)
}

impl<'f> World<'f> {
    fn new(fixture: &'f Fixture, options: Options, setting: Setting) -> Self {
        let mut rng = setting.rng.clone();
        let (network, polls, traffic) = (Network::new(rng.fork()), rng.fork(), rng.fork());
        let mut drift = setting.drift_ppm.iter().copied();
        let mut clock = |rng: &mut Rng| {
            Clock::new(rng.between(1_000, 3_000_000_000), drift.next().unwrap_or(0))
        };
        let store_clock = clock(&mut rng);
        let names: &Rc<[LeaseName]> = &fixture.leases;
        let mutant = options.mutant;
        let regions = Each::from_fn(|side| {
            let clock = clock(&mut rng);
            let times = (fixture.ttl_ms, setting.sync_ms);
            let now_ms = clock.monotonic_ms(0);
            let agent = Agent::new(
                side,
                (Rc::clone(names), Rc::clone(&fixture.names)),
                times,
                mutant,
                now_ms,
            );
            Home {
                agent,
                clock,
                life: 0,
                silent: 0,
                slow_ms: 0,
                babbles: 0,
                replays: 0,
                lies: 0,
                paused_until: 0,
                sick: 0,
                misroutes: 0,
                answers: Vec::new(),
                documents: Vec::new(),
                issued: 0,
            }
        });
        let mut proxies = Vec::new();
        for side in Side::BOTH {
            for _ in 0..setting.proxies {
                let size = (setting.vms, setting.has_key);
                let clock = clock(&mut rng);
                proxies.push(Proxy::new(fixture, side, clock, size, mutant, &mut rng));
            }
        }
        let ttl_ms = u64::from(fixture.ttl_ms);
        let store = LeaseStore::new(Rc::clone(names), ttl_ms, mutant, store_clock.monotonic_ms(0));
        Self {
            fixture,
            options,
            now: 0,
            number: 0,
            queue: BinaryHeap::new(),
            network,
            rng,
            polls,
            traffic,
            regions,
            store,
            store_clock,
            data: Database::new(names.len(), setting.mode.checks(), mutant),
            proxies,
            monitor: Monitor::new(setting.mode, names.len()),
            story: Story::new(options.is_told),
            ops: Vec::new(),
            attempts: Vec::new(),
            history: BTreeMap::new(),
            statements: 0,
            decisions: Vec::new(),
            counts: Counts::default(),
            notes: None,
            migration: None,
            setting,
        }
    }

    /// Something will happen.
    fn at(&mut self, at: Ms, event: Event) {
        self.number += 1;
        self.queue.push(Scheduled { at: at.max(self.now), number: self.number, event });
    }

    fn run(&mut self) {
        self.begin();
        while let Some(Scheduled { at, event, .. }) = self.queue.pop() {
            if at > self.setting.ends || self.monitor.violation.is_some() {
                break;
            }
            self.now = at;
            self.happen(event);
        }
        self.now = self.setting.ends;
    }

    fn begin(&mut self) {
        for proxy in 0..self.proxies.len() {
            for vm in 0..usize::try_from(self.setting.vms).unwrap_or(0) {
                let at = self.rng.below(TICK_MS);
                self.at(at, Event::Tick { proxy, vm });
            }
        }
        for side in Side::BOTH {
            let at = self.rng.below(AGENT_TICK_MS);
            self.at(at, Event::AgentTick(side));
        }
        for (number, planned) in self.setting.faults.clone().into_iter().enumerate() {
            self.at(planned.from, Event::Fault(number));
            self.at(planned.until, Event::FaultOver(number));
        }
        for client in 0..usize::try_from(self.setting.clients).unwrap_or(0) {
            let at = self.rng.between(2_000, 4_000);
            self.at(at, Event::Client(client));
        }
        self.at(self.setting.heals, Event::Heal);
        if let Some(at) = self.setting.probes {
            self.at(at, Event::Probe);
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Tick { proxy, vm } => self.on_tick(proxy, vm),
            Event::Lead { proxy, vm, life, lead, cas } => {
                self.on_lead((proxy, vm, life), lead, cas);
            }
            Event::Poll { side, from } => self.on_poll(side, from),
            Event::PollAnswered { from, answer } => self.on_poll_answered(from, &answer),
            Event::PollFailed { from } => self.on_poll_failed(from),
            Event::AgentTick(side) => self.on_agent_tick(side),
            Event::Synced(sync) => self.on_synced(&sync),
            Event::Replied { side, life, reply } => self.on_replied(side, life, &reply),
            Event::Fault(number) => self.on_fault(number, true),
            Event::FaultOver(number) => self.on_fault(number, false),
            Event::Heal => self.on_heal(),
            Event::Probe => self.on_probe(),
            Event::Client(client) => self.on_client(client),
            Event::Arrive { attempt, guard, side, from } => {
                self.on_arrive(attempt, guard, side, from);
            }
            Event::Leave(leaving) => self.on_leave(*leaving),
            Event::App { attempt, side } => self.on_app(attempt, side),
            Event::Begin(statement, attempt) => self.on_begin(statement, attempt),
            Event::Begun { statement, attempt, outcome } => {
                self.on_begun(statement, attempt, outcome);
            }
            Event::Commit { statement, attempt, read } => self.on_commit(&statement, attempt, read),
            Event::Read { attempt, side } => self.on_read(attempt, side),
            Event::Answered { attempt, side, result } => self.answer(attempt, side, result),
            Event::Told { attempt, result } => self.on_told(attempt, result),
            Event::TimedOut { attempt } => self.on_timed_out(attempt),
            Event::Again { op, entry } => self.on_again(op, entry),
            Event::Copied { to, kind, row, write } => self.on_copied(to, (kind, row), write),
        }
    }

    fn tell(&mut self, column: Column, what: impl FnOnce() -> String) {
        self.story.tell(self.now, column, what);
    }

    fn lease_text(&self, lease: usize) -> String {
        self.fixture.leases.get(lease).map(LeaseName::text).unwrap_or_default()
    }

    /// What can be said only at the end.
    fn finish(mut self) -> Report {
        let end = self.now;
        let failed = self.ops.iter().find(|op| op.is_probe && op.told.is_none());
        if self.monitor.violation.is_none()
            && let Some(op) = failed
        {
            let what = format!(
                "{} {} from {} has not succeeded {} s after everything was well again: {}",
                op.method,
                op.path,
                op.entry,
                (end - self.setting.heals) / 1_000,
                op.refusal.unwrap_or("no answer"),
            );
            self.monitor.violated(Invariant::F11, end, || what);
        }
        if self.setting.mode.checks() {
            self.check_history();
        }
        if let Some(Violation { invariant, at, what }) = self.monitor.violation.clone() {
            self.story.tell(at, Column::Elsewhere, || format!("{}: {}", invariant.name(), what));
        }
        Report {
            seed: self.options.seed,
            mode: self.setting.mode,
            violation: self.monitor.violation,
            story: self.story,
            decisions: self.decisions,
            counts: self.counts,
        }
    }

    /// What clients were told, and what was committed without that they were told of it, until the
    /// moment it was.
    fn check_history(&mut self) {
        let mut rows = core::mem::take(&mut self.history);
        for op in &self.ops {
            let (Some(row), true) = (op.row, op.is_write) else { continue };
            if let Some((until, told)) = op.told.or(op.committed) {
                let done = Done { from: op.started, until, op: Act::Write(op.key), told };
                rows.entry(row).or_default().push(done);
            }
        }
        for (row, history) in rows {
            if let Err(piece) = history::linearize(history) {
                let end = self.now;
                self.monitor.violated(Invariant::F8, end, || format!("row {row:?}: {piece:?}"));
            }
        }
    }
}

/// The site of the lease store.
const STORE: Site = Site::Witness;
