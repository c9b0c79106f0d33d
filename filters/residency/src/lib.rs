//! Who a request is about, and what of a response about them is redacted.
//!
//! A caller is read from verified claims.
//! A claim counts only as the proxy verified it; what a header says counts for nothing. A claim
//! that is not exactly one country code says nothing.
#![forbid(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

mod redact;

pub use redact::{Impossible, Redacted, Redactor, Rules};

use policy_core::{Caller, Country, Identity, PrincipalKind, SubjectSource};

/// The caller of a request. `claim` reads a verified claim of the source's issuer, in the form of
/// the proxy: text as it is, anything else as bytes that are no text a policy names.
///
/// # Errors
/// That of `claim`: a claim that was not read is not taken for one that is not there.
pub fn caller<E>(
    source: &SubjectSource,
    mut claim: impl FnMut(&str) -> Result<Option<Vec<u8>>, E>,
) -> Result<Caller, E> {
    // Where claims of several issuers have one place, those of another one are no credentials here.
    if let Some(iss) = &source.iss
        && claim("iss")?.as_deref() != Some(iss.as_bytes())
    {
        return Ok(Caller::Anonymous);
    }
    let country = claim(&source.claim)?;
    // Every token names its issuer, so without one there are no verified credentials at all.
    if country.is_none() && claim("iss")?.is_none() {
        return Ok(Caller::Anonymous);
    }
    let kind = match &source.kind_claim {
        Some(name) => claim(name)?,
        None => None,
    };
    let kind = kind.as_deref().unwrap_or(source.default_kind.as_bytes());
    let kind = core::str::from_utf8(kind).ok().and_then(PrincipalKind::parse);
    Ok(Caller::Known(match kind {
        Some(PrincipalKind::Customer) => {
            Identity::customer(country.and_then(|code| Country::parse(&code)))
        }
        Some(kind @ (PrincipalKind::Staff | PrincipalKind::Service)) => Identity::of(kind),
        // `anonymous` is no kind that credentials can name.
        _ => Identity::of(PrincipalKind::Other),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn customer(country: Option<Country>) -> Caller {
        Caller::Known(Identity::customer(country))
    }

    #[test]
    fn claims_make_a_caller() {
        let japan = Country::parse(b"JP");
        let source = |kind: Option<&str>, default: &str| SubjectSource {
            issuer: "shop".into(),
            iss: None,
            claim: "residency".into(),
            kind_claim: kind.map(Into::into),
            default_kind: default.into(),
        };
        let by_claim = source(Some("kind"), "customer");
        for (source, claims, caller_is, why) in [
            (&by_claim, &[][..], Caller::Anonymous, "no token"),
            (&by_claim, &[("iss", &b"i"[..]), ("residency", b"JP")], customer(japan), ""),
            (&by_claim, &[("iss", b"i")], customer(None), "no country"),
            (&by_claim, &[("iss", b"i"), ("residency", b"jp")], customer(None), "case"),
            (&by_claim, &[("iss", b"i"), ("residency", b"JP,TW")], customer(None), "two"),
            (
                &by_claim,
                &[("iss", b"i"), ("residency", b"\0\0\0\0\0\0\x08@")],
                customer(None),
                "a number",
            ),
            (
                &by_claim,
                &[("residency", b"JP"), ("kind", b"staff")],
                Caller::Known(Identity::of(PrincipalKind::Staff)),
                "staff",
            ),
            (
                &by_claim,
                &[("iss", b"i"), ("kind", b"service")],
                Caller::Known(Identity::of(PrincipalKind::Service)),
                "service",
            ),
            (&by_claim, &[("residency", b"JP"), ("kind", b"customer")], customer(japan), ""),
            (
                &by_claim,
                &[("residency", b"JP"), ("kind", b"\x01")],
                Caller::Known(Identity::of(PrincipalKind::Other)),
                "a boolean",
            ),
            (
                &by_claim,
                &[("residency", b"JP"), ("kind", b"")],
                Caller::Known(Identity::of(PrincipalKind::Other)),
                "empty or null",
            ),
            (
                &source(Some("kind"), "service"),
                &[("residency", b"JP")],
                Caller::Known(Identity::of(PrincipalKind::Service)),
                "default",
            ),
            (
                &source(None, "customer"),
                &[("residency", b"JP"), ("kind", b"staff")],
                customer(japan),
                "not asked",
            ),
        ] {
            let found = caller(source, |name| {
                let found = claims.iter().find(|(known, _)| *known == name);
                Ok::<_, ()>(found.map(|(_, value)| value.to_vec()))
            });
            assert_eq!(found, Ok(caller_is), "{why} {claims:?}");
        }
    }

    #[test]
    fn claims_of_another_issuer_in_the_same_place_are_no_credentials() {
        let source = SubjectSource {
            issuer: "payload".into(),
            iss: Some("https://id.shop.example".into()),
            claim: "residency".into(),
            kind_claim: None,
            default_kind: "customer".into(),
        };
        let ours = customer(Country::parse(b"JP"));
        for (iss, found) in [
            (Some("https://id.shop.example"), ours),
            (Some("https://id.shop.example/"), Caller::Anonymous),
            (Some("https://id.partner.example"), Caller::Anonymous),
            (None, Caller::Anonymous),
        ] {
            let caller = caller(&source, |name| {
                let iss = iss.map(|iss| iss.as_bytes().to_vec());
                Ok::<_, ()>(if name == "iss" { iss } else { Some(b"JP".to_vec()) })
            });
            assert_eq!(caller, Ok(found), "{iss:?}");
        }
        assert_eq!(caller(&source, |_| Err(())), Err(()));
    }

    #[test]
    fn a_claim_that_was_not_read_is_an_error() {
        let source = SubjectSource {
            issuer: "shop".into(),
            iss: None,
            claim: "residency".into(),
            kind_claim: Some("kind".into()),
            default_kind: "customer".into(),
        };
        for unread in ["residency", "iss", "kind"] {
            let found = caller(&source, |name| if name == unread { Err(()) } else { Ok(None) });
            let matters = unread != "kind"; // without credentials nobody asks for the kind
            assert_eq!(found.is_err(), matters, "{unread}");
        }
        let staff = caller(&source, |name| match name {
            "kind" => Err(()),
            _ => Ok(Some(b"JP".to_vec())),
        });
        assert_eq!(staff, Err(()));
    }
}
