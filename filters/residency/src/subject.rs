//! `x-meshfence-subject`: whom a request is about, told by one guard to the next.
//!
//! ```text
//! JP                            a customer who resides in Japan
//! JP+TW;p=00112233445566ff      sources contradict each other; what stands for the caller
//! JP;k=staff;b=consent+support  staff, about somebody in Japan; granted transfer bases
//! unknown                       a customer whose country is not known
//! other;k=service               a service, of which nobody knows for whom it acts
//! ```
//!
//! An item with parameters after RFC 9651, in one form: parameters in this order, each only where it
//! says something.

use core::fmt::Write as _;
use policy_core::{
    BasisSet, Caller, Countries, Country, Identity, PrincipalKind, Pseudonym, ResidencySource,
};

/// A longer one is none.
const LEN_MAX: usize = 256;
const UNKNOWN: &str = "unknown";
const OTHER: &str = "other";

/// The caller whom a value stands for. `basis` is the number of a transfer basis; one that this
/// policy does not have grants nothing.
pub fn parse(value: &[u8], basis: impl Fn(&str) -> Option<usize>) -> Option<Caller> {
    let text = core::str::from_utf8(value).ok().filter(|text| text.len() <= LEN_MAX)?;
    let mut parts = text.split(';').peekable();
    let head = parts.next()?;
    let mut parameter = |prefix: &str| {
        let value = parts.peek()?.strip_prefix(prefix)?;
        parts.next();
        Some(value)
    };
    let kind = match parameter("k=") {
        None => None,
        Some(kind) => Some(PrincipalKind::parse(kind).filter(|kind| is_written(*kind, head))?),
    };
    let mut identity = match head {
        UNKNOWN => Identity::customer(None),
        OTHER => Identity::of(kind.unwrap_or(PrincipalKind::Other)),
        countries => Identity {
            countries: parse_countries(countries)?,
            source: Some(ResidencySource::Guard),
            ..Identity::of(kind.unwrap_or(PrincipalKind::Customer))
        },
    };
    if let Some(digits) = parameter("p=") {
        identity.pseudonym = Some(Pseudonym::parse(digits.as_bytes())?);
    }
    if let Some(names) = parameter("b=") {
        identity.bases = parse_bases(names, basis)?;
    }
    parts.next().is_none().then_some(Caller::Known(identity))
}

/// What is said of a caller; nothing of one who is not known. `name` is that of a transfer basis.
pub fn write<'n>(caller: &Caller, name: impl Fn(usize) -> Option<&'n str>) -> Option<String> {
    let Caller::Known(identity) = caller else { return None };
    let mut text = String::new();
    for country in identity.countries.iter() {
        if !text.is_empty() {
            text.push('+');
        }
        text.push_str(country.as_str());
    }
    if text.is_empty() {
        text.push_str(if identity.kind == PrincipalKind::Customer { UNKNOWN } else { OTHER });
    }
    // Writing into a String cannot fail.
    if is_written(identity.kind, &text) {
        let _ = write!(text, ";k={}", identity.kind);
    }
    if let Some(pseudonym) = identity.pseudonym {
        let _ = write!(text, ";p={pseudonym}");
    }
    let granted = (0..BasisSet::MAX).filter(|number| identity.bases.contains(*number));
    let mut names: Vec<&str> = granted.filter_map(name).collect();
    names.sort_unstable();
    if !names.is_empty() {
        let _ = write!(text, ";b={}", names.join("+"));
    }
    Some(text)
}

/// Whether a kind is said: it is what the head alone does not say.
fn is_written(kind: PrincipalKind, head: &str) -> bool {
    match kind {
        PrincipalKind::Staff | PrincipalKind::Service => head != UNKNOWN,
        PrincipalKind::Other => head != UNKNOWN && head != OTHER,
        PrincipalKind::Customer | PrincipalKind::Anonymous => false,
    }
}

