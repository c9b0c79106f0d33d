//! `Contexts`: the bounded contexts and the requests that belong to them.

use crate::codes;
use crate::diagnostic::{Diagnostic, Sink, Span, Spanned, quote};
use crate::document::Document;
use crate::duration::show_ms;
use crate::fields::{Fields, Shape, twice};
use crate::matches::{self, Matches};
use crate::merging::{self, MergeEntry};
use crate::value::{check_country, malformed, time};
use crate::yaml::{Entry, Node};
use policy_core::{
    Consistency, DataClass, Effect, IdempotencyRule, Priority, Reads, RegionId, SubjectMode,
    Template, wire,
};

const CONTEXTS: Shape =
    Shape { what: "`spec` of a `Contexts`", keys: &["unmatched", "contexts"], later: &[] };
const UNMATCHED: Shape = Shape { what: "`unmatched`", keys: &["action", "status"], later: &[] };
const CONTEXT: Shape = Shape {
    what: "a context",
    keys: &[
        "name",
        "match",
        "consistency",
        "lease",
        "shard",
        "dataClasses",
        "subject",
        "defaultCountry",
        "reads",
        "maxLag",
        "acks",
        "merge",
        "idempotencyKey",
        "priority",
        "deadline",
        "purpose",
    ],
    later: &["accept", "redact", "etag", "cohort"],
};
const ACKS: Shape = Shape { what: "`acks`", keys: &["required", "whenPeerDown"], later: &[] };
const DEADLINE: Shape = Shape { what: "`deadline`", keys: &["max", "min"], later: &[] };
const SHARD: Shape = Shape { what: "`shard`", keys: &["by", "variable"], later: &[] };

/// A copy that is further behind than a day is a backup.
const LAG_MAX_MS: u64 = 86_400_000;

/// One context and where its parts are written.
#[derive(Debug)]
pub(crate) struct ContextEntry {
    pub(crate) wire: wire::Context,
    pub(crate) name: Span,
    /// Whether it is leased; nothing if its consistency could not be read.
    pub(crate) leased: Option<bool>,
    pub(crate) matches: Vec<MatchEntry>,
    /// What its matches are called, of those too that are not well formed.
    pub(crate) match_names: Vec<Spanned<String>>,
    pub(crate) lease: Option<Spanned<String>>,
    /// How it is merged: that is known of the wire format only with all contexts.
    pub(crate) merge: Option<MergeEntry>,
    pub(crate) shard: Option<Span>,
    /// Where the subject is said, or what makes it `self`.
    pub(crate) subject: Span,
    pub(crate) classes: Span,
}

/// One match that is well formed.
#[derive(Debug)]
pub(crate) struct MatchEntry {
    pub(crate) template: Template,
    /// Method bits; 0 is every method.
    pub(crate) methods: u8,
    pub(crate) span: Span,
    /// What it is called.
    pub(crate) name: Option<String>,
}

impl ContextEntry {
    /// Where a match is called this, if one is.
    pub(crate) fn named_match(&self, name: &str) -> Option<Span> {
        self.match_names.iter().find(|known| known.value == name).map(|known| known.span)
    }
}

/// What one `Contexts` document says.
#[derive(Debug, Default)]
pub(crate) struct Contexts {
    pub(crate) unmatched: Option<Spanned<u16>>,
    pub(crate) contexts: Vec<ContextEntry>,
}

/// Reads a `Contexts`.
pub(crate) fn decode(document: &Document<'_>, sink: &mut Sink) -> Option<Contexts> {
    let fields = document.fields(&CONTEXTS, sink)?;
    let unmatched = fields.get("unmatched").and_then(|entry| unmatched(entry, sink));
    let mut decoded = Contexts { unmatched, contexts: Vec::new() };
    // A document may be there for `unmatched` alone.
    let entry = match unmatched {
        Some(_) => fields.get("contexts"),
        None => fields.need("contexts", sink),
    };
    for item in entry.and_then(|entry| entry.items(sink)).unwrap_or_default() {
        decoded.contexts.extend(context(item, sink));
    }
    Some(decoded)
}

fn unmatched(entry: &Entry, sink: &mut Sink) -> Option<Spanned<u16>> {
    let fields = Fields::open_at(&entry.value, entry.key.span, &UNMATCHED, sink)?;
    if let Some(action) = fields.need("action", sink) {
        action.only("deny", &[], sink);
    }
    let status = fields.get("status").and_then(|entry| entry.one_of(&[404, 403], sink));
    Some(Spanned { value: status.map_or(404, |status| status.value), span: entry.key.span })
}

