//! Where it comes from whom a request is about.

use super::compile::fault;
use super::trust::HmacKey;
use crate::country::Country;
use crate::hex::unhex;
use crate::name::HEADER_PREFIX;
use crate::vocabulary::PrincipalKind;
use crate::wire::{self, ConfigFault};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;
use hashbrown::HashMap;

/// There are as many sources as a caller can have countries.
const SOURCES_MAX: usize = crate::Countries::MAX;
const MAPS_MAX: usize = 8;
/// Of all maps together.
const TENANTS_MAX: usize = 10_000;
const KEYS_OF_A_TENANT_MAX: usize = 8;
/// Each claim that tells tenants is read for every caller with a token.
const CLAIMS_MAX: usize = 4;
const NAME_LEN_MAX: usize = 128;
/// How long a session may last at most: 30 days.
const SESSION_MAX_S: u32 = 30 * 86_400;

/// Something that says where a subject resides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubjectSource {
    /// A verified claim.
    JwtClaim(JwtClaim),
    /// A session that a key of ours has signed.
    Session {
        /// One that lasts longer than this from now on is not believed, in seconds.
        max_age_s: u64,
    },
    /// The tenant that a caller proves to be, by the number of the map.
    TenantMap(usize),
    /// Whomever a path names, by the number of the map.
    Resource(usize),
}

/// A verified claim that names the subject's country.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwtClaim {
    /// Where it is.
    pub place: ClaimPlace,
    /// The claim with the kind of principal.
    pub kind_claim: Option<Box<str>>,
    /// The kind of a principal without that claim.
    pub default_kind: Box<str>,
}

/// A claim of an issuer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClaimPlace {
    /// The name under which the proxy keeps the issuer's verified payload.
    pub issuer: Box<str>,
    /// The `iss` claim that the payload has to have, where that name is not the issuer's alone.
    pub iss: Option<Box<str>>,
    /// The claim.
    pub claim: Box<str>,
}

/// A transfer basis that a claim grants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantedBasis {
    /// Its name.
    pub name: Box<str>,
    /// The claim.
    pub place: ClaimPlace,
    /// What it has to say.
    pub value: Box<str>,
}

/// The numbers of tenants, by what each is called.
type Named = HashMap<Box<[u8]>, usize>;
/// The numbers of persons, by the MACs of their ids.
type Persons = HashMap<[u8; 16], usize>;

/// Tenants and persons, each found in one step.
#[derive(Debug, Clone)]
pub struct TenantMap {
    /// Its name.
    pub name: Box<str>,
    /// The header that carries an API key, in lower case.
    pub api_key_header: Box<str>,
    /// Whether a source believes it of resources, for which it has to be signed.
    pub is_signed: bool,
    tenants: Box<[Tenant]>,
    by_name: Named,
    by_mac: Box<[(Box<str>, Persons)]>,
    by_api_key: HashMap<[u8; 32], usize>,
    claims: Box<[(ClaimPlace, Named)]>,
}

/// A tenant or person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// The name of a tenant; a person has none here.
    pub name: Option<Box<str>>,
    /// Where the tenant or person resides.
    pub country: Country,
    /// What a caller who proves to be the tenant is.
    pub kind: PrincipalKind,
}

impl TenantMap {
    /// The tenant with this name.
    pub fn named(&self, name: &[u8]) -> Option<&Tenant> {
        self.tenants.get(*self.by_name.get(name)?)
    }

    /// The ids of the keys that persons are hashed with. There are few.
    pub fn mac_keys(&self) -> impl Iterator<Item = &str> {
        self.by_mac.iter().map(|(key, _)| &**key)
    }

    /// The person whose id this key hashes to this.
    pub fn person(&self, key: &str, mac: &[u8; 16]) -> Option<&Tenant> {
        let (_, persons) = self.by_mac.iter().find(|(known, _)| **known == *key)?;
        self.tenants.get(*persons.get(mac)?)
    }

    /// The tenant with an API key of which this is the SHA-256.
    pub fn with_api_key(&self, sha256: &[u8; 32]) -> Option<&Tenant> {
        self.tenants.get(*self.by_api_key.get(sha256)?)
    }

    /// Whether tenants have API keys.
    pub fn has_api_keys(&self) -> bool {
        !self.by_api_key.is_empty()
    }

