//! Requests: from a client past the guards to an application and its data, and back.

use super::guards::Guard;
use super::{Event, World};
use crate::clock::Ms;
use crate::data::{Outcome, Statement};
use crate::history::{Done, Op as Act, Told};
use crate::place::{Side, Site};
use crate::story::Column;
use fencing::parse;
use policy_core::Country;

/// How often a client sends a request.
const TRIES_MAX: u32 = 5;

/// The kinds that need every lease once.
const EVERY_LEASE: usize = 9;

/// What a client wants done.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each says something else, and all may be")]
pub(super) struct Op {
    client: Option<usize>,
    pub(super) kind: usize,
    row_number: u8,
    pub(super) method: &'static str,
    pub(super) path: String,
    pub(super) country: Option<Country>,
    pub(super) is_write: bool,
    is_leased: bool,
    pub(super) row: Option<(usize, u8)>,
    /// The idempotency key.
    pub(super) key: u32,
    pub(super) started: Ms,
    pub(super) entry: Side,
    tries: u32,
    /// When the client was told, and what.
    pub(super) told: Option<(Ms, Told)>,
    /// When it was committed, and as what.
    pub(super) committed: Option<(Ms, Told)>,
    pub(super) refusal: Option<&'static str>,
    is_over: bool,
    pub(super) is_probe: bool,
}

/// One try.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) op: usize,
    entry: Side,
    /// The VM that it came in by.
    pub(super) edge: Option<(usize, usize)>,
    pub(super) via: Vec<Side>,
    /// Every token on it, and the one that our edge wrote.
    pub(super) tokens: Vec<String>,
    pub(super) ours: Option<String>,
    is_over: bool,
}

/// How long before the end clients ask for nothing more, so that all is answered by then.
pub(crate) const CLIENTS_STOP_MS: Ms = 15_000;

