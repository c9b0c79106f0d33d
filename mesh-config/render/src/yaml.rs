//! A small YAML writer: block style, the order as given, comments, and quotes wherever a reader
//! could take a string for anything else.
//!
//! It writes plain scalars from a short allow-list only, and everything else as a JSON string,
//! which YAML reads as it is. So no value can end its own quotes, open a document or become a
//! boolean, whichever version of YAML the reader follows.

use std::borrow::Cow;
use std::fmt::Write as _;

/// One value of a document.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A string.
    Text(String),
    /// A string of several lines, kept readable where YAML can.
    Lines(String),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in the order as given.
    Map(Vec<(String, Node)>),
    /// A value with a comment above it.
    Noted(Cow<'static, str>, Box<Node>),
}

impl Node {
    /// The same value with a comment above it.
    pub(crate) fn because(self, comment: impl Into<Cow<'static, str>>) -> Self {
        Self::Noted(comment.into(), Box::new(self))
    }
}

impl From<bool> for Node {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<u16> for Node {
    fn from(value: u16) -> Self {
        Self::Int(value.into())
    }
}

impl From<i64> for Node {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<&str> for Node {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Node {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<Vec<Node>> for Node {
    fn from(value: Vec<Node>) -> Self {
        Self::List(value)
    }
}

/// A mapping: `map! { "name" => value, … }`. Keys are unique by the caller's care.
macro_rules! map {
    ($($key:expr => $value:expr),* $(,)?) => {
        $crate::yaml::Node::Map(vec![$((
            ::std::string::String::from($key),
            $crate::yaml::Node::from($value),
        )),*])
    };
}

/// A sequence: `list![a, b]`.
macro_rules! list {
    ($($value:expr),* $(,)?) => {
        $crate::yaml::Node::List(vec![$($crate::yaml::Node::from($value)),*])
    };
}

pub(crate) use {list, map};

/// The document as text, with a line break at its end.
pub(crate) fn emit(root: &Node) -> String {
    let mut out = String::new();
    block(&mut out, root, 0);
    out
}

/// A line for the top of a file: whatever it holds, it stays one comment.
pub(crate) fn comment_line(text: &str) -> String {
    let one_line: String = text
        .chars()
        .map(|c| if is_printable(c) { c } else { char::REPLACEMENT_CHARACTER })
        .collect();
    format!("# {one_line}\n")
}

/// Writes the value from the start of a line.
fn block(out: &mut String, node: &Node, indent: usize) {
    match node {
        Node::Noted(comment, inner) => {
            note(out, comment, indent);
            block(out, inner, indent);
        }
        Node::List(items) if !items.is_empty() => {
            for item in items {
                list_item(out, item, indent);
            }
        }
        Node::Map(entries) if !entries.is_empty() => {
            for (key, value) in entries {
                if let Node::Noted(comment, _) = value {
                    note(out, comment, indent);
                }
                pad(out, indent);
                entry(out, key, value, indent);
            }
        }
        _ => {
            pad(out, indent);
            scalar(out, node, indent);
            out.push('\n');
        }
    }
}

/// Writes `- value` with the lines that follow.
fn list_item(out: &mut String, item: &Node, indent: usize) {
    match item {
        Node::Noted(comment, inner) => {
            note(out, comment, indent);
            list_item(out, inner, indent);
        }
        Node::Map(entries) if !entries.is_empty() => {
            for (position, (key, value)) in entries.iter().enumerate() {
                let first = position == 0;
                if let Node::Noted(comment, _) = value {
                    note(out, comment, if first { indent } else { indent + 2 });
                }
                pad(out, if first { indent } else { indent + 2 });
                if first {
                    out.push_str("- ");
                }
                entry(out, key, value, indent + 2);
            }
        }
        Node::List(items) if !items.is_empty() => {
            pad(out, indent);
            out.push_str("-\n");
            block(out, item, indent + 2);
        }
        _ => {
            pad(out, indent);
            out.push_str("- ");
            scalar(out, item, indent);
            out.push('\n');
        }
    }
}

/// Writes `key: value` after the indentation, and the lines that follow.
fn entry(out: &mut String, key: &str, value: &Node, indent: usize) {
    text(out, key);
    out.push(':');
    let value = without_notes(value);
    match value {
        Node::List(items) if !items.is_empty() => {
            out.push('\n');
            block(out, value, indent);
        }
        Node::Map(entries) if !entries.is_empty() => {
            out.push('\n');
            block(out, value, indent + 2);
        }
        _ => {
            out.push(' ');
            scalar(out, value, indent);
            out.push('\n');
        }
    }
}

/// Writes a value that starts on the current line.
fn scalar(out: &mut String, node: &Node, indent: usize) {
    match node {
        Node::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Node::Int(value) => {
            // Writing to a String does not fail.
            let _ = write!(out, "{value}");
        }
        Node::Lines(value) if is_literal(value) => {
            out.push_str("|-");
            for line in value.split('\n') {
                out.push('\n');
                pad(out, indent + 2);
                out.push_str(line);
            }
        }
        Node::Text(value) | Node::Lines(value) => text(out, value),
        // Only empty ones come here.
        Node::List(_) => out.push_str("[]"),
        Node::Map(_) => out.push_str("{}"),
        Node::Noted(_, inner) => scalar(out, inner, indent),
    }
}

fn text(out: &mut String, value: &str) {
    if is_plain(value) {
        out.push_str(value);
        return;
    }
    out.push('"');
    for c in value.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if is_printable(c) => out.push(c),
            // YAML has \U for what does not fit into four digits; surrogate pairs are JSON's alone.
            c => {
                let _ = match u32::from(c) {
                    code @ 0..=0xffff => write!(out, "\\u{code:04x}"),
                    code => write!(out, "\\U{code:08x}"),
                };
            }
        }
    }
    out.push('"');
}

/// What no reader takes for anything but a string: a word that is not one of YAML's.
fn is_plain(value: &str) -> bool {
    const WORDS: [&str; 15] = [
        "true", "false", "yes", "no", "on", "off", "y", "n", "t", "f", "null", "nan", "inf",
        "infinity", "none",
    ];
    value.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && value.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '/' | '-'))
        && !WORDS.iter().any(|word| value.eq_ignore_ascii_case(word))
}

/// What a literal block gives back exactly as it was.
fn is_literal(value: &str) -> bool {
    !value.starts_with(' ')
        && value.contains('\n')
        && value.split('\n').all(|line| {
            line.chars().all(is_printable) && !line.trim().is_empty() && line.trim_end() == line
        })
}

/// What may stand in a file as it is: no control characters, and none of the characters that some
/// reader takes for a line break or a byte order mark.
fn is_printable(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
        && !matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        && u32::from(c) < 0x1_0000
}

fn note(out: &mut String, comment: &str, indent: usize) {
    for line in comment.lines() {
        pad(out, indent);
        out.push_str(&comment_line(line));
    }
}

fn pad(out: &mut String, indent: usize) {
    out.extend(std::iter::repeat_n(' ', indent));
}

fn without_notes(node: &Node) -> &Node {
    match node {
        Node::Noted(_, inner) => without_notes(inner),
        _ => node,
    }
}

#[cfg(test)]
pub(crate) mod tests;
