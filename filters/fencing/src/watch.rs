//! What one VM believes of the regions: the newest document that it has adopted, and the highest
//! epoch that it has ever seen of each lease.
//!
//! An epoch never goes down here, whatever an agent says and whatever VM says it: a lease of which a
//! lower one is told, or another holder for the same one, is in doubt from then on, until a document
//! comes that contradicts nothing. Where VMs were told of different holders of one epoch, nothing but
//! the next grant does.

use policy_core::wire::{LIVE_LEASES_MAX, LiveDocument, LiveLease};
use policy_core::{LeaseState, Policy, RegionState};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Leases whose epochs a VM remembers: more than any document has, as contexts come and go.
const REMEMBERED_MAX: usize = 2 * LIVE_LEASES_MAX;

/// What one VM believes of the regions.
#[derive(Debug, Clone, Default)]
pub struct Watch {
    newest: Option<Newest>,
    /// The highest epoch of each lease that was ever seen, with its holder.
    grants: BTreeMap<String, Grant>,
    /// The leases that documents have contradicted each other about.
    doubtful: BTreeSet<String>,
    /// Grows with every change of any of these.
    revision: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Newest {
    document: LiveDocument,
    asked_ms: u64,
}

impl Newest {
    /// What tells one document from an older one of the same agent.
    fn issue(&self) -> (u32, u64) {
        issue(&self.document)
    }
}

fn issue(document: &LiveDocument) -> (u32, u64) {
    (document.generation, document.issued_seq)
}

/// The newest grant of a lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Grant {
    epoch: u64,
    holder: Holder,
}

/// Who got a lease, as far as it was told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Holder {
    /// It was seen only while nobody had it for certain.
    Untold,
    /// This region.
    Told(String),
    /// VMs were told of different ones, which no document can put right: only the next grant does.
    Contested,
}

impl Grant {
    /// Takes over what another VM knows of the same lease: the higher epoch, and of one epoch
    /// everything that was ever told. So it makes no difference who hears of whom first. Whether that
    /// was news.
    fn join(&mut self, other: &Self) -> bool {
        if self.epoch > other.epoch {
            return false;
        }
        let joined = match (&self.holder, &other.holder) {
            _ if self.epoch < other.epoch => other.clone(),
            (_, Holder::Untold) | (Holder::Contested, _) => return false,
            (Holder::Untold, _) => other.clone(),
            (Holder::Told(known), Holder::Told(told)) if known == told => return false,
            (Holder::Told(_), _) => Self { epoch: self.epoch, holder: Holder::Contested },
        };
        *self = joined;
        true
    }

    /// Whether there is nothing that it would learn of another VM's.
    fn covers(&self, other: &Self) -> bool {
        !self.clone().join(other)
    }
}

/// Why a document was not adopted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refused {
    /// It is not of this region's agent.
    OtherRegion,
    /// It is not newer than the newest one.
    Replayed,
    /// It promises a lease for longer than leases last.
    Overlong,
    /// It has an epoch of some lease that is lower than one that was seen before.
    EpochRegressed,
    /// It has another holder of an epoch that was seen before.
    TwoHolders,
    /// It has leases that there is no room to remember.
    TooMany,
}

impl Refused {
    /// Every reason.
    pub const ALL: [Self; 6] = [
        Self::OtherRegion,
        Self::Replayed,
        Self::Overlong,
        Self::EpochRegressed,
        Self::TwoHolders,
        Self::TooMany,
    ];

    /// The word in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OtherRegion => "other_region",
            Self::Replayed => "replayed",
            Self::Overlong => "overlong",
            Self::EpochRegressed => "epoch_regressed",
            Self::TwoHolders => "two_holders",
            Self::TooMany => "too_many",
        }
    }
}

/// What a document was adopted as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Adopted {
    /// It is the newest one now.
    Newer,
    /// It was known.
    Known,
}

/// What the VMs of a proxy tell each other: everything that one of them believes. It is sealed by
/// whoever shares it, or any plugin of the proxy could say this.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shared {
    asked_ms: u64,
    document: LiveDocument,
    grants: BTreeMap<String, Grant>,
    doubtful: BTreeSet<String>,
}

