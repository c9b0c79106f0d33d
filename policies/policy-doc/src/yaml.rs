//! YAML into a tree with places. Only the plain part of YAML: no anchors, aliases, tags or merge
//! keys, so that what is read is what is seen, and a small file cannot become a large one.

use crate::codes;
use crate::diagnostic::{Diagnostic, Sink, Span, Spanned, quote};
use saphyr_parser::{Event, Marker, Parser, ScalarStyle};
use std::collections::BTreeMap;

/// How large a file may be, in bytes.
const FILE_MAX: usize = 1 << 20;
/// How deep mappings and lists may nest.
const DEPTH_MAX: usize = 24;

/// A value.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    /// Where it is; of something that spans lines, the first line or the first key.
    pub(crate) span: Span,
    pub(crate) content: Content,
}

/// What a value is.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    Mapping(Vec<Entry>),
    Sequence(Vec<Node>),
    Scalar(Scalar),
    /// Something that has been reported already.
    Refused,
}

/// A scalar. Whether it was quoted decides whether it may be a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scalar {
    pub(crate) text: String,
    pub(crate) plain: bool,
}

/// One key of a mapping and its value.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: Spanned<String>,
    /// Whether the key was written without quotes.
    pub(crate) plain: bool,
    pub(crate) value: Node,
}

/// The documents of one file.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) documents: Vec<Node>,
    /// Whether the file was read to its end.
    pub(crate) complete: bool,
}

/// Reads every document of a file, up to the first syntax error.
pub(crate) fn parse(file: usize, text: &str, sink: &mut Sink) -> Parsed {
    let places = Places::new(file, text);
    if text.len() > FILE_MAX {
        let message = format!("the file is larger than {} KiB", FILE_MAX >> 10);
        let start = places.span(Marker::new(0, 1, 0), Marker::new(0, 1, 0));
        sink.push(
            Diagnostic::error(codes::TOO_LARGE, message)
                .at(start)
                .help("split it: a policy set is any number of files"),
        );
        return Parsed { documents: Vec::new(), complete: false };
    }
    let mut builder = Builder { places, stack: Vec::new(), documents: Vec::new() };
    let mut parser = Parser::new_from_str(text);
    loop {
        match parser.next_event() {
            None => return Parsed { documents: builder.documents, complete: true },
            Some(Ok((event, span))) => {
                if builder.event(event, span, sink).is_none() {
                    return Parsed { documents: builder.documents, complete: false };
                }
            }
            Some(Err(error)) => {
                let marker = *error.marker();
                let mut message = format!("this is not valid YAML: {}", error.info());
                message.retain(|letter| !letter.is_control());
                let message = message.trim_end_matches('.').to_owned();
                let span = builder.places.letter(marker);
                let mut diagnostic = Diagnostic::error(codes::SYNTAX, message).at(span);
                if let Some(open) = builder.open_bracket() {
                    diagnostic = diagnostic.related(open, "inside of what begins here");
                }
                sink.push(diagnostic);
                return Parsed { documents: builder.documents, complete: false };
            }
        }
    }
}

// === impl Node ===

impl Node {
    /// What it is, for messages.
    pub(crate) fn describe(&self) -> &'static str {
        match &self.content {
            Content::Mapping(_) => "a mapping",
            Content::Sequence(_) => "a list",
            Content::Scalar(scalar) => match scalar.reading() {
                Reading::Text => "a string",
                Reading::Nothing => "nothing",
                Reading::Boolean => "a boolean",
                Reading::Number => "a number",
            },
            Content::Refused => "something refused",
        }
    }
}

/// What YAML makes of a scalar: some tools read YAML 1.1, some 1.2, and what either of them takes
/// for something else than a string has to be quoted to be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    Text,
    Nothing,
    Boolean,
    Number,
}

impl Scalar {
    pub(crate) fn reading(&self) -> Reading {
        if self.plain { reading(&self.text) } else { Reading::Text }
    }
}

/// What YAML makes of this text when it is not quoted.
pub(crate) fn reading(text: &str) -> Reading {
    const NOTHING: [&str; 3] = ["", "~", "null"];
    const BOOLEAN: [&str; 8] = ["true", "false", "yes", "no", "on", "off", "y", "n"];
    let lower = text.to_ascii_lowercase();
    if NOTHING.contains(&lower.as_str()) {
        Reading::Nothing
    } else if BOOLEAN.contains(&lower.as_str()) {
        Reading::Boolean
    } else if is_number(&lower) {
        Reading::Number
    } else {
        Reading::Text
    }
}

fn is_number(lower: &str) -> bool {
    let unsigned = lower.strip_prefix(['-', '+']).unwrap_or(lower);
    if matches!(unsigned, ".inf" | ".nan") {
        return true;
    }
    for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] {
        if let Some(digits) = unsigned.strip_prefix(prefix) {
            return !digits.is_empty()
                && digits.chars().all(|letter| letter == '_' || letter.is_digit(radix));
        }
    }
    let (mantissa, exponent) = match unsigned.split_once('e') {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let mantissa_ok = mantissa.bytes().any(|byte| byte.is_ascii_digit())
        && mantissa.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_' || byte == b'.')
        && mantissa.bytes().filter(|byte| *byte == b'.').count() <= 1
        && !mantissa.starts_with('_');
    let exponent_ok = exponent.is_none_or(|exponent| {
        let digits = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    });
    mantissa_ok && exponent_ok
}

