//! Requests that come in at several edges all the time, while something happens.

use crate::{Check, LIMIT, Trouble, until};
use local_mesh::client::{self, RawRequest, RawResponse};
use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::task::LocalSet;

/// Exchanges of each loop: before it happens and after. A loop ends at the maximum anyway.
const BEFORE: usize = 8;
const AFTER: usize = 16;
const EXCHANGES_MAX: usize = 20_000;

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
    let mut counts = Vec::new();
    for Loop { entry, edge, requests } in loops {
        let count = Rc::new(Cell::new((0, 0)));
        counts.push(Rc::clone(&count));
        let exchanges = Rc::clone(&exchanges);
        let (happened, stop) = (Rc::clone(&happened), Rc::clone(&stop));
        local.spawn_local(async move {
            for (kind, request) in requests.iter().cycle().take(EXCHANGES_MAX) {
                if stop.get() {
                    break;
                }
                let id = format!("request-{}", NEXT.fetch_add(1, Ordering::Relaxed));
                let request = request.clone().header("echo-id", id.as_str());
                let after = happened.get();
                let result = client::send(edge, &request, LIMIT).await;
                let result = result.map_err(|error| error.to_string());
                exchanges.borrow_mut().push(Exchange { kind: *kind, entry, id, after, result });
                let (total, late) = count.get();
                count.set((total + 1, late + usize::from(after)));
            }
        });
    }
    local
        .run_until(async {
            until("answers before", async || {
                counts.iter().all(|count| count.get().0 >= BEFORE).then_some(())
            })
            .await?;
            happening.await?;
            happened.set(true);
            until("answers after", async || {
                counts.iter().all(|count| count.get().1 >= AFTER).then_some(())
            })
            .await?;
            stop.set(true);
            Ok::<(), Trouble>(())
        })
        .await?;
    local.await;
    Ok(exchanges.take())
}
