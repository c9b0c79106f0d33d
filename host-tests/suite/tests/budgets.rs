//! What a request costs: hostcalls, bytes, allocations, fuel, memory, as snapshots that are read in
//! review like code.
//!
//! Fuel is about one a WebAssembly instruction. It is no time, but exact: the module has the same
//! bytes wherever it is built, and two runs of a scenario do the same.
#![expect(clippy::unwrap_used, reason = "what fails fails the test")]

use policy_core::wire::{Baseline, Conditions, Context, Match, PluginConfig, Rule};
use policy_core::{DataClass, Operation, PrincipalKind, Role, Situation};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;
use trial::{Agent, HOST, Scenario, Setting, code, scenarios, told};
use wasm_host::{
    Cost, FaultPlan, Incoming, Limits, LogLevel, Outcome, Plugin, Proxy, Request, Response, Trace,
    UPSTREAM, Value, get, post,
};

/// The calls of a kind, the most of them first.
fn by_kind(calls: &BTreeMap<&str, u64>) -> String {
    let mut calls: Vec<_> = calls.iter().map(|(name, count)| (*count, *name)).collect();
    calls.sort_by_key(|(count, name)| (u64::MAX - count, *name));
    let shown = calls.iter().map(|(count, name)| {
        let name = name.trim_start_matches("proxy_");
        if *count == 1 { name.to_owned() } else { format!("{name} {count}") }
    });
    shown.collect::<Vec<_>>().join(", ")
}

/// A table, as wide as it has to be. The last column is as long as it likes.
fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = head.iter().map(|cell| cell.len()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.len());
        }
    }
    let mut text = String::new();
    let head: Vec<String> = head.iter().map(|cell| (*cell).to_owned()).collect();
    for row in [&head].into_iter().chain(rows) {
        let mut line = String::new();
        for (place, cell) in row.iter().enumerate() {
            let width = widths.get(place).copied().unwrap_or_default();
            let is_number = cell.bytes().all(|byte| byte.is_ascii_digit()) && !cell.is_empty();
            let is_last = place + 1 == row.len();
            match (is_last, is_number) {
                (true, _) => line.push_str(cell),
                (_, true) => write!(line, "{cell:>width$}  ").unwrap(),
                _ => write!(line, "{cell:<width$}  ").unwrap(),
            }
        }
        writeln!(text, "{}", line.trim_end()).unwrap();
    }
    text
}

fn row(name: &str, answer: String, cost: &Cost, memory: usize) -> Vec<String> {
    let calls: u64 = cost.hostcalls.values().sum();
    let numbers = [calls, cost.bytes_in, cost.bytes_out, cost.allocations, cost.fuel];
    let mut row = vec![name.to_owned(), answer];
    row.extend(numbers.map(|number| number.to_string()));
    row.extend([(memory / 1024).to_string(), by_kind(&cost.hostcalls)]);
    row
}

/// Bytes that the host read from the guest and gave to it, how often it had the guest allocate, and
/// the memory of the VM.
const HEAD: [&str; 9] =
    ["", "answer", "calls", "read", "given", "allocs", "fuel", "KiB", "calls by kind"];

fn memory(proxy: &Proxy) -> usize {
    proxy.memory_bytes().into_iter().max().unwrap_or_default()
}

