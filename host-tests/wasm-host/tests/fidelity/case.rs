//! A case: what a host is asked for, and what Envoy showed.
//!
//! One file is one case. One that ends in `.wat` is a guest in the text format of WebAssembly, and
//! before it, in comments that begin with `;;! `, TOML with the fields of [`Case`]. One that ends in
//! `.toml` is that TOML alone; its guest is one of those in Rust, the crate `guests`, by the root id
//! of each plugin.
//!
//! ```text
//! ;;! title = "A header is found by its first value alone"
//! ;;! [[request]]
//! ;;! headers = ["a: 1", "a: 2"]
//! ;;! [expect]
//! ;;! log = ["info: a: Ok 1"]
//! (module (; prelude ;) (func (export "proxy_on_request_headers") ...))
//! ```
//!
//! Every request is an HTTP/1.1 connection of its own. What the client and the upstreams send is
//! read piece by piece: a piece of a body is one call of the guest. A body in HTTP/1.1 ends with an
//! empty piece, for until then the proxy cannot know that it has ended.

use crate::{guest, shown::Shown};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The cluster that requests go to unless a route says otherwise.
pub(crate) const UPSTREAM: &str = "upstream";
/// What `Host` says unless a request says otherwise.
pub(crate) const HOST: &str = "fidelity.example";
const FRONT: &str = ";;!";

/// One case.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    /// The name of its file.
    #[serde(skip)]
    pub(crate) name: String,
    /// Its text.
    #[serde(skip)]
    pub(crate) text: String,
    /// What it is written in.
    #[serde(skip)]
    pub(crate) written: Written,
    /// What the host does, in a sentence.
    pub(crate) title: String,
    /// Why that is worth a case, or where other versions differ.
    #[serde(default)]
    pub(crate) why: String,
    /// Why this cannot be played on an Envoy; what is expected is then our own.
    #[serde(default)]
    pub(crate) host_only: String,
    /// Worker threads.
    #[serde(default = "one")]
    pub(crate) workers: u32,
    /// What the host logs of guests at least.
    #[serde(default)]
    pub(crate) log_level: LogLevel,
    /// A filter before the plugins answers 403 to a request with this header.
    #[serde(default)]
    pub(crate) denied: String,
    /// How names of metrics are taken apart.
    #[serde(default)]
    pub(crate) stats_tag: Vec<StatsTag>,
    /// The filters with this guest, in the order of requests; one with defaults if there are none.
    #[serde(default)]
    pub(crate) plugin: Vec<Plugin>,
    /// The first that matches; all to [`UPSTREAM`] if there are none.
    #[serde(default)]
    pub(crate) route: Vec<Route>,
    /// What clusters answer; [`UPSTREAM`] is always there.
    #[serde(default)]
    pub(crate) cluster: BTreeMap<String, Cluster>,
    /// One after the other.
    #[serde(default)]
    pub(crate) request: Vec<Request>,
    /// What has to be in the log before the case is over, as often as it stands here.
    #[serde(default)]
    pub(crate) until: Vec<String>,
    /// What Envoy showed.
    #[serde(default)]
    pub(crate) expect: Shown,
    /// What `wasm-host` shows instead.
    #[serde(default)]
    pub(crate) differs: Option<Differs>,
}

/// What a case is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Written {
    /// Comments before a guest.
    #[default]
    Wat,
    /// TOML, and the guests in Rust.
    Toml,
}

/// A difference that is meant.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Differs {
    /// Why it is right, or cannot be helped.
    pub(crate) why: String,
    /// What is shown.
    pub(crate) expect: Shown,
}

/// A level of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LogLevel {
    Trace,
    Debug,
    #[default]
    Info,
    Warn,
    Error,
    Critical,
}

/// A part of a metric's name that becomes a tag.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StatsTag {
    /// The tag.
    pub(crate) name: String,
    /// Its first group is taken out of the name, its second or else first is the value.
    pub(crate) regex: String,
}

