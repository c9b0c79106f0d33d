//! The client with HTTP/2: for what HTTP/1.1 does not carry through Envoy, trailers above all. It
//! sends what the library does; hostile requests are HTTP/1.1.

use super::{BODY_LIMIT, RawRequest, RawResponse, Received};
use crate::error::Error;
use bytes::Bytes;
use http::{HeaderMap, Request, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::net::SocketAddr;
use tokio::io::{AsyncRead, AsyncWrite};

/// Sends a request on a connection and reads the response, as far as it comes.
pub(crate) async fn exchange(
    addr: SocketAddr,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: &RawRequest,
    scheme: &str,
) -> Result<Received, Error> {
    let failed = |error: hyper::Error| {
        let source = std::io::Error::other(error);
        Error::Connection { addr, source }
    };
    let request = written(request, scheme)?;
    let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.map_err(failed)?;
    let mut connection = std::pin::pin!(connection);
    let respond = async {
        let response = sender.send_request(request).await.map_err(failed)?;
        let (parts, mut body) = response.into_parts();
        let mut received = Received {
            response: RawResponse {
                status: parts.status.as_u16(),
                headers: owned(&parts.headers),
                body: Vec::new(),
                trailers: Vec::new(),
            },
            is_cut: false,
            wire: Vec::new(),
        };
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else {
                received.is_cut = true;
                break;
            };
            if let Some(data) = frame.data_ref() {
                received.wire.extend_from_slice(data);
            } else if let Some(trailers) = frame.trailers_ref() {
                received.response.trailers = owned(trailers);
            }
            if received.wire.len() > BODY_LIMIT {
                return Err(Error::BadResponse { addr, why: "its body is too large" });
            }
        }
        received.response.body.clone_from(&received.wire);
        Ok(received)
    };
    let mut respond = std::pin::pin!(respond);
    tokio::select! {
        received = &mut respond => return received,
        // Whoever waits for a response hears why there is none.
        _ = &mut connection => {}
    }
    respond.await
}

/// The request as the library has it.
fn written(request: &RawRequest, scheme: &str) -> Result<Request<Full<Bytes>>, Error> {
    let refused = |error: http::Error| Error::Unsendable { why: error.to_string() };
    let (mut authority, mut builder) = (None, Request::builder().method(request.method.as_str()));
    for (name, value) in &request.headers {
        if name.eq_ignore_ascii_case(b"host") {
            authority = Some(value.as_slice());
        } else {
            builder = builder.header(name.as_slice(), value.as_slice());
        }
    }
    let uri = Uri::builder()
        .scheme(scheme)
        .authority(authority.unwrap_or(b"localhost"))
        .path_and_query(request.target.as_slice())
        .build()
        .map_err(refused)?;
    builder.uri(uri).body(Full::new(Bytes::from(request.body.clone()))).map_err(refused)
}

fn owned(fields: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    fields
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
        .collect()
}
