//! `Residency`: where data may be.

use crate::codes;
use crate::diagnostic::{Diagnostic, Sink, Span, Spanned, quote};
use crate::document::Document;
use crate::fields::{Fields, Shape, twice};
use crate::mesh::Mesh;
use crate::redaction;
use crate::scope::Scope;
use crate::subjects::{self, SourceEntry};
use crate::value::check_country;
use crate::yaml::{Entry, Node};
use policy_core::{Country, DataClass, Mode, Otherwise, Situation, wire};
use std::collections::BTreeMap;

const RESIDENCY: Shape = Shape {
    what: "`spec` of a `Residency`",
    keys: &[
        "mode",
        "countryGroups",
        "home",
        "subjectSources",
        "clientCountry",
        "onUnknownSubject",
        "rules",
        "redactionProfiles",
        "redaction",
    ],
    later: &["exceptions"],
};
const RULE: Shape = Shape {
    what: "a residency rule",
    keys: &["name", "when", "regions", "otherwise", "fallback"],
    later: &[
        "legalRef",
        "redact",
        "mode",
        "effectiveFrom",
        "effectiveUntil",
        "exceptions",
        "accept",
    ],
};
const WHEN: Shape = Shape {
    what: "`when`",
    keys: &["dataClasses", "subjectCountries", "subject"],
    later: &["purpose", "contexts", "tenants", "effects"],
};
const FALLBACK: Shape = Shape { what: "`fallback`", keys: &["regions", "situations"], later: &[] };

/// What a `Residency` says and where.
#[derive(Debug)]
pub(crate) struct Residency {
    pub(crate) wire: wire::Residency,
    pub(crate) mode: Option<Spanned<Mode>>,
    /// Where each rule is named.
    pub(crate) rules: Vec<Span>,
    /// Where each subject source is written.
    pub(crate) sources: Vec<SourceEntry>,
    /// Where the subject sources are, readable or not.
    pub(crate) sources_at: Option<Span>,
    /// Where it begins.
    pub(crate) at: Span,
}

type Groups = BTreeMap<String, Vec<Spanned<String>>>;

/// Reads a `Residency`.
pub(crate) fn decode(
    document: &Document<'_>,
    scope: &Scope,
    mesh: Option<&Mesh>,
    sink: &mut Sink,
) -> Option<Residency> {
    let fields = document.fields(&RESIDENCY, sink)?;
    let mode = fields.mode(sink);
    let enforced = mode.is_none_or(|mode| mode.value == Mode::Enforce);
    let groups = fields.get("countryGroups").map(|entry| groups(entry, sink)).unwrap_or_default();
    let home = match fields.get("home") {
        Some(entry) => home(entry, &groups, scope, sink),
        None if enforced => {
            fields.need("home", sink);
            BTreeMap::new()
        }
        // Nobody asks where home is, and the format wants to know.
        None => scope
            .regions
            .list()
            .first()
            .map(|first| ("*".into(), first.clone()))
            .into_iter()
            .collect(),
    };
    let sources =
        fields.get("subjectSources").map(|entry| subjects::sources(entry, scope, mesh, sink));
    let sources = sources.unwrap_or_default();
    let client_country =
        fields.get("clientCountry").and_then(|entry| subjects::client_country(entry, sink));
    if let Some(entry) = fields.get("onUnknownSubject") {
        entry.only("deny", &["redact"], sink);
    }
    let profiles = fields.get("redactionProfiles").map(|entry| redaction::profiles(entry, sink));
    let limits = fields.get("redaction").and_then(|entry| redaction::limits(entry, sink));
    let mut rules: Vec<(wire::Rule, Span)> = Vec::new();
    let entry = if enforced { fields.need("rules", sink) } else { fields.get("rules") };
    for item in entry.and_then(|entry| entry.items(sink)).unwrap_or_default() {
        let Some((rule, span)) = rule(item, &groups, scope, sink) else { continue };
        if let Some((_, first)) = rules.iter().find(|(known, _)| known.name == rule.name) {
            sink.push(twice("rule", &rule.name, span, *first));
            continue;
        }
        rules.push((rule, span));
    }
    let (rules, spans) = rules.into_iter().unzip();
    Some(Residency {
        wire: wire::Residency {
            mode: mode.map_or(Mode::Enforce, |mode| mode.value),
            home,
            subject_sources: sources.iter().map(|source| source.wire.clone()).collect(),
            tenant_maps: Vec::new(),
            client_country,
            rules,
            redaction_profiles: profiles
                .unwrap_or_default()
                .into_iter()
                .map(|(profile, _)| profile)
                .collect(),
            redaction: limits,
        },
        mode,
        rules: spans,
        sources,
        sources_at: fields.get("subjectSources").map(|entry| entry.key.span),
        at: fields.at(),
    })
}

