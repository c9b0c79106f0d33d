//! One residency rule.

use super::conditions;
use super::countries::Groups;
use crate::codes;
use crate::diagnostic::{Diagnostic, Sink, Span, Spanned, quote};
use crate::fields::{Fields, Shape};
use crate::scope::Scope;
use crate::value::malformed;
use crate::yaml::{Entry, Node};
use policy_core::{Otherwise, ResidencyMode, Situation, is_link, wire};

const RULE: Shape = Shape {
    what: "a residency rule",
    keys: &[
        "name",
        "when",
        "regions",
        "deniedRegions",
        "otherwise",
        "redact",
        "fallback",
        "transferBasis",
        "legalRef",
        "blockedBy",
        "mode",
        "modeUntil",
        "enforcePercent",
        "effectiveFrom",
        "effectiveUntil",
    ],
    later: &["accept"],
};
const FALLBACK: Shape = Shape { what: "`fallback`", keys: &["regions", "situations"], later: &[] };

/// What rules may refer to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Names<'n> {
    pub(super) groups: &'n Groups,
    pub(super) scope: &'n Scope,
    pub(super) bases: &'n [(wire::TransferBasis, Span)],
    pub(super) profiles: &'n [(wire::RedactionProfile, Span)],
}

/// Where the parts of a rule are that other documents have a say in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RuleEntry {
    /// Its name.
    pub(crate) name: Span,
    /// For how many of a hundred users it is enforced.
    pub(crate) percent: Option<Span>,
}

/// Reads a rule.
pub(super) fn decode(
    item: &Node,
    names: &Names<'_>,
    sink: &mut Sink,
) -> Option<(wire::Rule, RuleEntry)> {
    let fields = Fields::open(item, &RULE, sink)?;
    let name = fields.need("name", sink).and_then(|entry| entry.identifier(63, sink));
    let when = fields
        .need("when", sink)
        .map(|entry| conditions::decode(entry, names, sink))
        .unwrap_or_default();
    let (allowed, denied) = where_to(&fields, names.scope, sink);
    let fallback =
        fields.get("fallback").and_then(|entry| fallback(entry, &allowed, names.scope, sink));
    let otherwise = fields.word_or("otherwise", Otherwise::Route, sink);
    let mode = fields.get("mode").and_then(|entry| entry.word::<ResidencyMode>(sink));
    let mode_until = fields.get("modeUntil").and_then(|entry| entry.moment(sink));
    check_mode_until(&fields, mode, sink);
    let enforce_percent = fields
        .get("enforcePercent")
        .and_then(|entry| entry.value.number(&entry.what(), 0..=100, sink))
        .and_then(|percent| u8::try_from(percent.value).ok());
    let legal_ref = fields.get("legalRef").and_then(|entry| entry.text(sink));
    check_law(&fields, mode, sink);
    let blocked_by = fields.get("blockedBy").and_then(|entry| link(entry, sink));
    let effective_from = fields.get("effectiveFrom").and_then(|entry| entry.moment(sink));
    let effective_until = fields.get("effectiveUntil").and_then(|entry| entry.moment(sink));
    let transfer_basis = fields.get("transferBasis").and_then(|entry| basis(entry, names, sink));
    let redact = redact(&fields, otherwise, names, sink);
    let name = name?;
    let rule = wire::Rule {
        name: name.value,
        when,
        regions: allowed.into_iter().map(|region| region.value).collect(),
        denied_regions: denied.into_iter().map(|region| region.value).collect(),
        otherwise,
        redact: redact.map(|name| name.value),
        fallback,
        transfer_basis: transfer_basis.map(|name| name.value),
        legal_ref: legal_ref.map(|text| text.value),
        blocked_by: blocked_by.map(|url| url.value),
        mode: mode.map_or(ResidencyMode::Enforce, |mode| mode.value),
        mode_until: mode_until.map(|until| until.value),
        enforce_percent,
        effective_from: effective_from.map(|from| from.value),
        effective_until: effective_until.map(|until| until.value),
    };
    let percent = fields.get("enforcePercent").map(|entry| entry.key.span);
    Some((rule, RuleEntry { name: name.span, percent }))
}

/// Where data may be, or where it may never be: one of the two.
fn where_to(
    fields: &Fields<'_>,
    scope: &Scope,
    sink: &mut Sink,
) -> (Vec<Spanned<String>>, Vec<Spanned<String>>) {
    let Some(denied) = fields.get("deniedRegions") else {
        let entry = fields.need("regions", sink);
        return (entry.map(|entry| regions(entry, scope, sink)).unwrap_or_default(), Vec::new());
    };
    for key in ["regions", "fallback", "transferBasis"] {
        if let Some(entry) = fields.get(key) {
            let message = format!("a rule with `deniedRegions` has no `{key}`");
            sink.push(
                Diagnostic::error(codes::EXCLUSIVE, message)
                    .at(entry.key.span)
                    .related(denied.key.span, "where data may never be")
                    .help("make two rules of it: what one denies no other allows"),
            );
        }
    }
    let words = denied.texts(sink);
    let is_everywhere = words.iter().any(|word| word.value == "*");
    if is_everywhere && words.len() > 1 {
        sink.push(
            Diagnostic::error(codes::EXCLUSIVE, "`*` stands beside regions")
                .at(denied.value.span)
                .help("`*` is every region"),
        );
    }
    let known =
        words.into_iter().filter(|word| word.value == "*" || scope.regions.check(word, sink));
    (Vec::new(), known.collect())
}

