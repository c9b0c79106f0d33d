//! No personal value and no secret is anywhere but where it belongs: everything that a run leaves
//! behind is searched for what was sent through it.
//!
//! Where secrets may be, and are: the environment of the Envoys (what proxies sign with), the files
//! of a run with the issuer's and the certificates' private keys, the application, and the response
//! to whoever may see it. And a caller's own words where Envoy itself repeats them to that caller:
//! `jwt_authn` names the URL of the request in `www-authenticate`. A request that Envoy refuses for
//! its path, before it gives it an id of its own, is logged with the id that the caller gave it.
#![cfg(target_os = "linux")]

use guard::issue::{self, Session};
use local_mesh::Part;
use local_mesh::client::{self, RawRequest, RawResponse, Received};
use meshfence::engine::{Engine, Outcome, Play, envoy as engine, native::Native};
use meshfence::policy_set;
use meshfence::report::{self, Report};
use policy_core::{Country, PrincipalKind, Role};
use policy_doc::{Case, TestToken, WorldState};
use serde_json::Value;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use suite::{At, Check, LIMIT, Regions, Search, Secret, Trouble, meshfence_binary, scenario, send};
use tokio::process::Command;

const HOST: &str = "redacted.example";
const REGIONS: [&str; 2] = ["taiwan", "tokyo"];

const SUB: &str = "customer-7f3a91c4";
const OTHER_SUB: &str = "customer-b2e60d15";
const MAIL: &str = "hanako.yamada+shop@mail.example";
const NAME: &str = "山田 \"Hanako\" Yamada";
const ASCII_NAME: &str = "Hanako-Yamada";
const PHONE: &str = "+81-90-1234-5678";
const CARD: &str = "4111111111111111";
const API_KEY: &str = "sk_live_51HxQ9secret";
const SESSION: &str = "c2Vzc2lvbi1vZi1oYW5ha28";
/// Invalid, but still somebody's.
const FORGED_TOKEN: &str =
    "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJmb3JnZWQtMDA0MiJ9.Zm9yZ2VkLXNpZ25hdHVyZQ";

/// The values that requests bring, and what they are.
const VALUES: [(&str, &str); 10] = [
    ("the id of a subject", SUB),
    ("the id of another subject", OTHER_SUB),
    ("an address", MAIL),
    ("a name", NAME),
    ("a name in ASCII", ASCII_NAME),
    ("a telephone number", PHONE),
    ("a card number", CARD),
    ("an API key", API_KEY),
    ("a session", SESSION),
    ("a forged token", FORGED_TOKEN),
];

/// A request that Envoy refuses for its path.
const ESCAPED: &str = "escaped";

/// What the run itself keeps secret, and where that is.
struct Keys {
    secrets: Vec<Secret>,
    /// The places where they may be.
    places: Vec<PathBuf>,
    /// What every region signs with.
    signing: String,
}

/// The lines of every private key in a text, but for the last one of each: that is all of its public
/// half, which certificates have too.
fn key_lines(text: &str) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut is_inside = false;
    for line in text.lines().map(str::trim) {
        if line.contains("PRIVATE KEY") {
            is_inside = line.contains("BEGIN");
            if !is_inside {
                lines.pop();
            }
        } else if is_inside {
            lines.push(line);
        }
    }
    lines
}

impl Keys {
    fn of(regions: &Regions) -> Result<Self, Trouble> {
        let (mut secrets, mut places) = (Vec::new(), Vec::new());
        let mut signing = String::new();
        for file in files(regions.run.mesh().run_dir().path())? {
            let text = String::from_utf8_lossy(&std::fs::read(&file)?).into_owned();
            let lines = key_lines(&text);
            if !lines.is_empty() {
                let what = format!("a key in {}", file.display());
                secrets.extend(lines.iter().map(|line| Secret::new(&what, line)));
                places.push(file);
            }
        }
        let envoys =
            regions.run.mesh().pids().into_iter().filter(|(_, part, _)| *part == Part::Envoy);
        for (region, _, pid) in envoys {
            let environment = PathBuf::from(format!("/proc/{pid}/environ"));
            let bytes = std::fs::read(&environment)?;
            let text = String::from_utf8_lossy(&bytes);
            for variable in text.split('\0').filter(|text| text.starts_with("MESHFENCE_")) {
                let (name, value) = variable.split_once('=').unwrap_or_default();
                secrets.push(Secret::new(format!("{name} of {region}"), value));
                value.clone_into(&mut signing);
            }
            places.push(environment);
        }
        // The issuer's, and for each region one of what it shows; what each Envoy signs with.
        if places.len() < 5 || secrets.len() < places.len() {
            return Err(Trouble::new(format!("keys are only at {places:?}")));
        }
        Ok(Self { secrets, places, signing })
    }
}

