//! The keys of a mesh on this machine: what its proxies sign with, and what is signed for them.
//!
//! A secret that the environment of the command has is taken from there, as a proxy would; others
//! are made up, and what was signed with the real ones is signed anew.

use crate::exit::Failure;
use guard::header::SESSION;
use guard::issue::{self, Session};
use policy_core::wire;
use policy_doc::{OwnCredentials, PolicySet, TestSession};
use std::time::{SystemTime, UNIX_EPOCH};

/// Stands for a secret in a mesh that exists in one process only; its length is that of a real one.
const MADE_UP: &str = "the secret of a mesh that exists in one process only";
/// That of somebody who has no key of the mesh.
const OF_ANOTHER: &str = "the secret of somebody who has no key of the mesh";

/// The keys of a mesh.
#[derive(Debug, Clone)]
pub(crate) struct LocalKeys(Vec<LocalKey>);

#[derive(Clone)]
struct LocalKey {
    id: String,
    env: String,
    secret: String,
    is_given: bool,
}

impl std::fmt::Debug for LocalKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LocalKey({})", self.id)
    }
}

impl LocalKeys {
    /// The keys that a policy set names; `make` makes up a secret.
    ///
    /// # Errors
    /// That of `make`.
    pub(crate) fn new(
        set: &PolicySet,
        mut make: impl FnMut() -> Result<String, Failure>,
    ) -> Result<Self, Failure> {
        let keys = set.body.hmac.iter().flat_map(|hmac| &hmac.keys);
        let keys = keys.map(|key| {
            let given = std::env::var(&key.env).ok();
            let given = given.filter(|secret| secret.len() >= issue::SECRET_LEN_MIN);
            Ok(LocalKey {
                id: key.id.clone(),
                env: key.env.clone(),
                is_given: given.is_some(),
                secret: match given {
                    Some(secret) => secret,
                    None => make()?,
                },
            })
        });
        keys.collect::<Result<_, _>>().map(Self)
    }

    /// Those of a mesh that exists in this process only.
    pub(crate) fn made_up(set: &PolicySet) -> Self {
        let mut number = 0_u32;
        let keys = Self::new(set, || {
            number = number.saturating_add(1);
            Ok(if number > 1 { format!("{MADE_UP}, {number}") } else { MADE_UP.to_owned() })
        });
        keys.unwrap_or_else(|_| Self(Vec::new()))
    }

    /// The variables of a proxy's environment.
    pub(crate) fn variables(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|key| (key.env.as_str(), key.secret.as_str()))
    }

    /// The set with its tenant maps signed by these keys. What has been signed with a key that was
    /// given is as it will be.
    pub(crate) fn sign_maps(&self, set: &PolicySet) -> PolicySet {
        set.with_signed_maps(|map, id| {
            let key = self.0.iter().find(|key| key.id == id && !key.is_given)?;
            issue::map_signature(map, id, key.secret.as_bytes())
        })
    }

    /// The headers that a caller is known by to the mesh alone.
    pub(crate) fn headers(&self, set: &PolicySet, own: &OwnCredentials) -> Vec<(String, String)> {
        let residency = &set.body.residency;
        let mut headers = Vec::new();
        let session = own.session.as_ref().and_then(|session| self.session(session));
        headers.extend(session.map(|session| (SESSION.to_owned(), session)));
        let map = residency.subject_sources.iter().find_map(|source| match source {
            wire::SubjectSource::TenantMap(source) => Some(&source.map),
            _ => None,
        });
        let map = residency.tenant_maps.iter().find(|known| Some(&known.name) == map);
        let name = map.map_or("x-api-key", |map| map.api_key_header.as_str());
        headers.extend(own.api_key.iter().map(|key| (name.to_owned(), key.clone())));
        let client = residency.client_country.as_ref();
        let name = client.map_or("x-client-country", |client| client.header.as_str());
        headers.extend(own.client_country.iter().map(|code| (name.to_owned(), code.clone())));
        headers
    }

    /// A session; none if there is no key.
    fn session(&self, session: &TestSession) -> Option<String> {
        let TestSession { sub, country, kind, expires_ms, key } = session;
        let first = self.0.first()?;
        let id = key.as_deref().unwrap_or(&first.id);
        let known = self.0.iter().find(|key| key.id == id);
        let secret = known.map_or(OF_ANOTHER, |key| key.secret.as_str());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let session = Session {
            key: id,
            expiry_s: now.as_secs().saturating_add_signed(expires_ms / 1_000),
            country: *country,
            kind: *kind,
            pseudonym: issue::pseudonym(sub.as_bytes(), first.secret.as_bytes())?,
        };
        issue::session(&session, secret.as_bytes())
    }
}
