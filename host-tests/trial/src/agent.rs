//! An agent as a service of `wasm-host`: what it says, signed, or what it does instead.

use crate::setting::{AGENT, SECRET, Setting};
use guard::Question;
use guard::issue::Time;
use policy_core::wire::{LiveDocument, LiveLease};
use policy_core::{LeaseState, Policy, Role};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;
use wasm_host::{Answer, Failure, Incoming, Response, Service};

/// What an agent does when it is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Conduct {
    /// It says what is so, after this time.
    Honest(Duration),
    /// It cannot be reached.
    Away,
    /// It never answers.
    Silent,
    /// It answers with this status.
    Refusing(u16),
    /// It says this, and signs it or does not.
    Saying {
        /// The body.
        body: Vec<u8>,
        /// Whether it bears a signature for the question.
        is_signed: bool,
    },
    /// It repeats what it has answered to the question before this one.
    Repeating,
}

/// An agent of one region.
#[derive(Debug, Clone)]
pub struct Agent(Rc<RefCell<Inner>>);

#[derive(Debug)]
struct Inner {
    document: LiveDocument,
    conduct: Conduct,
    key: String,
    last: Option<Response>,
    asked: usize,
    /// The region's letters in versions.
    code: String,
    /// The largest time that a proxy has told of. It has no clock to hold it to: proxies have.
    issued: Option<Time>,
}

impl Agent {
    /// The agent of a region in which every lease is where the setting has it.
    ///
    /// # Errors
    /// A setting whose policy cannot be compiled.
    pub fn new(setting: &Setting, region: &str) -> Result<Self, String> {
        let config = setting.config(region, Role::Edge);
        let policy = Policy::compile(&config).map_err(|fault| fault.to_string())?;
        let state = setting.state();
        let named = &state.leases;
        let lease = |ctx: &str, shard: Option<&str>, home: &str| {
            let name = shard.map_or_else(|| ctx.to_owned(), |shard| format!("{ctx}/{shard}"));
            let said = named.get(&name);
            let epoch = said.and_then(|said| said.epoch.as_deref()?.parse().ok());
            LiveLease {
                ctx: ctx.to_owned(),
                shard: shard.map(str::to_owned),
                state: said.and_then(|said| said.state).unwrap_or(LeaseState::Active),
                holder: Some(said.and_then(|said| said.holder.clone()).unwrap_or(home.to_owned())),
                epoch: epoch.unwrap_or(1),
                ttl_ms: config.policy.fencing.lease.ttl_ms,
                prev: None,
            }
        };
        let leases = policy.leases().iter().flat_map(|spec| {
            spec.shards.iter().map(|shard| {
                lease(&spec.name, shard.name.as_deref(), policy.region_name(shard.home))
            })
        });
        let document = LiveDocument {
            situation: state.situation,
            health: state.health.clone(),
            ..LiveDocument::new(region, 0, leases.collect())
        };
        let here = config.policy.regions.iter().find(|known| known.name == region);
        let code = here.map(|here| here.code.clone()).unwrap_or_default();
        let key = config.policy.hmac.and_then(|hmac| hmac.keys.into_iter().next());
        Ok(Self(Rc::new(RefCell::new(Inner {
            document,
            conduct: Conduct::Honest(Duration::ZERO),
            key: key.map(|key| key.id).unwrap_or_default(),
            last: None,
            asked: 0,
            code,
            issued: None,
        }))))
    }

    /// The name of its cluster in a proxy that asks it.
    pub fn cluster() -> &'static str {
        AGENT
    }

    /// What answers in its place.
    pub fn service(&self) -> impl Service + use<> {
        let agent = self.clone();
        move |incoming: Incoming| agent.0.borrow_mut().answer(&incoming)
    }

    /// What is so.
    pub fn document(&self) -> LiveDocument {
        self.0.borrow().document.clone()
    }

    /// Changes what is so.
    pub fn set(&self, change: impl FnOnce(&mut LiveDocument)) {
        change(&mut self.0.borrow_mut().document);
    }

    /// What is so of a lease.
    pub fn lease(&self, name: &str, change: impl Fn(&mut LiveLease)) {
        let leases = &mut self.0.borrow_mut().document.leases;
        leases.iter_mut().filter(|lease| lease.name() == name).for_each(change);
    }

    /// Changes what it does.
    pub fn behave(&self, conduct: Conduct) {
        self.0.borrow_mut().conduct = conduct;
    }

    /// How often it was asked.
    pub fn asked(&self) -> usize {
        self.0.borrow().asked
    }
}

impl Inner {
    fn answer(&mut self, incoming: &Incoming) -> Answer {
        self.asked += 1;
        let Some(question) = Question::at(&incoming.path()) else {
            return Response::new(404).into();
        };
        match self.conduct.clone() {
            Conduct::Away => Failure::Refused.into(),
            Conduct::Silent => Answer::Silence,
            Conduct::Refusing(status) => Response::new(status).into(),
            Conduct::Saying { body, is_signed } => self.say(&question, body, is_signed).into(),
            Conduct::Repeating => self.last.clone().unwrap_or_else(|| Response::new(404)).into(),
            Conduct::Honest(after) => {
                self.document.issued_seq += 1;
                self.issued = self.issued.max(question.issued());
                let floor = |time: Time| {
                    format!("{:012x}{:04x}-{}-00000000", time.ms(), time.counter(), self.code)
                };
                self.document.hlc_floor = self.issued.map(floor);
                let Ok(body) = serde_json::to_vec(&self.document) else {
                    return Response::new(500).into();
                };
                let response = self.say(&question, body, true);
                self.last = Some(response.clone());
                Answer::from(response).after(after)
            }
        }
    }

    fn say(&self, question: &Question, body: Vec<u8>, is_signed: bool) -> Response {
        let response = Response::new(200).header("content-type", "application/json");
        let sig = question.sign(&self.key, SECRET.as_bytes(), &body);
        let response = match sig.filter(|_| is_signed) {
            Some(sig) => response.header("x-meshfence-sig", sig),
            None => response,
        };
        response.body(body)
    }
}
