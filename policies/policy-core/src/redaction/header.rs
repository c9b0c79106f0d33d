//! Which headers and trailers of a response are removed.

use crate::name::HEADER_PREFIX;
use alloc::boxed::Box;
use core::fmt;

/// A longer name is refused.
const LEN_MAX: usize = 128;

/// Headers that say how a response is read, or that the guard itself has a word in.
const KEPT: [&str; 5] =
    ["cache-control", "connection", "content-type", "transfer-encoding", "upgrade"];

/// A name of headers, or what their names begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderPattern {
    name: Box<str>,
    is_prefix: bool,
}

/// Why a text stands for no headers that could be removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderPatternError {
    /// It is no name in lower case, with or without a `*` at the end.
    Form,
    /// It takes a header that has to stay, this one.
    Kept(&'static str),
}

impl fmt::Display for HeaderPatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Form => {
                write!(
                    f,
                    "a header is named in lower case, {LEN_MAX} bytes at most; only a `*` at the end stands for more"
                )
            }
            Self::Kept(name) => write!(f, "`{name}` has to stay"),
        }
    }
}

impl core::error::Error for HeaderPatternError {}

impl HeaderPattern {
    /// Reads a name of headers.
    ///
    /// # Errors
    /// Why the text is none, or of headers that have to stay.
    pub fn parse(text: &str) -> Result<Self, HeaderPatternError> {
        let prefix = text.strip_suffix('*');
        let name = prefix.unwrap_or(text);
        if name.starts_with(':') {
            return Err(HeaderPatternError::Kept(":status"));
        }
        let is_name = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"!#$%&'+-.^_`|~".contains(&byte)
        };
        if text.is_empty() || text.len() > LEN_MAX || !name.bytes().all(is_name) {
            return Err(HeaderPatternError::Form);
        }
        let pattern = Self { name: name.into(), is_prefix: prefix.is_some() };
        if let Some(kept) = KEPT.into_iter().find(|kept| pattern.takes(kept.as_bytes())) {
            return Err(HeaderPatternError::Kept(kept));
        }
        // All headers of the mesh, and those that a shorter prefix would take with them.
        let is_ours = folded(name).take(HEADER_PREFIX.len()).eq(HEADER_PREFIX.bytes());
        if is_ours || pattern.takes(HEADER_PREFIX.as_bytes()) {
            return Err(HeaderPatternError::Kept(HEADER_PREFIX));
        }
        Ok(pattern)
    }

    /// Whether a header is one of these. Some servers read `_` as `-`, so neither helps it to hide.
    pub fn takes(&self, name: &[u8]) -> bool {
        let name = if self.is_prefix { name.get(..self.name.len()) } else { Some(name) };
        name.is_some_and(|name| name.iter().copied().map(fold).eq(folded(&self.name)))
    }
}

fn folded(name: &str) -> impl Iterator<Item = u8> {
    name.bytes().map(fold)
}

fn fold(byte: u8) -> u8 {
    if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_takes_a_name_or_a_beginning() {
        for (pattern, name, takes) in [
            ("set-cookie", "set-cookie", true),
            ("set-cookie", "Set_Cookie", true),
            ("set-cookie", "set-cookie2", false),
            ("x-user-*", "x-user-", true),
            ("x-user-*", "x_user_id", true),
            ("x-user-*", "x-use", false),
            ("x_user_id", "x-user-id", true),
        ] {
            let pattern = HeaderPattern::parse(pattern).unwrap();
            assert_eq!(pattern.takes(name.as_bytes()), takes, "{pattern:?} {name}");
        }
    }

    #[test]
    fn what_has_to_stay_is_no_pattern() {
        for (text, error) in [
            ("", HeaderPatternError::Form),
            ("Set-Cookie", HeaderPatternError::Form),
            ("x user", HeaderPatternError::Form),
            ("x-*-id", HeaderPatternError::Form),
            (":status", HeaderPatternError::Kept(":status")),
            (":*", HeaderPatternError::Kept(":status")),
            ("*", HeaderPatternError::Kept("cache-control")),
            ("content-*", HeaderPatternError::Kept("content-type")),
            ("content_type", HeaderPatternError::Kept("content-type")),
            ("x-*", HeaderPatternError::Kept("x-meshfence-")),
            ("x-meshfence-*", HeaderPatternError::Kept("x-meshfence-")),
            ("x_meshfence_decision", HeaderPatternError::Kept("x-meshfence-")),
        ] {
            assert_eq!(HeaderPattern::parse(text), Err(error), "{text}");
        }
    }
}
