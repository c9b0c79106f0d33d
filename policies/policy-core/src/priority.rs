//! What a client says of the priority of its own request.
//!
//! It may give way to others and never push before them, so all that is read of it is how low the
//! request may be taken.

use crate::vocabulary::Priority;

/// Nobody has more to say of one request, in bytes.
const FIELD_LEN_MAX: usize = 512;
/// The member of `priority` that says how urgent a response is (RFC 9218 §4.1).
const URGENCY: &[u8] = b"u";

impl Priority {
    /// The highest priority that a client asks for, by the lines of `priority` (RFC 9218) and the
    /// value of `sec-purpose` (Fetch); empty ones are absent. Nothing where it asks for no less than
    /// others do: the urgency of a request that says nothing is 3, of 0 to 7. What is not well formed
    /// says nothing either.
    pub fn asked_for<'v>(
        priority: impl IntoIterator<Item = &'v [u8]>,
        sec_purpose: &[u8],
    ) -> Option<Self> {
        if is_prefetch(sec_purpose) {
            return Some(Self::Low);
        }
        match urgency(priority)? {
            4 | 5 => Some(Self::Normal),
            6 | 7 => Some(Self::Low),
            _ => None,
        }
    }

    /// This one, or what the client asks for where that is less.
    #[must_use]
    pub fn lowered(self, asked_for: Option<Self>) -> Self {
        asked_for.map_or(self, |asked_for| self.max(asked_for))
    }
}

/// The urgency that the lines of a `priority` say, if that is a number at all. They are one
/// dictionary (RFC 9651 §4.2): of several members the last one counts, and nothing is well formed
/// where a line is not. An empty line is an empty dictionary.
fn urgency<'v>(lines: impl IntoIterator<Item = &'v [u8]>) -> Option<i64> {
    let mut room = FIELD_LEN_MAX;
    let mut urgency = None;
    for line in lines {
        room = room.checked_sub(line.len())?;
        Reader { rest: line }.find_urgency(&mut urgency)?;
    }
    match urgency? {
        Bare::Integer(urgency) => Some(urgency),
        Bare::Other => None,
    }
}

/// Whether a `sec-purpose` says that nobody is waiting yet: the token `prefetch`, with parameters or
/// without.
fn is_prefetch(field: &[u8]) -> bool {
    if field.is_empty() || field.len() > FIELD_LEN_MAX {
        return false;
    }
    let mut reader = Reader { rest: field };
    reader.skip(b" ");
    let is_prefetch = reader.token() == Some(b"prefetch");
    is_prefetch && reader.parameters().is_some() && reader.is_at_end()
}

/// A structured field (RFC 9651). The values of members that nobody asks for are read as far as it
/// takes to know where they end.
struct Reader<'f> {
    rest: &'f [u8],
}

/// A value without its parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bare {
    Integer(i64),
    Other,
}

impl<'f> Reader<'f> {
    /// Reads a dictionary to its end for its last member `u`.
    fn find_urgency(&mut self, urgency: &mut Option<Bare>) -> Option<()> {
        self.skip(b" ");
        while !self.rest.is_empty() {
            let key = self.key()?;
            let value = if self.take(b'=') { self.member()? } else { Bare::Other };
            self.parameters()?;
            if key == URGENCY {
                *urgency = Some(value);
            }
            self.skip(b" \t");
            if self.rest.is_empty() {
                break;
            }
            if !self.take(b',') {
                return None;
            }
            self.skip(b" \t");
            // What is before a comma is not the last member.
            self.rest.first()?;
        }
        Some(())
    }

    /// The value of a member: one, or a list of them in parentheses.
    fn member(&mut self) -> Option<Bare> {
        if !self.take(b'(') {
            return self.bare();
        }
        loop {
            self.skip(b" ");
            if self.take(b')') {
                return Some(Bare::Other);
            }
            self.bare()?;
            self.parameters()?;
            if !matches!(self.rest.first(), Some(b' ' | b')')) {
                return None;
            }
        }
    }

