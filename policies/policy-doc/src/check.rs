//! What the documents of a set have to agree on, and where a fault of the compiled policy is.

use crate::codes;
use crate::diagnostic::{Diagnostic, Sink, Span, Spanned, quote};
use crate::load::{Parts, Purpose};
use crate::mesh::{attachments, regions, upstreams};
use crate::subjects;
use crate::tenants::MapEntry;
use policy_core::wire::{self, ConfigFault};
use policy_core::{DataClass, Mode, ResidencyMode};

/// Checks the documents against each other.
pub(crate) fn across(parts: &Parts<'_>, purpose: Purpose, sink: &mut Sink) {
    residency(parts, sink);
    subjects::check(parts, sink);
    regions::check(parts, sink);
    upstreams::check(parts, sink);
    attachments::check(parts, sink);
    if let Some(versioning) = &parts.versioning {
        versioning.check(parts, sink);
    }
    let Some(fencing) = &parts.fencing else { return };
    fencing.check(&parts.contexts, sink);
    if let Some(mode) = fencing.mode
        && mode.value == Mode::Disabled
        && let Some(leased) = parts.contexts.iter().find(|context| context.leased == Some(true))
    {
        let name = quote(&leased.wire.name);
        let message = format!("fencing is disabled, and the context {name} is leased");
        sink.push(
            Diagnostic::error(codes::FENCING_NEEDED, message)
                .at(mode.span)
                .related(leased.name, format!("`{}`", leased.wire.consistency)),
        );
    }
    if purpose == Purpose::LocalTry {
        return;
    }
    match fencing.static_state {
        Some(entry) => sink.push(
            Diagnostic::error(codes::STATIC_STATE, "a static state is for `meshfence up` only")
                .at(entry.key.span)
                .help("remove it: proxies that believe it never notice that a lease has moved"),
        ),
        None => regions::check_agents(parts, sink),
    }
}

fn residency(parts: &Parts<'_>, sink: &mut Sink) {
    let Some(mode) = parts.residency.as_ref().and_then(|residency| residency.mode) else { return };
    staged(parts, sink);
    never_met(parts, sink);
    if mode.value == ResidencyMode::Enforce {
        return;
    }
    shards_in_shadow(parts, mode, sink);
    if mode.value == ResidencyMode::Shadow {
        law_in_shadow(parts, mode.span, sink);
        return;
    }
    let ends = parts.residency.as_ref().is_some_and(|own| own.wire.mode_until.is_some());
    let bound = parts.contexts.iter().find_map(|context| {
        let class = context.wire.data_classes.iter().find(|class| DataClass::is_bound(**class))?;
        Some((context, class))
    });
    if let Some((context, class)) = bound.filter(|_| !ends) {
        let name = quote(&context.wire.name);
        let message = format!("residency is disabled, and the context {name} has `{class}` data");
        sink.push(
            Diagnostic::error(codes::RESIDENCY_NEEDED, message)
                .at(mode.span)
                .related(context.classes, "data about persons")
                .help("to do without for a while, say until when: `modeUntil: 2027-01-31`"),
        );
    }
}

/// Leases go by rules that are enforced.
fn shards_in_shadow(parts: &Parts<'_>, mode: Spanned<ResidencyMode>, sink: &mut Sink) {
    for context in &parts.contexts {
        if let (Some(wire::Shard { by: wire::ShardBy::Residency, .. }), Some(shard)) =
            (&context.wire.shard, context.shard)
        {
            let message = "shards by residency need Residency to be enforced";
            sink.push(
                Diagnostic::error(codes::SHARD_BY_RESIDENCY, message)
                    .at(shard)
                    .related(mode.span, format!("`{}` here", mode.value)),
            );
        }
    }
}

/// What a statute asks for is enforced.
fn law_in_shadow(parts: &Parts<'_>, mode: Span, sink: &mut Sink) {
    let Some(residency) = &parts.residency else { return };
    let rules = residency.wire.rules.iter().zip(&residency.rules);
    for (rule, entry) in rules.filter(|(rule, _)| rule.legal_ref.is_some()) {
        let message = format!("{} has `legalRef`, and residency is in shadow", quote(&rule.name));
        sink.push(
            Diagnostic::error(codes::RULE_CONDITIONS, message)
                .at(mode)
                .related(entry.name, "a statute asks for it")
                .help("put the other rules into shadow one by one"),
        );
    }
}

