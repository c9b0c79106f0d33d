//! `Mesh.spec.hmac`: the keys that proxies sign with. The secrets are never in a document.

use crate::codes;
use crate::diagnostic::{Diagnostic, Sink, Spanned};
use crate::fields::{Fields, Shape, twice};
use crate::value::malformed;
use crate::yaml::{Entry, Node};
use policy_core::{Hmac, HmacKey, wire};

const HMAC: Shape = Shape { what: "`hmac`", keys: &["keys", "replayWindow"], later: &[] };
const KEY: Shape = Shape { what: "a key", keys: &["id", "env"], later: &[] };

/// For how long a signature is believed where nothing is said.
const REPLAY_WINDOW_MS: u32 = 30_000;

/// Reads `hmac`.
pub(super) fn decode(entry: &Entry, sink: &mut Sink) -> Option<wire::Hmac> {
    let fields = Fields::open_at(&entry.value, entry.key.span, &HMAC, sink)?;
    let window = fields.get("replayWindow").and_then(|entry| {
        let (low, high) = (*Hmac::REPLAY_WINDOW_MS.start(), *Hmac::REPLAY_WINDOW_MS.end());
        entry.duration_ms(u64::from(low)..=u64::from(high), sink)
    });
    let window = window.and_then(|window| u32::try_from(window).ok());
    let list = fields.need("keys", sink)?;
    let items = list.items(sink)?;
    if items.len() > Hmac::KEYS_MAX {
        let message = format!("there are at most {} keys", Hmac::KEYS_MAX);
        sink.push(
            Diagnostic::error(codes::TOO_LARGE, message)
                .at(list.key.span)
                .help("a rotation needs two: the one that signs, and the one before"),
        );
    }
    let mut keys: Vec<(Spanned<String>, Spanned<String>)> = Vec::new();
    for item in items {
        let Some((id, env)) = key(item, sink) else { continue };
        if let Some((first, _)) = keys.iter().find(|(known, _)| known.value == id.value) {
            sink.push(twice("key", &id.value, id.span, first.span));
        }
        if let Some((_, first)) = keys.iter().find(|(_, known)| known.value == env.value) {
            sink.push(twice("variable", &env.value, env.span, first.span));
        }
        keys.push((id, env));
    }
    Some(wire::Hmac {
        keys: keys
            .into_iter()
            .map(|(id, env)| wire::HmacKey { id: id.value, env: env.value })
            .collect(),
        replay_window_ms: window.unwrap_or(REPLAY_WINDOW_MS),
    })
}

fn key(item: &Node, sink: &mut Sink) -> Option<(Spanned<String>, Spanned<String>)> {
    let fields = Fields::open(item, &KEY, sink)?;
    let id = fields.need("id", sink).and_then(|entry| entry.text(sink));
    let env = fields.need("env", sink).and_then(|entry| entry.text(sink));
    if let Some(id) = &id
        && !HmacKey::is_id(&id.value)
    {
        sink.push(malformed("`id`", id, "use lower-case letters and digits, 16 at most"));
    }
    if let Some(env) = &env
        && !HmacKey::is_env(&env.value)
    {
        let help = "name a variable of the proxy's environment, such as `MESHFENCE_HMAC_K1`, which begins with `MESHFENCE_`; \
                    the secret itself does not belong here";
        sink.push(malformed("`env`", env, help));
    }
    Some((id?, env?))
}
