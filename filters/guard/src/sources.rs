//! Whom a request is about: asks the sources that a policy names, in their order.
//!
//! Nothing that a client can make up counts: claims are those that the proxy verified, sessions and
//! maps are signed by a key of ours, and an API key is known by its hash.

use crate::facts::Facts;
use crate::header::SESSION;
use crate::host::{Headers, Host, HostFault};
use crate::issue;
use crate::keyring::{Key, KeyRing, latest_expiry_s};
use crate::metric::Metric;
use crate::signature::Signed;
use crate::trust::{self, Sender};
use core::net::IpAddr;
use policy_core::wire::PolicyBody;
use policy_core::{
    BasisSet, Caller, ClaimPlace, Countries, Country, Evidence, Identity, Policy, PrincipalKind,
    Pseudonym, ResidencySource, Role, SubjectSource, Tenant, TenantMap,
};
use residency::{Answer, Gathered, Refusal, Session, Told};
use sha2::{Digest as _, Sha256};

/// Where Envoy's `jwt_authn` keeps verified payloads.
const VERIFIED_CLAIMS: [&str; 3] = ["metadata", "filter_metadata", "envoy.filters.http.jwt_authn"];

/// A longer API key is nobody's.
const API_KEY_LEN_MAX: usize = 256;

/// What a guard has beside its policy to judge sources by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Means<'g> {
    pub(crate) keys: &'g KeyRing,
    /// Whether each map of the policy is what its signature says: see [`sound_maps`].
    pub(crate) sound_maps: &'g [bool],
    /// Whether what is worth counting is counted.
    pub(crate) is_counted: bool,
}

/// A request as sources see it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shown<'a> {
    pub(crate) facts: &'a Facts<'a>,
    pub(crate) headers: &'a Headers,
    pub(crate) sender: Sender,
    /// What was signed of what it says.
    pub(crate) signed: Signed<'a>,
}

/// What is known of a caller before any source is asked.
#[derive(Debug, Clone, Copy)]
enum Beforehand {
    /// Nothing.
    Nothing,
    /// What a guard said that is believed; it has judged the same request.
    Said(Caller),
    /// What a guard signed for a workload; it has judged the request that made this one.
    Signed(Caller),
}

/// What a decision may ask for, each once.
pub(crate) struct Asked<'a, H> {
    facts: &'a Facts<'a>,
    headers: &'a Headers,
    means: Means<'a>,
    host: &'a mut H,
    beforehand: Beforehand,
    /// Who sent the request, once that was asked.
    caller: Option<Caller>,
    /// What the clock said, once it was asked.
    #[expect(clippy::option_option, reason = "not asked, unreadable, and there")]
    time: Option<Option<u64>>,
    /// The same of the clock that never steps.
    #[expect(clippy::option_option, reason = "not asked, unreadable, and there")]
    monotonic_us: Option<Option<u64>>,
}

impl<'a, H: Host> Asked<'a, H> {
    /// What a request offers, to be read as this policy has it.
    pub(crate) fn new(
        policy: &Policy,
        shown: Shown<'a>,
        means: Means<'a>,
        host: &'a mut H,
    ) -> Self {
        let Shown { facts, headers, sender, signed } = shown;
        let parse = |subject: &[u8]| trust::parse_subject(policy, subject);
        let beforehand = if sender.is_trusted() {
            let said = facts.claimed.subject.and_then(parse);
            Beforehand::Said(said.unwrap_or(Caller::Anonymous))
        } else {
            signed.subject.and_then(parse).map_or(Beforehand::Nothing, Beforehand::Signed)
        };
        Self {
            facts,
            headers,
            means,
            host,
            beforehand,
            caller: None,
            time: None,
            monotonic_us: None,
        }
    }

    /// Whom the request is about as far as that is known by now, for the next guard.
    pub(crate) fn known(&self) -> Option<Caller> {
        match (self.caller, self.beforehand) {
            (Some(caller), _) | (None, Beforehand::Said(caller) | Beforehand::Signed(caller)) => {
                Some(caller)
            }
            (None, Beforehand::Nothing) => None,
        }
    }

