//! Whether the records of a log are all that its VMs wrote, as they wrote them, in their order.
//!
//! What was cut off at the end of a log cannot be seen there: nothing came after it.

use super::log::{Entry, Line, Record};
use guard::chain::{Hash, is_sealed};
use serde::Serialize;
use std::collections::BTreeMap;

/// Problems of one VM that are listed; beyond them they are only counted.
const PROBLEMS_MAX: usize = 20;
/// Holes of one VM's chain that are kept, in case what is missing comes later.
const HOLES_MAX: usize = 1_000;
/// VMs that one audit can hold.
const NODES_MAX: usize = 100_000;

/// The secrets that records are checked with, by the ids of their keys.
pub(crate) type Secrets = BTreeMap<String, Vec<u8>>;

/// What is wrong with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// Records are missing before it.
    Gap,
    /// It stands behind one that was written later.
    Reordered,
    /// It is not as it was written.
    Edited,
    /// The record before it is another one than when it was written.
    Relinked,
    /// It, or one with its number, was there before.
    Duplicate,
    /// A VM of the same number starts anew.
    Restarted,
    /// The proxy did not take records before it.
    Lost,
    /// It has no place in any chain.
    Unchained,
    /// It is no record, and no line of an access log.
    Unreadable,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Problem {
    pub(crate) kind: Kind,
    pub(crate) log: String,
    pub(crate) line: usize,
    pub(crate) text: String,
}

/// What was found of one VM.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Node {
    /// How many of its records were there.
    pub(crate) records: u64,
    /// The number of its first one and of its last one.
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// How many were checked with a key.
    pub(crate) keyed: u64,
    /// How many have a key that was not given.
    pub(crate) unchecked: u64,
    /// How many things are wrong; the first ones are told.
    pub(crate) wrong: u64,
    pub(crate) problems: Vec<Problem>,
    #[serde(skip)]
    newest: String,
    #[serde(skip)]
    holes: Vec<Hole>,
}

/// Numbers that are missing, and what has to stand around them.
#[derive(Debug, Clone)]
struct Hole {
    from: u64,
    to: u64,
    /// The hash before it.
    before: String,
    /// What the record after it says of the one before.
    after: String,
    log: String,
    line: usize,
}

/// What was found in all logs.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Audit {
    pub(crate) lines: u64,
    pub(crate) records: u64,
    pub(crate) nodes: BTreeMap<String, Node>,
    /// What is wrong and belongs to no VM.
    pub(crate) wrong: u64,
    pub(crate) problems: Vec<Problem>,
    #[serde(skip)]
    secrets: Secrets,
    /// Whether a log may begin in the middle of a chain.
    #[serde(skip)]
    is_partial: bool,
}

impl Audit {
    pub(crate) fn new(secrets: Secrets, is_partial: bool) -> Self {
        Self { secrets, is_partial, ..Self::default() }
    }

    /// Whether nothing is wrong.
    pub(crate) fn is_sound(&self) -> bool {
        self.wrong == 0 && self.nodes.values().all(|node| node.wrong == 0)
    }

    /// Looks at the next line.
    pub(crate) fn see(&mut self, log: &str, line: &Line) {
        self.lines += 1;
        let at = |kind, text: &str| Problem {
            kind,
            log: log.to_owned(),
            line: line.number,
            text: text.to_owned(),
        };
        let record = match &line.entry {
            Entry::Record(record) => record,
            Entry::NoRecord => return,
            Entry::Unreadable(why) => return self.blame(at(Kind::Unreadable, why)),
        };
        self.records += 1;
        let Some(place) = Place::of(record) else {
            return self.blame(at(Kind::Unchained, "it says no place in a chain"));
        };
        if !self.nodes.contains_key(place.node) && self.nodes.len() >= NODES_MAX {
            return self.blame(at(Kind::Unchained, "there are more VMs than an audit can hold"));
        }
        let node = self.nodes.entry(place.node.to_owned()).or_default();
        node.see(&place, &self.secrets, record, self.is_partial, &at);
    }

    /// There are no more lines: what is missing now does not come any more.
    pub(crate) fn end(&mut self) {
        for node in self.nodes.values_mut() {
            for hole in std::mem::take(&mut node.holes) {
                let Hole { from, to, log, line, .. } = hole;
                let text = match to - from {
                    0 => format!("record {from} is missing before it"),
                    more => format!("{} records are missing before it: {from} to {to}", more + 1),
                };
                node.blame(Problem { kind: Kind::Gap, log, line, text });
            }
            node.problems.sort_by(|one, other| (&one.log, one.line).cmp(&(&other.log, other.line)));
        }
    }

    fn blame(&mut self, problem: Problem) {
        self.wrong += 1;
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(problem);
        }
    }
}

/// Where a record says that it stands.
struct Place<'r> {
    node: &'r str,
    seq: u64,
    prev: &'r str,
    hash: &'r str,
    key: Option<&'r str>,
    lost: u64,
}

