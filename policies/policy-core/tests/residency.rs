//! Residency held against a plain reading of its rules, and the invariants of it that are named R1
//! to R7. R5 is about redaction (`filters/residency`), R6 about what a client sends
//! (`filters/guard`).

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a broken fixture fails its test"
)]

use policy_core::wire::{PluginConfig, Residency, Rule, StateDocument};
use policy_core::{
    BasisSet, Caller, CanonicalPath, Countries, Country, DataClass, Decision, IdempotencyKey,
    Identity, Moment, Operation, Otherwise, Policy, PrincipalKind, Reason, RegionState, Request,
    RequestKind, ResidencyMode, Situation, decide,
};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const REGIONS: [(&str, &str, &str); 3] =
    [("taiwan", "tpe", "TW"), ("tokyo", "tyo", "JP"), ("berlin", "ber", "DE")];
const COUNTRIES: [&str; 4] = ["TW", "JP", "DE", "FR"];
const CLASSES: [&str; 4] = ["public", "behavioural", "personal", "payment"];
const KINDS: [&str; 3] = ["customer", "staff", "service"];
const OPERATIONS: [&str; 3] = ["read", "write", "export"];
/// The contexts: name, classes, purpose.
const CONTEXTS: [(&str, &[&str], Option<&str>); 4] = [
    ("notes", &["personal"], Some("support")),
    ("bills", &["personal", "payment"], Some("billing")),
    ("trails", &["behavioural"], None),
    ("pages", &["public", "behavioural"], Some("billing")),
];
/// Days on which something begins or ends, and on which requests come.
const DAYS: [&str; 4] = ["2026-01-01", "2026-01-10", "2026-01-20", "2026-01-30"];

// === generating ===

fn some(words: &'static [&'static str]) -> impl Strategy<Value = Vec<&'static str>> {
    prop::sample::subsequence(words, 0..=words.len())
}

fn regions() -> impl Strategy<Value = Vec<&'static str>> {
    prop::sample::subsequence(vec!["taiwan", "tokyo", "berlin"], 1..=3)
}

/// A condition is there in one rule of four.
fn seldom(words: &'static [&'static str]) -> impl Strategy<Value = Vec<&'static str>> {
    prop_oneof![3 => Just(Vec::new()), 1 => some(words)]
}

fn conditions() -> impl Strategy<Value = Value> {
    let countries = prop_oneof![
        2 => Just(Vec::new()),
        1 => Just(vec!["*"]),
        3 => prop::sample::subsequence(&COUNTRIES[..], 1..=2),
    ];
    let classes = prop::sample::subsequence(&CLASSES[..], 1..=3);
    let limits = (
        seldom(&KINDS),
        seldom(&OPERATIONS),
        seldom(&["support", "billing"]),
        seldom(&["notes", "trails"]),
        seldom(&["taiwan", "tokyo"]),
        seldom(&["drill", "failover"]),
    );
    (classes, countries, limits).prop_map(|(classes, countries, limits)| {
        let (kinds, operations, purposes, contexts, entries, situations) = limits;
        json!({
            "dataClasses": classes, "countries": countries, "principalKinds": kinds,
            "operations": operations, "purposes": purposes, "contexts": contexts,
            "entryRegions": entries, "situations": situations,
        })
    })
}

fn otherwise() -> impl Strategy<Value = &'static str> {
    prop_oneof![3 => Just("route"), 1 => Just("deny"), 1 => Just("hold"), 1 => Just("redact")]
}

/// The days that a rule is in force, if it is not always.
fn in_force() -> impl Strategy<Value = (Option<usize>, Option<usize>)> {
    prop_oneof![
        3 => Just((None, None)),
        1 => Just((Some(1), Some(2))),
        1 => (0_usize..3).prop_map(|from| (Some(from), None)),
        1 => (1_usize..4).prop_map(|until| (None, Some(until))),
    ]
}

fn mode() -> impl Strategy<Value = Value> {
    prop_oneof![
        5 => Just(json!({})),
        1 => Just(json!({"mode": "shadow", "modeUntil": DAYS[2]})),
        1 => Just(json!({"mode": "disabled", "modeUntil": DAYS[1]})),
        1 => Just(json!({"enforcePercent": 30})),
    ]
}