    /// What stands for whoever sent the request, as far as verified credentials tell.
    pub(crate) fn pseudonym(&mut self, policy: &Policy) -> Option<Pseudonym> {
        let caller = match self.known() {
            None if self.facts.has_credentials => self.caller(policy, None),
            known => known?,
        };
        match caller {
            Caller::Known(identity) => identity.pseudonym,
            Caller::Anonymous | Caller::Unreadable | Caller::Refused => None,
        }
    }

    /// A clock that never steps, in microseconds, read once.
    pub(crate) fn monotonic_us(&mut self) -> Option<u64> {
        *self.monotonic_us.get_or_insert_with(|| self.host.monotonic_us())
    }

    /// The address of the client as the proxy has it.
    pub(crate) fn client_address(&mut self) -> Option<IpAddr> {
        let address = self.host.property(&["source", "address"]).ok()??;
        parse_address(&address)
    }

    fn ask(&mut self, policy: &Policy, resource: Option<&[u8]>) -> Caller {
        match self.beforehand {
            Beforehand::Nothing => {}
            Beforehand::Signed(Caller::Known(identity)) => {
                return Caller::Known(self.about_now(policy, identity, resource));
            }
            Beforehand::Said(caller) | Beforehand::Signed(caller) => return caller,
        }
        match self.gather(policy, resource) {
            Ok(caller) => {
                if let Caller::Known(identity) = &caller
                    && identity.countries.is_conflict()
                {
                    self.count(Metric::SubjectConflict);
                }
                caller
            }
            Err(Broken::Host) => Caller::Unreadable,
            Err(Broken::Credentials) => Caller::Refused,
        }
    }

    /// Whom a request is about that a workload sends for a caller who acts for others: not whom the
    /// path named by which that caller came.
    fn about_now(&self, policy: &Policy, identity: Identity, resource: Option<&[u8]>) -> Identity {
        if identity.kind == PrincipalKind::Customer {
            return identity;
        }
        let country = self.owner(policy, resource);
        Identity {
            countries: country.map_or(Countries::NONE, Countries::of),
            source: country.map(|_| ResidencySource::Resource),
            ..identity
        }
    }

    fn gather(&mut self, policy: &Policy, resource: Option<&[u8]>) -> Result<Caller, Broken> {
        let mut gathered = Gathered::default();
        for source in policy.subject_sources() {
            match source {
                SubjectSource::JwtClaim(source) => {
                    if !self.facts.has_credentials {
                        continue;
                    }
                    let issuer = &source.place.issuer;
                    let answer = residency::claimed(source, |name| self.read(issuer, name))?;
                    let Some(answer) = answer else { continue };
                    gathered.add(ResidencySource::JwtClaim, answer);
                    if let Some(key) = self.means.keys.first()
                        && !gathered.is_called()
                        && let Some(sub) = self.read(issuer, "sub")?
                    {
                        gathered.call(issue::pseudonym(&sub, key.secret()));
                    }
                }
                SubjectSource::Session { max_age_s } => {
                    let Some(session) = self.session(*max_age_s)? else { continue };
                    gathered.add(ResidencySource::Session, session.answer());
                    gathered.call(Some(session.pseudonym));
                }
                SubjectSource::TenantMap(number) => {
                    let Some(map) = self.map(policy, *number) else { continue };
                    let Some(tenant) = self.tenant(map)? else { continue };
                    let country = Told::Country(tenant.country);
                    gathered.add(ResidencySource::Tenant, Answer { kind: tenant.kind, country });
                    if let (Some(key), Some(name)) = (self.means.keys.first(), &tenant.name) {
                        gathered.call(issue::tenant_pseudonym(&map.name, name, key.secret()));
                    }
                }
                // Asked below, once it is known whether the caller acts for others.
                SubjectSource::Resource(_) => {}
            }
        }
        gathered.grant(self.granted(policy)?);
        if gathered.acts_for_others()
            && let Some(country) = self.owner(policy, resource)
        {
            gathered.about(country);
        }
        Ok(gathered.caller())
    }

    fn count(&mut self, metric: Metric) {
        if self.means.is_counted {
            self.host.count(metric);
        }
    }