/// Every file in a directory, however deep.
fn files(directory: &Path) -> Result<Vec<PathBuf>, Trouble> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else if path.is_file() {
            found.push(path);
        }
    }
    Ok(found)
}

/// The value of an `authorization` header.
fn token(regions: &Regions, sub: &str, country: &str) -> Result<String, Trouble> {
    let claim = |name: &str, value: &str| (name.to_owned(), Value::from(value));
    let token = TestToken {
        issuer: String::from("customers"),
        sub: sub.to_owned(),
        claims: [claim("country", country), claim("email", MAIL), claim("name", NAME)].into(),
    };
    let token = engine::token(&regions.run, &token).ok_or_else(|| Trouble::new("no issuer"))?;
    Ok(format!("Bearer {token}"))
}

/// A session as a service of the mesh would sign it.
fn session(signing: &str) -> Result<String, Trouble> {
    let trouble = || Trouble::new("no session can be signed");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let session = Session {
        key: "k1",
        expiry_s: now.as_secs() + 3_600,
        country: Country::parse(b"JP"),
        kind: PrincipalKind::Customer,
        pseudonym: issue::pseudonym(SUB.as_bytes(), signing.as_bytes()).ok_or_else(trouble)?,
    };
    issue::session(&session, signing.as_bytes()).ok_or_else(trouble)
}

/// A request with something of everybody's in all its parts.
fn loaded(method: &str, path: &str, authorization: Option<&str>) -> RawRequest {
    let query = "mail=hanako.yamada%2Bshop@mail.example&card=4111111111111111";
    let mut request = RawRequest {
        method: method.to_owned(),
        target: format!("{path}?{query}").into_bytes(),
        headers: vec![(b"host".to_vec(), HOST.into())],
        body: Vec::new(),
    };
    if let Some(authorization) = authorization {
        request = request.header("authorization", authorization);
    }
    request = request
        .header("cookie", format!("session={SESSION}"))
        .header("meshfence-lock", API_KEY)
        .header("x-user-mail", MAIL)
        .header("traceparent", ASCII_NAME)
        .header("baggage", format!("user={MAIL}"))
        .header("x-meshfence-whatever", MAIL);
    if method == "POST" { request.body(personal()) } else { request }
}

/// What only a caller that is not believed may send: the names of a request and of a subject are for
/// those inside to choose.
fn from_outside(request: RawRequest) -> RawRequest {
    request
        .header("x-request-id", SUB)
        .header("x-meshfence-subject", format!("JP;p={SUB}"))
        .header("x-meshfence-sig", format!("k1;t=1;s={SESSION};v={API_KEY}"))
}

fn unnamed(mut request: RawRequest) -> RawRequest {
    request.headers.retain(|(name, _)| name != b"x-request-id");
    request
}

/// A document that has all of it.
fn personal() -> String {
    serde_json::json!({
        "name": NAME,
        "customer": {"email": MAIL},
        "phone": PHONE,
        "cards": [{"pan": CARD, "holder": ASCII_NAME}],
    })
    .to_string()
}