fn rule(denies: bool) -> impl Strategy<Value = Value> {
    let fallback = prop::option::weighted(0.3, (regions(), some(&["drill", "failover"])));
    let basis = prop::option::weighted(0.2, prop::sample::select(vec!["adequacy", "consent"]));
    (conditions(), regions(), otherwise(), fallback, basis, in_force(), mode()).prop_map(
        move |(when, regions, otherwise, fallback, basis, (from, until), mode)| {
            let mut rule = json!({"when": when, "otherwise": otherwise});
            if denies {
                rule["deniedRegions"] = json!(regions);
            } else {
                rule["regions"] = json!(regions);
                if let Some((regions, situations)) =
                    fallback.filter(|(_, situations)| !situations.is_empty())
                {
                    rule["fallback"] = json!({"regions": regions, "situations": situations});
                }
                if let Some(basis) = basis {
                    rule["transferBasis"] = json!(basis);
                }
            }
            if otherwise == "redact" {
                rule["redact"] = json!("little");
            }
            for (key, day) in [("effectiveFrom", from), ("effectiveUntil", until)] {
                if let Some(day) = day {
                    rule[key] = json!(DAYS[day]);
                }
            }
            let fields = rule.as_object_mut().unwrap();
            fields.extend(mode.as_object().unwrap().clone());
            rule
        },
    )
}

fn exception() -> impl Strategy<Value = Value> {
    (conditions(), regions(), 0_usize..3).prop_map(|(when, regions, from)| {
        json!({
            "approver": "dpo", "reason": "audit", "when": when, "regions": regions,
            "notBefore": DAYS[from], "expires": DAYS[from + 1],
        })
    })
}

/// A rule that denies, as often as not for everybody.
fn denying() -> impl Strategy<Value = Value> {
    (rule(true), any::<bool>(), prop::sample::select(Otherwise::NAMES)).prop_map(
        |(mut rule, is_for_all, otherwise)| {
            if is_for_all {
                rule = json!({
                    "when": {"dataClasses": CLASSES}, "deniedRegions": ["*"],
                    "otherwise": otherwise,
                });
                if otherwise == "redact" {
                    rule["redact"] = json!("little");
                }
            }
            rule
        },
    )
}

fn rules() -> impl Strategy<Value = Vec<Value>> {
    let one = prop_oneof![4 => rule(false).boxed(), 1 => rule(true).boxed()];
    prop::collection::vec(one, 0..7)
}

fn exceptions() -> impl Strategy<Value = Vec<Value>> {
    prop::collection::vec(exception(), 0..3)
}

/// A request, and the world it comes into.
#[derive(Debug, Clone)]
struct Asked {
    here: usize,
    entry: usize,
    context: usize,
    operation: usize,
    kind: usize,
    countries: Vec<&'static str>,
    has_consent: bool,
    bucket: u8,
    situation: Situation,
    day: usize,
    down: Vec<&'static str>,
}

fn asked() -> impl Strategy<Value = Asked> {
    let places = (0..3_usize, 0..3_usize, 0..CONTEXTS.len(), 0..3_usize, 0..3_usize);
    let who = (prop::sample::subsequence(&COUNTRIES[..], 1..=2), any::<bool>(), 0_u8..100);
    let world = (
        prop::sample::select(Situation::ALL),
        0..DAYS.len(),
        prop::sample::subsequence(vec!["taiwan", "tokyo", "berlin"], 0..=1),
    );
    (places, who, world).prop_map(|(places, who, world)| {
        let (here, entry, context, operation, kind) = places;
        let (countries, has_consent, bucket) = who;
        let (situation, day, down) = world;
        let countries = if bucket < 80 { countries[..1].to_vec() } else { countries };
        Asked {
            here,
            entry,
            context,
            operation,
            kind,
            countries,
            has_consent,
            bucket,
            situation,
            day,
            down,
        }
    })
}

// === playing ===

