//! The rules of a policy with every name looked up.

use super::conditions::{Conditions, Whom, place};
use crate::caller::BasisSet;
use crate::country::Country;
use crate::moment::Moment;
use crate::redaction::ProfileSet;
use crate::region::{RegionId, RegionSet};
use crate::vocabulary::{DataClass, OnUnknownSubject, Otherwise, ResidencyMode, Situation};
use crate::wire::{self, ConfigFault};
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

/// More than this are refused.
const RULES_MAX: usize = 10_000;
const EXCEPTIONS_MAX: usize = 500;
const BASES_MAX: usize = 100;
/// The longest time that an exception may last.
pub const EXCEPTION_DAYS_MAX: u64 = 30;

/// What names of a policy stand for.
pub(crate) struct Names<'w> {
    pub(crate) body: &'w wire::PolicyBody,
    pub(crate) all: RegionSet,
}

impl<'w> Names<'w> {
    pub(crate) fn of(body: &'w wire::PolicyBody) -> Self {
        Self { body, all: RegionSet::first(body.regions.len()) }
    }

    pub(crate) fn region(&self, name: &str, path: &str) -> Result<RegionId, ConfigFault> {
        let number = self.body.regions.iter().position(|region| region.name == name);
        number
            .and_then(RegionId::new)
            .ok_or_else(|| fault(path, format!("`{name}` is no region of this policy set")))
    }

    pub(super) fn regions(&self, names: &[String], path: &str) -> Result<RegionSet, ConfigFault> {
        let mut regions = RegionSet::EMPTY;
        for (number, name) in names.iter().enumerate() {
            regions = regions.or(self.region(name, &format!("{path}[{number}]"))?.into());
        }
        Ok(regions)
    }

    pub(super) fn context(&self, name: &str, path: &str) -> Result<(), ConfigFault> {
        if self.body.contexts.iter().any(|context| context.name == name) {
            return Ok(());
        }
        Err(fault(path, format!("`{name}` is no context")))
    }
}

/// The rules of a policy.
pub(crate) struct Rulebook<'w> {
    pub(super) names: Names<'w>,
    pub(super) here: RegionId,
    mode: Phase,
    homes: BTreeMap<Country, RegionId>,
    home_of_others: RegionId,
    on_unknown: &'w BTreeMap<DataClass, OnUnknownSubject>,
    jurisdictions: Vec<Country>,
    bases: Vec<Basis>,
    pub(super) rules: Vec<Rule>,
    pub(super) exceptions: Vec<Exception>,
    /// The countries that rules for a class name, by the class.
    named: BTreeMap<DataClass, BTreeSet<Country>>,
}

/// Which contexts have one table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TableKey {
    pub(crate) classes: BTreeSet<DataClass>,
    /// Where rules name purposes.
    purpose: Option<Box<str>>,
    /// Where rules name contexts.
    context: Option<Box<str>>,
}

/// A mode, and when it ends. Behind its end a rule is enforced.
#[derive(Debug, Clone, Copy)]
pub(super) struct Phase {
    mode: ResidencyMode,
    until: Option<Moment>,
}

impl Phase {
    fn compile(
        mode: ResidencyMode,
        until: Option<&String>,
        path: &str,
    ) -> Result<Self, ConfigFault> {
        let until = moment(until, &format!("{path}Until"))?;
        match (mode, until) {
            (ResidencyMode::Enforce, Some(_)) => {
                Err(fault(format!("{path}Until"), "is for another mode than `enforce`"))
            }
            (ResidencyMode::Shadow, None) => {
                Err(fault(format!("{path}Until"), "is missing: `shadow` has to end"))
            }
            _ => Ok(Self { mode, until }),
        }
    }

    pub(super) fn at(self, at: Moment) -> ResidencyMode {
        match self.until {
            Some(until) if until <= at => ResidencyMode::Enforce,
            _ => self.mode,
        }
    }
}

/// One rule.
pub(super) struct Rule {
    pub(super) number: u16,
    pub(super) when: Conditions,
    pub(super) says: Says,
    pub(super) otherwise: Otherwise,
    pub(super) profiles: ProfileSet,
    pub(super) phase: Phase,
    pub(super) percent: Option<u8>,
    from: Option<Moment>,
    until: Option<Moment>,
}

