//! Where a listener sends a request, as the rendered route tables say it.

use super::message::{Headers, first};
use policy_core::Role;
use policy_core::name::HEADER_ROUTE;

/// What a proxy answers where there is no route to the region that a guard chose.
pub(crate) const NO_ROUTE: (u16, &str) = (503, "no route to the region that was chosen\n");

/// Where a request goes from a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum To {
    /// To a listener of a region.
    Proxy { region: String, role: Role },
    /// To the application here.
    Application,
    /// Nowhere: the proxy answers [`NO_ROUTE`].
    Nowhere,
}

/// For which requests a route is: by the header that a guard writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum When {
    Always,
    Chosen(String),
    AnyChosen,
}

/// One route; the first that is for a request is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) when: When,
    pub(crate) to: To,
}

/// The routes of the listener of a role in a region.
pub(crate) fn of<'r>(role: Role, here: &str, regions: impl Iterator<Item = &'r str>) -> Vec<Route> {
    let always = |to| Route { when: When::Always, to };
    let upstream = || always(To::Proxy { region: here.to_owned(), role: Role::Inbound });
    match role {
        Role::Inbound => vec![always(To::Application)],
        Role::Peer => vec![upstream()],
        Role::Edge | Role::Outbound => {
            let by_region = regions.filter(|region| *region != here).map(|region| Route {
                when: When::Chosen(region.to_owned()),
                to: To::Proxy { region: region.to_owned(), role: Role::Peer },
            });
            let mut routes: Vec<Route> = by_region.collect();
            routes.extend([Route { when: When::AnyChosen, to: To::Nowhere }, upstream()]);
            routes
        }
    }
}

/// Where a request goes.
pub(crate) fn find(routes: &[Route], headers: &Headers) -> To {
    let chosen = first(headers, HEADER_ROUTE);
    let is_for = |route: &&Route| match &route.when {
        When::Always => true,
        When::Chosen(region) => chosen == Some(region.as_bytes()),
        When::AnyChosen => chosen.is_some(),
    };
    routes.iter().find(is_for).map_or(To::Nowhere, |route| route.to.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guard_chooses_at_edge_and_outbound_alone() {
        let inbound = To::Proxy { region: "tokyo".into(), role: Role::Inbound };
        let taiwan = To::Proxy { region: "taiwan".into(), role: Role::Peer };
        for (role, chosen, to) in [
            (Role::Edge, None, &inbound),
            (Role::Edge, Some("taiwan"), &taiwan),
            (Role::Edge, Some("tokyo"), &To::Nowhere),
            (Role::Edge, Some("osaka"), &To::Nowhere),
            (Role::Outbound, Some("taiwan"), &taiwan),
            (Role::Peer, Some("taiwan"), &inbound),
            (Role::Inbound, Some("taiwan"), &To::Application),
        ] {
            let headers: Headers =
                chosen.map(|region| (HEADER_ROUTE.into(), region.into())).into_iter().collect();
            let routes = of(role, "tokyo", ["taiwan", "tokyo"].into_iter());
            assert_eq!(find(&routes, &headers), *to, "{role} {chosen:?}");
        }
    }
}
