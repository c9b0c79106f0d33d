//! Whatever is in a file, the answer is a policy set or diagnostics.

use super::example;
use crate::{Purpose, Source, load, load_test};
use proptest::prelude::*;

fn judged(sources: Vec<Source>) {
    let loaded = load(sources, Purpose::LocalTry);
    let _ = loaded.render(true);
    let has_errors = loaded.diagnostics.iter().any(|d| d.severity == crate::Severity::Error);
    assert_eq!(loaded.set.is_none(), has_errors);
    assert!(loaded.diagnostics.len() <= 101);
    for diagnostic in &loaded.diagnostics {
        for span in diagnostic.span.iter().chain(diagnostic.related.iter().map(|r| &r.span)) {
            assert!(loaded.sources[span.file].text.get(span.start..span.end).is_some());
        }
    }
}

/// A place in a text that is not inside of a character.
fn boundary(text: &str, place: prop::sample::Index) -> usize {
    let mut place = place.index(text.len() + 1);
    while !text.is_char_boundary(place) {
        place -= 1;
    }
    place
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_text_is_judged(text in "\\PC{0,200}") {
        judged(vec![Source { file: "any.yaml".into(), text }]);
    }

    #[test]
    fn any_yaml_like_text_is_judged(text in "([a-z&*!|>%@`'\"{}\\[\\],:?#~<\\-\u{feff}台é \t\r\n]|: |- |\n  |---\n|\\.\\.\\.\n){0,80}") {
        let source = Source { file: "any.yaml".into(), text };
        judged(vec![source]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn a_damaged_example_is_judged(
        file in any::<prop::sample::Index>(),
        from in any::<prop::sample::Index>(),
        length in 0_usize..40,
        instead in "([a-zA-Z0-9:{}\\[\\], \n\"'*&!台-]|: |null|NO|\\*|spec|name){0,12}",
    ) {
        let mut sources = example::sources();
        let file = file.index(sources.len());
        let text = &mut sources[file].text;
        let start = boundary(text, from);
        let mut end = (start + length).min(text.len());
        while !text.is_char_boundary(end) {
            end += 1;
        }
        text.replace_range(start..end, &instead);
        judged(sources);
    }

    #[test]
    fn a_damaged_test_is_judged(
        from in any::<prop::sample::Index>(),
        length in 0_usize..30,
        instead in "([a-z0-9:{}\\[\\], \n\"]|: ){0,8}",
    ) {
        thread_local! { static SET: crate::PolicySet = example::set(); }
        let mut source = example::sources().into_iter().find(|s| s.file == "tests/tour.yaml").unwrap();
        let start = boundary(&source.text, from);
        let end = (start + length).min(source.text.len());
        if source.text.is_char_boundary(end) {
            source.text.replace_range(start..end, &instead);
        }
        let (test, diagnostics) = SET.with(|set| load_test(source, set));
        prop_assert_eq!(test.is_none(), !diagnostics.is_empty());
    }
}
