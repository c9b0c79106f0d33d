//! What was written, read back by a YAML parser.

use super::{Node, comment_line, emit};
use proptest::prelude::*;
use saphyr_parser::{Event, Parser, ScalarStyle};

/// Reads a document with a parser that knows nothing of the writer.
pub(crate) fn read(document: &str) -> Node {
    let mut events = Parser::new_from_str(document).map(|event| event.expect("valid YAML").0);
    assert_eq!(events.next(), Some(Event::StreamStart));
    assert!(matches!(events.next(), Some(Event::DocumentStart(_))));
    let first = events.next().expect("a value");
    let root = value(first, &mut events);
    assert_eq!(events.next(), Some(Event::DocumentEnd));
    assert_eq!(events.next(), Some(Event::StreamEnd), "one document");
    root
}

fn value<'a>(event: Event<'a>, events: &mut impl Iterator<Item = Event<'a>>) -> Node {
    match event {
        Event::Scalar(text, ScalarStyle::Plain, 0, None) => match &*text {
            "true" => Node::Bool(true),
            "false" => Node::Bool(false),
            _ => text.parse().map_or_else(|_| Node::Text(text.into_owned()), Node::Int),
        },
        Event::Scalar(text, _, 0, None) => Node::Text(text.into_owned()),
        Event::SequenceStart(0, None) => {
            let mut items = Vec::new();
            loop {
                match events.next().expect("an end") {
                    Event::SequenceEnd => return Node::List(items),
                    item => items.push(value(item, events)),
                }
            }
        }
        Event::MappingStart(0, None) => {
            let mut entries: Vec<(String, Node)> = Vec::new();
            loop {
                let key = match events.next().expect("an end") {
                    Event::MappingEnd => return Node::Map(entries),
                    Event::Scalar(key, _, 0, None) => key.into_owned(),
                    other => panic!("not a key: {other:?}"),
                };
                assert!(entries.iter().all(|(known, _)| *known != key), "twice: {key}");
                let next = events.next().expect("a value");
                let node = value(next, events);
                entries.push((key, node));
            }
        }
        other => panic!("not written by us: {other:?}"),
    }
}

/// The same value as a reader sees it: without comments and styles.
pub(crate) fn as_read(node: &Node) -> Node {
    match node {
        Node::Noted(_, inner) => as_read(inner),
        Node::Lines(text) => Node::Text(text.clone()),
        Node::List(items) => Node::List(items.iter().map(as_read).collect()),
        Node::Map(entries) => {
            Node::Map(entries.iter().map(|(key, node)| (key.clone(), as_read(node))).collect())
        }
        Node::Bool(_) | Node::Int(_) | Node::Text(_) => node.clone(),
    }
}

#[test]
fn quotes_what_a_reader_could_take_for_something_else() {
    let tricky = [
        "NO",
        "off",
        "y",
        "null",
        "~",
        "1",
        "1.5",
        "0x1f",
        "1e3",
        ".inf",
        "nan",
        "",
        " ",
        "a: b",
        "a #b",
        "- a",
        "---",
        "...",
        "*",
        "&a",
        "!t",
        "%x",
        "@type",
        "`",
        "{a}",
        "[a]",
        "a\nb",
        "tab\tbed",
        "\u{0}",
        "\u{7f}",
        "\u{85}",
        "\u{2028}",
        "\u{feff}",
        "\u{1f600}",
        "\"",
        "\\",
        "12:30:45",
        "=",
        "<<",
        "2026-01-01",
        "\u{202e}",
    ];
    for text in tricky {
        let node = map! { text => list![text, map! { "inner" => text }] };
        assert_eq!(read(&emit(&node)), node, "{text:?} in\n{}", emit(&node));
        assert!(emit(&node).starts_with('"'), "{text:?} is not quoted");
    }
}

#[test]
fn leaves_plain_words_as_they_are() {
    let node = map! { "domains" => list!["envoy.filters.http.router", "/health", "tokyo-1"] };
    assert_eq!(emit(&node), "domains:\n- envoy.filters.http.router\n- /health\n- tokyo-1\n");
}

#[test]
fn writes_lines_as_a_literal_block() {
    let node = map! { "value" => Node::Lines("{\n  \"a\": \"# no: comment\"\n}".to_owned()) };
    assert_eq!(emit(&node), "value: |-\n  {\n    \"a\": \"# no: comment\"\n  }\n");
}

#[test]
fn puts_comments_above_what_they_are_about() {
    let node = map! {
        "list" => list![map! { "a" => Node::from(1_i64).because("first"), "b" => 2_i64 }],
        "last" => Node::from("x").because("two\nlines"),
    };
    assert_eq!(emit(&node), "list:\n# first\n- a: 1\n  b: 2\n# two\n# lines\nlast: x\n");
}

#[test]
fn keeps_a_comment_on_one_line() {
    assert_eq!(comment_line("a\nb: c\u{2028}d"), "# a\u{fffd}b: c\u{fffd}d\n");
}

fn texts() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), "[ \\n:#\"'|>{}\\[\\]a-c0-9-]{0,12}"]
}

fn nodes() -> impl Strategy<Value = Node> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Node::Bool),
        any::<i64>().prop_map(Node::Int),
        texts().prop_map(Node::Text),
        texts().prop_map(Node::Lines),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Node::List),
            prop::collection::btree_map(texts(), inner.clone(), 0..4)
                .prop_map(|entries| Node::Map(entries.into_iter().collect())),
            inner.prop_map(|node| node.because("a comment: with - marks\nand a second line")),
        ]
    })
}

proptest! {
    #[test]
    fn reads_back_what_was_written(node in nodes()) {
        let document = emit(&node);
        prop_assert_eq!(read(&document), as_read(&node), "{}", document);
    }
}