    /// The transfer bases that the caller's claims grant.
    fn granted(&mut self, policy: &Policy) -> Result<BasisSet, HostFault> {
        let mut granted = BasisSet::EMPTY;
        if !self.facts.has_credentials {
            return Ok(granted);
        }
        for (number, basis) in policy.granted_bases().iter().enumerate() {
            if self.claim(&basis.place)?.as_deref() == Some(basis.value.as_bytes()) {
                granted = granted.with(number);
            }
        }
        Ok(granted)
    }

    /// A claim of a verified payload.
    fn read(&mut self, issuer: &str, claim: &str) -> Result<Option<Vec<u8>>, HostFault> {
        let [metadata, filter_metadata, filter] = VERIFIED_CLAIMS;
        self.host.property(&[metadata, filter_metadata, filter, issuer, claim])
    }

    /// The session that the request comes with. One that is there and not to be believed ends it: to
    /// pass it over would be to guess who its sender is.
    fn session(&mut self, max_age_s: u64) -> Result<Option<Session<'a>>, Broken> {
        let value = match one(self.headers, SESSION) {
            One::Absent => return Ok(None),
            One::Several => Err(Refusal::Repeated),
            One::Value(value) => Ok(value),
        };
        let now_s = self.unix_s();
        let believed = value.and_then(|value| believe(value, self.means.keys, now_s, max_age_s));
        believed.map(Some).map_err(|why| {
            self.count(Metric::SessionRefused(why));
            Broken::Credentials
        })
    }

    /// The tenant that the caller proves to be.
    fn tenant<'m>(&mut self, map: &'m TenantMap) -> Result<Option<&'m Tenant>, Broken> {
        if map.has_api_keys() {
            match one(self.headers, &map.api_key_header) {
                One::Several => return Err(Broken::Credentials),
                One::Value(key) if key.len() <= API_KEY_LEN_MAX => {
                    let found = map.with_api_key(&Sha256::digest(key).into());
                    if found.is_some() {
                        return Ok(found);
                    }
                }
                One::Value(_) | One::Absent => {}
            }
        }
        if !self.facts.has_credentials {
            return Ok(None);
        }
        for (number, place) in map.claims() {
            let value = self.claim(place)?;
            let found = value.and_then(|value| map.with_claim(number, &value));
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// A claim of this issuer, if the token is one of theirs.
    fn claim(&mut self, place: &ClaimPlace) -> Result<Option<Vec<u8>>, HostFault> {
        if let Some(iss) = &place.iss
            && self.read(&place.issuer, "iss")?.as_deref() != Some(iss.as_bytes())
        {
            return Ok(None);
        }
        self.read(&place.issuer, &place.claim)
    }

    /// Where whoever the path names resides.
    fn owner(&self, policy: &Policy, resource: Option<&[u8]>) -> Option<Country> {
        let number = policy.subject_sources().iter().find_map(|source| match source {
            SubjectSource::Resource(number) => Some(*number),
            _ => None,
        })?;
        let map = self.map(policy, number)?;
        let id = resource?;
        let owner = map.named(id).or_else(|| {
            map.mac_keys().find_map(|name| {
                let key = self.means.keys.find(name)?;
                map.person(name, &issue::short_name_mac(&map.name, id, key.secret())?)
            })
        });
        owner.map(|owner| owner.country)
    }

    /// A map that is what it should be.
    fn map<'p>(&self, policy: &'p Policy, number: usize) -> Option<&'p TenantMap> {
        let is_sound = self.means.sound_maps.get(number).copied().unwrap_or(false);
        policy.tenant_maps().get(number).filter(|_| is_sound)
    }
}

impl<H: Host> Evidence for Asked<'_, H> {
    fn caller(&mut self, policy: &Policy, resource: Option<&[u8]>) -> Caller {
        if let Some(caller) = self.caller {
            return caller;
        }
        let caller = self.ask(policy, resource);
        self.caller = Some(caller);
        caller
    }

    fn unix_s(&mut self) -> Option<u64> {
        *self.time.get_or_insert_with(|| self.host.unix_ms().map(|ms| ms / 1_000))
    }

    fn monotonic_ms(&mut self) -> Option<u64> {
        self.monotonic_us().map(|us| us / 1_000)
    }
}

