//! A question for region state and its answer, as proxies, agents and whoever looks on have them:
//! `GET /v1/region-state?nonce=<32 hex>&hlc=<16 hex>`, answered with `x-meshfence-sig: <key>;s=<64 hex>`. The
//! signature is an HMAC-SHA-256 over a name, the nonce and the body, each with its length before it,
//! so that an answer is one to this question alone.

use crate::keyring::{self, MAC_LEN};
use origin_tag::Time;
use policy_core::{Hex, unhex};

const PATH: &str = "/v1/region-state?nonce=";
const ISSUED: &str = "&hlc=";
const SIGNED: &[u8] = b"meshfence/v1/region-state";

/// A question that nobody else asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    nonce: String,
    issued: Option<Time>,
}

impl Question {
    /// The question with these bytes, which have to be random.
    pub fn new(nonce: &[u8]) -> Self {
        Self { nonce: Hex(nonce).to_string(), issued: None }
    }

    /// The same question, with the largest time that the asking VM has issued or taken over: the agent
    /// keeps the largest of all, held to the bound of its own clock, so that no proxy that starts anew
    /// stamps with less.
    #[must_use]
    pub fn reporting(self, issued: Time) -> Self {
        Self { issued: Some(issued), ..self }
    }

    /// What was reported with it.
    pub fn issued(&self) -> Option<Time> {
        self.issued
    }

    /// The question that is asked at this path, if it is one.
    pub fn at(path: &str) -> Option<Self> {
        let rest = path.strip_prefix(PATH)?;
        let Some((nonce, issued)) = rest.split_once(ISSUED) else {
            return Some(Self { nonce: rest.to_owned(), issued: None });
        };
        let issued = Time::from_bytes(unhex(issued.as_bytes())?);
        Some(Self { nonce: nonce.to_owned(), issued: Some(issued) })
    }

    /// Where it is asked.
    pub fn path(&self) -> String {
        let nonce = &self.nonce;
        match self.issued {
            Some(issued) => format!("{PATH}{nonce}{ISSUED}{}", Hex(&issued.to_bytes())),
            None => format!("{PATH}{nonce}"),
        }
    }

    /// The signature of an answer with this body; nothing where that cannot be.
    pub fn sign(&self, key: &str, secret: &[u8], body: &[u8]) -> Option<String> {
        let mac = keyring::mac(secret, &[SIGNED, self.nonce.as_bytes(), body])?;
        Some(format!("{key};s={}", Hex(&mac)))
    }

    /// Whether a signature is of this answer to this question, by the secret of the key that it names.
    pub fn is_signed<'k>(
        &self,
        sig: &[u8],
        body: &[u8],
        secret: impl FnOnce(&str) -> Option<&'k [u8]>,
    ) -> bool {
        let read = || {
            let (key, mac) = core::str::from_utf8(sig).ok()?.split_once(";s=")?;
            let mac: [u8; MAC_LEN] = unhex(mac.as_bytes())?;
            Some(keyring::verify(secret(key)?, &[SIGNED, self.nonce.as_bytes(), body], &mac))
        };
        read().unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_to_one_question() {
        let question = Question::new(&[7; 16]);
        let path = question.path();
        assert_eq!(path, format!("/v1/region-state?nonce={}", "07".repeat(16)));
        assert_eq!(Question::at(&path), Some(question.clone()));
        assert_eq!(Question::at("/v1/region-state"), None);
        let reporting = question.clone().reporting(Time::new(0x0192_f3a4_b5c6, 7));
        let path = reporting.path();
        assert_eq!(path.strip_prefix(&question.path()), Some("&hlc=0192f3a4b5c60007"));
        assert_eq!(Question::at(&path), Some(reporting));
        assert_eq!(Question::at(&format!("{path}0")), None);
        let (secret, other) = ([1; 32], [2; 32]);
        let sig = question.sign("k1", &secret, b"{}").unwrap();
        let short = sig.get(..sig.len() - 2).unwrap().to_owned();
        for (question, sig, body, known, is_signed, why) in [
            (&question, &sig, &b"{}"[..], &secret, true, "as it was signed"),
            (&Question::new(&[8; 16]), &sig, b"{}", &secret, false, "another question"),
            (&question, &sig, b"{} ", &secret, false, "another body"),
            (&question, &sig, b"{}", &other, false, "another secret"),
            (&question, &short, b"{}", &secret, false, "a part of it"),
            (&question, &sig.replace("k1", "k2"), b"{}", &secret, false, "another key"),
            (&question, &sig.to_uppercase(), b"{}", &secret, false, "in another form"),
        ] {
            let secret = |key: &str| (key == "k1").then_some(&known[..]);
            assert_eq!(question.is_signed(sig.as_bytes(), body, secret), is_signed, "{why}");
        }
        assert!(!question.is_signed(b"\xff", b"{}", |_| Some(&secret)));
    }
}
