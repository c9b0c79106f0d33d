//! Engines held against each other, over all cases.

use super::listed;
use crate::engine::{Engine, Outcome};
use std::fmt;

/// What became of the cases on each engine, and which engines saw the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// By engine, in the order in which they played.
    pub tallies: Vec<Tally>,
    /// The most common one first.
    pub agreements: Vec<Agreement>,
}

/// What became of the cases on one engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// The engine.
    pub engine: Engine,
    /// How many cases it saw anything of.
    pub played: usize,
    /// How many came out as expected.
    pub passed: usize,
    /// How many another engine saw differently.
    pub differs: usize,
}

/// Cases on which the same engines saw the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreement {
    /// The engines that saw anything, those together that saw the same.
    pub between: Vec<Vec<Engine>>,
    /// How many cases.
    pub cases: usize,
}

impl Comparison {
    /// Of these cases.
    pub fn of(outcomes: &[Outcome]) -> Self {
        let mut found = Self { tallies: Vec::new(), agreements: Vec::new() };
        for outcome in outcomes {
            let between = outcome.alike();
            for play in &outcome.plays {
                let seen = usize::from(play.seen.is_ok());
                found.add(&Tally {
                    engine: play.engine,
                    played: seen,
                    passed: usize::from(play.passed()),
                    differs: if between.len() > 1 { seen } else { 0 },
                });
            }
            match found.agreements.iter_mut().find(|known| known.between == between) {
                Some(known) => known.cases = known.cases.saturating_add(1),
                None => found.agreements.push(Agreement { between, cases: 1 }),
            }
        }
        found.agreements.sort_by_key(|agreement| std::cmp::Reverse(agreement.cases));
        found
    }

    fn add(&mut self, one: &Tally) {
        match self.tallies.iter_mut().find(|tally| tally.engine == one.engine) {
            None => self.tallies.push(one.clone()),
            Some(tally) => {
                tally.played = tally.played.saturating_add(one.played);
                tally.passed = tally.passed.saturating_add(one.passed);
                tally.differs = tally.differs.saturating_add(one.differs);
            }
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "engine  played  passed  differs")?;
        for Tally { engine, played, passed, differs } in &self.tallies {
            writeln!(f, "{:<6}  {played:>6}  {passed:>6}  {differs:>7}", engine.as_str())?;
        }
        for agreement in &self.agreements {
            writeln!(f, "{agreement}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Agreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { between, cases } = self;
        let groups: Vec<String> = between.iter().map(|group| listed(group)).collect();
        match groups.as_slice() {
            [] => write!(f, "{cases} on no engine"),
            [all] if between.concat().len() > 1 => write!(f, "{cases} the same on {all}"),
            [alone] => write!(f, "{cases} on {alone} alone"),
            _ => write!(f, "{cases} not the same on {}", groups.join(" | ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Agreement, Comparison, Tally};
    use crate::engine::Engine::{Envoy, Native, Wasm};

    #[test]
    fn who_saw_the_same_is_told_in_words() {
        let agreement = |between: &[&[_]], cases| Agreement {
            between: between.iter().map(|group| group.to_vec()).collect(),
            cases,
        };
        let tally = |engine, played, passed, differs| Tally { engine, played, passed, differs };
        let comparison = Comparison {
            tallies: vec![
                tally(Native, 12, 12, 1),
                tally(Wasm, 12, 11, 1),
                tally(Envoy, 11, 10, 1),
            ],
            agreements: vec![
                agreement(&[&[Native, Wasm, Envoy]], 10),
                agreement(&[&[Native, Envoy], &[Wasm]], 1),
                agreement(&[&[Native]], 1),
                agreement(&[], 1),
            ],
        };
        assert_eq!(
            comparison.to_string(),
            "engine  played  passed  differs\n\
             native      12      12        1\n\
             wasm        12      11        1\n\
             envoy       11      10        1\n\
             10 the same on native, wasm and envoy\n\
             1 not the same on native and envoy | wasm\n\
             1 on native alone\n\
             1 on no engine\n"
        );
    }
}
