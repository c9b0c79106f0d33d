//! Header maps as the ABI passes them: a count, the lengths of all names and values, then the names
//! and values, each with a NUL behind it. All numbers are little-endian, 32 bits.

use guard::Headers;

/// Envoy reads an empty list where there are more (proxy-wasm-cpp-host, `pairs_util`).
const PAIRS_MAX: usize = 1024;

/// Reads a header map. Whatever does not have this form is none.
pub(crate) fn decode(bytes: &[u8]) -> Option<Headers> {
    let (count, rest) = number(bytes)?;
    if count > PAIRS_MAX {
        return None;
    }
    let (mut lengths, mut texts) = rest.split_at_checked(count.checked_mul(8)?)?;
    let mut headers = Headers::with_capacity(count, texts.len());
    for _ in 0..count {
        let (name_length, after) = number(lengths)?;
        let (value_length, after) = number(after)?;
        lengths = after;
        let (name, after) = text(texts, name_length)?;
        let (value, after) = text(after, value_length)?;
        texts = after;
        headers.push(name, value);
    }
    Some(headers)
}

/// Writes a header map.
pub(crate) fn encode<'h>(
    headers: impl ExactSizeIterator<Item = (&'h [u8], &'h [u8])> + Clone,
) -> Option<Vec<u8>> {
    let length = |text: &[u8]| u32::try_from(text.len()).ok().map(u32::to_le_bytes);
    let mut bytes = Vec::with_capacity(512);
    bytes.extend_from_slice(&u32::try_from(headers.len()).ok()?.to_le_bytes());
    for (name, value) in headers.clone() {
        bytes.extend_from_slice(&length(name)?);
        bytes.extend_from_slice(&length(value)?);
    }
    for (name, value) in headers {
        for text in [name, value] {
            bytes.extend_from_slice(text);
            bytes.push(0);
        }
    }
    Some(bytes)
}

fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<4>()?;
    Some((usize::try_from(u32::from_le_bytes(*number)).ok()?, rest))
}

fn text(bytes: &[u8], length: usize) -> Option<(&[u8], &[u8])> {
    let (text, rest) = bytes.split_at_checked(length)?;
    Some((text, rest.strip_prefix(b"\0")?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_was_written_is_read(
            pairs in proptest::collection::vec(
                (proptest::collection::vec(any::<u8>(), 0..20), proptest::collection::vec(any::<u8>(), 0..20)),
                0..20,
            ),
        ) {
            let headers = pairs.iter().map(|(name, value)| (name.as_slice(), value.as_slice()));
            let decoded = decode(&encode(headers.clone()).unwrap()).unwrap();
            prop_assert!(decoded.iter().eq(headers));
        }

        #[test]
        fn any_bytes_are_judged(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = decode(&bytes);
        }

        #[test]
        fn lengths_that_lie_are_no_map(
            count in 0..4_u32,
            lengths in proptest::collection::vec(prop_oneof![0..8_u32, any::<u32>()], 0..8),
            texts in proptest::collection::vec(0..2_u8, 0..40),
        ) {
            let mut bytes = count.to_le_bytes().to_vec();
            bytes.extend(lengths.iter().flat_map(|length| length.to_le_bytes()));
            bytes.extend(texts);
            let _ = decode(&bytes);
        }
    }

    #[test]
    fn too_many_pairs_are_no_map() {
        let count = u32::try_from(PAIRS_MAX + 1).unwrap();
        let mut bytes = count.to_le_bytes().to_vec();
        bytes.resize(4 + (PAIRS_MAX + 1) * 10, 0);
        assert_eq!(decode(&bytes), None);
        assert_eq!(decode(&u32::MAX.to_le_bytes()), None);
        assert!(decode(&0_u32.to_le_bytes()).is_some());
    }
}
