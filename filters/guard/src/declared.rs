//! What an upstream says of the data in its response, and what follows from it.

use crate::guard::InForce;
use crate::header;
use crate::host::{Headers, Host};
use crate::stream::Passed;
use policy_core::{DeclaredClass, ProfileSet, Withheld, decide_response};

/// The class that a response says its data is of, where that matters and it says one. What headers
/// that cannot be read say may be anything.
pub(crate) fn class(passed: &Passed, headers: Option<&Headers>) -> Option<DeclaredClass> {
    passed.judged?;
    headers.map_or(Some(DeclaredClass::Unreadable), read)
}

/// What has to be redacted because of what the upstream says its data is, or why the response may
/// not be seen.
pub(crate) fn judge<'p>(
    force: &'p InForce,
    passed: &Passed,
    declared: DeclaredClass,
    host: &mut impl Host,
) -> Result<ProfileSet, Withheld<'p>> {
    let Some(judged) = &passed.judged else { return Ok(ProfileSet::EMPTY) };
    let state = force.state();
    let now = || host.unix_ms().map(|ms| ms / 1_000);
    decide_response(&force.policy, &state, judged, declared, now)
}

/// The class that a response says its data is of, if it says one. Two say nothing that can be read.
fn read(headers: &Headers) -> Option<DeclaredClass> {
    let is_class = |name: &[u8]| name == header::DATA_CLASS.as_bytes();
    let mut said = headers.iter().filter(|(name, _)| is_class(name));
    let (_, value) = said.next()?;
    Some(match said.next() {
        None => DeclaredClass::parse(value),
        Some(_) => DeclaredClass::Unreadable,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use policy_core::DataClass;

    #[test]
    fn a_class_is_said_once_and_in_one_word() {
        let unreadable = Some(DeclaredClass::Unreadable);
        for (said, expected) in [
            (&[][..], None),
            (&["payment"], Some(DeclaredClass::Is(DataClass::Payment))),
            (&["public"], Some(DeclaredClass::Is(DataClass::Public))),
            (&["Payment"], unreadable),
            (&["payment,public"], unreadable),
            (&["payment", "payment"], unreadable),
            (&[""], unreadable),
        ] {
            let mut headers = Headers::default();
            headers.push(b"x-meshfence-load", b"0.5");
            for value in said {
                headers.push(header::DATA_CLASS.as_bytes(), value.as_bytes());
            }
            assert_eq!(read(&headers), expected, "{said:?}");
        }
    }
}
