//! Path templates: literal segments, `{variables}`, and `**` at the end.

use crate::path::CanonicalPath;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// More segments than this cannot be matched.
const SEGMENTS_MAX: usize = 32;

/// A path template. `/a` matches `/a/` too; `/a/**` matches both and everything below.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    segments: Box<[Segment]>,
}

/// One segment of a template. The order is the order of precedence.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Segment {
    /// Exactly these bytes.
    Literal(Box<[u8]>),
    /// Any one segment.
    Variable(Box<str>),
    /// Any number of segments, none included; only at the end.
    Rest,
}

/// Why a text is no template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TemplateError {
    /// The text has no canonical form.
    Path(&'static str),
    /// The canonical form of a segment is another one, this.
    NotCanonical(String),
    /// Nothing between two slashes, or behind the last one.
    EmptySegment,
    /// `**` before the end.
    RestNotLast,
    /// `*`, or a segment that is only partly a variable.
    Wildcard(String),
    /// Something else than `[a-z][A-Za-z0-9_]*` in braces.
    VariableName(String),
    /// A variable twice.
    DuplicateVariable(String),
    /// Too many segments.
    TooLong,
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(why) => f.write_str(why),
            Self::NotCanonical(form) => write!(f, "a segment is not canonical, which is `{form}`"),
            Self::EmptySegment => f.write_str(
                "path has an empty segment; a slash at the end makes no difference, so leave it out",
            ),
            Self::RestNotLast => f.write_str("`**` stands before the end of the path"),
            Self::Wildcard(segment) => {
                write!(f, "segment `{segment}` is neither a literal, a `{{variable}}` nor `**`")
            }
            Self::VariableName(name) => write!(f, "`{name}` cannot name a path variable"),
            Self::DuplicateVariable(name) => write!(f, "path variable `{name}` stands twice"),
            Self::TooLong => write!(f, "path has more than {SEGMENTS_MAX} segments"),
        }
    }
}

impl core::error::Error for TemplateError {}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let path = text
            .strip_prefix('/')
            .ok_or(TemplateError::Path("path does not begin with a slash"))?;
        let mut segments: Vec<Segment> = Vec::new();
        if path.is_empty() {
            return Ok(Self { segments: segments.into() });
        }
        for text in path.split('/') {
            if segments.len() == SEGMENTS_MAX {
                return Err(TemplateError::TooLong);
            }
            if segments.last() == Some(&Segment::Rest) {
                return Err(TemplateError::RestNotLast);
            }
            let segment = Segment::parse(text)?;
            if let Segment::Variable(name) = &segment
                && segments.contains(&segment)
            {
                return Err(TemplateError::DuplicateVariable(String::from(&**name)));
            }
            segments.push(segment);
        }
        Ok(Self { segments: segments.into() })
    }

    /// The segments.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// At which segment of a path the variable stands.
    pub fn variable(&self, name: &str) -> Option<usize> {
        self.segments
            .iter()
            .position(|segment| matches!(segment, Segment::Variable(known) if **known == *name))
    }

    /// Whether it matches a path. For people: a decision asks an automaton of all templates at once.
    pub fn matches(&self, path: &CanonicalPath<'_>) -> bool {
        let mut segments = path.segments();
        for own in &self.segments {
            match (own, segments.next()) {
                (Segment::Rest, _) => return true,
                (Segment::Literal(literal), Some(segment)) if **literal == *segment => {}
                (Segment::Variable(_), Some(_)) => {}
                _ => return false,
            }
        }
        segments.next().is_none()
    }

    /// Whether some path is matched by both.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        let mut left = self.segments.iter();
        let mut right = other.segments.iter();
        loop {
            match (left.next(), right.next()) {
                (Some(Segment::Rest), _) | (_, Some(Segment::Rest)) | (None, None) => return true,
                (Some(Segment::Literal(left)), Some(Segment::Literal(right))) if left != right => {
                    return false;
                }
                (Some(_), Some(_)) => {}
                (Some(_), None) | (None, Some(_)) => return false,
            }
        }
    }

    /// Whether every path this one matches is matched by the other.
    pub(crate) fn is_within(&self, other: &Self) -> bool {
        let mut own = self.segments.iter();
        let mut others = other.segments.iter();
        loop {
            match (own.next(), others.next()) {
                (_, Some(Segment::Rest)) | (None, None) => return true,
                (Some(Segment::Literal(own)), Some(Segment::Literal(other))) if own == other => {}
                (Some(Segment::Literal(_) | Segment::Variable(_)), Some(Segment::Variable(_))) => {}
                _ => return false,
            }
        }
    }

    /// Sorts a more specific template before any other that overlaps it.
    pub(crate) fn precedence(&self) -> impl Ord + use<> {
        let ranks: Vec<u8> = self
            .segments
            .iter()
            .map(|segment| match segment {
                Segment::Literal(_) => 0,
                Segment::Variable(_) => 1,
                Segment::Rest => 2,
            })
            .collect();
        ranks
    }
}

