//! The example policy set.

use crate::{Loaded, PolicySet, Purpose, Source, load};
use policy_core::Role;

/// The files of the example, in the order that a directory lists them.
const FILES: [(&str, &str); 7] = [
    ("contexts.yaml", include_str!("../../../tpe-tokyo/contexts.yaml")),
    ("fencing.yaml", include_str!("../../../tpe-tokyo/fencing.yaml")),
    ("mesh.yaml", include_str!("../../../tpe-tokyo/mesh.yaml")),
    ("residency.yaml", include_str!("../../../tpe-tokyo/residency.yaml")),
    ("tests/adr-037.yaml", include_str!("../../../tpe-tokyo/tests/adr-037.yaml")),
    ("tests/tour.yaml", include_str!("../../../tpe-tokyo/tests/tour.yaml")),
    ("topology.yaml", include_str!("../../../tpe-tokyo/topology.yaml")),
];

pub(super) fn sources() -> Vec<Source> {
    FILES.map(|(file, text)| Source { file: file.into(), text: text.into() }).into()
}

pub(super) fn set() -> PolicySet {
    let loaded = load(sources(), Purpose::Deploy);
    assert!(loaded.diagnostics.is_empty(), "{}", loaded.render(false));
    loaded.set.unwrap()
}

#[test]
fn the_example_loads_without_a_word() {
    let set = set();
    assert_eq!(set.name, "tpe-tokyo");
    assert_eq!(set.body.contexts.len(), 9);
    assert_eq!(set.hash().len(), 64);
    let files: Vec<&str> = set.tests.iter().map(|test| test.file.as_str()).collect();
    assert_eq!(files, ["tests/adr-037.yaml", "tests/tour.yaml"]);
    assert!(set.tests.iter().all(|test| test.cases.len() >= 18));
}

#[test]
fn the_order_of_files_does_not_matter() {
    let mut sources = sources();
    sources.reverse();
    let mut reversed = load(sources, Purpose::LocalTry).set.unwrap();
    let mut set = set();
    reversed.tests.sort_by(|left, right| left.file.cmp(&right.file));
    set.tests.sort_by(|left, right| left.file.cmp(&right.file));
    assert_eq!(format!("{reversed:?}"), format!("{set:?}"));
}

#[test]
fn what_the_proxies_get() {
    let config = set().plugin_config("taiwan", Role::Edge);
    insta::assert_snapshot!(serde_json::to_string_pretty(&config.policy).unwrap());
}

#[test]
fn a_document_that_is_missing_is_missed() {
    for kind in
        ["Topology", "Mesh", "Residency", "Fencing", "Versioning", "LoadShedding", "Contexts"]
    {
        let sources: Vec<Source> = sources()
            .into_iter()
            .filter(|source| !source.file.starts_with("tests/"))
            .map(|source| Source { text: without(&source.text, kind), ..source })
            .collect();
        let Loaded { set, diagnostics, .. } = load(sources, Purpose::Deploy);
        assert!(set.is_none(), "{kind}");
        let messages: Vec<&str> =
            diagnostics.iter().map(|diagnostic| diagnostic.message.as_str()).collect();
        assert_eq!(messages, [format!("the policy set has no `{kind}` document")], "{kind}");
        assert_eq!(diagnostics[0].code, "MF101");
    }
}

/// A file without the documents of one kind.
fn without(text: &str, kind: &str) -> String {
    let line = format!("\nkind: {kind}\n");
    let documents: Vec<&str> =
        text.split("\n---\n").filter(|document| !document.contains(&line)).collect();
    documents.join("\n---\n")
}
