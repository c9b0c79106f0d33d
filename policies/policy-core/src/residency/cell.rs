//! What all rules together say of one kind of request.

use crate::redaction::ProfileSet;
use crate::region::{RegionId, RegionSet};
use crate::vocabulary::{Otherwise, Situation};

/// What the rules say of one context's data about some subjects, under some circumstances.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ResidencyCell {
    /// The subject's home; nobody's data has none, nor has that of several subjects.
    pub home: Option<RegionId>,
    /// Where it may be, by situation.
    permitted: [RegionSet; 3],
    /// Where that is so by an exception alone, by situation.
    exempted: [RegionSet; 3],
    /// What a request in this region gets where its data may not be, by situation.
    excluded: [Option<Exclusion>; 3],
    /// The narrowest rule that applies, by situation.
    rules: [Option<u16>; 3],
    /// The exception that adds a region.
    exception: Option<u16>,
    /// An exception that would add one and has expired.
    lapsed: Option<u16>,
    /// The transfer basis that the narrowest rule rests on.
    basis: Option<u16>,
}

/// What a request gets in a region where its data may not be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Exclusion {
    /// What is done with it: the strictest that a rule says.
    pub otherwise: Otherwise,
    /// The narrowest of the rules that say so; none where no rule is about such data.
    rule: Option<u16>,
    /// The profiles of rules that redact.
    pub profiles: ProfileSet,
}

/// What a cell is made of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parts {
    pub(super) home: Option<RegionId>,
    pub(super) permitted: [RegionSet; 3],
    pub(super) exempted: [RegionSet; 3],
    pub(super) excluded: [Option<Exclusion>; 3],
    pub(super) rules: [Option<u16>; 3],
    pub(super) exception: Option<u16>,
    pub(super) lapsed: Option<u16>,
    pub(super) basis: Option<u16>,
}

/// What of a cell decides: two cells that agree in it treat requests alike.
pub(super) type Limits = ([RegionSet; 3], [Option<(Otherwise, ProfileSet)>; 3]);

impl ResidencyCell {
    pub(super) fn new(parts: Parts) -> Self {
        let Parts { home, permitted, exempted, excluded, rules, exception, lapsed, basis } = parts;
        Self { home, permitted, exempted, excluded, rules, exception, lapsed, basis }
    }

    /// Where the data may be.
    pub fn permitted(&self, situation: Situation) -> RegionSet {
        *of(&self.permitted, situation)
    }

    /// Where the data may be whatever the regions are going through; of these a request takes one as
    /// long as any is up.
    pub fn base(&self, situation: Situation) -> RegionSet {
        self.permitted(Situation::Normal).and(self.permitted(situation))
    }

    /// Where the data may be as well while the situation lasts.
    pub fn fallback(&self, situation: Situation) -> RegionSet {
        self.permitted(situation).without(self.permitted(Situation::Normal))
    }

    /// Where the data may be in some situation.
    pub fn ever_permitted(&self) -> RegionSet {
        self.permitted.iter().fold(RegionSet::EMPTY, |all, regions| all.or(*regions))
    }

    /// What a request in this region gets if its data may not be here and a rule says so; without
    /// one it is sent elsewhere, or refused if there is nowhere.
    pub fn excluded(&self, situation: Situation) -> Option<Exclusion> {
        *of(&self.excluded, situation)
    }

    /// Whether the data may be in a region by an exception alone.
    pub fn is_exempted(&self, region: RegionId, situation: Situation) -> bool {
        of(&self.exempted, situation).contains(region)
    }

    /// The position of the narrowest rule that applies.
    pub(crate) fn rule(&self, situation: Situation) -> Option<usize> {
        of(&self.rules, situation).map(usize::from)
    }

    /// The position of the exception that adds a region.
    pub(crate) fn exception(&self) -> Option<usize> {
        self.exception.map(usize::from)
    }

    /// Whether an exception would add a region, and has expired.
    pub fn has_lapsed(&self) -> bool {
        self.lapsed.is_some()
    }

    /// The position of the transfer basis that the narrowest rule rests on.
    pub(crate) fn basis(&self) -> Option<usize> {
        self.basis.map(usize::from)
    }

    /// What holds where both hold.
    #[must_use]
    pub fn meet(&self, other: &Self) -> Self {
        let permitted = both(&self.permitted, &other.permitted, |one, other| one.and(other));
        let exempted = both(&self.exempted, &other.exempted, |one, other| one.or(other));
        Self {
            home: self.home.filter(|home| other.home == Some(*home)),
            exempted: both(&exempted, &permitted, |exempted, permitted| exempted.and(permitted)),
            permitted,
            excluded: both(&self.excluded, &other.excluded, Exclusion::stricter),
            rules: both(&self.rules, &other.rules, |one, other| one.or(other)),
            exception: self.exception.or(other.exception),
            lapsed: self.lapsed.or(other.lapsed),
            basis: self.basis.or(other.basis),
        }
    }

    pub(super) fn limits(&self) -> Limits {
        let excluded = self.excluded.map(|excluded| {
            excluded.map(|Exclusion { otherwise, profiles, .. }| (otherwise, profiles))
        });
        (self.permitted, excluded)
    }

    pub(super) fn by_situation(&self) -> &[RegionSet; 3] {
        &self.permitted
    }

    /// Where a lease for such data starts.
    pub(super) fn best(&self) -> Option<RegionId> {
        let base = self.permitted(Situation::Normal);
        self.home.filter(|home| base.contains(*home)).or_else(|| base.best())
    }
}

impl Exclusion {
    /// What a rule says.
    pub(super) fn by(rule: u16, otherwise: Otherwise, profiles: ProfileSet) -> Self {
        Self { otherwise, rule: Some(rule), profiles }
    }

    /// Data about persons that no rule is about.
    pub(super) const BY_DEFAULT: Self =
        Self { otherwise: Otherwise::Deny, rule: None, profiles: ProfileSet::EMPTY };

    /// The position of the rule that says so.
    pub(crate) fn rule(&self) -> Option<usize> {
        self.rule.map(usize::from)
    }

    /// The stricter of what two rules say; the profiles of both if both redact.
    pub(super) fn stricter(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        let (Some(one), Some(other)) = (one, other) else { return one.or(other) };
        let (stricter, milder) =
            if other.otherwise > one.otherwise { (other, one) } else { (one, other) };
        let profiles = if stricter.otherwise == milder.otherwise {
            stricter.profiles.or(milder.profiles)
        } else {
            stricter.profiles
        };
        Some(Self { profiles, ..stricter })
    }
}

/// What is said of one situation.
fn of<T>(all: &[T; 3], situation: Situation) -> &T {
    let [normal, drill, failover] = all;
    match situation {
        Situation::Normal => normal,
        Situation::Drill => drill,
        Situation::Failover => failover,
    }
}

fn both<T: Copy, U: Copy, V>(one: &[T; 3], other: &[U; 3], join: impl Fn(T, U) -> V) -> [V; 3] {
    let ([a, b, c], [d, e, f]) = (*one, *other);
    [join(a, d), join(b, e), join(c, f)]
}