fn config(here: usize, rules: &[Value], exceptions: &[Value]) -> PluginConfig {
    let named = |prefix: &str, key: &str, all: &[Value]| -> Vec<Value> {
        let one = |(number, value): (usize, &Value)| {
            let mut value = value.clone();
            value[key] = json!(format!("{prefix}{number}"));
            value
        };
        all.iter().enumerate().map(one).collect()
    };
    let shop: Value = serde_json::from_str(include_str!("../fixtures/shop.json")).unwrap();
    let contexts = CONTEXTS.map(|(name, classes, purpose)| {
        let matches = OPERATIONS.map(|operation| {
            let effect = if operation == "write" { "write" } else { "read" };
            json!({"path": format!("/{name}/{operation}"), "effect": effect, "operation": operation})
        });
        json!({
            "name": name, "match": matches, "consistency": "replicated", "dataClasses": classes,
            "subject": "self", "reads": "local", "idempotencyKey": "ignore", "priority": "normal",
            "purpose": purpose,
        })
    });
    let regions = REGIONS.map(|(name, code, jurisdiction)| {
        json!({"name": name, "code": code, "jurisdiction": jurisdiction})
    });
    serde_json::from_value(json!({
        "format": 1,
        "policySet": {"name": "generated", "hash": ""},
        "attachment": {"region": REGIONS[here].0, "role": "edge"},
        "policy": {
            "regions": regions, "hosts": ["h"], "healthPaths": [], "unmatchedStatus": 404,
            "contexts": contexts,
            "residency": {
                "mode": "enforce",
                "home": {"JP": "tokyo", "DE": "berlin", "FR": "berlin", "*": "taiwan"},
                "subjectSources": shop["policy"]["residency"]["subjectSources"],
                "transferBases": [
                    {"name": "adequacy", "kind": "adequacy", "evidence": "E1", "expires": DAYS[2]},
                    {
                        "name": "consent", "kind": "consent", "evidence": "E2",
                        "claim": {"issuer": "i", "claim": "consent", "value": "yes"},
                    },
                ],
                "redactionProfiles": [
                    {"name": "little", "fields": [{"path": "/name", "action": "mask"}]},
                ],
                "rules": named("r", "name", rules),
                "exceptions": named("x", "id", exceptions),
            },
            "fencing": {"mode": "enforce"},
            "versioning": {"mode": "disabled", "maxDriftMs": 500, "onDrift": "tag"},
            "loadShedding": {"mode": "disabled", "shedAt": "edge", "status": 503, "concurrency": {}},
        },
    }))
    .unwrap()
}

/// What is compared of a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Came {
    reason: Reason,
    region: Option<String>,
    redacts: bool,
    exception: Option<String>,
}

impl Came {
    fn of(policy: &Policy, decision: &Decision<'_>) -> Self {
        Self {
            reason: decision.reason,
            region: decision.region.map(|region| policy.region_name(region).to_owned()),
            redacts: !decision.redact.is_empty(),
            exception: decision.exception.map(Into::into),
        }
    }

    fn passes(&self) -> bool {
        self.reason.verdict().is_pass()
    }
}

fn play(config: &PluginConfig, asked: &Asked) -> Came {
    let policy = Policy::compile(config).unwrap();
    let down = asked.down.iter().map(|name| (*name, "down")).collect::<Vec<_>>();
    let health: serde_json::Map<String, Value> =
        down.into_iter().map(|(name, health)| (name.into(), health.into())).collect();
    let document = json!({"situation": asked.situation, "health": health});
    let document: StateDocument = serde_json::from_value(document).unwrap();
    let state = RegionState::from_document(&policy, &document).unwrap();
    let (name, _, _) = CONTEXTS[asked.context];
    let target = format!("/{name}/{}", OPERATIONS[asked.operation]);
    let path = CanonicalPath::parse(target.as_bytes()).unwrap();
    let request = Request {
        method: b"GET",
        host: b"h",
        path: &path,
        kind: RequestKind::Plain,
        idempotency_key: IdempotencyKey::Absent,
        deadline: None,
        token: None,
        entry: policy.region(REGIONS[asked.entry].0),
        client_country: None,
    };
    let countries = asked
        .countries
        .iter()
        .fold(Countries::NONE, |all, code| all.with(Country::parse(code.as_bytes()).unwrap()));
    let identity = Identity {
        countries,
        bases: if asked.has_consent { BasisSet::EMPTY.with(0) } else { BasisSet::EMPTY },
        // The bucket is the first four bytes modulo 100.
        pseudonym: Some(policy_core::Pseudonym([0, 0, 0, asked.bucket, 0, 0, 0, 0])),
        ..Identity::of(PrincipalKind::parse(KINDS[asked.kind]).unwrap())
    };
    let Moment(now) = Moment::parse(DAYS[asked.day]).unwrap();
    let decision = decide(&policy, &state, &request, &mut (Caller::Known(identity), now));
    Came::of(&policy, &decision)
}

// === a plain reading of the rules ===

/// Where the rules let the data of one subject be, rule by rule and class by class.
struct Reading<'a> {
    residency: &'a Residency,
    asked: &'a Asked,
    country: &'a str,
}

