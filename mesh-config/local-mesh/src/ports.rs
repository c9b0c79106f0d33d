//! Which port of the machine serves which region for what.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::error::Error;

/// Where free ports are looked for. Those that an operating system gives out by itself are above (from
/// 32768 on, on Linux): one of them may be the near end of somebody's connection, or the next free
/// port of somebody else, between the moment it is found free and the moment an Envoy listens there.
const FREE: Range<u32> = 20_000..32_768;

/// The distance between the first ports of two neighbouring regions.
///
/// Round, so that a reader of `10101` knows: second region, admin.
pub const STEP: u16 = 100;

/// The addresses of one region, all on 127.0.0.1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ports {
    /// The region.
    pub region: String,
    /// Where users come in.
    pub edge: SocketAddr,
    /// Envoy's admin interface.
    pub admin: SocketAddr,
    /// Where the other regions come in.
    pub peer: SocketAddr,
    /// The application: the echo.
    pub application: SocketAddr,
    /// Where what is sent to the application comes in.
    pub inbound: SocketAddr,
    /// Where the application sends what it asks of others.
    pub outbound: SocketAddr,
}

impl Ports {
    /// Each with whose it is and what for.
    pub(crate) fn named(&self) -> [(&str, &'static str, SocketAddr); 6] {
        let region = self.region.as_str();
        [
            (region, "edge", self.edge),
            (region, "admin", self.admin),
            (region, "peer", self.peer),
            (region, "application", self.application),
            (region, "inbound", self.inbound),
            (region, "outbound", self.outbound),
        ]
    }
}

/// Gives every region its ports.
///
/// `base` 0 finds free ones. Otherwise region `i` gets, counted from
/// `base + 100 * i`: edge, admin, peer, application, inbound, outbound.
///
/// # Errors
///
/// [`Error::PortRange`] when the last port would lie above 65535, [`Error::Io`] when there is no free
/// port.
pub fn plan<S: AsRef<str>>(base: u16, regions: &[S]) -> Result<Vec<Ports>, Error> {
    // Held until all are picked: a port that is free twice in a row would otherwise come twice.
    let mut held = Vec::new();
    let mut plan = Vec::with_capacity(regions.len());
    for (index, region) in regions.iter().enumerate() {
        let mut port = |offset: u16| -> Result<SocketAddr, Error> {
            if base == 0 {
                let (listener, addr) = free()?;
                held.push(listener);
                return Ok(addr);
            }
            let port = u16::try_from(index)
                .ok()
                .and_then(|index| index.checked_mul(STEP))
                .and_then(|first| first.checked_add(offset))
                .and_then(|distance| base.checked_add(distance))
                .ok_or(Error::PortRange { base, regions: regions.len() })?;
            Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
        };
        plan.push(Ports {
            region: region.as_ref().to_owned(),
            edge: port(0)?,
            admin: port(1)?,
            peer: port(2)?,
            application: port(3)?,
            inbound: port(4)?,
            outbound: port(5)?,
        });
    }
    Ok(plan)
}

/// Fails unless every port is free, by listening on all of them at once.
///
/// Needed because Envoy listens with `SO_REUSEPORT`: a second one on the same port would start
/// without complaint and share the connections.
pub(crate) fn check_free(wanted: &[(&str, &'static str, SocketAddr)]) -> Result<(), Error> {
    let mut held = Vec::with_capacity(wanted.len());
    for &(region, purpose, addr) in wanted {
        let region = || region.to_owned();
        match TcpListener::bind(addr) {
            Ok(listener) => held.push(listener),
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
                return Err(Error::PortInUse { region: region(), purpose, addr });
            }
            Err(source) => {
                return Err(Error::PortUnusable { region: region(), purpose, addr, source });
            }
        }
    }
    Ok(())
}

/// A free port that this process has not had for long, and other processes hardly look at now: each
/// begins elsewhere, and goes on from where it was.
fn free() -> Result<(TcpListener, SocketAddr), Error> {
    static LOOKED_AT: AtomicU32 = AtomicU32::new(0);
    /// More than a process needs at a time.
    const APART: u32 = 97;
    let count = FREE.end.saturating_sub(FREE.start);
    let first = std::process::id().wrapping_mul(APART);
    let mut taken = None;
    for _ in 0..count {
        let place = first.wrapping_add(LOOKED_AT.fetch_add(1, Ordering::Relaxed)) % count;
        let port = u16::try_from(FREE.start.saturating_add(place)).unwrap_or(0);
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        match TcpListener::bind(addr) {
            Ok(listener) => return Ok((listener, addr)),
            Err(error) => taken = Some(error),
        }
    }
    Err(no_free_port(taken.unwrap_or_else(|| std::io::ErrorKind::AddrInUse.into())))
}

fn no_free_port(source: std::io::Error) -> Error {
    Error::Io { what: "get a free port".to_owned(), source }
}

#[cfg(test)]
mod tests {
    //! Arithmetic of the plan, and that free ports are free and distinct.

    use std::collections::BTreeSet;

    use super::*;

    fn all(p: &Ports) -> [SocketAddr; 6] {
        p.named().map(|(_, _, addr)| addr)
    }

    #[test]
    fn counts_from_the_base() {
        let plan = plan(10_000, &["taiwan", "tokyo"]).unwrap();
        let numbers = |p: &Ports| all(p).map(|a| a.port());
        assert_eq!(numbers(&plan[0]), [10_000, 10_001, 10_002, 10_003, 10_004, 10_005]);
        assert_eq!(numbers(&plan[1]), [10_100, 10_101, 10_102, 10_103, 10_104, 10_105]);
        assert_eq!(plan[1].region, "tokyo");
        assert!(plan.iter().all(|p| p.edge.ip().is_loopback()));
    }

    #[test]
    fn refuses_what_does_not_fit() {
        assert!(plan(65_530, &["one"]).is_ok());
        let error = plan(65_531, &["one"]).unwrap_err();
        assert_eq!(error.to_string(), "1 regions from port 65531 on do not fit below port 65536");
        assert!(plan(65_500, &["one", "two"]).is_err());
        assert!(plan(1, &vec!["many"; 70_000]).is_err());
    }

    #[test]
    fn free_ports_are_distinct_and_free() {
        let plan = plan(0, &["a", "b", "c"]).unwrap();
        let all: Vec<_> = plan.iter().flat_map(all).collect();
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 18);
        // None that the operating system gives to somebody else meanwhile, nor soon to us again.
        assert!(all.iter().all(|addr| FREE.contains(&addr.port().into())), "{all:?}");
        let next: BTreeSet<_> =
            super::plan(0, &["d"]).unwrap().iter().flat_map(self::all).collect();
        assert!(next.is_disjoint(&all.iter().copied().collect()), "{next:?}");
        let wanted: Vec<_> = all.iter().map(|addr| ("a", "edge", *addr)).collect();
        check_free(&wanted).unwrap();
    }

    #[test]
    fn names_the_port_in_use() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = taken.local_addr().unwrap();
        let error = check_free(&[("tokyo", "admin", addr)]).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("port {} of region `tokyo` (admin) is in use", addr.port())
        );
        assert!(error.is_environment());
    }

    #[test]
    fn the_same_port_twice_is_in_use() {
        let addr = plan(0, &["a"]).unwrap()[0].edge;
        let error = check_free(&[("a", "edge", addr), ("b", "peer", addr)]).unwrap_err();
        assert!(matches!(error, Error::PortInUse { purpose: "peer", .. }), "{error}");
    }
}
