//! Looking for secrets in whatever a run has left behind, in every way that something writes them.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// Anything shorter is found everywhere.
const LEN_MIN: usize = 8;
/// How much is told of what is around a find.
const AROUND: usize = 40;

/// Something that may be nowhere but where it belongs.
#[derive(Debug, Clone)]
pub struct Secret {
    what: String,
    /// How it may be written, in lower case; and a name for that.
    forms: Vec<(&'static str, Vec<u8>)>,
}

/// A search for many of them at once.
#[derive(Debug)]
pub struct Search {
    secrets: Vec<Secret>,
    /// Places in `secrets` and their forms, by the first two bytes.
    by_start: Vec<Vec<(usize, usize)>>,
}

impl Secret {
    /// A secret by what it is, which is told of a find, unlike the secret.
    ///
    /// # Panics
    /// That it is too short to be looked for.
    pub fn new(what: impl Into<String>, value: &str) -> Self {
        assert!(value.len() >= LEN_MIN, "`{value}` is found everywhere");
        let mut forms: Vec<(&'static str, Vec<u8>)> = Vec::new();
        for (form, text) in written(value) {
            // In one case: whoever folds it has it no less.
            let text = text.to_ascii_lowercase().into_bytes();
            if !forms.iter().any(|(_, known)| *known == text) {
                forms.push((form, text));
            }
        }
        Self { what: what.into(), forms }
    }

    /// What it is.
    pub fn what(&self) -> &str {
        &self.what
    }
}

/// A text in every form.
fn written(value: &str) -> Vec<(&'static str, String)> {
    let mut forms = vec![("plain", value.to_owned())];
    let in_json = |text: &str| {
        let quoted = serde_json::Value::from(text).to_string();
        quoted.trim_start_matches('"').trim_end_matches('"').to_owned()
    };
    // The access log is JSON, and the decision record a text in it.
    let once = in_json(value);
    forms.push(("JSON in JSON", in_json(&once)));
    let escapes = |of: &str, all: bool| {
        let mut text = String::new();
        for unit in of.encode_utf16() {
            match u8::try_from(unit).ok().filter(|byte| byte.is_ascii() && !all) {
                Some(byte) => text.push(char::from(byte)),
                // Writing into a String cannot fail.
                None => _ = write!(text, "\\u{unit:04x}"),
            }
        }
        text
    };
    for ascii in [escapes(&once, false), escapes(value, true)] {
        forms.push(("JSON in JSON", in_json(&ascii)));
        forms.push(("JSON", ascii));
    }
    forms.push(("JSON", once));
    let percent = |stays: &dyn Fn(u8) -> bool, space: &str| {
        value.bytes().fold(String::new(), |mut text, byte| {
            match byte {
                b' ' => text.push_str(space),
                byte if stays(byte) => text.push(char::from(byte)),
                // Writing into a String cannot fail.
                byte => _ = write!(text, "%{byte:02x}"),
            }
            text
        })
    };
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let in_a_path = |byte: u8| unreserved(byte) || b"!$&'()*+,;=:@".contains(&byte);
    forms.push(("percent-encoded", percent(&unreserved, "%20")));
    forms.push(("percent-encoded", percent(&in_a_path, "%20")));
    forms.push(("percent-encoded", percent(&unreserved, "+")));
    forms.push(("percent-encoded", percent(&|_| false, "%20")));
    forms.push((
        "hexadecimal",
        value.bytes().fold(String::new(), |mut text, byte| {
            _ = write!(text, "{byte:02x}");
            text
        }),
    ));
    // Inside something longer it begins at any of three places of a group.
    for before in 0..3 {
        let bytes = [&vec![0; before][..], value.as_bytes()].concat();
        // Letters of which no bit is of what is around.
        let (from, to) = ((before * 8).div_ceil(6), bytes.len() * 8 / 6);
        for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
            let text = engine.encode(&bytes);
            forms.push(("base64", text.get(from..to).unwrap_or_default().to_owned()));
        }
    }
    forms
}

impl Search {
    /// A search.
    pub fn new(secrets: Vec<Secret>) -> Self {
        let mut by_start = vec![Vec::new(); 1 << 16];
        for (number, secret) in secrets.iter().enumerate() {
            for (form, (_, text)) in secret.forms.iter().enumerate() {
                if let Some(bucket) = start(text).and_then(|start| by_start.get_mut(start)) {
                    bucket.push((number, form));
                }
            }
        }
        Self { secrets, by_start }
    }

