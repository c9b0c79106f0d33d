//! Reads JSON, and says of what cannot be read where in the document it is.
//!
//! The path is worked out from the place where reading ended, and only then: readers that keep a path
//! for every value they pass were a tenth of the module.

use super::ConfigFault;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;
use serde::de::DeserializeOwned;

/// Reads one document.
///
/// # Errors
/// The JSON path of the first thing that is not as the type has it, `.` for all of it.
pub(super) fn read<T: DeserializeOwned>(json: &[u8]) -> Result<T, ConfigFault> {
    serde_json::from_slice(json).map_err(|error| ConfigFault {
        path: path_at(json, offset(json, error.line(), error.column())),
        message: format!("{error}"),
    })
}

/// How many bytes come before a place. Lines are counted from 1, columns are the bytes of the line that
/// were read.
fn offset(json: &[u8], line: usize, column: usize) -> usize {
    let lines = json.split_inclusive(|byte| *byte == b'\n').take(line.saturating_sub(1));
    lines.fold(column, |offset, line| offset.saturating_add(line.len()))
}

/// A container that is open.
enum Open<'j> {
    /// An object with the key that was read last, and whether a string is the next one.
    Object(Option<&'j [u8]>, bool),
    /// An array, and how many elements came before.
    Array(usize),
}

/// The path of what the first `end` bytes of a document end in, or with.
fn path_at(json: &[u8], end: usize) -> String {
    let mut rest = json.get(..end).unwrap_or(json);
    let mut open: Vec<Open<'_>> = Vec::new();
    while let Some((byte, behind)) = rest.split_first() {
        rest = behind;
        match byte {
            b'{' => open.push(Open::Object(None, true)),
            b'[' => open.push(Open::Array(0)),
            b'}' | b']' => {
                open.pop();
            }
            b'"' => {
                let Some(len) = string_len(rest) else { break };
                let (string, behind) = rest.split_at_checked(len).unwrap_or((rest, b""));
                rest = behind.get(1..).unwrap_or_default();
                if let Some(Open::Object(key, is_next @ true)) = open.last_mut() {
                    (*key, *is_next) = (Some(string), false);
                }
            }
            b',' => match open.last_mut() {
                Some(Open::Object(key, is_next)) => (*key, *is_next) = (None, true),
                Some(Open::Array(place)) => *place = place.saturating_add(1),
                None => {}
            },
            _ => {}
        }
    }
    path(&open)
}

/// How long a string is, from behind its opening quote to before its closing one.
fn string_len(bytes: &[u8]) -> Option<usize> {
    let mut is_escaped = false;
    bytes.iter().position(|byte| {
        let ends = *byte == b'"' && !is_escaped;
        is_escaped = *byte == b'\\' && !is_escaped;
        ends
    })
}

fn path(open: &[Open<'_>]) -> String {
    let mut path = String::new();
    for container in open {
        // Writing into a String cannot fail.
        let _ = match container {
            Open::Object(None, _) => Ok(()),
            Open::Object(Some(key), _) => {
                let dot = if path.is_empty() { "" } else { "." };
                write!(path, "{dot}{}", String::from_utf8_lossy(key))
            }
            Open::Array(place) => write!(path, "[{place}]"),
        };
    }
    if path.is_empty() { String::from(".") } else { path }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_path_is_that_of_what_was_being_read() {
        for (json, path) in [
            ("", "."),
            ("{", "."),
            (r#"{"a""#, "a"),
            (r#"{"a": "#, "a"),
            (r#"{"a": 1"#, "a"),
            (r#"{"a": 1,"#, "."),
            (r#"{"a": {"b\"}": [0, 1"#, r#"a.b\"}[1]"#),
            (r#"{"a": {"b": "c", "#, "a"),
            (r#"{"a": {"b": "c,{["#, "a.b"),
            (r#"{"a": [{}, {"x": 1}"#, "a[1]"),
            (r#"{"a": [{}, {"x": 1}]"#, "a"),
            (r#"{"a": []}"#, "."),
            ("}]],,", "."),
        ] {
            assert_eq!(path_at(json.as_bytes(), json.len()), path, "{json}");
        }
    }

    #[test]
    fn lines_are_counted() {
        let json = b"{\n \"a\": 1,\n \"b\": x}";
        let error = serde_json::from_slice::<serde_json::Value>(json).unwrap_err();
        assert_eq!(path_at(json, offset(json, error.line(), error.column())), "b");
    }

    proptest! {
        #[test]
        fn any_bytes_have_a_path(
            json in proptest::collection::vec(any::<u8>(), 0..80),
            line: usize,
            column: usize,
        ) {
            prop_assert!(!path_at(&json, offset(&json, line, column)).is_empty());
        }
    }
}
