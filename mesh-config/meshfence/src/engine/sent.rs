//! A request as an engine sends it: what the case says, and what its caller adds.

use guard::header::{CAUSAL, IF_MATCH, SESSION, SUBJECT, VIA};
use policy_doc::{
    OwnCredentials, PolicySet, TestCaller, TestCarried, TestCertificate, TestRequest, TestToken,
};

/// A request as it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// The method.
    pub method: String,
    /// Path and query, as written.
    pub path: String,
    /// The host.
    pub host: String,
    /// Headers in their order, but for the token.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
    /// With HTTP/2.
    pub http2: bool,
    /// The certificate of the connection.
    pub certificate: Option<TestCertificate>,
    /// What the header `authorization` is made of; it comes before the other headers.
    pub token: Option<TestToken>,
    /// What headers of a mesh's own are made of; they come before the others too.
    pub own: OwnCredentials,
    /// What the client carries of versions; that comes before the others too.
    pub carried: TestCarried,
    /// What the caller is called in the document.
    pub caller: Option<String>,
}

impl Sent {
    /// The request of a caller. A trusted proxy says which region it speaks for and whom the request
    /// is about, unless the request itself says something else.
    pub fn new(request: &TestRequest, caller: Option<&TestCaller>) -> Self {
        let certificate = caller.and_then(|caller| caller.certificate.as_ref());
        let says = |name: &str| request.headers.iter().any(|(known, _)| known == name);
        let mut headers = Vec::new();
        let mut say = |name: &str, value: Option<&str>| {
            if let Some(value) = value
                && !says(name)
            {
                headers.push((name.to_owned(), value.to_owned()));
            }
        };
        if let Some(TestCertificate::Peer { region, .. }) = certificate {
            say(VIA, Some(region));
        }
        say(SUBJECT, certificate.and_then(TestCertificate::subject));
        headers.extend(request.headers.iter().cloned());
        Self {
            method: request.method.clone(),
            path: request.path.clone(),
            host: request.host.clone(),
            headers,
            body: request.body.clone(),
            http2: request.http2,
            certificate: certificate.cloned(),
            token: caller.and_then(|caller| caller.token.clone()),
            own: caller.map(|caller| caller.own.clone()).unwrap_or_default(),
            carried: request.carried.clone(),
            caller: caller.map(|caller| caller.name.clone()),
        }
    }

    /// The SPIFFE id in the certificate: a proxy's own where it is that of one.
    pub fn certificate_id<'a>(&'a self, set: &'a PolicySet) -> Option<&'a str> {
        match self.certificate.as_ref()? {
            TestCertificate::Workload(id) => Some(id),
            TestCertificate::Peer { region, .. } | TestCertificate::Gateway { region, .. } => {
                let region = set.body.regions.iter().find(|known| known.name == *region)?;
                region.peer_ids.first().map(String::as_str)
            }
        }
    }

    /// Headers of the request without its credentials, which are worth something while a mesh runs.
    pub(crate) fn named(&self, mut headers: Vec<(String, String)>) -> Vec<(String, String)> {
        for (name, value) in &mut headers {
            // What was signed is another thing in every run.
            if let Some(seen) = self.carried.seen.as_ref().filter(|_| name == CAUSAL) {
                *value = format!("(seen {})", seen.version);
            } else if let Some(read) = self.carried.read.as_ref().filter(|_| name == IF_MATCH) {
                *value = format!("(tag of {})", read.version);
            }
        }
        let Some(caller) = &self.caller else { return headers };
        let OwnCredentials { session, api_key, .. } = &self.own;
        for (name, value) in &mut headers {
            if self.token.is_some() && name == "authorization" && value.starts_with("Bearer ") {
                *value = format!("Bearer (token of {caller})");
            } else if session.is_some() && name == SESSION {
                *value = format!("(session of {caller})");
            } else if api_key.as_ref() == Some(value) {
                *value = format!("(API key of {caller})");
            }
        }
        headers
    }

    /// The request as lines of text. A token is only named: it is worth something while a mesh runs.
    pub fn lines(&self) -> Vec<String> {
        let Self { method, path, host, headers, body, http2, .. } = self;
        let version = if *http2 { " (HTTP/2)" } else { "" };
        let mut lines = vec![format!("{method} {path}{version}"), format!("host: {host}")];
        if self.token.is_some() {
            let caller = self.caller.as_deref().unwrap_or_default();
            lines.push(format!("authorization: Bearer (token of {caller})"));
        }
        let OwnCredentials { session, api_key, client_country } = &self.own;
        let who = self.caller.as_deref().unwrap_or_default();
        lines.extend(session.as_ref().map(|_| format!("{SESSION}: (session of {who})")));
        lines.extend(api_key.as_ref().map(|_| format!("(API key of {who})")));
        lines.extend(client_country.as_ref().map(|code| format!("(client in {code})")));
        let TestCarried { read, seen } = &self.carried;
        lines.extend(read.as_ref().map(|read| format!("{IF_MATCH}: (tag of {})", read.version)));
        lines.extend(seen.as_ref().map(|seen| format!("{CAUSAL}: (seen {})", seen.version)));
        lines.extend(headers.iter().map(|(name, value)| format!("{name}: {value}")));
        if !body.is_empty() {
            lines.extend([String::new(), body.clone()]);
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(headers: &[(&str, &str)]) -> TestRequest {
        let headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        TestRequest {
            method: "GET".into(),
            path: "/a".into(),
            host: "shop.example".into(),
            headers: headers.collect(),
            carried: TestCarried::default(),
            body: String::new(),
            http2: false,
        }
    }

    #[test]
    fn a_proxy_says_what_the_request_does_not() {
        let peer = |subject: Option<&str>| TestCertificate::Peer {
            region: "taiwan".into(),
            subject: subject.map(Into::into),
        };
        let gateway =
            TestCertificate::Gateway { region: "tokyo".into(), subject: Some("JP".into()) };
        let workload = TestCertificate::Workload("spiffe://tokyo.shop/a".into());
        for (certificate, headers, sent) in [
            (None, &[("a", "b")][..], &["a: b"][..]),
            (Some(peer(None)), &[], &["x-meshfence-via: taiwan"]),
            (
                Some(peer(Some("JP"))),
                &[("a", "b")],
                &["x-meshfence-via: taiwan", "x-meshfence-subject: JP", "a: b"],
            ),
            (
                Some(peer(Some("JP"))),
                &[("x-meshfence-via", "tokyo"), ("x-meshfence-subject", "TW")],
                &["x-meshfence-via: tokyo", "x-meshfence-subject: TW"],
            ),
            (Some(gateway), &[], &["x-meshfence-subject: JP"]),
            (Some(workload), &[], &[]),
        ] {
            let caller = TestCaller {
                name: "c".into(),
                certificate,
                token: None,
                own: OwnCredentials::default(),
            };
            let lines = Sent::new(&request(headers), Some(&caller)).lines();
            assert_eq!(lines.get(2..).unwrap(), sent, "{caller:?}");
        }
    }
}
