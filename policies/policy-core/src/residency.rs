//! Residency rules compiled into one table per context: a country leads to a cell, whatever the
//! number of rules.

use crate::country::Country;
use crate::region::{RegionId, RegionSet};
use crate::vocabulary::{DataClass, Mode, Otherwise, Situation};
use crate::wire::{self, ConfigFault};
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

/// More rules than this are refused.
const RULES_MAX: usize = 500;

/// What the rules say of one context's data about subjects of some countries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ResidencyCell {
    /// The subject's home; nobody's data has none.
    pub home: Option<RegionId>,
    /// Where it may be in every situation.
    pub base: RegionSet,
    /// Where it may be as well in a drill and in a failover.
    fallback: [RegionSet; 2],
    /// Where a request is refused rather than sent elsewhere, by situation.
    refused_in: [RegionSet; 3],
    /// The narrowest rule that applies.
    rule: Option<u16>,
}

impl ResidencyCell {
    /// Where the data may be as well while the situation lasts.
    pub fn fallback(&self, situation: Situation) -> RegionSet {
        let [drill, failover] = self.fallback;
        match situation {
            Situation::Normal => RegionSet::EMPTY,
            Situation::Drill => drill,
            Situation::Failover => failover,
        }
    }

    /// Where the data may be.
    pub fn permitted(&self, situation: Situation) -> RegionSet {
        self.base.or(self.fallback(situation))
    }

    /// Where the data may be in some situation.
    pub fn ever_permitted(&self) -> RegionSet {
        self.fallback.iter().fold(self.base, |all, regions| all.or(*regions))
    }

    /// Where a request is refused rather than sent elsewhere.
    pub fn refused_in(&self, situation: Situation) -> RegionSet {
        let [normal, drill, failover] = self.refused_in;
        match situation {
            Situation::Normal => normal,
            Situation::Drill => drill,
            Situation::Failover => failover,
        }
    }

    /// The position of the narrowest rule that applies.
    pub(crate) fn rule(&self) -> Option<usize> {
        self.rule.map(usize::from)
    }

    fn best(&self) -> Option<RegionId> {
        self.home.filter(|home| self.base.contains(*home)).or_else(|| self.base.best())
    }
}

/// Countries with the same home, the same allowed regions and the same fallback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// `tokyo`, `taiwan~tokyo` (Tokyo by fallback) or `tokyo+taiwan` (both, home first).
    pub name: Box<str>,
    /// Where a lease of this group starts.
    pub home: RegionId,
    /// Where a lease of this group may ever be.
    pub possible: RegionSet,
}

/// Whom the data of one request is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// Nobody, because the context says so: only rules about nobody apply.
    Nobody,
    /// Somebody who need not be known and is not.
    Unknown,
    /// Somebody who resides there.
    Of(Country),
}

/// The residency table of one set of data classes.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    by_country: Box<[u16]>,
    cells: Box<[ResidencyCell]>,
    nobody: ResidencyCell,
    unknown: ResidencyCell,
}

impl Table {
    /// What the rules say of this subject's data, and the number of the cell if it is a country's.
    pub(crate) fn cell(&self, subject: Subject) -> (&ResidencyCell, Option<usize>) {
        let country = match subject {
            Subject::Nobody => return (&self.nobody, None),
            Subject::Unknown => return (&self.unknown, None),
            Subject::Of(country) => country,
        };
        let number = self.by_country.get(country.index()).map(|number| usize::from(*number));
        match number.and_then(|number| self.cells.get(number)) {
            Some(cell) => (cell, number),
            None => (&self.unknown, None),
        }
    }

    /// Whether it matters where a subject resides.
    pub(crate) fn depends_on_country(&self) -> bool {
        let limits = |cell: &ResidencyCell| (cell.base, cell.fallback, cell.refused_in);
        self.cells.iter().any(|cell| limits(cell) != limits(&self.unknown))
    }

    /// The cells that subjects lead to.
    pub(crate) fn cells(&self) -> &[ResidencyCell] {
        &self.cells
    }
}

/// The rules of a policy with every name looked up.
pub(crate) struct Rulebook<'w> {
    all: RegionSet,
    mode: Mode,
    homes: BTreeMap<Country, RegionId>,
    home_of_others: RegionId,
    rules: Vec<Rule<'w>>,
    /// The countries that rules for a class name, by the class.
    named: BTreeMap<DataClass, BTreeSet<Country>>,
}

struct Rule<'w> {
    wire: &'w wire::Rule,
    countries: BTreeSet<Country>,
    others: bool,
    regions: RegionSet,
    fallback: RegionSet,
}

