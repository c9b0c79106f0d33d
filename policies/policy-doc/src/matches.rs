//! The `match` list of a context: paths and gRPC methods.

use crate::codes;
use crate::contexts::{MatchEntry, check_effect};
use crate::diagnostic::{Diagnostic, Sink, Span, Spanned};
use crate::fields::{Fields, Shape, twice};
use crate::value::malformed;
use crate::yaml::{Entry, Node};
use policy_core::{Effect, Method, Operation, Template, TemplateError, wire};

const MATCH: Shape = Shape {
    what: "a match",
    keys: &["path", "grpc", "name", "methods", "effect", "operation"],
    later: &[],
};
const GRPC: Shape = Shape { what: "`grpc`", keys: &["service", "methods"], later: &[] };

/// What a `match` list says.
#[derive(Debug, Default)]
pub(crate) struct Matches {
    pub(crate) wires: Vec<wire::Match>,
    /// Where each of them is written.
    pub(crate) entries: Vec<MatchEntry>,
    /// The names, of matches that are not well formed too.
    pub(crate) names: Vec<Spanned<String>>,
}

/// Reads a `match` list.
pub(crate) fn decode(entry: &Entry, leased: bool, sink: &mut Sink) -> Matches {
    let mut matches = Matches::default();
    for item in entry.items(sink).unwrap_or_default() {
        one(item, leased, &mut matches, sink);
    }
    matches
}

fn one(item: &Node, leased: bool, matches: &mut Matches, sink: &mut Sink) -> Option<()> {
    let Matches { wires, entries, names } = matches;
    let fields = Fields::open(item, &MATCH, sink)?;
    let name = fields.get("name").and_then(|entry| entry.identifier(63, sink));
    if let Some(name) = &name {
        if let Some(first) = names.iter().find(|known| known.value == name.value) {
            sink.push(twice("match", &name.value, name.span, first.span));
        }
        names.push(name.clone());
    }
    let before = entries.len();
    let effect = fields.get("effect").and_then(|entry| {
        let effect = entry.word::<Effect>(sink)?;
        check_effect(entry, effect.value, leased, sink);
        Some(effect.value)
    });
    let methods: Vec<Method> = fields
        .get("methods")
        .map(|entry| entry.words::<Method>(sink))
        .unwrap_or_default()
        .into_iter()
        .map(|method| method.value)
        .collect();
    let operation = fields.get("operation").and_then(|entry| entry.word::<Operation>(sink));
    let does = Does { effect, operation: operation.map(|operation| operation.value) };
    match (fields.get("path"), fields.get("grpc")) {
        (Some(path), None) => {
            let text = path.text(sink)?;
            add(&text.value, text.span, methods, does, wires, entries, sink);
        }
        (None, Some(grpc)) => {
            if let Some(methods) = fields.get("methods") {
                let message = "`methods` beside `grpc` is not for gRPC, whose calls are all POST";
                sink.push(
                    Diagnostic::error(codes::EXCLUSIVE, message)
                        .at(methods.key.span)
                        .help("put gRPC methods into `grpc`: `grpc: {service: …, methods: […]}`"),
                );
            }
            let does = Does { effect: Some(effect.unwrap_or(Effect::Write)), ..does };
            for (path, span) in grpc_paths(grpc, sink)? {
                add(&path, span, vec![Method::Post], does, wires, entries, sink);
            }
        }
        (Some(path), Some(grpc)) => {
            sink.push(
                Diagnostic::error(codes::EXCLUSIVE, "a match has both `path` and `grpc`")
                    .at(grpc.key.span)
                    .related(path.key.span, "beside this one")
                    .help("make two matches of them"),
            );
        }
        (None, None) => sink.push(
            Diagnostic::error(codes::MISSING_KEY, "a match has neither `path` nor `grpc`")
                .at(fields.at()),
        ),
    }
    for entry in entries.iter_mut().skip(before) {
        entry.name = name.as_ref().map(|name| name.value.clone());
    }
    Some(())
}

/// What requests do, as far as a match says.
#[derive(Debug, Clone, Copy)]
struct Does {
    effect: Option<Effect>,
    operation: Option<Operation>,
}

fn add(
    path: &str,
    span: Span,
    methods: Vec<Method>,
    does: Does,
    wires: &mut Vec<wire::Match>,
    entries: &mut Vec<MatchEntry>,
    sink: &mut Sink,
) {
    match Template::parse(path) {
        Err(error) => {
            let mut diagnostic =
                Diagnostic::error(codes::MALFORMED, format!("the {}", one_line(&error))).at(span);
            if matches!(
                error,
                TemplateError::RestNotLast
                    | TemplateError::Wildcard(_)
                    | TemplateError::VariableName(_)
            ) {
                diagnostic = diagnostic.help(
                    "a segment is a literal or a `{variable}`; `**` stands for the rest of the path",
                );
            }
            sink.push(diagnostic);
        }
        Ok(template) => {
            let bits = methods.iter().fold(0, |bits, method| bits | method.bit());
            entries.push(MatchEntry { template, methods: bits, span, name: None });
            let Does { effect, operation } = does;
            wires.push(wire::Match { path: path.to_owned(), methods, effect, operation });
        }
    }
}

fn one_line(error: &TemplateError) -> String {
    error.to_string().chars().filter(|letter| !letter.is_control()).collect()
}

/// The paths of a gRPC service: of the methods listed, or of all.
fn grpc_paths(entry: &Entry, sink: &mut Sink) -> Option<Vec<(String, Span)>> {
    let fields = Fields::open_at(&entry.value, entry.key.span, &GRPC, sink)?;
    let service = fields.need("service", sink)?.text(sink)?;
    if !service.value.split('.').all(is_proto_name) {
        let help = "use the full name of the service, such as `shop.inventory.v1.Inventory`";
        sink.push(malformed("`service`", &service, help));
        return None;
    }
    let Some(entry) = fields.get("methods") else {
        return Some(vec![(format!("/{}/{{method}}", service.value), service.span)]);
    };
    let mut paths = Vec::new();
    for method in entry.texts(sink) {
        if is_proto_name(&method.value) {
            paths.push((format!("/{}/{}", service.value, method.value), method.span));
        } else {
            sink.push(malformed("a gRPC method", &method, "use its name, such as `GetStock`"));
        }
    }
    Some(paths)
}

fn is_proto_name(text: &str) -> bool {
    text.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
