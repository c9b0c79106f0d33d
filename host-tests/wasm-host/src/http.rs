//! Real answers: a service that asks a server over HTTP/1.1.

use crate::Headers;
use crate::service::{Answer, Answering, Failure, Incoming, Response, Service};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;

/// A server at an address.
///
/// Trailers of a request are not sent. It needs a Tokio runtime, without which it refuses: await [`crate::Proxy::request`] instead of calling
/// [`crate::Proxy::send`]. An answer takes no time by the proxy's clock, so a timeout that a plugin
/// sets never strikes; [`Origin::within`] is what bounds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    address: SocketAddr,
    limit: Duration,
}

impl Origin {
    /// A server that has ten seconds to answer.
    pub fn at(address: SocketAddr) -> Self {
        Self { address, limit: Duration::from_secs(10) }
    }

    /// How long it may take, by the real clock, before that is a timeout.
    #[must_use]
    pub fn within(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }

    async fn ask(self, incoming: Incoming) -> Result<Response, Failure> {
        let stream = TcpStream::connect(self.address).await.map_err(|_| Failure::Refused)?;
        let reset = |_: hyper::Error| Failure::Reset;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(reset)?;
        let connection = tokio::spawn(connection);
        let request = request(incoming).ok_or(Failure::Reset)?;
        let answer = async {
            let (parts, body) = sender.send_request(request).await.map_err(reset)?.into_parts();
            let body = body.collect().await.map_err(reset)?;
            let pairs = |map: &hyper::HeaderMap| -> Headers {
                map.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect()
            };
            let trailers = body.trailers().map(pairs);
            let mut response = Response::new(parts.status.as_u16());
            response.headers = pairs(&parts.headers);
            response.trailers = trailers;
            let body = body.to_bytes();
            if !body.is_empty() {
                response.body.push(body.to_vec());
            }
            Ok(response)
        }
        .await;
        connection.abort();
        answer
    }
}

/// A request as it goes over the wire; nothing if it cannot.
fn request(incoming: Incoming) -> Option<hyper::Request<Full<Bytes>>> {
    let Incoming { headers, body, .. } = incoming;
    let mut request = hyper::Request::builder()
        .method(headers.get(":method")?)
        .uri(headers.text(":path")?)
        .header("host", headers.get(":authority")?);
    for (name, value) in headers.iter().filter(|(name, _)| !name.starts_with(':')) {
        request = request.header(name, value);
    }
    request.body(Full::new(Bytes::from(body))).ok()
}

impl Service for Origin {
    fn answer(&self, incoming: Incoming) -> Answering {
        let origin = *self;
        if tokio::runtime::Handle::try_current().is_err() {
            return Box::pin(std::future::ready(Failure::Refused.into()));
        }
        Box::pin(async move {
            match tokio::time::timeout(origin.limit, origin.ask(incoming)).await {
                Ok(Ok(response)) => response.into(),
                Ok(Err(failure)) => failure.into(),
                Err(_) => Answer::from(Failure::Timeout),
            }
        })
    }
}