impl<'w> Rulebook<'w> {
    pub(crate) fn compile(
        wire: &'w wire::Residency,
        region: &impl Fn(&str, &str) -> Result<RegionId, ConfigFault>,
        all: RegionSet,
    ) -> Result<Self, ConfigFault> {
        let mut homes = BTreeMap::new();
        let mut home_of_others = None;
        for (country, home) in &wire.home {
            let path = format!("policy.residency.home.{country}");
            let home = region(home, &path)?;
            if country == "*" {
                home_of_others = Some(home);
            } else {
                homes.insert(parse_country(country, &path)?, home);
            }
        }
        let home_of_others = home_of_others.ok_or_else(|| ConfigFault {
            path: String::from("policy.residency.home"),
            message: String::from("`*` is missing: the home of every country not named"),
        })?;
        if wire.rules.len() > RULES_MAX {
            return Err(ConfigFault {
                path: String::from("policy.residency.rules"),
                message: format!("are more than {RULES_MAX}"),
            });
        }
        let mut rules = Vec::new();
        let mut named: BTreeMap<DataClass, BTreeSet<Country>> = BTreeMap::new();
        for (number, rule) in wire.rules.iter().enumerate() {
            let rule = Rule::compile(rule, &format!("policy.residency.rules[{number}]"), region)?;
            for class in &rule.wire.data_classes {
                named.entry(*class).or_default().extend(&rule.countries);
            }
            rules.push(rule);
        }
        Ok(Self { all, mode: wire.mode, homes, home_of_others, rules, named })
    }

    /// The table of contexts with data of these classes.
    pub(crate) fn table(&self, classes: &BTreeSet<DataClass>) -> Table {
        let mut cells: Vec<ResidencyCell> = Vec::new();
        let mut numbers: BTreeMap<ResidencyCell, u16> = BTreeMap::new();
        let mut by_country = vec![0_u16; Country::COUNT];
        for country in Country::all() {
            let cell = self.cell(classes, Subject::Of(country));
            let number = *numbers.entry(cell).or_insert_with(|| {
                cells.push(cell);
                // At most one cell a country: 249 of them.
                u16::try_from(cells.len().saturating_sub(1)).unwrap_or(u16::MAX)
            });
            if let Some(slot) = by_country.get_mut(country.index()) {
                *slot = number;
            }
        }
        Table {
            by_country: by_country.into(),
            cells: cells.into(),
            nobody: self.cell(classes, Subject::Nobody),
            unknown: self.cell(classes, Subject::Unknown),
        }
    }

    fn cell(&self, classes: &BTreeSet<DataClass>, subject: Subject) -> ResidencyCell {
        let home = match subject {
            Subject::Nobody | Subject::Unknown => None,
            Subject::Of(country) => {
                Some(self.homes.get(&country).copied().unwrap_or(self.home_of_others))
            }
        };
        let mut permitted = [self.all; 3];
        let mut refused_in = [RegionSet::EMPTY; 3];
        let mut narrowest: Option<(u32, usize)> = None;
        if self.mode == Mode::Enforce {
            for class in classes {
                let mut applies = false;
                for (number, rule) in self.rules.iter().enumerate() {
                    if !self.applies(rule, *class, subject) {
                        continue;
                    }
                    applies = true;
                    let size = rule.regions.len();
                    if narrowest.is_none_or(|best| (size, number) < best) {
                        narrowest = Some((size, number));
                    }
                    for ((situation, permitted), refused_in) in
                        Situation::ALL.iter().zip(&mut permitted).zip(&mut refused_in)
                    {
                        let regions = rule.permitted(*situation);
                        *permitted = permitted.and(regions);
                        if rule.wire.otherwise == Otherwise::Deny {
                            *refused_in = refused_in.or(self.all.without(regions));
                        }
                    }
                }
                if !applies && class.is_bound() {
                    permitted = [RegionSet::EMPTY; 3];
                    narrowest = None;
                    break;
                }
            }
        }
        let [base, drill, failover] = permitted;
        ResidencyCell {
            home,
            base,
            fallback: [drill.without(base), failover.without(base)],
            refused_in,
            rule: narrowest.and_then(|(_, number)| u16::try_from(number).ok()),
        }
    }

    fn applies(&self, rule: &Rule<'_>, class: DataClass, subject: Subject) -> bool {
        self.fit(rule, class, subject) == Fit::Applies
    }

    fn fit(&self, rule: &Rule<'_>, class: DataClass, subject: Subject) -> Fit {
        if !rule.wire.data_classes.contains(&class) {
            return Fit::OtherClass;
        }
        let is_about_anybody = rule.wire.countries.is_empty() && !rule.wire.no_subject;
        let country = match subject {
            Subject::Of(country) => country,
            Subject::Nobody | Subject::Unknown if rule.wire.no_subject => return Fit::Applies,
            Subject::Unknown if is_about_anybody => return Fit::Applies,
            Subject::Nobody | Subject::Unknown => return Fit::AboutSomebody,
        };
        if rule.wire.no_subject {
            return Fit::AboutNobody;
        }
        let is_named = || self.named.get(&class).is_some_and(|all| all.contains(&country));
        match rule.others {
            _ if is_about_anybody || rule.countries.contains(&country) => Fit::Applies,
            true if is_named() => Fit::NamedElsewhere,
            true => Fit::Applies,
            false => Fit::OtherCountry,
        }
    }
}

