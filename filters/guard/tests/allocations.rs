//! What a version costs in memory: a write that is stamped allocates no more than one that is not.
#![expect(clippy::unwrap_used, reason = "what fails fails the test")]

use allocation_counter::measure;
use guard::issue::{self, Stamp};
use guard::{
    AgentCall, Attached, Cas, Counter, Gauge, Guard, Headers, Host, HostFault, LastGood, Metric,
    Reply, Stream, Vm, Worker,
};
use policy_core::wire::{Hmac, HmacKey, PluginConfig};
use policy_core::{Mode, Role};

/// A version that is held: of Tokyo, a second ago.
const HELD: &str = "018bcfe564180000-tyo-00000001";

const SHOP: &str = include_str!("../../../policies/policy-core/fixtures/shop.json");

/// A proxy that allocates nothing but the headers, which are read once.
struct Still {
    request: Headers,
    response: Headers,
    version: Option<[u8; 29]>,
    has_tag: bool,
}

impl Host for Still {
    fn request_headers(&mut self) -> Option<Headers> {
        Some(self.request.clone())
    }

    fn set_request_header(&mut self, name: &str, value: &[u8]) -> Result<(), HostFault> {
        if name == guard::header::VERSION {
            self.version = value.try_into().ok();
        }
        Ok(())
    }

    fn remove_request_header(&mut self, _: &[u8]) -> Result<(), HostFault> {
        Ok(())
    }

    fn set_response_header(&mut self, name: &str, _: &[u8]) -> Result<(), HostFault> {
        self.has_tag |= name == guard::header::ETAG;
        Ok(())
    }

    fn property(&mut self, _: &[&str]) -> Result<Option<Vec<u8>>, HostFault> {
        Ok(None)
    }

    fn response_headers(&mut self) -> Option<Headers> {
        Some(self.response.clone())
    }

    fn remove_response_header(&mut self, _: &[u8]) -> Result<(), HostFault> {
        Ok(())
    }

    fn request_trailers(&mut self) -> Option<Headers> {
        None
    }

    fn remove_request_trailer(&mut self, _: &[u8]) -> Result<(), HostFault> {
        Ok(())
    }

    fn response_body(&mut self, _: usize) -> Option<Vec<u8>> {
        None
    }

    fn replace_response_body(&mut self, _: usize, _: &[u8]) -> Result<(), HostFault> {
        Ok(())
    }

    fn response_trailers(&mut self) -> Option<Headers> {
        None
    }

    fn remove_response_trailer(&mut self, _: &[u8]) -> Result<(), HostFault> {
        Ok(())
    }

    fn close_response(&mut self) -> Result<(), HostFault> {
        Ok(())
    }

    fn note_pass(&mut self, _: &[u8]) -> Result<(), HostFault> {
        Ok(())
    }

    fn record(&mut self, _: &[u8]) -> Result<(), HostFault> {
        Ok(())
    }

    fn reply(&mut self, _: &Reply<'_>) -> Result<(), HostFault> {
        Ok(())
    }

    fn unix_ms(&mut self) -> Option<u64> {
        Some(1_700_000_000_000)
    }

    fn monotonic_us(&mut self) -> Option<u64> {
        Some(5_000_000)
    }

    fn count(&mut self, _: Metric) {}

    fn count_named(&mut self, _: Counter<'_>) {}
}

/// A VM that has a secret and nothing else.
struct Alone;

impl Vm for Alone {
    fn secrets(&mut self) -> Vec<(String, Vec<u8>)> {
        vec![(String::from("MESHFENCE_K1"), vec![1; 32])]
    }

    fn shared(&mut self, _: &str) -> Option<(Vec<u8>, Cas)> {
        None
    }

    fn share(&mut self, _: &str, _: &[u8], _: Option<Cas>) -> Result<(), HostFault> {
        Err(HostFault)
    }

    fn unix_ms(&mut self) -> Option<u64> {
        None
    }

    fn monotonic_ms(&mut self) -> Option<u64> {
        None
    }

