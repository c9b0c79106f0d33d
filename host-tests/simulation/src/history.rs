//! Whether what clients saw of a row can have happened in one order.
//!
//! The judge is `stateright`'s tester of linearizability. It tries orders, so it is given pieces: from
//! one moment in which nothing is under way to the next, each beginning with what the one before came
//! to.

use stateright::semantics::{ConsistencyTester, LinearizabilityTester, SequentialSpec};

/// What a row is: how often it was written, and by whom last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Register {
    count: u64,
    last: u32,
}

/// What is done with a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Op {
    /// It is written, with this key.
    Write(u32),
    /// It is read.
    Read,
}

/// What whoever did it was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Told {
    /// That it was written so often before.
    Before(u64),
    /// That it was written so often, and by this key last.
    Value(u64, u32),
}

impl SequentialSpec for Register {
    type Op = Op;
    type Ret = Told;

    fn invoke(&mut self, op: &Op) -> Told {
        match op {
            Op::Read => Told::Value(self.count, self.last),
            Op::Write(key) => {
                let before = self.count;
                (self.count, self.last) = (before + 1, *key);
                Told::Before(before)
            }
        }
    }
}

/// Something that was done: from when to when, and what came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Done {
    /// When it began.
    pub from: u64,
    /// When whoever did it knew.
    pub until: u64,
    /// What.
    pub op: Op,
    /// What came of it.
    pub told: Told,
}

/// Whether all of it can have happened in one order. What is open for `until` of another is beside it.
///
/// # Errors
/// The piece that cannot.
pub fn linearize(mut history: Vec<Done>) -> Result<(), Vec<Done>> {
    history.sort_by_key(|done| (done.from, done.until));
    let mut register = Register::default();
    let mut piece: Vec<Done> = Vec::new();
    let mut busy_until = 0;
    for done in history {
        if !piece.is_empty() && done.from > busy_until {
            register = settle(register, &piece).ok_or_else(|| piece.clone())?;
            piece.clear();
        }
        busy_until = busy_until.max(done.until);
        piece.push(done);
    }
    settle(register, &piece).map(|_| ()).ok_or(piece)
}

/// What a row comes to by a piece of its history, if that can have happened in one order.
fn settle(register: Register, piece: &[Done]) -> Option<Register> {
    // One thing at a time needs no search; the tester would say the same.
    if let [only] = piece {
        let mut register = register;
        return (register.invoke(&only.op) == only.told).then_some(register);
    }
    // Each thread does one thing after another.
    let mut threads: Vec<u64> = Vec::new();
    let mut events: Vec<(u64, bool, usize, &Done)> = Vec::new();
    for done in piece {
        let free = threads.iter().position(|busy_until| *busy_until < done.from);
        let thread = free.unwrap_or(threads.len());
        if free.is_none() {
            threads.push(0);
        }
        if let Some(busy_until) = threads.get_mut(thread) {
            *busy_until = done.until;
        }
        events.push((done.from, false, thread, done));
        events.push((done.until, true, thread, done));
    }
    // What begins when something else ends may have been first.
    events.sort_by_key(|(at, is_end, ..)| (*at, *is_end));
    let mut tester = LinearizabilityTester::new(register);
    for (_, is_end, thread, done) in events {
        let taken = if is_end {
            tester.on_return(thread, done.told).map(|_| ())
        } else {
            tester.on_invoke(thread, done.op).map(|_| ())
        };
        taken.ok()?;
    }
    let mut register = register;
    for (op, _) in tester.serialized_history()? {
        register.invoke(&op);
    }
    Some(register)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(from: u64, until: u64, key: u32, before: u64) -> Done {
        Done { from, until, op: Op::Write(key), told: Told::Before(before) }
    }

    fn read(from: u64, until: u64, count: u64, last: u32) -> Done {
        Done { from, until, op: Op::Read, told: Told::Value(count, last) }
    }

    #[test]
    fn an_order_is_found_or_there_is_none() {
        for (history, is_linear, why) in [
            (vec![], true, "nothing"),
            (vec![write(0, 1, 1, 0), write(2, 3, 2, 1), read(4, 5, 2, 2)], true, "in turn"),
            (vec![write(0, 1, 1, 0), write(2, 3, 2, 0)], false, "a write is lost"),
            (vec![write(0, 5, 1, 1), write(1, 4, 2, 0)], true, "beside each other"),
            (vec![write(0, 5, 1, 0), write(1, 4, 2, 0)], false, "beside each other, and one lost"),
            (vec![write(0, 1, 1, 0), read(2, 3, 0, 0)], false, "an old value"),
            (vec![write(0, 9, 1, 0), read(2, 3, 0, 0), read(4, 5, 1, 1)], true, "within the write"),
            (vec![write(0, 9, 1, 0), read(2, 3, 1, 1), read(4, 5, 0, 0)], false, "back again"),
            (vec![write(0, 2, 1, 0), write(2, 4, 2, 1), read(5, 6, 1, 1)], false, "not the last"),
        ] {
            assert_eq!(linearize(history).is_ok(), is_linear, "{why}");
        }
    }
}
