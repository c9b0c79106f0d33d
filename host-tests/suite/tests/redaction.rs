//! What leaves a real Envoy of a response that may not be seen whole, in every form that an
//! application may give it: byte for byte what the client's socket received.

use local_mesh::client::{self, RawRequest, Received};
use meshfence::engine::envoy as engine;
use meshfence::{LocalRun, Push};
use policy_core::Role;
use policy_doc::{TestToken, WorldState};
use serde_json::Value;
use std::fmt::Write as _;
use suite::{Check, LIMIT, Regions, Search, Secret, Trouble, scenario, send, traps, until};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const REGION: &str = "taiwan";
const HOST: &str = "redacted.example";
const MIB: usize = 1 << 20;

/// Values of [`ITEM`] at redacted places.
const NAME: &str = "Hanako-Yamada";
const MAIL: &str = "hanako@shop.example";
const PHONE: &str = "+81-90-1234-5678";
/// One of many, or a document by itself.
const ITEM: &str = r#"{"email":"hanako@shop.example","phone":"+81-90-1234-5678","id":123456,"note":"long enough"}"#;

/// What a client must see of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sees {
    /// All of it, redacted.
    Redacted,
    /// Headers alone, as the application's.
    Nothing(u16),
    /// A refusal, decided by the headers.
    Refused,
    /// A refusal if the headers have been held; a cut response without a byte of its body if not.
    RefusedOrCut,
}

/// A response and what must come of it.
struct Form {
    name: &'static str,
    method: &'static str,
    http2: bool,
    asked: Vec<(&'static str, String)>,
    sees: Sees,
}

impl Form {
    fn new(name: &'static str, sees: Sees) -> Self {
        Self { name, method: "GET", http2: false, asked: Vec::new(), sees }
    }

    fn body(self, body: impl Into<String>) -> Self {
        self.with("echo-body", body)
    }

    /// So many items in a list.
    fn items(self, count: usize) -> Self {
        self.body(ITEM).with("echo-repeat", count.to_string())
    }

    fn chunks(self, count: usize) -> Self {
        self.with("echo-chunks", count.to_string())
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.asked.push((name, value.into()));
        self
    }

