//! `when`: what a rule or an exception is about.

use super::countries;
use super::rule::{Names, regions};
use crate::codes;
use crate::diagnostic::{Diagnostic, Sink};
use crate::fields::{Fields, Shape};
use crate::yaml::Entry;
use policy_core::{DataClass, Operation, PrincipalKind, Situation, wire};

const WHEN: Shape = Shape {
    what: "`when`",
    keys: &[
        "dataClasses",
        "subjectCountries",
        "subject",
        "contexts",
        "purposes",
        "operations",
        "principalKinds",
        "entryRegions",
        "situations",
    ],
    later: &["tenants"],
};

/// Reads `when`.
pub(super) fn decode(entry: &Entry, names: &Names<'_>, sink: &mut Sink) -> wire::Conditions {
    let mut when = wire::Conditions::default();
    let Some(fields) = Fields::open_at(&entry.value, entry.key.span, &WHEN, sink) else {
        return when;
    };
    if let Some(classes) = fields.need("dataClasses", sink) {
        when.data_classes =
            classes.words::<DataClass>(sink).into_iter().map(|class| class.value).collect();
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
        when.countries = countries::list(entry, names.groups, sink);
    }
    if let Some(entry) = fields.get("contexts") {
        let mut contexts = entry.texts(sink);
        contexts.retain(|context| names.scope.contexts.check(context, sink));
        when.contexts = contexts.into_iter().map(|context| context.value).collect();
    }
    if let Some(entry) = fields.get("purposes") {
        let mut purposes = entry.texts(sink);
        purposes.retain(|purpose| names.scope.purposes.check(purpose, sink));
        when.purposes = purposes.into_iter().map(|purpose| purpose.value).collect();
    }
    if let Some(entry) = fields.get("operations") {
        when.operations =
            entry.words::<Operation>(sink).into_iter().map(|word| word.value).collect();
    }
    if let Some(entry) = fields.get("principalKinds") {
        when.principal_kinds =
            entry.words::<PrincipalKind>(sink).into_iter().map(|word| word.value).collect();
    }
    if let Some(entry) = fields.get("entryRegions") {
        let entries = regions(entry, names.scope, sink);
        when.entry_regions = entries.into_iter().map(|region| region.value).collect();
    }
    if let Some(entry) = fields.get("situations") {
        for situation in entry.words::<Situation>(sink) {
            if situation.value == Situation::Normal {
                sink.push(
                    Diagnostic::error(
                        codes::RULE_CONDITIONS,
                        "a rule cannot be limited to `normal` times",
                    )
                    .at(situation.span)
                    .help("a failover would lift it; say what is allowed as well by `fallback`"),
                );
            }
            when.situations.push(situation.value);
        }
    }
    when
}
