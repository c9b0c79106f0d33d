//! What is wrong with a document, where, and what to do about it: plain data, rendered elsewhere.

use crate::codes::{self, Code};

/// How many diagnostics are reported at most.
const SHOWN_MAX: usize = 100;
/// How many are kept at most before sorting.
const KEPT_MAX: usize = 2000;
/// How many characters of user text a message repeats.
const QUOTED_MAX: usize = 60;
/// How many known names a help line lists.
const LISTED_MAX: usize = 12;

/// A place in a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// The source's index.
    pub file: usize,
    /// The first byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
    /// The line of the first byte, 1-based.
    pub line: usize,
    /// The column of the first byte in characters, 1-based.
    pub column: usize,
}

/// Something and where it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spanned<T> {
    pub(crate) value: T,
    pub(crate) span: Span,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The set cannot be used.
    Error,
    /// The set can be used, and somebody should look at this.
    Warning,
}

impl Severity {
    /// `error` or `warning`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The code, see [`crate::CODES`].
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// One line, lower case, without a final period.
    pub message: String,
    /// Where it is; nowhere when something is missing from the whole set.
    pub span: Option<Span>,
    /// What to write next to the place.
    pub label: Option<String>,
    /// What to do about it.
    pub help: Option<String>,
    /// Other places that have to do with it.
    pub related: Vec<Related>,
}

/// Another place that has to do with a problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Related {
    /// Where it is.
    pub span: Span,
    /// What it has to do with it.
    pub label: String,
}

/// Collects problems.
#[derive(Debug, Default)]
pub(crate) struct Sink {
    diagnostics: Vec<Diagnostic>,
    dropped: usize,
}

// === impl Diagnostic ===

impl Diagnostic {
    pub(crate) fn error(code: Code, message: impl Into<String>) -> Self {
        Self {
            code: code.id,
            severity: Severity::Error,
            message: message.into(),
            span: None,
            label: None,
            help: None,
            related: Vec::new(),
        }
    }

    pub(crate) fn warning(code: Code, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, message) }
    }

    pub(crate) fn at(mut self, span: Span) -> Self {
        self.span = Some(span);
        self
    }

    pub(crate) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(crate) fn related(mut self, span: Span, label: impl Into<String>) -> Self {
        self.related.push(Related { span, label: label.into() });
        self
    }

    /// Adds a help line that names the closest known name, or some of them.
    pub(crate) fn suggest<S: AsRef<str>>(self, word: &str, known: &[S]) -> Self {
        match suggestion(word, known) {
            Some(help) => self.help(help),
            None => self,
        }
    }
}

// === impl Sink ===

impl Sink {
    pub(crate) fn push(&mut self, diagnostic: Diagnostic) {
        if self.diagnostics.len() < KEPT_MAX {
            self.diagnostics.push(diagnostic);
        } else {
            self.dropped = self.dropped.saturating_add(1);
        }
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
    }

    /// Everything by file and place, what has no place last, and a line about what is left out.
    pub(crate) fn finish(mut self) -> Vec<Diagnostic> {
        self.diagnostics.sort_by_key(|diagnostic| {
            (diagnostic.span.is_none(), diagnostic.span, diagnostic.code)
        });
        self.diagnostics.dedup();
        let left = self.diagnostics.len().saturating_sub(SHOWN_MAX).saturating_add(self.dropped);
        if left > 0 {
            self.diagnostics.truncate(SHOWN_MAX);
            let noun = if left == 1 { "problem" } else { "problems" };
            self.diagnostics.push(
                Diagnostic::error(codes::TOO_MANY, format!("and {left} more {noun}"))
                    .help("fix these first"),
            );
        }
        self.diagnostics
    }
}

// === words ===

/// User text in backticks, on one line and of bounded length.
pub(crate) fn quote(text: &str) -> String {
    let mut quoted = String::from("`");
    for (count, letter) in text.chars().enumerate() {
        if count >= QUOTED_MAX {
            quoted.push('…');
            break;
        }
        if letter.is_control() {
            quoted.extend(letter.escape_default());
        } else {
            quoted.push(letter);
        }
    }
    quoted.push('`');
    quoted
}

/// What helps somebody who wrote a name that is not known: the closest one, or some of them.
pub fn suggestion<S: AsRef<str>>(word: &str, known: &[S]) -> Option<String> {
    if let Some(near) = closest(word, known) {
        return Some(format!("did you mean `{near}`?"));
    }
    if known.is_empty() {
        return None;
    }
    let mut list: Vec<String> =
        known.iter().take(LISTED_MAX).map(|name| quote(name.as_ref())).collect();
    let left = known.len().saturating_sub(LISTED_MAX);
    if left > 0 {
        list.push(format!("{left} more"));
    }
    let verb = if known.len() == 1 { "known is" } else { "known are" };
    Some(format!("{verb} {}", list.join(", ")))
}

/// The known name that somebody who wrote `word` most likely meant.
pub(crate) fn closest<'a, S: AsRef<str>>(word: &str, known: &'a [S]) -> Option<&'a str> {
    if word.len() > QUOTED_MAX {
        return None;
    }
    let lower = word.to_lowercase();
    known
        .iter()
        .map(AsRef::as_ref)
        .map(|name| (strsim::osa_distance(&lower, &name.to_lowercase()), name))
        .filter(|(distance, name)| {
            // Something has to be in common, however short the words are.
            *distance < word.chars().count().max(1)
                && *distance <= name.chars().count().max(3).div_ceil(4)
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closest_name_is_found_and_a_far_one_is_not() {
        let known = ["consistency", "dataClasses", "tokyo", "JP"];
        for (word, near) in [
            ("consistancy", Some("consistency")),
            ("dataclasses", Some("dataClasses")),
            ("tokio", Some("tokyo")),
            ("jp", Some("JP")),
            ("osaka", None),
            ("", None),
            ("d", None),
        ] {
            assert_eq!(closest(word, &known), near, "{word}");
        }
    }

    #[test]
    fn quoted_text_is_one_short_line() {
        assert_eq!(quote("a\nb"), "`a\\nb`");
        assert_eq!(quote(&"x".repeat(70)).chars().count(), 63);
    }

    #[test]
    fn what_is_not_shown_is_counted() {
        let mut sink = Sink::default();
        for number in 0..3000 {
            sink.push(Diagnostic::error(codes::SYNTAX, format!("{number}")));
        }
        let shown = sink.finish();
        assert_eq!(shown.len(), 101);
        assert_eq!(shown[100].message, "and 2900 more problems");
    }
}
