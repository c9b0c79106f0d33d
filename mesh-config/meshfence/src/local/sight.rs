//! Whether the Envoys of a run see the regions behind their clusters.

use super::ADMIN_LIMIT;
use crate::exit::{Exit, Failure};
use local_mesh::client::{self, RawRequest};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::Instant;

/// How long the regions may take to see each other.
const SETTLE_LIMIT: Duration = Duration::from_secs(20);
const SETTLE_PAUSE: Duration = Duration::from_millis(50);

/// One cluster of one Envoy, which has to be healthy before requests are sent.
#[derive(Debug)]
pub(super) struct Sight {
    region: String,
    admin: SocketAddr,
    cluster: String,
    /// How many health checks had succeeded before one that counts; none before it was asked.
    before: Option<u64>,
}

/// What an Envoy says of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Health {
    is_healthy: bool,
    succeeded: u64,
}

impl Sight {
    /// A cluster of a region's Envoy. Where the region behind it `is_new` to an Envoy that has known
    /// it before, only a health check from now on counts: what the Envoy says until then may be of
    /// the processes that are gone, and it may yet find that out while the new ones get ready.
    pub(super) fn new(region: &str, admin: SocketAddr, cluster: String, is_new: bool) -> Self {
        let before = if is_new { None } else { Some(0) };
        Self { region: region.to_owned(), admin, cluster, before }
    }

    async fn is_clear(&mut self) -> bool {
        match Health::of(self.admin, &self.cluster).await {
            Some(health) => health.counts(&mut self.before),
            None => false,
        }
    }
}

impl Health {
    /// None if the Envoy does not say.
    async fn of(admin: SocketAddr, cluster: &str) -> Option<Self> {
        let prefix = format!("cluster.{cluster}.");
        let stats = "(membership_healthy|health_check.success)";
        let request = RawRequest::new("GET", format!("/stats?filter=^{prefix}{stats}$"));
        let response = client::send(admin, &request, ADMIN_LIMIT).await.ok()?;
        Self::read(&response.text(), &prefix)
    }

    fn read(text: &str, prefix: &str) -> Option<Self> {
        let stat = |wanted: &str| {
            let mut stats =
                text.lines().filter_map(|line| line.strip_prefix(prefix)?.split_once(": "));
            stats.find(|(name, _)| *name == wanted)?.1.trim().parse::<u64>().ok()
        };
        let is_healthy = stat("membership_healthy")? > 0;
        Some(Self { is_healthy, succeeded: stat("health_check.success")? })
    }

    /// Whether the cluster is healthy by a check that succeeded after those from before.
    fn counts(self, before: &mut Option<u64>) -> bool {
        let before = *before.get_or_insert(self.succeeded);
        self.is_healthy && self.succeeded > before
    }
}

/// Waits until all of it is seen: health checks take a moment.
pub(super) async fn settle(sights: Vec<Sight>, say: &mut dyn FnMut(&str)) -> Result<(), Failure> {
    let deadline = Instant::now() + SETTLE_LIMIT;
    let mut waiting = Vec::new();
    for mut sight in sights {
        if !sight.is_clear().await {
            say(&format!("{}: waiting for {}", sight.region, sight.cluster));
            waiting.push(sight);
        }
    }
    for mut sight in waiting {
        while !sight.is_clear().await {
            if Instant::now() > deadline {
                let message = format!("{}: {} is not healthy", sight.region, sight.cluster);
                return Err(Failure::new(Exit::Environment, message));
            }
            tokio::time::sleep(SETTLE_PAUSE).await;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn health(is_healthy: bool, succeeded: u64) -> Health {
        Health { is_healthy, succeeded }
    }

    #[test]
    fn both_stats_are_wanted() {
        for (text, read) in [
            (
                "cluster.peer-a.health_check.success: 7\ncluster.peer-a.membership_healthy: 1\n",
                Some(health(true, 7)),
            ),
            (
                "cluster.peer-a.health_check.success: 7\ncluster.peer-a.membership_healthy: 0\n",
                Some(health(false, 7)),
            ),
            ("cluster.peer-a.membership_healthy: 1\n", None),
            (
                "cluster.peer-b.health_check.success: 7\ncluster.peer-b.membership_healthy: 1\n",
                None,
            ),
            ("", None),
        ] {
            assert_eq!(Health::read(text, "cluster.peer-a."), read, "{text}");
        }
    }

    #[test]
    fn what_was_known_before_does_not_count() {
        for (is_new, said, clear) in [
            // An Envoy that has just started cannot know anything old.
            (false, &[(false, 0), (true, 1)][..], &[false, true][..]),
            (false, &[(true, 9)], &[true]),
            // The region is still taken for healthy, then found lost, then found again.
            (true, &[(true, 9), (true, 9), (false, 9), (true, 10)], &[false, false, false, true]),
            (true, &[(true, 9), (true, 10)], &[false, true]),
            (true, &[(false, 9), (true, 10)], &[false, true]),
            // Ejected for connections that failed, whatever health checks say.
            (true, &[(false, 9), (false, 10), (true, 10)], &[false, false, true]),
        ] {
            let admin = SocketAddr::from(([127, 0, 0, 1], 1));
            let mut sight = Sight::new("a", admin, String::from("peer-b"), is_new);
            let seen: Vec<bool> = said
                .iter()
                .map(|(is_healthy, succeeded)| {
                    health(*is_healthy, *succeeded).counts(&mut sight.before)
                })
                .collect();
            assert_eq!(seen, clear, "{said:?}");
        }
    }
}
