//! Two regions with a real Envoy: what starts, what is left when something goes wrong, and that it
//! is nothing.
//!
//! The Envoy is the one the command would take, downloaded if there is none.

#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "all of this file is a test, also what stands outside of the test functions"
)]

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use local_mesh::client::{RawRequest, RawResponse, send};
use local_mesh::launch::Variables;
use local_mesh::mesh::{Handle, LogLevel, Mesh, Options, Progress, Region};
use local_mesh::ports::{self, Ports};
use local_mesh::run_dir::RunDir;
use local_mesh::{Error, Part, envoy};
use tokio::io::{AsyncBufReadExt as _, BufReader};

const SOON: Duration = Duration::from_secs(20);

/// Everything that comes in goes to the region's own upstream.
fn bootstrap(ports: &Ports, extra: &str) -> String {
    let Ports { region: name, edge, admin, application, .. } = ports;
    format!(
        r#"
node: {{id: {name}, cluster: {name}}}
admin: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {admin}}}}}}}
static_resources:
  listeners:
  - name: edge
    address: {{socket_address: {{address: 127.0.0.1, port_value: {edge}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: edge
          {extra}
          route_config:
            virtual_hosts:
            - {{name: all, domains: ["*"], routes: [{{match: {{prefix: "/"}}, route: {{cluster: upstream}}}}]}}
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
  clusters:
  - name: upstream
    type: STATIC
    load_assignment:
      cluster_name: upstream
      endpoints:
      - lb_endpoints:
        - endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {application}}}}}}}
"#,
        edge = edge.port(),
        admin = admin.port(),
        application = application.port(),
    )
}

fn regions() -> Vec<Region> {
    let plan = ports::plan(0, &["taiwan", "tokyo"]).unwrap();
    let regions = plan.into_iter().map(|ports| Region { bootstrap: bootstrap(&ports, ""), ports });
    regions.collect()
}

async fn options(regions: Vec<Region>) -> Options {
    let found = envoy::find(None, &mut |line| eprintln!("{line}")).await;
    let found = found.unwrap_or_else(|error| panic!("{error}; {:?}", error.help()));
    Options {
        envoy: found.into(),
        echo: vec![OsString::from(env!("CARGO_BIN_EXE_meshfence-echo"))],
        regions,
        workers: 1,
        run_dir: RunDir::create().unwrap(),
        log_level: LogLevel::Warn,
        component_log_levels: vec![("main".to_owned(), LogLevel::Info)],
        env: Variables::default(),
    }
}

async fn start(regions: Vec<Region>) -> Result<Mesh, Error> {
    Mesh::start(options(regions).await, &mut |progress| eprintln!("{progress}")).await
}

async fn get(addr: SocketAddr) -> Result<RawResponse, Error> {
    send(addr, &RawRequest::new("GET", "/a"), SOON).await
}

async fn region_at(addr: SocketAddr) -> String {
    let response = get(addr).await.unwrap();
    let region = response.header("x-echo-region").unwrap_or_default();
    String::from_utf8_lossy(region).into_owned()
}

fn is_alive(pid: u32) -> bool {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::test_kill_process(pid).is_ok()
}

fn all_pids(mesh: &Mesh) -> Vec<u32> {
    mesh.pids().into_iter().map(|(_, _, pid)| pid).collect()
}

fn pids_of(mesh: &Mesh, region: &str) -> Vec<u32> {
    let pids = mesh.pids().into_iter().filter(|(name, _, _)| *name == region);
    pids.map(|(_, _, pid)| pid).collect()
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(tokio::time::timeout(SOON, wait).await.is_ok(), "in vain: {what}");
}

/// Processes whose command line names a file in the directory.
fn users_of(dir: &Path) -> Vec<String> {
    let dir = dir.to_string_lossy().into_owned();
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let lines = processes.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    let lines = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
    lines.filter(|line| line.contains(&dir)).collect()
}

#[tokio::test]
async fn a_region_comes_and_goes_alone() {
    let regions = regions();
    let edges: Vec<SocketAddr> = regions.iter().map(|region| region.ports.edge).collect();
    let mut mesh = start(regions).await.unwrap();
    let dir = mesh.run_dir().path().to_owned();
    assert_eq!(mesh.pids().len(), 4);
    assert_eq!(region_at(edges[0]).await, "taiwan");
    assert_eq!(region_at(edges[1]).await, "tokyo");

    let killed = pids_of(&mesh, "tokyo");
    mesh.kill_region("tokyo").await.unwrap();
    assert!(!killed.iter().any(|pid| is_alive(*pid)));
    assert!(pids_of(&mesh, "tokyo").is_empty());
    assert!(matches!(get(edges[1]).await, Err(Error::Connection { .. })));
    assert_eq!(region_at(edges[0]).await, "taiwan");
    // A death that was asked for is none.
    let quiet = tokio::time::timeout(Duration::from_millis(100), mesh.wait_for_death()).await;
    assert!(quiet.is_err());

    mesh.restart_region("tokyo", &mut |_| {}).await.unwrap();
    assert_eq!(region_at(edges[1]).await, "tokyo");
    let again = pids_of(&mesh, "tokyo");
    mesh.restart_region("tokyo", &mut |_| {}).await.unwrap();
    assert!(!again.iter().any(|pid| is_alive(*pid)));
    assert_eq!(region_at(edges[1]).await, "tokyo");

    let error = mesh.kill_region("osaka").await.unwrap_err();
    assert_eq!(error.to_string(), "there is no region `osaka` here");
    assert_eq!(error.help().unwrap(), "known: taiwan, tokyo");

    let all = all_pids(&mesh);
    assert_eq!(all.len(), 4);
    mesh.stop().await;
    assert!(!all.iter().any(|pid| is_alive(*pid)));
    assert!(!dir.exists());
}

