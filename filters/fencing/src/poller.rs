//! When a VM asks the agent of its region, so that one VM of a proxy does and the others need not.
//!
//! The one that asks leads: it says so in what the VMs share, for a while, and any other takes over
//! when that while is past. A VM that cannot seal what it shares believes nobody and asks for itself.

/// For how many polls a VM leads without saying so again.
const LEAD_POLLS: u64 = 3;
/// After so many polls in a row that told nothing another VM should try.
const FAILED_MAX: u32 = 2;
/// How much longer than an answer may take it is waited for before it is taken for lost.
const LOST_MS: u64 = 500;
/// No answer is waited for longer.
const TIMEOUT_MS_MAX: u32 = 5_000;

/// When one VM asks, and whom it waits for.
#[derive(Debug, Clone)]
pub struct Poller {
    /// This VM.
    node: u32,
    due_ms: u64,
    asked: Option<Asked>,
    failed: u32,
    /// Until when it leaves the lead to others.
    abstains_until_ms: u64,
    /// Something was seen that region state should say more of.
    is_urgent: bool,
    /// When it last asked because something was urgent.
    hurried_ms: Option<u64>,
}

/// A question that is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Asked {
    at_ms: u64,
    nonce: [u8; Poller::NONCE_LEN],
    lost_ms: u64,
}

/// Which VM of a proxy asks, and until when it does unless it says so again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lead {
    /// The VM.
    pub node: u32,
    /// Until when, by the monotonic clock of the proxy, in milliseconds.
    pub until_ms: u64,
}

impl Lead {
    /// The form in which VMs share it.
    pub fn to_bytes(self) -> [u8; 12] {
        let mut bytes = [0; 12];
        let (node, until) = (self.node.to_le_bytes(), self.until_ms.to_le_bytes());
        for (slot, byte) in bytes.iter_mut().zip(node.into_iter().chain(until)) {
            *slot = byte;
        }
        bytes
    }

    /// Reads that form.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (node, rest) = bytes.split_first_chunk::<4>()?;
        let until: [u8; 8] = rest.try_into().ok()?;
        Some(Self { node: u32::from_le_bytes(*node), until_ms: u64::from_le_bytes(until) })
    }
}

/// What to do about the agent now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Poll {
    /// Nothing.
    Wait,
    /// Say that this VM leads and, if nobody else said so meanwhile, ask.
    Lead(Lead),
    /// Ask without leading.
    Ask,
}

impl Poller {
    /// The length of what a question is told from others by, in bytes.
    pub const NONCE_LEN: usize = 16;

    /// The poller of a VM with this node number.
    pub fn new(node: u32) -> Self {
        Self {
            node,
            due_ms: 0,
            asked: None,
            failed: 0,
            abstains_until_ms: 0,
            is_urgent: false,
            hurried_ms: None,
        }
    }

    /// What to do now. `lead` is who leads as far as this VM can believe it; none where nobody does,
    /// and where nothing that is shared can be believed `is_shared` is false.
    pub fn on_tick(
        &mut self,
        now_ms: u64,
        poll_ms: u32,
        is_shared: bool,
        lead: Option<Lead>,
    ) -> Poll {
        if let Some(asked) = self.asked
            && now_ms >= asked.lost_ms
        {
            self.on_failure(now_ms, poll_ms);
        }
        if self.asked.is_some() {
            return Poll::Wait;
        }
        let poll_ms = u64::from(poll_ms);
        if self.is_urgent && self.hurried_ms.is_none_or(|at| now_ms.saturating_sub(at) >= poll_ms) {
            self.hurried_ms = Some(now_ms);
            return Poll::Ask;
        }
        if now_ms < self.due_ms {
            return Poll::Wait;
        }
        if !is_shared {
            return Poll::Ask;
        }
        let span_ms = poll_ms.saturating_mul(LEAD_POLLS);
        let until_ms = now_ms.saturating_add(span_ms);
        // Nobody can have said now that it leads for longer than anybody may.
        let leads = |lead: &Lead| now_ms < lead.until_ms && lead.until_ms <= until_ms;
        match lead.filter(leads) {
            Some(lead) if lead.node != self.node => Poll::Wait,
            _ if now_ms < self.abstains_until_ms => Poll::Wait,
            _ => Poll::Lead(Lead { node: self.node, until_ms }),
        }
    }

    /// Whether a question is on its way.
    pub fn is_asking(&self) -> bool {
        self.asked.is_some()
    }

    /// How long an answer may take, in milliseconds.
    pub fn timeout_ms(ttl_ms: u32) -> u32 {
        (ttl_ms / 3).min(TIMEOUT_MS_MAX)
    }

    /// The agent is about to be asked. Before the question is sent, so that every delay of it counts
    /// against what the answer promises. `nonce` is random.
    pub fn on_ask(&mut self, now_ms: u64, timeout_ms: u32, nonce: [u8; Self::NONCE_LEN]) {
        let lost_ms = now_ms.saturating_add(u64::from(timeout_ms)).saturating_add(LOST_MS);
        self.is_urgent = false;
        self.asked = Some(Asked { at_ms: now_ms, nonce, lost_ms });
    }