// === places ===

/// Turns the parser's character positions into byte positions.
struct Places<'t> {
    file: usize,
    text: &'t str,
    /// The byte of each character; nothing where they are the same.
    bytes: Option<Vec<usize>>,
}

impl<'t> Places<'t> {
    fn new(file: usize, text: &'t str) -> Self {
        let bytes = (!text.is_ascii()).then(|| text.char_indices().map(|(byte, _)| byte).collect());
        Self { file, text, bytes }
    }

    fn byte(&self, marker: Marker) -> usize {
        let index = marker.index();
        let byte = match &self.bytes {
            None => index,
            Some(bytes) => bytes.get(index).copied().unwrap_or(self.text.len()),
        };
        byte.min(self.text.len())
    }

    /// From one marker to another, at most to the end of the line.
    fn span(&self, start: Marker, end: Marker) -> Span {
        let first = self.byte(start);
        let last = self.byte(end).max(first);
        let range = self.text.get(first..last).unwrap_or_default();
        let line = range.lines().next().unwrap_or_default().trim_end();
        Span {
            file: self.file,
            start: first,
            end: first.saturating_add(line.len()),
            line: start.line().max(1),
            column: start.col().saturating_add(1),
        }
    }

    /// The one letter at a marker, or nothing at the end of a line.
    fn letter(&self, marker: Marker) -> Span {
        let mut span = self.span(marker, marker);
        let rest = self.text.get(span.start..).unwrap_or_default();
        if let Some(letter) = rest.chars().next().filter(|letter| !letter.is_control()) {
            span.end = span.start.saturating_add(letter.len_utf8());
        }
        span
    }
}

// === building ===

/// Builds nodes from the parser's events with a stack of its own.
struct Builder<'t> {
    places: Places<'t>,
    stack: Vec<Frame>,
    documents: Vec<Node>,
}

/// A collection that is not closed yet.
enum Frame {
    Sequence { start: Marker, items: Vec<Node> },
    Mapping { start: Marker, entries: Vec<Entry>, seen: BTreeMap<String, Span>, key: Key },
}

/// The key that waits for its value.
enum Key {
    Awaited,
    Read(Scalar, Span),
    Refused,
}

impl Builder<'_> {
    /// Takes one event in; nothing means that the rest of the file is not worth reading.
    fn event(
        &mut self,
        event: Event<'_>,
        span: saphyr_parser::Span,
        sink: &mut Sink,
    ) -> Option<()> {
        match event {
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => {}
            Event::Alias(_) => {
                let span = self.places.span(span.start, span.end);
                sink.push(
                    Diagnostic::error(codes::YAML_FEATURE, "aliases are refused")
                        .at(span)
                        .help("write the value out where it is needed"),
                );
                self.add(Node { span, content: Content::Refused }, sink);
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_features(anchor, tag.is_some(), span, sink);
                let plain = style == ScalarStyle::Plain;
                let content = Content::Scalar(Scalar { text: text.into_owned(), plain });
                let span = self.places.span(span.start, span.end);
                self.add(Node { span, content }, sink);
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse_features(anchor, tag.is_some(), span, sink);
                self.open(Frame::Sequence { start: span.start, items: Vec::new() }, span, sink)?;
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse_features(anchor, tag.is_some(), span, sink);
                let frame = Frame::Mapping {
                    start: span.start,
                    entries: Vec::new(),
                    seen: BTreeMap::new(),
                    key: Key::Awaited,
                };
                self.open(frame, span, sink)?;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let frame = self.stack.pop()?;
                let node = self.close(frame, span.start);
                self.add(node, sink);
            }
        }
        Some(())
    }

    fn refuse_features(
        &self,
        anchor: usize,
        tagged: bool,
        span: saphyr_parser::Span,
        sink: &mut Sink,
    ) {
        let at = self.places.span(span.start, span.end);
        if anchor > 0 {
            sink.push(
                Diagnostic::error(codes::YAML_FEATURE, "anchors are refused")
                    .at(at)
                    .help("write the value out where it is needed"),
            );
        }
        if tagged {
            sink.push(
                Diagnostic::error(codes::YAML_FEATURE, "tags are refused")
                    .at(at)
                    .help("remove the tag; to make a value a string, quote it"),
            );
        }
    }

    fn open(&mut self, frame: Frame, span: saphyr_parser::Span, sink: &mut Sink) -> Option<()> {
        if self.stack.len() >= DEPTH_MAX {
            let message = format!("nested deeper than {DEPTH_MAX} levels");
            let at = self.places.letter(span.start);
            sink.push(Diagnostic::error(codes::TOO_LARGE, message).at(at));
            return None;
        }
        self.stack.push(frame);
        Some(())
    }

    fn close(&self, frame: Frame, end: Marker) -> Node {
        match frame {
            Frame::Sequence { start, items } => {
                let first = items.first().map(|item| item.span);
                let span = self.collection_span(start, end, first);
                Node { span, content: Content::Sequence(items) }
            }
            Frame::Mapping { start, entries, .. } => {
                let first = entries.first().map(|entry| entry.key.span);
                let span = self.collection_span(start, end, first);
                Node { span, content: Content::Mapping(entries) }
            }
        }
    }

    /// The innermost bracket that is not closed.
    fn open_bracket(&self) -> Option<Span> {
        let (Frame::Sequence { start, .. } | Frame::Mapping { start, .. }) = self.stack.last()?;
        let span = self.places.letter(*start);
        let text = self.places.text.get(span.start..span.end)?;
        text.starts_with(['[', '{']).then_some(span)
    }

    /// A collection in brackets is underlined whole, any other by its first item.
    fn collection_span(&self, start: Marker, end: Marker, first: Option<Span>) -> Span {
        // The end is where the closing bracket stands.
        let mut whole = self.places.span(start, end);
        let rest = self.places.text.get(whole.start..).unwrap_or_default();
        if !rest.starts_with(['[', '{']) {
            return first.unwrap_or(whole);
        }
        let close = self.places.byte(end);
        let is_closed = |text: &str| text.starts_with([']', '}']);
        if whole.end == close && self.places.text.get(close..).is_some_and(is_closed) {
            whole.end = close.saturating_add(1);
        }
        whole
    }

    /// Puts a finished node where it belongs.
    fn add(&mut self, node: Node, sink: &mut Sink) {
        let Some(frame) = self.stack.last_mut() else {
            self.documents.push(node);
            return;
        };
        match frame {
            Frame::Sequence { items, .. } => items.push(node),
            Frame::Mapping { entries, seen, key, .. } => {
                match std::mem::replace(key, Key::Awaited) {
                    Key::Awaited => *key = read_key(node, seen, sink),
                    Key::Refused => {}
                    Key::Read(scalar, span) => {
                        let mut value = node;
                        // Nothing at all has no place of its own.
                        if value.span.start == value.span.end {
                            value.span = span;
                        }
                        let plain = scalar.plain;
                        let key = Spanned { value: scalar.text, span };
                        entries.push(Entry { key, plain, value });
                    }
                }
            }
        }
    }
}

