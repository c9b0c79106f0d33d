//! `merge` of a context: how the versions of several regions become one.

use crate::codes;
use crate::contexts::ContextEntry;
use crate::diagnostic::{Diagnostic, Sink, Span, Spanned, quote};
use crate::fields::{Fields, Shape};
use crate::yaml::Entry;
use policy_core::{MergeStrategy, wire};

const MERGE: Shape = Shape { what: "`merge`", keys: &["strategy", "at"], later: &[] };

/// How a context is merged and where that is written.
#[derive(Debug)]
pub(crate) struct MergeEntry {
    strategy: MergeStrategy,
    /// The name of the match that it is merged on.
    at: Option<Spanned<String>>,
    span: Span,
}

/// Reads `merge`.
pub(crate) fn decode(entry: &Entry, leased: Option<bool>, sink: &mut Sink) -> Option<MergeEntry> {
    if leased == Some(true) {
        let message = "`merge` is only for eventual contexts";
        sink.push(
            Diagnostic::error(codes::EVENTUAL_ONLY, message)
                .at(entry.key.span)
                .help("a context is eventual if its consistency is replicated or regional; in a leased one there is nothing to merge"),
        );
        return None;
    }
    let fields = Fields::open_at(&entry.value, entry.key.span, &MERGE, sink)?;
    let at_entry = fields.get("at");
    let at = at_entry.and_then(|entry| entry.text(sink));
    let strategy = fields.need("strategy", sink)?.word::<MergeStrategy>(sink)?;
    let why = match strategy.value {
        MergeStrategy::OrSet => None,
        MergeStrategy::AppendOnly => Some("what is only appended needs no moment of merging"),
        MergeStrategy::LastWriteWins => Some("where the last write wins, nothing is merged"),
    };
    if let (Some(at), Some(why)) = (at_entry, why) {
        let message = format!("`at` is not for `strategy: {}`", strategy.value);
        sink.push(
            Diagnostic::error(codes::EXCLUSIVE, message)
                .at(at.key.span)
                .related(strategy.span, why)
                .help("remove it, or use `strategy: or-set`"),
        );
        return None;
    }
    Some(MergeEntry { strategy: strategy.value, at, span: entry.key.span })
}

/// What the proxies get: the match by its place. That the last write wins goes without saying.
pub(crate) fn wire(context: &ContextEntry, contexts: &[ContextEntry]) -> Option<wire::Merge> {
    let merge = context.merge.as_ref()?;
    let at = merge.at.as_ref().map(|name| places(&name.value, contexts)).unwrap_or_default();
    (merge.strategy != MergeStrategy::LastWriteWins)
        .then_some(wire::Merge { strategy: merge.strategy, at })
}

/// Every match of this name; one with several gRPC methods is several.
fn places(name: &str, contexts: &[ContextEntry]) -> Vec<wire::MatchRef> {
    let of = |context: &ContextEntry| {
        let owner = context.wire.name.clone();
        let own = context.matches.iter().enumerate();
        let own = own.filter(|(_, found)| found.name.as_deref() == Some(name));
        own.map(|(position, _)| wire::MatchRef { context: owner.clone(), position })
            .collect::<Vec<_>>()
    };
    contexts.iter().flat_map(of).collect()
}

/// Whether what contexts are merged on is there, and is one thing.
pub(crate) fn check(contexts: &[ContextEntry], sink: &mut Sink) {
    for (number, context) in contexts.iter().enumerate() {
        let Some(at) = context.merge.as_ref().and_then(|merge| merge.at.as_ref()) else { continue };
        let named = |owner: &&ContextEntry| owner.named_match(&at.value).is_some();
        let mut owners = contexts.iter().filter(named);
        let Some(owner) = owners.next() else {
            sink.push(unknown(at, contexts));
            continue;
        };
        let found = owner.named_match(&at.value).unwrap_or(owner.name);
        if let Some(other) = owners.next() {
            let message = format!("there are two matches {}", quote(&at.value));
            sink.push(
                Diagnostic::error(codes::MERGE, message)
                    .at(at.span)
                    .related(found, format!("one of {}", quote(&owner.wire.name)))
                    .related(
                        other.named_match(&at.value).unwrap_or(other.name),
                        format!("one of {}", quote(&other.wire.name)),
                    )
                    .help("give one of them another name"),
            );
        }
        let merged_there = |earlier: &&ContextEntry| {
            let merge = earlier.merge.as_ref().and_then(|merge| merge.at.as_ref());
            merge.is_some_and(|earlier| earlier.value == at.value)
        };
        let first = contexts.iter().take(number).find(merged_there);
        if let Some(first) = first.and_then(|first| first.merge.as_ref()?.at.as_ref()) {
            let message = format!("two contexts are merged at {}", quote(&at.value));
            sink.push(
                Diagnostic::error(codes::MERGE, message)
                    .at(at.span)
                    .label("again here")
                    .related(first.span, "first here")
                    .help("a request is told of one: merge the other at another match"),
            );
        }
        let own = owner.merge.as_ref().filter(|own| own.at.is_none());
        if let Some(own) = own.filter(|own| own.strategy != MergeStrategy::LastWriteWins) {
            let owner = quote(&owner.wire.name);
            let message =
                format!("{} is a match of {owner}, which is merged itself", quote(&at.value));
            sink.push(
                Diagnostic::error(codes::MERGE, message)
                    .at(at.span)
                    .related(own.span, "so its writes say")
                    .help("a request is told of one: merge at a match of another context"),
            );
        }
    }
}

fn unknown(at: &Spanned<String>, contexts: &[ContextEntry]) -> Diagnostic {
    let names = contexts.iter().flat_map(|context| &context.match_names);
    let known: Vec<&str> = names.map(|name| name.value.as_str()).collect();
    let message = format!("there is no match {}", quote(&at.value));
    let diagnostic = Diagnostic::error(codes::UNKNOWN_MATCH, message).at(at.span);
    if known.is_empty() {
        diagnostic.help("name one: `match: [{name: checkout, path: …}]`")
    } else {
        diagnostic.suggest(&at.value, &known)
    }
}