fn groups(entry: &Entry, sink: &mut Sink) -> Groups {
    let mut groups = Groups::new();
    for group in entry.some_entries(sink).unwrap_or_default() {
        let name = group.identifier_key("a group of countries", sink);
        let mut countries = group.texts(sink);
        countries.retain(|country| check_country(country, sink));
        if let Some(name) = name {
            groups.insert(name.value, countries);
        }
    }
    groups
}

/// The countries that a word stands for: one, or those of a group.
fn expand(word: &Spanned<String>, groups: &Groups, sink: &mut Sink) -> Vec<String> {
    if let Some(countries) = groups.get(&word.value) {
        return countries.iter().map(|country| country.value.clone()).collect();
    }
    if Country::parse(word.value.as_bytes()).is_some() {
        return vec![word.value.clone()];
    }
    let message = format!("there is no country or group {}", quote(&word.value));
    let diagnostic = Diagnostic::error(codes::UNKNOWN_COUNTRY, message).at(word.span);
    let upper = word.value.to_ascii_uppercase();
    let names: Vec<&str> = groups.keys().map(String::as_str).collect();
    sink.push(match Country::parse(upper.as_bytes()) {
        Some(country) => diagnostic.help(format!("did you mean `{country}`?")),
        None if names.is_empty() => {
            diagnostic.help("countries are two-letter codes of ISO 3166-1, such as `TW`")
        }
        None => diagnostic.suggest(&word.value, &names),
    });
    Vec::new()
}

fn home(
    entry: &Entry,
    groups: &Groups,
    scope: &Scope,
    sink: &mut Sink,
) -> BTreeMap<String, String> {
    let mut homes: BTreeMap<String, (String, Span)> = BTreeMap::new();
    let entries = entry.some_entries(sink);
    for item in entries.unwrap_or_default() {
        let name = item.name("a country", sink);
        let region = item.text(sink).filter(|region| scope.regions.check(region, sink));
        let Some(name) = name else { continue };
        let countries =
            if name.value == "*" { vec!["*".into()] } else { expand(&name, groups, sink) };
        for country in countries {
            if let Some((_, first)) = homes.get(&country) {
                sink.push(twice("home of", &country, name.span, *first));
                continue;
            }
            let region = region.as_ref().map(|region| region.value.clone()).unwrap_or_default();
            homes.insert(country, (region, name.span));
        }
    }
    if entries.is_some() && !homes.contains_key("*") {
        sink.push(
            Diagnostic::error(codes::HOME, "`home` lacks the key `*`")
                .at(entry.key.span)
                .help("say where the data of everybody else lives: `\"*\": <region>`"),
        );
    }
    homes.into_iter().map(|(country, (region, _))| (country, region)).collect()
}

