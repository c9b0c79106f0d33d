//! Our module in a real Envoy that has too much to do: who is served, and that every place comes back.
#![expect(clippy::unwrap_used, reason = "a machine that lacks something fails the test")]

use bench::case::{Case, Span};
use bench::policy::HOST;
use bench::proxy::Proxy;
use bench::run::Bench;
use bench::trouble::Trouble;
use bench::upstream::Upstream;
use bench::variant::Variant;
use bytes::Bytes;
use http_body_util::Empty;
use hyper::client::conn::http2;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use local_mesh::envoy::EnvoyBinary;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// What is measured needs the machine for itself, as far as that can be had.
static TURN: Mutex<()> = Mutex::const_new(());

/// Requests that are in flight at once: a third of what two workers let in before they know anything.
const HELD: u64 = 6;

async fn envoy() -> EnvoyBinary {
    local_mesh::envoy::find(None, &mut |line| eprintln!("{line}")).await.unwrap()
}

/// A machine that sends requests this much later than they are due has no time for a measurement,
/// milliseconds.
const LATE_MS: f64 = 20.0;

/// Bounds that also hold where something else is going on; what can be reached is in the report.
#[tokio::test]
async fn three_times_the_capacity_is_shed_by_priority() -> Result<(), Trouble> {
    let _turn = TURN.lock().await;
    let bench = Bench {
        envoy: envoy().await,
        servers: 6,
        span: Span { before: 4, stress: 12, after: 10 },
        seed: 1,
        heed: Duration::from_secs(2),
    };
    let measured = bench.measure(Case::Times(3.0), Variant::Meshfence).await?;
    let figures = &measured.figures;
    let success = figures.success;
    assert!(success.critical > success.high && success.high > success.normal, "{success:?}");
    assert!(success.normal > success.low && success.low < 0.1, "{success:?}");
    if measured.late_ms < LATE_MS {
        assert!(success.critical >= 0.97, "{success:?}");
        assert!(figures.goodput >= 0.8, "{figures:?}");
        assert!(figures.inversion <= 0.01, "{figures:?}");
    } else {
        eprintln!("only the order is checked: sent {} ms late", measured.late_ms);
    }
    assert_eq!(measured.left, Some(0), "places that nobody holds");
    let statuses: Vec<u16> = measured.refusals.keys().copied().collect();
    assert_eq!(statuses, [503], "nothing but shedding refuses anything");
    assert!(measured.broken.is_empty(), "{:?}", measured.broken);
    Ok(())
}

/// An upstream that answers nothing, so that requests end in every other way there is.
#[tokio::test]
async fn every_place_is_given_back_however_a_request_ends() -> Result<(), Trouble> {
    let _turn = TURN.lock().await;
    let span = Span { before: 0, stress: 600, after: 0 };
    let upstream = Upstream::start(Case::Hung.scenario(10, span, 1))?;
    let proxy = Proxy::start(&envoy().await, Variant::Meshfence, upstream.addr()).await?;
    upstream.begin(Instant::now());
    let edge = proxy.edge();

    // Clients that close their connections.
    let mut held = Vec::new();
    for _ in 0..HELD {
        let mut stream = TcpStream::connect(edge).await.unwrap();
        let request = format!("GET /high/1 HTTP/1.1\r\nhost: {HOST}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        held.push(stream);
    }
    in_flight(&proxy, HELD).await?;
    drop(held);
    in_flight(&proxy, 0).await?;

    // Clients that reset their streams, because they have no more time or no more interest.
    let mut waiting = Vec::new();
    for _ in 0..HELD {
        waiting.push(tokio::spawn(http2_request(edge)));
    }
    in_flight(&proxy, HELD).await?;
    waiting.iter().for_each(tokio::task::JoinHandle::abort);
    in_flight(&proxy, 0).await?;

    // Answers of Envoy itself: first to requests whose upstream is lost, then where there is none.
    let waiting: Vec<_> = (0..HELD).map(|_| tokio::spawn(http2_request(edge))).collect();
    in_flight(&proxy, HELD).await?;
    drop(upstream);
    for request in waiting {
        assert_eq!(request.await.unwrap().status(), 503);
    }
    in_flight(&proxy, 0).await?;
    for _ in 0..HELD {
        assert_eq!(http2_request(edge).await.status(), 503);
    }
    in_flight(&proxy, 0).await?;
    proxy.stop().await;
    Ok(())
}

/// Waits until so many places are taken, as the proxy tells it.
async fn in_flight(proxy: &Proxy, count: u64) -> Result<(), Trouble> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let now = proxy.in_flight().await?;
        if now == Some(count) {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(Trouble::Late(format!("{count} are in flight, and now {now:?}")));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn http2_request(edge: SocketAddr) -> Response<hyper::body::Incoming> {
    let stream = TokioIo::new(TcpStream::connect(edge).await.unwrap());
    let client = http2::Builder::new(TokioExecutor::new());
    let (mut sender, connection) = client.handshake::<_, Empty<Bytes>>(stream).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get(format!("http://{HOST}/high/1")).body(Empty::new()).unwrap();
    sender.send_request(request).await.unwrap()
}
