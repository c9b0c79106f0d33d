//! The token of a distributed lock: opaque to the mesh.

/// A longer token is malformed.
const LOCK_LEN_MAX: usize = 256;

/// Whether a value can be passed on as the token of a lock: one piece of printable ASCII, with no
/// comma, which Envoy joins two values with.
pub fn is_lock(value: &[u8]) -> bool {
    let is_plain = |byte: &u8| byte.is_ascii_graphic() && *byte != b',';
    (1..=LOCK_LEN_MAX).contains(&value.len()) && value.iter().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_one_piece_of_printable_text() {
        for (value, expected) in [
            (&b"sku-1:7f3a"[..], true),
            (b"eyJrIjoxfQ==", true),
            (&[b'x'; 256], true),
            (&[b'x'; 257], false),
            (b"", false),
            (b"a b", false),
            (b"a,b", false),
            (b"a\xff", false),
            (b"a\n", false),
        ] {
            assert_eq!(is_lock(value), expected, "{}", value.escape_ascii());
        }
    }
}