type Names = BTreeSet<String>;

fn all() -> Names {
    REGIONS.iter().map(|(name, _, _)| (*name).to_owned()).collect()
}

fn is_before(day: Option<&String>, now: usize) -> bool {
    day.is_none_or(|day| day.as_str() <= DAYS[now])
}

impl Reading<'_> {
    fn about(
        &self,
        when: &policy_core::wire::Conditions,
        class: DataClass,
        situation: Situation,
    ) -> bool {
        let asked = self.asked;
        let (context, _, purpose) = CONTEXTS[asked.context];
        let operation = Operation::parse(OPERATIONS[asked.operation]).unwrap();
        let kind = PrincipalKind::parse(KINDS[asked.kind]).unwrap();
        let any_or = |is_empty: bool, has: bool| is_empty || has;
        when.data_classes.contains(&class)
            && any_or(when.contexts.is_empty(), when.contexts.iter().any(|name| name == context))
            && any_or(
                when.purposes.is_empty(),
                purpose.is_some_and(|own| when.purposes.iter().any(|name| name == own)),
            )
            && any_or(when.operations.is_empty(), when.operations.contains(&operation))
            && any_or(when.principal_kinds.is_empty(), when.principal_kinds.contains(&kind))
            && any_or(
                when.entry_regions.is_empty(),
                when.entry_regions.iter().any(|name| name == REGIONS[asked.entry].0),
            )
            && any_or(when.situations.is_empty(), when.situations.contains(&situation))
            && self.about_whom(when, class)
    }

    fn about_whom(&self, when: &policy_core::wire::Conditions, class: DataClass) -> bool {
        if when.countries.iter().any(|country| country == "*") {
            let names = |rule: &Rule| {
                rule.denied_regions.is_empty()
                    && rule.when.data_classes.contains(&class)
                    && rule.when.countries.iter().any(|country| country == self.country)
            };
            return !self.residency.rules.iter().any(names);
        }
        when.countries.is_empty() || when.countries.iter().any(|country| country == self.country)
    }

    fn applies(&self, rule: &Rule, class: DataClass, situation: Situation) -> bool {
        let asked = self.asked;
        let is_in_force = is_before(rule.effective_from.as_ref(), asked.day)
            && rule.effective_until.as_ref().is_none_or(|until| DAYS[asked.day] < until.as_str());
        let mode_ended =
            rule.mode_until.is_some() && is_before(rule.mode_until.as_ref(), asked.day);
        is_in_force
            && (rule.mode != ResidencyMode::Disabled || mode_ended)
            && self.about(&rule.when, class, situation)
    }

    fn acts(&self, rule: &Rule) -> bool {
        let mode_ended =
            rule.mode_until.is_some() && is_before(rule.mode_until.as_ref(), self.asked.day);
        let is_shadow = rule.mode == ResidencyMode::Shadow && !mode_ended;
        !is_shadow && rule.enforce_percent.is_none_or(|percent| self.asked.bucket < percent)
    }

    fn rests(&self, rule: &Rule) -> bool {
        match rule.transfer_basis.as_deref() {
            None => true,
            Some("adequacy") => DAYS[self.asked.day] < DAYS[2],
            Some(_) => self.asked.has_consent,
        }
    }

    /// Where the rules let data of one class be, and what fallbacks and exceptions may add.
    fn class(&self, class: DataClass, situation: Situation) -> (Names, Names) {
        let (mut left, mut denied, mut added) = (all(), Names::new(), Names::new());
        let mut is_covered = false;
        for rule in &self.residency.rules {
            if !self.applies(rule, class, situation) {
                continue;
            }
            is_covered |= rule.denied_regions.is_empty();
            if !self.acts(rule) {
                continue;
            }
            denied.extend(rule.denied_regions.iter().cloned());
            if !rule.denied_regions.is_empty() {
                continue;
            }
            let mut regions: Names = rule.regions.iter().cloned().collect();
            let fallback = rule.fallback.iter().filter(|own| own.situations.contains(&situation));
            let fallback: Names = fallback.flat_map(|own| own.regions.iter().cloned()).collect();
            added.extend(fallback.iter().cloned());
            regions.extend(fallback);
            if !self.rests(rule) {
                let own = REGIONS.iter().filter(|(_, _, law)| *law == self.country);
                let own: Names = own.map(|(name, _, _)| (*name).to_owned()).collect();
                regions.retain(|name| own.contains(name));
            }
            left.retain(|name| regions.contains(name));
        }
        if !is_covered && class.is_bound() {
            left.clear();
        }
        for exception in &self.residency.exceptions {
            let is_in_force = exception.not_before.as_str() <= DAYS[self.asked.day]
                && DAYS[self.asked.day] < exception.expires.as_str();
            if is_in_force && self.about(&exception.when, class, situation) {
                for region in &exception.regions {
                    if left.insert(region.clone()) {
                        added.insert(region.clone());
                    }
                }
            }
        }
        left.retain(|name| !denied.contains(name));
        (left, added)
    }

    fn situation(&self, situation: Situation) -> (Names, Names) {
        let (_, classes, _) = CONTEXTS[self.asked.context];
        let mut both = (all(), Names::new());
        for class in classes {
            let (left, added) = self.class(DataClass::parse(class).unwrap(), situation);
            both.0.retain(|name| left.contains(name));
            both.1.extend(added);
        }
        both
    }

    /// Where the data may be.
    fn allowed(&self) -> Names {
        let (mut now, added) = self.situation(self.asked.situation);
        let (normal, _) = self.situation(Situation::Normal);
        now.retain(|name| normal.contains(name) || added.contains(name));
        now
    }
}

