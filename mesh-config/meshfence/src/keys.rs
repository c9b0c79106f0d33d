//! The keys of a mesh on this machine: what its proxies sign with, and what is signed for them.
//!
//! A secret that the environment of the command has is taken from there, as a proxy would; others
//! are made up, and what was signed with the real ones is signed anew.

use crate::engine::Sent;
use crate::exit::{Exit, Failure};
use guard::header::{CAUSAL, IF_MATCH, SESSION};
use guard::issue::{self, Session};
use policy_core::{CanonicalPath, wire};
use policy_doc::{OwnCredentials, PolicySet, TestCarried, TestRead, TestSeen, TestSession};
use std::time::{SystemTime, UNIX_EPOCH};
use versions::Stamp;

/// Stands for a secret in a mesh that exists in one process only; its length is that of a real one.
const MADE_UP: &str = "the secret of a mesh that exists in one process only";
/// That of somebody who has no key of the mesh.
const OF_ANOTHER: &str = "the secret of somebody who has no key of the mesh";

/// The secret of a key, by its id and the variable that has it, out of the environment of the command.
///
/// # Errors
/// That it is not there, or too short to be one.
pub(crate) fn secret_of((id, variable): &(String, String)) -> Result<(String, Vec<u8>), Failure> {
    let unusable = |why: &str| {
        Failure::new(Exit::Environment, format!("the variable `{variable}` {why}"))
            .help(format!("it has to hold the secret of `{id}`, as the proxies have it"))
    };
    let secret = std::env::var_os(variable).ok_or_else(|| unusable("is not set"))?;
    let secret = secret.into_encoded_bytes();
    if secret.len() < issue::SECRET_LEN_MIN {
        return Err(unusable(&format!("is shorter than {} bytes", issue::SECRET_LEN_MIN)));
    }
    Ok((id.clone(), secret))
}

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

    /// The headers of a request that are signed, or known to the mesh alone.
    pub(crate) fn headers(&self, set: &PolicySet, request: &Sent) -> Vec<(String, String)> {
        let mut headers = self.own(set, &request.own);
        let TestCarried { read, seen } = &request.carried;
        let tag = read.as_ref().and_then(|read| self.tag(read, request));
        headers.extend(tag.map(|tag| (IF_MATCH.to_owned(), tag)));
        let causal = seen.as_ref().and_then(|seen| self.causal(seen));
        headers.extend(causal.map(|causal| (CAUSAL.to_owned(), causal)));
        headers
    }

    /// The headers that a caller is known by to the mesh alone.
    fn own(&self, set: &PolicySet, own: &OwnCredentials) -> Vec<(String, String)> {
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
        let (id, secret) = self.signing(key.as_deref())?;
        let session = Session {
            key: id,
            expiry_s: from_now_s(*expires_ms),
            country: *country,
            kind: *kind,
            pseudonym: issue::pseudonym(sub.as_bytes(), first.secret.as_bytes())?,
        };
        issue::session(&session, secret.as_bytes())
    }

    /// The tag of what a client has read; none if there is no key.
    fn tag(&self, read: &TestRead, sent: &Sent) -> Option<String> {
        let (key, secret) = self.signing(read.key.as_deref())?;
        let stamp = |text: &String| Stamp::parse(text.as_bytes());
        let others: Option<Vec<Stamp>> = read.others.iter().map(stamp).collect();
        let target = read.path.as_ref().unwrap_or(&sent.path);
        let path = CanonicalPath::parse(target.as_bytes()).ok()?;
        let session = sent.own.session.as_ref().map(|session| &session.sub);
        let own = session.or(sent.token.as_ref().map(|token| &token.sub));
        let sub = read.sub.as_ref().or(own);
        let first = self.0.first()?;
        let subject = sub.and_then(|sub| issue::pseudonym(sub.as_bytes(), first.secret.as_bytes()));
        let read = issue::Read { version: stamp(&read.version)?, others: &others? };
        issue::entity_tag(key, secret.as_bytes(), &read, path.path(), subject)
    }

    /// What a client has seen; none if there is no key.
    fn causal(&self, seen: &TestSeen) -> Option<String> {
        let (key, secret) = self.signing(seen.key.as_deref())?;
        let version = Stamp::parse(seen.version.as_bytes())?;
        issue::causal(key, secret.as_bytes(), version, from_now_s(seen.expires_ms))
    }

    /// The key with this id, or the first one: its id and its secret, or that of somebody else.
    fn signing<'a>(&'a self, id: Option<&'a str>) -> Option<(&'a str, &'a str)> {
        let id = id.unwrap_or(&self.0.first()?.id);
        let known = self.0.iter().find(|key| key.id == id);
        Some((id, known.map_or(OF_ANOTHER, |key| key.secret.as_str())))
    }
}

/// So many milliseconds from now, in seconds since the Unix epoch.
fn from_now_s(ms: i64) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.as_secs().saturating_add_signed(ms / 1_000)
}