fn context(item: &Node, sink: &mut Sink) -> Option<ContextEntry> {
    let fields = Fields::open(item, &CONTEXT, sink)?;
    let at = fields.at();
    let name = fields.need("name", sink).and_then(|entry| entry.identifier(64, sink));
    if let Some(name) = &name
        && name.value == "default"
    {
        let help = "`default` is what LoadShedding calls the pool of all contexts without one";
        sink.push(malformed("the name of a context", name, help));
    }
    let consistency =
        fields.need("consistency", sink).and_then(|entry| entry.word::<Consistency>(sink));
    let leased = consistency.map(|consistency| consistency.value.is_leased());
    let Matches { wires, entries: matches, names: match_names } = fields
        .need("match", sink)
        .map(|entry| matches::decode(entry, leased == Some(true), sink))
        .unwrap_or_default();
    let classes_entry = fields.need("dataClasses", sink);
    let classes: Vec<DataClass> = classes_entry
        .map(|entry| entry.words::<DataClass>(sink))
        .unwrap_or_default()
        .into_iter()
        .map(|class| class.value)
        .collect();
    let bound = classes.iter().copied().any(DataClass::is_bound);
    if leased == Some(false) {
        refuse_leased_keys(&fields, sink);
    }
    let leased = leased.unwrap_or(true);
    let default_subject = if bound { SubjectMode::SelfCaller } else { SubjectMode::Optional };
    let default_reads = if leased { Reads::Holder } else { Reads::Local };
    let default_key = if leased { IdempotencyRule::Require } else { IdempotencyRule::Ignore };
    let lease = fields.get("lease").and_then(|entry| entry.text(sink));
    let shard = fields.get("shard").and_then(|entry| shard(entry, sink));
    let classes_span = classes_entry.map_or(at, |entry| entry.key.span);
    let subject_span = fields.get("subject").map_or(classes_span, |entry| entry.value.span);
    let subject = fields.word_or("subject", default_subject, sink);
    let default_country = fields.get("defaultCountry").and_then(|entry| {
        let country = entry.text(sink).filter(|country| check_country(country, sink))?;
        if subject == SubjectMode::None {
            let message = "`defaultCountry` is for a context with a subject";
            sink.push(
                Diagnostic::error(codes::EXCLUSIVE, message)
                    .at(entry.key.span)
                    .related(subject_span, "requests are about nobody"),
            );
        }
        Some(country.value)
    });
    let reads = fields.word_or("reads", default_reads, sink);
    let consistency_word = consistency.map(|consistency| consistency.value);
    let max_lag_ms = max_lag(&fields, consistency_word, reads, sink);
    let purpose = fields.get("purpose").and_then(|entry| entry.identifier(63, sink));
    let wire = wire::Context {
        purpose: purpose.map(|purpose| purpose.value),
        name: name.as_ref().map(|name| name.value.clone()).unwrap_or_default(),
        matches: wires,
        consistency: consistency.map_or(Consistency::Quorum, |consistency| consistency.value),
        lease: lease.as_ref().filter(|_| leased).map(|lease| lease.value.clone()),
        shard: shard.filter(|_| leased),
        data_classes: classes,
        subject,
        default_country,
        reads,
        max_lag_ms,
        acks: fields.get("acks").and_then(|entry| acks(entry, consistency_word, sink)),
        idempotency_key: fields.word_or("idempotencyKey", default_key, sink),
        priority: fields.word_or("priority", Priority::Normal, sink),
        deadline: fields.get("deadline").and_then(|entry| deadline(entry, sink)),
        merge: None,
    };
    let entry = ContextEntry {
        wire,
        name: at,
        leased: consistency.map(|consistency| consistency.value.is_leased()),
        matches,
        match_names,
        lease: lease.filter(|_| leased),
        merge: fields.get("merge").and_then(|entry| {
            merging::decode(entry, consistency_word.map(Consistency::is_leased), sink)
        }),
        shard: fields.get("shard").map(|entry| entry.key.span),
        subject: subject_span,
        classes: classes_span,
    };
    shard_variable(&entry, sink);
    name.map(|_| entry)
}

/// How far behind a copy may be that reads are served from.
fn max_lag(
    fields: &Fields<'_>,
    consistency: Option<Consistency>,
    reads: Reads,
    sink: &mut Sink,
) -> Option<u32> {
    let entry = fields.get("maxLag")?;
    let lag = entry.duration_ms(1..=LAG_MAX_MS, sink);
    let why = match consistency {
        None | Some(Consistency::Replicated) => None,
        Some(Consistency::Regional) => Some("regional data has no copies"),
        Some(_) if reads == Reads::Local => None,
        Some(_) => Some("reads go to the holder of the lease, whose data no other is ahead of"),
    };
    if let Some(why) = why {
        let message = "`maxLag` is for contexts whose reads are served from copies";
        sink.push(Diagnostic::error(codes::EXCLUSIVE, message).at(entry.key.span).help(why));
        return None;
    }
    lag.and_then(|lag| u32::try_from(lag).ok())
}