    /// The claims that tell tenants, by their numbers. There are few.
    pub fn claims(&self) -> impl Iterator<Item = (usize, &ClaimPlace)> {
        self.claims.iter().map(|(place, _)| place).enumerate()
    }

    /// The tenant of whom the claim with this number says this.
    pub fn with_claim(&self, number: usize, value: &[u8]) -> Option<&Tenant> {
        let (_, tenants) = self.claims.get(number)?;
        self.tenants.get(*tenants.get(value)?)
    }
}

/// What of a policy says whom a request is about.
#[derive(Debug, Clone, Default)]
pub(crate) struct Subjects {
    pub(crate) sources: Box<[SubjectSource]>,
    pub(crate) maps: Box<[TenantMap]>,
    pub(crate) client_country: Option<Box<str>>,
    /// The transfer bases that claims grant, in the order of their numbers.
    pub(crate) bases: Box<[GrantedBasis]>,
    /// The variable of paths that names whom a request is about.
    pub(crate) variable: Option<Box<str>>,
}

const AT_SOURCES: &str = "policy.residency.subjectSources";
const AT_MAPS: &str = "policy.residency.tenantMaps";

impl Subjects {
    pub(crate) fn compile(
        body: &wire::PolicyBody,
        attachment: &wire::Attachment,
    ) -> Result<Self, ConfigFault> {
        let residency = &body.residency;
        let has_keys = body.hmac.is_some();
        let maps = compile_maps(&residency.tenant_maps, body.hmac.as_ref(), attachment)?;
        let mut bases = Vec::new();
        for basis in &residency.transfer_bases {
            let Some(claim) = &basis.claim else { continue };
            bases.push(GrantedBasis {
                name: basis.name.as_str().into(),
                place: place(&claim.issuer, &claim.claim, attachment)?,
                value: claim.value.as_str().into(),
            });
        }
        let mut subjects = Self { maps, bases: bases.into(), ..Self::default() };
        let mut sources: Vec<SubjectSource> = Vec::new();
        for (number, source) in residency.subject_sources.iter().enumerate() {
            let at = format!("{AT_SOURCES}[{number}]");
            if number >= SOURCES_MAX {
                return Err(fault(at, format!("are more than {SOURCES_MAX}")));
            }
            let source = match source {
                wire::SubjectSource::JwtClaim(claim) => {
                    SubjectSource::JwtClaim(compile_claim(claim, attachment)?)
                }
                wire::SubjectSource::Session(_) | wire::SubjectSource::Resource(_) if !has_keys => {
                    return Err(fault(at, "needs keys: `hmac`"));
                }
                wire::SubjectSource::Session(session) => {
                    if session.max_age_s == 0 || session.max_age_s > SESSION_MAX_S {
                        let message = format!("is not between 1 and {SESSION_MAX_S}");
                        return Err(fault(format!("{at}.session.maxAgeS"), message));
                    }
                    SubjectSource::Session { max_age_s: u64::from(session.max_age_s) }
                }
                wire::SubjectSource::TenantMap(tenants) => {
                    let map = subjects.map(&tenants.map, &format!("{at}.tenantMap.map"))?;
                    SubjectSource::TenantMap(map)
                }
                wire::SubjectSource::Resource(resource) => {
                    let map = subjects.map(&resource.map, &format!("{at}.resource.map"))?;
                    let known = residency.tenant_maps.get(map);
                    if known.is_none_or(|map| map.signature.is_none()) {
                        let message = format!("`{}` is not signed", resource.map);
                        return Err(fault(format!("{at}.resource.map"), message));
                    }
                    subjects.variable = Some(resource.variable.as_str().into());
                    SubjectSource::Resource(map)
                }
            };
            if sources.iter().any(|known| is_same(known, &source)) {
                return Err(fault(at, "stands twice"));
            }
            sources.push(source);
        }
        subjects.sources = sources.into();
        if let Some(client) = &residency.client_country {
            if !is_client_header(&client.header) {
                let at = "policy.residency.clientCountry.header";
                return Err(fault(at, format!("`{}` is no header for it", client.header)));
            }
            subjects.client_country = Some(client.header.as_str().into());
        }
        Ok(subjects)
    }

