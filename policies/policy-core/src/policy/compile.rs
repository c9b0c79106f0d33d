//! Compiling the parts of a policy that need no other part.

use super::shedding;
use super::versions::compile_merges;
use super::{Match, Policy, Region};
use crate::country::Country;
use crate::path::CanonicalPath;
use crate::region::RegionId;
use crate::routes::{self, Routes};
use crate::template::Template;
use crate::vocabulary::{
    Consistency, DataClass, Effect, Method, Mode, Reads, ResidencyMode, SubjectMode,
};
use crate::wire::{self, Agent, ConfigFault, LeaseTimes};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// Every VM of every proxy compiles a policy, so what it may hold is bounded.
const CONTEXTS_MAX: usize = 500;
const MATCHES_MAX: usize = 2000;
const HOSTS_MAX: usize = 1000;
const HEALTH_PATHS_MAX: usize = 100;
const LOCALITY_LEN_MAX: usize = 64;
const AGENT_NAME_LEN_MAX: usize = 253;

/// Refuses what would take long to compile before anything is compiled.
pub(super) fn check_sizes(body: &wire::PolicyBody) -> Result<(), ConfigFault> {
    let matches = body.contexts.iter().map(|context| context.matches.len()).sum();
    for (path, count, most) in [
        ("policy.contexts", body.contexts.len(), CONTEXTS_MAX),
        ("policy.contexts.match", matches, MATCHES_MAX),
        ("policy.hosts", body.hosts.len(), HOSTS_MAX),
        ("policy.healthPaths", body.health_paths.len(), HEALTH_PATHS_MAX),
    ] {
        if count > most {
            return Err(fault(path, format!("are {count}, more than {most}")));
        }
    }
    Ok(())
}

/// A health path is answered whatever the policy says, so it may not be one of personal data.
pub(super) fn check_health_paths(policy: &Policy) -> Result<(), ConfigFault> {
    for path in &policy.health_paths {
        let Ok(canonical) = CanonicalPath::parse(path) else { continue };
        for method in [Method::Get, Method::Head] {
            if let Some((_, context)) = policy.find_match(&canonical, method)
                && context.is_bound
            {
                let message = format!(
                    "`{}` is a path of `{}`, whose data is about persons",
                    path.escape_ascii(),
                    context.name
                );
                return Err(fault("policy.healthPaths", message));
            }
        }
    }
    Ok(())
}

pub(super) fn compile_regions(regions: &[wire::Region]) -> Result<Vec<Region>, ConfigFault> {
    if regions.is_empty() || regions.len() > RegionId::MAX {
        return Err(fault("policy.regions", format!("needs 1 to {} regions", RegionId::MAX)));
    }
    let mut compiled: Vec<Region> = Vec::new();
    for (number, region) in regions.iter().enumerate() {
        let path = |key: &str| format!("policy.regions[{number}].{key}");
        let name = region.name.as_bytes();
        let valid = name.len() <= 32
            && name.first().is_some_and(u8::is_ascii_lowercase)
            && name.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-');
        if !valid {
            return Err(fault(
                path("name"),
                format!("`{}` is not of the form [a-z][a-z0-9-]*, 32 at most", region.name),
            ));
        }
        let code: [u8; 3] = region
            .code
            .as_bytes()
            .try_into()
            .ok()
            .filter(|code: &[u8; 3]| code.iter().all(u8::is_ascii_lowercase))
            .ok_or_else(|| {
                fault(path("code"), format!("`{}` is not three letters a-z", region.code))
            })?;
        if Country::parse(region.jurisdiction.as_bytes()).is_none() {
            return Err(fault(
                path("jurisdiction"),
                format!("`{}` is no ISO 3166 country code", region.jurisdiction),
            ));
        }
        if compiled.iter().any(|known| *known.name == *region.name) {
            return Err(fault(path("name"), format!("`{}` stands twice", region.name)));
        }
        if compiled.iter().any(|known| known.code == code) {
            return Err(fault(path("code"), format!("`{}` stands twice", region.code)));
        }
        let locality = region.locality.as_deref().map(Box::from);
        compiled.push(Region { name: region.name.as_str().into(), code, locality });
    }
    check_localities(&compiled)?;
    Ok(compiled)
}

/// Where an upstream is has to be one region's affair.
fn check_localities(regions: &[Region]) -> Result<(), ConfigFault> {
    for (number, region) in regions.iter().enumerate() {
        let Some(locality) = region.locality.as_deref() else { continue };
        let path = || format!("policy.regions[{number}].locality");
        if locality.is_empty() || locality.len() > LOCALITY_LEN_MAX {
            return Err(fault(path(), format!("needs 1 to {LOCALITY_LEN_MAX} bytes")));
        }
        let is_taken = regions.iter().enumerate().any(|(other, known)| {
            let called = known.locality.as_deref();
            other != number && (called == Some(locality) || *known.name == *locality)
        });
        if is_taken {
            return Err(fault(path(), format!("`{locality}` is another region")));
        }
    }
    Ok(())
}

