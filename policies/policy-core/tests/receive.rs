//! The two sides of a request that changes region: what one sends the other takes, and nothing else.

#![expect(clippy::unwrap_used, reason = "a broken fixture fails its test")]

mod common;

use common::plain;
use policy_core::wire::{PluginConfig, StateDocument};
use policy_core::{
    Caller, CanonicalPath, Country, Decision, Identity, Policy, Reason, RegionState, Request, Role,
    Token, decide,
};
use proptest::prelude::*;

const SHOP: &str = include_str!("../fixtures/shop.json");

fn policy(region: &str, role: Role) -> Policy {
    let mut config = PluginConfig::from_json(SHOP.as_bytes()).unwrap();
    config.attachment.region = region.into();
    config.attachment.role = role;
    Policy::compile(&config).unwrap()
}

/// A state in which every lease is held by one region.
fn state(policy: &Policy, situation: &str, holder: &str, epoch: u64) -> RegionState {
    let names = policy.leases().iter().flat_map(|lease| {
        lease.shards.iter().map(|shard| match &shard.name {
            Some(shard) => format!("{}/{shard}", lease.name),
            None => lease.name.to_string(),
        })
    });
    let leases = names.map(|name| format!(r#""{name}":{{"holder":"{holder}","epoch":"{epoch}"}}"#));
    let leases = leases.collect::<Vec<_>>().join(",");
    let json = format!(r#"{{"situation":"{situation}","leases":{{{leases}}}}}"#);
    let document: StateDocument = serde_json::from_str(&json).unwrap();
    RegionState::from_document(policy, &document).unwrap()
}

fn judge<'p>(
    policy: &'p Policy,
    state: &RegionState,
    (method, path): (&str, &str),
    country: &str,
    token: Option<Token<'_>>,
) -> Decision<'p> {
    let path = CanonicalPath::parse(path.as_bytes()).unwrap();
    let request = Request { token, ..plain(method, &path) };
    let caller = Identity::customer(Country::parse(country.as_bytes()));
    decide(policy, state, &request, &mut Caller::Known(caller))
}

/// The token that a decision puts onto its request.
fn token<'d>(policy: &'d Policy, decision: &Decision<'d>) -> Option<Token<'d>> {
    decision.fence.map(|fence| Token {
        lease: fence.lease,
        shard: fence.shard,
        holder: policy.region_name(fence.holder),
        epoch: fence.epoch,
    })
}

fn requests() -> impl Strategy<Value = (&'static str, &'static str)> {
    let paths = prop::sample::select(vec![
        "/api/v1/orders",
        "/api/v1/payments/1",
        "/api/v1/webhooks/payments/tokyo",
        "/api/v1/inventory/1",
        "/api/v1/customers/1",
        "/api/v1/reviews/1",
    ]);
    (prop::sample::select(vec!["GET", "POST", "DELETE"]), paths)
}

fn countries() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["JP", "TW", "KR", "US"])
}

fn situations() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["normal", "drill", "failover"])
}

proptest! {
    /// Two regions that see the same state agree: where one sends a request, the other takes it.
    #[test]
    fn what_is_sent_by_the_same_state_is_taken(
        request in requests(),
        country in countries(),
        situation in situations(),
        holder in prop::sample::select(vec!["taiwan", "tokyo"]),
        entry in prop::sample::select(vec![("taiwan", "tokyo"), ("tokyo", "taiwan")]),
        outbound in any::<bool>(),
    ) {
        let (here, there) = entry;
        let sender = policy(here, if outbound { Role::Outbound } else { Role::Edge });
        let sent = judge(&sender, &state(&sender, situation, holder, 5), request, country, None);
        prop_assume!(sent.verdict().is_pass());
        let to = sender.region_name(sent.region.unwrap()).to_owned();
        // Here the next guard is that of the workload, there that of the gateway comes first.
        let roles = if to == here { vec![Role::Inbound] } else { vec![Role::Peer, Role::Inbound] };
        prop_assert!(to == here || to == there);
        for role in roles {
            let receiver = policy(&to, role);
            let state = state(&receiver, situation, holder, 5);
            let token = token(&sender, &sent);
            let taken = judge(&receiver, &state, request, country, token);
            prop_assert_eq!(taken.reason, Reason::Allowed, "{:?} in {}", role, &to);
            prop_assert_eq!(taken.region.map(|region| receiver.region_name(region)), Some(&*to));
            prop_assert_eq!(taken.fence, sent.fence, "the same token goes on");
            prop_assert!(!taken.stamped, "a hop never stamps again");
        }
    }

    /// A leased write is taken only with the token of the lease that this region itself holds.
    #[test]
    fn no_other_token_is_taken(
        request in requests(),
        country in countries(),
        situation in situations(),
        holder in prop::sample::select(vec!["taiwan", "tokyo"]),
        inbound in any::<bool>(),
        lease in prop::sample::select(vec!["orders", "payments", "inventory"]),
        shard in prop::sample::select(vec![None, Some("tokyo"), Some("taiwan~tokyo"), Some("tokyo+taiwan")]),
        told in prop::sample::select(vec!["taiwan", "tokyo"]),
        epoch in 1_u64..4,
    ) {
        let receiver = policy("tokyo", if inbound { Role::Inbound } else { Role::Peer });
        let state = state(&receiver, situation, holder, 2);
        let token = Token { lease, shard, holder: told, epoch };
        let with = judge(&receiver, &state, request, country, Some(token));
        let without = judge(&receiver, &state, request, country, None);
        if let Some(fence) = with.fence {
            prop_assert_eq!((holder, told, epoch), ("tokyo", "tokyo", 2));
            prop_assert_eq!((fence.lease, fence.shard), (lease, shard));
            prop_assert_eq!(without.reason, Reason::FenceMissing);
        } else {
            // A token changes nothing where it is not the right one, but for the reason.
            prop_assert_eq!(with.verdict().is_pass(), without.verdict().is_pass());
        }
    }

    /// Whatever the token says, residency is judged first and for this region.
    #[test]
    fn no_token_widens_a_rule(request in requests(), situation in situations(), epoch in 1_u64..3) {
        let receiver = policy("taiwan", Role::Peer);
        let state = state(&receiver, situation, "taiwan", epoch);
        let token = Token { lease: "orders", shard: Some("tokyo"), holder: "taiwan", epoch };
        let decision = judge(&receiver, &state, request, "JP", Some(token));
        let is_bound = decision.context.is_some_and(|context| context.is_bound)
            && !request.1.contains("webhooks");
        if is_bound {
            prop_assert_eq!(decision.reason, Reason::ResidencyDenied);
        }
    }
}
