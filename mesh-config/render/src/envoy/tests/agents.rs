//! How a plain Envoy reaches the agent of its region.

use super::{agent, at, plan, two_regions};
use crate::envoy::bootstrap::document;
use crate::yaml::{Node, emit};
use policy_core::Role;
use policy_core::wire::StateDocument;
use policy_doc::PolicySet;

/// The cluster of the agent, if there is one.
fn cluster(set: &PolicySet, region: &str) -> Option<Node> {
    let document = document(set, &plan(), region).expect("renders");
    let Node::List(clusters) = at(&document, "static_resources/clusters") else { panic!() };
    let is_it = |cluster: &&Node| *at(cluster, "name") == Node::from("region-agent");
    clusters.iter().find(is_it).cloned()
}

#[test]
fn an_agent_is_a_cluster_where_one_is_asked() {
    for (host, is_tls, kind, san_type, why) in [
        ("region-agent.meshfence", false, "STRICT_DNS", None, "a name is looked up"),
        ("agent.example", true, "STRICT_DNS", Some("DNS"), "the certificate has to name it"),
        ("127.0.0.1", false, "STATIC", None, "an address needs no look-up"),
        ("::1", true, "STATIC", Some("IP_ADDRESS"), "an address has no SNI"),
    ] {
        let mut set = two_regions();
        set.mesh.agents.insert("tokyo".into(), agent(host, is_tls));
        let found = cluster(&set, "tokyo").expect(why);
        assert_eq!(*at(&found, "type"), Node::from(kind), "{why}");
        let text = emit(&found);
        let lacks = |word: &str| !text.contains(word);
        assert_eq!(lacks("wait_for_warm_on_init: false"), kind == "STATIC", "{why}: {text}");
        assert_eq!(lacks("trusted_ca"), san_type.is_none(), "{why}: {text}");
        assert_eq!(lacks("sni"), san_type != Some("DNS"), "{why}: {text}");
        if let Some(san_type) = san_type {
            assert!(text.contains(&format!("san_type: {san_type}")), "{why}: {text}");
        }
    }
}

#[test]
fn where_nobody_is_asked_there_is_no_cluster() {
    let set = two_regions();
    assert!(cluster(&set, "taiwan").is_some());
    assert!(cluster(&set, "tokyo").is_none(), "it has no agent");
    let stated = set.with_static_state(StateDocument::default());
    assert!(cluster(&stated, "taiwan").is_none(), "a state is given");
    for (set, region, asks) in
        [(&set, "taiwan", true), (&set, "tokyo", false), (&stated, "taiwan", false)]
    {
        let attachment = set.plugin_config(region, Role::Peer).attachment;
        assert_eq!(attachment.agent.is_some(), asks, "{region}");
    }
}
