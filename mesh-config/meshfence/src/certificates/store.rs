//! Certificates on disk: what a later run needs to renew them.

use super::authority::{Authority, Identity};
use super::{LocalCertificates, Region};
use policy_doc::PolicySet;
use rcgen::KeyPair;
use serde_json::{Value, json};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

impl LocalCertificates {
    /// All of it as JSON, keys included.
    pub(super) fn to_json(&self) -> String {
        let regions: Vec<Value> = self.regions.iter().map(region).collect();
        json!({ "regions": regions }).to_string()
    }

    /// What [`Self::to_json`] has written for the same regions with the same ids; nothing if it is
    /// anything else.
    pub(super) fn from_json(set: &PolicySet, text: &str) -> Option<Self> {
        let document: Value = serde_json::from_str(text).ok()?;
        let found = document.get("regions")?.as_array()?;
        let fresh = Self::regions_of(set).ok()?;
        if found.len() != fresh.len() {
            return None;
        }
        let pairs = found.iter().zip(fresh);
        let regions = pairs.map(|(found, (name, id, domains))| {
            let matches = found.get("name")? == &json!(name)
                && found.get("id")? == &json!(id)
                && found.get("trustDomains")? == &json!(domains);
            if !matches {
                return None;
            }
            Some(Region {
                current: read_authority(found.get("current")?)?.into(),
                next: read_authority(found.get("next")?)?.into(),
                previous: found.get("previous")?.as_str().map(str::to_owned),
                identity: read_identity(found.get("identity")?)?,
                issued: read_time(found.get("issued")?)?,
                name,
                id,
                domains,
            })
        });
        Some(Self { regions: regions.collect::<Option<_>>()? })
    }
}

fn region(region: &Region) -> Value {
    json!({
        "name": region.name,
        "id": region.id,
        "trustDomains": region.domains,
        "current": authority(&region.current),
        "next": authority(&region.next),
        "previous": region.previous,
        "identity": {"certificate": region.identity.certificate, "key": region.identity.key},
        "issued": seconds(region.issued),
    })
}

fn authority(authority: &Authority) -> Value {
    json!({
        "certificate": authority.certificate,
        "key": authority.key.serialize_pem(),
        "made": seconds(authority.made),
    })
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn read_authority(value: &Value) -> Option<Authority> {
    Some(Authority {
        key: KeyPair::from_pem(value.get("key")?.as_str()?).ok()?,
        certificate: value.get("certificate")?.as_str()?.to_owned(),
        made: read_time(value.get("made")?)?,
    })
}

fn read_identity(value: &Value) -> Option<Identity> {
    let text = |key: &str| value.get(key)?.as_str().map(str::to_owned);
    Some(Identity { certificate: text("certificate")?, key: text("key")? })
}

fn read_time(value: &Value) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::from_secs(value.as_u64()?))
}
