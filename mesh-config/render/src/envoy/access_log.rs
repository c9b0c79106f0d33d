//! One JSON object a request. No path, no query and no header but the request's id: they may carry
//! personal data. What was asked for is in the decision, as the context's name.
//!
//! A user cannot write into the id: at the edge Envoy makes it, whatever was sent. Everywhere else it
//! is what the sender says, by his certificate a gateway or a workload, or the application itself;
//! it is then as long as Envoy lets headers be.

use super::listener::listener_name;
use super::plan::{AccessLog, View};
use super::{RenderError, type_url};
use crate::yaml::{Node, list, map};
use policy_core::Role;
use policy_core::name::PROPERTY_DECISION;

/// The user agent of Envoy's own health checks.
const HEALTH_CHECK_AGENT: &str = "Envoy/HC";

/// The log of the listener of a role.
pub(super) fn of(view: &View<'_>, role: Role) -> Result<Node, RenderError> {
    let filter = match role {
        Role::Edge | Role::Outbound => None,
        Role::Peer | Role::Inbound => Some(unless_routine(view)),
    };
    let filter = filter.map(|filter| ("filter".to_owned(), filter));
    Ok(list![logger(view, listener_name(role), filter)?])
}

/// By path too, so that nobody stays out of the log by the name of his user agent; and not those that
/// fail, which have a decision record. A record without a line would be a gap in its chain.
fn unless_routine(view: &View<'_>) -> Node {
    let unless = |name: &str, value: &str| {
        let header = map! {
            "name" => name,
            "string_match" => map! { "exact" => value },
            "invert_match" => true,
            "treat_missing_header_as_empty" => true,
        };
        map! { "header_filter" => map! { "header" => header } }
    };
    let failed = map! {
        "op" => "GE",
        "value" => map! {
            "default_value" => 400_i64,
            "runtime_key" => "meshfence.access_log.health_check_status",
        },
    };
    let filters = list![
        unless("user-agent", HEALTH_CHECK_AGENT),
        unless(":path", view.health_path),
        map! { "status_code_filter" => map! { "comparison" => failed } },
    ];
    map! { "or_filter" => map! { "filters" => filters } }
        .because("not the health checks of Envoy itself, unless they fail")
}

fn logger(
    view: &View<'_>,
    listener: &str,
    filter: Option<(String, Node)>,
) -> Result<Node, RenderError> {
    let region = &view.site.region;
    let log_format = map! { "json_format" => format(region, listener) };
    let (name, config) = match &view.plan.access_log {
        AccessLog::Stdout => (
            "envoy.access_loggers.stdout",
            map! {
                "@type" => type_url("envoy.extensions.access_loggers.stream.v3.StdoutAccessLog"),
                "log_format" => log_format,
            },
        ),
        AccessLog::File(paths) => {
            let path = paths
                .get(region)
                .ok_or_else(|| RenderError::LogMissing { region: region.clone() })?;
            let config = map! {
                "@type" => type_url("envoy.extensions.access_loggers.file.v3.FileAccessLog"),
                "path" => path.as_str(),
                "log_format" => log_format,
            };
            ("envoy.access_loggers.file", config)
        }
    };
    let mut entries = vec![("name".to_owned(), Node::from(name))];
    entries.extend(filter);
    entries.push(("typed_config".to_owned(), config));
    Ok(Node::Map(entries))
}

fn format(region: &str, listener: &str) -> Node {
    map! {
        "start_time" => "%START_TIME%",
        // A percent sign would start a command of Envoy's.
        "region" => region.replace('%', "%%"),
        "listener" => listener,
        "request_id" => "%REQ(X-REQUEST-ID)%",
        // With HTTP/2 any word is a method: no more of one than the longest that is known.
        "method" => "%REQ(:METHOD):7%",
        "protocol" => "%PROTOCOL%",
        "response_code" => "%RESPONSE_CODE%",
        "response_flags" => "%RESPONSE_FLAGS%",
        "response_code_details" => "%RESPONSE_CODE_DETAILS%",
        "grpc_status" => "%GRPC_STATUS%",
        "duration_ms" => "%DURATION%",
        "bytes_received" => "%BYTES_RECEIVED%",
        "bytes_sent" => "%BYTES_SENT%",
        "upstream_cluster" => "%UPSTREAM_CLUSTER%",
        "upstream_host" => "%UPSTREAM_HOST%",
        "upstream_region" => "%METADATA(UPSTREAM_HOST:meshfence:region)%",
        "decision" => Node::from(format!("%FILTER_STATE(wasm.{PROPERTY_DECISION}:PLAIN)%"))
            .because("the decision record of the guard: JSON as a string"),
    }
}
