//! The one form of a path that policies are matched against and upstreams get to see.
//!
//! Two targets that an upstream could read as the same path have the same form: whatever may stand
//! unescaped does, whatever must be escaped is.

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::fmt;

/// A longer path is refused.
const PATH_LEN_MAX: usize = 8192;

/// A request target in canonical form: no `.` or `..`, no empty segments in the middle, nothing
/// escaped that need not be, nothing that another parser could read as a separator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CanonicalPath<'r> {
    path: Cow<'r, [u8]>,
    query: &'r [u8],
}

/// Why a request target has no canonical form. The text names the part, never its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl<'r> CanonicalPath<'r> {
    /// Reads a request target in origin form. The query is kept as it is: nothing is decided by it.
    ///
    /// # Errors
    /// What could be read in two ways is refused, not repaired: encoded or backward slashes, dot
    /// segments, path parameters, control characters, bytes beyond ASCII, broken escapes.
    pub fn parse(target: &'r [u8]) -> Result<Self, Malformed> {
        if target.len() > PATH_LEN_MAX {
            return Err(Malformed("path is too long"));
        }
        let end = target.iter().position(|byte| *byte == b'?').unwrap_or(target.len());
        let (path, query) = target.split_at_checked(end).unwrap_or((target, b""));
        if path.first() != Some(&b'/') {
            return Err(Malformed("path does not begin with a slash"));
        }
        let path = if is_plain(path) {
            Cow::Borrowed(path)
        } else {
            let form = canonical(path)?;
            if form == path { Cow::Borrowed(path) } else { Cow::Owned(form) }
        };
        if path.split(|byte| *byte == b'/').any(|segment| matches!(segment, b"." | b"..")) {
            return Err(Malformed("path has a dot segment"));
        }
        Ok(Self { path, query })
    }

    /// The path without the query.
    pub fn path(&self) -> &[u8] {
        &self.path
    }

    /// The segments; `/` has none. A slash at the end makes no difference, as upstreams differ in
    /// what they make of one.
    pub fn segments(&self) -> impl Iterator<Item = &[u8]> {
        let path: &[u8] = &self.path;
        let path = path.strip_prefix(b"/").unwrap_or(path);
        let path = path.strip_suffix(b"/").unwrap_or(path);
        // Of nothing there are no segments, not one empty one.
        path.split(|byte| *byte == b'/').filter(|segment| !segment.is_empty())
    }

    /// The whole target, where it differs from what came in.
    pub fn rewritten(&self) -> Option<Vec<u8>> {
        match &self.path {
            Cow::Borrowed(_) => None,
            Cow::Owned(path) => {
                let mut target = path.clone();
                target.extend_from_slice(self.query);
                Some(target)
            }
        }
    }
}

/// Nothing to canonicalise: the common case, without a copy.
fn is_plain(path: &[u8]) -> bool {
    let mut last = 0;
    path.iter().all(|byte| {
        let doubled = *byte == b'/' && last == b'/';
        last = *byte;
        !doubled && *byte != b'%' && is_allowed(*byte)
    })
}

/// Bytes that may stand in a path as they are: `pchar` and the slash (RFC 3986 §3.3), but for the
/// semicolon, behind which some servers look for parameters.
fn is_allowed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,=:@".contains(&byte)
}

fn canonical(path: &[u8]) -> Result<Vec<u8>, Malformed> {
    let mut out = Vec::with_capacity(path.len());
    // What a run of escapes says; overlong forms of dots and slashes are no UTF-8.
    let mut escaped: Vec<u8> = Vec::new();
    let mut rest = path.iter().copied();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            end_of_escapes(&mut escaped)?;
        }
        match byte {
            b'%' => {
                let digits = (rest.next(), rest.next());
                let (Some(high), Some(low)) = (digits.0.and_then(hex), digits.1.and_then(hex))
                else {
                    return Err(Malformed("path has a broken escape"));
                };
                let decoded = high.wrapping_shl(4) | low;
                match decoded {
                    b'/' | b'\\' | b';' => {
                        return Err(Malformed("path has an escaped separator"));
                    }
                    0..=0x1f | 0x7f => {
                        return Err(Malformed("path has an escaped control character"));
                    }
                    _ if is_allowed(decoded) => out.push(decoded),
                    _ => out.extend_from_slice(&[b'%', digit(high), digit(low)]),
                }
                escaped.push(decoded);
            }
            b'/' if out.last() == Some(&b'/') => {}
            b'\\' => return Err(Malformed("path has a backslash")),
            b';' => return Err(Malformed("path has parameters")),
            _ if is_allowed(byte) => out.push(byte),
            _ => return Err(Malformed("path has a byte that must be escaped")),
        }
    }
    end_of_escapes(&mut escaped)?;
    Ok(out)
}

fn end_of_escapes(escaped: &mut Vec<u8>) -> Result<(), Malformed> {
    let is_text = core::str::from_utf8(escaped).is_ok();
    escaped.clear();
    if is_text { Ok(()) } else { Err(Malformed("path has escapes that are no UTF-8")) }
}

fn hex(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte.wrapping_sub(b'0')),
        b'a'..=b'f' => Some(byte.wrapping_sub(b'a').wrapping_add(10)),
        b'A'..=b'F' => Some(byte.wrapping_sub(b'A').wrapping_add(10)),
        _ => None,
    }
}

