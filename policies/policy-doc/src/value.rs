//! Values with a form of their own: words of the vocabulary, names, hosts, durations.

use crate::codes;
use crate::diagnostic::{Diagnostic, Sink, Span, Spanned, quote};
use crate::duration::{parse_ms, show_ms};
use crate::fields::{Fields, not_yet, twice};
use crate::yaml::{Content, Entry, Node, Reading};
use core::ops::RangeInclusive;
use policy_core::{
    BasisKind, CohortSource, Consistency, Country, DataClass, Effect, Health, IdempotencyRule,
    LeaseState, MergeStrategy, Method, Mode, Moment, OnDrift, OnLostUpdate, OnRejected,
    OnUnknownSubject, Operation, Otherwise, PrincipalKind, Priority, PriorityHeader, Reads,
    RedactionAction, ResidencyMode, Role, ShedAt, SheddingMode, Situation, SubjectMode,
    is_client_header,
};

/// A closed list of words.
pub(crate) trait Word: Copy + 'static {
    /// The words.
    const NAMES: &'static [&'static str];
    /// The words that a later release will know.
    const LATER: &'static [&'static str];

    /// The value of a word.
    fn parse(text: &str) -> Option<Self>;
}

macro_rules! words {
    ($($name:ident $(later $($later:literal)+)?;)+) => {$(
        impl Word for $name {
            const NAMES: &'static [&'static str] = $name::NAMES;
            const LATER: &'static [&'static str] = &[$($($later),+)?];

            fn parse(text: &str) -> Option<Self> {
                $name::parse(text)
            }
        }
    )+};
}

words! {
    Mode later "shadow";
    Role;
    ShedAt;
    SheddingMode;
    CohortSource;
    PriorityHeader;
    OnRejected;
    Situation;
    DataClass;
    Priority;
    Consistency;
    Effect;
    SubjectMode;
    Reads;
    IdempotencyRule;
    Otherwise;
    ResidencyMode;
    Operation;
    PrincipalKind;
    OnUnknownSubject;
    BasisKind;
    RedactionAction;
    OnDrift;
    OnLostUpdate;
    MergeStrategy;
    Health;
    LeaseState;
    Method;
}

impl Node {
    /// A word of the vocabulary.
    pub(crate) fn word<W: Word>(&self, what: &str, sink: &mut Sink) -> Option<Spanned<W>> {
        let text = match &self.content {
            // Quoted it would be no word either.
            Content::Scalar(scalar)
                if !scalar.text.is_empty() && W::parse(&scalar.text).is_none() =>
            {
                Spanned { value: scalar.text.clone(), span: self.span }
            }
            _ => self.text(what, sink)?,
        };
        Some(Spanned { value: word(what, &text, sink)?, span: self.span })
    }
}

/// A text as a word of the vocabulary.
pub(crate) fn word<W: Word>(what: &str, text: &Spanned<String>, sink: &mut Sink) -> Option<W> {
    let found = W::parse(&text.value);
    if found.is_none() && W::LATER.contains(&text.value.as_str()) {
        sink.push(not_yet(&text.value, text.span, &use_instead(W::NAMES)));
    } else if found.is_none() {
        let message = format!("{what} cannot be {}", quote(&text.value));
        sink.push(
            Diagnostic::error(codes::UNKNOWN_WORD, message)
                .at(text.span)
                .suggest(&text.value, W::NAMES),
        );
    }
    found
}

impl Entry {
    /// The value as a word of the vocabulary.
    pub(crate) fn word<W: Word>(&self, sink: &mut Sink) -> Option<Spanned<W>> {
        self.value.word(&self.what(), sink)
    }

    /// The value as a list of different words.
    pub(crate) fn words<W: Word + PartialEq>(&self, sink: &mut Sink) -> Vec<Spanned<W>> {
        let what = format!("an item of {}", self.what());
        let mut words: Vec<Spanned<W>> = Vec::new();
        for item in self.items(sink).unwrap_or_default() {
            let Some(word) = item.word::<W>(&what, sink) else { continue };
            if let Some(first) = words.iter().find(|known| known.value == word.value) {
                let name = match &item.content {
                    Content::Scalar(scalar) => scalar.text.as_str(),
                    _ => "",
                };
                sink.push(twice("value", name, word.span, first.span));
                continue;
            }
            words.push(word);
        }
        words
    }