    fn map(&self, name: &str, at: &str) -> Result<usize, ConfigFault> {
        let found = self.maps.iter().position(|map| *map.name == *name);
        found.ok_or_else(|| fault(at, format!("`{name}` is no tenant map")))
    }

    /// Whether there is any source that says who a caller is.
    pub(crate) fn knows_callers(&self) -> bool {
        self.sources.iter().any(|source| !matches!(source, SubjectSource::Resource(_)))
    }
}

/// There is one source of each kind, but for claims: there one of each issuer.
fn is_same(one: &SubjectSource, other: &SubjectSource) -> bool {
    match (one, other) {
        (SubjectSource::JwtClaim(one), SubjectSource::JwtClaim(other)) => {
            one.place.issuer == other.place.issuer && one.place.iss == other.place.iss
        }
        _ => core::mem::discriminant(one) == core::mem::discriminant(other),
    }
}

/// Whether a policy may name a header that says something of a client: none of those that decide
/// something else, and none that only the mesh may set.
pub fn is_client_header(name: &str) -> bool {
    const OTHERS: [&str; 8] = [
        "authorization",
        "content-type",
        "cookie",
        "grpc-timeout",
        "host",
        "idempotency-key",
        "meshfence-session",
        "upgrade",
    ];
    let is_name = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=64).contains(&name.len())
        && name.bytes().all(is_name)
        && !name.starts_with(HEADER_PREFIX)
        && !name.starts_with("x-envoy-")
        && !OTHERS.contains(&name)
}

fn compile_claim(
    claim: &wire::JwtClaim,
    attachment: &wire::Attachment,
) -> Result<JwtClaim, ConfigFault> {
    Ok(JwtClaim {
        place: place(&claim.issuer, &claim.claim, attachment)?,
        kind_claim: claim.principal_kind.claim.as_deref().map(Into::into),
        default_kind: claim.principal_kind.default.as_str().into(),
    })
}

/// Where the proxy keeps a claim of an issuer.
fn place(
    issuer: &str,
    claim: &str,
    attachment: &wire::Attachment,
) -> Result<ClaimPlace, ConfigFault> {
    let (key, iss) = match &attachment.claims {
        None => (issuer, None),
        Some(claims) => match claims.issuers.get(issuer) {
            Some(iss) if !iss.is_empty() && !claims.key.is_empty() => {
                (claims.key.as_str(), Some(iss.as_str().into()))
            }
            // Any issuer's token would say where a subject resides.
            _ => {
                let message = format!("do not say how to tell those of `{issuer}`");
                return Err(fault("attachment.claims", message));
            }
        },
    };
    Ok(ClaimPlace { issuer: key.into(), iss, claim: claim.into() })
}

fn compile_maps(
    maps: &[wire::TenantMap],
    hmac: Option<&wire::Hmac>,
    attachment: &wire::Attachment,
) -> Result<Box<[TenantMap]>, ConfigFault> {
    let mut compiled: Vec<TenantMap> = Vec::new();
    let mut left = TENANTS_MAX;
    let keys = hmac.map(|hmac| hmac.keys.as_slice()).unwrap_or_default();
    let is_key = |id: &str| keys.iter().any(|key| key.id == id);
    for (number, map) in maps.iter().enumerate() {
        let at = format!("{AT_MAPS}[{number}]");
        if number >= MAPS_MAX {
            return Err(fault(at, format!("are more than {MAPS_MAX}")));
        }
        left = left.checked_sub(map.tenants.len()).ok_or_else(|| {
            fault(format!("{at}.tenants"), format!("are more than {TENANTS_MAX} of all maps"))
        })?;
        if compiled.iter().any(|known| *known.name == *map.name) {
            return Err(fault(format!("{at}.name"), format!("`{}` stands twice", map.name)));
        }
        compiled.push(compile_map(map, &at, is_key, attachment)?);
    }
    Ok(compiled.into())
}