/// Why nobody can tell who a caller is.
enum Broken {
    /// The proxy did not say.
    Host,
    /// Credentials are there and prove nothing.
    Credentials,
}

impl From<HostFault> for Broken {
    fn from(_: HostFault) -> Self {
        Self::Host
    }
}

/// A session, if it is to be believed now.
fn believe<'h>(
    value: &'h [u8],
    keys: &KeyRing,
    now_s: Option<u64>,
    max_age_s: u64,
) -> Result<Session<'h>, Refusal> {
    let (session, signed, mac) = Session::parse(value).ok_or(Refusal::Malformed)?;
    let key = keys.find(session.key).ok_or(Refusal::UnknownKey)?;
    if !issue::is_session_mac(signed, key.secret(), &mac) {
        return Err(Refusal::Forged);
    }
    let now_s = now_s.ok_or(Refusal::NoClock)?;
    if session.expiry_s <= now_s {
        Err(Refusal::Expired)
    } else if session.expiry_s > latest_expiry_s(now_s, max_age_s) {
        Err(Refusal::TooLong)
    } else {
        Ok(session)
    }
}

/// A header that decides something.
enum One<'h> {
    Absent,
    Value(&'h [u8]),
    /// It came more than once.
    Several,
}

fn one<'h>(headers: &'h Headers, name: &str) -> One<'h> {
    let mut found = headers.iter().filter(|(known, _)| *known == name.as_bytes());
    match (found.next(), found.next()) {
        (None, _) => One::Absent,
        (Some((_, value)), None) => One::Value(value),
        (Some(_), Some(_)) => One::Several,
    }
}

/// Where somebody before the edge says that the client sits. It is believed nowhere else, and
/// nothing is allowed for it.
pub(crate) fn client_country(policy: &Policy, headers: &Headers) -> Option<Country> {
    let name = policy.client_country().filter(|_| policy.role() == Role::Edge)?;
    match one(headers, name) {
        One::Value(value) => Country::parse(value),
        One::Absent | One::Several => None,
    }
}

/// The headers with which a client proves who it is to us alone. Another region is told what they
/// say and never gets them.
pub(crate) fn own_credentials<'p>(
    policy: &'p Policy,
    headers: &Headers,
) -> impl Iterator<Item = &'p str> {
    let names = policy.subject_sources().iter().filter_map(|source| match source {
        SubjectSource::Session { .. } => Some(SESSION),
        SubjectSource::TenantMap(number) => {
            policy.tenant_maps().get(*number).map(|map| &*map.api_key_header)
        }
        SubjectSource::JwtClaim(_) | SubjectSource::Resource(_) => None,
    });
    names.filter(|name| !matches!(one(headers, name), One::Absent))
}

/// Whether each map of a policy is what its signature says. Without a signature there is nothing to
/// be wrong; where a source needs one, a policy without it does not compile.
pub(crate) fn sound_maps(body: &PolicyBody, keys: &KeyRing) -> Box<[bool]> {
    let maps = body.residency.tenant_maps.iter();
    maps.map(|map| {
        map.signature.as_deref().is_none_or(|signature| {
            let key = signature.split_once(':').and_then(|(key, _)| keys.find(key));
            key.map(Key::secret).is_some_and(|secret| issue::is_map_signature(map, secret))
        })
    })
    .collect()
}

/// The address of a client as the proxy writes it: with a port, and brackets around IPv6.
fn parse_address(text: &[u8]) -> Option<IpAddr> {
    let text = core::str::from_utf8(text).ok()?;
    let (address, _) = text.rsplit_once(':')?;
    let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    bare.unwrap_or(address).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_the_proxy_writes_them() {
        for (text, address) in [
            ("203.0.113.7:4711", Some("203.0.113.7")),
            ("[2001:db8::7]:4711", Some("2001:db8::7")),
            ("203.0.113.7", None),
            ("/tmp/socket", None),
            ("@/a:b", None),
            ("", None),
        ] {
            let address = address.map(|address| address.parse().unwrap());
            assert_eq!(parse_address(text.as_bytes()), address, "{text}");
        }
    }
}