/// A list of different regions that exist.
pub(super) fn regions(entry: &Entry, scope: &Scope, sink: &mut Sink) -> Vec<Spanned<String>> {
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

/// A mode that does not act ends at some time.
pub(super) fn check_mode_until(
    fields: &Fields<'_>,
    mode: Option<Spanned<ResidencyMode>>,
    sink: &mut Sink,
) {
    let until = fields.get("modeUntil");
    match (mode.map(|mode| mode.value), until) {
        (Some(ResidencyMode::Enforce) | None, Some(until)) => {
            let readable = mode.is_some() || fields.get("mode").is_none();
            if readable {
                let message = "`modeUntil` is for the modes `shadow` and `disabled`";
                sink.push(Diagnostic::error(codes::EXCLUSIVE, message).at(until.key.span));
            }
        }
        (Some(word @ ResidencyMode::Shadow), None) => unlimited(word, mode, sink),
        (Some(word @ ResidencyMode::Disabled), None) if fields.get("when").is_some() => {
            unlimited(word, mode, sink);
        }
        _ => {}
    }
}

fn unlimited(word: ResidencyMode, mode: Option<Spanned<ResidencyMode>>, sink: &mut Sink) {
    let Some(mode) = mode else { return };
    let message = format!("`mode: {word}` without `modeUntil`");
    sink.push(Diagnostic::error(codes::MODE_UNTIL, message).at(mode.span).help(
        "say when it ends, such as `modeUntil: 2027-01-31`; from then on the rules are enforced",
    ));
}

/// What a statute asks for is enforced.
fn check_law(fields: &Fields<'_>, mode: Option<Spanned<ResidencyMode>>, sink: &mut Sink) {
    let Some(law) = fields.get("legalRef") else {
        if let Some(entry) = fields.get("blockedBy") {
            let message = "`blockedBy` needs `legalRef`: the statute";
            sink.push(Diagnostic::error(codes::MISSING_KEY, message).at(entry.key.span));
        }
        return;
    };
    let is_weak = mode.is_some_and(|mode| mode.value != ResidencyMode::Enforce);
    let weak = mode.filter(|_| is_weak).map(|mode| mode.span);
    let staged = fields.get("enforcePercent").map(|entry| entry.key.span);
    for span in weak.into_iter().chain(staged) {
        sink.push(
            Diagnostic::error(
                codes::RULE_CONDITIONS,
                "a rule with `legalRef` is enforced, for everybody",
            )
            .at(span)
            .related(law.key.span, "a statute asks for it"),
        );
    }
}

/// A URL that a `Link` header can hold.
fn link(entry: &Entry, sink: &mut Sink) -> Option<Spanned<String>> {
    let text = entry.text(sink)?;
    if is_link(&text.value) {
        return Some(text);
    }
    let help =
        "use the address of whoever enforces the statute, such as `https://shop.example/legal`";
    sink.push(malformed("`blockedBy`", &text, help));
    None
}

fn basis(entry: &Entry, names: &Names<'_>, sink: &mut Sink) -> Option<Spanned<String>> {
    let text = entry.text(sink)?;
    if names.bases.iter().any(|(basis, _)| basis.name == text.value) {
        return Some(text);
    }
    let known: Vec<&str> = names.bases.iter().map(|(basis, _)| basis.name.as_str()).collect();
    let message = format!("there is no transfer basis {}", quote(&text.value));
    sink.push(
        Diagnostic::error(codes::UNKNOWN_BASIS, message).at(text.span).suggest(&text.value, &known),
    );
    None
}

fn redact(
    fields: &Fields<'_>,
    otherwise: Otherwise,
    names: &Names<'_>,
    sink: &mut Sink,
) -> Option<Spanned<String>> {
    match (otherwise, fields.get("redact")) {
        (Otherwise::Redact, Some(entry)) => {
            let text = entry.text(sink)?;
            let known: Vec<&str> =
                names.profiles.iter().map(|(profile, _)| profile.name.as_str()).collect();
            if known.contains(&text.value.as_str()) {
                return Some(text);
            }
            let message = format!("there is no redaction profile {}", quote(&text.value));
            sink.push(
                Diagnostic::error(codes::UNKNOWN_PROFILE, message)
                    .at(text.span)
                    .suggest(&text.value, &known),
            );
            None
        }
        (Otherwise::Redact, None) => {
            if let Some(entry) = fields.get("otherwise") {
                let message = "`otherwise: redact` needs `redact`: a redaction profile";
                sink.push(Diagnostic::error(codes::MISSING_KEY, message).at(entry.value.span));
            }
            None
        }
        (_, Some(entry)) => {
            if fields.get("otherwise").is_none_or(|entry| entry.value.describe() != "nothing") {
                let message = "`redact` is for `otherwise: redact`";
                sink.push(Diagnostic::error(codes::EXCLUSIVE, message).at(entry.key.span));
            }
            None
        }
        (_, None) => None,
    }
}
