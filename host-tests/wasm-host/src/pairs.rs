//! Pairs as they cross the border: how many, how long each part is, then the parts, each with a NUL
//! behind it. All numbers are 32 bits, the lowest byte first.

/// Larger bytes than these are no pairs at all.
pub const BYTES_MAX: usize = 1024 * 1024;
/// More pairs than these are none at all.
pub const COUNT_MAX: usize = 1024;

/// Names and values.
pub type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// Writes pairs.
pub fn encode<'p>(pairs: impl IntoIterator<Item = (&'p [u8], &'p [u8])>) -> Vec<u8> {
    let pairs: Vec<_> = pairs.into_iter().collect();
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes();
    let mut bytes = number(pairs.len()).to_vec();
    for (name, value) in &pairs {
        bytes.extend(number(name.len()));
        bytes.extend(number(value.len()));
    }
    for part in pairs.iter().flat_map(|(name, value)| [name, value]) {
        bytes.extend(*part);
        bytes.push(0);
    }
    bytes
}

/// Reads pairs as Envoy does: what is malformed, longer than [`BYTES_MAX`] or more than
/// [`COUNT_MAX`] is no pairs, and no error.
pub fn decode(bytes: &[u8]) -> Pairs {
    if bytes.len() > BYTES_MAX {
        return Pairs::new();
    }
    strict(bytes).unwrap_or_default()
}

fn strict(bytes: &[u8]) -> Option<Pairs> {
    let mut rest = bytes;
    let count = number(&mut rest)?;
    if count > COUNT_MAX {
        return None;
    }
    let mut sizes = Vec::new();
    for _ in 0..count {
        sizes.push((number(&mut rest)?, number(&mut rest)?));
    }
    let mut pairs = Pairs::new();
    for (name, value) in sizes {
        pairs.push((part(&mut rest, name)?, part(&mut rest, value)?));
    }
    rest.is_empty().then_some(pairs)
}

fn number(rest: &mut &[u8]) -> Option<usize> {
    let (number, tail) = rest.split_first_chunk::<4>()?;
    *rest = tail;
    usize::try_from(u32::from_le_bytes(*number)).ok()
}

fn part(rest: &mut &[u8], size: usize) -> Option<Vec<u8>> {
    let (part, tail) = rest.split_at_checked(size)?;
    let (nul, tail) = tail.split_first()?;
    *rest = tail;
    (*nul == 0).then(|| part.to_vec())
}

#[cfg(test)]
mod tests {
    use super::{BYTES_MAX, COUNT_MAX, Pairs, decode, encode};

    fn encoded(count: usize, value: usize) -> Vec<u8> {
        let value = vec![b'v'; value];
        encode((0..count).map(|_| (b"n".as_slice(), value.as_slice())))
    }

    #[test]
    fn pairs_come_back() {
        for pairs in [&[][..], &[("a", "b")], &[("", ""), ("x", ""), ("", "y")]] {
            let bytes = encode(pairs.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes())));
            let want: Pairs =
                pairs.iter().map(|(n, v)| (n.as_bytes().into(), v.as_bytes().into())).collect();
            assert_eq!(decode(&bytes), want, "{pairs:?}");
        }
    }

    #[test]
    fn what_is_no_pairs_is_empty() {
        let good = encode([(b"a".as_slice(), b"b".as_slice())]);
        let with = |at: usize, byte: u8| {
            let mut bytes = good.clone();
            bytes[at] = byte;
            bytes
        };
        for (bytes, why) in [
            (Vec::new(), "no count"),
            (good[..good.len() - 1].to_vec(), "the last NUL is missing"),
            ([good.clone(), vec![0]].concat(), "a byte too many"),
            (with(0, 2), "a second pair is missing"),
            (with(4, 200), "a name that leaves the bytes"),
            (with(13, 1), "no NUL behind the name"),
            (encoded(COUNT_MAX + 1, 0), "one pair too many"),
            (encoded(1, BYTES_MAX), "too large"),
        ] {
            assert_eq!(decode(&bytes), Pairs::new(), "{why}");
        }
        assert_eq!(decode(&encoded(COUNT_MAX, 0)).len(), COUNT_MAX);
    }
}
