//! The words of a policy. Each enum has one spelling, used in YAML, JSON, logs and metrics.

use core::fmt;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

macro_rules! vocabulary {
    ($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$variant_meta])* $variant,)+
        }

        impl $name {
            /// Every value, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];
            /// Every spelling, in the same order.
            pub const NAMES: &'static [&'static str] = &[$($text,)+];

            /// The one spelling of this value.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// The value with exactly this spelling.
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)+ _ => None }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Visitor;
                impl de::Visitor<'_> for Visitor {
                    type Value = $name;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str(concat!("one of", $(" `", $text, "`",)+))
                    }
                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$name, E> {
                        $name::parse(text).ok_or_else(|| E::unknown_variant(text, $name::NAMES))
                    }
                }
                deserializer.deserialize_str(Visitor)
            }
        }
    };
}

vocabulary! {
    /// Whether a policy acts.
    #[derive(Default)]
    Mode {
        /// Decide and act.
        #[default]
        Enforce = "enforce",
        /// Do nothing.
        Disabled = "disabled",
    }
}

vocabulary! {
    /// What becomes of a value that may not be seen.
    RedactionAction {
        /// It is taken away.
        Drop = "drop",
        /// It turns into `***`.
        Mask = "mask",
        /// It turns into a keyed hash, the same for the same value.
        Hash = "hash",
        /// A string keeps its beginning.
        Truncate = "truncate",
    }
}

vocabulary! {
    /// Whether residency, or one rule of it, acts.
    ResidencyMode {
        /// Decide and act.
        Enforce = "enforce",
        /// Decide and record; the request is judged as if the rule allowed it.
        Shadow = "shadow",
        /// Do nothing.
        Disabled = "disabled",
    }
}

vocabulary! {
    /// Where the plugin is attached.
    Role {
        /// The gateway that users enter by.
        Edge = "edge",
        /// The gateway that the other regions enter by.
        Peer = "peer",
        /// Before a workload.
        Inbound = "inbound",
        /// Behind a workload: what it sends.
        Outbound = "outbound",
    }
}

impl Role {
    /// It chooses the region that a request runs in, and asks the lease for it. The others are
    /// where such a choice arrives, and judge it again.
    pub const fn routes(self) -> bool {
        matches!(self, Self::Edge | Self::Outbound)
    }
}

vocabulary! {
    /// Where a request is counted and may be shed: once in the region that it runs in.
    ShedAt {
        /// Where it enters the region, from a user or from another region.
        Edge = "edge",
        /// Before the workload.
        Inbound = "inbound",
    }
}

impl ShedAt {
    /// Whether an attachment of this role is the place.
    pub const fn is_at(self, role: Role) -> bool {
        match self {
            Self::Edge => matches!(role, Role::Edge | Role::Peer),
            Self::Inbound => matches!(role, Role::Inbound),
        }
    }
}

vocabulary! {
    /// Whether load shedding acts.
    SheddingMode {
        /// Count, decide and act.
        Enforce = "enforce",
        /// Count, decide and record; every request passes.
        Shadow = "shadow",
        /// Do nothing.
        Disabled = "disabled",
    }
}

vocabulary! {
    /// What users of one priority are told apart by, so that the same ones are served for a while.
    CohortSource {
        /// Whom verified credentials name.
        JwtSubject = "jwtSubject",
        /// The network that the client is in.
        ClientAddress = "clientAddress",
    }
}

vocabulary! {
    /// What becomes of what a client says of the priority of its own request.
    #[derive(Default)]
    PriorityHeader {
        /// It may lower it.
        #[default]
        Honour = "honour",
        /// Nothing.
        Ignore = "ignore",
    }
}

vocabulary! {
    /// What serves after a configuration was refused. Where nothing is said: the last good one,
    /// unless the refused one changes residency or whom it believes, or cannot be read.
    OnRejected {
        /// Nothing: every request is refused.
        Refuse = "refuse",
        /// The last good configuration.
        LastGood = "last-good",
    }
}

vocabulary! {
    /// What the regions are going through; it comes from region state alone.
    Situation {
        /// Every region serves.
        Normal = "normal",
        /// A rehearsed failover.
        Drill = "drill",
        /// One region stands in for another.
        Failover = "failover",
    }
}