/// A filter.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Plugin {
    /// Its name.
    pub(crate) name: String,
    /// Its root's id.
    pub(crate) root_id: String,
    /// Its VM's id.
    pub(crate) vm_id: String,
    /// Its configuration.
    pub(crate) configuration: String,
    /// Its VM's configuration.
    pub(crate) vm_configuration: String,
    /// Its VM's environment.
    pub(crate) env: BTreeMap<String, String>,
    /// What becomes of requests when its VM has failed.
    pub(crate) failure_policy: FailurePolicy,
    /// Whether `Pause` on headers lets the body come.
    pub(crate) allow_on_headers_stop_iteration: bool,
}

/// What becomes of requests when a VM has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FailurePolicy {
    /// They are refused.
    #[default]
    Closed,
    /// They pass by the filter.
    Open,
    /// There is a new VM, after a while.
    Reload,
}

/// A route.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Route {
    /// Its name.
    pub(crate) name: String,
    /// What paths begin with.
    pub(crate) prefix: String,
    /// `name: value` of a header that has to be there.
    pub(crate) header: String,
    /// Where it leads to.
    pub(crate) cluster: String,
    /// Or what is answered.
    pub(crate) direct: Option<u16>,
}

/// What a cluster's one host answers, whatever it is asked.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Cluster {
    /// The status.
    pub(crate) status: u16,
    /// Further headers, `name: value`. With a `content-length` the body is not chunked.
    pub(crate) headers: Vec<String>,
    /// The body, by pieces.
    pub(crate) body: Vec<Piece>,
    /// Trailers, `name: value`.
    pub(crate) trailers: Vec<String>,
    /// It answers when the log has this.
    pub(crate) after: String,
    /// What goes wrong.
    pub(crate) failure: Option<Failure>,
}

/// What goes wrong at an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Failure {
    /// Nobody listens.
    Refused,
    /// The connection is closed when the request has come.
    Reset,
    /// The connection is closed after the pieces of the body, which is not complete.
    Cut,
    /// Nothing is ever answered.
    Silent,
}

/// A piece of a body.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(crate) enum Piece {
    /// As it stands.
    Text(String),
    /// Many times the same.
    Repeated {
        /// What is repeated.
        repeat: String,
        /// How often.
        times: usize,
    },
}

/// A request.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Request {
    /// The method.
    pub(crate) method: String,
    /// The path.
    pub(crate) path: String,
    /// Headers, `name: value`; `host` is [`HOST`] if it is not among them.
    pub(crate) headers: Vec<String>,
    /// The body, by pieces; chunked unless there is a `content-length`.
    pub(crate) body: Vec<Piece>,
    /// Trailers, `name: value`.
    pub(crate) trailers: Vec<String>,
    /// It is sent when the log has this.
    pub(crate) after: String,
    /// It is sent when upstreams have sent so many answers.
    pub(crate) after_answers: usize,
    /// The next one does not wait for its answer, only until its body has been sent.
    pub(crate) background: bool,
    /// The same, and its client goes away when all others have been answered.
    pub(crate) abandon: bool,
    /// The client goes away when the log has this.
    pub(crate) leave: String,
    /// It is sent again until it is answered so; other answers do not count. 0 is any.
    pub(crate) until_status: u16,
}

fn one() -> u32 {
    1
}

// === defaults ===

impl Default for Plugin {
    fn default() -> Self {
        Self {
            name: "guest".to_owned(),
            root_id: String::new(),
            vm_id: String::new(),
            configuration: String::new(),
            vm_configuration: String::new(),
            env: BTreeMap::new(),
            failure_policy: FailurePolicy::Closed,
            allow_on_headers_stop_iteration: false,
        }
    }
}

impl Default for Route {
    fn default() -> Self {
        Self {
            name: String::new(),
            prefix: "/".to_owned(),
            header: String::new(),
            cluster: UPSTREAM.to_owned(),
            direct: None,
        }
    }
}

impl Default for Cluster {
    fn default() -> Self {
        Self {
            status: 200,
            headers: Vec::new(),
            body: vec![Piece::Text("hello".to_owned())],
            trailers: Vec::new(),
            after: String::new(),
            failure: None,
        }
    }
}

