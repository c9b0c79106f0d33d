//! One authority and what it vouches for.

use crate::exit::{Exit, Failure};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use std::fmt;
use std::time::{Duration, SystemTime};

/// For how long a certificate is valid.
pub(super) const LIFETIME: Duration = Duration::from_hours(24);
/// An authority outlives what it has issued on its last day.
const AUTHORITY_LIFETIME: Duration = Duration::from_hours(48);
/// Clocks of containers and virtual machines are a little off.
const BACKDATED: Duration = Duration::from_mins(5);

/// A certificate and its key, both as PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    /// The certificate.
    pub certificate: String,
    /// Its private key.
    pub key: String,
}

impl fmt::Debug for Identity {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

/// When a certificate is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Validity {
    /// From now on, for a day.
    Usual,
    /// It was, until an hour ago.
    Over,
}

impl Validity {
    fn dates(self, now: SystemTime) -> (SystemTime, SystemTime) {
        let (start, end) = match self {
            Self::Usual => (now.checked_sub(BACKDATED), now.checked_add(LIFETIME)),
            Self::Over => {
                let hour = Duration::from_hours(1);
                (now.checked_sub(LIFETIME), now.checked_sub(hour))
            }
        };
        (start.unwrap_or(now), end.unwrap_or(now))
    }
}

/// An authority: its key and the certificate that everybody has of it.
pub(super) struct Authority {
    pub(super) key: KeyPair,
    pub(super) certificate: String,
    pub(super) made: SystemTime,
}

impl fmt::Debug for Authority {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

impl Authority {
    /// An authority for a region.
    pub(super) fn generate(region: &str, now: SystemTime) -> Result<Self, Failure> {
        let key = KeyPair::generate().map_err(failed)?;
        let mut params = Self::params(region);
        params.not_before = now.checked_sub(BACKDATED).unwrap_or(now).into();
        params.not_after = now.checked_add(AUTHORITY_LIFETIME).unwrap_or(now).into();
        let certificate = params.self_signed(&key).map_err(failed)?.pem();
        Ok(Self { key, certificate, made: now })
    }

    /// Whether what it issues now expires before it does.
    pub(super) fn can_issue(&self, now: SystemTime) -> bool {
        let age = now.duration_since(self.made);
        age.is_ok_and(|age| age.saturating_add(LIFETIME) <= AUTHORITY_LIFETIME)
    }

    /// A certificate with these ids.
    pub(super) fn issue(
        &self,
        region: &str,
        ids: &[&str],
        validity: Validity,
        now: SystemTime,
    ) -> Result<Identity, Failure> {
        let issuer = Issuer::new(Self::params(region), &self.key);
        let key = KeyPair::generate().map_err(failed)?;
        let mut params = leaf(ids, validity, now)?;
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &issuer).map_err(failed)?.pem();
        Ok(Identity { certificate, key: key.serialize_pem() })
    }

    /// What does not change from one authority of a region to the next. (A constraint to the trust
    /// domain is not there: Envoy asks only the authority of the domain that a certificate names,
    /// and some TLS libraries refuse every certificate below a constraint of URIs.)
    fn params(region: &str) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, format!("meshfence local, {region}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params
    }
}

/// A certificate that vouches for itself.
pub(super) fn self_signed(ids: &[&str], now: SystemTime) -> Result<Identity, Failure> {
    let key = KeyPair::generate().map_err(failed)?;
    let certificate = leaf(ids, Validity::Usual, now)?.self_signed(&key).map_err(failed)?.pem();
    Ok(Identity { certificate, key: key.serialize_pem() })
}

fn leaf(ids: &[&str], validity: Validity, now: SystemTime) -> Result<CertificateParams, Failure> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "meshfence local");
    let uris = ids.iter().map(|id| Ok(SanType::URI((*id).try_into().map_err(failed)?)));
    params.subject_alt_names = uris.collect::<Result<_, Failure>>()?;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
    let (start, end) = validity.dates(now);
    (params.not_before, params.not_after) = (start.into(), end.into());
    Ok(params)
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn failed(error: rcgen::Error) -> Failure {
    Failure::new(Exit::Internal, format!("a certificate cannot be made: {error}"))
}
