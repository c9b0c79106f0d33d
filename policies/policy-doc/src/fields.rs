//! Reads the tree key by key and reports everything that is not as its shape says, at once.

use crate::codes;
use crate::diagnostic::{Diagnostic, Sink, Span, Spanned, closest, quote};
use crate::yaml::{Content, Entry, Node, Reading, reading};

/// How many strings a list may have.
const LIST_MAX: usize = 1000;

/// The keys of a mapping.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    /// What the mapping is, such as `a context`.
    pub(crate) what: &'static str,
    /// The keys it may have.
    pub(crate) keys: &'static [&'static str],
    /// The keys that it will have in a later release.
    pub(crate) later: &'static [&'static str],
}

/// A mapping whose keys have been checked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields<'n> {
    entries: &'n [Entry],
    shape: Shape,
    at: Span,
}

impl<'n> Fields<'n> {
    /// Takes a node for a mapping of this shape. Keys it should not have are reported and then
    /// passed over; keys it lacks are reported at its name.
    pub(crate) fn open(node: &'n Node, shape: &Shape, sink: &mut Sink) -> Option<Self> {
        let name = match &node.content {
            Content::Mapping(entries) => entries.iter().find(|entry| entry.key.value == "name"),
            Content::Sequence(_) | Content::Scalar(_) | Content::Refused => None,
        };
        let at = name.map_or(node.span, |entry| entry.value.span);
        Self::open_at(node, at, shape, sink)
    }

    /// The same, with the place where missing keys are reported.
    pub(crate) fn open_at(
        node: &'n Node,
        at: Span,
        shape: &Shape,
        sink: &mut Sink,
    ) -> Option<Self> {
        let entries = node.entries(shape.what, sink)?;
        for entry in entries {
            let key = entry.key.value.as_str();
            if shape.keys.contains(&key) {
                continue;
            }
            if shape.later.contains(&key) {
                sink.push(not_yet(key, entry.key.span, "remove it"));
                continue;
            }
            let message = format!("{} has no key {}", shape.what, quote(key));
            sink.push(
                Diagnostic::error(codes::UNKNOWN_KEY, message)
                    .at(entry.key.span)
                    .suggest(key, shape.keys),
            );
        }
        Some(Self { entries, shape: *shape, at })
    }

    /// Where missing keys are reported.
    pub(crate) fn at(&self) -> Span {
        self.at
    }

    /// A key that may be missing.
    pub(crate) fn get(&self, key: &str) -> Option<&'n Entry> {
        self.entries.iter().find(|entry| entry.key.value == key)
    }

    /// A key that may not be missing.
    pub(crate) fn need(&self, key: &str, sink: &mut Sink) -> Option<&'n Entry> {
        let entry = self.get(key);
        if self.lacks(key) {
            let message = format!("{} lacks the key `{key}`", self.shape.what);
            sink.push(Diagnostic::error(codes::MISSING_KEY, message).at(self.at));
        }
        entry
    }

    /// Whether a key is missing, and not only misspelt: that has been reported as such.
    pub(crate) fn lacks(&self, key: &str) -> bool {
        !self.entries.iter().any(|entry| {
            let word = entry.key.value.as_str();
            word == key
                || !self.shape.keys.contains(&word) && closest(word, self.shape.keys) == Some(key)
        })
    }
}

impl Node {
    /// The entries of a mapping, which may have none.
    pub(crate) fn entries(&self, what: &str, sink: &mut Sink) -> Option<&[Entry]> {
        if let Content::Mapping(entries) = &self.content {
            return Some(entries);
        }
        self.refuse(what, "a mapping", sink);
        None
    }

    /// The entries of a mapping that says something.
    pub(crate) fn some_entries(&self, what: &str, sink: &mut Sink) -> Option<&[Entry]> {
        let entries = self.entries(what, sink)?;
        if entries.is_empty() {
            self.refuse_empty(what, "an empty mapping", sink);
            return None;
        }
        Some(entries)
    }

    /// The items of a list that has some.
    pub(crate) fn items(&self, what: &str, sink: &mut Sink) -> Option<&[Self]> {
        match &self.content {
            Content::Sequence(items) if items.is_empty() => {
                self.refuse_empty(what, "an empty list", sink);
                None
            }
            Content::Sequence(items) => Some(items),
            _ => {
                self.refuse(what, "a list", sink);
                None
            }
        }
    }

    /// How many items a list has, if it is one.
    pub(crate) fn len(&self) -> Option<usize> {
        match &self.content {
            Content::Sequence(items) => Some(items.len()),
            Content::Mapping(_) | Content::Scalar(_) | Content::Refused => None,
        }
    }

    /// A string that is not empty.
    pub(crate) fn text(&self, what: &str, sink: &mut Sink) -> Option<Spanned<String>> {
        let text = self.any_text(what, sink)?;
        if text.value.is_empty() {
            self.refuse_empty(what, "an empty string", sink);
            return None;
        }
        Some(text)
    }

    /// A string. What YAML takes for something else has to be quoted.
    pub(crate) fn any_text(&self, what: &str, sink: &mut Sink) -> Option<Spanned<String>> {
        let Content::Scalar(scalar) = &self.content else {
            self.refuse(what, "a string", sink);
            return None;
        };
        match scalar.reading() {
            Reading::Text => Some(Spanned { value: scalar.text.clone(), span: self.span }),
            Reading::Nothing if scalar.text.is_empty() => {
                let message = format!("{what} has no value");
                sink.push(Diagnostic::error(codes::NOT_A_STRING, message).at(self.span));
                None
            }
            reading @ (Reading::Nothing | Reading::Boolean | Reading::Number) => {
                sink.push(not_a_string(what, &scalar.text, self.span, reading));
                None
            }
        }
    }