vocabulary! {
    /// How sensitive the data of a context is.
    DataClass {
        /// Anybody may see it.
        Public = "public",
        /// The company's own.
        Internal = "internal",
        /// What somebody did.
        Behavioural = "behavioural",
        /// Who somebody is.
        Personal = "personal",
        /// National identifiers, health and the like.
        PersonalSensitive = "personal-sensitive",
        /// Cards and accounts.
        Payment = "payment",
    }
}

impl DataClass {
    /// Data about a person, which no region may touch without a rule that says so.
    pub const fn is_bound(self) -> bool {
        matches!(self, Self::Personal | Self::PersonalSensitive | Self::Payment)
    }
}

vocabulary! {
    /// How important a request is when not all can be served; the first is the most important.
    Priority {
        /// Payments, order commits.
        Critical = "critical",
        /// Login, cart, checkout pages.
        High = "high",
        /// Browsing.
        Normal = "normal",
        /// Reviews, recommendations, prefetch.
        Low = "low",
    }
}

vocabulary! {
    /// How a context's data is kept consistent between regions.
    Consistency {
        /// Leased: a majority of regions acknowledges.
        Quorum = "quorum",
        /// Leased: every region acknowledges; never retried by a proxy.
        Synchronous = "synchronous",
        /// Leased: a distributed lock as well.
        Locked = "locked",
        /// Eventual: copied to the other regions.
        Replicated = "replicated",
        /// Eventual: stays in its region.
        Regional = "regional",
    }
}

impl Consistency {
    /// Writes need the fencing lease.
    pub const fn is_leased(self) -> bool {
        matches!(self, Self::Quorum | Self::Synchronous | Self::Locked)
    }
}

vocabulary! {
    /// What a request does to the data.
    Effect {
        /// Looks.
        Read = "read",
        /// Changes.
        Write = "write",
        /// Neither, whatever its method says.
        None = "none",
    }
}

vocabulary! {
    /// Whether a context is about a person.
    SubjectMode {
        /// The caller, who has to be known.
        SelfCaller = "self",
        /// Nobody yet: login, registration, webhooks.
        None = "none",
        /// The caller where known, nobody otherwise.
        Optional = "optional",
    }
}

vocabulary! {
    /// Where reads of a leased context run.
    Reads {
        /// At the holder of the lease.
        Holder = "holder",
        /// Wherever residency lets them.
        Local = "local",
    }
}

vocabulary! {
    /// What a leased write without an `Idempotency-Key` gets.
    IdempotencyRule {
        /// A refusal, for POST and PATCH.
        Require = "require",
        /// It passes and is counted.
        Warn = "warn",
        /// Nothing.
        Ignore = "ignore",
    }
}

vocabulary! {
    /// What a residency rule does with a request in the wrong region, from the mildest to the
    /// strictest: where several rules speak, the strictest is done.
    Otherwise {
        /// Serve it there, with its response redacted.
        Redact = "redact",
        /// Send it to an allowed one.
        Route = "route",
        /// Let it come again later.
        Hold = "hold",
        /// Refuse it.
        Deny = "deny",
    }
}

vocabulary! {
    /// What a request does with data, as rules about transfers tell it.
    Operation {
        /// Looks.
        Read = "read",
        /// Changes.
        Write = "write",
        /// Takes a copy out of the system.
        Export = "export",
        /// Copies between regions.
        Replicate = "replicate",
        /// Keeps a trace of it.
        Log = "log",
        /// Helps somebody with it.
        Support = "support",
    }
}

vocabulary! {
    /// What a caller is.
    PrincipalKind {
        /// Nobody known.
        Anonymous = "anonymous",
        /// A person or company whose own data it is.
        Customer = "customer",
        /// Somebody of the company.
        Staff = "staff",
        /// A program.
        Service = "service",
        /// Anything else that credentials say.
        Other = "other",
    }
}

vocabulary! {
    /// What kind of ground a transfer to another country rests on. For people: every kind is
    /// treated alike.
    BasisKind {
        /// The country is found to protect data well enough.
        Adequacy = "adequacy",
        /// The subject has agreed.
        Consent = "consent",
        /// It is needed for a contract with the subject.
        Contract = "contract",
        /// The recipient is bound to protect it: clauses, binding rules, an equivalent system.
        Safeguards = "safeguards",
        /// It is processed on behalf of whoever has it.
        Entrustment = "entrustment",
        /// A statute asks for it or allows it.
        Statute = "statute",
    }
}

