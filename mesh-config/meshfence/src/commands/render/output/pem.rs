//! Keys and certificates within a text.

use std::fmt::Write as _;

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";

/// A text with one line for each run of blocks of PEM of the same kind, in their place. How many
/// they are is not told: while authorities are renewed there is one more.
pub(super) fn without(text: &str) -> String {
    let mut rest = String::with_capacity(text.len());
    let mut lines = text.split_inclusive('\n');
    let mut before = None;
    while let Some(line) = lines.next() {
        let Some((indent, kind)) = begin(line) else {
            before = None;
            rest.push_str(line);
            continue;
        };
        // A block without an end takes the rest with it, so that no half of a key is shown.
        let _ = lines.find(|line| line.trim_start().starts_with(END));
        if before != Some(line) {
            // Writing into a String cannot fail.
            let _ = writeln!(rest, "{indent}({kind})");
        }
        before = Some(line);
    }
    rest
}

/// How far a block is indented, and what it is of.
fn begin(line: &str) -> Option<(&str, &str)> {
    let (indent, kind) = line.split_once(BEGIN)?;
    let is_indent = indent.chars().all(char::is_whitespace);
    is_indent.then(|| (indent, kind.trim_end().trim_end_matches('-')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_run_of_blocks_is_one_line() {
        let block =
            |kind: &str| format!("  -----BEGIN {kind}-----\n  abc\n  -----END {kind}-----\n");
        let one = block("CERTIFICATE");
        for (text, rest) in [
            ("a: b\n".to_owned(), "a: b\n"),
            (format!("a:\n{one}b:\n"), "a:\n  (CERTIFICATE)\nb:\n"),
            (format!("a:\n{one}{one}"), "a:\n  (CERTIFICATE)\n"),
            (format!("{one}b:\n{one}"), "  (CERTIFICATE)\nb:\n  (CERTIFICATE)\n"),
            (one.clone() + &block("PRIVATE KEY"), "  (CERTIFICATE)\n  (PRIVATE KEY)\n"),
            (format!("{one}c: d"), "  (CERTIFICATE)\nc: d"),
            ("  -----BEGIN PRIVATE KEY-----\n  abc\nd: e\n".to_owned(), "  (PRIVATE KEY)\n"),
        ] {
            assert_eq!(without(&text), rest, "{text}");
        }
    }
}