impl Shared {
    /// When the agent was asked for the document, by the monotonic clock of the proxy. A later time
    /// than now is not of this proxy: its machine has not been up for so long.
    pub fn asked_ms(&self) -> u64 {
        self.asked_ms
    }
}

impl Watch {
    /// Adopts a document that the agent of `region` gave when it was asked at this monotonic time.
    ///
    /// # Errors
    /// Why it is not believed. What it contradicts is in doubt from then on.
    pub fn adopt(
        &mut self,
        region: &str,
        ttl_ms: u32,
        document: LiveDocument,
        asked_ms: u64,
    ) -> Result<(), Refused> {
        if document.region != region {
            return Err(Refused::OtherRegion);
        }
        if self.newest.as_ref().is_some_and(|newest| issue(&document) <= newest.issue()) {
            return Err(Refused::Replayed);
        }
        if document.leases.iter().any(|lease| lease.ttl_ms > ttl_ms) {
            return Err(Refused::Overlong);
        }
        let unknown =
            document.leases.iter().filter(|lease| !self.grants.contains_key(&lease.name()));
        if self.grants.len().saturating_add(unknown.count()) > REMEMBERED_MAX {
            return Err(Refused::TooMany);
        }
        let mut refused = None;
        for lease in &document.leases {
            if let Some(why) = self.contradicts(lease) {
                refused = Some(refused.map_or(why, |first: Refused| first.min(why)));
                if self.doubtful.insert(lease.name()) {
                    self.revise();
                }
            }
        }
        if let Some(why) = refused {
            return Err(why);
        }
        for lease in &document.leases {
            let name = lease.name();
            self.doubtful.remove(&name);
            let holder = lease.holder.clone().map_or(Holder::Untold, Holder::Told);
            let told = Grant { epoch: lease.epoch, holder };
            // Whoever is named while nobody has it for certain changes nothing of who had it.
            let is_known =
                |known: &Grant| known.epoch == told.epoch && known.holder != Holder::Untold;
            if !self.grants.get(&name).is_some_and(is_known) {
                self.grants.insert(name, told);
            }
        }
        self.newest = Some(Newest { document, asked_ms });
        self.revise();
        Ok(())
    }

    /// Takes over what another VM of this proxy believes, so far as it is newer: the higher epoch
    /// and every doubt count, whoever has them.
    ///
    /// # Errors
    /// It is not of this region's agent, or has leases that there is no room to remember.
    pub fn merge(&mut self, region: &str, shared: Shared) -> Result<Adopted, Refused> {
        let Shared { asked_ms, document, grants, doubtful } = shared;
        if document.region != region {
            return Err(Refused::OtherRegion);
        }
        if self.grants.len().saturating_add(grants.len()) > 2 * REMEMBERED_MAX {
            return Err(Refused::TooMany);
        }
        let before = self.revision;
        let is_newer = self.newest.as_ref().is_none_or(|newest| issue(&document) > newest.issue());
        for (name, grant) in grants {
            let is_news = match self.grants.get_mut(&name) {
                Some(known) => known.join(&grant),
                None => self.grants.insert(name, grant).is_none(),
            };
            if is_news {
                self.revise();
            }
        }
        if is_newer {
            // A newer document that was adopted there ended the doubts about what it tells.
            self.doubtful = doubtful;
            self.newest = Some(Newest { document, asked_ms });
            self.revise();
        } else if self.newest.as_ref().is_some_and(|newest| issue(&document) == newest.issue()) {
            for name in doubtful {
                if self.doubtful.insert(name) {
                    self.revise();
                }
            }
        }
        Ok(if self.revision == before { Adopted::Known } else { Adopted::Newer })
    }

    /// What other VMs of this proxy are told; nothing before anything was adopted.
    pub fn shared(&self) -> Option<Shared> {
        let Newest { document, asked_ms } = self.newest.clone()?;
        let (grants, doubtful) = (self.grants.clone(), self.doubtful.clone());
        Some(Shared { asked_ms, document, grants, doubtful })
    }

