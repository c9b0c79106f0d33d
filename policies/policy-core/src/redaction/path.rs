//! Which values of a JSON document: a JSON pointer (RFC 6901) with wildcards.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// More segments than this lead nowhere that a redactor would go.
const SEGMENTS_MAX: usize = 32;
/// A longer path is refused.
const LEN_MAX: usize = 1024;

/// Where some values of a document are. No segment is the document itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldPath {
    steps: Box<[FieldStep]>,
}

/// One segment of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldStep {
    /// The member of this name, or the item of this number.
    Named(Box<str>),
    /// Any one member or item.
    Any,
    /// Any number of members or items, one in the other, none included.
    Deep,
}

/// Why a text is no path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldPathError {
    /// It does not begin with a slash.
    NoSlash,
    /// A `~` that is neither `~0` nor `~1`.
    Tilde(String),
    /// A segment that is only partly a wildcard.
    Partly(String),
    /// `**` at the end.
    DeepLast,
    /// `**` after `**`.
    DeepTwice,
    /// Too many segments or bytes.
    TooLong,
}

impl fmt::Display for FieldPathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSlash => f.write_str("a path begins with `/`; only that of the whole is empty"),
            Self::Tilde(segment) => {
                write!(f, "segment `{segment}` has a `~` that is neither `~0`, a `~`, nor `~1`, a `/`")
            }
            Self::Partly(segment) => {
                write!(f, "segment `{segment}` is only partly a wildcard: `*` and `**` stand alone")
            }
            Self::DeepLast => f.write_str(
                "`**` stands at the end; what is redacted is so with everything in it, so leave it out",
            ),
            Self::DeepTwice => f.write_str("`**` stands twice in a row"),
            Self::TooLong => {
                write!(f, "a path has at most {SEGMENTS_MAX} segments and {LEN_MAX} bytes")
            }
        }
    }
}

impl core::error::Error for FieldPathError {}

impl FieldPath {
    /// Reads a path.
    ///
    /// # Errors
    /// Why the text is none.
    pub fn parse(text: &str) -> Result<Self, FieldPathError> {
        if text.len() > LEN_MAX {
            return Err(FieldPathError::TooLong);
        }
        if text.is_empty() {
            return Ok(Self { steps: Box::default() });
        }
        let segments = text.strip_prefix('/').ok_or(FieldPathError::NoSlash)?.split('/');
        let steps: Vec<FieldStep> = segments.map(FieldStep::parse).collect::<Result<_, _>>()?;
        if steps.len() > SEGMENTS_MAX {
            return Err(FieldPathError::TooLong);
        }
        if steps.last() == Some(&FieldStep::Deep) {
            return Err(FieldPathError::DeepLast);
        }
        if steps.windows(2).any(|pair| pair == [FieldStep::Deep, FieldStep::Deep]) {
            return Err(FieldPathError::DeepTwice);
        }
        Ok(Self { steps: steps.into() })
    }

    /// The segments.
    pub fn steps(&self) -> &[FieldStep] {
        &self.steps
    }
}

impl FieldStep {
    fn parse(segment: &str) -> Result<Self, FieldPathError> {
        match segment {
            "*" => return Ok(Self::Any),
            "**" => return Ok(Self::Deep),
            _ if segment.contains('*') => {
                return Err(FieldPathError::Partly(segment.to_owned()));
            }
            _ => {}
        }
        let mut parts = segment.split('~');
        let mut name = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (letter, rest) = match (part.strip_prefix('0'), part.strip_prefix('1')) {
                (Some(rest), _) => ('~', rest),
                (_, Some(rest)) => ('/', rest),
                _ => return Err(FieldPathError::Tilde(segment.to_owned())),
            };
            name.push(letter);
            name.push_str(rest);
        }
        Ok(Self::Named(name.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::vec;

    #[test]
    fn a_path_is_a_pointer_with_wildcards() {
        let named = |name: &str| FieldStep::Named(name.into());
        for (text, steps) in [
            ("", vec![]),
            ("/", vec![named("")]),
            ("/a/0", vec![named("a"), named("0")]),
            ("/a~1b/c~0d/~01", vec![named("a/b"), named("c~d"), named("~1")]),
            ("/customer/*/email", vec![named("customer"), FieldStep::Any, named("email")]),
            ("/**/phone", vec![FieldStep::Deep, named("phone")]),
            ("/**/*", vec![FieldStep::Deep, FieldStep::Any]),
            ("/名/é", vec![named("名"), named("é")]),
        ] {
            assert_eq!(FieldPath::parse(text).unwrap().steps(), steps, "{text}");
        }
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for (text, error) in [
            ("a", FieldPathError::NoSlash),
            ("*", FieldPathError::NoSlash),
            ("/a~2", FieldPathError::Tilde("a~2".into())),
            ("/a~", FieldPathError::Tilde("a~".into())),
            ("/a*", FieldPathError::Partly("a*".into())),
            ("/***", FieldPathError::Partly("***".into())),
            ("/a/**", FieldPathError::DeepLast),
            ("/**", FieldPathError::DeepLast),
            ("/**/**/a", FieldPathError::DeepTwice),
        ] {
            assert_eq!(FieldPath::parse(text), Err(error), "{text}");
        }
        assert!(FieldPath::parse(&"/a".repeat(32)).is_ok());
        assert_eq!(FieldPath::parse(&"/a".repeat(33)), Err(FieldPathError::TooLong));
        assert_eq!(
            FieldPath::parse(&format!("/{}", "a".repeat(1024))),
            Err(FieldPathError::TooLong)
        );
    }
}
