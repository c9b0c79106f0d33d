//! Diagnostics for people: file, line and column, an excerpt with the place underlined, and help.

use crate::{Source, diagnostic::Diagnostic, diagnostic::Severity, diagnostic::Span};
use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Renderer, Snippet};

/// Renders diagnostics, one blank line between them.
pub fn render_human(diagnostics: &[Diagnostic], sources: &[Source], colour: bool) -> String {
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    let mut text = String::new();
    for diagnostic in diagnostics {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&renderer.render(&[group(diagnostic, sources)]));
        text.push('\n');
    }
    text
}

fn group<'a>(diagnostic: &'a Diagnostic, sources: &'a [Source]) -> Group<'a> {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(diagnostic.message.as_str()).id(diagnostic.code);
    let mut group = Group::with_title(title);
    let mut files: Vec<usize> = Vec::new();
    let places = || {
        let primary = diagnostic
            .span
            .map(|span| (span, AnnotationKind::Primary, diagnostic.label.as_deref()));
        let related = diagnostic
            .related
            .iter()
            .map(|related| (related.span, AnnotationKind::Context, Some(related.label.as_str())));
        primary.into_iter().chain(related)
    };
    for (span, _, _) in places() {
        if !files.contains(&span.file) {
            files.push(span.file);
        }
    }
    for file in files {
        let Some(source) = sources.get(file) else { continue };
        let annotations = places()
            .filter(|(span, _, _)| span.file == file)
            .map(|(span, kind, label)| annotation(span, kind, label, &source.text));
        group = group.element(
            Snippet::source(source.text.as_str())
                .path(source.file.as_str())
                .annotations(annotations),
        );
    }
    if let Some(help) = &diagnostic.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    group
}

fn annotation<'a>(
    span: Span,
    kind: AnnotationKind,
    label: Option<&'a str>,
    text: &str,
) -> Annotation<'a> {
    let end = span.end.min(text.len());
    kind.span(span.start.min(end)..end).label(label)
}