/// What a rule says.
pub(super) enum Says {
    /// Where data may be.
    May { regions: RegionSet, fallback: [RegionSet; 3], basis: Option<u16> },
    /// Where data may never be.
    MayNot(RegionSet),
}

/// What a transfer rests on.
struct Basis {
    expires: Option<Moment>,
    /// Its number among those that a claim grants.
    granted: Option<usize>,
}

/// One exception.
pub(super) struct Exception {
    pub(super) number: u16,
    pub(super) when: Conditions,
    pub(super) regions: RegionSet,
    from: Moment,
    until: Moment,
}

impl Exception {
    pub(super) fn is_in_force(&self, at: Moment) -> bool {
        self.from <= at && at < self.until
    }

    pub(super) fn has_lapsed(&self, at: Moment) -> bool {
        self.until <= at
    }

    pub(super) fn dates(&self) -> [Moment; 2] {
        [self.from, self.until]
    }
}

impl Rule {
    pub(super) fn is_in_force(&self, at: Moment) -> bool {
        self.from.is_none_or(|from| from <= at) && self.until.is_none_or(|until| at < until)
    }

    /// Whether it rests on a transfer basis.
    pub(super) fn rests(&self) -> bool {
        matches!(self.says, Says::May { basis: Some(_), .. })
    }

    /// Whether it is in force whatever the time, and for whoever it is about.
    pub(super) fn stands(&self, all: RegionSet) -> bool {
        let is_permanent = self.from.is_none() && self.until.is_none();
        let is_enforced = self.phase.mode == ResidencyMode::Enforce && self.percent.is_none();
        is_permanent && is_enforced && !self.rests() && self.when.is_about_subjects_alone(all)
    }
}

impl<'w> Rulebook<'w> {
    pub(crate) fn compile(body: &'w wire::PolicyBody, here: RegionId) -> Result<Self, ConfigFault> {
        let wire = &body.residency;
        let names = Names::of(body);
        let mut homes = BTreeMap::new();
        let mut home_of_others = None;
        for (country, home) in &wire.home {
            let path = format!("policy.residency.home.{country}");
            let home = names.region(home, &path)?;
            if country == "*" {
                home_of_others = Some(home);
            } else {
                homes.insert(parse_country(country, &path)?, home);
            }
        }
        let home_of_others = home_of_others.ok_or_else(|| {
            fault("policy.residency.home", "`*` is missing: the home of every country not by_class")
        })?;
        for (path, count, most) in [
            ("policy.residency.rules", wire.rules.len(), RULES_MAX),
            ("policy.residency.exceptions", wire.exceptions.len(), EXCEPTIONS_MAX),
            ("policy.residency.transferBases", wire.transfer_bases.len(), BASES_MAX),
        ] {
            if count > most {
                return Err(fault(path, format!("are more than {most}")));
            }
        }
        let has_law = wire.rules.iter().any(|rule| rule.legal_ref.is_some());
        if wire.mode == ResidencyMode::Shadow && has_law {
            let message = "is `shadow` with a rule that has `legalRef`: that is enforced";
            return Err(fault("policy.residency.mode", message));
        }
        let bases = compile_bases(&wire.transfer_bases)?;
        let mut rules = Vec::with_capacity(wire.rules.len());
        let mut by_class: BTreeMap<DataClass, BTreeSet<Country>> = BTreeMap::new();
        for (number, rule) in (0..).zip(&wire.rules) {
            let rule = Rule::compile(rule, number, wire, &names)?;
            if let (Whom::Of(countries), Says::May { .. }) = (&rule.when.whom, &rule.says) {
                for class in DataClass::ALL {
                    if rule.when.classes.contains(place(DataClass::ALL, *class)) {
                        by_class.entry(*class).or_default().extend(countries);
                    }
                }
            }
            rules.push(rule);
        }
        let exceptions = (0..).zip(&wire.exceptions);
        let exceptions =
            exceptions.map(|(number, exception)| Exception::compile(exception, number, &names));
        let jurisdictions = body.regions.iter().enumerate().map(|(number, region)| {
            parse_country(&region.jurisdiction, &format!("policy.regions[{number}].jurisdiction"))
        });
        Ok(Self {
            here,
            mode: Phase::compile(wire.mode, wire.mode_until.as_ref(), "policy.residency.mode")?,
            homes,
            home_of_others,
            on_unknown: &wire.on_unknown_subject,
            jurisdictions: jurisdictions.collect::<Result<_, _>>()?,
            bases,
            rules,
            exceptions: exceptions.collect::<Result<_, _>>()?,
            named: by_class,
            names,
        })
    }

