//! A leased write that a peer has refused as not its own: its second pass.

use super::roles::config;
use super::{arrive, configure};
use crate::fake::{FakeAnswer, FakeHost, FakeVm};
use crate::reroute::Upstream;
use crate::{Flow, Guard, Regional, Stream, Worker};
use policy_core::Role;
use policy_core::wire::Agent;

const PASS: &str = "meshfence_pass";
const STOCK: &str = "/api/v1/inventory/1";
const KEY: (&str, &str) = ("idempotency-key", "k1");

/// Taiwan's edge, whose agent says that the lease of the inventory is held so.
struct Edge {
    guard: Guard,
    regional: Regional,
    vm: FakeVm,
    seq: u64,
}

impl Edge {
    fn new(reroute: bool) -> Self {
        let mut config = config("taiwan", Role::Edge);
        config.policy.fencing.reroute = reroute;
        config.policy.fencing.static_state = None;
        config.attachment.agent =
            Some(Agent { cluster: "region-agent".into(), authority: "agent".into() });
        let guard = configure(b"guard", Some(&serde_json::to_vec(&config).unwrap()));
        assert_eq!(guard.fault(), None);
        let vm = FakeVm { monotonic_ms: 1_000, ..FakeVm::default() };
        Self { guard, regional: Regional::new(1), vm, seq: 0 }
    }

    /// Its agent is asked and answers.
    fn hear(&mut self, holder: &str, epoch: u64) {
        self.seq = self.seq.saturating_add(1);
        self.vm.monotonic_ms = self.vm.monotonic_ms.saturating_add(2_000);
        let asked = self.vm.asked.len();
        self.guard.on_tick(&mut Worker::new(1), &mut self.regional, &mut self.vm);
        assert_eq!(self.vm.asked.len(), asked.saturating_add(1));
        let body = format!(
            r#"{{"v":1,"region":"taiwan","gen":1,"issued_seq":{},"leases":[{{"ctx":"inventory","holder":"{holder}","epoch":{epoch},"ttl_ms":15000,"state":"active"}}]}}"#,
            self.seq
        );
        let size = body.len();
        let headers = vec![(":status".into(), "200".into())];
        self.vm.answer = Some(FakeAnswer { headers, body: body.into_bytes() });
        let call = u32::try_from(asked).unwrap();
        self.guard.on_answer(&mut self.regional, call, size, &mut self.vm);
    }

    fn pass(&self, host: &mut FakeHost, stream: &mut Stream) -> Flow {
        host.monotonic_ms = self.vm.monotonic_ms;
        self.guard.on_request_headers(&mut Worker::new(1), stream, host, true)
    }

    /// What becomes of a request that waits.
    fn resume(&self, host: &mut FakeHost, stream: &mut Stream) -> Option<Flow> {
        host.monotonic_ms = self.vm.monotonic_ms;
        self.guard.on_state(&mut Worker::new(1), stream, host)
    }

    /// A request on its second pass: with what its first one has set, and what the router adds.
    fn again(&self) -> (FakeHost, Stream) {
        let mut host = arrive("POST", STOCK, "TW", &[KEY]);
        assert_eq!(self.pass(&mut host, &mut Stream::default()), Flow::Continue);
        host.request.push(("x-envoy-original-url".into(), b"http://api.shop.example/".to_vec()));
        (host, Stream::default())
    }
}

fn refusal(host: &FakeHost) -> Option<(u16, &str)> {
    let reply = host.replied.as_ref()?;
    Some((reply.status, reply.header("x-meshfence-reason").unwrap_or_default()))
}

#[test]
fn a_first_pass_notes_what_it_goes_by() {
    for (reroute, holder, method, more, noted, why) in [
        (true, "tokyo", "POST", &[KEY][..], true, "sent to the holder"),
        (false, "tokyo", "POST", &[KEY], false, "nothing is rerouted"),
        (true, "taiwan", "POST", &[KEY], false, "runs here"),
        (true, "tokyo", "GET", &[], false, "a read that stays"),
        (
            true,
            "tokyo",
            "POST",
            &[KEY, ("meshfence-session", "v1.k1.1.JP.customer.00.00")],
            true,
            "a session that this policy does not know stays",
        ),
    ] {
        let mut edge = Edge::new(reroute);
        edge.hear(holder, 2);
        let mut host = arrive(method, STOCK, "TW", more);
        assert_eq!(edge.pass(&mut host, &mut Stream::default()), Flow::Continue);
        let token = host.properties.get(PASS).map(|token| String::from_utf8_lossy(token));
        assert_eq!(token.as_deref(), noted.then_some("inventory;e=2;h=tokyo"), "{why}");
        let asked = host.request_header("x-meshfence-reroute");
        assert_eq!(asked.as_deref(), noted.then_some("1"), "{why}");
    }
}

#[test]
fn a_second_pass_waits_for_region_state_and_goes_by_it() {
    let mut edge = Edge::new(true);
    edge.hear("tokyo", 2);
    let (mut host, mut stream) = edge.again();
    assert_eq!(edge.pass(&mut host, &mut stream), Flow::Pause);
    assert!(host.replied.is_none() && stream.is_waiting() && !stream.is_open());
    assert_eq!(edge.resume(&mut host, &mut stream), None, "nothing was heard since");
    edge.vm.monotonic_ms -= 1_500;
    edge.hear("taiwan", 3);
    assert_eq!(edge.resume(&mut host, &mut stream), None, "other VMs may not have heard of it");
    edge.vm.monotonic_ms += 250;
    assert_eq!(edge.resume(&mut host, &mut stream), Some(Flow::Continue));
    assert!(stream.is_open());
    assert_eq!(host.request_header("x-meshfence-fence").as_deref(), Some("inventory;e=3;h=taiwan"));
    for gone in ["x-meshfence-route", "x-meshfence-via", "x-meshfence-reroute"] {
        assert_eq!(host.request_header(gone), None, "{gone}");
    }
    assert_eq!(host.request_header("x-envoy-original-url"), None);
    assert_eq!(host.metrics.get("meshfence_stripped_requests_total"), None, "our own headers");
    assert_eq!(host.metrics.get("meshfence_rerouted_total"), Some(&1));
    assert_eq!(edge.resume(&mut host, &mut stream), None, "it does not wait any more");
}