    fn random(&mut self) -> Option<[u8; 16]> {
        None
    }

    fn ask(&mut self, _: &AgentCall<'_>) -> Result<u32, HostFault> {
        Err(HostFault)
    }

    fn answer_headers(&mut self) -> Option<Headers> {
        None
    }

    fn answer_body(&mut self, _: usize) -> Option<Vec<u8>> {
        None
    }

    fn count(&mut self, _: Metric) {}

    fn set(&mut self, _: Gauge<'_>, _: u64) {}

    fn log(&mut self, _: &str) {}
}

fn guard(mode: Mode) -> Guard {
    let mut config = PluginConfig::from_json(SHOP.as_bytes()).unwrap();
    config.attachment.role = Role::Edge;
    config.policy.records.sample_per_mille = 0;
    config.policy.versioning.mode = mode;
    config.policy.versioning.etag = vec!["reviews".into()];
    config.policy.versioning.causal_lifetime_ms = Some(3_600_000);
    let key = HmacKey { id: "k1".into(), env: "MESHFENCE_K1".into() };
    config.policy.hmac = Some(Hmac { keys: vec![key], replay_window_ms: 30_000 });
    let json = serde_json::to_vec(&config).unwrap();
    let at = Attached { plugin: b"meshfence", root: b"guard" };
    let guard = Guard::configure(at, Some(&json), &mut Alone, &mut LastGood::default());
    assert_eq!(guard.fault(), None);
    guard
}

fn headers(pairs: &[(&str, &str)]) -> Headers {
    let mut headers = Headers::with_capacity(pairs.len(), 4_096);
    for (name, value) in pairs {
        headers.push(name.as_bytes(), value.as_bytes());
    }
    headers
}

/// How often a write and its response allocate, in a VM that has seen some.
fn allocations(mode: Mode, brought: &[(&str, &str)], said: &[(&str, &str)]) -> (u64, Still) {
    let guard = guard(mode);
    let mut worker = Worker::new(1);
    let request =
        [(":method", "PUT"), (":path", "/api/v1/reviews/9"), (":authority", "api.shop.example")];
    let request: Vec<_> = request.iter().chain(brought).copied().collect();
    let response: Vec<_> = [(":status", "200")].iter().chain(said).copied().collect();
    let mut run = || {
        let (request, response) = (headers(&request), headers(&response));
        let mut host = Still { request, response, version: None, has_tag: false };
        let mut stream = Stream::default();
        let info = measure(|| {
            guard.on_request_headers(&mut worker, &mut stream, &mut host, true);
            guard.on_response_headers(&mut worker, &mut stream, &mut host, true);
        });
        assert!(stream.is_open());
        guard.on_done(&mut worker, &mut stream, &mut host);
        (info.count_total, host)
    };
    run();
    run()
}

#[test]
fn a_stamp_allocates_nothing() {
    let held = ("x-meshfence-current", HELD);
    let version = Stamp::parse(HELD.as_bytes()).unwrap();
    let read = issue::Read { version, others: &[] };
    let tag = issue::entity_tag("k1", &[1; 32], &read, b"/api/v1/reviews/9", None).unwrap();
    let causal = issue::causal("k1", &[1; 32], version, 1_700_000_600).unwrap();
    let carried = [("if-match", &*tag), ("meshfence-causal", &*causal)];
    for (more, response, has_tag, why) in [
        (&[][..], &[][..], false, "a version, and what its client has seen"),
        (&[], &[held][..], true, "and the tag of what was written"),
        (&carried[..], &[held][..], true, "by a client that has read and seen something"),
    ] {
        let plain = allocations(Mode::Disabled, more, response);
        assert_eq!(plain.1.version, None);
        let (count, host) = allocations(Mode::Enforce, more, response);
        assert!(host.version.is_some(), "{why}");
        assert_eq!(host.has_tag, has_tag, "{why}");
        assert_eq!(count, plain.0, "{why}");
    }
}