/// A rule that no context can ever meet says nothing, and its author thinks that it does.
fn never_met(parts: &Parts<'_>, sink: &mut Sink) {
    let Some(residency) = &parts.residency else { return };
    for (rule, entry) in residency.wire.rules.iter().zip(&residency.rules) {
        let asks = !rule.when.contexts.is_empty() || !rule.when.purposes.is_empty();
        let is_met = !asks
            || parts.contexts.iter().any(|context| {
                let (when, wire) = (&rule.when, &context.wire);
                let by_name = when.contexts.is_empty() || when.contexts.contains(&wire.name);
                let has = |purpose| when.purposes.contains(purpose);
                by_name && (when.purposes.is_empty() || wire.purpose.as_ref().is_some_and(has))
            });
        if !is_met {
            let message = format!("no context meets the conditions of {}", quote(&rule.name));
            sink.push(
                Diagnostic::error(codes::RULE_CONDITIONS, message)
                    .at(entry.name)
                    .help("none of `contexts` has one of `purposes`"),
            );
        }
    }
}

/// Users are told apart by a keyed hash.
fn staged(parts: &Parts<'_>, sink: &mut Sink) {
    let Some(residency) = &parts.residency else { return };
    let has_keys = parts.mesh.as_ref().is_none_or(|mesh| mesh.hmac.is_some());
    let staged = residency.rules.iter().find_map(|rule| rule.percent);
    if let Some(span) = staged.filter(|_| !has_keys) {
        let message = "`enforcePercent` needs a key: users are told apart by a keyed hash";
        sink.push(
            Diagnostic::error(codes::STAGED, message).at(span).help("add `hmac` to the `Mesh`"),
        );
    }
}

// === faults of the compiled policy ===

/// A fault of the compiled policy, at the place that it comes from as far as that is known.
pub(crate) fn fault(fault: &ConfigFault, parts: &Parts<'_>) -> Diagnostic {
    match place(&fault.path, parts) {
        Some(span) => Diagnostic::error(codes::REFUSED, fault.message.clone()).at(span),
        None => Diagnostic::error(codes::REFUSED, fault.to_string()),
    }
}

fn place(path: &str, parts: &Parts<'_>) -> Option<Span> {
    let path = path.strip_prefix("policy.")?;
    if let Some(number) = index(path, "contexts[") {
        let context = parts.contexts.get(number)?;
        let found = path.split_once("match[").and_then(|(_, rest)| index(rest, ""));
        return match found.and_then(|number| context.matches.get(number)) {
            Some(found) => Some(found.span),
            None => Some(context.name),
        };
    }
    if let Some(number) = index(path, "residency.subjectSources[") {
        return parts.residency.as_ref()?.sources.get(number).map(|source| source.at);
    }
    if let Some(number) = index(path, "residency.tenantMaps[") {
        return parts.maps.get(number).map(MapEntry::at);
    }
    if let Some(number) = index(path, "residency.rules[") {
        return parts.residency.as_ref()?.rules.get(number).map(|rule| rule.name);
    }
    if let Some(number) = index(path, "residency.exceptions[") {
        return parts.residency.as_ref()?.exceptions.get(number).copied();
    }
    if let Some(number) = index(path, "regions[") {
        return parts.topology.as_ref()?.spans.get(number).copied();
    }
    if path.starts_with("residency") {
        return parts.residency.as_ref().map(|residency| residency.at);
    }
    if path.starts_with("versioning") {
        return parts.versioning.as_ref().map(|versioning| versioning.at);
    }
    if path.starts_with("fencing") {
        return parts.fencing.as_ref().map(|fencing| fencing.at);
    }
    None
}

/// The number between a prefix and `]`.
fn index(path: &str, prefix: &str) -> Option<usize> {
    path.strip_prefix(prefix)?.split_once(']')?.0.parse().ok()
}