impl World<'_> {
    /// A client has something to do.
    pub(super) fn on_client(&mut self, client: usize) {
        if self.now + 12_000 > self.setting.ends {
            return;
        }
        let mut kind = self.traffic.pick(&self.setting.kinds).copied().unwrap_or(0);
        let (row, reads) = (self.traffic.below(self.setting.rows), self.traffic.chance(200));
        let mut entry = if self.traffic.chance(500) { Side::Taiwan } else { Side::Tokyo };
        if self.setting.has_homes {
            // Two clients for each kind, one in each region, and round again.
            entry = if client.is_multiple_of(2) { Side::Taiwan } else { Side::Tokyo };
            let place = (client / 2).checked_rem(self.setting.kinds.len()).unwrap_or(0);
            kind = self.setting.kinds.get(place).copied().unwrap_or(kind);
        }
        self.start(Some(client), kind, (row, reads), entry, false);
    }

    /// Every lease is to be written to from either region.
    pub(super) fn on_probe(&mut self) {
        for kind in 0..EVERY_LEASE {
            for (row, entry) in [(7, Side::Taiwan), (8, Side::Tokyo)] {
                self.start(None, kind, (row, false), entry, true);
            }
        }
    }

    fn start(
        &mut self,
        client: Option<usize>,
        number: usize,
        (row, reads): (u64, bool),
        entry: Side,
        is_probe: bool,
    ) {
        let Some(kind) = self.fixture.kinds.get(number) else { return };
        let reads = reads && kind.has_reads;
        let key = u32::try_from(self.ops.len()).unwrap_or(0) + 1;
        let row_of = kind.is_leased.then(|| (number, u8::try_from(row).unwrap_or(0)));
        self.ops.push(Op {
            client,
            kind: number,
            row_number: u8::try_from(row).unwrap_or(0),
            method: if reads { "GET" } else { "POST" },
            path: kind.path(row),
            country: kind.country,
            is_write: !reads,
            is_leased: kind.is_leased,
            row: row_of,
            key,
            started: self.now,
            entry,
            tries: 0,
            told: None,
            committed: None,
            refusal: None,
            is_over: false,
            is_probe,
        });
        self.send(self.ops.len() - 1, entry);
    }

    /// A client sends it, once more.
    fn send(&mut self, number: usize, entry: Side) {
        let forges = self.traffic.chance(40);
        let waits = self.traffic.between(3_000, 7_000);
        let late = self.traffic.between(1, 20);
        let Some(op) = self.ops.get_mut(number) else { return };
        op.tries += 1;
        let tokens = if forges { vec!["orders;e=999;h=tokyo".to_owned()] } else { Vec::new() };
        self.attempts.push(Attempt {
            op: number,
            entry,
            edge: None,
            via: Vec::new(),
            tokens,
            ours: None,
            is_over: false,
        });
        let attempt = self.attempts.len() - 1;
        let (now, is_probe) = (self.now, op.is_probe);
        self.at(now + late, Event::Arrive { attempt, guard: Guard::Edge, side: entry, from: None });
        self.at(now + if is_probe { 1_500 } else { waits }, Event::TimedOut { attempt });
    }

    /// An application gets a request.
    pub(super) fn on_app(&mut self, number: usize, side: Side) {
        let now = self.now;
        let Some(attempt) = self.attempts.get(number) else { return };
        let Some(op) = self.ops.get(attempt.op) else { return };
        let Some(row) = op.row.filter(|_| op.is_leased) else {
            let (kind, row, key, is_write) = (op.kind, op.row_number, op.key, op.is_write);
            if is_write {
                self.write_here(side, (kind, row), key);
            }
            self.answer(number, side, Ok(Told::Before(0)));
            return;
        };
        if !op.is_write {
            if let Some(at) = self.network.send(now, side.site(), Site::Data).first {
                self.at(at, Event::Read { attempt: number, side });
            }
            return;
        }
        self.monitor.tokens(&attempt.tokens, attempt.ours.as_deref(), now);
        let token = attempt.tokens.last().and_then(|token| parse(token.as_bytes()));
        let Some(token) = token else { return };
        let Some(lease) = self.fixture.lease(token.lease, token.shard) else { return };
        self.statements += 1;
        let (id, key) = (self.statements, op.key);
        let statement = Statement { id, side, row, lease, epoch: token.epoch, key };
        let arrivals = self.network.send(now, side.site(), Site::Data);
        for at in [arrivals.first, arrivals.second].into_iter().flatten() {
            self.at(at, Event::Begin(statement, number));
        }
    }

    pub(super) fn on_begin(&mut self, statement: Statement, attempt: usize) {
        let now = self.now;
        let outcome = self.data.begin(&statement);
        if let Some(at) = self.network.send(now, Site::Data, statement.side.site()).first {
            self.at(at, Event::Begun { statement, attempt, outcome });
        }
    }

    /// The application has read, and thinks.
    pub(super) fn on_begun(&mut self, statement: Statement, attempt: usize, outcome: Outcome) {
        let now = self.now;
        let op = self.attempts.get(attempt).and_then(|attempt| self.ops.get(attempt.op));
        let is_slow = op.is_some_and(|op| !op.is_probe) && self.traffic.chance(self.setting.slow);
        let thinks = self.traffic.below(if is_slow { 45_000 } else { 40 });
        match outcome {
            Outcome::Open(read) => {
                let arrivals = self.network.send(now + thinks, statement.side.site(), Site::Data);
                for at in [arrivals.first, arrivals.second].into_iter().flatten() {
                    self.at(at, Event::Commit { statement, attempt, read });
                }
            }
            outcome => self.outcome(&statement, attempt, outcome),
        }
    }

    pub(super) fn on_commit(&mut self, statement: &Statement, attempt: usize, read: u64) {
        let now = self.now;
        let before = self.data.commits.len();
        let outcome = self.data.commit(statement, read);
        if self.data.commits.len() > before {
            self.counts.committed += 1;
            self.note(|notes, now| notes.committed.push((now, statement.lease)));
            self.monitor.committed(statement.lease, statement.epoch, statement.key, now);
            let number = self.attempts.get(attempt).map(|attempt| attempt.op);
            if let Some(op) = number.and_then(|number| self.ops.get_mut(number)) {
                op.committed = op.committed.or(Some((now, Told::Before(read))));
            }
            let Statement { side, row, epoch, key, lease, .. } = *statement;
            self.tell(Column::Elsewhere, || {
                format!(
                    "{side} writes {row:?} after {read}: key {key}, epoch {epoch} of lease {lease}"
                )
            });
        }
        if let Some(at) = self.network.send(now, Site::Data, statement.side.site()).first {
            let side = statement.side;
            self.counts.stale += u64::from(outcome == Outcome::Stale);
            self.at(at, Event::Answered { attempt, side, result: result(outcome) });
        }
    }

    fn outcome(&mut self, statement: &Statement, attempt: usize, outcome: Outcome) {
        self.counts.stale += u64::from(outcome == Outcome::Stale);
        self.answer(attempt, statement.side, result(outcome));
    }

    pub(super) fn on_read(&mut self, number: usize, side: Side) {
        let now = self.now;
        let Some(attempt) = self.attempts.get(number) else { return };
        let Some(row) = self.ops.get(attempt.op).and_then(|op| op.row) else { return };
        let (count, last) = self.data.read(row);
        if let Some(at) = self.network.send(now, Site::Data, side.site()).first {
            let result = Ok(Told::Value(count, last));
            self.at(at, Event::Answered { attempt: number, side, result });
        }
    }

    /// What a region answers goes back to the client by the region where it came in.
    pub(super) fn answer(&mut self, number: usize, side: Side, result: Result<Told, &'static str>) {
        let now = self.now;
        let Some(attempt) = self.attempts.get(number) else { return };
        let arrivals = self.network.send(now, side.site(), attempt.entry.site());
        if let Some(at) = arrivals.first {
            self.at(at, Event::Told { attempt: number, result });
        }
    }

    pub(super) fn on_told(&mut self, number: usize, result: Result<Told, &'static str>) {
        let now = self.now;
        let Some(attempt) = self.attempts.get_mut(number).filter(|attempt| !attempt.is_over) else {
            return;
        };
        let of = attempt.op;
        attempt.is_over = true;
        let Some(op) = self.ops.get_mut(of) else { return };
        match result {
            Ok(told) => {
                if op.told.is_none() {
                    op.told = Some((now, told));
                    if let (Told::Value(..), Some(row)) = (told, op.row) {
                        let done = Done { from: op.started, until: now, op: Act::Read, told };
                        self.history.entry(row).or_default().push(done);
                    }
                }
                self.over(of);
            }
            Err(reason) => {
                op.refusal = Some(reason);
                self.again(of);
            }
        }
    }

    pub(super) fn on_timed_out(&mut self, number: usize) {
        let Some(attempt) = self.attempts.get_mut(number).filter(|attempt| !attempt.is_over) else {
            return;
        };
        attempt.is_over = true;
        let of = attempt.op;
        self.again(of);
    }

    /// A client tries again, often in the other region, or lets it be.
    fn again(&mut self, number: usize) {
        let (moves, waits) = (self.traffic.chance(400), self.traffic.between(100, 1_500));
        let moves = moves || self.setting.has_homes;
        let Some(op) = self.ops.get(number) else { return };
        if op.is_over || op.told.is_some() {
            return;
        }
        if op.tries >= TRIES_MAX || (!op.is_probe && self.now + 8_000 > self.setting.ends) {
            self.over(number);
            return;
        }
        let odd = op.tries.is_multiple_of(2) && self.setting.has_homes;
        let entry = if moves && !odd && !op.is_probe { op.entry.other() } else { op.entry };
        self.later(number, entry, waits);
    }

    fn later(&mut self, number: usize, entry: Side, waits: Ms) {
        // The try itself is made later: what it finds is what is so then.
        let at = self.now + waits;
        self.at(at, Event::Again { op: number, entry });
    }

    pub(super) fn on_again(&mut self, number: usize, entry: Side) {
        let is_open = self.ops.get(number).is_some_and(|op| !op.is_over && op.told.is_none());
        if is_open {
            self.send(number, entry);
        }
    }

    fn over(&mut self, number: usize) {
        let most = if self.setting.has_homes { 800 } else { 2_500 };
        let waits = self.traffic.between(50, most);
        let now = self.now;
        let Some(op) = self.ops.get_mut(number).filter(|op| !op.is_over) else { return };
        op.is_over = true;
        let (kind, told, refusal) = (op.kind, op.told.is_some(), op.refusal);
        let client = op.client;
        self.note_request(kind, if told { "ok" } else { refusal.unwrap_or("no answer") });
        if let Some(client) = client.filter(|_| now + CLIENTS_STOP_MS < self.setting.ends) {
            self.at(now + waits, Event::Client(client));
        }
    }
}

fn result(outcome: Outcome) -> Result<Told, &'static str> {
    match outcome {
        Outcome::Written(before) => Ok(Told::Before(before)),
        Outcome::Open(_) => Err("open"),
        Outcome::Stale => Err("stale epoch"),
        Outcome::Conflict => Err("conflict"),
    }
}