    fn http2(self) -> Self {
        Self { http2: true, ..self }.with("echo-trailer", format!("x-user-mail={MAIL}"))
    }
}

fn forms() -> Vec<Form> {
    use Sees::{Nothing, Redacted, Refused, RefusedOrCut};
    let new = Form::new;
    let named = |name: &str| format!(r#"{{"name":"{NAME}","customer":{{"email":"{MAIL}"}}{name}"#);
    let deep = |depth: usize| {
        format!(r#"{{"phone":"{PHONE}","a":{}1{}}}"#, "[".repeat(depth), "]".repeat(depth))
    };
    let over = 300 * 1024 / ITEM.len();
    let under = 200 * 1024 / ITEM.len();
    let two_mib = 2 * MIB / ITEM.len();
    vec![
        new("whole", Redacted).body(named("}")),
        new("chunked", Redacted).body(named("}")).chunks(20),
        new("a chunk for each byte", Redacted).body(named("}")).chunks(10_000),
        new("with trailers", Redacted).body(named("}")).http2(),
        new("chunked with trailers", Redacted).body(named("}")).chunks(20).http2(),
        new("under the limit", Redacted).items(under),
        new("under the limit, chunked", Redacted).items(under).chunks(7),
        new("under the limit, in many chunks", Redacted).items(under).chunks(5_000),
        new("under what fits before trailers", Redacted).items(500).http2(),
        new("over what fits before trailers", RefusedOrCut).items(under).http2(),
        new("over the limit", Refused).items(over),
        new("over the limit, chunked", RefusedOrCut).items(over).chunks(7),
        new("over the limit, with trailers", RefusedOrCut).items(over).http2(),
        new("two mebibytes", Refused).items(two_mib),
        new("two mebibytes, chunked", RefusedOrCut).items(two_mib).chunks(100),
        new("two mebibytes, with trailers", RefusedOrCut).items(two_mib).http2(),
        new("compressed though not asked to", Refused).items(9).with("echo-encoding", "gzip"),
        new("no JSON, and it says so", Refused).body(NAME).with("echo-content-type", "text/html"),
        new("no JSON", RefusedOrCut).body(format!("<p>{NAME}</p>")),
        new("no JSON, chunked", RefusedOrCut).body(format!("<p>{NAME}</p>")).chunks(4),
        new("invalid at its end", RefusedOrCut).body(named("]")).chunks(4),
        new("more behind its end", RefusedOrCut).body(named("}") + ITEM),
        new("not to its end", RefusedOrCut).body(named("")),
        new("not to its end, with trailers", RefusedOrCut).body(named("")).http2(),
        new("64 deep", Redacted).body(deep(63)),
        new("65 deep", RefusedOrCut).body(deep(64)),
        new("a key twice", RefusedOrCut).body(named(&format!(r#","name":"{NAME}"}}"#))),
        new("a key twice, escaped", RefusedOrCut)
            .body(named(&format!(r#","n\u0061me":"{NAME}"}}"#)))
            .chunks(3),
        Form { method: "HEAD", ..new("HEAD", Nothing(200)).body(named("}")) },
        new("not modified", Nothing(304)).body(named("}")).with("echo-status", "304"),
        new("no content", Nothing(204)).body(named("}")).with("echo-status", "204"),
        new("a part", Refused).body(named("}")).with("echo-status", "206"),
        new("an error", Redacted).body(named("}")).with("echo-status", "500"),
    ]
}

fn search() -> Search {
    Search::new(vec![
        Secret::new("a name", NAME),
        Secret::new("an address", MAIL),
        Secret::new("a telephone number", PHONE),
    ])
}

/// The value of an `authorization` header of a customer from this country.
fn token(run: &LocalRun, country: &str) -> Result<String, Trouble> {
    let token = TestToken {
        issuer: String::from("customers"),
        sub: String::from("somebody"),
        claims: [(String::from("country"), Value::from(country))].into(),
    };
    let token = engine::token(run, &token).ok_or_else(|| Trouble::new("no such issuer"))?;
    Ok(format!("Bearer {token}"))
}

fn request(method: &str, token: &str) -> RawRequest {
    RawRequest {
        method: method.to_owned(),
        target: b"/customers/7".to_vec(),
        headers: vec![(b"host".to_vec(), HOST.into()), (b"authorization".to_vec(), token.into())],
        body: Vec::new(),
    }
}

async fn start() -> Result<Regions, Trouble> {
    Regions::start_of(&scenario("redacted")?, &WorldState::default()).await
}

/// Sends the request for a form of response.
async fn receive(regions: &Regions, token: &str, form: &Form) -> Result<Received, Trouble> {
    let set_cookie = format!("set-cookie=session={NAME}");
    let mut request = request(form.method, token).header("echo-header", set_cookie);
    for (name, value) in &form.asked {
        request = request.header(*name, value.as_str());
    }
    let edge = regions.edge(REGION)?;
    Ok(if form.http2 {
        client::receive_http2(edge, &request, LIMIT).await?
    } else {
        client::receive_from(edge, &request, LIMIT).await?
    })
}

/// An account of every form that does not come out as it must.
async fn judge(regions: &Regions, holds: bool) -> Result<String, Trouble> {
    let token = token(&regions.run, "JP")?;
    let search = search();
    let mut account = String::new();
    // What the search finds nothing of is there: whoever may see it gets it.
    let others = self::token(&regions.run, "TW")?;
    let seen = receive(regions, &others, &Form::new("", Sees::Redacted).items(9)).await?;
    if search.find("the wire", &seen.wire).len() < 3 {
        account.push_str("the search does not find what is there\n");
    }
    for form in forms() {
        let Received { response, is_cut, wire } = receive(regions, &token, &form).await?;
        let mut leaks = search.find("the wire", &wire);
        for (name, value) in response.headers.iter().chain(&response.trailers) {
            leaks.extend(search.find(name, value));
        }
        let header = |name: &str| response.header(name).map(String::from_utf8_lossy);
        let seen = (response.status, is_cut, header("x-meshfence-reason").is_some());
        let has_body = !response.body.is_empty();
        let is_refused = seen == (502, false, true);
        let fits = match form.sees {
            Sees::Redacted => {
                // A form that asks for no other status gets 200.
                let asked = form.asked.iter().find(|(name, _)| *name == "echo-status");
                let asked = asked.and_then(|(_, status)| status.parse().ok()).unwrap_or(200);
                let is_json = serde_json::from_slice::<Value>(&response.body).is_ok();
                seen == (asked, false, false) && is_json && header("x-meshfence-redacted").is_some()
            }
            Sees::Nothing(asked) => seen == (asked, false, false) && !has_body,
            Sees::Refused => is_refused,
            Sees::RefusedOrCut if holds => is_refused,
            Sees::RefusedOrCut => (is_cut, has_body) == (true, false),
        };
        if !fits || !leaks.is_empty() {
            // Writing into a String cannot fail.
            let _ = writeln!(
                account,
                "{}: {:?}, but {seen:?}, {} bytes {leaks:?}",
                form.name,
                form.sees,
                response.body.len()
            );
        }
    }
    Ok(account)
}

/// With Envoy's flag for it, headers wait for the body: whatever cannot be redacted is a 502.
#[tokio::test]
async fn nothing_that_is_redacted_leaves_in_any_form() -> Check {
    let regions = start().await?;
    let account = judge(&regions, true).await?;
    regions.stop_untrapped(REGION, account).await
}

/// Without the flag, as in Istio, headers leave before the body is read.
#[tokio::test]
async fn nothing_leaves_without_the_flag_either() -> Check {
    let mut regions = start().await?;
    for role in [Role::Edge, Role::Inbound] {
        let file = regions.run.mesh().run_dir().path().join("plugin");
        let text = std::fs::read_to_string(file.join(render::plugin_file(REGION, role)))?;
        let mut without = text.clone();
        for flag in ["allow_on_headers_stop_iteration: ", "\"holdsResponseHeaders\": "] {
            if !without.contains(&format!("{flag}true")) {
                return Err(Trouble::new(format!("no `{flag}true` in {text}")));
            }
            without = without.replace(&format!("{flag}true"), &format!("{flag}false"));
        }
        let pushed = regions.run.push_file(REGION, role, without).await?;
        if pushed == Push::Refused {
            return Err(Trouble::new(format!("Envoy refuses {role} without the flag")));
        }
    }
    let account = judge(&regions, false).await?;
    regions.stop_untrapped(REGION, account).await
}

/// The first piece of a response is with the client while the application still holds the second one.
#[tokio::test]
async fn what_is_not_redacted_is_not_held_back() -> Check {
    let regions = start().await?;
    let application = regions.application(REGION)?;
    let mut account = String::new();
    for (what, country, path) in
        [("another's", "TW", "/customers/7"), ("nobody's", "JP", "/products/7")]
    {
        let token = token(&regions.run, country)?;
        let mut stream = TcpStream::connect(regions.edge(REGION)?).await?;
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: {HOST}\r\nauthorization: {token}\r\n\
             echo-body: first-other\r\necho-hold-body: {country}\r\nconnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await?;
        let mut wire = Vec::new();
        let mut receive = async |text: &str| {
            let reached = async {
                while !wire.windows(text.len()).any(|part| part == text.as_bytes()) {
                    if stream.read_buf(&mut wire).await? == 0 {
                        let wire = String::from_utf8_lossy(&wire);
                        return Err(Trouble::new(format!("{what}: no `{text}` in: {wire}")));
                    }
                }
                Ok(())
            };
            let late = |_| Trouble::new(format!("{what}: `{text}` does not arrive"));
            tokio::time::timeout(LIMIT, reached).await.map_err(late)?
        };
        if let Err(trouble) = receive("first").await {
            // Writing into a String cannot fail.
            let _ = writeln!(account, "{trouble}");
            continue;
        }
        until("the application holds the rest", async || {
            let held = RawRequest::new("GET", format!("/_echo/held?key={country}"));
            (send(application, &held).await.ok()?.text() == r#"{"held":1}"#).then_some(())
        })
        .await?;
        let release = RawRequest::new("POST", format!("/_echo/release?key={country}"));
        send(application, &release).await?;
        if let Err(trouble) = receive("other").await {
            let _ = writeln!(account, "{trouble}");
        }
    }
    let log = regions.envoy_log(REGION)?;
    account += &traps(&log).join("\n");
    regions.stop().await;
    Trouble::unless_empty(&account)
}