    /// Which table a context needs.
    pub(crate) fn key(&self, context: &wire::Context) -> TableKey {
        self.key_of(context, context.data_classes.iter().copied())
    }

    /// Which table the data of some classes needs in a context.
    pub(crate) fn key_of(
        &self,
        context: &wire::Context,
        classes: impl IntoIterator<Item = DataClass>,
    ) -> TableKey {
        let classes: BTreeSet<DataClass> = classes.into_iter().collect();
        // Contexts that no rule about such data tells apart share a table.
        let is_about = |when: &&Conditions| {
            classes.iter().any(|class| when.classes.contains(place(DataClass::ALL, *class)))
        };
        let conditions = || {
            let of_rules = self.rules.iter().map(|rule| &rule.when);
            let of_exceptions = self.exceptions.iter().map(|exception| &exception.when);
            of_rules.chain(of_exceptions).filter(is_about)
        };
        let by_context = conditions().any(Conditions::names_contexts);
        let by_purpose = conditions().any(Conditions::names_purposes);
        TableKey {
            purpose: context.purpose.as_deref().filter(|_| by_purpose).map(Into::into),
            context: by_context.then(|| context.name.as_str().into()),
            classes,
        }
    }

    /// The rules and exceptions that may apply to contexts of a table.
    pub(super) fn relevant<'b>(&'b self, key: &TableKey) -> (Vec<&'b Rule>, Vec<&'b Exception>) {
        let classes: Vec<usize> =
            key.classes.iter().map(|class| place(DataClass::ALL, *class)).collect();
        let fits = |when: &Conditions| {
            classes.iter().any(|class| when.classes.contains(*class))
                && when.fits_context(key.context.as_deref().unwrap_or_default())
                && when.fits_purpose(key.purpose.as_deref())
        };
        let rules = self.rules.iter().filter(|rule| fits(&rule.when)).collect();
        (rules, self.exceptions.iter().filter(|exception| fits(&exception.when)).collect())
    }

    /// What happens where it is not known where a subject of these classes resides: the strictest.
    pub(crate) fn on_unknown(&self, classes: &BTreeSet<DataClass>) -> OnUnknownSubject {
        let of = |class| self.on_unknown.get(class).copied().unwrap_or(OnUnknownSubject::Deny);
        classes.iter().map(of).max().unwrap_or(OnUnknownSubject::Deny)
    }

    pub(super) fn mode(&self, at: Moment) -> ResidencyMode {
        self.mode.at(at)
    }

    /// Whether no rule ever acts.
    pub(super) fn is_disabled(&self) -> bool {
        self.mode.mode == ResidencyMode::Disabled && self.mode.until.is_none()
    }

    /// The home of each country, by its index.
    pub(crate) fn homes(&self) -> Box<[Option<RegionId>]> {
        let mut homes = vec![None; Country::COUNT];
        for country in Country::all() {
            if let Some(slot) = homes.get_mut(country.index()) {
                *slot = Some(self.home(country));
            }
        }
        homes.into()
    }

    pub(super) fn home(&self, country: Country) -> RegionId {
        self.homes.get(&country).copied().unwrap_or(self.home_of_others)
    }

    pub(super) fn is_named(&self, class: DataClass, country: Country) -> bool {
        self.named.get(&class).is_some_and(|all| all.contains(&country))
    }

    /// Whose law applies in each region.
    pub(crate) fn jurisdictions(&self) -> &[Country] {
        &self.jurisdictions
    }

    /// The regions whose law is a country's.
    pub(super) fn under_law_of(&self, country: Option<Country>) -> RegionSet {
        let own = |law: &Country| Some(*law) == country;
        let regions = self.jurisdictions.iter().enumerate().filter(|(_, law)| own(law));
        regions.filter_map(|(number, _)| RegionId::new(number)).collect()
    }

    pub(super) fn basis_holds(&self, basis: u16, granted: BasisSet, at: Moment) -> bool {
        self.bases.get(usize::from(basis)).is_some_and(|basis| {
            basis.expires.is_none_or(|expires| at < expires)
                && basis.granted.is_none_or(|number| granted.contains(number))
        })
    }

    pub(super) fn granted_bases(&self) -> usize {
        self.bases.iter().filter(|basis| basis.granted.is_some()).count()
    }

    /// When what a rule says may change.
    pub(super) fn dates(&self, rule: &Rule) -> impl Iterator<Item = Moment> {
        let basis = match rule.says {
            Says::May { basis: Some(basis), .. } => {
                self.bases.get(usize::from(basis)).and_then(|basis| basis.expires)
            }
            _ => None,
        };
        [rule.from, rule.until, rule.phase.until, basis].into_iter().flatten()
    }

    pub(super) fn mode_until(&self) -> Option<Moment> {
        self.mode.until
    }
}

