//! A log, line by line: records as they are, or lines of Envoy's access log that have one.

use crate::exit::{Exit, Failure};
use serde_json::Value;
use std::fs::File;
use std::io::{BufRead, BufReader, Read as _};
use std::path::Path;

/// A longer line is none of Envoy's.
const LINE_BYTES_MAX: u64 = 1 << 20;

/// Standard input, as an argument.
const STDIN: &str = "-";

/// The lines of one log.
pub(crate) struct Log<R> {
    /// What it is called.
    pub(crate) name: String,
    reader: R,
    number: usize,
}

/// One line of a log.
#[derive(Debug)]
pub(crate) struct Line {
    /// From 1.
    pub(crate) number: usize,
    pub(crate) entry: Entry,
}

/// What a line has.
#[derive(Debug)]
pub(crate) enum Entry {
    /// A decision record.
    Record(Record),
    /// A request that no guard saw, or whose decision was not recorded.
    NoRecord,
    /// Nothing that a log would have, and why.
    Unreadable(&'static str),
}

/// A decision record.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    /// Byte for byte as it was written.
    pub(crate) text: String,
    pub(crate) value: Value,
}

impl Record {
    /// The text of a field.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.value.get(key).and_then(Value::as_str)
    }

    /// The number in a field.
    pub(crate) fn number(&self, key: &str) -> Option<u64> {
        self.value.get(key).and_then(Value::as_u64)
    }

    /// The texts in a field.
    pub(crate) fn texts(&self, key: &str) -> impl Iterator<Item = &str> {
        let items = self.value.get(key).and_then(Value::as_array);
        items.into_iter().flatten().filter_map(Value::as_str)
    }
}

/// Opens a log; `-` is standard input.
///
/// # Errors
/// That it cannot be read.
pub(crate) fn open(path: &Path) -> Result<Log<Box<dyn BufRead>>, Failure> {
    let name = path.display().to_string();
    let reader: Box<dyn BufRead> = if path == Path::new(STDIN) {
        Box::new(BufReader::new(std::io::stdin()))
    } else {
        let file = File::open(path).map_err(|error| unreadable(&name, &error))?;
        Box::new(BufReader::new(file))
    };
    Ok(Log::new(name, reader))
}

fn unreadable(name: &str, error: &std::io::Error) -> Failure {
    Failure::new(Exit::Usage, format!("cannot read `{name}`: {error}"))
}

impl<R: BufRead> Log<R> {
    pub(crate) fn new(name: String, reader: R) -> Self {
        Self { name, reader, number: 0 }
    }

    /// The next line that is not empty.
    ///
    /// # Errors
    /// That it cannot be read.
    pub(crate) fn next(&mut self) -> Result<Option<Line>, Failure> {
        loop {
            let mut bytes = Vec::new();
            let mut limited = self.reader.by_ref().take(LINE_BYTES_MAX);
            let read = limited.read_until(b'\n', &mut bytes);
            if read.map_err(|error| unreadable(&self.name, &error))? == 0 {
                return Ok(None);
            }
            self.number += 1;
            let number = self.number;
            let is_long = bytes.len() as u64 >= LINE_BYTES_MAX && !bytes.ends_with(b"\n");
            if is_long {
                self.skip_line().map_err(|error| unreadable(&self.name, &error))?;
                let entry = Entry::Unreadable("it is longer than any line of a log");
                return Ok(Some(Line { number, entry }));
            }
            let line = bytes.trim_ascii();
            if !line.is_empty() {
                return Ok(Some(Line { number, entry: entry(line) }));
            }
        }
    }

    /// Reads on to the end of the line.
    fn skip_line(&mut self) -> std::io::Result<()> {
        loop {
            let buffer = self.reader.fill_buf()?;
            if buffer.is_empty() {
                return Ok(());
            }
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let read = end.map_or(buffer.len(), |end| end + 1);
            self.reader.consume(read);
            if end.is_some() {
                return Ok(());
            }
        }
    }
}

/// What a line has.
pub(crate) fn entry(line: &[u8]) -> Entry {
    let Ok(text) = str::from_utf8(line) else { return Entry::Unreadable("it is not UTF-8") };
    let Ok(value) = serde_json::from_str::<Value>(text) else {
        return Entry::Unreadable("it is no JSON");
    };
    match value.get("decision") {
        // Envoy's access log has the record as a string, JSON inside JSON.
        Some(Value::String(inner)) => match serde_json::from_str::<Value>(inner) {
            Ok(value) if value.is_object() => Entry::Record(Record { text: inner.clone(), value }),
            // That is how Envoy writes that there is none.
            _ if inner == "-" || inner.is_empty() => Entry::NoRecord,
            _ => Entry::Unreadable("its `decision` is no record"),
        },
        Some(Value::Null) => Entry::NoRecord,
        Some(inner @ Value::Object(_)) => {
            Entry::Record(Record { text: inner.to_string(), value: inner.clone() })
        }
        Some(_) => Entry::Unreadable("its `decision` is no record"),
        None if value.get("verdict").is_some() => {
            Entry::Record(Record { text: text.to_owned(), value })
        }
        None if value.is_object() => Entry::NoRecord,
        None => Entry::Unreadable("it is no JSON object"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(text: &str) -> Vec<(usize, String)> {
        let mut log = Log::new("a.log".into(), text.as_bytes());
        let mut found = Vec::new();
        while let Some(line) = log.next().unwrap() {
            found.push((
                line.number,
                match line.entry {
                    Entry::Record(record) => record.text,
                    Entry::NoRecord => "none".into(),
                    Entry::Unreadable(why) => why.into(),
                },
            ));
        }
        found
    }

    #[test]
    fn a_record_is_found_wherever_a_log_has_it() {
        for (line, found) in [
            (r#"{"verdict":"allow"}"#, r#"{"verdict":"allow"}"#),
            (r#"{"a":1,"decision":"{\"verdict\":\"allow\"}"}"#, r#"{"verdict":"allow"}"#),
            (r#"{"decision":{"verdict":"allow"}}"#, r#"{"verdict":"allow"}"#),
            (r#"{"decision":null}"#, "none"),
            (r#"{"decision":"-"}"#, "none"),
            (r#"{"response_code":200}"#, "none"),
            (r#"{"decision":"{\"verdict\""}"#, "its `decision` is no record"),
            (r#"{"decision":7}"#, "its `decision` is no record"),
            ("[]", "it is no JSON object"),
            ("[2026-11-28] GET /", "it is no JSON"),
        ] {
            assert_eq!(entries(line), [(1, found.to_owned())], "{line}");
        }
        assert_eq!(entry(b"\xff").text(), "it is not UTF-8");
    }

    impl Entry {
        fn text(&self) -> &str {
            match self {
                Self::Record(record) => &record.text,
                Self::NoRecord => "none",
                Self::Unreadable(why) => why,
            }
        }
    }

    #[test]
    fn a_line_without_end_is_passed_over() {
        let long = "x".repeat(usize::try_from(LINE_BYTES_MAX).unwrap() + 10);
        let text = format!("{long}\n\n{{\"verdict\":\"allow\"}}");
        let found = entries(&text);
        assert_eq!(
            found,
            [
                (1, "it is longer than any line of a log".to_owned()),
                (3, r#"{"verdict":"allow"}"#.to_owned())
            ]
        );
        assert_eq!(entries(&long).len(), 1);
        assert_eq!(entries(""), []);
    }
}