    /// An answer has come: when its question was asked, and the nonce of that. Nothing where no
    /// question is open.
    pub fn on_answer(&mut self) -> Option<(u64, [u8; Self::NONCE_LEN])> {
        self.asked.take().map(|asked| (asked.at_ms, asked.nonce))
    }

    /// The answer told something new: the next question is due after a poll, a fifth sooner or later
    /// so that proxies that started together do not ask together.
    pub fn on_success(&mut self, asked_ms: u64, poll_ms: u32) {
        self.failed = 0;
        self.due_ms = asked_ms.saturating_add(self.spread(asked_ms, poll_ms));
    }

    /// The question, or its answer, came to nothing.
    pub fn on_failure(&mut self, now_ms: u64, poll_ms: u32) {
        self.asked = None;
        self.failed = self.failed.saturating_add(1);
        self.due_ms = now_ms.saturating_add(self.spread(now_ms, poll_ms));
        if self.failed >= FAILED_MAX {
            self.failed = 0;
            let span_ms = u64::from(poll_ms).saturating_mul(LEAD_POLLS.saturating_add(2));
            self.abstains_until_ms = now_ms.saturating_add(span_ms);
        }
    }

    /// Something was seen that region state should say more of: the next tick asks, whoever leads,
    /// once a poll at most.
    pub fn hurry(&mut self) {
        self.is_urgent = true;
    }

