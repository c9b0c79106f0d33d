//! Where Istio sends a request, against what the policy decides.

use super::{at, example, get, of_kind, resources, text};
use crate::istio::paths::groups;
use crate::yaml::Node;
use policy_core::wire::{Context, Match};
use policy_core::{
    Caller, CanonicalPath, Consistency, DataClass, IdempotencyKey, IdempotencyRule, Method, Policy,
    Priority, Reads, Request, RequestKind, Role, SubjectMode, decide,
};
use policy_doc::PolicySet;
use proptest::prelude::*;
use regex_lite::Regex;

/// One request as the routes see it, behind the guard.
struct Seen<'r> {
    method: &'r str,
    path: &'r str,
    route: Option<&'r str>,
    labels: &'r [(&'r str, &'r str)],
}

/// Whether a string is what a matcher of Istio asks for.
fn matches(matcher: &Node, value: &str) -> bool {
    let Node::Map(entries) = matcher else { panic!("no matcher: {matcher:?}") };
    match entries.as_slice() {
        [] => true,
        [(kind, Node::Text(wanted))] => match kind.as_str() {
            "exact" => value == wanted,
            "prefix" => value.starts_with(wanted.as_str()),
            "regex" => Regex::new(&format!("^(?:{wanted})$")).unwrap().is_match(value),
            other => panic!("no matcher: {other}"),
        },
        other => panic!("no matcher: {other:?}"),
    }
}

fn holds(condition: &Node, seen: &Seen<'_>) -> bool {
    let Node::Map(parts) = condition else { panic!("no condition: {condition:?}") };
    parts.iter().all(|(part, wanted)| match (part.as_str(), wanted) {
        ("uri", matcher) => matches(matcher, seen.path),
        ("method", matcher) => matches(matcher, seen.method),
        ("headers", Node::Map(headers)) => headers.iter().all(|(name, matcher)| {
            assert_eq!(name, "x-meshfence-route");
            seen.route.is_some_and(|route| matches(matcher, route))
        }),
        ("sourceLabels", Node::Map(labels)) => labels.iter().all(|(key, value)| {
            seen.labels
                .iter()
                .any(|(known, has)| key == known && *value == Node::Text((*has).into()))
        }),
        other => panic!("no condition: {other:?}"),
    })
}

/// The name of the first route that holds.
fn route<'s>(service: &'s Node, seen: &Seen<'_>) -> Option<&'s Node> {
    let Node::List(routes) = at(service, "spec.http") else { panic!() };
    routes.iter().find(|route| match at(route, "match") {
        Node::List(conditions) => conditions.iter().any(|condition| holds(condition, seen)),
        other => panic!("no conditions: {other:?}"),
    })
}

/// Its name, and where it leads or what it answers.
fn shown(route: &Node) -> String {
    let name = text(route, "name");
    if let Some(answer) = get(route, "directResponse") {
        let Node::Int(status) = at(answer, "status") else { panic!() };
        return format!("{name} {status}");
    }
    let to = at(route, "route.0.destination");
    let Node::Int(port) = at(to, "port.number") else { panic!() };
    format!("{name} {}:{port}", text(to, "host"))
}

#[test]
fn requests_go_where_the_guard_decided_and_nowhere_else() {
    let set = example();
    let all = resources(&set, "taiwan");
    let [edge, peer, outbound] = of_kind(&all, "VirtualService")[..] else { panic!() };
    assert_eq!(at(outbound, "spec.gateways.0"), &Node::Text("mesh".into()));
    let orders = &[("app", "orders"), ("version", "2")][..];
    for (service, method, path, chosen, labels, expected) in [
        (edge, "GET", "/api/v1/orders", None, &[][..], "orders orders.shop.svc.cluster.local:8080"),
        (
            edge,
            "GET",
            "/api/v1/orders",
            Some("tokyo"),
            &[],
            "to-tokyo peer.tokyo.ecommerce-platform.com:15443",
        ),
        (edge, "GET", "/api/v1/orders", Some("taiwan"), &[], "to-no-region 503"),
        (edge, "GET", "/api/v1/orders", Some("osaka"), &[], "to-no-region 503"),
        (edge, "GET", "/api/v1/orders", Some(""), &[], "to-no-region 503"),
        (edge, "GET", "/health", None, &[], "health 200"),
        (edge, "POST", "/health", None, &[], "-"),
        (edge, "GET", "/healthy", None, &[], "-"),
        (
            edge,
            "POST",
            "/api/v1/webhooks/payments/tokyo",
            None,
            &[],
            "payment-webhooks payments.shop.svc.cluster.local:8080",
        ),
        (
            edge,
            "OPTIONS",
            "/api/v1/checkout",
            None,
            &[],
            "orders orders.shop.svc.cluster.local:8080",
        ),
        (edge, "GET", "/api/v1/checkout", None, &[], "-"),
        (
            edge,
            "POST",
            "/shop.inventory.v1.Inventory/GetStock",
            None,
            &[],
            "inventory inventory.shop.svc.cluster.local:9090",
        ),
        (edge, "POST", "/shopXinventory.v1.Inventory/Reserve", None, &[], "-"),
        (edge, "GET", "/", None, &[], "-"),
        (peer, "GET", "/api/v1/orders/1", None, &[], "orders orders.shop.svc.cluster.local:8080"),
        (peer, "GET", "/api/v1/orders/1", Some("tokyo"), &[], "to-no-region 503"),
        (peer, "GET", "/ready", None, &[], "health 200"),
        (
            outbound,
            "POST",
            "/api/v1/payments",
            None,
            orders,
            "payments payments.shop.svc.cluster.local:8080",
        ),
        (
            outbound,
            "POST",
            "/api/v1/payments",
            Some("tokyo"),
            orders,
            "to-tokyo peer.tokyo.ecommerce-platform.com:15443",
        ),
        (outbound, "POST", "/api/v1/payments", Some("osaka"), orders, "to-no-region 503"),
        (outbound, "POST", "/api/v1/payments", None, &[("app", "carts")], "-"),
        (outbound, "GET", "/health", None, orders, "-"),
    ] {
        let seen = Seen { method, path, route: chosen, labels };
        let found = route(service, &seen).map_or_else(|| "-".to_owned(), shown);
        assert_eq!(found, expected, "{method} {path} {chosen:?}");
    }
}

