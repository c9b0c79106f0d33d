//! What happened in a world, for people: a line for each thing, in the column of where it happened.

use crate::clock::Ms;
use crate::place::Side;
use std::fmt::Write as _;

/// Where something happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// In a region.
    At(Side),
    /// Where the leases or the data are, or everywhere.
    Elsewhere,
}

/// What happened.
#[derive(Debug, Clone, Default)]
pub struct Story {
    is_told: bool,
    lines: Vec<(Ms, Column, String)>,
}

/// How wide a column is.
const WIDTH: usize = 46;
/// A longer story is told from so many lines before its end.
const LINES_MAX: usize = 150;

impl Story {
    /// A story that is told, or one that nobody wants to hear.
    pub fn new(is_told: bool) -> Self {
        Self { is_told, lines: Vec::new() }
    }

    /// Something happened.
    pub fn tell(&mut self, at: Ms, column: Column, what: impl FnOnce() -> String) {
        if self.is_told {
            self.lines.push((at, column, what()));
        }
    }

    /// The end of it, as a table with a column for each region.
    pub fn to_text(&self) -> String {
        self.last(LINES_MAX)
    }

    /// All of it.
    pub fn to_whole_text(&self) -> String {
        self.last(usize::MAX)
    }

    fn last(&self, lines_max: usize) -> String {
        let mut text =
            format!("{:>9}  {:WIDTH$} {:WIDTH$} elsewhere\n", "seconds", "taiwan", "tokyo");
        let skipped = self.lines.len().saturating_sub(lines_max);
        if skipped > 0 {
            // Writing into a String cannot fail.
            let _ = writeln!(text, "      ...  {skipped} lines before");
        }
        for (at, column, what) in self.lines.iter().skip(skipped) {
            let (seconds, ms) = (at / 1_000, at % 1_000);
            let indent = match column {
                Column::At(Side::Taiwan) => 0,
                Column::At(Side::Tokyo) => WIDTH + 1,
                Column::Elsewhere => 2 * (WIDTH + 1),
            };
            let _ = writeln!(text, "{seconds:>5}.{ms:03}  {:indent$}{what}", "");
        }
        text
    }
}