/// The second of two requests: the first one in a VM defines metrics on top. Of what need not be
/// recorded nothing is, as of 99 in 100 requests; what a record costs is the second row.
#[test]
fn a_request_costs_what_is_written_down() {
    let mut rows = Vec::new();
    for scenario in scenarios() {
        let setting = scenario.setting().unwrap().with_no_sample();
        let played = scenario.play(&setting, 2, FaultPlan::none()).unwrap();
        assert_eq!(played.proxy.trace().traps().count(), 0, "{}", scenario.name);
        let cost = played.outcome.trace.cost();
        rows.push(row(scenario.name, told(&played.outcome), &cost, memory(&played.proxy)));
    }
    let first = scenarios()[0];
    let played = first.play(&first.setting().unwrap(), 2, FaultPlan::none()).unwrap();
    let (cost, name) = (played.outcome.trace.cost(), format!("{}, recorded", first.name));
    rows.insert(1, row(&name, told(&played.outcome), &cost, memory(&played.proxy)));
    let setting = first.setting().unwrap().with_no_sample();
    let played = first.play(&setting, 1, FaultPlan::none()).unwrap();
    let (cost, name) = (played.outcome.trace.cost(), format!("{}, the first", first.name));
    rows.push(row(&name, told(&played.outcome), &cost, memory(&played.proxy)));
    // The scenarios record everything, as `up` does; most requests of a mesh are not in the sample.
    let setting = Setting::new("normal").unwrap();
    let mut config = setting.config("taiwan", Role::Edge);
    config.policy.records.sample_per_mille = 0;
    let plugin = setting.plugin_with(Role::Edge, serde_json::to_vec(&config).unwrap());
    let mut proxy = start(&setting, plugin);
    for (name, path, country) in [
        ("public read, not recorded", "/api/v1/products/7", None),
        ("personal read, not recorded", "/api/v1/customers/me/profile", Some("TW")),
    ] {
        let claims: Vec<_> = country.map(|country| ("residency", country)).into_iter().collect();
        let request = trial::caller(get(path).header(":authority", HOST), &claims);
        let cost = cost_of(&mut proxy, &request);
        assert!(!cost.hostcalls.contains_key("proxy_set_property"), "{name} has a record");
        rows.push(row(name, "200 from here".to_owned(), &cost, memory(&proxy)));
    }
    insta::assert_snapshot!("requests", table(&HEAD, &rows));
}

/// What one VM did while it was configured.
fn configured(trace: &Trace, worker: usize) -> Cost {
    let is_of = |callback, at| callback == "proxy_on_configure" && at == worker;
    let mut trace = trace.clone();
    trace.hostcalls.retain(|call| is_of(call.during.callback, call.during.worker));
    trace.callbacks.retain(|call| is_of(call.site.callback, call.site.worker));
    trace.cost()
}

fn start(setting: &Setting, plugin: Plugin) -> Proxy {
    setting.host(plugin).start().unwrap()
}

#[test]
fn a_configuration_costs_what_is_written_down() {
    let setting = Setting::new("normal").unwrap();
    let mut rows = Vec::new();
    let mut add = |name: &str, plugin: Plugin, size: usize, before: Option<Plugin>| {
        let before_it = before.map(|plugin| start(&setting, plugin));
        let (mark, proxy) = if let Some(mut proxy) = before_it {
            let mark = proxy.trace();
            proxy.configure(plugin).unwrap();
            (mark, proxy)
        } else {
            (Trace::default(), start(&setting, plugin))
        };
        let mut trace = proxy.trace();
        trace.hostcalls.drain(..mark.hostcalls.len());
        trace.callbacks.drain(..mark.callbacks.len());
        assert_eq!(trace.traps().count(), 0, "{name}");
        rows.push(row(name, format!("{size} bytes"), &configured(&trace, 1), memory(&proxy)));
    };
    let json = |config: &PluginConfig| serde_json::to_vec(config).unwrap();
    for role in Role::ALL {
        let config = json(&setting.config("taiwan", *role));
        let size = config.len();
        add(role.as_str(), setting.plugin_with(*role, config), size, None);
    }
    let good = setting.plugin("taiwan", Role::Edge).unwrap();
    add("edge, no JSON", setting.plugin_with(Role::Edge, "{"), 1, None);
    add("edge, no JSON after a good one", setting.plugin_with(Role::Edge, "{"), 1, Some(good));
    for contexts in [10, 100, 400] {
        let config = json(&grown(&setting, contexts));
        let size = config.len();
        let name = format!("edge, {contexts} contexts");
        add(&name, setting.plugin_with(Role::Edge, config), size, None);
    }
    let mut head = HEAD;
    head[1] = "configuration";
    insta::assert_snapshot!("configurations", table(&head, &rows));
}