#[test]
fn nothing_is_sent_twice_and_every_answer_has_an_end() {
    let set = example();
    for service in of_kind(&resources(&set, "tokyo"), "VirtualService") {
        let Node::List(routes) = at(service, "spec.http") else { panic!() };
        for route in routes.iter().filter(|route| get(route, "route").is_some()) {
            assert_eq!(at(route, "retries.attempts"), &Node::Int(0));
            assert_eq!(text(route, "timeout"), "30s");
        }
    }
}

fn context(name: String, matches: Vec<Match>) -> Context {
    Context {
        name,
        matches,
        consistency: Consistency::Replicated,
        lease: None,
        shard: None,
        data_classes: vec![DataClass::Public],
        subject: SubjectMode::Optional,
        default_country: None,
        reads: Reads::Local,
        idempotency_key: IdempotencyRule::Ignore,
        priority: Priority::Normal,
        deadline: None,
        purpose: None,
        max_lag_ms: None,
        acks: None,
        merge: None,
    }
}

/// The context of a request, by the policy.
fn decided(policy: &Policy, method: &str, path: &str) -> Option<String> {
    let path = CanonicalPath::parse(path.as_bytes()).unwrap();
    let request = Request {
        method: method.as_bytes(),
        host: b"api.ecommerce-platform.com",
        path: &path,
        kind: RequestKind::Plain,
        idempotency_key: IdempotencyKey::Present,
        deadline: None,
        token: None,
        client_country: None,
        entry: None,
    };
    let decision = decide(policy, policy.configured_state(), &request, &mut Caller::Anonymous);
    decision.context.map(|context| context.name.to_string())
}

/// The context of a request, by the first route that matches.
fn routed(set: &PolicySet, method: &str, path: &str) -> Option<String> {
    let seen = Seen { method, path, route: None, labels: &[] };
    groups(&set.body.contexts)
        .iter()
        .find(|group| {
            let mut conditions =
                group.matches.iter().flat_map(crate::istio::paths::Match::conditions);
            conditions.any(|condition| holds(&Node::Map(condition), &seen))
        })
        .map(|group| group.context.to_owned())
}

fn template() -> impl Strategy<Value = String> {
    let segment = prop_oneof![Just("a"), Just("b.c"), Just("a+b"), Just("{x}"), Just("{a}")];
    (prop::collection::vec(segment, 0..4), any::<bool>()).prop_map(|(mut segments, has_rest)| {
        // A variable stands once in a template; two of them have names in either order.
        let mut variables = ["{n}", "{m}", "{o}", "{k}"].into_iter();
        for segment in &mut segments {
            if segment.starts_with('{') {
                *segment = if *segment == "{x}" { variables.next() } else { variables.next_back() }
                    .unwrap_or("a");
            }
        }
        if has_rest {
            segments.push("**");
        }
        format!("/{}", segments.join("/"))
    })
}

fn methods() -> impl Strategy<Value = Vec<Method>> {
    prop_oneof![
        Just(vec![]),
        Just(vec![Method::Get]),
        Just(vec![Method::Post, Method::Get]),
        Just(vec![Method::Post])
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// The first route that matches is the one of the context that the guard has found.
    #[test]
    fn routes_and_policy_agree_on_the_context(
        contexts in prop::collection::vec((template(), methods()), 1..6),
        requests in prop::collection::vec(
            (prop::collection::vec(prop_oneof![Just("a"), Just("b.c"), Just("bxc"), Just("a+b"), Just("aab")], 0..5), any::<bool>(), any::<bool>()),
            20,
        ),
    ) {
        let mut set = example();
        set.body.contexts = contexts
            .into_iter()
            .enumerate()
            .map(|(number, (path, methods))| {
                context(format!("c{number}"), vec![Match { path, methods, effect: None, operation: None }])
            })
            .collect();
        set.body.residency.subject_sources.clear();
        set.body.fencing.initial_holders.clear();
        set.body.load_shedding.concurrency.retain(|name, _| name == "default");
        // Two matches of which neither is more specific are refused by the policy.
        if let Ok(policy) = Policy::compile(&set.plugin_config("taiwan", Role::Edge)) {
            for (segments, slash, is_post) in requests {
                let mut path = format!("/{}", segments.join("/"));
                if slash && !segments.is_empty() {
                    path.push('/');
                }
                let method = if is_post { "POST" } else { "GET" };
                let found = routed(&set, method, &path);
                prop_assert_eq!(&found, &decided(&policy, method, &path), "{} {}", method, path);
            }
        }
    }
}
