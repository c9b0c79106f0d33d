//! Requests of clients.

use crate::{Headers, Value};

/// A request as it arrives at the filters.
///
/// What Envoy's connection manager does before that is not modelled: what you write here is what
/// plugins see.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    pub(crate) headers: Headers,
    pub(crate) body: Vec<Vec<u8>>,
    pub(crate) trailers: Option<Headers>,
    pub(crate) attributes: Vec<(Vec<String>, Value)>,
    pub(crate) metadata: Vec<(String, Value)>,
    pub(crate) filter_state: Vec<(String, Value)>,
    pub(crate) worker: Option<usize>,
    pub(crate) listener: String,
    pub(crate) answered: Option<(u16, String, Vec<u8>)>,
}

/// A GET of a path.
pub fn get(path: &str) -> Request {
    Request::new("GET", path)
}

/// A POST to a path.
pub fn post(path: &str) -> Request {
    Request::new("POST", path)
}

impl Request {
    /// A request with the pseudo-headers of one over HTTP to `localhost`.
    pub fn new(method: &str, path: &str) -> Self {
        let headers = [
            (":authority", "localhost"),
            (":path", path),
            (":method", method),
            (":scheme", "http"),
        ];
        Self {
            headers: Headers::from_iter(headers),
            body: Vec::new(),
            trailers: None,
            attributes: Vec::new(),
            metadata: Vec::new(),
            filter_state: Vec::new(),
            worker: None,
            listener: String::new(),
            answered: None,
        }
    }

    /// A request with these headers, pseudo-headers among them, and no others.
    pub fn of(headers: Headers) -> Self {
        Self { headers, ..Self::new("GET", "/") }
    }

    /// Adds a header. One that begins with a colon is put in the place of the one that is there.
    #[must_use]
    pub fn header(mut self, name: impl AsRef<str>, value: impl Into<Vec<u8>>) -> Self {
        if name.as_ref().starts_with(':') {
            self.headers.set(name, value);
        } else {
            self.headers.add(name, value);
        }
        self
    }

    /// Adds a part of the body; each part is one call of the plugin.
    #[must_use]
    pub fn body(mut self, part: impl Into<Vec<u8>>) -> Self {
        self.body.push(part.into());
        self
    }

    /// Adds a trailer.
    #[must_use]
    pub fn trailer(mut self, name: impl AsRef<str>, value: impl Into<Vec<u8>>) -> Self {
        self.trailers.get_or_insert_default().add(name, value);
        self
    }

    /// Says an attribute of the stream, such as
    /// `&["connection", "uri_san_peer_certificate"]`. It wins over what the host itself knows.
    #[must_use]
    pub fn attribute(mut self, path: &[&str], value: impl Into<Value>) -> Self {
        let path = path.iter().map(|part| (*part).to_owned()).collect();
        self.attributes.push((path, value.into()));
        self
    }

    /// Says dynamic metadata of a namespace, as a filter before the plugin would have written it.
    #[must_use]
    pub fn metadata(mut self, namespace: impl Into<String>, value: impl Into<Value>) -> Self {
        self.metadata.push((namespace.into(), value.into()));
        self
    }

    /// A filter before all plugins answers it, as one that authenticates does. Plugins hear of it
    /// in `proxy_on_log` alone.
    #[must_use]
    pub fn answered_before(
        mut self,
        status: u16,
        details: impl Into<String>,
        body: impl Into<Vec<u8>>,
    ) -> Self {
        self.answered = Some((status, details.into(), body.into()));
        self
    }

    /// Says a value of filter state, as a filter before the plugin would have stored it.
    #[must_use]
    pub fn filter_state(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.filter_state.push((key.into(), value.into()));
        self
    }

    /// Sends it to a worker, counted from 1; otherwise they take turns.
    #[must_use]
    pub fn worker(mut self, worker: usize) -> Self {
        self.worker = Some(worker);
        self
    }

    /// Sends it to a listener of this name.
    #[must_use]
    pub fn listener(mut self, name: impl Into<String>) -> Self {
        self.listener = name.into();
        self
    }
}
