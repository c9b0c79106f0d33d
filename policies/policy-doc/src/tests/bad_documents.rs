//! What is wrong with a document, as its author gets to see it.

mod cases;
mod documents;
mod shedding;
mod timelines;
mod versions;

use super::example;
use crate::{CODES, Loaded, Purpose, Source, load, load_test, render_human};
use cases::{CASES, Case};
use documents::{MISTAKES, SECOND};
use policy_core::Role;
use shedding::SHEDDING;
use std::collections::BTreeSet;
use timelines::TIMELINES;
use versions::VERSIONS;

fn changed(case: &Case) -> Vec<Source> {
    let mut sources: Vec<Source> =
        example::sources().into_iter().filter(|source| !source.file.contains("tests/")).collect();
    for (file, from, to) in case.edits {
        let source = sources.iter_mut().find(|source| source.file == *file).unwrap();
        assert!(source.text.contains(from), "{}: `{from}` is not in {file}", case.name);
        source.text = source.text.replacen(from, to, 1);
    }
    let extra =
        case.extra.iter().map(|(file, text)| Source { file: (*file).into(), text: (*text).into() });
    sources.extend(extra);
    sources
}

#[test]
fn what_is_wrong_is_said() {
    let mut reached: BTreeSet<&str> = BTreeSet::new();
    let mut snapshot = |name: &str, loaded: &Loaded| {
        assert!(loaded.set.is_none(), "{name}");
        reached.extend(loaded.diagnostics.iter().map(|diagnostic| diagnostic.code));
        check_style(loaded);
        insta::assert_snapshot!(name, loaded.render(false));
    };
    for case in CASES.iter().chain(VERSIONS).chain(SHEDDING).chain(TIMELINES) {
        snapshot(case.name, &load(changed(case), Purpose::Deploy));
    }
    snapshot("nothing_at_all", &load(Vec::new(), Purpose::Deploy));
    let empty = Source { file: "empty.yaml".into(), text: "# nothing\n---\n---\n".into() };
    snapshot("nothing_in_a_file", &load(vec![empty], Purpose::Deploy));
    let one = Source { file: "one.yaml".into(), text: SECOND.into() };
    snapshot("most_documents_missing", &load(vec![one], Purpose::Deploy));
    let large = Source { file: "large.yaml".into(), text: "# large\n".repeat(140_000) };
    snapshot("a_file_too_large", &load(vec![large], Purpose::Deploy));
    let many: Vec<String> = (0..150).map(|number| format!("k{number}: 1")).collect();
    let many = format!("{{{}}}", many.join(", "));
    let many = Loaded { diagnostics: last_two(&many), sources: Vec::new(), set: None };
    snapshot("more_than_are_shown", &many);
    let state = Case {
        name: "a_lease_where_it_cannot_be",
        edits: &[(
            "fencing.yaml",
            "{inventory: taiwan}\n",
            "{inventory: taiwan}\n  static: {leases: {orders/tokyo: {holder: taiwan, epoch: 2}, inventory: {epoch: \"x\"}}}\n",
        )],
        extra: &[],
    };
    snapshot(state.name, &load(changed(&state), Purpose::LocalTry));
    let missing: Vec<&str> =
        CODES.iter().map(|code| code.id).filter(|id| !reached.contains(id)).collect();
    assert!(missing.is_empty(), "no snapshot has {missing:?}");
}

/// The last problems of a document with many.
fn last_two(text: &str) -> Vec<crate::Diagnostic> {
    let source = Source { file: "many.yaml".into(), text: text.into() };
    let mut all = load(vec![source], Purpose::Deploy).diagnostics;
    assert_eq!(all.len(), 101);
    all.drain(..99);
    for diagnostic in &mut all {
        diagnostic.span = None;
    }
    all
}