#[test]
fn the_module_is_what_is_written_down() {
    let code = code().unwrap();
    let mut text = format!("{} bytes, ABI {:?}\n", code.size(), code.abi());
    for (what, mut names) in [("imports", code.imports()), ("exports", code.exports())] {
        names.sort();
        writeln!(text, "\n{} {what}", names.len()).unwrap();
        for name in names {
            writeln!(text, "  {name}").unwrap();
        }
    }
    insta::assert_snapshot!("module", text);
}

/// Not only the same answer: the same calls in the same order with the same bytes, and the same
/// instructions between them.
#[test]
fn two_runs_of_a_scenario_are_the_same() {
    for scenario in scenarios() {
        let setting = scenario.setting().unwrap();
        let run = || scenario.play(&setting, 2, FaultPlan::none()).unwrap();
        let (one, other) = (run(), run());
        assert_eq!(one.outcome, other.outcome, "{}", scenario.name);
        assert_eq!(one.proxy.trace(), other.proxy.trace(), "{}", scenario.name);
        assert_eq!(one.proxy.logs(), other.proxy.logs(), "{}", scenario.name);
    }
}

/// The example with so many contexts, each with two routes, and with a residency rule for each of
/// as many countries as there are two-letter codes for.
fn grown(setting: &Setting, contexts: usize) -> PluginConfig {
    let mut config = setting.config("taiwan", Role::Edge);
    let body = &mut config.policy;
    let profiles = body.contexts.iter().find(|context| context.name == "profiles").cloned();
    let profiles = profiles.unwrap();
    body.contexts = (0..contexts)
        .map(|number| {
            let route =
                |path: String| Match { path, methods: Vec::new(), effect: None, operation: None };
            Context {
                name: format!("context-{number}"),
                matches: vec![
                    route(format!("/api/v1/context-{number}/{{id}}/**")),
                    route(format!("/api/v2/{{tenant}}/context-{number}")),
                ],
                ..profiles.clone()
            }
        })
        .collect();
    body.versioning.etag = vec![String::from("context-0")];
    body.fencing.initial_holders.clear();
    body.fencing.static_state = None;
    body.load_shedding.concurrency = [(String::from("default"), 64)].into();
    body.load_shedding.latency.retain(|pool, _| pool == "default");
    let rule = body.residency.rules.iter().find(|rule| rule.name.starts_with("japan")).cloned();
    let rule = rule.unwrap();
    let countries = body.residency.rules.iter().flat_map(|rule| rule.when.countries.clone());
    let named: Vec<String> = countries.collect();
    let unnamed = COUNTRIES.split(' ').filter(|code| !named.iter().any(|known| known == code));
    body.residency.rules.extend(unnamed.take(contexts).map(|code| Rule {
        name: format!("rule-{}", code.to_lowercase()),
        when: Conditions { countries: vec![code.to_owned()], ..rule.when.clone() },
        ..rule.clone()
    }));
    config
}

/// Of ISO 3166, but for the codes that a test wants for itself.
const COUNTRIES: &str = "AD AE AF AG AI AL AM AO AQ AR AS AW AX AZ BA BB BD BF BH BI BJ BL BM BN BO \
    BQ BS BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX DJ DM DO DZ EC EG EH \
    ER ET FJ FK FM FO GA GB GD GE GF GG GH GI GL GM GN GP GQ GS GT GU GW GY HK HM HN HT ID IL IM \
    IN IO IQ IR JE JM JO KE KG KH KI KM KN KP KW KY KZ LA LB LC LK LR LS LY MA MC MD ME MF MG MH \
    MK ML MM MN MO MP MQ MR MS MU MV MW MX MY MZ NA NC NE NF NG NI NP NR NU OM PA PE PF PG PH PK \
    PM PN PR PS PW PY QA RE RS RU RW SA SB SC SD SG SH SJ SL SM SN SO SR SS ST SV SX SY SZ TC TD \
    TF TG TH TJ TK TL TM TN TO TR TT TV TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA \
    ZM";

fn cost_of(proxy: &mut Proxy, request: &Request) -> Cost {
    proxy.send(request.clone()).unwrap();
    let outcome = proxy.send(request.clone()).unwrap();
    assert_eq!(outcome.status, 200, "{outcome:?}");
    outcome.trace.cost()
}

