//! Verified claims.

use crate::gather::{Answer, Told};
use policy_core::{Country, JwtClaim, PrincipalKind};

/// What a token says of its caller; nothing if there is none of the source's issuer. `claim` reads a
/// verified claim of that issuer, in the form of the proxy: text as it is, anything else as bytes
/// that are no text a policy names.
///
/// # Errors
/// That of `claim`: a claim that was not read is not taken for one that is not there.
pub fn claimed<E>(
    source: &JwtClaim,
    mut claim: impl FnMut(&str) -> Result<Option<Vec<u8>>, E>,
) -> Result<Option<Answer>, E> {
    let place = &source.place;
    // Where claims of several issuers have one place, those of another one are no credentials here.
    if let Some(iss) = &place.iss
        && claim("iss")?.as_deref() != Some(iss.as_bytes())
    {
        return Ok(None);
    }
    let country = claim(&place.claim)?;
    // Every token names its issuer, so without one there are no verified credentials at all.
    if country.is_none() && place.iss.is_none() && claim("iss")?.is_none() {
        return Ok(None);
    }
    let kind = match &source.kind_claim {
        Some(name) => claim(name)?,
        None => None,
    };
    let kind = kind.as_deref().unwrap_or(source.default_kind.as_bytes());
    let kind = core::str::from_utf8(kind).ok().and_then(PrincipalKind::parse);
    // `anonymous` is no kind that credentials can name.
    let kind = kind.filter(|kind| *kind != PrincipalKind::Anonymous);
    let country = country.map_or(Told::Nothing, |code| match Country::parse(&code) {
        Some(country) => Told::Country(country),
        None => Told::Unreadable,
    });
    Ok(Some(Answer { kind: kind.unwrap_or(PrincipalKind::Other), country }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use policy_core::ClaimPlace;

    #[expect(clippy::unnecessary_wraps, reason = "what is compared with")]
    fn of(kind: PrincipalKind, country: &str) -> Option<Answer> {
        let country = match country {
            "" => Told::Nothing,
            "?" => Told::Unreadable,
            code => Told::Country(Country::parse(code.as_bytes()).unwrap()),
        };
        Some(Answer { kind, country })
    }

    fn customer(country: &str) -> Option<Answer> {
        of(PrincipalKind::Customer, country)
    }

    fn place(iss: Option<&str>) -> ClaimPlace {
        ClaimPlace { issuer: "shop".into(), iss: iss.map(Into::into), claim: "residency".into() }
    }

    #[test]
    fn claims_make_an_answer() {
        let source = |kind: Option<&str>, default: &str| JwtClaim {
            place: place(None),
            kind_claim: kind.map(Into::into),
            default_kind: default.into(),
        };
        let by_claim = source(Some("kind"), "customer");
        for (source, claims, answer, why) in [
            (&by_claim, &[][..], None, "no token"),
            (&by_claim, &[("iss", &b"i"[..]), ("residency", b"JP")], customer("JP"), ""),
            (&by_claim, &[("iss", b"i")], customer(""), "no country"),
            (&by_claim, &[("iss", b"i"), ("residency", b"jp")], customer("?"), "case"),
            (&by_claim, &[("iss", b"i"), ("residency", b"JP,TW")], customer("?"), "two"),
            (
                &by_claim,
                &[("iss", b"i"), ("residency", b"\0\0\0\0\0\0\x08@")],
                customer("?"),
                "a number",
            ),
            (
                &by_claim,
                &[("residency", b"JP"), ("kind", b"staff")],
                of(PrincipalKind::Staff, "JP"),
                "staff",
            ),
            (
                &by_claim,
                &[("iss", b"i"), ("kind", b"service")],
                of(PrincipalKind::Service, ""),
                "service",
            ),
            (&by_claim, &[("residency", b"JP"), ("kind", b"customer")], customer("JP"), ""),
            (
                &by_claim,
                &[("residency", b"JP"), ("kind", b"\x01")],
                of(PrincipalKind::Other, "JP"),
                "a boolean",
            ),
            (
                &by_claim,
                &[("residency", b"JP"), ("kind", b"")],
                of(PrincipalKind::Other, "JP"),
                "empty or null",
            ),
            (
                &source(Some("kind"), "service"),
                &[("residency", b"JP")],
                of(PrincipalKind::Service, "JP"),
                "default",
            ),
            (
                &source(None, "customer"),
                &[("residency", b"JP"), ("kind", b"staff")],
                customer("JP"),
                "not asked",
            ),
        ] {
            let found = claimed(source, |name| {
                let found = claims.iter().find(|(known, _)| *known == name);
                Ok::<_, ()>(found.map(|(_, value)| value.to_vec()))
            });
            assert_eq!(found, Ok(answer), "{why} {claims:?}");
        }
    }

    #[test]
    fn claims_of_another_issuer_in_the_same_place_are_no_credentials() {
        let source = JwtClaim {
            place: place(Some("https://id.shop.example")),
            kind_claim: None,
            default_kind: "customer".into(),
        };
        let ours = customer("JP");
        for (iss, found) in [
            (Some("https://id.shop.example"), ours),
            (Some("https://id.shop.example/"), None),
            (Some("https://id.partner.example"), None),
            (None, None),
        ] {
            let caller = claimed(&source, |name| {
                let iss = iss.map(|iss| iss.as_bytes().to_vec());
                Ok::<_, ()>(if name == "iss" { iss } else { Some(b"JP".to_vec()) })
            });
            assert_eq!(caller, Ok(found), "{iss:?}");
        }
        assert_eq!(claimed(&source, |_| Err(())), Err(()));
    }

    #[test]
    fn a_claim_that_was_not_read_is_an_error() {
        let source = JwtClaim {
            place: place(None),
            kind_claim: Some("kind".into()),
            default_kind: "customer".into(),
        };
        for unread in ["residency", "iss", "kind"] {
            let found = claimed(&source, |name| if name == unread { Err(()) } else { Ok(None) });
            let matters = unread != "kind"; // without credentials nobody asks for the kind
            assert_eq!(found.is_err(), matters, "{unread}");
        }
        let staff = claimed(&source, |name| match name {
            "kind" => Err(()),
            _ => Ok(Some(b"JP".to_vec())),
        });
        assert_eq!(staff, Err(()));
    }
}
