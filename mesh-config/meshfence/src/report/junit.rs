//! For CI: the XML of `JUnit`, as far as its readers agree on it.

use super::{Report, account, headline};
use crate::engine::{Outcome, Play};
use std::fmt::Write as _;
use std::time::Duration;

/// The report as the XML of `JUnit`.
pub fn junit(report: &Report) -> String {
    let (_, failed) = report.count();
    let total = report.outcomes.len();
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    // Writing into a String cannot fail.
    let _ = writeln!(
        text,
        "<testsuites name=\"{}\" tests=\"{total}\" failures=\"{failed}\" errors=\"0\" time=\"{}\">",
        escaped(&report.set),
        seconds(report.outcomes.iter())
    );
    for (file, outcomes) in report.by_file() {
        let failed = outcomes.iter().filter(|outcome| !outcome.passed()).count();
        let _ = writeln!(
            text,
            "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{failed}\" errors=\"0\" time=\"{}\">",
            escaped(file),
            outcomes.len(),
            seconds(outcomes.iter().copied())
        );
        for outcome in &outcomes {
            case(&mut text, outcome);
        }
        text.push_str("  </testsuite>\n");
    }
    text.push_str("</testsuites>");
    text
}

fn case(text: &mut String, outcome: &Outcome) {
    let Outcome { file, case, plays: _ } = outcome;
    let _ = write!(
        text,
        "    <testcase name=\"{}\" classname=\"{}\" file=\"{}\" line=\"{}\" time=\"{}\"",
        escaped(&case.name),
        escaped(file),
        escaped(file),
        case.line,
        seconds(std::iter::once(outcome))
    );
    if outcome.passed() {
        text.push_str("/>\n");
        return;
    }
    let _ = writeln!(
        text,
        ">\n      <failure message=\"{}\">{}</failure>\n    </testcase>",
        escaped(&summary(outcome)),
        escaped(&account(outcome))
    );
}

/// What is wrong, in one line.
fn summary(outcome: &Outcome) -> String {
    let one = |play: &Play| match &play.seen {
        Err(why) => Some(why.clone()),
        Ok(_) => play.mismatches.first().map(ToString::to_string),
    };
    let first =
        outcome.plays.iter().find_map(|play| Some(format!("{}: {}", play.engine, one(play)?)));
    let differs = || {
        let found = outcome.disagreements().into_iter().next()?;
        let what = found.differences.first()?;
        Some(format!("{}: {what}", headline(&found)))
    };
    first.or_else(differs).unwrap_or_default()
}

fn seconds<'o>(outcomes: impl Iterator<Item = &'o Outcome>) -> String {
    let all: Duration = outcomes.flat_map(|outcome| &outcome.plays).map(|play| play.took).sum();
    format!("{:.3}", all.as_secs_f64())
}

/// A text in XML. What XML has no character for is shown as one that it has.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            '\t' => out.push_str("&#9;"),
            letter if letter.is_control() || matches!(letter, '\u{fffe}' | '\u{ffff}') => {
                out.push('\u{fffd}');
            }
            letter => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn whatever_a_name_has_is_xml() {
        assert_eq!(
            escaped("a <b> & \"c\"\n\u{7}\u{ffff}é"),
            "a &lt;b&gt; &amp; &quot;c&quot;&#10;\u{fffd}\u{fffd}é"
        );
    }
}
