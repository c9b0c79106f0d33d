//! Routes: which cluster a request goes to.

use crate::context::Route as Taken;
use crate::{Headers, Value};
use std::collections::BTreeMap;

/// A header that a route asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum HeaderMatch {
    Is(String, String),
    Present(String),
}

/// One route: what it matches, and where it leads. The first that matches is taken.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    name: String,
    listener: Option<String>,
    prefix: String,
    path: Option<String>,
    headers: Vec<HeaderMatch>,
    cluster: Option<String>,
    direct: Option<(u16, Vec<u8>)>,
    metadata: BTreeMap<String, Value>,
}

impl Route {
    /// A route of everything to a cluster.
    pub fn to(cluster: impl Into<String>) -> Self {
        Self { cluster: Some(cluster.into()), ..Self::nowhere() }
    }

    /// A route that answers by itself.
    pub fn direct(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { direct: Some((status, body.into())), ..Self::nowhere() }
    }

    fn nowhere() -> Self {
        Self {
            name: String::new(),
            listener: None,
            prefix: "/".into(),
            path: None,
            headers: Vec::new(),
            cluster: None,
            direct: None,
            metadata: BTreeMap::new(),
        }
    }

    /// Names the route; `xds.route_name` shows it.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Metadata of the route, in a namespace: `xds.route_metadata`.
    #[must_use]
    pub fn metadata(mut self, namespace: impl Into<String>, value: impl Into<Value>) -> Self {
        self.metadata.insert(namespace.into(), value.into());
        self
    }

    /// Only for requests of this listener.
    #[must_use]
    pub fn at(mut self, listener: impl Into<String>) -> Self {
        self.listener = Some(listener.into());
        self
    }

    /// Only for paths that begin like this.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Only for this path, whatever its query.
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// Only for requests of which a header has this value, among others maybe.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push(HeaderMatch::Is(name.into(), value.into()));
        self
    }

    /// Only for requests with this header, whatever its value.
    #[must_use]
    pub fn header_present(mut self, name: impl Into<String>) -> Self {
        self.headers.push(HeaderMatch::Present(name.into()));
        self
    }

    fn matches(&self, listener: &str, request: &Headers) -> bool {
        let path = request.get(":path").unwrap_or_default();
        let bare = path.split(|byte| *byte == b'?').next().unwrap_or_default();
        let by_path = match &self.path {
            Some(exact) => bare == exact.as_bytes(),
            None => path.starts_with(self.prefix.as_bytes()),
        };
        let by_listener = self.listener.as_ref().is_none_or(|known| known == listener);
        by_listener
            && by_path
            && self.headers.iter().all(|wanted| match wanted {
                HeaderMatch::Is(name, value) => {
                    request.all(name).any(|known| known == value.as_bytes())
                }
                HeaderMatch::Present(name) => request.get(name).is_some(),
            })
    }
}

/// The route of a request of a listener, if any matches.
pub(crate) fn find(routes: &[Route], listener: &str, request: &Headers) -> Option<Taken> {
    let route = routes.iter().find(|route| route.matches(listener, request))?;
    let Route { name, cluster, direct, metadata, .. } = route.clone();
    Some(Taken { name, cluster, direct, metadata })
}

#[cfg(test)]
mod tests {
    use super::{Route, find};
    use crate::Headers;

    #[test]
    fn the_first_that_matches() {
        let routes = [
            Route::to("tokyo").header("x-route", "tokyo"),
            Route::to("any").header_present("x-route"),
            Route::to("exact").path("/a"),
            Route::direct(410, "gone").prefix("/old"),
        ];
        for (path, route, cluster) in [
            ("/", Some("tokyo"), Some(Some("tokyo"))),
            ("/", Some("osaka"), Some(Some("any"))),
            ("/a?x=1", None, Some(Some("exact"))),
            ("/old/page", None, Some(None)),
            ("/b", None, None),
        ] {
            let mut request = Headers::from_iter([(":path", path)]);
            request.extend(route.map(|value| ("x-route", value)));
            let found = find(&routes, "", &request);
            let found = found.as_ref().map(|taken| taken.cluster.as_deref());
            assert_eq!(found, cluster, "{path} {route:?}");
        }
    }

    #[test]
    fn a_route_may_be_of_one_listener() {
        let routes = [Route::to("local").at("inbound"), Route::to("other").at("edge")];
        let request = Headers::from_iter([(":path", "/")]);
        for (listener, cluster) in [("inbound", Some("local")), ("edge", Some("other")), ("", None)]
        {
            let found = find(&routes, listener, &request).and_then(|taken| taken.cluster);
            assert_eq!(found.as_deref(), cluster, "{listener}");
        }
    }
}
