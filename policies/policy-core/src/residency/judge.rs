//! What all rules together say, under given circumstances. This runs while a policy is compiled.

use super::cell::{Exclusion, Exempted, ResidencyCell};
use super::rulebook::{Exception, Rule, Rulebook, Says};
use crate::caller::BasisSet;
use crate::country::Country;
use crate::moment::Moment;
use crate::region::{RegionId, RegionSet};
use crate::vocabulary::{DataClass, Operation, PrincipalKind, ResidencyMode, Situation};
use alloc::vec::Vec;

/// One column of a table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    pub(super) operation: Operation,
    pub(super) kind: PrincipalKind,
    pub(super) entry: RegionId,
    pub(super) bucket: u8,
    pub(super) bases: BasisSet,
}

/// One row of a table: subjects that the same rules are about.
#[derive(Debug, Clone, Default)]
pub(super) struct Row {
    pub(super) home: Option<RegionId>,
    /// The country whose law is that of a region, where that matters.
    pub(super) law: Option<Country>,
    /// Which of the table's rules are about them, each with one of the table's classes.
    pub(super) rules: Vec<(usize, DataClass)>,
    /// The same for exceptions.
    pub(super) exceptions: Vec<(usize, DataClass)>,
}

/// What becomes of a rule that is in shadow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shadows {
    /// It allows everything.
    Allow,
    /// It is enforced.
    Act,
}

/// The rules of one table.
pub(super) struct Judge<'b, 'w> {
    pub(super) book: &'b Rulebook<'w>,
    pub(super) rules: Vec<&'b Rule>,
    pub(super) exceptions: Vec<&'b Exception>,
    pub(super) classes: Vec<DataClass>,
}

/// What one class of data leaves in one situation.
struct Left {
    permitted: RegionSet,
    exempted: Exempted,
    fallback: RegionSet,
    excluded: Option<Exclusion>,
    /// The narrowest rule: how many regions it leaves, and its number.
    narrowest: Option<(u32, u16)>,
    has_lapsed: bool,
}

impl Judge<'_, '_> {
    /// What the rules say of a row in a column at one time.
    pub(super) fn cell(
        &self,
        row: &Row,
        column: Column,
        at: Moment,
        shadows: Shadows,
    ) -> ResidencyCell {
        let all = self.book.names.all;
        let mut cell = ResidencyCell::open(row.home, all);
        let acts = match self.book.mode(at) {
            ResidencyMode::Disabled => return cell,
            ResidencyMode::Shadow if shadows == Shadows::Allow => return cell,
            ResidencyMode::Shadow | ResidencyMode::Enforce => shadows == Shadows::Act,
        };
        let here = self.book.here;
        let mut normal: Option<(RegionSet, Option<Exclusion>)> = None;
        let slots = cell
            .permitted
            .iter_mut()
            .zip(&mut cell.exempted)
            .zip(&mut cell.excluded)
            .zip(cell.rules.iter_mut().zip(&mut cell.lapsed));
        for (situation, (((permitted, exempted), excluded), (rule, lapsed))) in
            Situation::ALL.iter().zip(slots)
        {
            let mut fallback = RegionSet::EMPTY;
            let mut narrowest = None;
            for class in &self.classes {
                let left = self.left(row, column, *class, *situation, at, acts);
                *permitted = permitted.and(left.permitted);
                exempted.extend(&left.exempted);
                *excluded = Exclusion::stricter(*excluded, left.excluded);
                fallback = fallback.or(left.fallback);
                narrowest = match (narrowest, left.narrowest) {
                    (Some(best), Some(own)) if best <= own => Some(best),
                    (best, own) => own.or(best),
                };
                *lapsed |= left.has_lapsed;
            }
            // A situation widens nothing but by the fallback of a rule, or an exception (R7).
            if let Some((in_normal, why)) = normal {
                let widest = in_normal.or(fallback).or(exempted.regions());
                *permitted = permitted.and(widest);
                if !widest.contains(here) {
                    // What keeps it from here in normal times does so now.
                    *excluded = Exclusion::stricter(*excluded, why);
                }
            }
            *exempted = exempted.within(*permitted);
            normal = normal.or(Some((*permitted, *excluded)));
            *rule = narrowest.map(|(_, number)| number);
        }
        cell
    }

