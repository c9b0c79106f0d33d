//! What of a response is redacted where its data may not be seen whole.
//!
//! All paths of all profiles are one tree: whoever reads a document follows it from the root with
//! every member, and is at as many places at once as wildcards have split the way.

mod header;
mod path;

use crate::vocabulary::RedactionAction;
use crate::wire::{self, ConfigFault};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Reverse;
pub use header::{HeaderPattern, HeaderPatternError};
pub use path::{FieldPath, FieldPathError, FieldStep};

/// A set of redaction profiles of a policy, by their numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProfileSet(u32);

impl ProfileSet {
    /// More profiles than this are refused.
    pub const MAX: usize = 32;
    /// No profile: nothing is redacted.
    pub const EMPTY: Self = Self(0);

    /// The set with the profile of this number; the same set if there can be none.
    #[must_use]
    pub fn with(self, number: usize) -> Self {
        let bit = u32::try_from(number).ok().and_then(|number| 1_u32.checked_shl(number));
        Self(self.0 | bit.unwrap_or(0))
    }

    /// The profiles of both.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether some profile is in both.
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether nothing is redacted.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The numbers of the profiles.
    pub fn iter(self) -> impl Iterator<Item = usize> {
        (0..Self::MAX).filter(move |number| self.0 & (1 << number) != 0)
    }
}

/// What becomes of one value. The order is that of strength: of several the last one wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Redaction {
    /// A string keeps this many characters, and fewer is more.
    Truncate(Reverse<u32>),
    /// A scalar turns into its keyed hash.
    Hash,
    /// It turns into `***`.
    Mask,
    /// It is taken away.
    Drop,
}

/// The redaction profiles of a policy.
#[derive(Debug, Clone)]
pub struct Profiles {
    names: Box<[Box<str>]>,
    headers: Box<[Box<[HeaderPattern]>]>,
    tree: Box<[Place]>,
    body_max: usize,
}

/// A place in the tree of all paths.
#[derive(Debug, Clone, Default)]
struct Place {
    /// Whose paths lead here.
    profiles: ProfileSet,
    named: BTreeMap<Box<str>, u32>,
    any: Option<u32>,
    /// The place of `**`: whoever is here is there as well.
    deep: Option<u32>,
    /// It is the place of a `**`: with every member one is still there.
    stays: bool,
    /// What becomes of the values here, by the profile.
    redactions: Vec<(u8, Redaction)>,
}

/// The places where a reader of a document is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places(Vec<u32>);

impl Profiles {
    /// How many fields a profile may have.
    pub const FIELDS_MAX: usize = 256;
    /// How many headers a profile may have.
    pub const HEADERS_MAX: usize = 64;
    /// How many characters may stay of a string.
    pub const KEEP: core::ops::RangeInclusive<u32> = 1..=256;
    /// How large a body may be that has to be redacted: it is held in memory.
    pub const BODY_MAX: core::ops::RangeInclusive<u32> = 1_024..=1_048_576;
    /// The same where a policy does not say.
    pub const BODY_MAX_DEFAULT: u32 = 262_144;

    /// Compiles the profiles of a policy.
    pub(crate) fn compile(residency: &wire::Residency) -> Result<Self, ConfigFault> {
        const AT: &str = "policy.residency.redactionProfiles";
        let wire = &residency.redaction_profiles;
        if wire.len() > ProfileSet::MAX {
            return Err(fault(AT, format!("are more than {}", ProfileSet::MAX)));
        }
        let mut tree = Tree { places: Vec::from([Place::default()]) };
        let mut names: Vec<Box<str>> = Vec::new();
        let mut headers = Vec::new();
        for (number, profile) in (0_u8..).zip(wire) {
            let at = format!("{AT}[{number}]");
            if !is_name(&profile.name) {
                let message = format!("`{}` is not of the form [a-z][a-z0-9-]*", profile.name);
                return Err(fault(format!("{at}.name"), message));
            }
            if names.iter().any(|known| **known == *profile.name) {
                return Err(fault(
                    format!("{at}.name"),
                    format!("`{}` stands twice", profile.name),
                ));
            }
            if profile.fields.is_empty() && profile.headers.is_empty() {
                return Err(fault(at, "redacts nothing"));
            }
            if profile.fields.len() > Self::FIELDS_MAX {
                let message = format!("are more than {}", Self::FIELDS_MAX);
                return Err(fault(format!("{at}.fields"), message));
            }
            for (position, field) in profile.fields.iter().enumerate() {
                tree.add(number, field, &format!("{at}.fields[{position}]"))?;
            }
            headers.push(compile_headers(&profile.headers, &at)?);
            names.push(profile.name.as_str().into());
        }
        let body_max = residency.redaction.as_ref().map(|limits| limits.max_body_bytes);
        let body_max = body_max.unwrap_or(Self::BODY_MAX_DEFAULT);
        if !Self::BODY_MAX.contains(&body_max) {
            let (low, high) = (Self::BODY_MAX.start(), Self::BODY_MAX.end());
            let message = format!("is not between {low} and {high}");
            return Err(fault("policy.residency.redaction.maxBodyBytes", message));
        }
        Ok(Self {
            names: names.into(),
            headers: headers.into(),
            tree: tree.places.into(),
            body_max: usize::try_from(body_max).unwrap_or(0),
        })
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The number of the profile with this name.
    pub fn number(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|known| **known == *name)
    }

