//! Redacts a JSON document while it arrives.
//!
//! Nothing of it is handed out before its end: what cannot be read to the end as one JSON document
//! cannot be redacted. What is held meanwhile is the redacted text, the token at hand, and for every
//! object that is open eight bytes for each of its keys, all of it bounded by the size of the body.

use json_event_parser::{JsonEvent, LowLevelJsonParser, LowLevelJsonSerializer};
use policy_core::{Places, ProfileSet, Profiles, Redaction};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::hash::{DefaultHasher, Hasher as _};

/// A document in which more containers than this are open at once is not redacted.
const DEPTH_MAX: usize = 64;
/// The redacted text may be this many times as large as a body may be: what replaces a value can be
/// longer than it.
const GROWTH_MAX: usize = 2;
/// What replaces a masked value.
const MASK: &str = "***";
/// What a hash begins with.
const HASH_PREFIX: &str = "h:";
/// What a byte order mark begins with. The parser passes over one; JSON has none.
const BYTE_ORDER_MARK: u8 = 0xef;

/// By what a document is redacted.
#[derive(Clone, Copy)]
pub struct Rules<'r> {
    /// The profiles of the policy.
    pub profiles: &'r Profiles,
    /// Which of them apply.
    pub of: ProfileSet,
    /// The keyed hash of a value as JSON; none without a key.
    pub hash: &'r dyn Fn(&[u8]) -> Option<[u8; 8]>,
}

impl fmt::Debug for Rules<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules").field("of", &self.of).finish_non_exhaustive()
    }
}

/// A document in which nothing is left that may not be seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redacted {
    /// Its text, without white space.
    pub body: Vec<u8>,
    /// How many values were redacted, by the number of each profile that applied.
    pub counts: BTreeMap<usize, u32>,
}

/// Why a document cannot be redacted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Impossible {
    /// It is not one JSON document in UTF-8.
    NotJson,
    /// It is too large, or would be once it is redacted.
    TooLarge,
    /// Its containers lie too deep in each other.
    TooDeep,
    /// An object has a key twice: who reads it may see either value.
    KeyTwice,
}

/// A document that is being redacted.
pub struct Redactor {
    parser: LowLevelJsonParser,
    /// What the parser has not taken yet: the beginning of a token.
    pending: Vec<u8>,
    /// The parser begins a token anew with every attempt, so a long one is not tried again before
    /// twice as much of it is there.
    worthwhile: usize,
    /// How much has arrived.
    size: usize,
    document: Document,
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor").field("size", &self.size).finish_non_exhaustive()
    }
}

impl Redactor {
    /// Nothing of a document yet.
    pub fn new(profiles: &Profiles, of: ProfileSet) -> Self {
        Self {
            parser: LowLevelJsonParser::new(),
            pending: Vec::new(),
            worthwhile: 0,
            size: 0,
            document: Document {
                serializer: LowLevelJsonSerializer::new(),
                open: Vec::new(),
                root: profiles.root(of),
                text: Vec::new(),
                counts: of.iter().map(|profile| (profile, 0)).collect(),
            },
        }
    }

    /// Reads more of the document. The rules are the same each time.
    ///
    /// # Errors
    /// Why it cannot be redacted.
    pub fn push(mut self, rules: &Rules<'_>, bytes: &[u8]) -> Result<Self, Impossible> {
        if self.size == 0 && bytes.first() == Some(&BYTE_ORDER_MARK) {
            return Err(Impossible::NotJson);
        }
        self.size = self.size.saturating_add(bytes.len());
        if self.size > rules.profiles.body_max() {
            return Err(Impossible::TooLarge);
        }
        self.pending.extend_from_slice(bytes);
        if self.pending.len() >= self.worthwhile {
            self.read(rules, false)?;
            self.worthwhile = self.pending.len().saturating_mul(2);
        }
        Ok(self)
    }

