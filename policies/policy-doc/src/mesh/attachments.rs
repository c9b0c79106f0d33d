//! `Mesh.spec.attachments`: where Istio attaches the plugin, and as what.

use crate::codes;
use crate::diagnostic::{Diagnostic, Sink, Span, quote};
use crate::fields::{Fields, Shape};
use crate::load::Parts;
use crate::set::{AttachmentTarget, MeshAttachment, TargetRef};
use crate::value::{check_label, is_label_key, is_label_value, is_subdomain, malformed};
use crate::yaml::{Entry, Node};
use policy_core::{Role, ShedAt, SheddingMode};
use std::collections::BTreeMap;

const ATTACHMENT: Shape = Shape {
    what: "an attachment",
    keys: &["role", "namespace", "targetRefs", "selector"],
    later: &[],
};
const TARGET_REF: Shape =
    Shape { what: "an item of `targetRefs`", keys: &["group", "kind", "name"], later: &[] };
const SELECTOR: Shape = Shape { what: "`selector`", keys: &["matchLabels"], later: &[] };

/// The kind of a gateway, and the API group of the Gateway API.
const GATEWAY: &str = "Gateway";
const GATEWAY_API: &str = "gateway.networking.k8s.io";
/// What Istio attaches a plugin to by reference: kinds and their API groups.
const KINDS: [(&str, &str); 3] =
    [(GATEWAY, GATEWAY_API), ("Service", ""), ("ServiceEntry", "networking.istio.io")];

/// One attachment and where it is written.
#[derive(Debug)]
pub(crate) struct AttachmentEntry {
    pub(crate) attachment: MeshAttachment,
    span: Span,
}

/// Reads `attachments`.
pub(super) fn decode(entry: &Entry, sink: &mut Sink) -> Vec<AttachmentEntry> {
    let mut entries: Vec<AttachmentEntry> = Vec::new();
    for item in entry.items(sink).unwrap_or_default() {
        let Some(attachment) = attachment(item, sink) else { continue };
        if let Some(other) = entries.iter().find(|known| known.attachment.excludes(&attachment)) {
            let message = "the gateways of users and of other regions cannot be the same";
            sink.push(
                Diagnostic::error(codes::EXCLUSIVE, message)
                    .at(item.span)
                    .related(other.span, format!("`{}` here", other.attachment.role))
                    .help("a guard has one role on all listeners of its pods"),
            );
        }
        match entries.iter().find(|known| known.attachment == attachment) {
            Some(first) => sink.push(
                Diagnostic::error(
                    codes::NAME_TWICE,
                    "the plugin is attached twice to the same place",
                )
                .at(item.span)
                .label("again here")
                .related(first.span, "first here"),
            ),
            None => entries.push(AttachmentEntry { attachment, span: item.span }),
        }
    }
    entries
}

/// Every request has to pass the place where requests are counted, in whichever way it comes in.
pub(crate) fn check(parts: &Parts<'_>, sink: &mut Sink) {
    let (Some(mesh), Some(shedding)) = (&parts.mesh, &parts.shedding) else { return };
    let Some(first) = mesh.attachments.first() else { return };
    let several = parts.topology.as_ref().is_some_and(|topology| topology.regions.len() > 1);
    let needed: &[Role] = match shedding.shed_at {
        _ if shedding.mode == SheddingMode::Disabled => &[],
        ShedAt::Inbound => &[Role::Inbound],
        ShedAt::Edge if several => &[Role::Edge, Role::Peer],
        ShedAt::Edge => &[Role::Edge],
    };
    let is_there = |role: Role| mesh.attachments.iter().any(|entry| entry.attachment.role == role);
    for role in needed.iter().copied().filter(|role| !is_there(*role)) {
        let message = format!(
            "requests are counted `shedAt: {}`, and nothing is attached as `{role}`",
            shedding.shed_at
        );
        sink.push(
            Diagnostic::error(codes::SHED_POINT, message).at(first.span).help(format!(
                "attach the plugin with `role: {role}`, or count requests elsewhere"
            )),
        );
    }
}

impl MeshAttachment {
    /// A guard in both roles would run on the same listeners.
    fn excludes(&self, other: &Self) -> bool {
        let gateways = [Role::Edge, Role::Peer];
        let share = match (&self.target, &other.target) {
            (AttachmentTarget::Refs(own), AttachmentTarget::Refs(others)) => {
                own.iter().any(|target| others.contains(target))
            }
            (AttachmentTarget::Selector(own), AttachmentTarget::Selector(others)) => own == others,
            _ => false,
        };
        gateways.contains(&self.role)
            && gateways.contains(&other.role)
            && self.role != other.role
            && self.namespace == other.namespace
            && share
    }
}