/// Matching takes as long as the path is, whatever the number of routes and rules.
#[test]
fn the_cost_of_a_request_does_not_grow_with_the_policy() {
    let setting = Setting::new("normal").unwrap();
    let mut costs = Vec::new();
    for contexts in [10, 100, 400] {
        let config = serde_json::to_vec(&grown(&setting, contexts)).unwrap();
        let mut proxy = start(&setting, setting.plugin_with(Role::Edge, config));
        for (route, path) in [("v1", "/api/v1/context-7/me/a/b"), ("v2", "/api/v2/a/context-7")] {
            let request = get(path).header(":authority", HOST);
            let request = trial::caller(request, &[("residency", "JP")]);
            costs.push((route, contexts, cost_of(&mut proxy, &request)));
        }
    }
    for (route, contexts, cost) in &costs {
        let (_, _, least) = costs.iter().find(|(known, ..)| known == route).unwrap();
        println!("{route} of {contexts} contexts: {} of fuel", cost.fuel);
        assert_eq!(cost.hostcalls, least.hostcalls, "{contexts} contexts");
        assert_eq!((cost.bytes_in, cost.bytes_out), (least.bytes_in, least.bytes_out));
        // Hashes that collide and an allocator that looks a little longer: forty times the policy is
        // nothing near that.
        let more = cost.fuel.abs_diff(least.fuel);
        assert!(more * 20 <= least.fuel, "{contexts} contexts: {more} more than {}", least.fuel);
    }
}

/// The example with so many residency rules, its own and others: over the countries, data classes and
/// conditions. The first of the others is about Andorra, the last one about Zimbabwe, none is about
/// Brazil.
fn ruled(setting: &Setting, count: usize) -> PluginConfig {
    let mut config = setting.config("taiwan", Role::Edge);
    let rules = &mut config.policy.residency.rules;
    let pattern = rules.iter().find(|rule| rule.name == "others-in-both").cloned().unwrap();
    let named: Vec<String> = rules.iter().flat_map(|rule| rule.when.countries.clone()).collect();
    let countries: Vec<&str> =
        COUNTRIES.split(' ').filter(|code| !named.iter().any(|known| known == code)).collect();
    let when = |number: usize, country: &str| {
        let (classes, conditions) =
            (number / countries.len(), number / countries.len() / CLASSES.len());
        let mut when = Conditions {
            data_classes: CLASSES.into_iter().cycle().nth(classes).into_iter().collect(),
            countries: vec![country.to_owned()],
            ..Conditions::default()
        };
        match conditions {
            0 => {}
            1 => when.operations = vec![Operation::Read],
            2 => when.operations = vec![Operation::Write],
            3 => when.principal_kinds = vec![PrincipalKind::Customer],
            4 => when.entry_regions = vec![String::from("taiwan")],
            5 => when.situations = vec![Situation::Failover],
            6 => when.contexts = vec![String::from("profiles")],
            7 => when.contexts = vec![String::from("orders")],
            8 => when.principal_kinds = vec![PrincipalKind::Staff, PrincipalKind::Service],
            _ => when.operations = vec![Operation::Read, Operation::Write],
        }
        when
    };
    let others = count - rules.len();
    rules.extend((0..others).map(|number| {
        let when = if number + 1 == others {
            when(0, "ZW")
        } else {
            when(number, countries.iter().cycle().nth(number).unwrap())
        };
        Rule { name: format!("rule-{number}"), when, ..pattern.clone() }
    }));
    config
}

const CLASSES: [DataClass; 6] = [
    DataClass::Personal,
    DataClass::Payment,
    DataClass::PersonalSensitive,
    DataClass::Behavioural,
    DataClass::Internal,
    DataClass::Public,
];