#[test]
fn a_second_pass_that_would_only_repeat_the_first_ends() {
    for (holder, epoch, expected, why) in [
        ("tokyo", 2, Some((503, "wrong_region")), "the same token"),
        ("tokyo", 3, None, "a newer one"),
        ("taiwan", 3, None, "here"),
    ] {
        let mut edge = Edge::new(true);
        edge.hear("tokyo", 2);
        let (mut host, mut stream) = edge.again();
        edge.pass(&mut host, &mut stream);
        edge.hear(holder, epoch);
        edge.resume(&mut host, &mut stream);
        edge.vm.monotonic_ms += 250;
        let flow = edge.resume(&mut host, &mut stream);
        assert_eq!(flow == Some(Flow::Pause), expected.is_some(), "{why}");
        assert_eq!(refusal(&host), expected, "{why}");
        match &host.replied {
            Some(reply) => assert!(reply.header("retry-after").is_some() && !stream.is_waiting()),
            // A third pass there is not.
            None => assert_eq!(host.request_header("x-meshfence-reroute"), None, "{why}"),
        }
    }
}

#[test]
fn a_second_pass_does_not_wait_for_ever() {
    let mut edge = Edge::new(true);
    edge.hear("tokyo", 2);
    let (mut host, mut stream) = edge.again();
    edge.pass(&mut host, &mut stream);
    edge.vm.monotonic_ms += 2_999;
    assert_eq!(edge.resume(&mut host, &mut stream), None);
    edge.vm.monotonic_ms += 1;
    assert_eq!(edge.resume(&mut host, &mut stream), Some(Flow::Pause));
    assert_eq!(refusal(&host), Some((503, "wrong_region")), "nothing else is known");
}

#[test]
fn what_nobody_has_noted_is_no_second_pass() {
    let mut edge = Edge::new(true);
    edge.hear("taiwan", 2);
    let more = [KEY, ("x-meshfence-reroute", "1"), ("meshfence-pass", "inventory;e=1;h=tokyo")];
    let mut host = arrive("POST", STOCK, "TW", &more);
    let mut stream = Stream::default();
    assert_eq!(edge.pass(&mut host, &mut stream), Flow::Continue);
    assert!(!stream.is_waiting());
    assert_eq!(host.metrics.get("meshfence_stripped_requests_total"), Some(&1));
}

fn header(host: &FakeHost, name: &str) -> Option<String> {
    let found = host.response.iter().find(|(known, _)| known == name);
    found.map(|(_, value)| String::from_utf8_lossy(value).into_owned())
}

#[test]
#[rustfmt::skip] // a table
fn a_peers_word_becomes_a_redirect_and_no_one_elses() {
    let wrong = ("x-meshfence-reason", "wrong_region");
    let again = Some("https://api.shop.example/api/v1/inventory/1");
    for (may, response, status, location, aside, why) in [
        (true, &[(":status", "421"), wrong][..], "307", again, None, "the peer's word"),
        (false, &[(":status", "421"), wrong], "421", None, None, "there is no second pass"),
        (true, &[(":status", "421")], "421", None, None, "the application's own"),
        (true, &[(":status", "421"), wrong, wrong], "421", None, None, "two reasons"),
        (true, &[(":status", "412"), ("x-meshfence-reason", "fence_stale")], "412", None, None, "another refusal"),
        (true, &[(":status", "307"), ("location", "/elsewhere")], "307", None, Some("/elsewhere"), "the application's redirect"),
        (true, &[(":status", "308"), ("location", "/elsewhere")], "308", Some("/elsewhere"), None, "one that the router does not follow"),
        (true, &[(":status", "200")], "200", None, None, "no refusal"),
    ] {
        let mut host = arrive("POST", STOCK, "", &[(":scheme", "https")]);
        if may {
            host.request.push(("x-meshfence-reroute".into(), b"1".to_vec()));
        }
        let mut upstream = Upstream::default();
        assert_eq!(upstream.on_request_headers(&mut host), Flow::Continue);
        assert_eq!(host.request_header("x-meshfence-reroute"), None, "{why}");
        host.response = response.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        assert_eq!(upstream.on_response_headers(&mut host), Flow::Continue);
        assert_eq!(header(&host, ":status").as_deref(), Some(status), "{why}");
        assert_eq!(header(&host, "location").as_deref(), location, "{why}");
        assert_eq!(header(&host, "x-meshfence-location").as_deref(), aside, "{why}");
    }
}

#[test]
fn a_redirect_of_the_application_comes_back() {
    for (reroute, location) in [(true, Some("/elsewhere")), (false, None)] {
        let mut edge = Edge::new(reroute);
        edge.hear("tokyo", 2);
        let mut host = arrive("POST", STOCK, "TW", &[KEY]);
        let mut stream = Stream::default();
        edge.pass(&mut host, &mut stream);
        host.response = [(":status", "307"), ("x-meshfence-location", "/elsewhere")]
            .map(|(name, value)| (name.into(), value.into()))
            .into();
        edge.guard.on_response_headers(&mut Worker::new(0), &mut stream, &mut host, true);
        assert_eq!(header(&host, "location").as_deref(), location);
        assert_eq!(header(&host, "x-meshfence-location"), None);
    }
}