fn attachment(item: &Node, sink: &mut Sink) -> Option<MeshAttachment> {
    let fields = Fields::open(item, &ATTACHMENT, sink)?;
    let role = fields.need("role", sink).and_then(|entry| entry.word::<Role>(sink));
    let namespace = fields.need("namespace", sink).and_then(|entry| entry.text(sink));
    if let Some(namespace) = &namespace {
        check_label("`namespace`", namespace, sink);
    }
    let target = match (fields.get("targetRefs"), fields.get("selector")) {
        (Some(refs), None) => {
            if role.is_some_and(|role| role.value == Role::Outbound) {
                let message = "`outbound` is behind a workload, where `targetRefs` do not reach";
                sink.push(
                    Diagnostic::error(codes::EXCLUSIVE, message)
                        .at(refs.key.span)
                        .help("choose the workloads by `selector`"),
                );
            }
            let target = target_refs(refs, sink);
            if let Some(role) = role
                && matches!(role.value, Role::Edge | Role::Peer)
                && let Some(AttachmentTarget::Refs(found)) = &target
                && found.iter().any(|target| target.kind != GATEWAY)
            {
                let message = format!("`{}` is attached to gateways only", role.value);
                sink.push(
                    Diagnostic::error(codes::EXCLUSIVE, message)
                        .at(refs.key.span)
                        .help(format!("use `kind: {GATEWAY}`, or `role: inbound` for a waypoint")),
                );
            }
            target
        }
        (None, Some(selector)) => selector_labels(selector, sink),
        (Some(_), Some(selector)) => {
            let message = "`selector` and `targetRefs` exclude each other";
            sink.push(Diagnostic::error(codes::EXCLUSIVE, message).at(selector.key.span));
            None
        }
        (None, None) => {
            let message = "an attachment says neither `targetRefs` nor `selector`";
            sink.push(
                Diagnostic::error(codes::MISSING_KEY, message)
                    .at(fields.at())
                    .help("without either the plugin would be on every proxy of the namespace"),
            );
            None
        }
    };
    Some(MeshAttachment { role: role?.value, namespace: namespace?.value, target: target? })
}

fn target_refs(entry: &Entry, sink: &mut Sink) -> Option<AttachmentTarget> {
    let items = entry.items(sink)?;
    let mut refs: Vec<TargetRef> = Vec::new();
    for item in items {
        let Some(found) = target_ref(item, sink) else { continue };
        if refs.contains(&found) {
            let message = format!("{} {} is given twice", quote(&found.kind), quote(&found.name));
            sink.push(Diagnostic::error(codes::NAME_TWICE, message).at(item.span));
            continue;
        }
        refs.push(found);
    }
    (refs.len() == items.len()).then_some(AttachmentTarget::Refs(refs))
}

fn target_ref(item: &Node, sink: &mut Sink) -> Option<TargetRef> {
    let fields = Fields::open(item, &TARGET_REF, sink)?;
    let kind = fields.need("kind", sink).and_then(|entry| entry.text(sink));
    let group = fields.get("group").map(|entry| entry.text(sink));
    let name = fields.need("name", sink).and_then(|entry| entry.text(sink));
    if let Some(name) = &name
        && !is_subdomain(&name.value)
    {
        let help = "use the name of a resource: lower-case letters, digits, `-` and `.`";
        sink.push(malformed("`name`", name, help));
    }
    let kind = kind?;
    let known = KINDS.iter().find(|(known, _)| *known == kind.value);
    let Some((_, wanted)) = known else {
        let message = format!("the plugin cannot be attached to a {}", quote(&kind.value));
        sink.push(
            Diagnostic::error(codes::UNKNOWN_WORD, message)
                .at(kind.span)
                .suggest(&kind.value, &KINDS.map(|(known, _)| known)),
        );
        return None;
    };
    let group = match group {
        // It was said, and is not readable.
        Some(None) => return None,
        Some(group) => group,
        None => None,
    };
    if group.as_ref().map_or("", |group| &group.value) != *wanted {
        let at = group.map_or(kind.span, |group| group.span);
        let message = format!("a {} is of another API group", quote(&kind.value));
        let help = if wanted.is_empty() {
            "leave `group` out".to_owned()
        } else {
            format!("use `group: {wanted}`")
        };
        sink.push(Diagnostic::error(codes::UNKNOWN_WORD, message).at(at).help(help));
        return None;
    }
    Some(TargetRef { group: (*wanted).to_owned(), kind: kind.value, name: name?.value })
}

fn selector_labels(entry: &Entry, sink: &mut Sink) -> Option<AttachmentTarget> {
    let fields = Fields::open_at(&entry.value, entry.key.span, &SELECTOR, sink)?;
    let labels = fields.need("matchLabels", sink)?;
    let items = labels.some_entries(sink)?;
    let mut found = BTreeMap::new();
    for item in items {
        let key = item.name("a label", sink);
        let value = item.value.any_text(&item.what(), sink);
        let (Some(key), Some(value)) = (key, value) else { continue };
        if !is_label_key(&key.value) {
            sink.push(malformed("a label", &key, "use the name of a label of pods, such as `app`"));
        } else if !is_label_value(&value.value) {
            let help = "use letters, digits, `-`, `_` and `.`, 63 at most";
            sink.push(malformed("the value of a label", &value, help));
        } else {
            found.insert(key.value, value.value);
        }
    }
    (found.len() == items.len()).then_some(AttachmentTarget::Selector(found))
}