    /// Whether somebody who has this knows less, once it was merged: another plugin may have put back
    /// what was shared long ago.
    pub fn knows_more_than(&self, shared: &Shared) -> bool {
        let is_newer = |(_, asked_ms): (&LiveDocument, u64)| asked_ms > shared.asked_ms;
        self.newest().is_some_and(is_newer)
            || !self.doubtful.is_subset(&shared.doubtful)
            || self.grants.iter().any(|(lease, grant)| {
                shared.grants.get(lease).is_none_or(|known| !known.covers(grant))
            })
    }

    /// Grows whenever something is believed that was not before.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The newest document, and when its agent was asked for it.
    pub fn newest(&self) -> Option<(&LiveDocument, u64)> {
        self.newest.as_ref().map(|newest| (&newest.document, newest.asked_ms))
    }

    /// What a policy may believe now. What is too old to be believed is not known at all.
    pub fn state(&self, policy: &Policy, now_ms: Option<u64>) -> RegionState {
        let Some(Newest { document, asked_ms }) = &self.newest else {
            return RegionState::unknown(policy);
        };
        let behind = self.behind(document);
        let doubts = |name: &str| self.doubtful.contains(name) || behind.contains(name);
        let state = RegionState::from_live(policy, document, *asked_ms, doubts);
        if state.until.is_none_or(|until| until.is_ahead(now_ms)) {
            state
        } else {
            RegionState::unknown(policy)
        }
    }

    /// The leases of the newest document of which another VM knows a newer grant.
    fn behind(&self, document: &LiveDocument) -> BTreeSet<String> {
        let contradicted = |lease: &&LiveLease| self.contradicts(lease).is_some();
        document.leases.iter().filter(contradicted).map(LiveLease::name).collect()
    }

    /// What a document says of a lease that cannot be so after what was seen before.
    fn contradicts(&self, lease: &LiveLease) -> Option<Refused> {
        let known = self.grants.get(&lease.name())?;
        if lease.epoch < known.epoch {
            return Some(Refused::EpochRegressed);
        }
        let is_other = match &known.holder {
            Holder::Untold => false,
            Holder::Told(holder) => lease.holder.as_ref() != Some(holder),
            Holder::Contested => true,
        };
        let is_held = lease.epoch == known.epoch && lease.state == LeaseState::Active;
        (is_held && is_other).then_some(Refused::TwoHolders)
    }

