//! Bytes as lower-case hexadecimal digits, in one form each.

use core::fmt;

/// Writes bytes as lower-case hexadecimal digits.
#[derive(Debug, Clone, Copy)]
pub struct Hex<'b>(pub &'b [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Reads exactly so many bytes in lower-case hexadecimal digits.
pub fn unhex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte.wrapping_sub(b'0')),
        b'a'..=b'f' => Some(byte.wrapping_sub(b'a').wrapping_add(10)),
        _ => None,
    };
    let (pairs, rest) = text.as_chunks::<2>();
    if !rest.is_empty() || pairs.len() != N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = (digit(*high)? << 4) | digit(*low)?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString as _;

    #[test]
    fn bytes_have_one_form() {
        for (text, bytes) in [
            ("00ff0a", Some([0, 255, 10])),
            ("00FF0a", None),
            ("00ff0", None),
            ("00ff0a0b", None),
            ("00ff", None),
            ("00fg0a", None),
            ("", None),
        ] {
            assert_eq!(unhex::<3>(text.as_bytes()), bytes, "{text}");
            assert!(bytes.is_none_or(|bytes| Hex(&bytes).to_string() == text), "{text}");
        }
    }
}
