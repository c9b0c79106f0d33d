//! Tables as Markdown that can be read as it is.

use std::fmt::Write as _;

/// A table: the first column is text, the others are numbers.
#[derive(Debug, Clone)]
pub struct Table {
    /// What it is about.
    pub title: String,
    /// What has to be known to read it.
    pub note: String,
    /// Names of the columns.
    pub header: Vec<String>,
    /// The rows, and whether one misses what it has to reach.
    pub rows: Vec<(Vec<String>, bool)>,
}

impl Table {
    /// An empty one.
    pub fn new(title: &str, note: &str, header: &[&str]) -> Self {
        let header = header.iter().map(|name| (*name).to_owned()).collect();
        Self { title: title.to_owned(), note: note.to_owned(), header, rows: Vec::new() }
    }

    /// As Markdown, aligned. With `colour` the rows that miss something are red.
    pub fn to_text(&self, colour: bool) -> String {
        let lines = || std::iter::once(&self.header).chain(self.rows.iter().map(|(row, _)| row));
        let width = |column: usize| {
            let widths = lines().filter_map(|line| Some(line.get(column)?.chars().count()));
            widths.max().unwrap_or(0).max(3)
        };
        let widths: Vec<_> = (0..self.header.len()).map(width).collect();
        let line = |cells: &[String]| {
            let mut text = String::new();
            for (column, (cell, width)) in cells.iter().zip(&widths).enumerate() {
                // Writing into a String cannot fail.
                let _ = if column == 0 {
                    write!(text, "| {cell:width$} |")
                } else {
                    write!(text, " {cell:>width$} |")
                };
            }
            text
        };
        let mut text = format!("## {}\n\n{}\n\n{}\n", self.title, self.note, line(&self.header));
        for (column, width) in widths.iter().enumerate() {
            let dashes = "-".repeat(width + 1);
            let _ =
                if column == 0 { write!(text, "|{dashes}-|") } else { write!(text, "{dashes}:|") };
        }
        text.push('\n');
        for (row, is_missed) in &self.rows {
            let line = line(row);
            let _ = if colour && *is_missed {
                writeln!(text, "\x1b[31m{line}\x1b[0m")
            } else {
                writeln!(text, "{line}")
            };
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_what_is_missed_is_red() {
        let mut table = Table::new("T", "Note.", &["case", "n"]);
        table.rows.push((vec![String::from("long name"), String::from("1.000")], false));
        table.rows.push((vec![String::from("x"), String::from("0.5")], true));
        let text = "## T\n\nNote.\n\n\
            | case      |     n |\n|-----------|------:|\n\
            | long name | 1.000 |\n| x         |   0.5 |\n";
        assert_eq!(table.to_text(false), text);
        assert!(table.to_text(true).contains("\x1b[31m| x         |   0.5 |\x1b[0m"));
    }
}