impl Rule {
    fn compile(
        wire: &wire::Rule,
        number: u16,
        residency: &wire::Residency,
        names: &Names<'_>,
    ) -> Result<Self, ConfigFault> {
        let path = format!("policy.residency.rules[{number}]");
        let at = |key: &str| format!("{path}.{key}");
        let basis = match &wire.transfer_basis {
            None => None,
            Some(name) => {
                let known = residency.transfer_bases.iter().position(|basis| basis.name == *name);
                let known = known.and_then(|known| u16::try_from(known).ok());
                Some(known.ok_or_else(|| {
                    fault(at("transferBasis"), format!("`{name}` is no transfer basis"))
                })?)
            }
        };
        let says = match (wire.regions.is_empty(), wire.denied_regions.is_empty()) {
            (true, true) => return Err(fault(at("regions"), "names no region")),
            (false, false) => {
                return Err(fault(at("deniedRegions"), "stands beside `regions`"));
            }
            (true, false) => {
                if wire.fallback.is_some() || basis.is_some() {
                    return Err(fault(at("deniedRegions"), "leaves nothing to allow"));
                }
                let everywhere = wire.denied_regions.iter().any(|name| name == "*");
                Says::MayNot(if everywhere {
                    names.all
                } else {
                    names.regions(&wire.denied_regions, &at("deniedRegions"))?
                })
            }
            (false, true) => Says::May {
                regions: names.regions(&wire.regions, &at("regions"))?,
                fallback: compile_fallback(wire.fallback.as_ref(), &path, names)?,
                basis,
            },
        };
        let phase = Phase::compile(wire.mode, wire.mode_until.as_ref(), &at("mode"))?;
        let is_whole = wire.mode == ResidencyMode::Enforce && wire.enforce_percent.is_none();
        if !is_whole && (wire.legal_ref.is_some() || wire.blocked_by.is_some()) {
            return Err(fault(at("mode"), "is not for a rule with `legalRef`: it is enforced"));
        }
        if wire.mode != ResidencyMode::Enforce && phase.until.is_none() {
            return Err(fault(at("modeUntil"), "is missing: a rule is not out of force for ever"));
        }
        if wire.enforce_percent.is_some_and(|percent| percent > 100) {
            return Err(fault(at("enforcePercent"), "is more than 100"));
        }
        if wire.blocked_by.is_some() && wire.legal_ref.is_none() {
            return Err(fault(at("legalRef"), "is missing: `blockedBy` is for a statute"));
        }
        if wire.blocked_by.as_deref().is_some_and(|url| !is_link(url)) {
            return Err(fault(at("blockedBy"), "is no http URL that a header can hold"));
        }
        let from = moment(wire.effective_from.as_ref(), &at("effectiveFrom"))?;
        let until = moment(wire.effective_until.as_ref(), &at("effectiveUntil"))?;
        if let (Some(from), Some(until)) = (from, until)
            && until <= from
        {
            return Err(fault(at("effectiveUntil"), "is not later than `effectiveFrom`"));
        }
        let profiles = match (wire.otherwise, &wire.redact) {
            (Otherwise::Redact, Some(name)) => {
                let number = profile(residency, name);
                let number = number.ok_or_else(|| {
                    fault(at("redact"), format!("`{name}` is no redaction profile"))
                })?;
                ProfileSet::EMPTY.with(number)
            }
            (Otherwise::Redact, None) => return Err(fault(at("redact"), "is missing")),
            (_, Some(_)) => return Err(fault(at("redact"), "is for `otherwise: redact`")),
            (_, None) => ProfileSet::EMPTY,
        };
        Ok(Self {
            number,
            when: Conditions::compile(&wire.when, &path, names)?,
            says,
            otherwise: wire.otherwise,
            profiles,
            phase,
            percent: wire.enforce_percent,
            from,
            until,
        })
    }
}