fn digit(nibble: u8) -> u8 {
    if nibble < 10 { b'0'.wrapping_add(nibble) } else { b'A'.wrapping_add(nibble).wrapping_sub(10) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_target_has_one_form_or_none() {
        for (target, expected) in [
            (&b"/"[..], Ok(&b"/"[..])),
            (b"/api/v1/orders", Ok(b"/api/v1/orders")),
            (b"/api/v1/orders/", Ok(b"/api/v1/orders/")),
            (b"//api///v1", Ok(b"/api/v1")),
            (b"/%6frders", Ok(b"/orders")),
            (b"/caf%c3%a9", Ok(b"/caf%C3%A9")),
            (b"/a%20b", Ok(b"/a%20b")),
            (b"/orders%3abatch%40%2B", Ok(b"/orders:batch@+")),
            (b"/%7ba%7D", Ok(b"/%7Ba%7D")),
            (b"/a%252fb", Ok(b"/a%252fb")),
            (b"/a...b/..c", Ok(b"/a...b/..c")),
            (b"/a?x=/../%2f;", Ok(b"/a")),
            (b"", Err("path does not begin with a slash")),
            (b"*", Err("path does not begin with a slash")),
            (b"http://h/", Err("path does not begin with a slash")),
            (b"/a%2fb", Err("path has an escaped separator")),
            (b"/a%5Cb", Err("path has an escaped separator")),
            (b"/a%3bx", Err("path has an escaped separator")),
            (b"/a\\b", Err("path has a backslash")),
            (b"/a;x=1", Err("path has parameters")),
            (b"/a/../b", Err("path has a dot segment")),
            (b"/a/%2e%2E/b", Err("path has a dot segment")),
            (b"/.", Err("path has a dot segment")),
            (b"/a%0", Err("path has a broken escape")),
            (b"/a%zz", Err("path has a broken escape")),
            (b"/a%00", Err("path has an escaped control character")),
            (b"/%c0%ae%c0%ae/a", Err("path has escapes that are no UTF-8")),
            (b"/caf%c3/%a9", Err("path has escapes that are no UTF-8")),
            (b"/a#b", Err("path has a byte that must be escaped")),
            (b"/{a}", Err("path has a byte that must be escaped")),
            (b"/a|b", Err("path has a byte that must be escaped")),
            (b"/a b", Err("path has a byte that must be escaped")),
            (b"/\xff", Err("path has a byte that must be escaped")),
        ] {
            let parsed = CanonicalPath::parse(target);
            assert_eq!(
                parsed.as_ref().map(CanonicalPath::path).map_err(|malformed| malformed.0),
                expected,
                "{}",
                target.escape_ascii()
            );
        }
        assert!(CanonicalPath::parse(&[b'/'; PATH_LEN_MAX + 1]).is_err());
    }

    #[test]
    fn only_a_changed_target_is_rewritten_and_keeps_its_query() {
        assert_eq!(CanonicalPath::parse(b"/a?b=1").unwrap().rewritten(), None);
        let path = CanonicalPath::parse(b"//a?b=%2f").unwrap();
        assert_eq!(path.rewritten().unwrap(), b"/a?b=%2f");
    }

    /// What an upstream that decodes once makes of a path.
    fn decoded(path: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut rest = path.iter().copied();
        while let Some(byte) = rest.next() {
            let escaped = (byte == b'%').then(|| (rest.next().unwrap(), rest.next().unwrap()));
            out.push(
                escaped.map_or(byte, |(high, low)| hex(high).unwrap() << 4 | hex(low).unwrap()),
            );
        }
        out
    }

    #[test]
    fn a_slash_at_the_end_is_no_segment() {
        for (path, count) in [("/", 0), ("/a", 1), ("/a/", 1), ("/a/b", 2), ("//", 0)] {
            let path = CanonicalPath::parse(path.as_bytes()).unwrap();
            assert_eq!(path.segments().count(), count, "{path:?}");
        }
    }

    proptest! {
        #[test]
        fn what_an_upstream_reads_as_one_path_has_one_form(
            text in "/[a-c:@+,=!{} /]{0,12}",
            choices in proptest::collection::vec(any::<(bool, bool)>(), 13),
        ) {
            let spell = |pick: &dyn Fn(&(bool, bool)) -> bool| {
                let mut target = Vec::new();
                for (byte, choice) in text.bytes().zip(&choices) {
                    let must = !is_allowed(byte);
                    if byte != b'/' && (must || pick(choice)) {
                        target.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte & 15)]);
                    } else {
                        target.push(byte);
                    }
                }
                target
            };
            let (left, right) = (spell(&|choice| choice.0), spell(&|choice| choice.1));
            let left = CanonicalPath::parse(&left).unwrap();
            let right = CanonicalPath::parse(&right).unwrap();
            prop_assert_eq!(left.path(), right.path());
            prop_assert_eq!(decoded(left.path()), decoded(right.path()));
        }

        #[test]
        fn canonicalising_twice_changes_nothing(target in "/[a-z%0-9A-F/.;\\\\?_~-]{0,40}") {
            if let Ok(once) = CanonicalPath::parse(target.as_bytes()) {
                let again = CanonicalPath::parse(once.path()).unwrap();
                prop_assert_eq!(again.path(), once.path());
                prop_assert!(again.rewritten().is_none());
            }
        }

        #[test]
        fn any_bytes_are_judged(target in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = CanonicalPath::parse(&target);
        }
    }
}