impl Segment {
    fn parse(text: &str) -> Result<Self, TemplateError> {
        if text.is_empty() {
            return Err(TemplateError::EmptySegment);
        }
        if text == "**" {
            return Ok(Self::Rest);
        }
        if let Some(name) = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            let valid = name.starts_with(|letter: char| letter.is_ascii_lowercase())
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            return if valid {
                Ok(Self::Variable(name.into()))
            } else {
                Err(TemplateError::VariableName(String::from(text)))
            };
        }
        if text.contains(['*', '{', '}']) {
            return Err(TemplateError::Wildcard(String::from(text)));
        }
        if text.contains('?') {
            return Err(TemplateError::Path("path has a query"));
        }
        let target = format!("/{text}");
        let canonical = CanonicalPath::parse(target.as_bytes())
            .map_err(|malformed| TemplateError::Path(malformed.0))?;
        match canonical.rewritten() {
            None => Ok(Self::Literal(text.as_bytes().into())),
            Some(form) => {
                let form = form.strip_prefix(b"/").unwrap_or(&form);
                Err(TemplateError::NotCanonical(String::from_utf8_lossy(form).into_owned()))
            }
        }
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.segments.is_empty() {
            return f.write_str("/");
        }
        for segment in &self.segments {
            match segment {
                Segment::Literal(bytes) => write!(f, "/{}", bytes.escape_ascii())?,
                Segment::Variable(name) => write!(f, "/{{{name}}}")?,
                Segment::Rest => f.write_str("/**")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    const EMPTY: &str =
        "path has an empty segment; a slash at the end makes no difference, so leave it out";

    #[test]
    fn a_template_matches_what_it_describes() {
        for (template, path, matches) in [
            ("/a/**", "/a", true),
            ("/a/**", "/a/b/c", true),
            ("/a/**", "/b", false),
            ("/a/{b}", "/a/x", true),
            ("/a/{b}", "/a", false),
            ("/a/{b}", "/a/x/y", false),
            ("/a", "/a/", true),
            ("/", "/", true),
            ("/", "/a", false),
        ] {
            let parsed = Template::parse(template).unwrap();
            let path = CanonicalPath::parse(path.as_bytes()).unwrap();
            assert_eq!(parsed.matches(&path), matches, "{template} {path:?}");
        }
    }

    #[test]
    fn templates_are_literals_variables_and_a_rest() {
        for (text, error) in [
            ("/", None),
            ("/a/{b}/c/**", None),
            ("/**", None),
            ("a", Some("path does not begin with a slash")),
            ("/a//b", Some(EMPTY)),
            ("/a/", Some(EMPTY)),
            ("/%61", Some("a segment is not canonical, which is `a`")),
            ("/a/../b", Some("path has a dot segment")),
            ("/a/**/b", Some("`**` stands before the end of the path")),
            ("/a*", Some("segment `a*` is neither a literal, a `{variable}` nor `**`")),
            ("/a{b}", Some("segment `a{b}` is neither a literal, a `{variable}` nor `**`")),
            ("/{}", Some("`{}` cannot name a path variable")),
            ("/{A}", Some("`{A}` cannot name a path variable")),
            ("/{a}/{a}", Some("path variable `a` stands twice")),
            ("/a?b", Some("path has a query")),
        ] {
            let parsed = Template::parse(text);
            match error {
                None => assert_eq!(parsed.unwrap().to_string(), text),
                Some(error) => assert_eq!(parsed.unwrap_err().to_string(), error, "{text}"),
            }
        }
    }
}