    /// The redacted document, once all of it has been read. Without a byte there is no document, and
    /// nothing to redact.
    ///
    /// # Errors
    /// Why it cannot be redacted.
    pub fn finish(mut self, rules: &Rules<'_>) -> Result<Redacted, Impossible> {
        if self.size > 0 {
            self.read(rules, true)?;
        }
        Ok(Redacted { body: self.document.text, counts: self.document.counts })
    }

    /// Reads what is there; at the end that has to be everything.
    fn read(&mut self, rules: &Rules<'_>, is_ending: bool) -> Result<(), Impossible> {
        let mut taken: usize = 0;
        loop {
            let rest = self.pending.get(taken..).unwrap_or_default();
            let step = self.parser.parse_next(rest, is_ending);
            taken = taken.saturating_add(step.consumed_bytes);
            match step.event {
                None | Some(Ok(JsonEvent::Eof)) => break,
                Some(Ok(event)) => self.document.see(rules, event)?,
                Some(Err(_)) => return Err(Impossible::NotJson),
            }
        }
        self.pending.drain(..taken.min(self.pending.len()));
        Ok(())
    }
}

/// What has been read and written of a document.
struct Document {
    serializer: LowLevelJsonSerializer,
    /// The containers around what comes next, the innermost last.
    open: Vec<Container>,
    /// Where the document itself is.
    root: Places,
    text: Vec<u8>,
    counts: BTreeMap<usize, u32>,
}

/// A container that has not ended yet.
struct Container {
    kind: Kind,
    /// It, or one around it, was redacted: nothing in it is written.
    is_hidden: bool,
    /// Where it is.
    places: Places,
}

enum Kind {
    Object {
        /// Hashes of the keys so far. Two keys with one hash are taken for one key.
        keys: BTreeSet<u64>,
        /// The key whose value comes next.
        key: String,
    },
    Array {
        /// The number of the item that comes next.
        next: usize,
    },
}

/// What becomes of the value that comes next.
enum Fate {
    /// It is in a container that was redacted.
    Hidden,
    /// It stays; this is where it is.
    Stays(Places),
    Redacted(Redaction),
}

impl Document {
    fn see(&mut self, rules: &Rules<'_>, event: JsonEvent<'_>) -> Result<(), Impossible> {
        match event {
            JsonEvent::ObjectKey(key) => self.key(&key),
            JsonEvent::StartObject => {
                let kind = Kind::Object { keys: BTreeSet::new(), key: String::new() };
                self.begin(rules, kind, JsonEvent::StartObject)
            }
            JsonEvent::StartArray => {
                self.begin(rules, Kind::Array { next: 0 }, JsonEvent::StartArray)
            }
            JsonEvent::EndObject | JsonEvent::EndArray => {
                let container = self.open.pop().ok_or(Impossible::NotJson)?;
                if container.is_hidden { Ok(()) } else { self.write(rules, event) }
            }
            scalar => self.scalar(rules, scalar),
        }
    }

    fn key(&mut self, new: &str) -> Result<(), Impossible> {
        let container = self.open.last_mut().map(|container| &mut container.kind);
        let Some(Kind::Object { keys, key }) = container else { return Err(Impossible::NotJson) };
        let mut hasher = DefaultHasher::new();
        hasher.write(new.as_bytes());
        if !keys.insert(hasher.finish()) {
            return Err(Impossible::KeyTwice);
        }
        new.clone_into(key);
        Ok(())
    }

    fn begin(
        &mut self,
        rules: &Rules<'_>,
        kind: Kind,
        event: JsonEvent<'_>,
    ) -> Result<(), Impossible> {
        if self.open.len() >= DEPTH_MAX {
            return Err(Impossible::TooDeep);
        }
        let (is_hidden, places) = match self.fate(rules) {
            Fate::Stays(places) => {
                self.value(rules, event)?;
                (false, places)
            }
            Fate::Hidden => (true, Places::default()),
            Fate::Redacted(redaction) => {
                let mask = (redaction != Redaction::Drop).then_some(Cow::Borrowed(MASK));
                self.replace(rules, mask)?;
                (true, Places::default())
            }
        };
        self.open.push(Container { kind, is_hidden, places });
        Ok(())
    }