    /// The name of the profile with this number.
    pub fn name(&self, number: usize) -> Option<&str> {
        self.names.get(number).map(|name| &**name)
    }

    /// How large a body may be that has to be redacted, in bytes.
    pub fn body_max(&self) -> usize {
        self.body_max
    }

    /// Whether one of these profiles takes a header or trailer away.
    pub fn take_header(&self, of: ProfileSet, name: &[u8]) -> bool {
        let mut lists = of.iter().filter_map(|number| self.headers.get(number));
        lists.any(|list| list.iter().any(|pattern| pattern.takes(name)))
    }

    /// Where a reader of a document begins.
    pub fn root(&self, of: ProfileSet) -> Places {
        let mut places = Places::default();
        self.enter(0, of, &mut places);
        places.sort();
        places
    }

    /// Where a reader is with the member of this name, or the item of this number.
    pub fn below(&self, of: ProfileSet, places: &Places, segment: &str) -> Places {
        let mut below = Places::default();
        for number in &places.0 {
            let Some(place) = self.place(*number) else { continue };
            if place.stays {
                self.enter(*number, of, &mut below);
            }
            for next in [place.named.get(segment).copied(), place.any].into_iter().flatten() {
                self.enter(next, of, &mut below);
            }
        }
        below.sort();
        below
    }

    /// What becomes of the value at these places, the strongest that any of the profiles asks for,
    /// and the number of the profile that does.
    pub fn redaction(&self, of: ProfileSet, places: &Places) -> Option<(Redaction, usize)> {
        let places = places.0.iter().filter_map(|number| self.place(*number));
        let all = places.flat_map(|place| &place.redactions);
        all.map(|(profile, redaction)| (*redaction, usize::from(*profile)))
            .filter(|(_, profile)| of.meets(ProfileSet::EMPTY.with(*profile)))
            .max()
    }

    /// Goes to a place, and to that of the `**` below it, if a path of these profiles does.
    fn enter(&self, number: u32, of: ProfileSet, places: &mut Places) {
        let mut next = Some(number);
        // `**` never follows itself, so this is two rounds at most.
        while let Some(number) = next {
            let Some(place) = self.place(number).filter(|place| place.profiles.meets(of)) else {
                return;
            };
            places.0.push(number);
            next = place.deep;
        }
    }

    fn place(&self, number: u32) -> Option<&Place> {
        self.tree.get(usize::try_from(number).ok()?)
    }
}

impl Places {
    /// Whether nothing below here is redacted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn sort(&mut self) {
        self.0.sort_unstable();
        self.0.dedup();
    }
}

/// The tree of all paths as it grows.
struct Tree {
    places: Vec<Place>,
}

impl Tree {
    fn add(
        &mut self,
        profile: u8,
        field: &wire::RedactedField,
        at: &str,
    ) -> Result<(), ConfigFault> {
        let path = FieldPath::parse(&field.path)
            .map_err(|error| fault(format!("{at}.path"), format!("{error}")))?;
        let redaction = redaction(field, at)?;
        let mut number = 0;
        self.mark(number, profile);
        for step in path.steps() {
            number = self.step(number, step);
            self.mark(number, profile);
        }
        if let Some(place) = self.place(number) {
            place.redactions.push((profile, redaction));
        }
        Ok(())
    }

