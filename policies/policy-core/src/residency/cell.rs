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
    pub(super) permitted: [RegionSet; 3],
    /// Where that is so by an exception alone, by situation.
    pub(super) exempted: [Exempted; 3],
    /// What a request in this region gets where its data may not be, by situation.
    pub(super) excluded: [Option<Exclusion>; 3],
    /// The narrowest rule that applies, by situation.
    pub(super) rules: [Option<u16>; 3],
    /// Whether an exception would add a region that has expired, by situation.
    pub(super) lapsed: [bool; 3],
}

/// Where data may be by an exception alone: what each exception adds. More of them than there is room
/// for are told as the last one; no kind of request should need as many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Exempted([Option<(u16, RegionSet)>; Exempted::ROOM]);

impl Exempted {
    const ROOM: usize = 3;

    /// Adds what an exception adds.
    pub(super) fn add(&mut self, exception: u16, regions: RegionSet) {
        let place = self.0.iter().position(|slot| slot.is_none_or(|(known, _)| known == exception));
        let place = place.unwrap_or(Self::ROOM.saturating_sub(1));
        if let Some(slot) = self.0.get_mut(place) {
            let own = slot.map_or(RegionSet::EMPTY, |(_, regions)| regions);
            *slot = Some((exception, own.or(regions)));
        }
    }

    /// What another one adds as well.
    pub(super) fn extend(&mut self, other: &Self) {
        other.0.iter().flatten().for_each(|(exception, regions)| self.add(*exception, *regions));
    }

    /// Only in these regions.
    pub(super) fn within(&self, regions: RegionSet) -> Self {
        let within = |(exception, own): (u16, RegionSet)| {
            let own = own.and(regions);
            (!own.is_empty()).then_some((exception, own))
        };
        Self(self.0.map(|one| one.and_then(within)))
    }

    /// Every region.
    pub(super) fn regions(&self) -> RegionSet {
        self.0.iter().flatten().fold(RegionSet::EMPTY, |all, (_, regions)| all.or(*regions))
    }

    fn by(&self, region: RegionId) -> Option<u16> {
        let mut all = self.0.iter().flatten();
        all.find(|(_, regions)| regions.contains(region)).map(|(exception, _)| *exception)
    }
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

/// What of a cell decides: two cells that agree in it treat requests alike.
pub(super) type Limits = ([RegionSet; 3], [Option<(Otherwise, ProfileSet)>; 3]);

impl ResidencyCell {
    /// Of data that may be in these regions, whatever the rules say.
    pub(super) fn open(home: Option<RegionId>, regions: RegionSet) -> Self {
        Self {
            home,
            permitted: [regions; 3],
            exempted: [Exempted::default(); 3],
            excluded: [None; 3],
            rules: [None; 3],
            lapsed: [false; 3],
        }
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
        of(&self.exempted, situation).by(region).is_some()
    }

    /// The position of the narrowest rule that applies.
    pub(crate) fn rule(&self, situation: Situation) -> Option<usize> {
        of(&self.rules, situation).map(usize::from)
    }

    /// The position of the exception by which alone the data may be in a region.
    pub(crate) fn exception(&self, region: RegionId, situation: Situation) -> Option<usize> {
        of(&self.exempted, situation).by(region).map(usize::from)
    }

    /// Whether an exception would add a region, and has expired.
    pub fn has_lapsed(&self, situation: Situation) -> bool {
        *of(&self.lapsed, situation)
    }

    /// What holds where both hold.
    #[must_use]
    pub fn meet(&self, other: &Self) -> Self {
        let permitted = both(&self.permitted, &other.permitted, RegionSet::and);
        let exempted = both(&self.exempted, &other.exempted, |mut one: Exempted, other| {
            one.extend(&other);
            one
        });
        Self {
            home: self.home.filter(|home| other.home == Some(*home)),
            exempted: both(&exempted, &permitted, |exempted, permitted| exempted.within(permitted)),
            permitted,
            excluded: both(&self.excluded, &other.excluded, Exclusion::stricter),
            rules: both(&self.rules, &other.rules, Option::or),
            lapsed: both(&self.lapsed, &other.lapsed, |one, other| one || other),
        }
    }

    pub(super) fn limits(&self) -> Limits {
        let excluded = self.excluded.map(|excluded| {
            excluded.map(|Exclusion { otherwise, profiles, .. }| (otherwise, profiles))
        });
        (self.permitted, excluded)
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
    let ([normal, drill, failover], [other_normal, other_drill, other_failover]) = (*one, *other);
    [join(normal, other_normal), join(drill, other_drill), join(failover, other_failover)]
}