#[tokio::test]
async fn tells_who_died() {
    let mut mesh = start(regions()).await.unwrap();
    for part in [Part::Upstream, Part::Envoy] {
        let (_, _, pid) =
            *mesh.pids().iter().find(|(name, p, _)| (*name, *p) == ("tokyo", part)).unwrap();
        let raw = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
        rustix::process::kill_process(raw, rustix::process::Signal::KILL).unwrap();
        let death = tokio::time::timeout(SOON, mesh.wait_for_death()).await.unwrap();
        assert_eq!((&*death.region, death.part), ("tokyo", part));
        assert!(death.status.starts_with("signal: 9"), "{}", death.status);
    }
    assert_eq!(mesh.pids().len(), 2);
    mesh.restart_region("tokyo", &mut |_| {}).await.unwrap();
    assert_eq!(mesh.pids().len(), 4);
    mesh.stop().await;
}

#[tokio::test]
async fn reloads_envoys_only() {
    let regions = regions();
    let edges: Vec<SocketAddr> = regions.iter().map(|region| region.ports.edge).collect();
    let application = regions[0].ports.application;
    let with = |extra: &str| -> Vec<(String, String)> {
        regions
            .iter()
            .map(|region| (region.ports.region.clone(), bootstrap(&region.ports, extra)))
            .collect()
    };
    let mut mesh = start(regions.clone()).await.unwrap();
    assert_eq!(region_at(edges[0]).await, "taiwan");
    let server = |response: RawResponse| response.header("server").map(<[u8]>::to_vec);
    assert_eq!(server(get(edges[0]).await.unwrap()).unwrap(), b"envoy");

    mesh.reload(with("server_name: second"), &mut |_| {}).await.unwrap();
    assert_eq!(server(get(edges[0]).await.unwrap()).unwrap(), b"second");
    assert_eq!(server(get(edges[1]).await.unwrap()).unwrap(), b"second");
    let count = RawRequest::new("GET", "/_echo/count");
    let count = send(application, &count, SOON).await.unwrap();
    assert_eq!(count.text(), r#"{"count":3}"#, "the upstream was restarted");

    // What Envoy does not take leaves what was.
    let error = mesh.reload(with("no_such_field: 1"), &mut |_| {}).await.unwrap_err();
    assert!(error.log().iter().any(|line| line.contains("no_such_field")), "{error:?}");
    assert_eq!(server(get(edges[0]).await.unwrap()).unwrap(), b"second");
    assert_eq!(mesh.pids().len(), 4);

    let twice = [with("server_name: a"), with("server_name: b")].concat();
    let error = mesh.reload(twice, &mut |_| {}).await.unwrap_err();
    assert!(matches!(error, Error::BadName { .. }), "{error}");
    assert_eq!(server(get(edges[0]).await.unwrap()).unwrap(), b"second");

    // A region that is down gets it later.
    mesh.kill_region("tokyo").await.unwrap();
    mesh.reload(with("server_name: third"), &mut |_| {}).await.unwrap();
    assert_eq!(mesh.pids().len(), 2);
    mesh.restart_region("tokyo", &mut |_| {}).await.unwrap();
    assert_eq!(server(get(edges[1]).await.unwrap()).unwrap(), b"third");
    mesh.stop().await;
}

#[tokio::test]
async fn a_bad_bootstrap_leaves_nothing_and_is_quoted() {
    let mut regions = regions();
    regions[1].bootstrap = bootstrap(&regions[1].ports, "no_such_field: 1");
    let application = regions[0].ports.application;
    let options = options(regions).await;
    let dir = options.run_dir.path().to_owned();
    let mut started = Vec::new();
    let mut progress = |progress| {
        if let Progress::Started { handle: Handle::Process(pid), .. } = progress {
            started.push(pid);
        }
    };
    let error = Mesh::start(options, &mut progress).await.unwrap_err();
    assert!(matches!(error, Error::ChildDied { part: Part::Envoy, .. }), "{error}");
    assert!(error.to_string().contains("the Envoy of region `tokyo` ended unexpectedly"));
    assert!(error.help().unwrap().contains("no_such_field"), "{:?}", error.help());
    assert!(error.is_environment());
    assert_eq!(started.len(), 4);
    assert!(!started.iter().any(|pid| is_alive(*pid)));
    assert!(users_of(&dir).is_empty());
    assert!(!dir.exists());
    assert!(matches!(get(application).await, Err(Error::Connection { .. })));
}

#[tokio::test]
async fn a_port_in_use_stops_it_before_it_starts() {
    let regions = regions();
    let taken = std::net::TcpListener::bind(regions[1].ports.admin).unwrap();
    let error = start(regions).await.unwrap_err();
    let port = taken.local_addr().unwrap().port();
    assert_eq!(error.to_string(), format!("port {port} of region `tokyo` (admin) is in use"));
    assert!(error.is_environment());
}

#[tokio::test]
async fn a_port_of_another_mesh_is_in_use() {
    let regions = regions();
    let mesh = start(regions.clone()).await.unwrap();
    let error = start(regions).await.unwrap_err();
    assert!(matches!(error, Error::PortInUse { purpose: "edge", .. }), "{error}");
    mesh.stop().await;
}

#[tokio::test]
async fn an_echo_that_does_not_start_is_quoted() {
    let options = Options { echo: vec!["false".into()], ..options(regions()).await };
    let error = Mesh::start(options, &mut |_| {}).await.unwrap_err();
    assert!(matches!(error, Error::ChildDied { part: Part::Upstream, .. }), "{error}");
    let options = Options { echo: Vec::new(), ..self::options(regions()).await };
    assert!(matches!(Mesh::start(options, &mut |_| {}).await, Err(Error::Spawn { .. })));
}

#[tokio::test]
async fn a_dropped_mesh_is_killed() {
    let mesh = start(regions()).await.unwrap();
    let (all, dir) = (all_pids(&mesh), mesh.run_dir().path().to_owned());
    drop(mesh);
    until("the processes are gone", || !all.iter().any(|pid| is_alive(*pid))).await;
    assert!(!dir.exists());
}

#[tokio::test]
async fn passes_the_environment_on() {
    let regions = regions();
    let options = Options {
        env: [("MESHFENCE_TEST_KEY".into(), "secret".into())].into_iter().collect(),
        ..options(regions).await
    };
    let mesh = Mesh::start(options, &mut |_| {}).await.unwrap();
    if cfg!(target_os = "linux") {
        for (_, part, pid) in mesh.pids() {
            let read = |name: &str| std::fs::read(format!("/proc/{pid}/{name}")).unwrap();
            let has = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).contains("secret");
            assert_eq!(has(read("environ")), part == Part::Envoy);
            assert!(!has(read("cmdline")));
        }
    }
    mesh.stop().await;
}

