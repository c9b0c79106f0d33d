//! Two updates of one profile by writers who did not know of each other, and what each region is
//! left with once it has heard of both: by version, and by the rule of ADR-037, whose
//! `other.version > this.version` compares milliseconds alone.
//!
//! ```text
//! race ─► Concurrent (as the upstreams saw them) ─► kept by a rule ─► report
//! ```

mod race;

pub(crate) use race::race;

use versions::Stamp;
use versions::merge::Register;

/// An update as the application of its region saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// The region where it was written.
    pub region: String,
    /// What was written.
    pub value: String,
    /// The version that the mesh gave it.
    pub version: Stamp,
}

/// Two updates of one profile, each in a region of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Concurrent {
    /// The updates.
    pub updates: [Update; 2],
    /// How many pairs were sent until there was this one.
    pub tries: usize,
}

/// What came of sending such pairs: the closest one, or why there is none.
pub type Race = Result<Concurrent, String>;

/// How a region decides between what it has and what the other one brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// The larger version stays: `versions::merge::Register`.
    Version,
    /// What the ADR's `CustomerProfile.merge` does.
    Adr,
}

/// `CustomerProfile` of ADR-037: its version is a timestamp in milliseconds.
#[derive(Debug, Clone, Copy)]
struct AdrProfile<'u> {
    version: u64,
    value: &'u str,
}

impl AdrProfile<'_> {
    fn merge(&mut self, other: Self) {
        if other.version > self.version {
            *self = other;
        }
    }
}

impl Concurrent {
    /// How many milliseconds lie between them.
    pub fn apart_ms(&self) -> u64 {
        let [one, other] = &self.updates;
        one.version.ms().abs_diff(other.version.ms())
    }

    /// What the two regions keep: each has its own update, and then hears of the other one's.
    pub fn kept(&self, rule: Rule) -> [&str; 2] {
        let [one, other] = &self.updates;
        [after(rule, one, other), after(rule, other, one)]
    }

    /// Whether both regions keep the same.
    pub fn agree(&self, rule: Rule) -> bool {
        let [one, other] = self.kept(rule);
        one == other
    }
}

/// What a region keeps that has its own update and hears of another one.
fn after<'u>(rule: Rule, own: &'u Update, heard: &'u Update) -> &'u str {
    match rule {
        Rule::Version => {
            let register = |update: &'u Update| Register::new(update.version, &*update.value);
            let mut kept = register(own);
            kept.merge(register(heard));
            kept.value()
        }
        Rule::Adr => {
            let profile = |update: &'u Update| AdrProfile {
                version: update.version.ms(),
                value: &update.value,
            };
            let mut kept = profile(own);
            kept.merge(profile(heard));
            kept.value
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// An update of Taiwan and one of Tokyo.
    pub(crate) fn pair(taiwan: &str, tokyo: &str) -> Concurrent {
        let update = |region: &str, value: &str, version: &str| Update {
            region: region.to_owned(),
            value: value.to_owned(),
            version: Stamp::parse(version.as_bytes()).unwrap(),
        };
        let updates = [update("taiwan", "here", taiwan), update("tokyo", "there", tokyo)];
        Concurrent { updates, tries: 7 }
    }

    #[test]
    fn regions_agree_by_version_and_not_always_by_milliseconds() {
        const AGAIN: [&str; 2] = ["here", "there"];
        for (taiwan, tokyo, by_version, by_adr) in [
            // The same millisecond: nobody's is greater, so each keeps its own.
            ("0192f3a4b5c60000-tpe-3fa29c1b", "0192f3a4b5c60000-tyo-5d0c11e2", "there", AGAIN),
            ("0192f3a4b5c60001-tpe-3fa29c1b", "0192f3a4b5c60000-tyo-5d0c11e2", "here", AGAIN),
            ("0192f3a4b5c60007-tpe-ffffffff", "0192f3a4b5c60007-tyo-00000000", "there", AGAIN),
            // A millisecond between them: the later one, by both.
            (
                "0192f3a4b5c60000-tpe-3fa29c1b",
                "0192f3a4b5c70000-tyo-5d0c11e2",
                "there",
                ["there"; 2],
            ),
            ("0192f3a4b5c70000-tpe-3fa29c1b", "0192f3a4b5c60009-tyo-5d0c11e2", "here", ["here"; 2]),
        ] {
            let pair = pair(taiwan, tokyo);
            assert_eq!(pair.kept(Rule::Version), [by_version; 2], "{taiwan}, {tokyo}");
            assert_eq!(pair.kept(Rule::Adr), by_adr, "{taiwan}, {tokyo}");
            assert!(pair.agree(Rule::Version), "{taiwan}, {tokyo}");
            assert_eq!(pair.agree(Rule::Adr), pair.apart_ms() > 0, "{taiwan}, {tokyo}");
        }
    }
}
