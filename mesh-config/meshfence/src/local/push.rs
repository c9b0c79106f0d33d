//! What an Envoy makes of a configuration that is moved into its place.

use super::ADMIN_LIMIT;
use crate::exit::{Exit, Failure};
use local_mesh::client::{self, RawRequest};
use policy_core::Role;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::Instant;

/// How long an Envoy may take to go over to another configuration.
const PUSH_LIMIT: Duration = Duration::from_secs(20);
const PUSH_PAUSE: Duration = Duration::from_millis(5);

/// What an Envoy made of a configuration that was pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Push {
    /// Every worker went over to it. Whether the module refuses it is for the module to tell.
    Taken,
    /// It stayed with what it had.
    Refused,
}

/// How often an Envoy has gone over to another configuration of a role, and how often it has not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pushes {
    taken: u64,
    refused: u64,
}

impl Pushes {
    pub(super) async fn of(admin: SocketAddr, role: Role) -> Result<Self, Failure> {
        let prefix =
            format!("extension_config_discovery.http_filter.{}.", render::plugin_name(role));
        let request = RawRequest::new("GET", format!("/stats?filter=^{prefix}"));
        let response = client::send(admin, &request, ADMIN_LIMIT).await?;
        let text = response.text();
        let stats: BTreeMap<&str, u64> = text
            .lines()
            .filter_map(|line| line.strip_prefix(&*prefix)?.split_once(": "))
            .filter_map(|(name, value)| Some((name, value.trim().parse().ok()?)))
            .collect();
        let stat = |name: &str| stats.get(name).copied().unwrap_or_default();
        Ok(Self {
            taken: stat("config_reload"),
            refused: stat("config_fail")
                .saturating_add(stat("update_rejected"))
                .saturating_add(stat("update_failure")),
        })
    }

    /// Waits until one of them grows.
    pub(super) async fn until_another(
        self,
        admin: SocketAddr,
        role: Role,
        region: &str,
    ) -> Result<Push, Failure> {
        let deadline = Instant::now() + PUSH_LIMIT;
        loop {
            let now = Self::of(admin, role).await?;
            if now.taken > self.taken {
                return Ok(Push::Taken);
            }
            if now.refused > self.refused {
                return Ok(Push::Refused);
            }
            if Instant::now() > deadline {
                let message = format!("{region}: Envoy has not read the configuration of {role}");
                return Err(Failure::new(Exit::Environment, message));
            }
            tokio::time::sleep(PUSH_PAUSE).await;
        }
    }
}