/// Messages are one line, begin in lower case or with what the user wrote, and do not end in a
/// period; places are in their files.
fn check_style(loaded: &Loaded) {
    for diagnostic in &loaded.diagnostics {
        let help = diagnostic.help.as_deref();
        for text in [Some(diagnostic.message.as_str()), help].into_iter().flatten() {
            assert!(!text.contains('\n') && !text.ends_with('.'), "{text}");
            assert!(!text.starts_with(|first: char| first.is_uppercase()), "{text}");
        }
        for span in diagnostic.span.iter().chain(diagnostic.related.iter().map(|r| &r.span)) {
            if let Some(source) = loaded.sources.get(span.file) {
                let before = source.text.get(..span.start).unwrap();
                assert_eq!(before.matches('\n').count() + 1, span.line, "{}", diagnostic.message);
                assert!(source.text.get(span.start..span.end).is_some());
            }
        }
    }
}

#[test]
fn a_list_has_an_end() {
    let hosts: Vec<String> = (0..1001).map(|number| format!("h{number}.example")).collect();
    let mut sources = example::sources();
    let mesh = sources.iter_mut().find(|source| source.file == "mesh.yaml").unwrap();
    mesh.text = mesh.text.replace("api.ecommerce-platform.com", &hosts.join(", "));
    let loaded = load(sources, Purpose::Deploy);
    assert_eq!(loaded.diagnostics[0].message, "`hosts` has more than 1000 items");
}

#[test]
fn colour_changes_nothing_but_colour() {
    let loaded = load(changed(&CASES[2]), Purpose::Deploy);
    let (plain, colour) = (loaded.render(false), loaded.render(true));
    assert!(!plain.contains('\u{1b}') && colour.contains('\u{1b}'));
}

#[test]
fn keys_of_later_releases_are_told_from_unknown_ones() {
    for (file, before, lines) in [
        ("topology.yaml", "      cloudRegion: ap-northeast-1\n", &["      serves: [JP]"][..]),
        (
            "mesh.yaml",
            "  health: {paths: [/health, /ready]}\n",
            &["  etcd: {endpoints: []}", "  tenantMap: tenants"],
        ),
        (
            "contexts.yaml",
            "      reads: holder              # reads see every write, so they run where the writes run\n",
            &["      accept: [{lint: MF207}]", "      redact: []"],
        ),
        ("residency.yaml", "      regions: [taiwan]\n", &["      accept: []"]),
    ] {
        for line in lines {
            let mut sources = example::sources();
            let source = sources.iter_mut().find(|source| source.file == file).unwrap();
            assert!(source.text.contains(before), "{before}");
            source.text = source.text.replacen(before, &format!("{before}{line}\n"), 1);
            let loaded = load(sources, Purpose::Deploy);
            let found: Vec<(&str, &str)> = loaded
                .diagnostics
                .iter()
                .map(|diagnostic| (diagnostic.code, diagnostic.message.as_str()))
                .collect();
            let key = line.trim().split(':').next().unwrap();
            assert_eq!(found, [("MF010", format!("`{key}` is not supported yet").as_str())]);
        }
    }
}

#[test]
fn workers_that_cannot_believe_each_other_are_warned_of() {
    for (what, latency, has_keys, warned) in [
        ("they share a key", "{default: auto}", true, 0),
        ("they have none", "{default: auto}", false, 1),
        ("nothing follows anything", "{default: fixed}", false, 0),
    ] {
        let mut sources = example::sources();
        let edit = |sources: &mut Vec<Source>, file: &str, from: &str, to: &str| {
            let source = sources.iter_mut().find(|source| source.file == file).unwrap();
            assert!(source.text.contains(from), "{from}");
            source.text = source.text.replace(from, to);
        };
        let followed = "{default: auto, payments: 300ms, reviews: fixed}";
        edit(&mut sources, "fencing.yaml", followed, latency);
        if latency == "{default: fixed}" {
            edit(&mut sources, "fencing.yaml", "  cohort: [jwtSubject, clientAddress]\n", "");
            edit(&mut sources, "fencing.yaml", "  retries: {budget: 10, floor: 3}\n", "");
        }
        if !has_keys {
            let mesh = sources.iter_mut().find(|source| source.file == "mesh.yaml").unwrap();
            mesh.text = without_keys(&mesh.text);
        }
        let loaded = load(sources, Purpose::Deploy);
        let found = loaded.diagnostics.iter().filter(|found| found.code == "MF232");
        assert_eq!(found.count(), warned, "{what}: {}", loaded.render(false));
    }
}