/// A request and what is searched of what comes back.
struct Sent {
    what: &'static str,
    at: At,
    request: RawRequest,
    searched: Searched,
    http2: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Searched {
    /// Everything: it is a refusal.
    Refusal,
    /// Nothing: it is whoever's it is.
    Theirs,
    /// The headers that were written on the way to the application, which tells them.
    Told,
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn requests(regions: &Regions, session: &str) -> Result<Vec<Sent>, Trouble> {
    use Searched::{Refusal, Theirs, Told};

    let (japan, taiwan) = (token(regions, SUB, "JP")?, token(regions, OTHER_SUB, "TW")?);
    let nowhere = token(regions, SUB, "nowhere")?;
    let peer = |id: &str, by: &str| {
        regions.run.certificates().issue(by, &[id], meshfence::Validity::Usual)
    };
    let tokyo = peer("spiffe://tokyo.redacted/peer", "tokyo")?;
    let gateway = peer("spiffe://taiwan.redacted/peer", "taiwan")?;
    let at = |role| At { region: "taiwan", role, shown: None };
    let edge = || At::edge("taiwan");
    let own = |method: &str, path: &str, token: &str| loaded(method, path, Some(token));
    let body = |request: RawRequest| request.header("echo-body", "request").body(personal());
    let customer = format!("/customers/{ASCII_NAME}");
    let mut sent = Vec::new();
    let mut add = |what, at: At, request: RawRequest, searched, http2| {
        let request = if at.role == Role::Edge { from_outside(request) } else { request };
        let request = if what == ESCAPED { unnamed(request) } else { request };
        sent.push(Sent { what, at, request, searched, http2 });
    };
    add("whole", edge(), body(own("GET", &customer, &taiwan)), Theirs, false);
    add("written", edge(), body(own("POST", &customer, &taiwan)), Theirs, false);
    add("told", edge(), own("GET", &customer, &taiwan), Told, false);
    add("told elsewhere", edge(), own("GET", "/visits/1", &japan), Told, false);
    add(
        "told to a peer",
        At { shown: Some(tokyo.clone()), ..at(Role::Peer) },
        loaded("GET", "/products/1", None).header("x-meshfence-via", "tokyo"),
        Told,
        false,
    );
    add(
        "told to a workload",
        At { shown: Some(gateway), ..at(Role::Inbound) },
        loaded("GET", "/products/1", None),
        Told,
        false,
    );
    add("told on the way out", at(Role::Outbound), own("GET", "/visits/1", &japan), Told, false);
    add("a write abroad", edge(), own("POST", &customer, &japan), Refusal, false);
    add("nobody", edge(), loaded("GET", &customer, None), Refusal, false);
    add("from nowhere", edge(), own("GET", &customer, &nowhere), Refusal, false);
    add("unmatched", edge(), own("GET", &format!("/nothing/{ASCII_NAME}"), &japan), Refusal, false);
    add(
        "malformed",
        edge(),
        own("GET", &format!("/customers/a;{ASCII_NAME}"), &japan),
        Refusal,
        false,
    );
    add(
        ESCAPED,
        edge(),
        own("GET", &format!("/customers/a%2f{ASCII_NAME}"), &japan),
        Refusal,
        false,
    );
    add("a method of its own", edge(), own(ASCII_NAME, &customer, &japan), Refusal, false);
    add("a method of its own, HTTP/2", edge(), own(ASCII_NAME, &customer, &japan), Refusal, true);
    add(
        "another host",
        edge(),
        RawRequest {
            headers: vec![(b"host".to_vec(), b"hanako-yamada.example".to_vec())],
            ..RawRequest::new("GET", customer.as_str())
        },
        Refusal,
        false,
    );
    add(
        "a forged token",
        edge(),
        loaded("GET", "/customers/7", Some(&format!("Bearer {FORGED_TOKEN}"))),
        Refusal,
        false,
    );
    add(
        "a token in capitals",
        edge(),
        loaded("GET", "/customers/7", Some(&format!("Basic {API_KEY}"))),
        Refusal,
        false,
    );
    add(
        "a call",
        edge(),
        own("POST", &customer, &japan).header("content-type", "application/grpc"),
        Refusal,
        true,
    );
    add(
        "no JSON",
        edge(),
        body(own("GET", &customer, &japan)).header("echo-content-type", "text/html"),
        Refusal,
        false,
    );
    add(
        "no JSON in the end",
        edge(),
        own("GET", &customer, &japan).header("echo-body", format!("{{\"name\": \"{ASCII_NAME}\"")),
        Refusal,
        false,
    );
    let by = |name: &str, value: &str| loaded("GET", &customer, None).header(name, value);
    add("by session", edge(), by("meshfence-session", session), Told, false);
    add("by session elsewhere", edge(), by("meshfence-session", session), Told, true);
    add("a session that is none", edge(), by("meshfence-session", SESSION), Refusal, false);
    add("by key", edge(), by("x-api-key", API_KEY), Told, false);
    add("an unknown key", edge(), by("x-api-key", &format!("{API_KEY}{SESSION}")), Refusal, false);
    let both = own("GET", &customer, &taiwan).header("x-api-key", API_KEY);
    add("by both", edge(), both, Told, false);
    add(
        "redacted",
        edge(),
        body(own("GET", "/accounts/7", &japan))
            .header("echo-header", format!("set-cookie=session={SESSION}")),
        Refusal,
        false,
    );
    add(
        "redacted, trailers",
        edge(),
        body(own("GET", "/accounts/7", &japan))
            .header("echo-trailer", format!("x-user-mail={MAIL}")),
        Refusal,
        true,
    );
    add(
        "a stranger",
        At { shown: Some(peer("spiffe://tokyo.redacted/other", "tokyo")?), ..at(Role::Peer) },
        loaded("GET", "/customers/7", None),
        Refusal,
        false,
    );
    add(
        "too far",
        At { shown: Some(tokyo), ..at(Role::Peer) },
        loaded("GET", "/customers/7", None).header("x-meshfence-via", format!("taiwan, {SUB}")),
        Refusal,
        false,
    );
    Ok(sent)
}

async fn exchange(regions: &Regions, sent: &Sent) -> Result<Received, Trouble> {
    let At { region, role, shown } = &sent.at;
    let address = regions.run.address(region, *role).ok_or_else(|| Trouble::new("no listener"))?;
    let plain = matches!(role, Role::Edge | Role::Outbound);
    let received = match (plain, sent.http2) {
        (true, false) => client::receive_from(address, &sent.request, LIMIT).await,
        (true, true) => client::receive_http2(address, &sent.request, LIMIT).await,
        (false, _) => {
            regions
                .run
                .client(region, shown.as_ref())?
                .receive_from(address, &sent.request, LIMIT)
                .await
        }
    };
    received.map_err(|error| Trouble::new(format!("{}: {error}", sent.what)))
}

/// What is wrong with what came back.
fn judge(sent: &Sent, received: &Received, search: &Search) -> Vec<String> {
    let RawResponse { status, headers, body, trailers } = &received.response;
    let what = sent.what;
    let mut found = Vec::new();
    match sent.searched {
        Searched::Theirs => {
            if search.find(what, body).is_empty() {
                found.push(format!(
                    "{what}: {status}, and nothing to search: {}",
                    received.response.text()
                ));
            }
        }
        Searched::Refusal => {
            found.extend(search.find(what, body));
            let named = headers.iter().filter(|(name, _)| *name != "www-authenticate");
            for (name, value) in named.chain(trailers) {
                found.extend(search.find(&format!("{what}, header {name}"), value));
            }
        }
        Searched::Told => {
            let told: Value = serde_json::from_slice(body).unwrap_or_default();
            let told = told.get("headers").and_then(Value::as_array);
            let own: Vec<&[u8]> = sent.request.headers.iter().map(|(name, _)| &**name).collect();
            if told.is_none() {
                found.push(format!("{what}: {status}, and nothing is told"));
            }
            for pair in told.into_iter().flatten() {
                let part =
                    |number: usize| pair.get(number).and_then(Value::as_str).unwrap_or_default();
                // What is the caller's own to say goes on as it is; words of the mesh never are.
                if part(0).starts_with("x-meshfence-") || !own.contains(&part(0).as_bytes()) {
                    found.extend(
                        search.find(&format!("{what}, told {}", part(0)), part(1).as_bytes()),
                    );
                }
            }
        }
    }
    found
}

const TESTS: &str = "\
apiVersion: meshfence.dev/v1alpha1
kind: PolicyTest
metadata: {name: secrets}
spec:
  defaults: {at: {region: taiwan}, request: {path: /customers/7}}
  callers:
    hana: {issuer: customers, sub: customer-7f3a91c4, claims: {country: JP, email: hanako.yamada+shop@mail.example}}
    mei: {issuer: customers, sub: customer-b2e60d15, claims: {country: TW, email: hanako.yamada+shop@mail.example}}
  cases:
    - {name: as expected, caller: mei, expect: {status: 200}}
    - {name: not as expected, matrix: {caller: [hana, mei, anonymous]}, expect: {status: 418, body: {is: nothing}, record: {reason: none}}}
";

/// What the command says of tests, in every form.
async fn reports(regions: &mut Regions) -> Result<Vec<(String, String)>, Trouble> {
    let file = tempfile::Builder::new().suffix(".yaml").tempfile()?;
    std::fs::write(file.path(), TESTS)?;
    let set = scenario("redacted")?;
    let test = policy_set::test_file(&set, file.path())?;
    let cases: Vec<&Case> = test.cases.iter().collect();
    let seen = engine::play(&mut regions.run, &cases, &mut |_| {}).await?;
    let mut native = Native::new(&set);
    let outcomes = cases.iter().zip(seen).map(|(case, (seen, took))| {
        let here = Play::new(Engine::Native, case, native.play(case), Duration::ZERO);
        let there = Play::new(Engine::Envoy, case, seen, took);
        Outcome { file: test.file.clone(), case: Case::clone(case), plays: vec![here, there] }
    });
    let report = Report {
        set: set.name.clone(),
        hash: set.hash().to_owned(),
        engines: vec![(Engine::Native, String::new()), (Engine::Envoy, String::new())],
        outcomes: outcomes.collect(),
    };
    if report.count() != (1, 3) {
        return Err(Trouble::new(report::pretty(&report, true)));
    }
    Ok(vec![
        (String::from("the report for people"), report::pretty(&report, true)),
        (String::from("the report as a table"), report::table(&report, None)),
        (String::from("the report as JSON"), report::json(&report)),
        (String::from("the report as JUnit"), report::junit(&report)),
    ])
}

/// What the command says of the logs, in either form.
async fn told(regions: &Regions) -> Result<Vec<(String, Vec<u8>)>, Trouble> {
    let mut told = Vec::new();
    for region in REGIONS {
        let log = regions.access_log(region).display().to_string();
        let set = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios/redacted");
        for arguments in [
            &["audit", "verify", &log][..],
            &["explain", set, "--from-log", &log],
            &["replay", "--log", &log, "--candidate", set],
        ] {
            for format in ["human", "json"] {
                let mut command = Command::new(meshfence_binary()?);
                command.args(arguments).args(["--format", format]).kill_on_drop(true);
                let output = tokio::time::timeout(LIMIT, command.output()).await;
                let output = output.map_err(|_| Trouble::new("no end of a command"))??;
                let name = format!("{} of {region} as {format}", arguments.join(" "));
                let is_sound = arguments.first() != Some(&"audit") || output.status.success();
                if output.stdout.is_empty() || !is_sound {
                    let error = String::from_utf8_lossy(&output.stderr);
                    return Err(Trouble::new(format!(
                        "{name} ends with {}: {error}",
                        output.status
                    )));
                }
                told.push((name, [output.stdout, output.stderr].concat()));
            }
        }
    }
    Ok(told)
}

#[tokio::test]
async fn nothing_is_anywhere_but_where_it_belongs() -> Check {
    let mut regions = Regions::start_of(&scenario("redacted")?, &WorldState::default()).await?;
    let keys = Keys::of(&regions)?;
    let mut secrets: Vec<Secret> =
        VALUES.iter().map(|(what, value)| Secret::new(*what, value)).collect();
    for (what, sub, country) in [("a token", SUB, "JP"), ("another token", OTHER_SUB, "TW")] {
        let token = token(&regions, sub, country)?;
        // Another one is made each time; what says whose it is stays the same.
        let payload = token.split('.').nth(1).unwrap_or_default();
        secrets.push(Secret::new(what, payload.get(..40).unwrap_or(payload)));
    }
    let session = session(&keys.signing)?;
    secrets.push(Secret::new("a signed session", &session));
    secrets.extend(keys.secrets);
    let search = Search::new(secrets);
    let mut account: Vec<String> = Vec::new();
    // A search that finds nothing where something is would find nothing anywhere.
    for place in &keys.places {
        if search.find("", &std::fs::read(place)?).is_empty() {
            account.push(format!("no key is found in {}", place.display()));
        }
    }
    for sent in requests(&regions, &session)? {
        let received = exchange(&regions, &sent).await?;
        account.extend(judge(&sent, &received, &search));
    }
    for (name, text) in reports(&mut regions).await? {
        account.extend(search.find(&name, text.as_bytes()));
    }
    for region in REGIONS {
        for path in [
            "/stats",
            "/stats/prometheus",
            "/config_dump?include_eds",
            "/clusters",
            "/certs",
            "/listeners",
            "/server_info",
            "/init_dump",
            "/runtime",
            "/memory",
        ] {
            let response = send(regions.admin(region)?, &RawRequest::new("GET", path)).await?;
            account.extend(search.find(&format!("{path} of {region}"), &response.body));
        }
    }
    regions.quiet().await?;
    for (name, text) in told(&regions).await? {
        account.extend(search.find(&name, &text));
    }
    let mut searched = 0;
    for file in files(regions.run.mesh().run_dir().path())? {
        if !keys.places.contains(&file) {
            account.extend(search.find(&file.display().to_string(), &std::fs::read(&file)?));
            searched += 1;
        }
    }
    println!("{} secrets, {searched} files", search.secrets().len());
    regions.stop().await;
    let mut text = String::new();
    for line in &account {
        // Writing into a String cannot fail.
        let _ = writeln!(text, "{line}");
    }
    Trouble::unless_empty(&text)
}