fn read_key(node: Node, seen: &mut BTreeMap<String, Span>, sink: &mut Sink) -> Key {
    let span = node.span;
    let Content::Scalar(scalar) = node.content else {
        if !matches!(node.content, Content::Refused) {
            sink.push(Diagnostic::error(codes::SHAPE, "a key has to be a single word").at(span));
        }
        return Key::Refused;
    };
    if scalar.plain && scalar.text == "<<" {
        sink.push(
            Diagnostic::error(codes::YAML_FEATURE, "merge keys are refused")
                .at(span)
                .help("write the keys out where they are needed"),
        );
        return Key::Refused;
    }
    if let Some(first) = seen.get(&scalar.text) {
        let message = format!("the key {} is given twice", quote(&scalar.text));
        sink.push(
            Diagnostic::error(codes::DUPLICATE_KEY, message)
                .at(span)
                .label("again here")
                .related(*first, "first here"),
        );
        return Key::Refused;
    }
    seen.insert(scalar.text.clone(), span);
    Key::Read(scalar, span)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_some_yaml_reader_takes_for_no_string_is_no_string() {
        for (text, expected) in [
            ("NO", Reading::Boolean),
            ("Off", Reading::Boolean),
            ("y", Reading::Boolean),
            ("true", Reading::Boolean),
            ("~", Reading::Nothing),
            ("", Reading::Nothing),
            ("Null", Reading::Nothing),
            ("42", Reading::Number),
            ("-1.5e3", Reading::Number),
            ("0x1f", Reading::Number),
            ("1_000", Reading::Number),
            (".5", Reading::Number),
            (".NaN", Reading::Number),
            ("2027-01-01", Reading::Text),
            ("30s", Reading::Text),
            ("e3", Reading::Text),
            ("1.2.3", Reading::Text),
            ("JP", Reading::Text),
            ("none", Reading::Text),
        ] {
            assert_eq!(reading(text), expected, "{text}");
        }
    }

    #[test]
    fn places_are_bytes_even_after_other_scripts() {
        let text = "# 台灣\nname: 東京 # home\nlist: [一, two]\n";
        let mut sink = Sink::default();
        let parsed = parse(0, text, &mut sink);
        let Content::Mapping(entries) = &parsed.documents[0].content else { panic!() };
        let at = |span: Span| text.get(span.start..span.end).unwrap();
        assert_eq!(at(entries[0].key.span), "name");
        assert_eq!(at(entries[0].value.span), "東京");
        assert_eq!(entries[0].value.span.line, 2);
        assert_eq!(entries[0].value.span.column, 7);
        assert_eq!(at(entries[1].value.span), "[一, two]");
        assert!(parsed.complete && !sink.has_errors());
    }
}
