//! The token issuer that `up` makes for a run: one ES256 key, its public half as a JWKS, and tokens.

use crate::exit::{Exit, Failure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use p256::elliptic_curve::Generate as _;
use p256::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, LineEnding};
use serde_json::{Map, Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

/// The name of the key file in the directory of a run.
pub(crate) const KEY_FILE: &str = "issuer.pem";

const KEY_ID: &str = "meshfence-up";

/// An issuer of tokens for local use.
pub struct Issuer {
    key: SigningKey,
}

impl std::fmt::Debug for Issuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Issuer")
    }
}

impl Issuer {
    /// An issuer with a fresh key.
    pub fn generate() -> Self {
        Self { key: SigningKey::generate() }
    }

    /// The issuer of this PKCS#8 key.
    ///
    /// # Errors
    /// A text that is no such key.
    pub fn from_pem(pem: &str) -> Result<Self, Failure> {
        let key = SigningKey::from_pkcs8_pem(pem).map_err(|error| {
            Failure::new(Exit::Usage, format!("the key cannot be read: {error}"))
                .help("it has to be a P-256 private key in PKCS#8 PEM form")
        })?;
        Ok(Self { key })
    }

    /// The private key, for the directory of a run.
    pub(crate) fn to_pem(&self) -> Result<String, Failure> {
        let pem = self.key.to_pkcs8_pem(LineEnding::LF);
        pem.map(|pem| pem.to_string()).map_err(|error| {
            Failure::new(Exit::Internal, format!("the key cannot be kept: {error}"))
        })
    }

    /// The public key as a JSON Web Key Set (RFC 7517).
    pub fn jwks(&self) -> String {
        let point = self.key.verifying_key().to_sec1_point(false);
        let coordinate = |bytes: Option<&p256::FieldBytes>| {
            URL_SAFE_NO_PAD.encode(bytes.map(AsRef::<[u8]>::as_ref).unwrap_or_default())
        };
        json!({"keys": [{
            "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": KEY_ID,
            "x": coordinate(point.x()), "y": coordinate(point.y()),
        }]})
        .to_string()
    }

    /// A token with these claims, valid for so many minutes (RFC 7519, ES256).
    pub fn token(&self, claims: Map<String, Value>, minutes: u32) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let mut payload = claims;
        payload.entry("iat").or_insert_with(|| json!(now));
        let expiry = now.saturating_add(u64::from(minutes).saturating_mul(60));
        payload.entry("exp").or_insert_with(|| json!(expiry));
        let header = json!({"alg": "ES256", "typ": "JWT", "kid": KEY_ID}).to_string();
        let signed = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header),
            URL_SAFE_NO_PAD.encode(Value::Object(payload).to_string())
        );
        let signature: Signature = self.key.sign(signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
    }
}

/// The claims of a customer's token from this issuer, before any other.
pub(crate) fn claims(issuer: &policy_doc::Issuer, sub: &str) -> Map<String, Value> {
    let mut claims = Map::new();
    claims.insert("iss".into(), json!(issuer.issuer));
    claims.insert("aud".into(), json!(issuer.audiences.first()));
    claims.insert("sub".into(), json!(sub));
    claims
}