    fn parameters(&mut self) -> Option<()> {
        while self.take(b';') {
            self.skip(b" ");
            self.key()?;
            if self.take(b'=') {
                self.bare()?;
            }
        }
        Some(())
    }

    fn bare(&mut self) -> Option<Bare> {
        match self.rest.first()? {
            b'-' | b'0'..=b'9' => return self.number(),
            b'"' => self.string()?,
            b':' => self.bytes()?,
            b'?' => {
                self.next();
                matches!(self.next()?, b'0' | b'1').then_some(())?;
            }
            // A date is a whole number of seconds.
            b'@' => {
                self.next();
                matches!(self.number()?, Bare::Integer(_)).then_some(())?;
            }
            b'%' => {
                self.next();
                self.display_string()?;
            }
            _ => {
                self.token()?;
            }
        }
        Some(Bare::Other)
    }

    /// Up to fifteen digits, or up to twelve, a point and up to three.
    fn number(&mut self) -> Option<Bare> {
        let is_negative = self.take(b'-');
        let whole = self.run(u8::is_ascii_digit);
        if whole.is_empty() || whole.len() > 15 {
            return None;
        }
        if self.take(b'.') {
            let part = self.run(u8::is_ascii_digit);
            let fits = whole.len() <= 12 && (1..=3).contains(&part.len());
            return fits.then_some(Bare::Other);
        }
        let whole: i64 = core::str::from_utf8(whole).ok()?.parse().ok()?;
        Some(Bare::Integer(if is_negative { whole.saturating_neg() } else { whole }))
    }

    fn string(&mut self) -> Option<()> {
        self.take(b'"').then_some(())?;
        loop {
            match self.next()? {
                b'"' => return Some(()),
                b'\\' => matches!(self.next()?, b'"' | b'\\').then_some(())?,
                b' '..=b'~' => {}
                _ => return None,
            }
        }
    }

    fn display_string(&mut self) -> Option<()> {
        self.take(b'"').then_some(())?;
        loop {
            match self.next()? {
                b'"' => return Some(()),
                b'%' => {
                    for _ in 0..2 {
                        matches!(self.next()?, b'0'..=b'9' | b'a'..=b'f').then_some(())?;
                    }
                }
                b' '..=b'~' => {}
                _ => return None,
            }
        }
    }

    fn bytes(&mut self) -> Option<()> {
        self.take(b':').then_some(())?;
        self.run(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(byte));
        self.take(b':').then_some(())
    }

