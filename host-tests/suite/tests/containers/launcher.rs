//! The same player, the same regions, and under them Envoys that testcontainers has started.

use crate::engine;
use local_mesh::client::RawRequest;
use local_mesh::docker::{LABEL, OWNER, owner};
use local_mesh::launch::{Launch, Launched, Launcher, Runtime};
use local_mesh::mesh::Handle;
use local_mesh::supervise::Supervised;
use local_mesh::survivor::Survivor;
use local_mesh::{Error, Part};
use meshfence::{LocalRun, Settings};
use policy_doc::WorldState;
use std::io::Write as _;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;
use suite::{Check, Corpus, Trouble, example, meshfence_binary, send, settings};
use testcontainers::core::logs::LogFrame;
use testcontainers::core::{Mount, WaitFor};
use testcontainers::runners::AsyncRunner as _;
use testcontainers::{ContainerAsync, GenericImage, ImageExt as _};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// What Envoy logs when it is about to serve.
const IS_READY: &str = "starting main dispatch loop";
const START_LIMIT: Duration = Duration::from_secs(30);
const POLL_PAUSE: Duration = Duration::from_millis(50);
const STOP_SECONDS: i32 = 3;

/// Every case of the corpus, on containers.
pub(crate) async fn the_corpus() -> Check {
    let launcher = Arc::new(Testcontainers::new().await?);
    let settings = Settings { envoy: Runtime::Other(launcher.clone()), ..settings().await? };
    let comparison = Corpus::read()?.play(settings).await?;
    println!("containers of {}\n{comparison}", launcher.image);
    launcher.end().await
}

/// What a mesh promises of processes it keeps with these containers: a region that is killed, one
/// that dies, one that comes back.
pub(crate) async fn regions_come_and_go() -> Check {
    let launcher = Arc::new(Testcontainers::new().await?);
    let settings = Settings { envoy: Runtime::Other(launcher.clone()), ..settings().await? };
    let mut run =
        LocalRun::start(&example()?, &WorldState::default(), settings, &mut |_| {}).await?;
    let came_and_went = come_and_go(&mut run).await;
    run.stop().await;
    launcher.end().await?;
    came_and_went
}

async fn come_and_go(run: &mut LocalRun) -> Check {
    let edge = run.edge("tokyo").ok_or_else(|| Trouble::new("no edge"))?;
    let lost = WorldState { unreachable: vec!["tokyo".to_owned()], ..WorldState::default() };
    let request = RawRequest::new("GET", "/api/v1/products/1");
    run.enter(&lost, &mut |_| {}).await?;
    if send(edge, &request).await.is_ok() {
        return Err(Trouble::new("a region that was killed answers"));
    }
    run.enter(&WorldState::default(), &mut |_| {}).await?;
    let response = send(edge, &request).await?;
    if response.status != 200 {
        return Err(Trouble::new(format!("after its return it answers {}", response.status)));
    }
    let running = run.mesh().running();
    let victim = running.into_iter().find_map(|(region, part, handle)| match handle {
        Handle::Container(name) if (region, part) == ("taiwan", Part::Envoy) => Some(name),
        _ => None,
    });
    let victim = victim.ok_or_else(|| Trouble::new("no container of taiwan"))?;
    engine::docker(&["kill", &victim]).await?;
    let death = tokio::time::timeout(suite::LIMIT, run.wait_for_death()).await;
    let death = death.map_err(|_| Trouble::new("a death that nobody noticed"))?;
    if (&*death.region, death.part, &*death.status) != ("taiwan", Part::Envoy, "exit status: 137") {
        return Err(Trouble::new(format!("{death:?}")));
    }
    if !death.log.iter().any(|line| line.contains(IS_READY)) {
        return Err(Trouble::new(format!("its log is not quoted: {death:?}")));
    }
    Ok(())
}

/// Starts Envoys by testcontainers.
#[derive(Debug)]
struct Testcontainers {
    image: String,
    /// Of the one mesh that is started by this: testcontainers cleans up when its handles are
    /// dropped, and nothing is dropped by SIGKILL.
    reaper: Mutex<Option<Survivor>>,
}

impl Testcontainers {
    async fn new() -> Result<Self, Trouble> {
        Ok(Self { image: engine::image().await?, reaper: Mutex::new(None) })
    }

    /// After the mesh was stopped; nothing of it may be there any more.
    async fn end(&self) -> Check {
        let reaper = self.reaper.lock().ok().and_then(|mut reaper| reaper.take());
        if let Some(reaper) = reaper {
            reaper.end().await;
        }
        let all = engine::containers(&std::env::temp_dir()).await?;
        let own = format!("meshfence-{}-", std::process::id());
        let left: Vec<String> = all.into_iter().filter(|name| name.starts_with(&own)).collect();
        Trouble::unless_empty(&left.join("\n"))
    }

