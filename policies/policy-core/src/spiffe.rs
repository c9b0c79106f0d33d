//! SPIFFE ids: who a workload is, as its certificate says it.

/// A SPIFFE id with a path: `spiffe://taiwan.shop/ns/gateways/sa/peer`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpiffeId<'i> {
    trust_domain: &'i str,
}

impl<'i> SpiffeId<'i> {
    /// The longest id that a certificate may have.
    pub const BYTES_MAX: usize = 2048;
    /// The longest trust domain.
    const TRUST_DOMAIN_MAX: usize = 255;

    /// Reads an id as the SPIFFE standard writes it, in its one form: ids are compared by their
    /// bytes, so what could be written in two ways is none.
    pub fn parse(id: &'i str) -> Option<Self> {
        let (trust_domain, path) = id.strip_prefix("spiffe://")?.split_once('/')?;
        let is_domain = (1..=Self::TRUST_DOMAIN_MAX).contains(&trust_domain.len())
            && trust_domain
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-._".contains(&b));
        let is_path = path.split('/').all(|segment| {
            !matches!(segment, "" | "." | "..")
                && segment.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
        });
        (id.len() <= Self::BYTES_MAX && is_domain && is_path).then_some(Self { trust_domain })
    }

    /// Whose authority vouches for it.
    pub fn trust_domain(self) -> &'i str {
        self.trust_domain
    }
}

#[cfg(test)]
mod tests {
    use super::SpiffeId;
    use alloc::string::String;

    #[test]
    fn an_id_has_one_form() {
        let long = |length: usize| String::from("spiffe://a/") + &"x".repeat(length);
        for (id, trust_domain) in [
            ("spiffe://taiwan.shop/ns/gateways/sa/peer", Some("taiwan.shop")),
            ("spiffe://a_b-1.c/X._-", Some("a_b-1.c")),
            (&long(2037), Some("a")),
            (&long(2038), None),
            ("spiffe://taiwan.shop", None),
            ("spiffe://taiwan.shop/", None),
            ("spiffe://taiwan.shop/peer/", None),
            ("spiffe://taiwan.shop//peer", None),
            ("spiffe://taiwan.shop/./peer", None),
            ("spiffe://taiwan.shop/a/../peer", None),
            ("spiffe://Taiwan.shop/peer", None),
            ("spiffe://taiwan.shop:443/peer", None),
            ("spiffe://user@taiwan.shop/peer", None),
            ("spiffe:///peer", None),
            ("spiffe://taiwan.shop/peer?a=b", None),
            ("spiffe://taiwan.shop/peer#a", None),
            ("spiffe://taiwan.shop/p%65er", None),
            ("spiffe://taiwan.shop/peer,spiffe://tokyo.shop/peer", None),
            ("SPIFFE://taiwan.shop/peer", None),
            ("https://taiwan.shop/peer", None),
            ("", None),
        ] {
            let found = SpiffeId::parse(id).map(SpiffeId::trust_domain);
            assert_eq!(found, trust_domain, "{id}");
        }
    }
}
