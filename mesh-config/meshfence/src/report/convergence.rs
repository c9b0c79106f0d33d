//! Two concurrent updates as a table: what each region keeps of them, by which rule.

use super::table::plain;
use crate::convergence::{Concurrent, Race, Rule};
use crate::terminal::{BAD, BOLD, DIM};
use std::fmt::Write as _;

/// The table below that of a tour, or why there is none.
pub(super) fn convergence(race: &Race) -> String {
    match race {
        Ok(pair) => {
            let mut text = told(pair);
            let _ = write!(text, "\n{}\n", rules(pair));
            if !pair.agree(Rule::Version) {
                let _ = writeln!(text, "\n{BAD}failed{BAD:#}{BOLD}: the regions differ{BOLD:#}");
            }
            text
        }
        Err(why) => format!("\n{BAD}failed{BAD:#}{BOLD}: {why}{BOLD:#}\n"),
    }
}

/// What was written, and how close the writes are.
fn told(pair: &Concurrent) -> String {
    let mut text =
        format!("\n{BOLD}Two updates of one profile, neither knows of the other{BOLD:#}\n");
    for update in &pair.updates {
        // Writing into a String cannot fail.
        let _ = writeln!(text, "  {:<8}  {}  {}", update.region, update.version, update.value);
    }
    let tries = pair.tries;
    let _ = match (pair.apart_ms(), tries) {
        (0, 1) => writeln!(text, "  {DIM}the same millisecond, in the first pair{DIM:#}"),
        (0, _) => writeln!(text, "  {DIM}the same millisecond, in pair {tries}{DIM:#}"),
        (apart, _) => writeln!(
            text,
            "  {DIM}No two were of the same millisecond: these are the closest, {apart} ms \
             apart.{DIM:#}"
        ),
    };
    text
}

/// What each region keeps.
fn rules(pair: &Concurrent) -> String {
    let [one, other] = &pair.updates;
    let keeps = |region: &str| format!("{region} keeps");
    let mut table = plain(&["", "rule", &keeps(&one.region), &keeps(&other.region), ""]);
    for (rule, name) in [
        (Rule::Version, "the larger version"),
        (Rule::Adr, "ADR-037: other.version > this.version"),
    ] {
        let [here, there] = pair.kept(rule);
        let agree = pair.agree(rule);
        let outcome = match (rule, agree) {
            (_, true) => "the same",
            (_, false) => "not the same, and it stays so",
        };
        // The ADR's rule is shown, not tested.
        let sign = match (rule, agree) {
            (Rule::Version, true) => "✓",
            (Rule::Version, false) => "✗",
            (Rule::Adr, _) => "",
        };
        table.add_row([sign, name, here, there, outcome]);
    }
    table.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convergence::tests::pair;
    use crate::report::{Report, has_converged, table};

    /// A tour without cases, and these updates.
    fn tour(race: &Race) -> String {
        let (set, hash) = (String::from("shop"), String::from("abc"));
        let report = Report { set, hash, engines: Vec::new(), outcomes: Vec::new() };
        anstream::adapter::strip_str(&table(&report, Some(race))).to_string()
    }

    /// The cells of the row of a rule.
    fn cells(text: &str, rule: &str) -> Vec<String> {
        let row = text.lines().find(|line| line.contains(rule)).unwrap_or_default();
        row.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).map(str::to_owned).collect()
    }

    #[test]
    fn one_millisecond_is_enough_to_part_regions_for_ever() {
        let race = Ok(pair("0192f3a4b5c60000-tpe-3fa29c1b", "0192f3a4b5c60000-tyo-5d0c11e2"));
        let text = tour(&race);
        assert!(has_converged(&race));
        assert!(text.contains("taiwan    0192f3a4b5c60000-tpe-3fa29c1b  here"), "{text}");
        assert!(text.contains("the same millisecond, in pair 7"), "{text}");
        assert_eq!(
            cells(&text, "larger version"),
            ["✓", "the larger version", "there", "there", "the same"]
        );
        assert_eq!(
            cells(&text, "ADR-037"),
            [
                "ADR-037: other.version > this.version",
                "here",
                "there",
                "not the same, and it stays so"
            ]
        );
        assert!(text.ends_with("1 passed, 0 failed"), "{text}");
    }

    #[test]
    fn updates_that_are_apart_are_not_told_as_concurrent() {
        let race = Ok(pair("0192f3a4b5c60000-tpe-3fa29c1b", "0192f3a4b5c80000-tyo-5d0c11e2"));
        let text = tour(&race);
        assert!(text.contains("these are the closest, 2 ms apart"), "{text}");
        assert!(!text.contains("the same millisecond, in pair"), "{text}");
        assert_eq!(cells(&text, "ADR-037").last().map(String::as_str), Some("the same"));
        assert!(text.ends_with("1 passed, 0 failed"), "{text}");
    }

    #[test]
    fn a_race_that_was_not_run_fails_the_tour() {
        let race = Err(String::from("an update of a profile in tokyo: status 503"));
        let text = tour(&race);
        assert!(!has_converged(&race));
        assert!(text.contains("failed: an update of a profile in tokyo: status 503"), "{text}");
        assert!(text.ends_with("0 passed, 1 failed"), "{text}");
    }
}