impl Default for Request {
    fn default() -> Self {
        Self {
            method: "GET".to_owned(),
            path: "/".to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
            trailers: Vec::new(),
            after: String::new(),
            after_answers: 0,
            background: false,
            abandon: false,
            leave: String::new(),
            until_status: 0,
        }
    }
}

// === impl Written ===

impl Written {
    /// How a name of such a file ends.
    pub(crate) fn extension(self) -> &'static str {
        match self {
            Self::Wat => "wat",
            Self::Toml => "toml",
        }
    }
}

// === impl Piece ===

impl Piece {
    /// Its bytes.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Text(text) => text.as_bytes().to_vec(),
            Self::Repeated { repeat, times } => repeat.repeat(*times).into_bytes(),
        }
    }
}

// === impl Case ===

impl Case {
    /// The case of a file's name and text.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn parse(name: &str, written: Written, text: &str) -> Result<Self, String> {
        let front: String = match written {
            Written::Toml => text.to_owned(),
            Written::Wat => text
                .lines()
                .map_while(|line| line.strip_prefix(FRONT))
                .flat_map(|line| [line.strip_prefix(' ').unwrap_or(line), "\n"])
                .collect(),
        };
        let mut case: Self = toml::from_str(&front).map_err(|error| format!("{name}: {error}"))?;
        name.clone_into(&mut case.name);
        text.clone_into(&mut case.text);
        case.written = written;
        if case.plugin.is_empty() {
            case.plugin.push(Plugin::default());
        }
        if case.route.is_empty() {
            case.route.push(Route { name: "all".to_owned(), ..Route::default() });
        }
        case.cluster.entry(UPSTREAM.to_owned()).or_default();
        case.check().map_err(|why| format!("{name}: {why}"))?;
        Ok(case)
    }

    fn check(&self) -> Result<(), String> {
        if let Some(Differs { why, expect }) = &self.differs
            && (why.is_empty() || *expect == self.expect)
        {
            return Err("`differs` has no difference or no reason".to_owned());
        }
        let routes = self.route.iter().filter(|route| route.direct.is_none());
        for route in routes {
            if !self.cluster.contains_key(&route.cluster) {
                return Err(format!("no cluster `{}`", route.cluster));
            }
        }
        let requests = self.request.iter().flat_map(|r| [&r.headers, &r.trailers]);
        let clusters = self.cluster.values().flat_map(|c| [&c.headers, &c.trailers]);
        let headers = requests.chain(clusters).flatten();
        let all = headers.chain(self.route.iter().map(|r| &r.header).filter(|h| !h.is_empty()));
        for header in all {
            if !header.contains(": ") {
                return Err(format!("`{header}` is no header"));
            }
        }
        Ok(())
    }

    /// The module of the guest.
    ///
    /// # Errors
    /// What the assembler says.
    pub(crate) fn module(&self) -> Result<Vec<u8>, String> {
        match self.written {
            Written::Toml => Ok(guests::WASM.to_vec()),
            Written::Wat => {
                guest::assemble(&self.text).map_err(|error| format!("{}: {error}", self.name))
            }
        }
    }
}

/// Where the cases are, seen from a crate that lies beside this one.
pub(crate) fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../wasm-host/tests/fidelity/cases")
}

/// Every case, by name.
///
/// # Errors
/// What is wrong with one of them.
pub(crate) fn load() -> Result<Vec<Case>, String> {
    let failed = |error: std::io::Error| format!("cases: {error}");
    let mut cases = Vec::new();
    for entry in std::fs::read_dir(directory()).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let Some(name) = path.file_stem().and_then(|name| name.to_str()) else { continue };
        let known = [Written::Wat, Written::Toml].into_iter();
        let mut known =
            known.filter(|written| path.extension() == Some(written.extension().as_ref()));
        let Some(written) = known.next() else { continue };
        let text = std::fs::read_to_string(&path).map_err(failed)?;
        cases.push(Case::parse(name, written, &text)?);
    }
    cases.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(cases)
}

/// Name and value of `name: value`.
pub(crate) fn pair(header: &str) -> (&str, &str) {
    header.split_once(": ").unwrap_or((header, ""))
}