    /// The place that a step leads to, a new one if none has led there yet.
    fn step(&mut self, from: u32, step: &FieldStep) -> u32 {
        // At most 32 profiles with 256 paths of 32 segments each.
        let new = u32::try_from(self.places.len()).unwrap_or(u32::MAX);
        let Some(place) = self.place(from) else { return new };
        let to = match step {
            FieldStep::Named(name) => *place.named.entry(name.clone()).or_insert(new),
            FieldStep::Any => *place.any.get_or_insert(new),
            FieldStep::Deep => *place.deep.get_or_insert(new),
        };
        if to == new {
            let stays = *step == FieldStep::Deep;
            self.places.push(Place { stays, ..Place::default() });
        }
        to
    }

    fn mark(&mut self, number: u32, profile: u8) {
        if let Some(place) = self.place(number) {
            place.profiles = place.profiles.with(usize::from(profile));
        }
    }

    fn place(&mut self, number: u32) -> Option<&mut Place> {
        self.places.get_mut(usize::try_from(number).ok()?)
    }
}

fn redaction(field: &wire::RedactedField, at: &str) -> Result<Redaction, ConfigFault> {
    let keep_at = || format!("{at}.keep");
    match (field.action, field.keep) {
        (RedactionAction::Drop, None) => Ok(Redaction::Drop),
        (RedactionAction::Mask, None) => Ok(Redaction::Mask),
        (RedactionAction::Hash, None) => Ok(Redaction::Hash),
        (RedactionAction::Truncate, Some(keep)) if Profiles::KEEP.contains(&keep) => {
            Ok(Redaction::Truncate(Reverse(keep)))
        }
        (RedactionAction::Truncate, Some(_)) => {
            let (low, high) = (Profiles::KEEP.start(), Profiles::KEEP.end());
            Err(fault(keep_at(), format!("is not between {low} and {high}")))
        }
        (RedactionAction::Truncate, None) => Err(fault(keep_at(), "is missing")),
        (action, Some(_)) => Err(fault(keep_at(), format!("is not for `{action}`"))),
    }
}

fn compile_headers(headers: &[String], at: &str) -> Result<Box<[HeaderPattern]>, ConfigFault> {
    if headers.len() > Profiles::HEADERS_MAX {
        let message = format!("are more than {}", Profiles::HEADERS_MAX);
        return Err(fault(format!("{at}.headers"), message));
    }
    let compiled = headers.iter().enumerate().map(|(number, header)| {
        HeaderPattern::parse(header)
            .map_err(|error| fault(format!("{at}.headers[{number}]"), format!("{error}")))
    });
    compiled.collect()
}