    /// What the rules leave of one class in one situation: what every rule allows, and exceptions
    /// add, but for what a rule denies.
    fn left(
        &self,
        row: &Row,
        column: Column,
        class: DataClass,
        situation: Situation,
        at: Moment,
        acts: bool,
    ) -> Left {
        let all = self.book.names.all;
        let mut left = Left {
            permitted: all,
            exempted: Exempted::default(),
            fallback: RegionSet::EMPTY,
            excluded: None,
            narrowest: None,
            has_lapsed: false,
        };
        let mut denied = RegionSet::EMPTY;
        let mut denial = None;
        let mut is_covered = false;
        let own = row.rules.iter().filter(|(_, of)| *of == class);
        for rule in own.filter_map(|(number, _)| self.rules.get(*number)) {
            if !applies(rule, column, situation, at) {
                continue;
            }
            is_covered |= matches!(rule.says, Says::May { .. });
            if !acts && is_shadow(rule, column, at) {
                continue;
            }
            let leaves = self.leaves(rule, row, column, situation, at);
            let exclusion = Exclusion::by(rule.number, rule.otherwise, rule.profiles);
            let exclusion = (!leaves.contains(self.book.here)).then_some(exclusion);
            match rule.says {
                Says::May { fallback, .. } => {
                    left.fallback = left.fallback.or(in_situation(fallback, situation));
                    left.permitted = left.permitted.and(leaves);
                    left.excluded = Exclusion::stricter(left.excluded, exclusion);
                }
                Says::MayNot(regions) => {
                    denied = denied.or(regions);
                    denial = Exclusion::stricter(denial, exclusion);
                }
            }
            let own = (leaves.len(), rule.number);
            if left.narrowest.is_none_or(|best| own < best) {
                left.narrowest = Some(own);
            }
        }
        if !is_covered && class.is_bound() {
            left.permitted = RegionSet::EMPTY;
            left.excluded = Some(Exclusion::BY_DEFAULT);
        }
        self.except(&mut left, row, column, class, situation, at);
        if left.permitted.contains(self.book.here) {
            left.excluded = None;
        }
        left.permitted = left.permitted.without(denied);
        left.exempted = left.exempted.within(left.permitted);
        left.excluded = Exclusion::stricter(left.excluded, denial);
        left
    }

    /// The regions that one rule leaves.
    fn leaves(
        &self,
        rule: &Rule,
        row: &Row,
        column: Column,
        situation: Situation,
        at: Moment,
    ) -> RegionSet {
        match rule.says {
            Says::May { regions, fallback, basis } => {
                let regions = regions.or(in_situation(fallback, situation));
                let rests = |basis| self.book.basis_holds(basis, column.bases, at);
                if basis.is_none_or(rests) {
                    regions
                } else {
                    regions.and(self.book.under_law_of(row.law))
                }
            }
            Says::MayNot(regions) => self.book.names.all.without(regions),
        }
    }

    fn except(
        &self,
        left: &mut Left,
        row: &Row,
        column: Column,
        class: DataClass,
        situation: Situation,
        at: Moment,
    ) {
        let own = row.exceptions.iter().filter(|(_, of)| *of == class);
        for exception in own.filter_map(|(number, _)| self.exceptions.get(*number)) {
            let added = exception.regions.without(left.permitted);
            if added.is_empty() || !exception.when.fits(column, situation) {
                continue;
            }
            if exception.is_in_force(at) {
                left.exempted.add(exception.number, added);
                left.permitted = left.permitted.or(added);
            } else {
                left.has_lapsed |= exception.has_lapsed(at);
            }
        }
    }

    /// What those rules say that hold for every request about a subject, at any time: what leases
    /// go by. A class that only other rules are about may be anywhere as far as these say.
    pub(super) fn standing(&self, row: &Row) -> ResidencyCell {
        let all = self.book.names.all;
        let mut permitted = [all; 3];
        let classes = if self.book.is_disabled() { &[][..] } else { &self.classes };
        for class in classes {
            let own = || row.rules.iter().filter(|(_, of)| of == class);
            let rules = own().filter_map(|(number, _)| self.rules.get(*number));
            let mut is_covered = false;
            for rule in rules {
                is_covered |= matches!(rule.says, Says::May { .. });
                if !rule.stands(all) {
                    continue;
                }
                for (number, permitted) in permitted.iter_mut().enumerate() {
                    *permitted = match rule.says {
                        Says::May { regions, fallback, .. } => {
                            let fallback = fallback.get(number).copied().unwrap_or_default();
                            permitted.and(regions.or(fallback))
                        }
                        Says::MayNot(regions) => permitted.without(regions),
                    };
                }
            }
            if !is_covered && class.is_bound() {
                permitted = [RegionSet::EMPTY; 3];
            }
        }
        ResidencyCell { permitted, ..ResidencyCell::open(row.home, all) }
    }
}

fn in_situation([_, drill, failover]: [RegionSet; 3], situation: Situation) -> RegionSet {
    match situation {
        Situation::Normal => RegionSet::EMPTY,
        Situation::Drill => drill,
        Situation::Failover => failover,
    }
}

/// Whether a rule of a row applies, in shadow or not.
fn applies(rule: &Rule, column: Column, situation: Situation, at: Moment) -> bool {
    rule.when.fits(column, situation)
        && rule.is_in_force(at)
        && rule.phase.at(at) != ResidencyMode::Disabled
}

fn is_shadow(rule: &Rule, column: Column, at: Moment) -> bool {
    rule.phase.at(at) == ResidencyMode::Shadow
        || rule.percent.is_some_and(|percent| column.bucket >= percent)
}