    /// Four to six fifths of a poll, by the time and the VM.
    fn spread(&self, now_ms: u64, poll_ms: u32) -> u64 {
        let poll_ms = u64::from(poll_ms);
        let mixed = (now_ms ^ u64::from(self.node).rotate_left(32))
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(17);
        let width = (poll_ms.saturating_mul(2) / 5).max(1);
        let part = mixed.checked_rem(width).unwrap_or(0);
        (poll_ms.saturating_mul(4) / 5).saturating_add(part)
    }
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "the numbers of a test are small")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const POLL_MS: u32 = 1_000;
    const NONCE: [u8; Poller::NONCE_LEN] = [7; Poller::NONCE_LEN];

    fn lead(node: u32, until_ms: u64) -> Lead {
        Lead { node, until_ms }
    }

    #[test]
    fn a_lead_is_read_as_it_was_written() {
        let lead = Lead { node: 0xfedc_ba98, until_ms: u64::MAX - 1 };
        assert_eq!(Lead::from_bytes(&lead.to_bytes()), Some(lead));
        for (bytes, why) in [(&[0; 11][..], "too short"), (&[0; 13], "too long"), (&[], "nothing")]
        {
            assert_eq!(Lead::from_bytes(bytes), None, "{why}");
        }
    }

    #[test]
    #[rustfmt::skip] // a table
    fn a_vm_that_may_ask_leads_or_waits_for_whoever_does() {
        let own = Poll::Lead(Lead { node: 1, until_ms: 13_000 });
        for (is_shared, lead, expected, why) in [
            (true, None, own, "nobody leads"),
            (true, Some(lead(1, 10_500)), own, "it leads itself, and says so again"),
            (true, Some(lead(2, 10_001)), Poll::Wait, "another one leads"),
            (true, Some(lead(2, 13_000)), Poll::Wait, "another one has just said so"),
            (true, Some(lead(2, 10_000)), own, "the other one's time is past: it stalls or is gone"),
            (true, Some(lead(2, 9_000)), own, "long past"),
            (true, Some(lead(2, 13_001)), own, "nobody can have said so for so long"),
            (true, Some(lead(2, u64::MAX)), own, "for ever, as whoever would stop all polls says"),
            (false, None, Poll::Ask, "nothing shared can be believed"),
            (false, Some(lead(2, 11_000)), Poll::Ask, "whatever stands there"),
        ] {
            let mut poller = Poller::new(1);
            assert_eq!(poller.on_tick(10_000, POLL_MS, is_shared, lead), expected, "{why}");
        }
    }

    #[test]
    fn one_question_is_open_at_a_time_and_is_lost_after_its_time() {
        let mut poller = Poller::new(1);
        assert_eq!(Poller::timeout_ms(15_000), 5_000);
        assert_eq!(Poller::timeout_ms(3_000), 1_000, "a third of what a lease lasts");
        poller.on_ask(10_000, 1_000, NONCE);
        poller.hurry();
        for (now_ms, expected, why) in [
            (10_000, Poll::Wait, "it is open"),
            (11_499, Poll::Wait, "it may still come, however urgent"),
            (11_500, Poll::Ask, "it is lost, and it is urgent"),
        ] {
            assert_eq!(
                poller.on_tick(now_ms, POLL_MS, true, Some(lead(2, now_ms + 1))),
                expected,
                "{why}"
            );
        }
        assert_eq!(poller.on_answer(), None, "what is lost is not answered");
        poller.on_ask(11_500, 1_000, NONCE);
        assert_eq!(poller.on_answer(), Some((11_500, NONCE)), "when it was asked");
        assert_eq!(poller.on_answer(), None, "once");
    }

    #[test]
    fn whoever_fails_twice_lets_others_try() {
        let mut poller = Poller::new(1);
        poller.on_failure(10_000, POLL_MS);
        assert!(
            matches!(poller.on_tick(11_200, POLL_MS, true, None), Poll::Lead(_)),
            "once is chance"
        );
        poller.on_failure(11_300, POLL_MS);
        for (now_ms, leads, why) in [
            (12_500, false, "it is due, and leaves it to others"),
            (16_299, false, "for five polls"),
            (16_300, true, "nobody else is there"),
        ] {
            let polls = poller.on_tick(now_ms, POLL_MS, true, None);
            assert_eq!(matches!(polls, Poll::Lead(_)), leads, "{why}");
        }
        poller.on_success(16_300, POLL_MS);
        poller.on_failure(17_500, POLL_MS);
        assert!(
            matches!(poller.on_tick(18_700, POLL_MS, true, None), Poll::Lead(_)),
            "counted anew"
        );
        // A VM that can believe nobody has nobody to leave it to.
        let mut alone = Poller::new(1);
        alone.on_failure(10_000, POLL_MS);
        alone.on_failure(11_200, POLL_MS);
        assert_eq!(alone.on_tick(12_400, POLL_MS, false, None), Poll::Ask);
    }

    #[test]
    fn what_is_urgent_is_asked_once_a_poll_at_most() {
        let mut poller = Poller::new(1);
        let others = |now_ms| Some(lead(2, now_ms + 500));
        poller.hurry();
        assert_eq!(
            poller.on_tick(10_000, POLL_MS, true, others(10_000)),
            Poll::Ask,
            "whoever leads"
        );
        poller.on_ask(10_000, 1_000, NONCE);
        poller.on_answer();
        poller.on_success(10_000, POLL_MS);
        for (now_ms, expected, why) in [
            (10_250, Poll::Wait, "it has just asked"),
            (10_999, Poll::Wait, "still within the poll"),
            (11_000, Poll::Ask, "it is still urgent"),
        ] {
            poller.hurry();
            assert_eq!(poller.on_tick(now_ms, POLL_MS, true, others(now_ms)), expected, "{why}");
        }
        poller.on_ask(11_000, 1_000, NONCE);
        poller.on_answer();
        poller.on_success(11_000, POLL_MS);
        assert_eq!(
            poller.on_tick(12_000, POLL_MS, true, others(12_000)),
            Poll::Wait,
            "not any more"
        );
    }

    proptest! {
        /// The next question is due after four to six fifths of a poll, and no sooner.
        #[test]
        fn polls_spread(node in any::<u32>(), now_ms in 0_u64..1 << 40, poll_ms in 100_u32..10_000) {
            let mut poller = Poller::new(node);
            poller.on_success(now_ms, poll_ms);
            let (least, most) = (u64::from(poll_ms) * 4 / 5, u64::from(poll_ms) * 6 / 5);
            let waits = poller.on_tick(now_ms + least - 1, poll_ms, true, None);
            prop_assert_eq!(waits, Poll::Wait);
            let leads = poller.on_tick(now_ms + most, poll_ms, true, None);
            prop_assert!(matches!(leads, Poll::Lead(_)));
        }

        /// Of VMs that tick one after another and share a lead, one asks at a time, and when it stands
        /// still another one has asked within the time of a lead and a poll.
        #[test]
        fn one_leads_and_another_takes_over(vms in 2_usize..5, stalls_at in 5_000_u64..20_000) {
            let node = |vm: usize| u32::try_from(vm).unwrap() + 1;
            let mut pollers: Vec<Poller> = (0..vms).map(|vm| Poller::new(node(vm))).collect();
            let mut shared: Option<Lead> = None;
            let mut asked: Vec<(u64, u32)> = Vec::new();
            let mut stalled = None;
            for step in 0_u64..160 {
                let now_ms = step * 250;
                if now_ms >= stalls_at && stalled.is_none() {
                    stalled = shared.map(|lead| lead.node);
                }
                for poller in pollers.iter_mut().filter(|poller| Some(poller.node) != stalled) {
                    if let Poll::Lead(lead) = poller.on_tick(now_ms, POLL_MS, true, shared) {
                        shared = Some(lead);
                        poller.on_ask(now_ms, 5_000, NONCE);
                        poller.on_answer();
                        poller.on_success(now_ms, POLL_MS);
                        asked.push((now_ms, lead.node));
                    }
                }
            }
            for pair in asked.windows(2) {
                let ([(before, first), (after, second)], gap) = ([pair[0], pair[1]], pair[1].0 - pair[0].0);
                prop_assert!(gap <= if first == second { 1_500 } else { 3_250 }, "{before} {after}");
                prop_assert!(first == second || before <= stalls_at, "the lead changes for no reason");
            }
            prop_assert!(asked.last().unwrap().0 > 38_000);
        }
    }
}