fn rule(
    item: &Node,
    groups: &Groups,
    scope: &Scope,
    sink: &mut Sink,
) -> Option<(wire::Rule, Span)> {
    let fields = Fields::open(item, &RULE, sink)?;
    let name = fields.need("name", sink).and_then(|entry| entry.identifier(63, sink));
    let when = fields.need("when", sink).map(|entry| when(entry, groups, sink)).unwrap_or_default();
    let regions_entry = fields.need("regions", sink);
    let regions = regions_entry.map(|entry| regions(entry, scope, sink)).unwrap_or_default();
    let fallback = fields.get("fallback").and_then(|entry| fallback(entry, &regions, scope, sink));
    let otherwise = fields.word_or("otherwise", Otherwise::Route, sink);
    let name = name?;
    let rule = wire::Rule {
        name: name.value,
        data_classes: when.classes,
        countries: when.countries,
        no_subject: when.no_subject,
        regions: regions.into_iter().map(|region| region.value).collect(),
        otherwise,
        fallback,
    };
    Some((rule, name.span))
}

#[derive(Default)]
struct When {
    classes: Vec<DataClass>,
    countries: Vec<String>,
    no_subject: bool,
}

fn when(entry: &Entry, groups: &Groups, sink: &mut Sink) -> When {
    let mut when = When::default();
    let Some(fields) = Fields::open_at(&entry.value, entry.key.span, &WHEN, sink) else {
        return when;
    };
    if let Some(classes) = fields.need("dataClasses", sink) {
        when.classes = classes.words(sink).into_iter().map(|class| class.value).collect();
    }
    if let Some(subject) = fields.get("subject") {
        subject.only("none", &[], sink);
        when.no_subject = true;
        if let Some(countries) = fields.get("subjectCountries") {
            sink.push(
                Diagnostic::error(
                    codes::RULE_CONDITIONS,
                    "a rule about nobody cannot name countries",
                )
                .at(countries.key.span)
                .related(subject.key.span, "requests without a subject"),
            );
        }
    }
    if let Some(entry) = fields.get("subjectCountries") {
        when.countries = countries(entry, groups, sink);
    }
    when
}

fn countries(entry: &Entry, groups: &Groups, sink: &mut Sink) -> Vec<String> {
    let words = entry.texts(sink);
    if let Some(everybody) = words.iter().find(|word| word.value == "*") {
        if words.len() > 1 {
            sink.push(
                Diagnostic::error(codes::RULE_CONDITIONS, "`*` cannot stand beside countries")
                    .at(everybody.span)
                    .help("`*` means the countries that no other rule names; make it a rule of its own"),
            );
        }
        return vec!["*".into()];
    }
    let mut expanded: BTreeMap<String, Span> = BTreeMap::new();
    for word in &words {
        for country in expand(word, groups, sink) {
            if let Some(first) = expanded.insert(country.clone(), word.span) {
                sink.push(twice("country", &country, word.span, first));
            }
        }
    }
    expanded.into_keys().collect()
}

/// A list of different regions that exist.
fn regions(entry: &Entry, scope: &Scope, sink: &mut Sink) -> Vec<Spanned<String>> {
    let mut regions = entry.texts(sink);
    regions.retain(|region| scope.regions.check(region, sink));
    regions
}

fn fallback(
    entry: &Entry,
    own: &[Spanned<String>],
    scope: &Scope,
    sink: &mut Sink,
) -> Option<wire::Fallback> {
    let fields = Fields::open_at(&entry.value, entry.key.span, &FALLBACK, sink)?;
    let regions =
        fields.need("regions", sink).map(|entry| regions(entry, scope, sink)).unwrap_or_default();
    for region in &regions {
        if let Some(known) = own.iter().find(|known| known.value == region.value) {
            let message = format!("{} is allowed in every situation", quote(&region.value));
            sink.push(
                Diagnostic::error(codes::FALLBACK, message)
                    .at(region.span)
                    .related(known.span, "allowed here"),
            );
        }
    }
    let situations = fields.need("situations", sink)?.words::<Situation>(sink);
    for situation in &situations {
        if situation.value == Situation::Normal {
            sink.push(
                Diagnostic::error(codes::FALLBACK, "`normal` is no situation to fall back in")
                    .at(situation.span)
                    .help("use `failover` or `drill`; what is always allowed belongs in `regions`"),
            );
        }
    }
    Some(wire::Fallback {
        regions: regions.into_iter().map(|region| region.value).collect(),
        situations: situations.into_iter().map(|situation| situation.value).collect(),
    })
}