/// Records have it, so it is a name as those of contexts and rules are.
fn is_name(name: &str) -> bool {
    name.len() <= 63
        && name.bytes().next().is_some_and(|first| first.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn fault(path: impl Into<String>, message: impl Into<String>) -> ConfigFault {
    ConfigFault { path: path.into(), message: message.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::PluginConfig;

    fn residency(profiles: &str) -> wire::Residency {
        let config = PluginConfig::from_json(include_bytes!("../fixtures/shop.json")).unwrap();
        let redaction_profiles = serde_json::from_str(profiles).unwrap();
        wire::Residency { redaction_profiles, ..config.policy.residency }
    }

    #[test]
    fn a_set_has_what_was_put_in() {
        let set = ProfileSet::EMPTY.with(0).with(31).or(ProfileSet::EMPTY.with(5));
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 5, 31]);
        assert_eq!(ProfileSet::EMPTY.with(32), ProfileSet::EMPTY);
        assert!(!set.is_empty() && ProfileSet::EMPTY.is_empty());
        assert!(set.meets(ProfileSet::EMPTY.with(31)) && !set.meets(ProfileSet::EMPTY.with(1)));
    }

    #[test]
    fn the_strongest_redaction_of_a_place_wins() {
        let profiles = Profiles::compile(&residency(
            r#"[
                {"name": "a", "fields": [
                    {"path": "/customer/*/email", "action": "mask"},
                    {"path": "/**/email", "action": "hash"},
                    {"path": "/name", "action": "truncate", "keep": 2},
                    {"path": "/**/*/0", "action": "drop"}
                ]},
                {"name": "b", "fields": [
                    {"path": "/name", "action": "truncate", "keep": 1},
                    {"path": "/customer/7", "action": "drop"},
                    {"path": "", "action": "truncate", "keep": 5}
                ]}
            ]"#,
        ))
        .unwrap();
        let (a, b) = (ProfileSet::EMPTY.with(0), ProfileSet::EMPTY.with(1));
        let truncate = |keep| Some(Redaction::Truncate(Reverse(keep)));
        for (of, path, redaction) in [
            (a, &["customer", "7", "email"][..], Some(Redaction::Mask)),
            (a, &["email"], Some(Redaction::Hash)),
            (a, &["x", "y", "z", "email"], Some(Redaction::Hash)),
            (a, &["x", "email", "y"], None),
            (a, &["0"], None),
            (a, &["x", "0"], Some(Redaction::Drop)),
            (a, &["x", "y", "0"], Some(Redaction::Drop)),
            (a, &["name"], truncate(2)),
            (b, &["name"], truncate(1)),
            (a.or(b), &["name"], truncate(1)),
            (a, &["customer", "7"], None),
            (a.or(b), &["customer", "7"], Some(Redaction::Drop)),
            (a, &[], None),
            (b, &[], truncate(5)),
            (ProfileSet::EMPTY, &["email"], None),
        ] {
            let places = path
                .iter()
                .fold(profiles.root(of), |places, segment| profiles.below(of, &places, segment));
            let found = profiles.redaction(of, &places).map(|(redaction, _)| redaction);
            assert_eq!(found, redaction, "{of:?} {path:?}");
        }
        // Where no path leads there is nowhere to be.
        let only_b = profiles.below(b, &profiles.root(b), "other");
        assert!(only_b.is_empty());
        assert_eq!(profiles.number("b"), Some(1));
        assert_eq!((profiles.name(0), profiles.name(2)), (Some("a"), None));
    }

    #[test]
    fn profiles_that_cannot_be_are_refused() {
        let many = |what: &str, count: usize| {
            let items: Vec<String> =
                (0..count).map(|n| what.replace("{n}", &format!("{n}"))).collect();
            items.join(",")
        };
        let field = r#"{"path": "/f{n}", "action": "drop"}"#;
        for (profiles, path) in [
            (many(r#"{"name": "p{n}", "headers": ["a"]}"#, 33), ""),
            (r#"{"name": "P", "headers": ["a"]}"#.into(), "[0].name"),
            (many(r#"{"name": "p", "headers": ["a"]}"#, 2), "[1].name"),
            (r#"{"name": "p"}"#.into(), "[0]"),
            (format!(r#"{{"name": "p", "fields": [{}]}}"#, many(field, 257)), "[0].fields"),
            (format!(r#"{{"name": "p", "headers": [{}]}}"#, many(r#""h{n}""#, 65)), "[0].headers"),
            (r#"{"name": "p", "headers": ["a", ":status"]}"#.into(), "[0].headers[1]"),
            (
                r#"{"name": "p", "fields": [{"path": "a", "action": "drop"}]}"#.into(),
                "[0].fields[0].path",
            ),
            (
                r#"{"name": "p", "fields": [{"path": "/a", "action": "truncate"}]}"#.into(),
                "[0].fields[0].keep",
            ),
            (
                r#"{"name": "p", "fields": [{"path": "/a", "action": "truncate", "keep": 0}]}"#
                    .into(),
                "[0].fields[0].keep",
            ),
            (
                r#"{"name": "p", "fields": [{"path": "/a", "action": "mask", "keep": 1}]}"#.into(),
                "[0].fields[0].keep",
            ),
        ] {
            let fault = Profiles::compile(&residency(&format!("[{profiles}]"))).unwrap_err();
            assert_eq!(fault.path, format!("policy.residency.redactionProfiles{path}"), "{fault}");
        }
        let limits = wire::RedactionLimits { max_body_bytes: 1_023 };
        let small = wire::Residency { redaction: Some(limits), ..residency("[]") };
        let fault = Profiles::compile(&small).unwrap_err();
        assert_eq!(fault.path, "policy.residency.redaction.maxBodyBytes");
        assert_eq!(Profiles::compile(&residency("[]")).unwrap().body_max(), 262_144);
    }
}
