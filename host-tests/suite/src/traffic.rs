//! Requests that come in at several edges all the time, while something happens.

use crate::{Check, LIMIT, Trouble, until};
use local_mesh::client::{self, RawRequest, RawResponse};
use std::cell::{Cell, RefCell};
use std::fmt;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::LocalSet;
use tokio::time::Instant;

/// Exchanges of each loop: before it happens and after.
const BEFORE: usize = 8;
const AFTER: usize = 16;
/// How long a loop rests when there was no response. A region that is gone refuses thousands of
/// connections a second: a loop would do little else.
const REST: Duration = Duration::from_millis(5);

/// No two requests of a test have the same number.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// One loop: where its requests enter, and what they are, over and over.
#[derive(Debug)]
pub struct Loop<K> {
    /// The region.
    pub entry: &'static str,
    /// Its edge.
    pub edge: SocketAddr,
    /// The requests.
    pub requests: Vec<(K, RawRequest)>,
}

/// One request and what came of it.
#[derive(Debug)]
pub struct Exchange<K> {
    /// What it was.
    pub kind: K,
    /// Where it entered.
    pub entry: &'static str,
    /// Its name in the logs of the applications that have seen it.
    pub id: String,
    /// Whether it was sent after the thing had happened for certain.
    pub after: bool,
    /// The response, or why there was none.
    pub result: Result<RawResponse, String>,
}

/// How far a loop has come.
#[derive(Debug)]
struct Progress {
    entry: &'static str,
    exchanges: Cell<usize>,
    /// Those of them that were sent after the thing had happened.
    late: Cell<usize>,
    /// The request under way, and since when.
    asking: Cell<Option<(u64, Instant)>>,
}

/// For who waits in vain.
impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { entry, exchanges, late, asking } = self;
        write!(f, "{entry}: {} exchanges, {} of them after", exchanges.get(), late.get())?;
        let Some((number, since)) = asking.get() else { return Ok(()) };
        write!(f, ", request-{number} for {:?}", since.elapsed())
    }
}

/// Runs the loops; what is to happen does so when all have had some answers, and they end when all
/// have had some more.
///
/// # Errors
/// What kept it from happening; loops without answers.
pub async fn traffic<K: Copy + 'static>(
    loops: Vec<Loop<K>>,
    happening: impl Future<Output = Check>,
) -> Result<Vec<Exchange<K>>, Trouble> {
    let exchanges = Rc::new(RefCell::new(Vec::new()));
    let (happened, stop) = (Rc::new(Cell::new(false)), Rc::new(Cell::new(false)));
    let local = LocalSet::new();
    let mut progress = Vec::new();
    for Loop { entry, edge, requests } in loops {
        let own = Rc::new(Progress {
            entry,
            exchanges: Cell::default(),
            late: Cell::default(),
            asking: Cell::default(),
        });
        progress.push(Rc::clone(&own));
        let exchanges = Rc::clone(&exchanges);
        let (happened, stop) = (Rc::clone(&happened), Rc::clone(&stop));
        local.spawn_local(async move {
            for (kind, request) in requests.iter().cycle() {
                if stop.get() {
                    break;
                }
                let number = NEXT.fetch_add(1, Ordering::Relaxed);
                let id = format!("request-{number}");
                let request = request.clone().header("echo-id", id.as_str());
                let after = happened.get();
                own.asking.set(Some((number, Instant::now())));
                let result = client::send(edge, &request, LIMIT).await;
                own.asking.set(None);
                if result.is_err() {
                    tokio::time::sleep(REST).await;
                }
                let result = result.map_err(|error| error.to_string());
                exchanges.borrow_mut().push(Exchange { kind: *kind, entry, id, after, result });
                own.exchanges.set(own.exchanges.get() + 1);
                own.late.set(own.late.get() + usize::from(after));
            }
        });
    }
    local
        .run_until(async {
            all(&progress, "answers before", |own| own.exchanges.get() >= BEFORE).await?;
            happening.await?;
            happened.set(true);
            all(&progress, "answers after", |own| own.late.get() >= AFTER).await?;
            stop.set(true);
            Ok::<(), Trouble>(())
        })
        .await?;
    local.await;
    Ok(exchanges.take())
}

/// Waits until all loops are as far as that.
async fn all(progress: &[Rc<Progress>], what: &str, is_there: impl Fn(&Progress) -> bool) -> Check {
    let there = async || progress.iter().all(|own| is_there(own)).then_some(());
    until(what, there).await.map_err(|trouble| {
        let loops: Vec<String> = progress.iter().map(ToString::to_string).collect();
        Trouble::new(format!("{trouble}\n{}", loops.join("\n")))
    })
}