    /// The value as the one word that this release knows.
    pub(crate) fn only(&self, word: &str, later: &[&str], sink: &mut Sink) {
        let Some(text) = self.text(sink) else { return };
        if text.value == word {
            return;
        }
        if later.contains(&text.value.as_str()) {
            sink.push(not_yet(&text.value, text.span, &use_instead(&[word])));
            return;
        }
        let message = format!("{} cannot be {}", self.what(), quote(&text.value));
        sink.push(
            Diagnostic::error(codes::UNKNOWN_WORD, message)
                .at(text.span)
                .suggest(&text.value, &[word]),
        );
    }

    /// The value as one of some numbers.
    pub(crate) fn one_of(&self, allowed: &[u16], sink: &mut Sink) -> Option<Spanned<u16>> {
        let number = self.value.number(&self.what(), 0..=u64::MAX, sink)?;
        let found = u16::try_from(number.value).ok().filter(|value| allowed.contains(value));
        if found.is_none() {
            let list: Vec<String> = allowed.iter().map(u16::to_string).collect();
            let message = format!("{} cannot be {}", self.what(), number.value);
            sink.push(
                Diagnostic::error(codes::NUMBER, message)
                    .at(number.span)
                    .help(format!("use {}", list.join(" or "))),
            );
        }
        found.map(|value| Spanned { value, span: number.span })
    }

    /// The value as a name.
    pub(crate) fn identifier(&self, length_max: usize, sink: &mut Sink) -> Option<Spanned<String>> {
        let text = self.text(sink)?;
        check_identifier(&self.what(), &text, length_max, sink);
        Some(text)
    }

    /// The key as a name that the user gives something.
    pub(crate) fn identifier_key(&self, what: &str, sink: &mut Sink) -> Option<Spanned<String>> {
        let name = self.name(what, sink)?;
        check_identifier(what, &name, 63, sink);
        Some(name)
    }

    /// The value as a date, with or without a time: an [`Moment`] as it is written.
    pub(crate) fn moment(&self, sink: &mut Sink) -> Option<Spanned<String>> {
        let text = self.text(sink)?;
        if Moment::parse(&text.value).is_some() {
            return Some(text);
        }
        let message = format!("{} cannot be {}", self.what(), quote(&text.value));
        sink.push(
            Diagnostic::error(codes::DATE, message)
                .at(text.span)
                .help("write a date, or a time in UTC: `2027-01-31` or `2027-01-31T15:00:00Z`"),
        );
        None
    }

    /// The value as a duration in milliseconds.
    pub(crate) fn duration_ms(&self, range: RangeInclusive<u64>, sink: &mut Sink) -> Option<u64> {
        let Content::Scalar(scalar) = &self.value.content else {
            self.value.refuse(&self.what(), "a duration such as `30s`", sink);
            return None;
        };
        if scalar.reading() == Reading::Number {
            let message = format!("{} has to be a duration, not a number", self.what());
            sink.push(
                Diagnostic::error(codes::DURATION, message).at(self.value.span).help(format!(
                    "say the unit, such as `{}ms` or `{}s`",
                    scalar.text, scalar.text
                )),
            );
            return None;
        }
        let text = self.text(sink)?;
        let Some(duration) = parse_ms(&text.value) else {
            let message = format!("{} cannot be {}", self.what(), quote(&text.value));
            sink.push(
                Diagnostic::error(codes::DURATION, message)
                    .at(text.span)
                    .help("a duration is written as `500ms`, `30s` or `1h30m`"),
            );
            return None;
        };
        if !range.contains(&duration) {
            let (low, high) = (show_ms(*range.start()), show_ms(*range.end()));
            let message =
                format!("{} has to be from {low} to {high}, not {}", self.what(), text.value);
            sink.push(Diagnostic::error(codes::DURATION, message).at(text.span));
            return None;
        }
        Some(duration)
    }
}

impl Fields<'_> {
    /// A word that may be missing.
    pub(crate) fn word_or<W: Word>(&self, key: &str, default: W, sink: &mut Sink) -> W {
        self.get(key).and_then(|entry| entry.word(sink)).map_or(default, |word| word.value)
    }

    /// The mode of a policy, which is always said. Nothing if it is not readable.
    pub(crate) fn mode(&self, sink: &mut Sink) -> Option<Spanned<Mode>> {
        self.need("mode", sink)?.word(sink)
    }
}

