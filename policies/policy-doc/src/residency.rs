//! `Residency`: where data may be.

mod conditions;
mod countries;
mod exception;
mod rule;
mod transfer_basis;

use crate::codes;
use crate::diagnostic::{Diagnostic, Sink, Span, Spanned, quote};
use crate::document::Document;
use crate::fields::{Shape, twice};
use crate::mesh::Mesh;
use crate::redaction;
use crate::scope::Scope;
use crate::subjects::{self, SourceEntry};
use crate::yaml::{Content, Entry};
use countries::Groups;
use policy_core::{DataClass, OnUnknownSubject, ResidencyMode, wire};
use rule::RuleEntry;
use std::collections::BTreeMap;

const RESIDENCY: Shape = Shape {
    what: "`spec` of a `Residency`",
    keys: &[
        "mode",
        "modeUntil",
        "countryGroups",
        "home",
        "subjectSources",
        "clientCountry",
        "onUnknownSubject",
        "steering",
        "transferBases",
        "rules",
        "exceptions",
        "redactionProfiles",
        "redaction",
    ],
    later: &[],
};

/// What a `Residency` says and where.
#[derive(Debug)]
pub(crate) struct Residency {
    pub(crate) wire: wire::Residency,
    pub(crate) mode: Option<Spanned<ResidencyMode>>,
    /// Where each rule is named, and what else of it is checked against other documents.
    pub(crate) rules: Vec<RuleEntry>,
    /// Where each exception is named.
    pub(crate) exceptions: Vec<Span>,
    /// Where each subject source is written.
    pub(crate) sources: Vec<SourceEntry>,
    /// Where the subject sources are, readable or not.
    pub(crate) sources_at: Option<Span>,
    /// Where it begins.
    pub(crate) at: Span,
}