    /// A whole number in a range.
    pub(crate) fn number(
        &self,
        what: &str,
        range: std::ops::RangeInclusive<u64>,
        sink: &mut Sink,
    ) -> Option<Spanned<u64>> {
        let Content::Scalar(scalar) = &self.content else {
            self.refuse(what, "a number", sink);
            return None;
        };
        let digits = scalar.text.as_str();
        let is_whole = scalar.plain && digits.bytes().all(|byte| byte.is_ascii_digit());
        let number = if is_whole { digits.parse::<u64>().ok() } else { None };
        if let Some(value) = number.filter(|number| range.contains(number)) {
            return Some(Spanned { value, span: self.span });
        }
        let (low, high) = (range.start(), range.end());
        let limits = match (*low, *high) {
            (0, u64::MAX) => "a whole number".to_owned(),
            (low, u64::MAX) => format!("a whole number from {low} on"),
            (low, high) => format!("a whole number from {low} to {high}"),
        };
        let message = format!("{what} has to be {limits}, not {}", quote(digits));
        let mut diagnostic = Diagnostic::error(codes::NUMBER, message).at(self.span);
        if !scalar.plain && digits.parse::<u64>().is_ok() {
            diagnostic = diagnostic.help("write it without quotes");
        }
        sink.push(diagnostic);
        None
    }

    /// Reports that something else belongs here.
    pub(crate) fn refuse(&self, what: &str, wanted: &str, sink: &mut Sink) {
        if matches!(self.content, Content::Refused) {
            return;
        }
        let message = format!("{what} has to be {wanted}, not {}", self.describe());
        sink.push(Diagnostic::error(codes::SHAPE, message).at(self.span));
    }

    fn refuse_empty(&self, what: &str, empty: &str, sink: &mut Sink) {
        let message = format!("{what} is {empty}");
        sink.push(
            Diagnostic::error(codes::EMPTY, message)
                .at(self.span)
                .help("say what it should hold, or remove the key"),
        );
    }
}

impl Entry {
    /// What the value is called in messages.
    pub(crate) fn what(&self) -> String {
        quote(&self.key.value)
    }

    /// The value as a string that is not empty.
    pub(crate) fn text(&self, sink: &mut Sink) -> Option<Spanned<String>> {
        self.value.text(&self.what(), sink)
    }

    /// The value as a list that is not empty.
    pub(crate) fn items(&self, sink: &mut Sink) -> Option<&[Node]> {
        self.value.items(&self.what(), sink)
    }

    /// The value as a mapping that is not empty.
    pub(crate) fn some_entries(&self, sink: &mut Sink) -> Option<&[Self]> {
        self.value.some_entries(&self.what(), sink)
    }

    /// The value as a list of different strings.
    pub(crate) fn texts(&self, sink: &mut Sink) -> Vec<Spanned<String>> {
        let what = format!("an item of {}", self.what());
        let mut texts: Vec<Spanned<String>> = Vec::new();
        let items = self.items(sink).unwrap_or_default();
        if items.len() > LIST_MAX {
            let message = format!("{} has more than {LIST_MAX} items", self.what());
            sink.push(Diagnostic::error(codes::TOO_LARGE, message).at(self.key.span));
            return texts;
        }
        for item in items {
            let Some(text) = item.text(&what, sink) else { continue };
            if let Some(first) = texts.iter().find(|known| known.value == text.value) {
                sink.push(twice("value", &text.value, text.span, first.span));
                continue;
            }
            texts.push(text);
        }
        texts
    }

    /// The key of a mapping whose keys are names: quoted if YAML takes it for something else.
    pub(crate) fn name(&self, what: &str, sink: &mut Sink) -> Option<Spanned<String>> {
        let text = self.key.value.as_str();
        match if self.plain { reading(text) } else { Reading::Text } {
            Reading::Text => Some(self.key.clone()),
            other => {
                sink.push(not_a_string(what, text, self.key.span, other));
                None
            }
        }
    }
}

/// The value is known and no release yet does what it says.
pub(crate) fn not_yet(what: &str, span: Span, help: &str) -> Diagnostic {
    Diagnostic::error(codes::NOT_YET, format!("{} is not supported yet", quote(what)))
        .at(span)
        .help(help)
}

/// A name is taken.
pub(crate) fn twice(what: &str, name: &str, span: Span, first: Span) -> Diagnostic {
    Diagnostic::error(codes::NAME_TWICE, format!("the {what} {} is given twice", quote(name)))
        .at(span)
        .label("again here")
        .related(first, "first here")
}

fn not_a_string(what: &str, text: &str, span: Span, reading: Reading) -> Diagnostic {
    let what_it_is = match reading {
        Reading::Boolean => "a boolean",
        Reading::Number => "a number",
        Reading::Nothing | Reading::Text => "nothing",
    };
    let message = format!("{what} has to be a string, and {} is {what_it_is}", quote(text));
    let diagnostic = Diagnostic::error(codes::NOT_A_STRING, message).at(span);
    if reading == Reading::Nothing {
        diagnostic
    } else {
        diagnostic.help(format!("quote it: \"{text}\""))
    }
}