    fn scalar(&mut self, rules: &Rules<'_>, scalar: JsonEvent<'_>) -> Result<(), Impossible> {
        let redaction = match self.fate(rules) {
            Fate::Stays(_) => return self.value(rules, scalar),
            Fate::Hidden => return Ok(()),
            Fate::Redacted(redaction) => redaction,
        };
        let mask = Cow::Borrowed(MASK);
        let instead = match (redaction, &scalar) {
            (Redaction::Drop, _) => None,
            (Redaction::Hash, _) => Some(hash(rules, &scalar).map_or(mask, Cow::Owned)),
            (Redaction::Truncate(keep), JsonEvent::String(text)) => {
                let keep = usize::try_from(keep.0).unwrap_or(0);
                // A string that would stay whole would not be redacted.
                let end = text.char_indices().nth(keep).map(|(end, _)| end);
                let start = end.and_then(|end| text.get(..end));
                Some(start.map_or(mask, |start| Cow::Owned(start.to_owned())))
            }
            (Redaction::Mask | Redaction::Truncate(_), _) => Some(mask),
        };
        self.replace(rules, instead)
    }

    /// What becomes of the value that comes next.
    fn fate(&mut self, rules: &Rules<'_>) -> Fate {
        let Rules { profiles, of, .. } = *rules;
        let places = match self.open.last_mut() {
            None => std::mem::take(&mut self.root),
            Some(container) if container.is_hidden => return Fate::Hidden,
            Some(Container { kind, places, .. }) => {
                // Most of most documents is where no path leads.
                if places.is_empty() {
                    return Fate::Stays(Places::default());
                }
                match kind {
                    Kind::Object { key, .. } => profiles.below(of, places, key),
                    Kind::Array { next } => {
                        let item = next.to_string();
                        *next = next.saturating_add(1);
                        profiles.below(of, places, &item)
                    }
                }
            }
        };
        match profiles.redaction(of, &places) {
            None => Fate::Stays(places),
            Some((redaction, profile)) => {
                let count = self.counts.entry(profile).or_default();
                *count = count.saturating_add(1);
                Fate::Redacted(redaction)
            }
        }
    }

    /// Writes something else where the value would be; the document itself cannot be nothing.
    fn replace(&mut self, rules: &Rules<'_>, text: Option<Cow<'_, str>>) -> Result<(), Impossible> {
        match text {
            Some(text) => self.value(rules, JsonEvent::String(text)),
            None if self.open.is_empty() => self.value(rules, JsonEvent::Null),
            None => Ok(()),
        }
    }

    /// Writes a value or the beginning of one, with its key.
    fn value(&mut self, rules: &Rules<'_>, event: JsonEvent<'_>) -> Result<(), Impossible> {
        if let Some(Container { kind: Kind::Object { key, .. }, .. }) = self.open.last_mut() {
            let key = std::mem::take(key);
            self.write(rules, JsonEvent::ObjectKey(key.into()))?;
        }
        self.write(rules, event)
    }

    fn write(&mut self, rules: &Rules<'_>, event: JsonEvent<'_>) -> Result<(), Impossible> {
        // Writing to memory does not fail, and what the parser has read is in order.
        self.serializer.serialize_event(event, &mut self.text).map_err(|_| Impossible::NotJson)?;
        let most = rules.profiles.body_max().saturating_mul(GROWTH_MAX);
        if self.text.len() > most { Err(Impossible::TooLarge) } else { Ok(()) }
    }
}

/// The keyed hash of a scalar: of its text as it would have been written, so that a string is no
/// number.
fn hash(rules: &Rules<'_>, scalar: &JsonEvent<'_>) -> Option<String> {
    let mut text = Vec::new();
    LowLevelJsonSerializer::new().serialize_event(scalar.clone(), &mut text).ok()?;
    let hash = (rules.hash)(&text)?;
    Some(format!("{HASH_PREFIX}{:016x}", u64::from_be_bytes(hash)))
}

#[cfg(test)]
mod tests;