/// How many regions have to acknowledge a write.
fn acks(entry: &Entry, consistency: Option<Consistency>, sink: &mut Sink) -> Option<wire::Acks> {
    if consistency.is_some_and(|consistency| consistency != Consistency::Quorum) {
        let message = "`acks` is for contexts with `consistency: quorum`";
        sink.push(Diagnostic::error(codes::EXCLUSIVE, message).at(entry.key.span));
        return None;
    }
    let fields = Fields::open_at(&entry.value, entry.key.span, &ACKS, sink)?;
    let regions = |entry: &Entry, most: u64, sink: &mut Sink| {
        let count = entry.value.number(&entry.what(), 1..=most, sink)?;
        u8::try_from(count.value).ok()
    };
    let most = u64::try_from(RegionId::MAX).unwrap_or(1);
    let required = fields.need("required", sink).and_then(|entry| regions(entry, most, sink))?;
    let when_peer_down = match fields.get("whenPeerDown") {
        None => None,
        Some(entry) => Some(regions(entry, required.into(), sink)?),
    };
    Some(wire::Acks { required, when_peer_down })
}

/// For how long requests are worth something.
fn deadline(entry: &Entry, sink: &mut Sink) -> Option<wire::Deadlines> {
    entry.some_entries(sink)?;
    let fields = Fields::open_at(&entry.value, entry.key.span, &DEADLINE, sink)?;
    let max = fields.get("max");
    let min = fields.get("min");
    let (max_ms, min_ms) = (
        max.and_then(|entry| time(entry, wire::Deadlines::MAX_MS, sink)),
        min.and_then(|entry| time(entry, wire::Deadlines::MIN_MS, sink)),
    );
    let deadline = wire::Deadlines { max_ms, min_ms };
    if let (Some(max), Some(min)) = (max, min)
        && !deadline.leave_room()
    {
        let message = "`min` leaves no time for the way through the mesh";
        let room = show_ms(wire::Deadlines::WAY_MS.into());
        sink.push(
            Diagnostic::error(codes::EXCLUSIVE, message)
                .at(min.value.span)
                .related(max.value.span, "all that a request has")
                .help(format!("`max` has to be longer by at least {room}")),
        );
    }
    Some(deadline)
}

fn refuse_leased_keys(fields: &Fields<'_>, sink: &mut Sink) {
    for key in ["lease", "shard", "reads", "idempotencyKey"] {
        let Some(entry) = fields.get(key) else { continue };
        let message = format!("`{key}` is only for leased contexts");
        sink.push(
            Diagnostic::error(codes::LEASED_ONLY, message)
                .at(entry.key.span)
                .help("a context is leased if its consistency is quorum, synchronous or locked"),
        );
    }
}

fn shard(entry: &Entry, sink: &mut Sink) -> Option<wire::Shard> {
    let fields = Fields::open_at(&entry.value, entry.key.span, &SHARD, sink)?;
    let by = fields.need("by", sink)?;
    let text = by.text(sink)?;
    match text.value.as_str() {
        "residency" => {
            if let Some(variable) = fields.get("variable") {
                let message = "`variable` is only for `by: path`";
                sink.push(
                    Diagnostic::error(codes::EXCLUSIVE, message)
                        .at(variable.key.span)
                        .related(by.value.span, "the shard is told by residency"),
                );
            }
            Some(wire::Shard { by: wire::ShardBy::Residency, variable: None })
        }
        "path" => {
            let variable = fields.need("variable", sink)?.text(sink)?;
            Some(wire::Shard { by: wire::ShardBy::Path, variable: Some(variable.value) })
        }
        other => {
            let message = format!("`by` cannot be {}", quote(other));
            sink.push(
                Diagnostic::error(codes::UNKNOWN_WORD, message)
                    .at(text.span)
                    .suggest(other, &["residency", "path"]),
            );
            None
        }
    }
}

fn shard_variable(context: &ContextEntry, sink: &mut Sink) {
    let Some(variable) = context.wire.shard.as_ref().and_then(|shard| shard.variable.as_ref())
    else {
        return;
    };
    for found in &context.matches {
        if found.template.variable(variable).is_none() {
            let message = format!("the path has no variable `{{{variable}}}`");
            let mut diagnostic = Diagnostic::error(codes::SHARD_VARIABLE, message).at(found.span);
            if let Some(shard) = context.shard {
                diagnostic = diagnostic.related(shard, "which tells the shard");
            }
            sink.push(diagnostic);
        }
    }
}

// === all contexts of a set ===