/// Whether a rule applies to a subject's data of one class, and if not, why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// It does.
    Applies,
    /// It is about other classes.
    OtherClass,
    /// It is about subjects of other countries.
    OtherCountry,
    /// It is about countries that no other rule for the class names, and one does.
    NamedElsewhere,
    /// It is about requests that are about nobody.
    AboutNobody,
    /// It is about subjects whose country is known.
    AboutSomebody,
}

/// How the rules of a policy fit a subject's data of one class: one for each rule, in their order.
/// For people; a decision has a table.
///
/// # Errors
/// The JSON path of what is no policy.
pub fn fits(
    body: &wire::PolicyBody,
    class: DataClass,
    subject: Subject,
) -> Result<Vec<Fit>, ConfigFault> {
    let region = |name: &str, path: &str| {
        let number = body.regions.iter().position(|region| region.name == name);
        number.and_then(RegionId::new).ok_or_else(|| ConfigFault {
            path: String::from(path),
            message: format!("`{name}` is no region of this policy set"),
        })
    };
    let all = RegionSet::first(body.regions.len());
    let rules = Rulebook::compile(&body.residency, &region, all)?;
    Ok(rules.rules.iter().map(|rule| rules.fit(rule, class, subject)).collect())
}

impl<'w> Rule<'w> {
    fn compile(
        wire: &'w wire::Rule,
        path: &str,
        region: &impl Fn(&str, &str) -> Result<RegionId, ConfigFault>,
    ) -> Result<Self, ConfigFault> {
        let fault = |at: &str, message: &str| ConfigFault {
            path: format!("{path}.{at}"),
            message: String::from(message),
        };
        let mut countries = BTreeSet::new();
        let mut others = false;
        for (number, country) in wire.countries.iter().enumerate() {
            if country == "*" {
                others = true;
            } else {
                countries.insert(parse_country(country, &format!("{path}.countries[{number}]"))?);
            }
        }
        if others && !countries.is_empty() {
            return Err(fault("countries", "`*` stands beside other countries"));
        }
        if wire.no_subject && !wire.countries.is_empty() {
            return Err(fault("noSubject", "a rule about nobody names countries"));
        }
        if wire.data_classes.is_empty() {
            return Err(fault("dataClasses", "names no class"));
        }
        if wire.regions.is_empty() {
            return Err(fault("regions", "names no region"));
        }
        let set = |names: &[String], at: &str| -> Result<RegionSet, ConfigFault> {
            let mut regions = RegionSet::EMPTY;
            for (number, name) in names.iter().enumerate() {
                regions = regions.or(region(name, &format!("{path}.{at}[{number}]"))?.into());
            }
            Ok(regions)
        };
        let fallback = match &wire.fallback {
            None => RegionSet::EMPTY,
            Some(fallback) => {
                if fallback.situations.contains(&Situation::Normal) {
                    return Err(fault(
                        "fallback.situations",
                        "`normal` is no situation to fall back in",
                    ));
                }
                set(&fallback.regions, "fallback.regions")?
            }
        };
        Ok(Self { wire, countries, others, regions: set(&wire.regions, "regions")?, fallback })
    }

    fn permitted(&self, situation: Situation) -> RegionSet {
        match &self.wire.fallback {
            Some(fallback) if fallback.situations.contains(&situation) => {
                self.regions.or(self.fallback)
            }
            _ => self.regions,
        }
    }
}

/// The groups of a table, and the number of the group that each cell belongs to. Cells that no
/// region may have belong to none.
pub(crate) fn groups(
    table: &Table,
    name_of: &impl Fn(RegionId) -> Box<str>,
) -> Result<(Vec<Group>, Vec<Option<usize>>), String> {
    let mut groups: Vec<Group> = Vec::new();
    let mut keys: Vec<[RegionSet; 3]> = Vec::new();
    let mut of_cell = Vec::new();
    for cell in table.cells() {
        let [drill, failover] = cell.fallback;
        let fallback = drill.or(failover);
        let Some(home) = cell.best() else {
            of_cell.push(None);
            continue;
        };
        let others = cell.base.without(home.into());
        let mut name = String::from(name_of(home));
        for region in others.iter() {
            name.push('+');
            name.push_str(&name_of(region));
        }
        for (number, region) in fallback.iter().enumerate() {
            name.push(if number == 0 { '~' } else { '+' });
            name.push_str(&name_of(region));
        }
        let key = [cell.base, drill, failover];
        let known = groups.iter().position(|group| *group.name == *name);
        let number = match known {
            Some(number) if keys.get(number) == Some(&key) => number,
            Some(_) => {
                return Err(format!(
                    "two residency groups would be named `{name}`: \
                     their rules fall back to the same regions in different situations"
                ));
            }
            None => {
                groups.push(Group { name: name.into(), home, possible: cell.base.or(fallback) });
                keys.push(key);
                groups.len().saturating_sub(1)
            }
        };
        of_cell.push(Some(number));
    }
    Ok((groups, of_cell))
}

fn parse_country(code: &str, path: &str) -> Result<Country, ConfigFault> {
    Country::parse(code.as_bytes()).ok_or_else(|| ConfigFault {
        path: String::from(path),
        message: format!("`{code}` is no ISO 3166 country code"),
    })
}
