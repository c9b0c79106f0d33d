//! `meshfence token`: a token that a running `up` accepts, and what a key of the mesh signs.

mod signed;

use crate::cli::Token;
use crate::exit::{Exit, Failure};
use crate::issuer::{self, Issuer};
use crate::local;
use crate::policy_set::{self, Origin};
use crate::terminal;
use policy_doc::{PolicySet, Purpose};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;

pub(crate) fn run(arguments: &Token) -> Result<(), Failure> {
    if let Some(what) = &arguments.signed {
        return signed::run(what);
    }
    let origin = Origin::of(arguments.policy_set.directory.as_deref());
    let set = policy_set::require(origin, Purpose::LocalTry)?;
    let issuer = find_issuer(&set, arguments.issuer.as_deref())?;
    let mut claims = issuer::claims(issuer, &arguments.sub);
    if let Some(country) = &arguments.country {
        let source = set.country_claim();
        let claim = source.map(|source| source.claim.clone()).ok_or_else(|| {
            Failure::new(Exit::Usage, "the policy set has no claim for a country")
        })?;
        claims.insert(claim, country.as_str().into());
    }
    for claim in &arguments.claims {
        let (name, value) = self::claim(claim)?;
        claims.insert(name, value);
    }
    let key = match &arguments.key {
        Some(key) => key.clone(),
        None => running_key()?,
    };
    let pem = fs::read_to_string(&key).map_err(|error| {
        Failure::new(Exit::Usage, format!("cannot read `{}`: {error}", key.display()))
    })?;
    terminal::print(&Issuer::from_pem(&pem)?.token(claims, arguments.minutes))
}

/// `NAME=VALUE`, the value as JSON if it is any.
pub(crate) fn claim(text: &str) -> Result<(String, Value), Failure> {
    let Some((name, value)) = text.split_once('=') else {
        let message = format!("`{text}` is not of the form NAME=VALUE");
        return Err(Failure::new(Exit::Usage, message));
    };
    Ok((name.to_owned(), serde_json::from_str(value).unwrap_or_else(|_| Value::from(value))))
}

fn find_issuer<'s>(
    set: &'s PolicySet,
    name: Option<&str>,
) -> Result<&'s policy_doc::Issuer, Failure> {
    let issuers = &set.mesh.issuers;
    let source = set.country_claim();
    let Some(wanted) = name.or(source.map(|source| source.issuer.as_str())) else {
        return issuers
            .first()
            .ok_or_else(|| Failure::new(Exit::Usage, "the policy set accepts no tokens"));
    };
    issuers.iter().find(|issuer| issuer.name == wanted).ok_or_else(|| {
        let known: Vec<&str> = issuers.iter().map(|issuer| issuer.name.as_str()).collect();
        Failure::new(Exit::Usage, format!("`{wanted}` is no issuer of the policy set"))
            .suggest(wanted, &known)
    })
}

fn running_key() -> Result<PathBuf, Failure> {
    let mut keys = local::running_keys();
    match (keys.pop(), keys.is_empty()) {
        (Some(key), true) => Ok(key),
        (None, _) => Err(Failure::new(Exit::Environment, "no `meshfence up` is running")
            .help("start one, or pass the key to sign with: --key FILE")),
        (Some(key), false) => {
            keys.push(key);
            let known: Vec<String> = keys.iter().map(|key| key.display().to_string()).collect();
            Err(Failure::new(Exit::Usage, "more than one `meshfence up` is running")
                .help(format!("choose one with --key FILE: {}", known.join(", "))))
        }
    }
}