/// Whom an attachment asks for region state.
pub(super) fn compile_agent(config: &wire::PluginConfig) -> Result<Option<Agent>, ConfigFault> {
    let Some(agent) = &config.attachment.agent else { return Ok(None) };
    for (key, name) in [("cluster", &agent.cluster), ("authority", &agent.authority)] {
        let is_name = name.bytes().all(|byte| byte.is_ascii_graphic());
        if name.is_empty() || name.len() > AGENT_NAME_LEN_MAX || !is_name {
            let message = format!("needs 1 to {AGENT_NAME_LEN_MAX} printable bytes");
            return Err(fault(format!("attachment.agent.{key}"), message));
        }
    }
    if config.policy.fencing.static_state.is_some() {
        return Err(fault("attachment.agent", "is there beside a static state"));
    }
    Ok(Some(agent.clone()))
}

/// How long leases last. A lease that is asked for less often than it lasts is never known for
/// certain.
pub(super) fn compile_lease_times(times: LeaseTimes) -> Result<LeaseTimes, ConfigFault> {
    let LeaseTimes { ttl_ms, poll_ms } = times;
    let (bounds, poll_ms_min) = (LeaseTimes::TTL_MS, LeaseTimes::POLL_MS_MIN);
    if !bounds.contains(&ttl_ms) {
        let message = format!("needs {} to {} milliseconds", bounds.start(), bounds.end());
        return Err(fault("policy.fencing.lease.ttlMs", message));
    }
    if poll_ms < poll_ms_min || poll_ms > ttl_ms / 3 {
        let message =
            format!("needs {poll_ms_min} milliseconds to a third of `ttlMs`: {}", ttl_ms / 3);
        return Err(fault("policy.fencing.lease.pollMs", message));
    }
    Ok(times)
}

/// How many of a thousand plain requests are recorded.
pub(super) fn compile_records(body: &wire::PolicyBody) -> Result<u32, ConfigFault> {
    let all = wire::Records::ALL_PER_MILLE;
    let sample = body.records.sample_per_mille;
    if sample > all {
        let message = format!("`{sample}` is more than {all}");
        return Err(fault("policy.records.samplePerMille", message));
    }
    Ok(sample)
}

/// The hosts in lower case, sorted.
pub(super) fn compile_hosts(hosts: &[String]) -> Result<Box<[Box<[u8]>]>, ConfigFault> {
    if hosts.is_empty() {
        return Err(fault("policy.hosts", "names no host"));
    }
    let mut compiled: Vec<Box<[u8]>> = hosts
        .iter()
        .enumerate()
        .map(|(number, host)| {
            let bytes = host.as_bytes();
            let valid = !bytes.is_empty()
                && bytes.iter().all(|b| b.is_ascii_graphic() && !b",/".contains(b))
                && without_port(bytes) == bytes;
            if valid {
                Ok(bytes.to_ascii_lowercase().into())
            } else {
                Err(fault(
                    format!("policy.hosts[{number}]"),
                    format!("`{host}` is no host name without a port"),
                ))
            }
        })
        .collect::<Result<_, ConfigFault>>()?;
    compiled.sort();
    Ok(compiled.into())
}

/// The health paths, sorted.
pub(super) fn compile_health_paths(paths: &[String]) -> Result<Box<[Box<[u8]>]>, ConfigFault> {
    let mut compiled: Vec<Box<[u8]>> = paths
        .iter()
        .enumerate()
        .map(|(number, path)| match CanonicalPath::parse(path.as_bytes()) {
            Ok(canonical) if canonical.rewritten().is_none() && !path.contains('?') => {
                Ok(canonical.path().into())
            }
            _ => Err(fault(
                format!("policy.healthPaths[{number}]"),
                format!("`{path}` is no canonical path without a query"),
            )),
        })
        .collect::<Result<_, ConfigFault>>()?;
    compiled.sort();
    Ok(compiled.into())
}

pub(super) fn compile_routes(
    body: &wire::PolicyBody,
    resource: Option<&str>,
) -> Result<(Routes, Box<[Match]>), ConfigFault> {
    let mut routes: Vec<(Template, u8)> = Vec::new();
    let mut matches = Vec::new();
    let mut paths = Vec::new();
    for (number, context) in body.contexts.iter().enumerate() {
        for (position, found) in context.matches.iter().enumerate() {
            let path = format!("policy.contexts[{number}].match[{position}]");
            let template = Template::parse(&found.path)
                .map_err(|error| fault(format!("{path}.path"), format!("{error}")))?;
            if found.effect == Some(Effect::None) && context.consistency.is_leased() {
                return Err(fault(format!("{path}.effect"), "`none` is not for leased contexts"));
            }
            let shard_segment = match context.shard.as_ref().and_then(|s| s.variable.as_deref()) {
                None => None,
                Some(name) => Some(template.variable(name).ok_or_else(|| {
                    fault(format!("{path}.path"), format!("has no variable `{{{name}}}`"))
                })?),
            };
            // A path without the variable names nobody.
            let resource_segment = resource.and_then(|name| template.variable(name));
            let methods = found.methods.iter().fold(0, |bits, method| bits | method.bit());
            routes.push((template, methods));
            matches.push(Match {
                route: found.path.as_str().into(),
                context: number,
                effect: found.effect,
                operation: found.operation,
                shard_segment,
                resource_segment,
                merges: None,
            });
            paths.push(path);
        }
    }
    if let Some(ambiguity) = routes::ambiguities(&routes).first() {
        let at = |number: usize| paths.get(number).map_or("", String::as_str);
        return Err(fault(
            at(ambiguity.second),
            format!("neither this nor {} is more specific", at(ambiguity.first)),
        ));
    }
    let routes = Routes::compile(&routes)
        .ok_or_else(|| fault("policy.contexts", "have paths that overlap in too many ways"))?;
    compile_merges(body, &mut matches)?;
    Ok((routes, matches.into()))
}