/// Where the data of all subjects that sources name may be.
fn allowed(residency: &Residency, asked: &Asked) -> Names {
    asked.countries.iter().fold(all(), |mut left, country| {
        let own = Reading { residency, asked, country }.allowed();
        left.retain(|name| own.contains(name));
        left
    })
}

// === the invariants ===

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// R1: nothing runs in a region unless the rules allow it there; what is served where they do not
    /// is redacted. (That it then really runs there is held at the end of a stream, by
    /// `meshfence_residency_violation_total`.)
    ///
    /// Break it: leave out `&& rule.is_in_force(at)` in `Judge::applies`, or join classes with `or`
    /// instead of `and` in `Judge::cell`.
    #[test]
    fn r1_nothing_runs_where_the_rules_do_not_allow_it(
        rules in rules(),
        exceptions in exceptions(),
        asked in asked(),
    ) {
        let config = config(asked.here, &rules, &exceptions);
        let came = play(&config, &asked);
        let allowed = allowed(&config.policy.residency, &asked);
        let up = |name: &String| !asked.down.contains(&name.as_str());
        let here = REGIONS[asked.here].0;
        if let Some(region) = &came.region {
            let is_redacted = came.redacts && region == here;
            prop_assert!(allowed.contains(region) || is_redacted, "{came:?}, allowed {allowed:?}");
            prop_assert!(!(is_redacted && allowed.contains(region)), "{came:?} redacts in vain");
            prop_assert!(is_redacted || up(region), "{came:?}");
        } else {
            // Where data may be here, and here is up, nobody is refused.
            let here = here.to_owned();
            prop_assert!(!(allowed.contains(&here) && up(&here)), "{came:?}, allowed {allowed:?}");
        }
    }

    /// R2: one more rule that denies never lets pass what was refused.
    ///
    /// Break it: let `Exclusion::stricter` take the milder of two, or `Judge::left` take
    /// `left.permitted` for what a rule denies.
    #[test]
    fn r2_a_denying_rule_never_lets_more_pass(
        rules in rules(),
        denying in denying(),
        exceptions in exceptions(),
        asked in asked(),
    ) {
        let before = play(&config(asked.here, &rules, &exceptions), &asked);
        let mut more = rules;
        more.push(denying);
        let after = play(&config(asked.here, &more, &exceptions), &asked);
        prop_assert!(before.passes() || !after.passes(), "{before:?} became {after:?}");
    }

    /// R3: an exception that has expired, or does not hold yet, is as good as none.
    ///
    /// Break it: leave out the end in `Exception::is_in_force`.
    #[test]
    fn r3_an_expired_exception_is_absent(
        rules in rules(),
        exceptions in exceptions(),
        asked in asked(),
    ) {
        let now = DAYS[asked.day];
        let is_in_force = |exception: &Value| {
            let date = |key: &str| exception[key].as_str().unwrap();
            date("notBefore") <= now && now < date("expires")
        };
        let live: Vec<Value> = exceptions.iter().filter(|one| is_in_force(one)).cloned().collect();
        let all = play(&config(asked.here, &rules, &exceptions), &asked);
        let without = play(&config(asked.here, &rules, &live), &asked);
        // The names of those that are left are other ones.
        prop_assert_eq!(all.exception.is_some(), without.exception.is_some());
        prop_assert_eq!(Came { exception: None, ..all }, Came { exception: None, ..without });
    }

    /// R4: a decision is a function of the policy, as its JSON has it, and of what it is given. (That a
    /// record has all of that is held by `meshfence replay`.)
    ///
    /// Break it: keep `enforce_percent` of `wire::Rule` from being written, by `#[serde(skip)]`.
    #[test]
    fn r4_a_decision_is_a_function_of_its_inputs(
        rules in rules(),
        exceptions in exceptions(),
        asked in asked(),
        other in asked(),
    ) {
        let config = config(asked.here, &rules, &exceptions);
        let first = play(&config, &asked);
        // What else was decided in between makes no difference, nor does who compiled the policy.
        play(&config, &Asked { here: asked.here, ..other });
        let json = serde_json::to_vec(&config).unwrap();
        let read = PluginConfig::from_json(&json).unwrap();
        prop_assert_eq!(&read, &config);
        prop_assert_eq!(play(&read, &asked), first);
    }

    /// R7: what a failover or a drill lets pass normal times let pass, but for the fallback of a rule
    /// and for exceptions.
    ///
    /// Break it: leave out `permitted.and(widest)` in `Judge::cell`.
    #[test]
    fn r7_a_failover_widens_nothing(rules in rules(), asked in asked()) {
        let rules: Vec<Value> = rules
            .into_iter()
            .map(|mut rule| {
                rule.as_object_mut().unwrap().remove("fallback");
                rule
            })
            .collect();
        let config = config(asked.here, &rules, &[]);
        let now = play(&config, &asked);
        let normal = Asked { situation: Situation::Normal, ..asked.clone() };
        let then = allowed(&config.policy.residency, &normal);
        if let Some(region) = now.region.filter(|_| !now.redacts) {
            prop_assert!(then.contains(&region), "{region}, in normal times {then:?}");
        }
    }
}