    /// What is looked for.
    pub fn secrets(&self) -> &[Secret] {
        &self.secrets
    }

    /// The secrets in something, with a line for each that says which, how written, and where.
    pub fn find(&self, place: &str, bytes: &[u8]) -> Vec<String> {
        let bytes = bytes.to_ascii_lowercase();
        let mut known: BTreeSet<(usize, usize)> = BTreeSet::new();
        let mut found = Vec::new();
        for at in 0..bytes.len() {
            let rest = bytes.get(at..).unwrap_or_default();
            let bucket = start(rest).and_then(|start| self.by_start.get(start));
            for (number, form) in bucket.into_iter().flatten() {
                let Some(secret) = self.secrets.get(*number) else { continue };
                let Some((form_name, text)) = secret.forms.get(*form) else { continue };
                if !rest.starts_with(text) || !known.insert((*number, *form)) {
                    continue;
                }
                let before = bytes.get(at.saturating_sub(AROUND)..at).unwrap_or_default();
                let before = String::from_utf8_lossy(before);
                found.push(format!("{place}: {} ({form_name}) after `{before}`", secret.what));
            }
        }
        found
    }
}

fn start(text: &[u8]) -> Option<usize> {
    let [first, second, ..] = text else { return None };
    Some(usize::from(*first) << 8 | usize::from(*second))
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};

    const VALUE: &str = "山田 \"Hanako\" <hanako+1@shop.example>";

    fn is_found(text: &str) -> bool {
        let search = Search::new(vec![Secret::new("a name", VALUE)]);
        !search.find("here", text.as_bytes()).is_empty()
    }

    /// Whoever weakens the search fails here: everything that the test of secrets finds nowhere
    /// would be found in each of these.
    #[test]
    fn a_secret_is_found_however_it_is_written() {
        let json = serde_json::Value::from(VALUE).to_string();
        let mut texts = vec![
            VALUE.to_owned(),
            VALUE.to_uppercase(),
            serde_json::json!({"a": [VALUE]}).to_string(),
            serde_json::json!({"record": serde_json::json!({"a": VALUE}).to_string()}).to_string(),
            json.clone(),
            "%E5%B1%B1%E7%94%B0%20%22Hanako%22%20%3Chanako%2B1%40shop.example%3E".to_owned(),
            "?a=%E5%B1%B1%E7%94%B0+%22Hanako%22+%3Chanako%2B1%40shop.example%3E&b".to_owned(),
            VALUE.bytes().map(|byte| format!("%{byte:02X}")).collect::<Vec<_>>().concat(),
            VALUE.bytes().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat(),
            VALUE.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect::<Vec<_>>().concat(),
            "\\u5c71\\u7530 \\\"Hanako\\\" <hanako+1@shop.example>".to_owned(),
        ];
        for before in ["", "a", "ab", "abc"] {
            for after in ["", "x", "xy"] {
                let inside = format!("{before}{VALUE}{after}");
                texts.extend([STANDARD.encode(&inside), URL_SAFE.encode(&inside)]);
            }
        }
        for text in texts {
            assert!(is_found(&format!("begin{text}end")), "{text}");
        }
        for text in ["", "h", "hanako", "\\u5c71\\u7530", "Hanako <hanako@shop.example>"] {
            assert!(!is_found(text), "{text}");
        }
    }

    #[test]
    fn every_secret_is_told_once_with_its_place() {
        let search = Search::new(vec![
            Secret::new("one", "first-secret"),
            Secret::new("two", "second-secret"),
        ]);
        assert_eq!(
            search.find("a log", b"x second-secret y second-secret, first-secret"),
            [
                "a log: two (plain) after `x `",
                "a log: one (plain) after `x second-secret y second-secret, `"
            ]
        );
    }
}