impl<'r> Place<'r> {
    fn of(record: &'r Record) -> Option<Self> {
        let is_hex = |text: &&str, length| {
            text.len() == length
                && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        };
        Some(Self {
            node: record.text("node").filter(|text| is_hex(text, 8))?,
            seq: record.number("seq").filter(|seq| *seq > 0)?,
            prev: record.text("prev").filter(|text| is_hex(text, 32))?,
            hash: record.text("hash").filter(|text| is_hex(text, 32))?,
            key: record.text("key"),
            lost: record.number("lost").unwrap_or_default(),
        })
    }
}

impl Node {
    fn see(
        &mut self,
        place: &Place<'_>,
        secrets: &Secrets,
        record: &Record,
        is_partial: bool,
        at: &impl Fn(Kind, &str) -> Problem,
    ) {
        let is_first = self.records == 0;
        self.records += 1;
        self.check_seal(place, secrets, record, at);
        if place.lost > 0 {
            let text = format!("the proxy did not take {} records before it", place.lost);
            self.blame(at(Kind::Lost, &text));
        }
        let seq = place.seq;
        let is_start = seq == 1 && place.prev == Hash::NOTHING.to_string();
        let next = self.last.saturating_add(1);
        if is_first && is_partial {
            self.first = seq;
        } else if is_first && seq == 1 {
            self.first = 1;
            if !is_start {
                self.blame(at(Kind::Relinked, "it is the first, and says that one was before it"));
            }
        } else if seq > next {
            self.first = if is_first { seq } else { self.first };
            self.leave_hole(place, next, at);
        } else if seq == next {
            if place.prev != self.newest {
                self.blame(at(
                    Kind::Relinked,
                    "the record before it is not the one it was written after",
                ));
            }
        } else {
            return self.see_late(place, is_start, at);
        }
        self.last = seq;
        place.hash.clone_into(&mut self.newest);
    }

    /// A record whose number is not the next one, and not beyond it.
    fn see_late(&mut self, place: &Place<'_>, is_start: bool, at: &impl Fn(Kind, &str) -> Problem) {
        let seq = place.seq;
        let found = self.holes.iter().position(|hole| (hole.from..=hole.to).contains(&seq));
        let Some(found) = found else {
            if is_start && place.hash != self.newest && self.first == 1 {
                let text = "a VM with the same number starts anew, or a copy of the chain's start";
                return self.blame(at(Kind::Restarted, text));
            }
            let text = format!("there was a record {seq} before");
            return self.blame(at(Kind::Duplicate, &text));
        };
        let hole = self.holes.remove(found);
        let text = format!("record {seq} stands behind one that was written later");
        self.blame(at(Kind::Reordered, &text));
        let is_wrong = (seq == hole.from && place.prev != hole.before && !hole.before.is_empty())
            || (seq == hole.to && place.hash != hole.after);
        if is_wrong {
            self.blame(at(Kind::Relinked, "it is not the record that is missing there"));
        }
        // What is left of the hole, on either side.
        if hole.from < seq {
            let after = place.prev.to_owned();
            self.holes.push(Hole { to: seq - 1, after, ..hole.clone() });
        }
        if seq < hole.to {
            let before = place.hash.to_owned();
            self.holes.push(Hole { from: seq + 1, before, ..hole });
        }
    }

    fn leave_hole(&mut self, place: &Place<'_>, next: u64, at: &impl Fn(Kind, &str) -> Problem) {
        let Problem { log, line, .. } = at(Kind::Gap, "");
        let (before, after) = (self.newest.clone(), place.prev.to_owned());
        let hole = Hole { from: next, to: place.seq - 1, before, after, log, line };
        if self.holes.len() < HOLES_MAX {
            self.holes.push(hole);
        } else {
            self.blame(at(Kind::Gap, "records are missing before it, as in too many places"));
        }
    }

    fn check_seal(
        &mut self,
        place: &Place<'_>,
        secrets: &Secrets,
        record: &Record,
        at: &impl Fn(Kind, &str) -> Problem,
    ) {
        let secret = match place.key.map(|key| secrets.get(key)) {
            Some(None) => {
                self.unchecked += 1;
                // Whoever gives keys wants to know of records that none of them is good for.
                if !secrets.is_empty() {
                    self.blame(at(Kind::Edited, "its key is none of those that were given"));
                }
                return;
            }
            Some(Some(secret)) => {
                self.keyed += 1;
                Some(secret.as_slice())
            }
            None => {
                if !secrets.is_empty() {
                    self.blame(at(Kind::Edited, "it has no key: anybody could have written it"));
                }
                None
            }
        };
        if !is_sealed(&record.text, secret) {
            self.blame(at(Kind::Edited, "it is not as it was written, or not by this key"));
        }
    }

    fn blame(&mut self, problem: Problem) {
        self.wrong += 1;
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(problem);
        }
    }
}