/// A decision looks its answer up, in a table that is made when the policy arrives. Whoever puts a
/// loop over the rules into the decision, even one that does nothing but count them, fails here: a
/// thousand times as many take a hundred times what ten per cent of a request are.
#[test]
fn the_fuel_of_a_decision_does_not_depend_on_the_number_of_rules() {
    let setting = Setting::new("normal").unwrap();
    let mut least: BTreeMap<&str, u64> = BTreeMap::new();
    for rules in [10, 10_000] {
        let config = serde_json::to_vec(&ruled(&setting, rules)).unwrap();
        // Making the table takes what it takes.
        let limits = Limits { fuel_per_callback: u64::MAX >> 1, ..Limits::default() };
        let plugin = setting.plugin_with(Role::Edge, config);
        let mut proxy = setting.host(plugin).limits(limits).start().unwrap();
        let complaint = proxy.logs().into_iter().find(|line| line.level >= LogLevel::Error);
        assert_eq!(complaint, None);
        for (which, country) in [("the first", "AD"), ("the last", "ZW"), ("no other", "BR")] {
            let request = get("/api/v1/customers/me/profile").header(":authority", HOST);
            let request = trial::caller(request, &[("residency", country)]);
            let fuel = cost_of(&mut proxy, &request).fuel;
            println!("{which} of {rules} rules: {fuel} of fuel");
            let least = *least.entry(which).or_insert(fuel);
            assert!(
                fuel.abs_diff(least) * 10 <= least,
                "{which} of {rules} rules: {fuel}, not {least}"
            );
        }
    }
}

/// A path four times as long takes four times the fuel, not sixteen times.
#[test]
fn the_cost_of_a_path_is_its_length() {
    let setting = Setting::new("normal").unwrap();
    let mut proxy = start(&setting, setting.plugin("taiwan", Role::Edge).unwrap());
    let mut fuel = |length: usize| {
        let path = format!("/api/v1/products/{}", "a".repeat(length));
        cost_of(&mut proxy, &get(&path).header(":authority", HOST)).fuel
    };
    let (short, long, longer) = (fuel(500), fuel(1000), fuel(4000));
    println!("500 bytes: {short}, 1000 bytes: {long}, 4000 bytes: {longer} of fuel");
    let per_byte = (long - short) / 500;
    assert!((longer - long) / 3000 <= per_byte + 1, "{short}, {long}, {longer}");
}

/// A VM that serves keeps the memory that it has: nothing is kept of a request that is over.
#[test]
fn requests_leave_nothing_behind() {
    let setting = Setting::new("normal").unwrap();
    for scenario in scenarios() {
        let few = scenario.play(&setting_of(&scenario, &setting), 20, FaultPlan::none()).unwrap();
        let many = scenario.play(&setting_of(&scenario, &setting), 300, FaultPlan::none()).unwrap();
        assert_eq!(memory(&few.proxy), memory(&many.proxy), "{}", scenario.name);
        let host: &[usize] = &many.proxy.metric_ids();
        assert_eq!(few.proxy.metric_ids(), host, "{}", scenario.name);
    }
}

/// Nor of a body that was taken out of the proxy to be redacted, whether it came back or not.
#[test]
fn redacted_responses_leave_nothing_behind() {
    let set = suite::scenario("redacted").unwrap();
    let config = serde_json::to_vec(&set.plugin_config("taiwan", Role::Edge)).unwrap();
    let setting = Setting::new("normal").unwrap();
    let plugin = setting.plugin_with(Role::Edge, config).allow_on_headers_stop_iteration(true);
    let item = r#"{"email":"hanako@shop.example","phone":"+81-90-1234-5678","id":1}"#;
    let large = format!("[{}]", vec![item; 200_000 / item.len()].join(","));
    // The last one is too large, and shows it when most of it is there.
    let bodies = [large.clone(), large.clone() + "]", format!("[{large},{large}]")];
    let respond = move |incoming: Incoming| {
        let which: usize = incoming.headers.text("x-which").unwrap().parse().unwrap();
        let response = Response::new(200).header("content-type", "application/json");
        let pieces = bodies[which].as_bytes().chunks(16 << 10);
        pieces.fold(response, Response::body)
    };
    let mut proxy = setting.host(plugin).cluster(UPSTREAM, respond).start().unwrap();
    let customer = Value::map([("customers", Value::map([("country", Value::text("JP"))]))]);
    let mut memory_after = |requests: usize| {
        for number in 0..requests {
            let request = get("/customers/7")
                .header(":authority", "redacted.example")
                .header("authorization", "Bearer a.b.c")
                .header("x-which", (number % 3).to_string())
                .metadata("envoy.filters.http.jwt_authn", customer.clone());
            let outcome = proxy.send(request).unwrap();
            assert_eq!(outcome.status, if number % 3 == 0 { 200 } else { 502 });
            assert!(!outcome.text().contains("hanako"));
            proxy.forget_trace();
        }
        memory(&proxy)
    };
    let few = memory_after(30);
    assert_eq!(memory_after(1_000), few);
    println!("{} KiB", few / 1024);
}

