//! Countries and groups of them.

use crate::codes;
use crate::diagnostic::{Diagnostic, Sink, Span, Spanned, quote};
use crate::fields::twice;
use crate::value::check_country;
use crate::yaml::Entry;
use policy_core::Country;
use std::collections::BTreeMap;

pub(super) type Groups = BTreeMap<String, Vec<Spanned<String>>>;

/// Reads `countryGroups`.
pub(super) fn groups(entry: &Entry, sink: &mut Sink) -> Groups {
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
pub(super) fn expand(word: &Spanned<String>, groups: &Groups, sink: &mut Sink) -> Vec<String> {
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

/// The countries of a list of countries and groups, or `*` alone.
pub(super) fn list(entry: &Entry, groups: &Groups, sink: &mut Sink) -> Vec<String> {
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