/// The number of a redaction profile.
fn profile(residency: &wire::Residency, name: &str) -> Option<usize> {
    residency.redaction_profiles.iter().position(|profile| profile.name == name)
}

impl Exception {
    fn compile(
        wire: &wire::Exception,
        number: u16,
        names: &Names<'_>,
    ) -> Result<Self, ConfigFault> {
        let path = format!("policy.residency.exceptions[{number}]");
        let at = |key: &str| format!("{path}.{key}");
        for (key, said) in
            [("id", &wire.id), ("approver", &wire.approver), ("reason", &wire.reason)]
        {
            if said.is_empty() {
                return Err(fault(at(key), "says nothing"));
            }
        }
        if wire.regions.is_empty() {
            return Err(fault(at("regions"), "names no region"));
        }
        let date = |text: &String, key: &str| {
            Moment::parse(text).ok_or_else(|| fault(at(key), format!("`{text}` is no date in UTC")))
        };
        let from = date(&wire.not_before, "notBefore")?;
        let until = date(&wire.expires, "expires")?;
        if until <= from {
            return Err(fault(at("expires"), "is not later than `notBefore`"));
        }
        if from.days_until(until) > EXCEPTION_DAYS_MAX {
            let message = format!("is more than {EXCEPTION_DAYS_MAX} days after `notBefore`");
            return Err(fault(at("expires"), message));
        }
        Ok(Self {
            number,
            when: Conditions::compile(&wire.when, &path, names)?,
            regions: names.regions(&wire.regions, &at("regions"))?,
            from,
            until,
        })
    }
}

fn compile_fallback(
    fallback: Option<&wire::Fallback>,
    path: &str,
    names: &Names<'_>,
) -> Result<[RegionSet; 3], ConfigFault> {
    let mut by_situation = [RegionSet::EMPTY; 3];
    let Some(fallback) = fallback else { return Ok(by_situation) };
    if fallback.situations.contains(&Situation::Normal) {
        let message = "`normal` is no situation to fall back in";
        return Err(fault(format!("{path}.fallback.situations"), message));
    }
    let regions = names.regions(&fallback.regions, &format!("{path}.fallback.regions"))?;
    for (situation, slot) in Situation::ALL.iter().zip(&mut by_situation) {
        if fallback.situations.contains(situation) {
            *slot = regions;
        }
    }
    Ok(by_situation)
}

fn compile_bases(bases: &[wire::TransferBasis]) -> Result<Vec<Basis>, ConfigFault> {
    let mut compiled = Vec::new();
    let mut granted = 0..BasisSet::MAX;
    for (number, basis) in bases.iter().enumerate() {
        let path = format!("policy.residency.transferBases[{number}]");
        if bases.iter().take(number).any(|earlier| earlier.name == basis.name) {
            return Err(fault(format!("{path}.name"), format!("`{}` stands twice", basis.name)));
        }
        let granted = match &basis.claim {
            None => None,
            Some(_) => Some(granted.next().ok_or_else(|| {
                let message = format!("more than {} bases have a claim", BasisSet::MAX);
                fault(format!("{path}.claim"), message)
            })?),
        };
        let expires = moment(basis.expires.as_ref(), &format!("{path}.expires"))?;
        compiled.push(Basis { expires, granted });
    }
    Ok(compiled)
}

/// Whether a URL can stand in a `Link` header as it is.
pub fn is_link(url: &str) -> bool {
    let is_http = url.starts_with("https://") || url.starts_with("http://");
    is_http
        && url.len() <= 512
        && url.bytes().all(|byte| byte.is_ascii_graphic() && !b"<>\"".contains(&byte))
}

fn moment(text: Option<&String>, path: &str) -> Result<Option<Moment>, ConfigFault> {
    let read = |text: &String| {
        Moment::parse(text).ok_or_else(|| fault(path, format!("`{text}` is no date in UTC")))
    };
    text.map(read).transpose()
}

pub(super) fn parse_country(code: &str, path: &str) -> Result<Country, ConfigFault> {
    Country::parse(code.as_bytes())
        .ok_or_else(|| fault(path, format!("`{code}` is no ISO 3166 country code")))
}

pub(super) fn fault(path: impl Into<String>, message: impl Into<String>) -> ConfigFault {
    ConfigFault { path: path.into(), message: message.into() }
}
