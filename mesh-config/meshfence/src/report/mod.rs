//! What came of playing cases, for people and for machines.

mod account;
mod comparison;
mod convergence;
mod json;
mod junit;
mod pretty;
mod table;

pub use account::account;
pub use comparison::{Agreement, Comparison, Tally};
pub use json::json;
pub use junit::junit;
pub use pretty::pretty;
pub use table::{has_converged, table};

use crate::engine::{Disagreement, Engine, Outcome};

/// What was played, and what came of it.
#[derive(Debug)]
pub struct Report {
    /// The name of the policy set.
    pub set: String,
    /// Its hash.
    pub hash: String,
    /// What played the cases, and on what.
    pub engines: Vec<(Engine, String)>,
    /// In the order of files and cases.
    pub outcomes: Vec<Outcome>,
}

impl Report {
    /// How many cases passed, and how many did not.
    pub fn count(&self) -> (usize, usize) {
        let passed = self.outcomes.iter().filter(|outcome| outcome.passed()).count();
        (passed, self.outcomes.len().saturating_sub(passed))
    }

    /// The outcomes of each file, in its order.
    fn by_file(&self) -> Vec<(&str, Vec<&Outcome>)> {
        let mut files: Vec<(&str, Vec<&Outcome>)> = Vec::new();
        for outcome in &self.outcomes {
            match files.iter_mut().find(|(file, _)| *file == outcome.file) {
                Some((_, outcomes)) => outcomes.push(outcome),
                None => files.push((&outcome.file, vec![outcome])),
            }
        }
        files
    }
}

/// Engines in words: `native, wasm and envoy`.
fn listed<T: ToString>(all: &[T]) -> String {
    let all: Vec<String> = all.iter().map(ToString::to_string).collect();
    match all.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
        None => String::new(),
    }
}

/// A text of which no more is told than that many characters.
fn shortened(text: &str, characters: usize) -> String {
    match text.char_indices().nth(characters) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// Who differs from whom.
fn headline(disagreement: &Disagreement) -> String {
    let [first, second] = &disagreement.between;
    let verb = if first.len() == 1 { "differs" } else { "differ" };
    format!("{} {verb} from {}", listed(first), listed(second))
}