/// A duration within bounds, in milliseconds.
pub(crate) fn time(entry: &Entry, bounds: RangeInclusive<u32>, sink: &mut Sink) -> Option<u32> {
    let bounds = u64::from(*bounds.start())..=u64::from(*bounds.end());
    entry.duration_ms(bounds, sink).and_then(|time| u32::try_from(time).ok())
}

/// Reports a name that is not of the form that names have; whether it is.
pub(crate) fn check_identifier(
    what: &str,
    name: &Spanned<String>,
    length_max: usize,
    sink: &mut Sink,
) -> bool {
    let bytes = name.value.as_bytes();
    let valid = bytes.len() <= length_max
        && bytes.first().is_some_and(u8::is_ascii_lowercase)
        && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-');
    if !valid {
        let help =
            format!("use lower-case letters, digits and `-`, a letter first, {length_max} at most");
        sink.push(malformed(what, name, &help));
    }
    valid
}

/// Reports a country that does not exist; whether it does.
pub(crate) fn check_country(country: &Spanned<String>, sink: &mut Sink) -> bool {
    if Country::parse(country.value.as_bytes()).is_some() {
        return true;
    }
    let message = format!("there is no country {}", quote(&country.value));
    let diagnostic = Diagnostic::error(codes::UNKNOWN_COUNTRY, message).at(country.span);
    let upper = country.value.to_ascii_uppercase();
    sink.push(match Country::parse(upper.as_bytes()) {
        Some(known) => diagnostic.help(format!("did you mean `{known}`?")),
        None => diagnostic.help("countries are two-letter codes of ISO 3166-1, such as `TW`"),
    });
    false
}

/// Whether this is a host name: no port, no scheme, no wildcard.
pub(crate) fn is_host(host: &str) -> bool {
    host.len() <= 253
        && host.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        })
}

/// Reports what is no name of a namespace or service; whether it is one.
pub(crate) fn check_label(what: &str, name: &Spanned<String>, sink: &mut Sink) -> bool {
    let valid = !name.value.contains('.') && is_subdomain(&name.value);
    if !valid {
        let help = "use lower-case letters, digits and `-`, 63 at most";
        sink.push(malformed(what, name, help));
    }
    valid
}

/// Whether this may be the name of a resource: a host name in lower case.
pub(crate) fn is_subdomain(name: &str) -> bool {
    is_host(name) && !name.bytes().any(|byte| byte.is_ascii_uppercase())
}

/// Whether this may be a label of a pod: a name, perhaps after a domain and `/`.
pub(crate) fn is_label_key(key: &str) -> bool {
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    prefix.is_none_or(is_subdomain) && !name.is_empty() && is_label_value(name)
}

/// Whether this may be the value of a label.
pub(crate) fn is_label_value(value: &str) -> bool {
    let ends = |end: Option<u8>| end.is_none_or(|byte| byte.is_ascii_alphanumeric());
    value.len() <= 63
        && ends(value.bytes().next())
        && ends(value.bytes().next_back())
        && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

/// Whether this may be the name of a header (RFC 9110 token).
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 128
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// A header that a client may be read by, in lower case; reports one that says something else.
pub(crate) fn check_client_header(
    what: &str,
    name: &Spanned<String>,
    sink: &mut Sink,
) -> Option<String> {
    let lower = name.value.to_ascii_lowercase();
    if is_client_header(&lower) {
        return Some(lower);
    }
    let help = "use a header that says nothing else, such as `x-api-key`: letters, digits and `-`";
    sink.push(malformed(what, name, help));
    None
}

/// Whether this may be the value of a header.
pub(crate) fn is_header_value(text: &str) -> bool {
    text.len() <= 8192
        && text.bytes().all(|byte| byte == b'\t' || byte == b' ' || byte.is_ascii_graphic())
}

/// A value that is not formed as it must be.
pub(crate) fn malformed(what: &str, text: &Spanned<String>, help: &str) -> Diagnostic {
    malformed_at(what, &text.value, text.span, help)
}

pub(crate) fn malformed_at(what: &str, text: &str, span: Span, help: &str) -> Diagnostic {
    Diagnostic::error(codes::MALFORMED, format!("{what} cannot be {}", quote(text)))
        .at(span)
        .help(help)
}

fn use_instead(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| quote(name)).collect();
    format!("use {}", quoted.join(" or "))
}
