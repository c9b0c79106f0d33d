//! Mistakes that somebody could make. Each is made in the thin layer around the crates under test,
//! never in them, and each has to be found.

macro_rules! mutants {
    ($($(#[$meta:meta])* $variant:ident = $text:literal, $invariants:expr;)+) => {
        /// A mistake that somebody could make.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Mutant { $($(#[$meta])* $variant,)+ }

        impl Mutant {
            /// Every one.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// What is done wrong.
            pub const fn text(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// The invariants of which one has to find it.
            pub const fn found_by(self) -> &'static [&'static str] {
                match self { $(Self::$variant => $invariants,)+ }
            }

            /// The name on a command line.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant),)+ }
            }
        }
    };
}

mutants! {
    /// Of algorithms.md §2.6.
    NoMargin = "proxies use a lease to its very end", &["F3"];
    /// Of algorithms.md §2.6.
    WallClock = "proxies count by the clock on the wall", &["F3", "F6", "F9"];
    /// Of algorithms.md §2.6.
    NewerEpochAccepted = "a receiver takes a token with a higher epoch than its own", &["F1"];
    /// Of algorithms.md §2.6.
    LeaseSurvivesRestart = "a proxy keeps what it knew over a restart", &["F3", "F6", "F9"];
    /// Of algorithms.md §2.6.
    NoViaCheck = "a gateway takes what has passed its region already", &["F7"];
    /// Of algorithms.md §2.6.
    StoreGrantsEarly = "the store grants a lease before the time of the last holder is over", &["F9"];
    /// Of algorithms.md §2.6.
    UnknownIsLastKnown = "what is not known any more is taken for what it was", &["F3", "F6"];
    /// A proxy.
    PollCountsFromAnswer = "a proxy counts from when the answer came, not from when it asked", &["F3", "F9"];
    /// A proxy.
    NonceUnchecked = "a proxy takes the answer to another question", &["F3", "F6", "F9"];
    /// A proxy.
    ForeignSharedBelieved = "a proxy believes what any plugin writes into shared data", &["F3", "F6"];
    /// A proxy.
    EpochMayFall = "a proxy takes a document with a lower epoch for a new beginning", &["F4"];
    /// A proxy.
    SharedIsNewest = "a VM takes what is shared for the newest, whatever it knows", &["F4"];
    /// A proxy.
    LeadIsForEver = "nobody takes over when the VM stalls that asks", &["F11"];
    /// A proxy.
    ClientTokenKept = "an edge lets a token pass that a client wrote", &["F5"];
    /// A proxy.
    ReceiverBelievesToken = "a receiver does not judge again", &["F1", "F9"];
    /// An agent.
    AgentCountsFromAnswer = "an agent counts from when the store answered, not from when it asked", &["F9"];
    /// An agent.
    AgentServesWholeTtl = "an agent promises the whole time of a lease, not what is left", &["F9"];
    /// An agent.
    AgentReleasesAtOnce = "an agent releases a lease that it has just promised", &["F9"];
    /// An agent.
    AgentForgetsPromises = "an agent that starts takes it that nothing was promised before", &["F9"];
    /// The lease store.
    StoreReusesEpochs = "another holder gets the same epoch", &["F1", "F9"];
    /// The lease store.
    OverrideLowersEpoch = "an operator's order sets an epoch back", &["F12"];
    /// The datastore.
    NoStoreCheck = "the datastore does not look at epochs", &["F2", "F8"];
    /// The datastore.
    StoreCheckAtEndOnly = "the datastore looks at epochs only when a transaction ends", &["F8"];
    /// The datastore.
    KeysForgotten = "the datastore does not know idempotency keys", &["F10"];
}

impl Mutant {
    /// The mutant of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|mutant| mutant.name() == name)
    }
}
