//! What a readable test comes to: the product of a matrix, what is taken from elsewhere.

use super::example;
use crate::{PolicyTest, Source, TestCertificate, load_test, render_human};
use policy_core::{Health, Role};

const TEXT: &str = "\
apiVersion: meshfence.dev/v1alpha1
kind: PolicyTest
metadata: {name: matrix}
spec:
  defaults: {at: {region: taiwan, role: outbound}, caller: mei, request: one}
  callers:
    mei: {issuer: shop, sub: mei, claims: {residency: TW}}
    tokyo: {peer: tokyo, subject: JP}
    tokyo-unknown: {peer: tokyo, subject: unknown}
    orders: {workload: \"spiffe://taiwan.shop/ns/shop/sa/orders\", issuer: shop, sub: mei}
  states:
    cold: {leases: {inventory: {state: unknown}}}
    late:
      extends: cold
      health: {tokyo: down}
      views: {tokyo: {health: {tokyo: up}, leases: {inventory: {holder: tokyo, epoch: 9}}}}
    later: {extends: late, situation: failover, views: {tokyo: {health: {taiwan: down}}}}
  requests: {one: {path: /1}, two: {path: /2}}
  cases:
    - {name: plain, expect: {status: 200}}
    - {name: there, at: {region: tokyo}, expect: {status: 200}}
    - name: all
      covers: [loop, no-region-up]
      matrix: {caller: [mei, anonymous], request: [one, two], state: [normal, cold], role: [edge, outbound]}
      expect: {status: 200}
    - {name: peers, at: {role: peer}, matrix: {caller: [tokyo, tokyo-unknown, orders]}, state: later, expect: {status: 200}}
    - {name: regions, matrix: {region: [tokyo, taiwan]}, expect: {status: 200}}
";

fn test() -> PolicyTest {
    let source = Source { file: "matrix.yaml".into(), text: TEXT.into() };
    let (test, diagnostics) = load_test(source.clone(), &example::set());
    assert!(diagnostics.is_empty(), "{}", render_human(&diagnostics, &[source], false));
    test.unwrap()
}

#[test]
fn a_matrix_is_a_product_with_readable_names() {
    let test = test();
    let told: Vec<String> = test
        .cases
        .iter()
        .map(|case| {
            let caller = case.caller.as_ref().map_or("-", |caller| caller.name.as_str());
            let (region, path) = (&case.region, &case.request.path);
            format!("{}: {region} {} {caller} {} {path}", case.name, case.role, case.state_name)
        })
        .collect();
    insta::assert_snapshot!(told.join("\n"));
    let lines: Vec<usize> = test.cases.iter().map(|case| case.line).collect();
    assert!(lines.is_sorted() && lines[0] == 20);
    assert_eq!(test.cases.iter().filter(|case| case.covers.len() == 2).count(), 16);
}

#[test]
fn a_region_may_see_the_world_otherwise() {
    let test = test();
    let late = &test.states["late"];
    assert_eq!(late.seen_by("taiwan").health["tokyo"], Health::Down);
    assert_eq!(late.seen_by("tokyo").health["tokyo"], Health::Up);
    let later = test.states["later"].seen_by("tokyo");
    assert_eq!(later.health.values().copied().collect::<Vec<_>>(), [Health::Down, Health::Up]);
    assert_eq!(later.leases["inventory"].epoch.as_deref(), Some("9"));
    assert!(later.situation.is_some());
}

#[test]
fn a_caller_has_a_certificate_a_token_or_both() {
    let test = test();
    let caller = |name: &str| {
        let mut callers = test.cases.iter().filter_map(|case| case.caller.as_ref());
        callers.find(|caller| caller.name == name).unwrap()
    };
    let peer = |subject: &str| TestCertificate::Peer {
        region: "tokyo".into(),
        subject: Some(subject.into()),
    };
    assert_eq!(caller("tokyo").certificate, Some(peer("JP")));
    assert_eq!(caller("tokyo-unknown").certificate, Some(peer("unknown")));
    assert!(caller("tokyo").token.is_none() && caller("mei").certificate.is_none());
    let orders = caller("orders");
    let id = String::from("spiffe://taiwan.shop/ns/shop/sa/orders");
    assert_eq!(orders.certificate, Some(TestCertificate::Workload(id)));
    assert_eq!(orders.token.as_ref().unwrap().sub, "mei");
    assert_eq!(test.cases[0].role, Role::Outbound);
}