/// What contexts say of each other.
pub(crate) fn check(contexts: &[ContextEntry], sink: &mut Sink) {
    for (number, context) in contexts.iter().enumerate() {
        let earlier = contexts.iter().take(number);
        if let Some(first) =
            earlier.into_iter().find(|earlier| earlier.wire.name == context.wire.name)
        {
            sink.push(twice("context", &context.wire.name, context.name, first.name));
        }
        check_sharing(context, contexts, sink);
        check_shard_by_residency(context, sink);
    }
    merging::check(contexts, sink);
    ambiguous(contexts, sink);
}

fn check_sharing(context: &ContextEntry, contexts: &[ContextEntry], sink: &mut Sink) {
    let Some(lease) = &context.lease else {
        if let Some(wire::Shard { by: wire::ShardBy::Path, .. }) = context.wire.shard
            && let Some(shard) = context.shard
        {
            let message = "a path variable alone cannot say which shards there are";
            sink.push(
                Diagnostic::error(codes::LEASE_SHARING, message).at(shard).help(
                    "with `lease`, share the lease of a context whose shards are by residency",
                ),
            );
        }
        return;
    };
    let why = match contexts.iter().find(|other| other.wire.name == lease.value) {
        None => {
            let known: Vec<&str> = contexts
                .iter()
                .filter(|other| other.leased == Some(true) && other.lease.is_none())
                .map(|other| other.wire.name.as_str())
                .collect();
            let message = format!("there is no context {}", quote(&lease.value));
            sink.push(
                Diagnostic::error(codes::UNKNOWN_CONTEXT, message)
                    .at(lease.span)
                    .suggest(&lease.value, &known),
            );
            return;
        }
        Some(owner) if owner.name == context.name => "that is the context itself",
        Some(owner) if owner.leased == Some(false) => "it is not leased",
        Some(owner) if owner.lease.is_some() => "it shares the lease of another context itself",
        Some(owner) => {
            check_same_split(context, owner, sink);
            return;
        }
    };
    let message = format!("the lease of {} cannot be shared: {why}", quote(&lease.value));
    sink.push(Diagnostic::error(codes::LEASE_SHARING, message).at(lease.span));
}

fn check_same_split(context: &ContextEntry, owner: &ContextEntry, sink: &mut Sink) {
    if context.shard.is_some() == owner.shard.is_some() {
        return;
    }
    let (split, whole) = if context.shard.is_some() {
        (&context.wire.name, &owner.wire.name)
    } else {
        (&owner.wire.name, &context.wire.name)
    };
    let message = format!("the lease is split in {} and not in {}", quote(split), quote(whole));
    sink.push(
        Diagnostic::error(codes::LEASE_SHARING, message)
            .at(context.name)
            .related(owner.name, "whose lease it shares"),
    );
}

fn check_shard_by_residency(context: &ContextEntry, sink: &mut Sink) {
    let by_residency =
        matches!(context.wire.shard, Some(wire::Shard { by: wire::ShardBy::Residency, .. }));
    if !by_residency || context.wire.subject == SubjectMode::SelfCaller {
        return;
    }
    let message =
        format!("shards by residency need `subject: self`, not `{}`", context.wire.subject);
    let mut diagnostic = Diagnostic::error(codes::SHARD_BY_RESIDENCY, message).at(context.subject);
    if let Some(shard) = context.shard {
        diagnostic = diagnostic.related(shard, "a request without a subject has no shard");
    }
    sink.push(diagnostic);
}

fn ambiguous(contexts: &[ContextEntry], sink: &mut Sink) {
    let entries: Vec<&MatchEntry> = contexts.iter().flat_map(|context| &context.matches).collect();
    if entries.len() > 10_000 {
        return;
    }
    let routes: Vec<(Template, u8)> =
        entries.iter().map(|entry| (entry.template.clone(), entry.methods)).collect();
    for found in policy_core::ambiguities(&routes) {
        let (Some(first), Some(second)) = (entries.get(found.first), entries.get(found.second))
        else {
            continue;
        };
        let message = "neither of two matches is more specific, and some requests are for both";
        let mut diagnostic = Diagnostic::error(codes::AMBIGUOUS, message).at(second.span).help(
            "make one of them more specific: a literal wins over a `{variable}`, that over `**`, and listed methods over none",
        );
        if first.span != second.span {
            diagnostic = diagnostic.label("this one").related(first.span, "and this one");
        }
        sink.push(diagnostic);
    }
}

/// An effect that a leased context may have.
pub(crate) fn check_effect(entry: &Entry, effect: Effect, leased: bool, sink: &mut Sink) {
    if leased && effect == Effect::None {
        let message = "`effect: none` is not for leased contexts";
        sink.push(
            Diagnostic::error(codes::EXCLUSIVE, message)
                .at(entry.value.span)
                .help("use `read` for what changes nothing"),
        );
    }
}