/// Countries in the order of their sources, each once.
fn parse_countries(text: &str) -> Option<Countries> {
    let mut countries = Countries::NONE;
    for code in text.split('+') {
        let more = countries.with(Country::parse(code.as_bytes())?);
        if more == countries {
            return None;
        }
        countries = more;
    }
    Some(countries)
}

/// Names in their order, each once.
fn parse_bases(text: &str, basis: impl Fn(&str) -> Option<usize>) -> Option<BasisSet> {
    let mut granted = BasisSet::EMPTY;
    let mut last = "";
    for name in text.split('+') {
        let is_name = name.starts_with(|letter: char| letter.is_ascii_lowercase())
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if !is_name || name <= last {
            return None;
        }
        last = name;
        granted = basis(name).map_or(granted, |number| granted.with(number));
    }
    Some(granted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BASES: [&str; 3] = ["consent", "support", "audit"];

    fn read(value: &str) -> Option<Caller> {
        parse(value.as_bytes(), |name| BASES.iter().position(|known| *known == name))
    }

    fn written(caller: &Caller) -> Option<String> {
        write(caller, |number| BASES.get(number).copied())
    }

    #[test]
    fn a_subject_is_written_as_it_is_read() {
        for value in [
            "JP",
            "TW",
            "unknown",
            "other",
            "JP+TW",
            "JP+TW+KR+AU",
            "JP;p=00112233445566ff",
            "JP;k=staff",
            "JP;k=other;p=00112233445566ff;b=audit+consent+support",
            "unknown;p=00112233445566ff",
            "unknown;b=consent",
            "other;k=staff",
            "other;k=service;p=00112233445566ff",
        ] {
            let caller = read(value).unwrap();
            assert_eq!(written(&caller).as_deref(), Some(value));
        }
        for caller in [Caller::Anonymous, Caller::Refused, Caller::Unreadable] {
            assert_eq!(written(&caller), None);
        }
    }

    #[test]
    fn a_subject_has_one_form() {
        for value in [
            "",
            "jp",
            "JPN",
            "JP,TW",
            "JP;",
            "JP;p=1",
            "Unknown",
            "ZZ",
            "JP+JP",
            "JP+",
            "+JP",
            "JP+TW+KR+AU+NZ",
            "TW+JP+TW",
            "JP+unknown",
            "unknown+JP",
            "other+JP",
            "JP;k=customer",
            "JP;k=anonymous",
            "JP;k=Staff",
            "JP;k=",
            "unknown;k=staff",
            "unknown;k=customer",
            "other;k=other",
            "other;k=customer",
            "JP;p=00112233445566FF",
            "JP;p=00112233445566ff;k=staff",
            "JP;p=00112233445566ff;p=00112233445566ff",
            "JP;b=",
            "JP;b=consent+consent",
            "JP;b=consent+audit",
            "JP;b=Consent",
            "JP;b=consent;p=00112233445566ff",
            "JP; p=00112233445566ff",
            "JP ;p=00112233445566ff",
            "JP;x=1",
            " JP",
            "JP ",
        ] {
            assert_eq!(read(value), None, "{value}");
        }
        let long = format!("JP;b={}", "a".repeat(300));
        assert_eq!(read(&long), None);
    }

    #[test]
    fn a_basis_that_nobody_knows_grants_nothing() {
        let caller = read("JP;b=consent+other").unwrap();
        assert_eq!(written(&caller).as_deref(), Some("JP;b=consent"));
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_or_not(value in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&value, |_| Some(0));
        }

        #[test]
        fn what_is_read_is_written_again(
            value in "(JP|TW|unknown|other|ZZ)(\\+(JP|TW))?(;k=(staff|service|other|customer))?(;p=[0-9a-f]{16})?(;b=(audit|consent)(\\+support)?)?",
        ) {
            if let Some(caller) = read(&value) {
                prop_assert_eq!(written(&caller), Some(value));
            }
        }
    }
}
