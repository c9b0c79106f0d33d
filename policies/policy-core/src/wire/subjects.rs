//! Where it comes from whom a request is about and where that person resides.

use super::PrincipalKind;
use crate::vocabulary;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Something that says where a subject resides. Each says it of what somebody has verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SubjectSource {
    /// A claim of a token.
    JwtClaim(JwtClaim),
    /// The header `meshfence-session`, which a key of ours has signed.
    Session(Session),
    /// A map of tenants, for callers who prove to be one of them.
    TenantMap(TenantSource),
    /// A signed map of whomever a path names, for callers who act for others.
    Resource(Resource),
}

/// A verified claim that names the subject's country.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct JwtClaim {
    /// The issuer's name, under which the proxy keeps the verified payload.
    pub issuer: String,
    /// The claim with the country.
    pub claim: String,
    /// How customers are told from staff and services.
    pub principal_kind: PrincipalKind,
}

/// Sessions that are believed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Session {
    /// One that lasts longer than this from now on is not believed, in seconds.
    pub max_age_s: u32,
}

/// Callers who prove to be a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TenantSource {
    /// The name of the map.
    pub map: String,
}

/// Whom a path names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Resource {
    /// The variable of path templates that names the tenant or person.
    pub variable: String,
    /// The name of the map, which has to be signed.
    pub map: String,
}

/// Tenants and persons, and where they reside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TenantMap {
    /// Its name.
    pub name: String,
    /// The header that carries an API key, in lower case.
    pub api_key_header: String,
    /// The entries.
    pub tenants: Vec<Tenant>,
    /// `<key id>:<64 hexadecimal digits>`: the MAC of everything else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
}

/// A tenant by its name, or a person by a keyed hash of theirs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tenant {
    /// The name of a tenant, which is no personal data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `<key id>:<32 hexadecimal digits>`: the MAC of a person's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name_mac: Option<String>,
    /// Where the tenant or person resides.
    pub country: String,
    /// What a caller who proves to be the tenant is.
    pub principal_kind: vocabulary::PrincipalKind,
    /// SHA-256 of the API keys, 64 lower-case hexadecimal digits each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub api_key_sha256: Vec<String>,
    /// The verified claim that says that a caller is the tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<ClaimValue>,
}

/// A verified claim, and what it has to say: of a caller who is a tenant, or who grants a transfer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClaimValue {
    /// The issuer's name.
    pub issuer: String,
    /// The claim.
    pub claim: String,
    /// What it has to say.
    pub value: String,
}

/// The header in which a proxy or network before the edge says where a client sits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClientCountry {
    /// Its name, in lower case.
    pub header: String,
}

impl TenantMap {
    /// What a signature covers: the map without it, as JSON.
    pub fn signed_content(&self) -> Vec<u8> {
        let unsigned = Self { signature: None, ..self.clone() };
        // Strings always serialise.
        serde_json::to_vec(&unsigned).unwrap_or_default()
    }
}