/// Of what the properties find by chance only.
#[test]
fn an_exception_lifts_what_no_rule_allows_and_no_denial() {
    let of = |more: Value| {
        let mut when = json!({"dataClasses": ["personal"]});
        when.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        when
    };
    let only =
        |region: &str| json!({"when": of(json!({})), "regions": [region], "otherwise": "deny"});
    let never = |region: &str| json!({"when": of(json!({})), "deniedRegions": [region], "otherwise": "deny"});
    let exception = |region: &str, from: usize| {
        json!({
            "approver": "dpo", "reason": "audit", "when": of(json!({})), "regions": [region],
            "notBefore": DAYS[from], "expires": DAYS[from + 1],
        })
    };
    let asked = Asked {
        here: 0,
        entry: 0,
        context: 0,
        operation: 0,
        kind: 0,
        countries: vec!["TW"],
        has_consent: false,
        bucket: 0,
        situation: Situation::Normal,
        day: 1,
        down: Vec::new(),
    };
    for (rules, exceptions, exception, why) in [
        (vec![only("tokyo")], vec![], None, "no exception"),
        (vec![only("tokyo")], vec![exception("taiwan", 1)], Some("x0"), "in force"),
        (vec![only("tokyo")], vec![exception("taiwan", 0)], None, "it has expired"),
        (vec![only("tokyo")], vec![exception("taiwan", 2)], None, "it is to come"),
        (
            vec![only("tokyo")],
            vec![exception("berlin", 1), exception("taiwan", 1)],
            Some("x1"),
            "the one that lets it run here",
        ),
        (vec![only("tokyo"), never("taiwan")], vec![exception("taiwan", 1)], None, "denied"),
        (vec![], vec![exception("taiwan", 1)], Some("x0"), "no rule at all"),
        (vec![never("taiwan")], vec![exception("taiwan", 1)], None, "denied and no rule"),
    ] {
        let came = play(&config(0, &rules, &exceptions), &asked);
        assert_eq!(came.passes(), exception.is_some(), "{why}: {came:?}");
        assert_eq!(came.exception.as_deref(), exception, "{why}");
    }
}

#[test]
fn what_is_strictest_is_last() {
    assert!(Otherwise::ALL.is_sorted());
    assert_eq!(Otherwise::ALL.last(), Some(&Otherwise::Deny));
}