fn setting_of(scenario: &Scenario, normal: &Setting) -> Setting {
    if scenario.state == "normal" { normal.clone() } else { scenario.setting().unwrap() }
}

/// A proxy that has more to do than it can must not spend more on saying so than on doing it.
#[test]
fn what_is_shed_costs_less_than_what_is_served() {
    let setting = Setting::new("normal").unwrap().with_no_sample().polling();
    let home = |request: Request| request.header(":authority", HOST);
    let customer = |request: Request| trial::caller(home(request), &[("residency", "TW")]);
    let key = ("idempotency-key", "8e03978e-40d5-43dd-bc93-6894a57f9324");
    for (what, request) in [
        ("public read", home(get("/api/v1/products/1"))),
        ("personal read", customer(get("/api/v1/customers/me/profile"))),
        ("eventual write", home(post("/api/v1/reviews/9"))),
        ("leased write", customer(post("/api/v1/orders")).header(key.0, key.1)),
    ] {
        for (reason, baseline, limit, floor) in
            [("shed_guard", Baseline::Fixed, 1, 0), ("shed_threshold", Baseline::Auto, 64, 98)]
        {
            let served = under_load(&setting, &request, baseline, 64, 0);
            let shed = under_load(&setting, &request, baseline, limit, floor);
            assert_eq!(told(&served), "200 from here", "{what}");
            assert_eq!(told(&shed), format!("503 {reason}"), "{what}");
            let (served, shed) = (served.trace.cost(), shed.trace.cost());
            let calls = |cost: &Cost| cost.hostcalls.values().sum::<u64>();
            println!(
                "{what}, {reason}: {} of {} calls, {} of {} fuel",
                calls(&shed),
                calls(&served),
                shed.fuel,
                served.fuel
            );
            assert!(calls(&shed) < calls(&served), "{what}, {reason}: {shed:?}");
            assert!(shed.fuel < served.fuel, "{what}, {reason}: {} {}", shed.fuel, served.fuel);
        }
    }
}

/// What comes of a request while two like it are in flight, under this limit of each pool, with at
/// least this share of work, in percent, to be let go.
fn under_load(
    setting: &Setting,
    request: &Request,
    baseline: Baseline,
    limit: u32,
    floor: u16,
) -> Outcome {
    let mut config = setting.config("taiwan", Role::Edge);
    let load = &mut config.policy.load_shedding;
    load.concurrency = [(String::from("default"), limit)].into();
    load.latency = [(String::from("default"), baseline)].into();
    let agent = Agent::new(setting, "taiwan").unwrap();
    agent.set(|document| document.shed_floor = [(String::from("taiwan"), floor)].into());
    let plugin = setting.plugin_with(Role::Edge, serde_json::to_vec(&config).unwrap());
    let host = setting.host(plugin).cluster(Agent::cluster(), agent.service());
    let mut proxy = host.start().unwrap();
    proxy.wait(Duration::from_millis(750));
    proxy.open(request.clone());
    proxy.open(request.clone());
    // What comes has to be known before a share of it can be let go: whom nobody knows is in another
    // cohort each time. The first ones define metrics as well.
    for count in [1, 100] {
        for _ in 0..count {
            proxy.send(request.clone()).unwrap();
        }
        proxy.wait(Duration::from_secs(1));
    }
    proxy.send(request.clone()).unwrap();
    proxy.send(request.clone()).unwrap()
}
