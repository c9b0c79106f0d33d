//! From the text of a case to a module.
//!
//! Two things are put into the text before it is assembled: the prelude, where the case has the
//! comment `(; prelude ;)`, and for every `@"text"` its address and its length, two constants.

use std::fmt::Write as _;

const PRELUDE: &str = include_str!("prelude.wat");
const MARK: &str = "(; prelude ;)";

/// Where texts lie in the guest's memory, and what comes after them.
const TEXTS: usize = 8192;
const TEXTS_END: usize = 65536;

/// The module of a case.
///
/// # Errors
/// That the text is no module, in the assembler's words.
pub(crate) fn assemble(text: &str) -> Result<Vec<u8>, String> {
    let with_prelude = text.replacen(MARK, PRELUDE, 1);
    let mut texts = Texts::default();
    let module = texts.replace(&with_prelude)?;
    // After the imports nothing cares where data stands.
    let Some(end) = module.rfind(')') else { return Err("it has no module".to_owned()) };
    let (head, tail) = module.split_at(end);
    wat::parse_str(format!("{head}{}{tail}", texts.data)).map_err(|error| error.to_string())
}

/// The texts of a guest.
#[derive(Debug, Default)]
struct Texts {
    data: String,
    length: usize,
}

impl Texts {
    /// Replaces every `@"text"` outside of comments and other strings.
    fn replace(&mut self, wat: &str) -> Result<String, String> {
        let mut out = String::with_capacity(wat.len());
        let mut rest = wat;
        while let Some(at) = rest.find([';', '"', '@']) {
            let (before, from) = rest.split_at(at);
            out.push_str(before);
            let taken = if from.starts_with(";;") {
                from.find('\n').unwrap_or(from.len())
            } else if from.starts_with("@\"") {
                let quoted = from.get(1..).unwrap_or_default();
                let length = string(quoted).ok_or("a text does not end")?;
                let raw = quoted.get(1..length.saturating_sub(1)).unwrap_or_default();
                out.push_str(&self.add(raw)?);
                rest = quoted.get(length..).unwrap_or_default();
                continue;
            } else if from.starts_with('"') {
                string(from).ok_or("a string does not end")?
            } else {
                1
            };
            let (copied, after) = from.split_at(taken);
            out.push_str(copied);
            rest = after;
        }
        out.push_str(rest);
        Ok(out)
    }

    /// Keeps a text; its address and length as constants.
    fn add(&mut self, raw: &str) -> Result<String, String> {
        let at = TEXTS + self.length;
        let length = bytes(raw);
        self.length += length;
        if TEXTS + self.length > TEXTS_END {
            return Err("its texts are too long".to_owned());
        }
        // Writing into a String cannot fail.
        let _ = writeln!(self.data, "(data (i32.const {at}) \"{raw}\")");
        Ok(format!("(i32.const {at}) (i32.const {length})"))
    }
}

/// The length of a string in the source, quotes included.
fn string(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            b'"' if !escaped => return Some(at + 1),
            b'\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    None
}

/// How many bytes a string is without its escapes: `\n` and the like, or `\0a`.
fn bytes(raw: &str) -> usize {
    let mut rest = raw.bytes();
    let mut count = 0;
    while let Some(byte) = rest.next() {
        if byte == b'\\' && rest.next().is_some_and(|next| next.is_ascii_hexdigit()) {
            rest.next();
        }
        count += 1;
    }
    count
}