    fn revise(&mut self) {
        self.revision = self.revision.wrapping_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use policy_core::wire::PluginConfig;
    use policy_core::{LeaseView, StateOrigin};
    use proptest::prelude::*;

    const SHOP: &str = include_str!("../../../policies/policy-core/fixtures/shop.json");
    const TTL_MS: u32 = 15_000;

    fn lease(name: &str, holder: Option<&str>, epoch: u64) -> LiveLease {
        let (ctx, shard) = match name.split_once('/') {
            Some((ctx, shard)) => (ctx.to_owned(), Some(shard.to_owned())),
            None => (name.to_owned(), None),
        };
        let state = if holder.is_some() { LeaseState::Active } else { LeaseState::Vacant };
        let holder = holder.map(str::to_owned);
        LiveLease { ctx, shard, state, holder, epoch, ttl_ms: 14_000, prev: None }
    }

    fn document(issued_seq: u64, leases: Vec<LiveLease>) -> LiveDocument {
        LiveDocument::new("taiwan", issued_seq, leases)
    }

    fn inventory(issued_seq: u64, holder: Option<&str>, epoch: u64) -> LiveDocument {
        document(issued_seq, vec![lease("inventory", holder, epoch)])
    }

    fn adopt(watch: &mut Watch, document: LiveDocument, asked_ms: u64) -> Result<(), Refused> {
        watch.adopt("taiwan", TTL_MS, document, asked_ms)
    }

    fn policy() -> Policy {
        Policy::compile(&PluginConfig::from_json(SHOP.as_bytes()).unwrap()).unwrap()
    }

    /// What is believed of the lease of the inventory: holder and epoch, or how it is in doubt.
    fn believed(watch: &Watch, now_ms: u64) -> String {
        let policy = policy();
        let state = watch.state(&policy, Some(now_ms));
        let (lease, shard) = policy.find_lease("inventory").unwrap();
        match state.lease(lease, shard) {
            LeaseView::Held(held) => format!("{} {}", policy.region_name(held.holder), held.epoch),
            view => format!("{view:?}"),
        }
    }

    #[test]
    #[rustfmt::skip] // a table
    fn a_document_is_adopted_or_it_is_told_why_not() {
        let other_region = LiveDocument { region: "tokyo".into(), ..inventory(11, Some("taiwan"), 5) };
        let older_generation = LiveDocument { generation: 0, ..inventory(99, Some("taiwan"), 5) };
        let newer_generation = LiveDocument { generation: 2, ..inventory(1, Some("taiwan"), 5) };
        let mut overlong = inventory(11, Some("taiwan"), 5);
        overlong.leases[0].ttl_ms = TTL_MS + 1;
        let mut whole = inventory(11, Some("taiwan"), 5);
        whole.leases[0].ttl_ms = TTL_MS;
        let many = |count: usize| (0..count).map(|number| lease(&format!("c{number}"), None, 1)).collect();
        let draining = |epoch| {
            let mut document = inventory(11, Some("taiwan"), epoch);
            document.leases[0].state = LeaseState::Draining;
            document
        };
        for (document, adopted, then, why) in [
            (inventory(11, Some("taiwan"), 5), Ok(()), "taiwan 5", "a renewal"),
            (inventory(11, Some("tokyo"), 6), Ok(()), "tokyo 6", "a grant"),
            (inventory(11, Some("taiwan"), 9), Ok(()), "taiwan 9", "grants that were missed"),
            (inventory(11, None, 5), Ok(()), "Vacant", "it was released"),
            (draining(5), Ok(()), "Draining", "it is handed over"),
            (document(11, vec![]), Ok(()), "Unknown", "it says nothing of the lease"),
            (newer_generation, Ok(()), "taiwan 5", "an operator has begun the numbers anew"),
            (whole, Ok(()), "taiwan 5", "as long as leases last"),
            (other_region, Err(Refused::OtherRegion), "taiwan 5", "another agent's"),
            (inventory(10, Some("tokyo"), 6), Err(Refused::Replayed), "taiwan 5", "the same number"),
            (inventory(9, Some("tokyo"), 6), Err(Refused::Replayed), "taiwan 5", "an older number"),
            (older_generation, Err(Refused::Replayed), "taiwan 5", "an older generation"),
            (overlong, Err(Refused::Overlong), "taiwan 5", "for longer than leases last"),
            (inventory(11, Some("taiwan"), 4), Err(Refused::EpochRegressed), "Unknown", "a lower epoch"),
            (inventory(11, None, 4), Err(Refused::EpochRegressed), "Unknown", "a lower epoch of nobody's"),
            (draining(4), Err(Refused::EpochRegressed), "Unknown", "a lower epoch on its way out"),
            (inventory(11, Some("tokyo"), 5), Err(Refused::TwoHolders), "Unknown", "another holder"),
            (document(11, many(REMEMBERED_MAX)), Err(Refused::TooMany), "taiwan 5", "too many names"),
        ] {
            let mut watch = Watch::default();
            adopt(&mut watch, inventory(10, Some("taiwan"), 5), 1_000).unwrap();
            assert_eq!(adopt(&mut watch, document, 2_000), adopted, "{why}");
            assert_eq!(believed(&watch, 3_000), then, "{why}");
        }
    }

    #[test]
    fn what_is_in_doubt_stays_so_until_nothing_contradicts() {
        let mut watch = Watch::default();
        adopt(&mut watch, inventory(10, Some("taiwan"), 5), 1_000).unwrap();
        for (document, adopted, then, why) in [
            (inventory(11, Some("tokyo"), 4), Err(Refused::EpochRegressed), "Unknown", "in doubt"),
            (inventory(12, Some("tokyo"), 4), Err(Refused::EpochRegressed), "Unknown", "still"),
            (
                inventory(10, Some("taiwan"), 5),
                Err(Refused::Replayed),
                "Unknown",
                "an old one says nothing",
            ),
            (inventory(13, Some("taiwan"), 5), Ok(()), "taiwan 5", "what was so is so"),
            (
                inventory(14, Some("tokyo"), 5),
                Err(Refused::TwoHolders),
                "Unknown",
                "in doubt again",
            ),
            (inventory(15, Some("tokyo"), 6), Ok(()), "tokyo 6", "a new grant ends it"),
            (
                inventory(16, Some("taiwan"), 5),
                Err(Refused::EpochRegressed),
                "Unknown",
                "back again",
            ),
            (inventory(17, None, 6), Ok(()), "Vacant", "nobody has it"),
            (
                inventory(18, Some("taiwan"), 6),
                Err(Refused::TwoHolders),
                "Unknown",
                "a grant that nobody counted",
            ),
        ] {
            assert_eq!(adopt(&mut watch, document, 1_000), adopted, "{why}");
            assert_eq!(believed(&watch, 2_000), then, "{why}");
        }
    }

    #[test]
    fn one_lease_in_doubt_leaves_the_others_as_they_are() {
        let both = |seq, orders, stock| {
            let shard = lease("orders/tokyo", Some("tokyo"), orders);
            document(seq, vec![shard, lease("inventory", Some("taiwan"), stock)])
        };
        let mut watch = Watch::default();
        adopt(&mut watch, both(1, 3, 5), 1_000).unwrap();
        assert_eq!(adopt(&mut watch, both(2, 2, 6), 1_500), Err(Refused::EpochRegressed));
        assert_eq!(
            believed(&watch, 2_000),
            "taiwan 5",
            "nothing of a refused document is believed"
        );
        assert!(watch.doubtful.contains("orders/tokyo") && !watch.doubtful.contains("inventory"));
    }

    #[test]
    fn what_is_believed_ends() {
        let mut watch = Watch::default();
        assert_eq!(believed(&watch, 0), "Unknown", "nothing was told yet");
        adopt(&mut watch, inventory(1, Some("taiwan"), 5), 1_000).unwrap();
        // 14 s, less 14 ms of drift, less the margin of 500 ms.
        for (now_ms, then) in [(14_485, "taiwan 5"), (15_484, "taiwan 5"), (15_485, "Unknown")] {
            let policy = policy();
            let state = watch.state(&policy, Some(now_ms));
            let known = state.origin == StateOrigin::Agent && state.until.is_some();
            assert_eq!(known, then == "taiwan 5", "{now_ms}");
        }
        let policy = policy();
        assert_eq!(watch.state(&policy, None).origin, StateOrigin::None, "no clock, no belief");
    }

    #[test]
    fn vms_tell_each_other_what_they_believe() {
        let (mut asker, mut other) = (Watch::default(), Watch::default());
        assert_eq!(asker.shared(), None, "nothing to tell yet");
        adopt(&mut asker, inventory(1, Some("taiwan"), 5), 1_000).unwrap();
        let shared = asker.shared().unwrap();
        let bytes = serde_json::to_vec(&shared).unwrap();
        assert_eq!(serde_json::from_slice::<Shared>(&bytes).unwrap(), shared);
        let before = other.revision();
        assert_eq!(other.merge("taiwan", shared.clone()), Ok(Adopted::Newer));
        assert!(other.revision() > before);
        let revision = other.revision();
        assert_eq!(other.merge("taiwan", shared.clone()), Ok(Adopted::Known));
        assert_eq!(other.revision(), revision, "what is known changes nothing");
        assert_eq!(other.newest(), asker.newest(), "with the time at which it was asked for");
        assert_eq!(other.merge("tokyo", shared), Err(Refused::OtherRegion));
        // What one doubts all do, and a newer document that contradicts nothing ends it.
        adopt(&mut asker, inventory(2, Some("taiwan"), 4), 1_500).unwrap_err();
        assert_eq!(other.merge("taiwan", asker.shared().unwrap()), Ok(Adopted::Newer));
        assert_eq!(believed(&other, 2_000), "Unknown");
        adopt(&mut asker, inventory(3, Some("tokyo"), 6), 2_000).unwrap();
        assert_eq!(other.merge("taiwan", asker.shared().unwrap()), Ok(Adopted::Newer));
        assert_eq!(believed(&other, 3_000), "tokyo 6");
    }

    #[test]
    #[rustfmt::skip] // a table
    fn whoever_has_less_is_told_more_and_nobody_else() {
        let doubting = |watch: &mut Watch| adopt(watch, inventory(3, Some("taiwan"), 4), 1_000).unwrap_err();
        let told = |documents: &[(u64, u64)], asked_ms: u64| {
            let mut watch = Watch::default();
            for (seq, epoch) in documents {
                adopt(&mut watch, inventory(*seq, Some("taiwan"), *epoch), asked_ms).unwrap();
            }
            watch
        };
        let doubts = |mut watch: Watch| { doubting(&mut watch); watch };
        for (own, shared, expected, why) in [
            (told(&[(2, 5)], 1_000), told(&[(2, 5)], 1_000), false, "the same"),
            (told(&[(2, 5)], 1_000), told(&[(2, 5)], 2_000), false, "the same, asked for later"),
            (told(&[(2, 5)], 2_000), told(&[(2, 5)], 1_000), true, "the same, which is believed for longer"),
            (told(&[(2, 5)], 2_000), told(&[(1, 5)], 1_000), true, "something older"),
            (told(&[(1, 5)], 1_000), told(&[(2, 5)], 2_000), false, "something newer"),
            (told(&[(1, 6)], 1_000), told(&[(2, 5)], 2_000), true, "something newer without a grant"),
            (doubts(told(&[(2, 5)], 1_000)), told(&[(2, 5)], 1_000), true, "no doubts"),
            (told(&[(2, 5)], 1_000), doubts(told(&[(2, 5)], 1_000)), false, "doubts of its own"),
            (Watch::default(), told(&[(2, 5)], 1_000), false, "all that is known"),
        ] {
            let (mut own, shared) = (own, shared.shared().unwrap());
            own.merge("taiwan", shared.clone()).unwrap();
            assert_eq!(own.knows_more_than(&shared), expected, "{why}");
        }
    }

    #[test]
    fn a_vm_that_is_told_of_a_newer_grant_than_its_document_has_doubts() {
        let (mut one, mut other) = (Watch::default(), Watch::default());
        // The other one has an older document with a newer grant: what one was told is in doubt.
        adopt(&mut one, inventory(9, Some("taiwan"), 5), 1_000).unwrap();
        adopt(&mut other, inventory(8, Some("tokyo"), 6), 1_000).unwrap();
        one.merge("taiwan", other.shared().unwrap()).unwrap();
        assert_eq!(believed(&one, 2_000), "Unknown");
        // A VM that is loaded again knows the grants that others know.
        let mut fresh = Watch::default();
        fresh.merge("taiwan", one.shared().unwrap()).unwrap();
        assert_eq!(believed(&fresh, 2_000), "Unknown");
        let late = inventory(10, Some("taiwan"), 5);
        assert_eq!(adopt(&mut fresh, late, 2_000), Err(Refused::EpochRegressed));
    }

    #[test]
    #[rustfmt::skip] // a table
    fn who_was_told_of_two_holders_believes_neither_whoever_told_first() {
        let told = |seq, holder, epoch| {
            let mut watch = Watch::default();
            adopt(&mut watch, inventory(seq, holder, epoch), 1_000).unwrap();
            watch.shared().unwrap()
        };
        let (taiwan, tokyo) = (told(1, Some("taiwan"), 2), told(2, Some("tokyo"), 2));
        let (vacant, older) = (told(6, None, 2), told(3, Some("taiwan"), 1));
        for (shares, then, why) in [
            (vec![&taiwan, &tokyo], "Unknown", "two of one epoch"),
            (vec![&taiwan, &vacant], "Vacant", "the newest document has it free"),
            (vec![&taiwan, &tokyo, &vacant], "Vacant", "free, whoever had it"),
            (vec![&taiwan, &tokyo, &older], "Unknown", "nor does an older epoch tell"),
        ] {
            for backwards in [false, true] {
                let mut watch = Watch::default();
                let mut shares = shares.clone();
                if backwards { shares.reverse(); }
                for shared in shares {
                    watch.merge("taiwan", shared.clone()).unwrap();
                }
                assert_eq!(believed(&watch, 2_000), then, "{why}");
            }
        }
        let mut watch = Watch::default();
        for shared in [&taiwan, &tokyo] {
            watch.merge("taiwan", shared.clone()).unwrap();
        }
        for (document, adopted, then, why) in [
            (inventory(7, Some("tokyo"), 2), Err(Refused::TwoHolders), "Unknown", "it may be the wrong one"),
            (inventory(8, None, 2), Ok(()), "Vacant", "it was released"),
            (inventory(9, Some("taiwan"), 2), Err(Refused::TwoHolders), "Unknown", "it still may"),
            (inventory(10, Some("taiwan"), 3), Ok(()), "taiwan 3", "the next grant tells"),
        ] {
            assert_eq!(adopt(&mut watch, document, 1_000), adopted, "{why}");
            assert_eq!(believed(&watch, 2_000), then, "{why}");
        }
    }

    fn documents() -> impl Strategy<Value = Vec<LiveDocument>> {
        let holder = prop::sample::select(vec![None, Some("taiwan"), Some("tokyo")]);
        let one =
            (1_u64..8, prop::sample::select(vec!["inventory", "orders/tokyo"]), holder, 1_u64..5);
        let one = one
            .prop_map(|(seq, name, holder, epoch)| document(seq, vec![lease(name, holder, epoch)]));
        prop::collection::vec(one, 1..8)
    }

    fn highest(watch: &Watch) -> BTreeMap<String, u64> {
        watch.grants.iter().map(|(name, grant)| (name.clone(), grant.epoch)).collect()
    }

    proptest! {
        /// Whatever comes, by whatever way, no epoch that is known goes down, and none that is
        /// believed is lower than one that is known.
        #[test]
        fn epochs_never_go_down(documents in documents(), shares in documents()) {
            let policy = policy();
            let (mut watch, mut other) = (Watch::default(), Watch::default());
            for (told, shared) in documents.into_iter().zip(shares) {
                let before = highest(&watch);
                let _ = adopt(&mut watch, told, 1_000);
                let _ = adopt(&mut other, shared, 1_000);
                if let Some(shared) = other.shared() {
                    watch.merge("taiwan", shared).unwrap();
                }
                let after = highest(&watch);
                for (name, epoch) in before {
                    prop_assert!(after[&name] >= epoch);
                }
                let state = watch.state(&policy, Some(2_000));
                for (name, epoch) in after {
                    let (lease, shard) = policy.find_lease(&name).unwrap();
                    if let LeaseView::Held(held) = state.lease(lease, shard) {
                        prop_assert_eq!(held.epoch, epoch);
                    }
                }
            }
        }

        /// What VMs know comes to the same, in whatever order they hear of each other.
        #[test]
        fn the_order_of_telling_makes_no_difference(
            sets in prop::collection::vec(documents(), 2..4),
            asked in 0_u64..1_000,
        ) {
            let shares: Vec<Shared> = sets.into_iter().filter_map(|documents| {
                let mut watch = Watch::default();
                for document in documents {
                    let _ = adopt(&mut watch, document, asked);
                }
                watch.shared()
            }).collect();
            let tell = |order: &mut dyn Iterator<Item = &Shared>| {
                let mut watch = Watch::default();
                for shared in order {
                    watch.merge("taiwan", shared.clone()).unwrap();
                }
                watch
            };
            let (first, second) = (tell(&mut shares.iter()), tell(&mut shares.iter().rev()));
            prop_assert_eq!(highest(&first), highest(&second));
            let issue = |watch: &Watch| watch.newest().map(|(document, _)| document.issued_seq);
            prop_assert_eq!(issue(&first), issue(&second));
            let policy = policy();
            let newest = |watch: &Watch| watch.newest().map(|(document, _)| document.clone());
            if newest(&first) == newest(&second) {
                prop_assert_eq!(first.state(&policy, Some(2_000)), second.state(&policy, Some(2_000)));
            }
        }
    }
}