/// Reads a `Residency`.
pub(crate) fn decode(
    document: &Document<'_>,
    scope: &Scope,
    mesh: Option<&Mesh>,
    sink: &mut Sink,
) -> Option<Residency> {
    let fields = document.fields(&RESIDENCY, sink)?;
    let mode = fields.need("mode", sink).and_then(|entry| entry.word::<ResidencyMode>(sink));
    let mode_until = fields.get("modeUntil").and_then(|entry| entry.moment(sink));
    rule::check_mode_until(&fields, mode, sink);
    let acts = mode.is_none_or(|mode| mode.value != ResidencyMode::Disabled);
    let groups =
        fields.get("countryGroups").map(|entry| countries::groups(entry, sink)).unwrap_or_default();
    let home = match fields.get("home") {
        Some(entry) => home(entry, &groups, scope, sink),
        None if acts => {
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
    let bases = fields.get("transferBases");
    let bases = bases.map(|entry| transfer_basis::decode(entry, scope, sink)).unwrap_or_default();
    let profiles = fields.get("redactionProfiles");
    let profiles = profiles.map(|entry| redaction::profiles(entry, sink)).unwrap_or_default();
    let limits = fields.get("redaction").and_then(|entry| redaction::limits(entry, sink));
    let names = rule::Names { groups: &groups, scope, bases: &bases, profiles: &profiles };
    let mut rules: Vec<(wire::Rule, RuleEntry)> = Vec::new();
    let entry = if acts { fields.need("rules", sink) } else { fields.get("rules") };
    for item in entry.and_then(|entry| entry.items(sink)).unwrap_or_default() {
        let Some((rule, at)) = rule::decode(item, &names, sink) else { continue };
        if let Some((_, first)) = rules.iter().find(|(known, _)| known.name == rule.name) {
            sink.push(twice("rule", &rule.name, at.name, first.name));
            continue;
        }
        rules.push((rule, at));
    }
    let mut exceptions: Vec<(wire::Exception, Span)> = Vec::new();
    let entry = fields.get("exceptions");
    for item in entry.and_then(|entry| entry.items(sink)).unwrap_or_default() {
        let Some((exception, span)) = exception::decode(item, &names, sink) else { continue };
        if let Some((_, first)) = exceptions.iter().find(|(known, _)| known.id == exception.id) {
            sink.push(twice("exception", &exception.id, span, *first));
            continue;
        }
        exceptions.push((exception, span));
    }
    let is_named = |of: fn(&wire::Rule) -> &Option<String>, name: &str| {
        rules.iter().any(|(rule, _)| of(rule).as_deref() == Some(name))
    };
    for (profile, span) in &profiles {
        if !is_named(|rule| &rule.redact, &profile.name) {
            sink.push(unused("redaction profile", &profile.name, *span));
        }
    }
    for (basis, span) in &bases {
        if !is_named(|rule| &rule.transfer_basis, &basis.name) {
            sink.push(unused("transfer basis", &basis.name, *span));
        }
    }
    let (rules, entries) = rules.into_iter().unzip();
    let (exceptions, exceptions_at) = exceptions.into_iter().unzip();
    Some(Residency {
        wire: wire::Residency {
            mode: mode.map_or(ResidencyMode::Enforce, |mode| mode.value),
            mode_until: mode_until.map(|until| until.value),
            home,
            subject_sources: sources.iter().map(|source| source.wire.clone()).collect(),
            tenant_maps: Vec::new(),
            client_country,
            on_unknown_subject: fields
                .get("onUnknownSubject")
                .map(|entry| on_unknown_subject(entry, sink))
                .unwrap_or_default(),
            steer_home: fields.get("steering").is_some_and(|entry| steering(entry, sink)),
            transfer_bases: bases.into_iter().map(|(basis, _)| basis).collect(),
            rules,
            exceptions,
            redaction_profiles: profiles.into_iter().map(|(profile, _)| profile).collect(),
            redaction: limits,
        },
        mode,
        rules: entries,
        exceptions: exceptions_at,
        sources,
        sources_at: fields.get("subjectSources").map(|entry| entry.key.span),
        at: fields.at(),
    })
}

/// What no rule names does nothing.
fn unused(what: &str, name: &str, span: Span) -> Diagnostic {
    let message = format!("no rule names the {what} {}", quote(name));
    Diagnostic::error(codes::UNUSED, message).at(span).help("name it in a rule, or remove it")
}

/// Whether eventual requests run in their subject's home.
fn steering(entry: &Entry, sink: &mut Sink) -> bool {
    const WORDS: [&str; 2] = ["home", "none"];
    let Some(text) = entry.text(sink) else { return false };
    if !WORDS.contains(&text.value.as_str()) {
        let message = format!("`steering` cannot be {}", quote(&text.value));
        sink.push(
            Diagnostic::error(codes::UNKNOWN_WORD, message)
                .at(text.span)
                .suggest(&text.value, &WORDS),
        );
    }
    text.value == "home"
}

/// One word for every class, or one for each.
fn on_unknown_subject(entry: &Entry, sink: &mut Sink) -> BTreeMap<DataClass, OnUnknownSubject> {
    let mut by_class = BTreeMap::new();
    if !matches!(entry.value.content, Content::Mapping(_)) {
        if let Some(word) = entry.word::<OnUnknownSubject>(sink) {
            for class in DataClass::ALL {
                by_class.insert(*class, word.value);
            }
            check_on_unknown(word, DataClass::ALL, sink);
        }
        // What holds anyway is not said.
        by_class.retain(|_, word| *word != OnUnknownSubject::Deny);
        return by_class;
    }
    for item in entry.some_entries(sink).unwrap_or_default() {
        let class = item.name("a data class", sink);
        let class = class.and_then(|name| crate::value::word::<DataClass>("a class", &name, sink));
        let word = item.word::<OnUnknownSubject>(sink);
        let (Some(class), Some(word)) = (class, word) else { continue };
        check_on_unknown(word, &[class], sink);
        by_class.insert(class, word.value);
    }
    by_class
}

/// A caller who drops a claim must not be taken for somebody of this country.
fn check_on_unknown(word: Spanned<OnUnknownSubject>, classes: &[DataClass], sink: &mut Sink) {
    let bound = classes.iter().find(|class| class.is_bound());
    if let (OnUnknownSubject::EntryRegion, Some(class)) = (word.value, bound) {
        let message = format!("`entry-region` is not for `{class}` data");
        sink.push(Diagnostic::error(codes::RULE_CONDITIONS, message).at(word.span).help(
            "whoever leaves the claim out would choose the law by the region; use `deny` or `strictest`",
        ));
    }
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
        let countries = if name.value == "*" {
            vec!["*".into()]
        } else {
            countries::expand(&name, groups, sink)
        };
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