pub(super) fn check_context(
    context: &wire::Context,
    body: &wire::PolicyBody,
    has_source: bool,
    number: usize,
) -> Result<(), ConfigFault> {
    let at = |key: &str| format!("policy.contexts[{number}].{key}");
    let name = context.name.as_bytes();
    // It becomes part of a structured header (RFC 9651 token) and of metric names.
    let valid = name.len() <= 64
        && name.first().is_some_and(u8::is_ascii_lowercase)
        && name.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-');
    if !valid || context.name == "default" {
        return Err(fault(
            at("name"),
            format!(
                "`{}` is not of the form [a-z][a-z0-9-]*, 64 at most, nor `default`",
                context.name
            ),
        ));
    }
    if body.contexts.iter().take(number).any(|earlier| earlier.name == context.name) {
        return Err(fault(at("name"), format!("`{}` stands twice", context.name)));
    }
    if context.matches.is_empty() {
        return Err(fault(at("match"), "has nothing to match"));
    }
    if context.data_classes.is_empty() {
        return Err(fault(at("dataClasses"), "names no class"));
    }
    if context.subject == SubjectMode::SelfCaller && !has_source {
        return Err(fault(at("subject"), "`self` needs a subject source"));
    }
    if let Some(country) = &context.default_country {
        if Country::parse(country.as_bytes()).is_none() {
            let message = format!("`{country}` is no ISO 3166 country code");
            return Err(fault(at("defaultCountry"), message));
        }
        if context.subject == SubjectMode::None {
            return Err(fault(at("defaultCountry"), "is not for a context without a subject"));
        }
    }
    let bound = context.data_classes.iter().copied().any(DataClass::is_bound);
    if bound && context.subject == SubjectMode::Optional {
        // Whoever leaves the token out would escape the rules that ask for a country.
        return Err(fault(
            at("subject"),
            "`optional` is not for data about persons: `self`, or `none` where nobody is known yet",
        ));
    }
    if bound
        && body.residency.mode == ResidencyMode::Disabled
        && body.residency.mode_until.is_none()
    {
        return Err(fault(
            "policy.residency.mode",
            "is `disabled` for ever with personal data in a context",
        ));
    }
    if let Some(deadline) = context.deadline {
        shedding::check_deadline(deadline, at("deadline"))?;
    }
    if let Some(acks) = context.acks {
        if context.consistency != Consistency::Quorum {
            return Err(fault(at("acks"), "is for quorum contexts"));
        }
        let fewer = acks.when_peer_down.unwrap_or(acks.required);
        let is_possible = usize::from(acks.required) <= body.regions.len();
        if fewer == 0 || fewer > acks.required || !is_possible {
            let message = "has `acks` that ask for more regions than there are, or for none";
            return Err(fault(at("acks"), message));
        }
    }
    let is_copied = match context.consistency {
        Consistency::Replicated => true,
        Consistency::Regional => false,
        Consistency::Quorum | Consistency::Synchronous | Consistency::Locked => {
            context.reads == Reads::Local
        }
    };
    if context.max_lag_ms.is_some() && !is_copied {
        return Err(fault(at("maxLagMs"), "is for contexts whose reads are served from copies"));
    }
    if context.consistency.is_leased() && body.fencing.mode == Mode::Disabled {
        return Err(fault("policy.fencing.mode", "is `disabled` with a leased context"));
    }
    Ok(())
}

/// A host without its port. An IPv6 literal keeps its brackets.
pub(super) fn without_port(host: &[u8]) -> &[u8] {
    match host.iter().rposition(|byte| *byte == b':') {
        Some(colon) => match host.split_at_checked(colon) {
            Some((name, port))
                if port.len() > 1
                    && port.iter().skip(1).all(u8::is_ascii_digit)
                    && (!name.contains(&b':') || name.ends_with(b"]")) =>
            {
                name
            }
            _ => host,
        },
        None => host,
    }
}

pub(super) fn one_of(value: u16, allowed: [u16; 2], path: &str) -> Result<u16, ConfigFault> {
    if allowed.contains(&value) {
        return Ok(value);
    }
    let [first, second] = allowed;
    Err(fault(path, format!("{value} is neither {first} nor {second}")))
}

pub(super) fn fault(path: impl Into<String>, message: impl Into<String>) -> ConfigFault {
    ConfigFault { path: path.into(), message: message.into() }
}