/// A `Mesh` without `hmac`.
fn without_keys(text: &str) -> String {
    let mut is_of_keys = false;
    let kept = text.lines().filter(|line| {
        let is_key_of_spec = line.starts_with("  ") && !line.starts_with("   ");
        is_of_keys = if is_key_of_spec { line.starts_with("  hmac:") } else { is_of_keys };
        !is_of_keys
    });
    kept.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_region_without_an_agent_is_warned_of() {
    for (what, agents, purpose, warned) in [
        ("both have one", "", Purpose::Deploy, 0),
        ("neither has", "      agent: http://region-agent.meshfence:7070\n", Purpose::Deploy, 2),
        (
            "`up` has a state",
            "      agent: http://region-agent.meshfence:7070\n",
            Purpose::LocalTry,
            0,
        ),
    ] {
        let mut sources = example::sources();
        let mesh = sources.iter_mut().find(|source| source.file == "mesh.yaml").unwrap();
        mesh.text = mesh.text.replace(agents, "");
        let loaded = load(sources, purpose);
        let found: Vec<&str> = loaded.diagnostics.iter().map(|found| found.code).collect();
        assert_eq!(found, vec!["MF227"; warned], "{what}");
        assert!(loaded.set.is_some(), "{what}: a warning refuses nothing");
        if warned == 2 {
            insta::assert_snapshot!("regions_without_agents", loaded.render(false));
        }
    }
}

#[test]
fn a_static_state_is_for_trying_only() {
    let state = Case {
        name: "static",
        edits: &[(
            "fencing.yaml",
            "{inventory: taiwan}\n",
            "{inventory: taiwan}\n  static: {situation: drill, health: {tokyo: degraded}, leases: {orders/taiwan~tokyo: {holder: tokyo, epoch: \"999999999999999\"}, inventory: {state: frozen}}}\n",
        )],
        extra: &[],
    };
    let loaded = load(changed(&state), Purpose::LocalTry);
    assert!(loaded.diagnostics.is_empty(), "{}", loaded.render(false));
    let set = loaded.set.unwrap();
    let document = set.body.fencing.static_state.clone().unwrap();
    assert_eq!(document.leases.len(), 2);
    let config = set.plugin_config("taiwan", Role::Edge);
    assert_eq!(config.attachment.agent, None, "a static state asks nobody");
    let deployed = load(changed(&state), Purpose::Deploy);
    assert_eq!(deployed.diagnostics.len(), 1);
    assert_eq!(deployed.diagnostics[0].code, "MF210");
}

#[test]
fn a_test_from_elsewhere_is_read_against_the_set() {
    let set = example::set();
    let tour = example::sources().into_iter().find(|s| s.file == "tests/tour.yaml").unwrap();
    let (test, diagnostics) = load_test(tour, &set);
    assert!(diagnostics.is_empty());
    assert_eq!(test.unwrap().cases.len(), set.tests[1].cases.len());

    for (name, text) in [
        ("a_test_from_elsewhere_with_mistakes", MISTAKES),
        ("a_test_file_without_a_test", SECOND),
        ("a_test_file_with_nothing", ""),
    ] {
        let source = Source { file: "elsewhere.yaml".into(), text: text.into() };
        let (test, diagnostics) = load_test(source.clone(), &set);
        assert!(test.is_none());
        insta::assert_snapshot!(name, render_human(&diagnostics, &[source], false));
    }
}
