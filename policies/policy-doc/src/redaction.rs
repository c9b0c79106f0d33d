//! `Residency.spec.redactionProfiles`: what of a response is redacted.

use crate::codes;
use crate::diagnostic::{Diagnostic, Sink, Span, Spanned, quote};
use crate::fields::{Fields, Shape, twice};
use crate::value::malformed;
use crate::yaml::{Entry, Node};
use policy_core::{FieldPath, HeaderPattern, ProfileSet, Profiles, RedactionAction, wire};

const PROFILE: Shape =
    Shape { what: "a redaction profile", keys: &["name", "fields", "headers"], later: &[] };
const FIELD: Shape =
    Shape { what: "a redacted field", keys: &["path", "action", "keep"], later: &[] };
const LIMITS: Shape = Shape { what: "`redaction`", keys: &["maxBodyBytes"], later: &[] };

/// Reads `redactionProfiles`: the profiles, each with the place of its name.
pub(crate) fn profiles(entry: &Entry, sink: &mut Sink) -> Vec<(wire::RedactionProfile, Span)> {
    let mut profiles: Vec<(wire::RedactionProfile, Span)> = Vec::new();
    let items = entry.items(sink).unwrap_or_default();
    check_count("profiles", items.len(), ProfileSet::MAX, entry.key.span, sink);
    for item in items {
        let Some((profile, span)) = profile(item, sink) else { continue };
        if let Some((_, first)) = profiles.iter().find(|(known, _)| known.name == profile.name) {
            sink.push(twice("redaction profile", &profile.name, span, *first));
            continue;
        }
        profiles.push((profile, span));
    }
    profiles
}

/// Reads `redaction`.
pub(crate) fn limits(entry: &Entry, sink: &mut Sink) -> Option<wire::RedactionLimits> {
    let fields = Fields::open_at(&entry.value, entry.key.span, &LIMITS, sink)?;
    let range = u64::from(*Profiles::BODY_MAX.start())..=u64::from(*Profiles::BODY_MAX.end());
    let most = fields.need("maxBodyBytes", sink)?;
    let most = most.value.number(&most.what(), range, sink)?;
    Some(wire::RedactionLimits { max_body_bytes: u32::try_from(most.value).ok()? })
}

fn profile(item: &Node, sink: &mut Sink) -> Option<(wire::RedactionProfile, Span)> {
    let opened = Fields::open(item, &PROFILE, sink)?;
    let name = opened.need("name", sink).and_then(|entry| entry.identifier(63, sink));
    let (fields_entry, headers_entry) = (opened.get("fields"), opened.get("headers"));
    if fields_entry.is_none() && headers_entry.is_none() {
        sink.push(
            Diagnostic::error(codes::MISSING_KEY, "a redaction profile redacts nothing")
                .at(opened.at())
                .help("say which `fields` of a body or which `headers`"),
        );
    }
    let fields = fields_entry.map(|entry| fields(entry, sink)).unwrap_or_default();
    let headers = headers_entry.map(|entry| headers(entry, sink)).unwrap_or_default();
    let name = name?;
    Some((wire::RedactionProfile { name: name.value, fields, headers }, name.span))
}

fn fields(entry: &Entry, sink: &mut Sink) -> Vec<wire::RedactedField> {
    let items = entry.items(sink).unwrap_or_default();
    check_count("fields", items.len(), Profiles::FIELDS_MAX, entry.key.span, sink);
    let mut fields: Vec<(wire::RedactedField, Span)> = Vec::new();
    for item in items {
        let Some((field, span)) = field(item, sink) else { continue };
        if let Some((_, first)) = fields.iter().find(|(known, _)| known.path == field.path) {
            sink.push(twice("path", &field.path, span, *first));
            continue;
        }
        fields.push((field, span));
    }
    fields.into_iter().map(|(field, _)| field).collect()
}

fn field(item: &Node, sink: &mut Sink) -> Option<(wire::RedactedField, Span)> {
    let fields = Fields::open(item, &FIELD, sink)?;
    // The path of the whole document is empty.
    let path =
        fields.need("path", sink).and_then(|entry| entry.value.any_text(&entry.what(), sink));
    let path = path.filter(|path| match FieldPath::parse(&path.value) {
        Ok(_) => true,
        Err(error) => {
            sink.push(malformed("`path`", path, &error.to_string()));
            false
        }
    });
    let action = fields.need("action", sink).and_then(|entry| entry.word::<RedactionAction>(sink));
    let keep = match action.as_ref().map(|action| action.value) {
        Some(RedactionAction::Truncate) => {
            let entry = fields.need("keep", sink)?;
            let range = u64::from(*Profiles::KEEP.start())..=u64::from(*Profiles::KEEP.end());
            let keep = entry.value.number(&entry.what(), range, sink)?;
            Some(u32::try_from(keep.value).ok()?)
        }
        Some(action) => {
            if let Some(entry) = fields.get("keep") {
                let message = format!("`keep` is not for {}", quote(action.as_str()));
                sink.push(
                    Diagnostic::error(codes::EXCLUSIVE, message)
                        .at(entry.key.span)
                        .help("only `truncate` keeps something"),
                );
            }
            None
        }
        None => None,
    };
    let (path, action) = (path?, action?);
    Some((wire::RedactedField { path: path.value, action: action.value, keep }, path.span))
}

fn headers(entry: &Entry, sink: &mut Sink) -> Vec<String> {
    let mut headers = entry.texts(sink);
    check_count("headers", headers.len(), Profiles::HEADERS_MAX, entry.key.span, sink);
    headers.retain(|header| check_header(header, sink));
    headers.into_iter().map(|header| header.value).collect()
}

fn check_header(header: &Spanned<String>, sink: &mut Sink) -> bool {
    match HeaderPattern::parse(&header.value) {
        Ok(_) => true,
        Err(error) => {
            sink.push(malformed("an item of `headers`", header, &error.to_string()));
            false
        }
    }
}

fn check_count(what: &str, count: usize, most: usize, at: Span, sink: &mut Sink) {
    if count > most {
        let message = format!("there are at most {most} {what}, not {count}");
        sink.push(Diagnostic::error(codes::TOO_LARGE, message).at(at));
    }
}