vocabulary! {
    /// What says where a subject resides.
    ResidencySource {
        /// A claim of a token.
        JwtClaim = "jwt-claim",
        /// A session that a key of ours has signed.
        Session = "session",
        /// The tenant that the caller has proven to be.
        Tenant = "tenant",
        /// The tenant or person that the path names.
        Resource = "resource",
        /// The context: no source has answered.
        Default = "default",
        /// Another guard.
        Guard = "guard",
    }
}

vocabulary! {
    /// What happens where it is not known where a subject resides.
    OnUnknownSubject {
        /// The request is taken for one about a subject of the entry region's country.
        EntryRegion = "entry-region",
        /// What holds for the subjects of every country holds.
        Strictest = "strictest",
        /// The request is refused.
        Deny = "deny",
    }
}

vocabulary! {
    /// What happens to a version stamped by a clock that is too far off.
    OnDrift {
        /// It is marked as unsynchronised.
        Tag = "tag",
        /// The write is refused.
        Deny = "deny",
    }
}

vocabulary! {
    /// What a write gets that certainly overwrites what its writer has not seen.
    #[derive(Default)]
    OnLostUpdate {
        /// It passes and is counted.
        #[default]
        Pass = "pass",
        /// It is refused.
        Deny = "deny",
    }
}

vocabulary! {
    /// How the versions of two regions become one.
    MergeStrategy {
        /// The last one wins as a whole.
        LastWriteWins = "last-write-wins",
        /// Item by item: what any region has added and none has removed since.
        OrSet = "or-set",
        /// All of them stay.
        AppendOnly = "append-only",
    }
}

vocabulary! {
    /// Where origin and version are told beside our own headers, as a hint that nobody believes.
    HintCarrier {
        /// W3C `baggage`.
        Baggage = "baggage",
    }
}

vocabulary! {
    /// What region state says of a region.
    Health {
        /// It serves.
        Up = "up",
        /// It serves with trouble.
        Degraded = "degraded",
        /// It does not serve.
        Down = "down",
    }
}

vocabulary! {
    /// What region state says of a lease.
    LeaseState {
        /// Held.
        Active = "active",
        /// Nobody can tell.
        Unknown = "unknown",
        /// Held by nobody.
        Vacant = "vacant",
        /// Being handed over.
        Draining = "draining",
        /// Stopped by an operator.
        Frozen = "frozen",
    }
}

vocabulary! {
    /// The request methods that a policy can judge; any other is refused.
    Method {
        /// `GET`
        Get = "GET",
        /// `HEAD`
        Head = "HEAD",
        /// `OPTIONS`
        Options = "OPTIONS",
        /// `POST`
        Post = "POST",
        /// `PUT`
        Put = "PUT",
        /// `PATCH`
        Patch = "PATCH",
        /// `DELETE`
        Delete = "DELETE",
        /// `CONNECT`
        Connect = "CONNECT",
    }
}

impl Method {
    /// The method a request line names; methods are case-sensitive.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        core::str::from_utf8(bytes).ok().and_then(Self::parse)
    }

    /// What the method does by its definition (RFC 9110 §9.2.1).
    pub const fn effect(self) -> Effect {
        match self {
            Self::Get | Self::Head | Self::Options => Effect::Read,
            Self::Post | Self::Put | Self::Patch | Self::Delete | Self::Connect => Effect::Write,
        }
    }

    /// Whether doing it twice is doing it once by its definition (RFC 9110 §9.2.2).
    pub const fn is_idempotent(self) -> bool {
        match self {
            Self::Get | Self::Head | Self::Options | Self::Put | Self::Delete => true,
            Self::Post | Self::Patch | Self::Connect => false,
        }
    }

    /// This method's bit in a method set.
    pub const fn bit(self) -> u8 {
        match self {
            Self::Get => 1,
            Self::Head => 1 << 1,
            Self::Options => 1 << 2,
            Self::Post => 1 << 3,
            Self::Put => 1 << 4,
            Self::Patch => 1 << 5,
            Self::Delete => 1 << 6,
            Self::Connect => 1 << 7,
        }
    }
}
