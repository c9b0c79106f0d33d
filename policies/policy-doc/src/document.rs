//! What every document has: `apiVersion`, `kind`, `metadata`, `spec`.

use crate::codes;
use crate::diagnostic::{Diagnostic, Sink, Span, Spanned, closest, quote};
use crate::fields::{Fields, Shape};
use crate::yaml::{Entry, Node};

/// The version of the documents that this release reads.
pub(crate) const API_VERSION: &str = "meshfence.dev/v1alpha1";

const DOCUMENT: Shape =
    Shape { what: "a document", keys: &["apiVersion", "kind", "metadata", "spec"], later: &[] };
const METADATA: Shape =
    Shape { what: "`metadata`", keys: &["name"], later: &["namespace", "labels", "annotations"] };

/// What a document is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Topology,
    Mesh,
    Contexts,
    Residency,
    Fencing,
    Versioning,
    LoadShedding,
    TenantMap,
    PolicyTest,
    Timeline,
}

/// The kinds of which a set has exactly one, and whether they can be disabled.
pub(crate) const SINGLE: [(Kind, bool); 6] = [
    (Kind::Topology, false),
    (Kind::Mesh, false),
    (Kind::Residency, true),
    (Kind::Fencing, true),
    (Kind::Versioning, true),
    (Kind::LoadShedding, true),
];

/// A document whose head has been read.
#[derive(Debug, Clone)]
pub(crate) struct Document<'n> {
    pub(crate) kind: Kind,
    pub(crate) kind_span: Span,
    pub(crate) name: Option<Spanned<String>>,
    pub(crate) spec: Option<&'n Entry>,
}

/// What the head of a document says.
#[derive(Debug)]
pub(crate) enum Head<'n> {
    Known(Document<'n>),
    /// A kind that was most likely meant to be this one.
    Misspelt(Option<Kind>),
}

impl Kind {
    const ALL: [Self; 10] = [
        Self::Topology,
        Self::Mesh,
        Self::Contexts,
        Self::Residency,
        Self::Fencing,
        Self::Versioning,
        Self::LoadShedding,
        Self::TenantMap,
        Self::PolicyTest,
        Self::Timeline,
    ];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Topology => "Topology",
            Self::Mesh => "Mesh",
            Self::Contexts => "Contexts",
            Self::Residency => "Residency",
            Self::Fencing => "Fencing",
            Self::Versioning => "Versioning",
            Self::LoadShedding => "LoadShedding",
            Self::TenantMap => "TenantMap",
            Self::PolicyTest => "PolicyTest",
            Self::Timeline => "Timeline",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// Reads the head of a document.
pub(crate) fn head<'n>(root: &'n Node, sink: &mut Sink) -> Head<'n> {
    let Some(fields) = Fields::open(root, &DOCUMENT, sink) else { return Head::Misspelt(None) };
    if let Some(version) = fields.need("apiVersion", sink).and_then(|entry| entry.text(sink))
        && version.value != API_VERSION
    {
        let message = format!("unknown apiVersion {}", quote(&version.value));
        sink.push(
            Diagnostic::error(codes::API_VERSION, message)
                .at(version.span)
                .help(format!("this release reads `{API_VERSION}`")),
        );
    }
    let name = fields
        .need("metadata", sink)
        .and_then(|entry| Fields::open_at(&entry.value, entry.key.span, &METADATA, sink))
        .and_then(|metadata| metadata.need("name", sink))
        .and_then(|entry| entry.identifier(63, sink));
    let spec = fields.need("spec", sink);
    let Some(kind) = fields.need("kind", sink).and_then(|entry| entry.text(sink)) else {
        return Head::Misspelt(None);
    };
    if let Some(known) = Kind::parse(&kind.value) {
        return Head::Known(Document { kind: known, kind_span: kind.span, name, spec });
    }
    let names = Kind::ALL.map(Kind::as_str);
    let message = format!("there is no kind {}", quote(&kind.value));
    sink.push(
        Diagnostic::error(codes::UNKNOWN_KIND, message).at(kind.span).suggest(&kind.value, &names),
    );
    Head::Misspelt(closest(&kind.value, &names).and_then(Kind::parse))
}

impl<'n> Document<'n> {
    /// The keys of the `spec`.
    pub(crate) fn fields(&self, shape: &Shape, sink: &mut Sink) -> Option<Fields<'n>> {
        let spec = self.spec?;
        Fields::open_at(&spec.value, spec.key.span, shape, sink)
    }
}
