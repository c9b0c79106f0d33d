//! How what is there differs from what would be rendered.

use crate::terminal::{BAD, BOLD, GOOD};
use similar::{ChangeTag, TextDiff};
use std::fmt::{self, Write as _};
use std::path::Path;

/// How many lines around a change are shown.
const CONTEXT: usize = 3;

/// What the first line of every private key in PEM says, and the last one.
const PRIVATE_KEY: &[u8] = b"PRIVATE KEY";

/// What is wrong with one file.
#[derive(Debug)]
pub(super) struct Difference {
    path: String,
    kind: Kind,
    hunks: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Differs,
    Missing,
    Stranger,
}

impl Difference {
    /// What there is to say of a file that is there, is rendered, or both.
    pub(super) fn between(
        path: &Path,
        found: Option<&[u8]>,
        rendered: Option<&[u8]>,
    ) -> Option<Self> {
        let kind = match (found, rendered) {
            (Some(found), Some(rendered)) if found == rendered => return None,
            (Some(_), Some(_)) => Kind::Differs,
            (None, _) => Kind::Missing,
            (Some(_), None) => Kind::Stranger,
        };
        let hunks = match (kind, found, rendered) {
            (Kind::Differs, Some(found), Some(rendered)) => hunks(found, rendered),
            _ => String::new(),
        };
        Some(Self { path: path.display().to_string(), kind, hunks })
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = &self.path;
        match self.kind {
            Kind::Missing => write!(f, "{BOLD}{path}{BOLD:#}: missing"),
            Kind::Stranger => write!(f, "{BOLD}{path}{BOLD:#}: should not be there"),
            Kind::Differs => {
                writeln!(f, "{BOLD}--- {path}, as it is{BOLD:#}")?;
                writeln!(f, "{BOLD}+++ {path}, as the policy set renders it{BOLD:#}")?;
                f.write_str(self.hunks.trim_end_matches('\n'))
            }
        }
    }
}

/// The changes with the lines around them; one line where there are no lines, or none to show.
fn hunks(found: &[u8], rendered: &[u8]) -> String {
    if holds_private_key(found) || holds_private_key(rendered) {
        return "what differs is not shown, as there is a private key".to_owned();
    }
    let (Ok(found), Ok(rendered)) = (str::from_utf8(found), str::from_utf8(rendered)) else {
        return format!("{} bytes are there, {} rendered", found.len(), rendered.len());
    };
    let diff = TextDiff::from_lines(found, rendered);
    let mut text = String::new();
    for hunk in diff.unified_diff().context_radius(CONTEXT).iter_hunks() {
        // Writing to a String does not fail.
        let _ = writeln!(text, "{}", hunk.header());
        for change in hunk.iter_changes() {
            // What is there may hold anything, but it does not get to move the cursor.
            let line: String = change
                .value()
                .trim_end_matches('\n')
                .chars()
                .map(|c| if c.is_control() && c != '\t' { char::REPLACEMENT_CHARACTER } else { c })
                .collect();
            let _ = match change.tag() {
                ChangeTag::Equal => writeln!(text, " {line}"),
                ChangeTag::Delete => writeln!(text, "{BAD}-{line}{BAD:#}"),
                ChangeTag::Insert => writeln!(text, "{GOOD}+{line}{GOOD:#}"),
            };
            if change.missing_newline() {
                text += "\\ no line break at the end\n";
            }
        }
    }
    text
}

/// Whether there is a private key of whatever kind, as PEM: what is shown here ends up in the logs of
/// a build.
fn holds_private_key(bytes: &[u8]) -> bool {
    bytes.windows(PRIVATE_KEY.len()).any(|part| part == PRIVATE_KEY)
}

/// How many files are how, in one line.
pub(super) fn summary(directory: &Path, differences: &[Difference]) -> String {
    let parts: Vec<String> = [
        (Kind::Differs, "differs", "differ"),
        (Kind::Missing, "is missing", "are missing"),
        (Kind::Stranger, "should not be there", "should not be there"),
    ]
    .into_iter()
    .filter_map(|(kind, one, more)| {
        match differences.iter().filter(|difference| difference.kind == kind).count() {
            0 => None,
            1 => Some(format!("1 file {one}")),
            count => Some(format!("{count} files {more}")),
        }
    })
    .collect();
    format!("`{}` is not what the policy set renders: {}", directory.display(), parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_reads_like_a_diff() {
        let lines: Vec<String> = (1..20).map(|line| format!("line: {line}\n")).collect();
        let found = lines.concat();
        let rendered = found.replace("line: 10\n", "line: ten\n");
        let difference = Difference::between(
            Path::new("out/taiwan.yaml"),
            Some(found.as_bytes()),
            Some(rendered.as_bytes()),
        );
        let text = anstream::adapter::strip_str(&difference.unwrap().to_string()).to_string();
        assert_eq!(
            text,
            "--- out/taiwan.yaml, as it is\n\
             +++ out/taiwan.yaml, as the policy set renders it\n\
             @@ -7,7 +7,7 @@\n line: 7\n line: 8\n line: 9\n-line: 10\n+line: ten\n line: 11\n line: 12\n line: 13"
        );
    }

    #[test]
    fn what_has_no_lines_is_counted_and_what_moves_the_cursor_does_not() {
        for (found, rendered, shown) in [
            (&b"\xff\x00"[..], &b"\0asm"[..], "2 bytes are there, 4 rendered"),
            (b"a\x1b[2J\n", b"a\n", "@@ -1 +1 @@\n-a\u{fffd}[2J\n+a\n"),
            (b"a", b"a\n", "@@ -1 +1 @@\n-a\n\\ no line break at the end\n+a\n"),
        ] {
            let text = hunks(found, rendered);
            assert_eq!(anstream::adapter::strip_str(&text).to_string(), shown);
        }
    }

    #[test]
    fn no_private_key_is_shown_whichever_side_has_it() {
        let public = "resources: [a]\n";
        for kind in ["", "EC ", "ENCRYPTED "] {
            let secret = format!(
                "  -----BEGIN {kind}PRIVATE KEY-----\n  SECRET\n  -----END {kind}PRIVATE KEY-----\n"
            );
            for (found, rendered) in [(&*secret, public), (public, &*secret)] {
                let path = Path::new("tls/identity.yaml");
                let difference =
                    Difference::between(path, Some(found.as_bytes()), Some(rendered.as_bytes()));
                let text = difference.unwrap().to_string();
                assert!(!text.contains("SECRET") && text.contains("is not shown"), "{text}");
            }
        }
    }
}
