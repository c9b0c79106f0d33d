//! `Mesh.spec.plugin`: where proxies get the module from.

use crate::diagnostic::{Sink, Spanned};
use crate::fields::{Fields, Shape};
use crate::set::PluginImage;
use crate::value::{is_host, malformed};
use crate::yaml::Entry;
use policy_core::OnRejected;

const PLUGIN: Shape =
    Shape { what: "`plugin`", keys: &["url", "sha256", "onRejected"], later: &[] };

/// Reads `plugin`.
pub(super) fn decode(entry: &Entry, sink: &mut Sink) -> Option<PluginImage> {
    let fields = Fields::open_at(&entry.value, entry.key.span, &PLUGIN, sink)?;
    let url = fields.need("url", sink).and_then(|entry| entry.text(sink));
    if let Some(url) = &url
        && !is_url(url)
    {
        let help = "use `oci://registry/name:tag`, an `https://` URL, or `file:///path`";
        sink.push(malformed("`url`", url, help));
    }
    let sha256 = fields.get("sha256").and_then(|entry| entry.text(sink));
    if let Some(sha256) = &sha256
        && !is_sha256(&sha256.value)
    {
        sink.push(malformed("`sha256`", sha256, "use 64 lower-case hexadecimal digits"));
    }
    let on_rejected = fields.get("onRejected").and_then(|entry| entry.word::<OnRejected>(sink));
    Some(PluginImage {
        url: url?.value,
        sha256: sha256.map(|sha256| sha256.value),
        on_rejected: on_rejected.map(|word| word.value),
    })
}

/// Whether this is a checksum as Istio wants it: 64 lower-case hexadecimal digits.
pub fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

fn is_url(url: &Spanned<String>) -> bool {
    let printable = url.value.bytes().all(|byte| byte.is_ascii_graphic());
    let place = url.value.split_once("://").is_some_and(|(scheme, rest)| {
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let host = authority.split_once(':').map_or(authority, |(host, _)| host);
        match scheme {
            "oci" | "https" => is_host(host) && !path.is_empty(),
            "file" => authority.is_empty() && !path.is_empty(),
            _ => false,
        }
    });
    printable && place
}
