//! The datastore, with and without its own check of epochs.
//!
//! A transaction reads a row, takes its time, and writes what follows from what it has read. In one
//! region transactions on a row come one after another, as its database sees to; between the regions
//! nothing does so but the epoch. That is less than SQL can do, where the first statement of a
//! transaction locks the row of the fence:
//! `UPDATE fence SET max_epoch = :e WHERE lease = :l AND max_epoch <= :e`.

use crate::mutant::Mutant;
use crate::place::{Each, Side};
use std::collections::BTreeMap;

/// What rows are told from each other by.
pub type RowId = (usize, u8);

/// The datastore.
#[derive(Debug)]
pub struct Database {
    checks: bool,
    mutant: Option<Mutant>,
    fence: Vec<u64>,
    rows: BTreeMap<RowId, Row>,
    keys: BTreeMap<u32, u64>,
    /// Every commit, in order.
    pub commits: Vec<Commit>,
}

#[derive(Debug, Default)]
struct Row {
    count: u64,
    last: u32,
    /// The transaction of each region that is open, and how many writes it has read.
    open: Each<Option<(u64, u64)>>,
}

/// A write that was committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commit {
    /// The lease.
    pub lease: usize,
    /// The epoch that it came with.
    pub epoch: u64,
    /// The idempotency key.
    pub key: u32,
}

/// What comes with each statement.
#[derive(Debug, Clone, Copy)]
pub struct Statement {
    /// Of the transaction.
    pub id: u64,
    /// Where its application is.
    pub side: Side,
    /// The row.
    pub row: RowId,
    /// The lease.
    pub lease: usize,
    /// `x-meshfence-epoch`.
    pub epoch: u64,
    /// The idempotency key.
    pub key: u32,
}

/// What a statement comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The transaction is open and has read how many writes there were.
    Open(u64),
    /// The write is there, as the one after so many.
    Written(u64),
    /// The epoch is too old.
    Stale,
    /// Another transaction of the region came between.
    Conflict,
}

impl Database {
    /// An empty one.
    pub fn new(leases: usize, checks: bool, mutant: Option<Mutant>) -> Self {
        let checks = checks && mutant != Some(Mutant::NoStoreCheck);
        Self {
            checks,
            mutant,
            fence: vec![0; leases],
            rows: BTreeMap::new(),
            keys: BTreeMap::new(),
            commits: Vec::new(),
        }
    }

    /// A transaction begins: it reads.
    pub fn begin(&mut self, statement: &Statement) -> Outcome {
        if let Some(written) = self.known(statement) {
            return Outcome::Written(written);
        }
        let is_checked = self.mutant != Some(Mutant::StoreCheckAtEndOnly);
        if is_checked && !self.admits(statement) {
            return Outcome::Stale;
        }
        let row = self.rows.entry(statement.row).or_default();
        *row.open.of_mut(statement.side) = Some((statement.id, row.count));
        Outcome::Open(row.count)
    }

    /// It ends: it writes what follows from what it has read.
    pub fn commit(&mut self, statement: &Statement, read: u64) -> Outcome {
        if let Some(written) = self.known(statement) {
            return Outcome::Written(written);
        }
        if !self.admits(statement) {
            return Outcome::Stale;
        }
        let row = self.rows.entry(statement.row).or_default();
        let open = row.open.of_mut(statement.side);
        // One that was begun again has read anew, and its first answer counts for nothing.
        if *open != Some((statement.id, read)) {
            return Outcome::Conflict;
        }
        *open = None;
        (row.count, row.last) = (read + 1, statement.key);
        self.keys.insert(statement.key, read);
        let Statement { lease, epoch, key, .. } = *statement;
        self.commits.push(Commit { lease, epoch, key });
        Outcome::Written(read)
    }

    /// How many writes a row has seen, and the last one.
    pub fn read(&self, row: RowId) -> (u64, u32) {
        self.rows.get(&row).map_or((0, 0), |row| (row.count, row.last))
    }

    fn known(&self, statement: &Statement) -> Option<u64> {
        if self.mutant == Some(Mutant::KeysForgotten) {
            return None;
        }
        self.keys.get(&statement.key).copied()
    }

    /// The check of epochs.
    fn admits(&mut self, statement: &Statement) -> bool {
        let Some(max_epoch) = self.fence.get_mut(statement.lease) else { return false };
        if !self.checks {
            return true;
        }
        if *max_epoch > statement.epoch {
            return false;
        }
        *max_epoch = statement.epoch;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement(id: u64, side: Side, epoch: u64, key: u32) -> Statement {
        Statement { id, side, row: (0, 0), lease: 0, epoch, key }
    }

    #[test]
    fn an_older_epoch_does_not_come_through() {
        for (checks, late, count, why) in [
            (true, Outcome::Stale, 1, "the newer holder has begun since"),
            (false, Outcome::Written(0), 1, "without the check one of the writes is lost"),
        ] {
            let mut data = Database::new(1, checks, None);
            let old = statement(1, Side::Taiwan, 5, 1);
            let new = statement(2, Side::Tokyo, 6, 2);
            assert_eq!(data.begin(&old), Outcome::Open(0));
            assert_eq!(data.begin(&new), Outcome::Open(0));
            assert_eq!(data.commit(&new, 0), Outcome::Written(0));
            assert_eq!(data.commit(&old, 0), late, "{why}");
            assert_eq!(data.read((0, 0)).0, count);
        }
    }

    #[test]
    fn a_key_writes_once_and_a_region_one_after_another() {
        let mut data = Database::new(1, true, None);
        let (first, second) = (statement(1, Side::Taiwan, 5, 1), statement(2, Side::Taiwan, 5, 2));
        data.begin(&first);
        assert_eq!(data.begin(&second), Outcome::Open(0));
        assert_eq!(data.commit(&first, 0), Outcome::Conflict);
        assert_eq!(data.commit(&second, 0), Outcome::Written(0));
        assert_eq!(data.commit(&second, 0), Outcome::Written(0), "again");
        assert_eq!(data.begin(&second), Outcome::Written(0), "and again");
        let (third, fourth) = (statement(3, Side::Taiwan, 5, 3), statement(4, Side::Taiwan, 5, 4));
        data.begin(&third);
        data.begin(&fourth);
        assert_eq!(data.commit(&fourth, 1), Outcome::Written(1));
        assert_eq!(data.begin(&third), Outcome::Open(2), "a statement that came twice");
        assert_eq!(data.commit(&third, 1), Outcome::Conflict, "by what was read first");
        assert_eq!((data.read((0, 0)), data.commits.len()), ((2, 4), 2));
    }
}
