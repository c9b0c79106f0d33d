//! The certificates of a region, as files that Envoy's secret discovery reads again when they are
//! replaced: who the region is, and by whose authority it judges others.

use super::{RenderError, identity, type_url};
use crate::yaml::{Node, comment_line, emit, list, map};
use policy_doc::PolicySet;
use std::collections::{BTreeMap, BTreeSet};

/// The secret with the region's certificate and key.
pub(super) const IDENTITY: &str = "identity";
/// The secret with the authorities of the other regions.
pub(super) const PEERS: &str = "peers";

/// Where the certificates of a region are.
#[derive(Clone, PartialEq, Eq)]
pub enum Certificates {
    /// In files that the operator puts below this directory, as Envoy sees it:
    /// `<region>/certificate.pem` and `<region>/key.pem`, and for each trust domain
    /// `<trust domain>.pem`.
    Files(String),
    /// Here.
    Inline {
        /// The region's certificate and what its issuer adds to it, as PEM.
        certificate: String,
        /// Its private key, as PEM.
        key: String,
        /// The authorities by trust domain, as PEM.
        authorities: BTreeMap<String, String>,
    },
}

impl std::fmt::Debug for Certificates {
    /// Without the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Files(directory) => f.debug_tuple("Files").field(directory).finish(),
            Self::Inline { certificate, authorities, .. } => f
                .debug_struct("Inline")
                .field("certificate", certificate)
                .field("authorities", authorities)
                .finish_non_exhaustive(),
        }
    }
}

/// One file of secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretFile {
    /// Its path below the plan's directory of secrets: `<region>/<name>.yaml`.
    pub path: String,
    /// What it says.
    pub text: String,
    /// It holds a private key.
    pub is_private: bool,
}

impl std::fmt::Debug for SecretFile {
    /// Without what it says.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecretFile").field("path", &self.path).finish_non_exhaustive()
    }
}

/// The files of one region, for [`super::EnvoyPlan::secrets`]. Authorities come first: whoever
/// replaces the files in this order believes a new certificate before anybody shows it.
///
/// # Errors
/// Regions without ids; certificates without the authority of a trust domain.
pub fn secrets(
    set: &PolicySet,
    region: &str,
    certificates: &Certificates,
) -> Result<Vec<SecretFile>, RenderError> {
    identity::check(set)?;
    let id = identity::gateway_id(set, region)?;
    let mut trusted = vec![(PEERS.to_owned(), identity::peer_domains(set, region)?)];
    for known in &set.body.regions {
        trusted.push((of_region(&known.name), identity::trust_domains(set, &known.name)?));
    }
    let is_inline = matches!(certificates, Certificates::Inline { .. });
    let mut files = Vec::new();
    for (name, domains) in trusted {
        // A single region has nobody to trust, and no listener that asks for it.
        if !domains.is_empty() {
            let note = if is_inline { "" } else { NOTE_AUTHORITIES };
            let text = emit(&resource(&name, validation(&domains, certificates)?));
            let path = path(region, &name);
            files.push(SecretFile { path, text: format!("{note}{text}"), is_private: false });
        }
    }
    let who = comment_line(&format!("Who {region} is: {id}"));
    let note = if is_inline { "" } else { NOTE_IDENTITY };
    let text = emit(&resource(IDENTITY, tls_certificate(region, certificates)));
    files.push(SecretFile {
        path: path(region, IDENTITY),
        text: format!("{who}{note}{text}"),
        is_private: is_inline,
    });
    Ok(files)
}

/// What to put where.
const NOTE_IDENTITY: &str = "\
# Put the region's certificate and key where this file says. The certificate has exactly one URI,
# the id above; it is shown to clients and to servers. To renew it, move a new key and then a new
# certificate into the directory: Envoy reads both again, without a restart.
";
const NOTE_AUTHORITIES: &str = "\
# Put the authorities of each trust domain, as PEM, where this file says: those and no others vouch
# for ids of that domain. To go over to a new authority without a restart, move a file into the place
# of this one that names another file, with the old authority and the new one. Rendering again writes
# this file anew.
";

fn tls_certificate(region: &str, certificates: &Certificates) -> (&'static str, Node) {
    let node = match certificates {
        Certificates::Files(root) => {
            let directory = directory(root, region);
            map! {
                "certificate_chain" => map! { "filename" => format!("{directory}/certificate.pem") },
                "private_key" => map! { "filename" => format!("{directory}/key.pem") },
                "watched_directory" => map! { "path" => directory },
            }
        }
        Certificates::Inline { certificate, key, .. } => map! {
            "certificate_chain" => inline(certificate),
            "private_key" => inline(key),
        },
    };
    ("tls_certificate", node)
}

fn validation(
    domains: &BTreeSet<&str>,
    certificates: &Certificates,
) -> Result<(&'static str, Node), RenderError> {
    let domains = domains.iter().map(|domain| {
        let bundle = match certificates {
            Certificates::Files(root) => map! { "filename" => format!("{root}/{domain}.pem") },
            Certificates::Inline { authorities, .. } => {
                let missing = || RenderError::AuthorityMissing { domain: (*domain).to_owned() };
                inline(authorities.get(*domain).ok_or_else(missing)?)
            }
        };
        Ok(map! { "name" => *domain, "trust_bundle" => bundle })
    });
    let domains = domains.collect::<Result<Vec<_>, RenderError>>()?;
    let validator = map! {
        "name" => "envoy.tls.cert_validator.spiffe",
        "typed_config" => map! {
            "@type" => type_url(
                "envoy.extensions.transport_sockets.tls.v3.SPIFFECertValidatorConfig",
            ),
            "trust_domains" => domains,
        },
    };
    Ok(("validation_context", map! { "custom_validator_config" => validator }))
}

fn inline(pem: &str) -> Node {
    map! { "inline_string" => Node::Lines(pem.trim_end().to_owned()) }
}

fn resource(name: &str, (kind, secret): (&str, Node)) -> Node {
    map! {
        "resources" => list![map! {
            "@type" => type_url("envoy.extensions.transport_sockets.tls.v3.Secret"),
            "name" => name,
            kind => secret,
        }],
    }
}

/// The secret with the authorities of one region.
pub(super) fn of_region(region: &str) -> String {
    format!("region-{region}")
}

/// The file of a secret, below the directory of its region.
pub(super) fn file(secret: &str) -> String {
    format!("{secret}.yaml")
}

/// The directory of a region's secrets.
pub(super) fn directory(root: &str, region: &str) -> String {
    format!("{root}/{region}")
}

fn path(region: &str, secret: &str) -> String {
    format!("{region}/{}", file(secret))
}