    fn watch_over(&self, run_dir: &Path) -> Result<(), Trouble> {
        let program = [meshfence_binary()?.into(), "reap".into()];
        let mut reaper = self.reaper.lock().map_err(|error| Trouble::new(error.to_string()))?;
        if reaper.is_none() {
            *reaper = Some(Survivor::start(&program, run_dir.as_os_str())?);
        }
        Ok(())
    }

    async fn start(&self, envoy: &Launch<'_>) -> Result<Box<dyn Supervised>, Trouble> {
        self.watch_over(envoy.run_dir)?;
        let (name, tag) = self.image.rsplit_once(':').unwrap_or((&self.image, "latest"));
        let run_dir = envoy.run_dir.display().to_string();
        let run = envoy.run_dir.file_name().unwrap_or_default().to_string_lossy();
        let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
        let text = |text: &std::ffi::OsStr| text.to_string_lossy().into_owned();
        let mut arguments: Vec<String> =
            envoy.arguments.iter().map(|argument| text(argument)).collect();
        // At the level of the rest it would not say that it is ready.
        arguments.extend(["--component-log-level", "main:info"].map(str::to_owned));
        let mut log = std::fs::File::options().append(true).open(envoy.log)?;
        log.flush()?;
        let log = move |frame: &LogFrame| {
            let (LogFrame::StdOut(bytes) | LogFrame::StdErr(bytes)) = frame;
            // What cannot be written can only be missing from a message.
            let _ = (&log).write_all(bytes);
        };
        let mut request = GenericImage::new(name, tag)
            .with_wait_for(WaitFor::message_on_stderr(IS_READY))
            .with_container_name(format!("{run}-{}-{}", envoy.region, unique()))
            .with_startup_timeout(START_LIMIT)
            .with_cmd(arguments)
            .with_network("host")
            .with_user(format!("{}:{}", user.as_raw(), group.as_raw()))
            .with_env_var("ENVOY_UID", user.as_raw().to_string())
            .with_label(LABEL, &run_dir)
            .with_label(OWNER, owner())
            .with_mount(Mount::bind_mount(&run_dir, &run_dir))
            .with_log_consumer(log);
        for (name, value) in envoy.env.iter() {
            request = request.with_env_var(text(name), text(value));
        }
        let container = request.start().await.map_err(|error| Trouble::new(error.to_string()))?;
        let (orders, received) = mpsc::unbounded_channel();
        let name = container.id().to_owned();
        let watcher = tokio::spawn(watch(container, received));
        Ok(Box::new(Watched { name, orders, watcher, end: None }))
    }
}

/// A number that no container of this process had.
fn unique() -> u32 {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl Launcher for Testcontainers {
    fn launch<'a>(&'a self, envoy: &'a Launch<'a>) -> Launched<'a> {
        Box::pin(async move {
            self.start(envoy).await.map_err(|trouble| Error::Spawn {
                region: envoy.region.to_owned(),
                part: Part::Envoy,
                program: self.image.clone(),
                source: std::io::Error::other(trouble.to_string()),
            })
        })
    }
}

/// What a container is told.
#[derive(Debug, Clone, Copy)]
enum Order {
    End,
    Kill,
}

/// A container that a task of ours watches. Without us the task has nobody to obey, and kills it.
#[derive(Debug)]
struct Watched {
    name: String,
    orders: mpsc::UnboundedSender<Order>,
    watcher: JoinHandle<String>,
    end: Option<String>,
}

impl Supervised for Watched {
    fn handle(&self) -> Handle {
        Handle::Container(self.name.clone())
    }

    fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<String> {
        if let Some(end) = &self.end {
            return Poll::Ready(end.clone());
        }
        Pin::new(&mut self.watcher).poll(context).map(|ended| {
            let end = ended.unwrap_or_else(|error| format!("unknown: {error}"));
            self.end.insert(end).clone()
        })
    }

    fn ask_to_end(&mut self) {
        // Nobody receives what comes after the end.
        let _ = self.orders.send(Order::End);
    }

    fn kill(&mut self) {
        let _ = self.orders.send(Order::Kill);
    }
}

/// Obeys, removes the container when it has ended, and says how it did.
async fn watch(
    container: ContainerAsync<GenericImage>,
    mut orders: mpsc::UnboundedReceiver<Order>,
) -> String {
    loop {
        // What a stop cannot do shows in the state of the container.
        match tokio::time::timeout(POLL_PAUSE, orders.recv()).await {
            Ok(Some(Order::End)) => {
                let _ = container.stop_with_timeout(Some(STOP_SECONDS)).await;
            }
            Ok(Some(Order::Kill) | None) => {
                return match container.rm().await {
                    Ok(()) => "killed".to_owned(),
                    Err(error) => format!("unknown: {error}"),
                };
            }
            Err(_) => {}
        }
        match container.exit_code().await {
            Ok(None) => {}
            Ok(Some(code)) => {
                let _ = container.rm().await;
                return format!("exit status: {code}");
            }
            Err(error) => return format!("unknown: {error}"),
        }
    }
}