#[tokio::test]
async fn the_echo_ends_politely_when_it_is_asked_to() {
    use rustix::process::{Pid, Signal, kill_process};
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let addr = ports::plan(0, &["tokyo"]).unwrap()[0].application;
        let mut echo = tokio::process::Command::new(env!("CARGO_BIN_EXE_meshfence-echo"))
            .args(["--region", "tokyo", "--listen", &addr.to_string()])
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let answers = async {
            while get(addr).await.is_err() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(SOON, answers).await.unwrap();
        let pid = i32::try_from(echo.id().unwrap()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
        let status = tokio::time::timeout(SOON, echo.wait()).await.unwrap().unwrap();
        assert!(status.success(), "{signal:?}: {status}");
    }
}

/// Set in the process that is to be killed.
const VICTIM: &str = "MESHFENCE_TEST_VICTIM";

/// This test is its own victim: it starts itself again with [`VICTIM`] set, in which case it starts
/// a mesh, tells its processes and waits to be killed.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn sigkill_leaves_no_process_and_no_files() {
    let own_name = "sigkill_leaves_no_process_and_no_files";
    if std::env::var_os(VICTIM).is_some() {
        let mesh = start(regions()).await.unwrap();
        let pids: Vec<String> = all_pids(&mesh).iter().map(u32::to_string).collect();
        println!("\nvictim: {} {}", mesh.run_dir().path().display(), pids.join(" "));
        return std::future::pending().await;
    }

    let mut victim = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", own_name, "--nocapture"])
        .env(VICTIM, "1")
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(victim.stdout.take().unwrap()).lines();
    let told = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if let Some(told) = line.strip_prefix("victim: ") {
                return told.to_owned();
            }
        }
        panic!("the victim told nothing");
    };
    let told = tokio::time::timeout(SOON, told).await.unwrap();
    let (dir, pids) = told.split_once(' ').unwrap();
    let pids: Vec<u32> = pids.split(' ').map(|pid| pid.parse().unwrap()).collect();
    assert_eq!(pids.len(), 4);
    assert!(pids.iter().all(|pid| is_alive(*pid)));

    victim.kill().await.unwrap();
    // Adopted by init, which may take its time to bury them: a zombie runs no more.
    let runs = |pid: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
    };
    until("the kernel ends the children", || !pids.iter().any(runs)).await;
    let dir = PathBuf::from(dir);
    assert!(dir.exists());
    // The next run of anybody sweeps it.
    until("the files are swept", || {
        let _next = RunDir::create().unwrap();
        !dir.exists()
    })
    .await;
}
