//! What the VMs of a proxy tell each other of their clocks.

use super::versions::{NOW_MS, keyed, review, secrets, version, visit};
use crate::fake::FakeVm;
use crate::{Cas, Guard, Regional, Vm as _, Worker};
use origin_tag::Stamp;

/// The VMs of one proxy, each with its clock.
struct Proxy {
    guard: Guard,
    workers: Vec<Worker>,
    vm: FakeVm,
}

impl Proxy {
    fn new(vms: u32, has_keys: bool) -> Self {
        let guard = keyed(has_keys);
        let secrets = if has_keys { secrets() } else { Vec::new() };
        let vm = FakeVm { secrets, unix_ms: NOW_MS, monotonic_ms: 5_000, ..FakeVm::default() };
        Self { guard, workers: (0..vms).map(Worker::new).collect(), vm }
    }

    fn tick(&mut self, place: usize) {
        let worker = &mut self.workers[place];
        self.guard.on_tick(worker, &mut Regional::new(1), &mut self.vm);
    }

    fn write(&mut self, place: usize, wall_ms: u64) -> Stamp {
        self.write_marked(place, wall_ms).0
    }

    /// The version of a write, and whether it is marked.
    fn write_marked(&mut self, place: usize, wall_ms: u64) -> (Stamp, bool) {
        let mut host = review(&[]);
        host.unix_ms = wall_ms;
        let host = visit(&self.guard, &mut self.workers[place], host, &[]);
        (version(&host), host.request_header("x-meshfence-unsynced").is_some())
    }
}

#[test]
fn vms_follow_each_other_at_a_tick() {
    for (has_keys, follows) in [(true, true), (false, false)] {
        let mut proxy = Proxy::new(3, has_keys);
        // One VM has seen what the others have not.
        let ahead = proxy.write(0, NOW_MS + 400);
        let before = proxy.write(1, NOW_MS);
        assert!(before < ahead);
        proxy.tick(0);
        proxy.tick(1);
        assert_eq!(proxy.write(1, NOW_MS) > ahead, follows, "{has_keys}");
        assert!(proxy.write(2, NOW_MS) < ahead, "it has not ticked");
    }
}

#[test]
fn a_vm_that_has_seen_more_is_not_set_back() {
    let mut proxy = Proxy::new(2, true);
    proxy.tick(0);
    let ahead = proxy.write(1, NOW_MS + 400);
    proxy.tick(1);
    proxy.tick(0);
    assert!(proxy.write(0, NOW_MS) > ahead);
    // Nothing new: nothing is written.
    let shared = proxy.vm.shared.clone();
    proxy.workers[0] = Worker::new(7);
    proxy.tick(0);
    assert_eq!(proxy.vm.shared, shared);
}

#[test]
fn what_is_shared_is_ours_and_near_or_counted() {
    const NAME: &str = "meshfence/v1/clock";
    let foreign = "meshfence_foreign_shared_data_total";
    let future = "source=.=shared_data;.;meshfence_future_versions_total";
    for (change, wall_ms, count, why) in [
        (None, NOW_MS, None, "as it was shared"),
        (Some(&b"x"[..]), NOW_MS, Some(foreign), "somebody else's"),
        (Some(b""), NOW_MS, Some(foreign), "nothing"),
        (None, NOW_MS - 60_000, Some(future), "from far ahead"),
    ] {
        let mut proxy = Proxy::new(2, true);
        let ahead = proxy.write(0, NOW_MS + 400);
        proxy.tick(0);
        if let Some(bytes) = change {
            let (_, cas) = proxy.vm.shared(NAME).unwrap();
            proxy.vm.share(NAME, bytes, Some(Cas(cas.0))).unwrap();
        }
        proxy.vm.unix_ms = wall_ms;
        proxy.tick(1);
        let counted =
            [foreign, future].into_iter().find(|name| proxy.vm.metrics.contains_key(*name));
        assert_eq!(counted, count, "{why}");
        let (stamp, is_marked) = proxy.write_marked(1, wall_ms);
        assert_eq!(stamp > ahead, count.is_none(), "{why}");
        assert_eq!(is_marked, count == Some(future), "{why}");
        // What is not ours is overwritten, so that it is counted once; what is far ahead stays, and
        // each VM counts it once.
        for place in [1, 0, 1, 0, 1] {
            proxy.tick(place);
        }
        let least = 1 + u64::from(count == Some(future));
        let counts = proxy.vm.metrics.iter().filter(|(name, _)| !name.contains("clock_steps"));
        assert!(counts.clone().all(|(_, count)| *count <= least), "{why}: {:?}", proxy.vm.metrics);
    }
}

#[test]
fn a_step_of_the_wall_clock_is_counted_and_stamps_do_not_go_back() {
    let mut proxy = Proxy::new(1, true);
    proxy.tick(0);
    let first = proxy.write(0, NOW_MS);
    for (moves, count) in [(250, None), (-10_000, Some(1)), (250, Some(1)), (20_000, Some(2))] {
        proxy.vm.unix_ms = proxy.vm.unix_ms.saturating_add_signed(moves);
        proxy.vm.monotonic_ms += 250;
        proxy.tick(0);
        let counted = proxy.vm.metrics.get("meshfence_clock_steps_total").copied();
        assert_eq!(counted, count, "{moves}");
        assert!(proxy.write(0, proxy.vm.unix_ms) > first);
    }
}
