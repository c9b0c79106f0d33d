//! `meshfence state`: what an agent says of the regions, or what a proxy believes of them.

mod agent;
mod proxy;

use crate::cli::{Format, State};
use crate::exit::{Exit, Failure};
use crate::keys;
use crate::terminal;
use local_mesh::client::{self, RawRequest, RawResponse};
use policy_doc::AgentUrl;
use std::time::Duration;
use tokio::net::lookup_host;

/// Whoever does not answer for so long is not there.
const PATIENCE: Duration = Duration::from_secs(5);

/// Takes the cursor home and clears what is below: a table that is printed again stands in its place.
const AGAIN: &str = "\x1b[H\x1b[J";

pub(crate) async fn run(arguments: State) -> Result<(), Failure> {
    let key = arguments.key.as_ref().map(keys::secret_of).transpose()?;
    let Some(seconds) = arguments.watch else {
        return terminal::print(&look(&arguments, key.as_ref()).await?);
    };
    let is_terminal = terminal::is_terminal();
    let mut every = tokio::time::interval(Duration::from_secs(seconds.max(1).into()));
    loop {
        every.tick().await;
        // Whoever watches wants to see the end of an outage as well.
        let text = match look(&arguments, key.as_ref()).await {
            Err(failure) if failure.exit == Exit::Environment => match arguments.format {
                Format::Human => failure.message,
                Format::Json => serde_json::json!({"error": failure.message}).to_string(),
            },
            told => told?,
        };
        let before = if is_terminal { AGAIN } else { "" };
        if !terminal::print_on(&format!("{before}{text}"))? {
            return Ok(());
        }
    }
}

/// What there is to see now.
async fn look(arguments: &State, key: Option<&(String, Vec<u8>)>) -> Result<String, Failure> {
    let is_json = arguments.format == Format::Json;
    match (&arguments.agent, &arguments.proxy) {
        (Some(agent), _) => {
            let seen = agent::ask(agent, key).await?;
            Ok(if is_json { seen.machine() } else { seen.human() })
        }
        (None, Some(proxy)) => {
            let seen = proxy::ask(proxy).await?;
            Ok(if is_json { seen.machine() } else { seen.human() })
        }
        (None, None) => Err(Failure::new(Exit::Usage, "name an agent or a proxy")),
    }
}

/// Asks for a path.
async fn get(url: &AgentUrl, path: &str) -> Result<RawResponse, Failure> {
    let unusable = |why: String| Failure::new(Exit::Environment, why);
    if url.is_tls {
        let help = "forward its port to this machine and use an `http://` URL";
        return Err(Failure::new(Exit::Usage, "TLS is not supported here").help(help));
    }
    let authority = url.authority();
    let mut found = lookup_host((url.host.as_str(), url.port))
        .await
        .map_err(|error| unusable(format!("{authority} cannot be found: {error}")))?;
    let addr = found.next().ok_or_else(|| unusable(format!("{authority} has no address")))?;
    let request = RawRequest::new("GET", path).header("host", authority.as_str());
    client::send(addr, &request, PATIENCE).await.map_err(Failure::from)
}