    fn key(&mut self) -> Option<&'f [u8]> {
        let first = self.rest.first()?;
        (first.is_ascii_lowercase() || *first == b'*').then_some(())?;
        let is_part = |byte: &u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-.*".contains(byte)
        };
        Some(self.run(is_part))
    }

    fn token(&mut self) -> Option<&'f [u8]> {
        let first = self.rest.first()?;
        (first.is_ascii_alphabetic() || *first == b'*').then_some(())?;
        Some(self.run(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:/".contains(byte)))
    }

    /// The bytes from here on that are of a kind.
    fn run(&mut self, is_part: impl Fn(&u8) -> bool) -> &'f [u8] {
        let length = self.rest.iter().take_while(|byte| is_part(byte)).count();
        let (run, rest) = self.rest.split_at_checked(length).unwrap_or_default();
        self.rest = rest;
        run
    }

    fn skip(&mut self, blanks: &[u8]) {
        self.run(|byte| blanks.contains(byte));
    }

    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn take(&mut self, byte: u8) -> bool {
        let is_there = self.rest.first() == Some(&byte);
        if is_there {
            self.next();
        }
        is_there
    }

    /// Whether nothing but spaces is left.
    fn is_at_end(&self) -> bool {
        self.rest.iter().all(|byte| *byte == b' ')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_lowers_by_its_urgency() {
        for (field, asked_for) in [
            ("", None),
            ("u=0", None),
            ("u=3", None),
            ("u=4", Some(Priority::Normal)),
            ("u=5, i\t", Some(Priority::Normal)),
            ("i, u=6", Some(Priority::Low)),
            ("  u=7;x=\"a,b\"  ", Some(Priority::Low)),
            ("a=(1 \"u=0\" tok/en);b, u=7\t,\tz=?1", Some(Priority::Low)),
            ("x=:dT0w:, y=%\"u=0%c3%a4\", t=@1659578233, u=5", Some(Priority::Normal)),
            ("u=7, u=1", None),
            ("u=1, u=7", Some(Priority::Low)),
            // Out of its range, or of another type: as if it were not there.
            ("u=8", None),
            ("u=-7", None),
            ("u=7.0", None),
            ("u=\"7\"", None),
            ("u=seven", None),
            ("u=(7)", None),
            ("u", None),
            ("u=7, u=(7)", None),
            // No dictionary at all.
            ("u=7,", None),
            ("u=7 u=7", None),
            ("u=7;", None),
            ("u=7, =", None),
            ("u=7, i=?2", None),
            ("u=7, U=1", None),
            ("u= 7", None),
            ("\tu=7", None),
            ("u=7, a=\"\u{e4}\"", None),
            ("u=7, a=\"", None),
            ("u=7, a=@1.5", None),
            ("u=0000000000000007", None),
            ("u=7, a=1234567890123.5", None),
            ("u=7, a=1.1234", None),
        ] {
            assert_eq!(Priority::asked_for([field.as_bytes()], b""), asked_for, "{field}");
        }
        let long = alloc::format!("u=7, a=\"{}\"", "a".repeat(FIELD_LEN_MAX));
        assert_eq!(Priority::asked_for([long.as_bytes()], b""), None);
    }

    #[test]
    fn lines_are_one_dictionary() {
        for (lines, asked_for) in [
            (&["u=7", "u=1"][..], None),
            (&["u=1", "u=7"], Some(Priority::Low)),
            (&["u=5", "i"], Some(Priority::Normal)),
            (&["i", "", "u=4"], Some(Priority::Normal)),
            (&["u=7", "u=("], None),
            (&["?", "u=7"], None),
        ] {
            let fields = lines.iter().map(|line| line.as_bytes());
            assert_eq!(Priority::asked_for(fields, b""), asked_for, "{lines:?}");
        }
        let half = alloc::format!("u=7, a=\"{}\"", "a".repeat(FIELD_LEN_MAX / 2));
        let of_lines = |count| Priority::asked_for((0..count).map(|_| half.as_bytes()), b"");
        assert_eq!((of_lines(1), of_lines(2)), (Some(Priority::Low), None));
    }

    #[test]
    fn nobody_waits_for_what_is_fetched_ahead() {
        for (field, is_ahead) in [
            ("prefetch", true),
            ("prefetch;prerender", true),
            (" prefetch; anonymous-client-ip ", true),
            ("prefetch;a=1", true),
            ("prerender", false),
            ("prefetching", false),
            ("Prefetch", false),
            ("\"prefetch\"", false),
            ("prefetch, navigate", false),
            ("prefetch;", false),
            ("", false),
        ] {
            let asked_for = is_ahead.then_some(Priority::Low);
            assert_eq!(Priority::asked_for([], field.as_bytes()), asked_for, "{field}");
        }
        assert_eq!(Priority::asked_for([&b"u=0"[..]], b"prefetch"), Some(Priority::Low));
    }

    #[test]
    fn what_a_client_asks_for_lowers_and_never_raises() {
        for (own, asked_for, is) in [
            (Priority::Critical, None, Priority::Critical),
            (Priority::Critical, Some(Priority::Normal), Priority::Normal),
            (Priority::High, Some(Priority::Low), Priority::Low),
            (Priority::Low, Some(Priority::Normal), Priority::Low),
            (Priority::Low, None, Priority::Low),
        ] {
            assert_eq!(own.lowered(asked_for), is, "{own} {asked_for:?}");
        }
    }
}
