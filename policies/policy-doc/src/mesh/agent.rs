//! `Mesh.spec.regions.<region>.agent`: where the proxies of a region ask for its state.

use crate::diagnostic::Sink;
use crate::set::AgentUrl;
use crate::value::{is_host, malformed};
use crate::yaml::Entry;
use core::net::{IpAddr, Ipv6Addr};

/// The longest authority that an attachment may have.
const AUTHORITY_LEN_MAX: usize = 253;

/// Reads `agent`.
pub(super) fn decode(entry: &Entry, sink: &mut Sink) -> Option<AgentUrl> {
    let text = entry.text(sink)?;
    match AgentUrl::parse(&text.value) {
        Ok(url) => Some(url),
        Err(help) => {
            sink.push(malformed("`agent`", &text, help));
            None
        }
    }
}

impl AgentUrl {
    /// Reads a URL.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        const FORM: &str = "use an `http://` or `https://` URL with a host and a port, such as \
                        `http://region-agent.meshfence:7070`";
        let (scheme, rest) = text.split_once("://").ok_or(FORM)?;
        let is_tls = match scheme {
            "http" => false,
            "https" => true,
            _ => return Err(FORM),
        };
        if rest.contains(['/', '?', '#']) {
            return Err("an agent has no path: remove what is behind the host and port");
        }
        if rest.contains('@') {
            return Err(
                "there is no name and no password in this URL; what an agent says is signed",
            );
        }
        let (host, port) = match rest.strip_prefix('[') {
            Some(literal) => {
                let (address, port) = literal.split_once(']').ok_or(FORM)?;
                let address: Ipv6Addr = address.parse().map_err(|_| FORM)?;
                let port = match port {
                    "" => None,
                    port => Some(port.strip_prefix(':').ok_or(FORM)?),
                };
                (address.to_string(), port)
            }
            None => match rest.split_once(':') {
                Some((host, port)) => (host.to_ascii_lowercase(), Some(port)),
                None => (rest.to_ascii_lowercase(), None),
            },
        };
        let address = host.parse::<IpAddr>().ok();
        // Digits and dots alone would be an address, and this is none.
        let is_odd = host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        if address.is_none() && (is_odd || !is_host(&host)) {
            return Err(FORM);
        }
        if address.is_some_and(|address| address.is_unspecified() || address.is_multicast()) {
            return Err("this is no address that anybody can connect to");
        }
        let port = match port {
            None => AgentUrl::default_port(is_tls),
            Some(digits) => {
                let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit());
                let port = digits.parse().ok().filter(|port: &u16| is_plain && *port != 0);
                port.ok_or("a port is a number from 1 to 65535")?
            }
        };
        let url = AgentUrl { is_tls, host, port };
        if url.authority().len() > AUTHORITY_LEN_MAX {
            return Err("a host and port have 253 bytes at most");
        }
        Ok(url)
    }
}

#[cfg(test)]
mod tests {
    use super::AgentUrl;

    #[test]
    fn an_agent_is_a_host_and_a_port() {
        for (text, authority, is_tls) in [
            ("http://region-agent.meshfence:7070", Some("region-agent.meshfence:7070"), false),
            ("http://Region-Agent.meshfence", Some("region-agent.meshfence"), false),
            ("http://agent:80", Some("agent"), false),
            ("https://agent.example:443", Some("agent.example"), true),
            ("https://agent.example:80", Some("agent.example:80"), true),
            ("http://127.0.0.1:7070", Some("127.0.0.1:7070"), false),
            ("http://[::1]:7070", Some("[::1]:7070"), false),
            ("http://[0:0::1]", Some("[::1]"), false),
            ("region-agent.meshfence:7070", None, false),
            ("HTTP://agent:7070", None, false),
            ("ftp://agent:7070", None, false),
            ("http://agent:7070/", None, false),
            ("http://agent:7070/v1/region-state", None, false),
            ("http://agent?x", None, false),
            ("http://me:secret@agent", None, false),
            ("http://", None, false),
            ("http://:7070", None, false),
            ("http://agent:", None, false),
            ("http://agent:0", None, false),
            ("http://agent:65536", None, false),
            ("http://agent:+1", None, false),
            ("http://a_b:7070", None, false),
            ("http://agent.:7070", None, false),
            ("http://1.2.3:7070", None, false),
            ("http://1.2.3.400", None, false),
            ("http://0.0.0.0:7070", None, false),
            ("http://::1:7070", None, false),
            ("http://[::1]7070", None, false),
            ("http://[agent]:7070", None, false),
            ("http://ägent:7070", None, false),
        ] {
            let parsed = AgentUrl::parse(text).ok();
            assert_eq!(parsed.as_ref().map(AgentUrl::authority).as_deref(), authority, "{text}");
            assert_eq!(parsed.is_some_and(|url| url.is_tls), is_tls, "{text}");
        }
    }
}