fn compile_map(
    map: &wire::TenantMap,
    at: &str,
    is_key: impl Fn(&str) -> bool,
    attachment: &wire::Attachment,
) -> Result<TenantMap, ConfigFault> {
    if !is_client_header(&map.api_key_header) {
        let message = format!("`{}` is no header for it", map.api_key_header);
        return Err(fault(format!("{at}.apiKeyHeader"), message));
    }
    if let Some(signature) = &map.signature {
        let fault = |message| fault(format!("{at}.signature"), message);
        match parse_mac::<32>(signature) {
            None => {
                return Err(fault("is not of the form <key id>:<64 hexadecimal digits>".into()));
            }
            Some((key, _)) if !is_key(key) => return Err(fault(format!("`{key}` is no key"))),
            Some(_) => {}
        }
    }
    let mut by_name = HashMap::new();
    let mut by_api_key = HashMap::new();
    let mut by_mac: BTreeMap<Box<str>, Persons> = BTreeMap::new();
    let mut claims: BTreeMap<ClaimPlace, Named> = BTreeMap::new();
    let mut tenants = Vec::new();
    for (number, tenant) in map.tenants.iter().enumerate() {
        let at = |key: &str| format!("{at}.tenants[{number}].{key}");
        let twice = |key: &str| Err(fault(at(key), "stands twice"));
        let country = Country::parse(tenant.country.as_bytes()).ok_or_else(|| {
            fault(at("country"), format!("`{}` is no ISO 3166 country code", tenant.country))
        })?;
        match (&tenant.name, &tenant.name_mac) {
            (Some(name), None) => {
                if !is_tenant_name(name) {
                    return Err(fault(at("name"), "is no segment of a path in its canonical form"));
                }
                if by_name.insert(name.as_bytes().into(), number).is_some() {
                    return twice("name");
                }
            }
            (None, Some(text)) => {
                let (key, mac) = parse_mac::<16>(text).ok_or_else(|| {
                    let form = "is not of the form <key id>:<32 hexadecimal digits>";
                    fault(at("nameMac"), form)
                })?;
                if !is_key(key) {
                    return Err(fault(at("nameMac"), format!("`{key}` is no key")));
                }
                if by_mac.entry(key.into()).or_default().insert(mac, number).is_some() {
                    return twice("nameMac");
                }
            }
            _ => return Err(fault(at("name"), "or `nameMac`, one of them has to be there")),
        }
        if tenant.principal_kind == PrincipalKind::Anonymous {
            return Err(fault(at("principalKind"), "`anonymous` is nobody who proves anything"));
        }
        if tenant.api_key_sha256.len() > KEYS_OF_A_TENANT_MAX {
            return Err(fault(at("apiKeySha256"), format!("are more than {KEYS_OF_A_TENANT_MAX}")));
        }
        for hash in &tenant.api_key_sha256 {
            let hash = unhex::<32>(hash.as_bytes())
                .ok_or_else(|| fault(at("apiKeySha256"), "is not 64 hexadecimal digits"))?;
            if by_api_key.insert(hash, number).is_some() {
                return twice("apiKeySha256");
            }
        }
        if let Some(claim) = &tenant.claim {
            let place = place(&claim.issuer, &claim.claim, attachment)?;
            let told = claims.entry(place).or_default();
            if told.insert(claim.value.as_bytes().into(), number).is_some() {
                return twice("claim");
            }
        }
        tenants.push(Tenant {
            name: tenant.name.as_deref().map(Into::into),
            country,
            kind: tenant.principal_kind,
        });
    }
    if claims.len() > CLAIMS_MAX {
        let message = format!("are told by more than {CLAIMS_MAX} different claims");
        return Err(fault(format!("{at}.tenants"), message));
    }
    Ok(TenantMap {
        name: map.name.as_str().into(),
        api_key_header: map.api_key_header.as_str().into(),
        is_signed: map.signature.is_some(),
        tenants: tenants.into(),
        by_name,
        by_mac: by_mac.into_iter().collect(),
        by_api_key,
        claims: claims.into_iter().collect(),
    })
}

/// Whether a segment of a canonical path can be this.
fn is_tenant_name(name: &str) -> bool {
    (1..=NAME_LEN_MAX).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b))
        && name != "."
        && name != ".."
}

/// Reads `<key id>:<hexadecimal digits>`.
fn parse_mac<const N: usize>(text: &str) -> Option<(&str, [u8; N])> {
    let (key, mac) = text.split_once(':')?;
    HmacKey::is_id(key).then_some(())?;
    Some((key, unhex(mac.as_bytes())?))
}
