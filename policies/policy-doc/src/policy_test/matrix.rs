//! One item of `cases` that stands for several: the product of what its matrix lists.

use crate::codes;
use crate::diagnostic::{Diagnostic, Sink, Span, Spanned};
use crate::fields::{Fields, Shape};
use crate::yaml::{Content, Entry};

const MATRIX: Shape =
    Shape { what: "`matrix`", keys: &["caller", "request", "state", "region", "role"], later: &[] };

/// How many cases one item may stand for.
const PRODUCT_MAX: usize = 200;

/// The lists of a matrix; no list where the case itself says it, or `defaults`.
#[derive(Debug, Default)]
pub(super) struct Matrix {
    pub(super) caller: Option<Vec<Spanned<String>>>,
    pub(super) request: Option<Vec<Spanned<String>>>,
    pub(super) state: Option<Vec<Spanned<String>>>,
    pub(super) region: Option<Vec<Spanned<String>>>,
    pub(super) role: Option<Vec<Spanned<String>>>,
}

impl Matrix {
    /// Reads the matrix of a case, if it has one.
    pub(super) fn decode(case: &Fields<'_>, sink: &mut Sink) -> Option<Self> {
        let Some(entry) = case.get("matrix") else { return Some(Self::default()) };
        entry.some_entries(sink)?;
        let fields = Fields::open_at(&entry.value, entry.key.span, &MATRIX, sink)?;
        let product = MATRIX.keys.iter().filter_map(|key| fields.get(key)?.value.len());
        let product = product.fold(1_usize, usize::saturating_mul);
        if product > PRODUCT_MAX {
            let message = format!(
                "a matrix stands for at most {PRODUCT_MAX} cases, and this one for {product}"
            );
            sink.push(Diagnostic::error(codes::TOO_LARGE, message).at(entry.key.span));
            return None;
        }
        let mut list = |key: &str| {
            let entry = fields.get(key)?;
            if let Some(own) = own(case, key) {
                let message = format!("`{key}` is given by the case and by its matrix");
                sink.push(
                    Diagnostic::error(codes::EXCLUSIVE, message)
                        .at(entry.key.span)
                        .related(own, "here as well"),
                );
            }
            Some(entry.texts(sink))
        };
        Some(Self {
            caller: list("caller"),
            request: list("request"),
            state: list("state"),
            region: list("region"),
            role: list("role"),
        })
    }
}

/// Where a case itself says what a list of its matrix says.
fn own(case: &Fields<'_>, key: &str) -> Option<Span> {
    if !matches!(key, "region" | "role") {
        return case.get(key).map(|entry| entry.key.span);
    }
    let Content::Mapping(at) = &case.get("at")?.value.content else { return None };
    at.iter().find(|entry: &&Entry| entry.key.value == key).map(|entry| entry.key.span)
}

/// One of the values that a case may have, and what tells it from the others.
#[derive(Debug)]
pub(super) struct Choice<T> {
    pub(super) value: T,
    /// Such as `caller hana`; nothing where there is no choice.
    pub(super) label: Option<String>,
    /// Where it was said.
    pub(super) place: Span,
}

impl<T> Choice<T> {
    /// The only one.
    pub(super) fn only(value: T, place: Span) -> Vec<Self> {
        vec![Self { value, label: None, place }]
    }

    /// One for each name of a list; a name that stands for nothing has been reported.
    pub(super) fn of(
        key: &str,
        names: &[Spanned<String>],
        mut find: impl FnMut(&Spanned<String>) -> Option<T>,
    ) -> Vec<Self> {
        let choice = |name: &Spanned<String>| {
            let label = Some(format!("{key} {}", name.value));
            Some(Self { value: find(name)?, label, place: name.span })
        };
        names.iter().filter_map(choice).collect()
    }
}

/// What tells one case of a matrix from the others, such as ` (caller hana, state cold)`.
pub(super) fn suffix(labels: [&Option<String>; 5]) -> String {
    let labels: Vec<&str> = labels.into_iter().filter_map(Option::as_deref).collect();
    if labels.is_empty() { String::new() } else { format!(" ({})", labels.join(", ")) }
}
