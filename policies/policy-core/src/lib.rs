//! The vocabulary, the compiled policy and the one function that decides a request.
//!
//! ```text
//! wire::PluginConfig ──compile──► Policy ─┐
//! wire::StateDocument ─────────► RegionState ─┼──► decide ──► Decision
//! path, host, method, claims ──► Request ─┘
//! ```
//!
//! The crate is `no_std`, does no I/O and reads no clock. Compiling a policy may fail and says
//! where; deciding a request cannot: everything that is missing or unknown has an answer of its
//! own, and none of them is a pass.
#![no_std]
#![forbid(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

extern crate alloc;

mod caller;
mod country;
mod deadline;
mod decide;
mod decision;
mod hex;
mod lease;
mod moment;
pub mod name;
mod path;
mod per_priority;
mod policy;
mod priority;
mod reason;
mod redaction;
mod region;
mod request;
mod residency;
mod response;
mod routes;
mod signed;
mod spiffe;
mod state;
mod template;
mod trace;
pub mod vocabulary;
pub mod wire;

pub use caller::{BasisSet, Caller, Countries, Evidence, Identity, Pseudonym};
pub use country::Country;
pub use deadline::Deadline;
pub use decide::{decide, decide_traced, exempt};
pub use decision::{Decision, Fence, Merging, Shadowed};
pub use hex::{Hex, unhex};
pub use lease::{Lease, LeaseView, Until};
pub use moment::Moment;
pub use path::{CanonicalPath, Malformed};
pub use per_priority::PerPriority;
pub use policy::{
    ClaimPlace, Context, DeclaredClass, GrantedBasis, Hmac, HmacKey, JwtClaim, LeaseRef, LeaseSpec,
    Match, Merged, Policy, Pool, Shard, ShardSource, SubjectSource, Tenant, TenantMap, Versioning,
    is_client_header,
};
pub use reason::{Reason, Verdict};
pub use redaction::{
    FieldPath, FieldPathError, FieldStep, HeaderPattern, HeaderPatternError, Places, ProfileSet,
    Profiles, Redaction,
};
pub use region::{RegionId, RegionSet};
pub use request::{IdempotencyKey, Request, RequestKind, Token};
pub use residency::{
    Asked, Circumstances, EXCEPTION_DAYS_MAX, Exclusion, Fit, Group, ResidencyCell, Subject, fits,
    is_link,
};
pub use response::{Judged, Withheld, decide_response};
pub use routes::{Ambiguity, ambiguities};
pub use signed::SignedText;
pub use spiffe::SpiffeId;
pub use state::{Migration, Outlook, RegionState, StateOrigin};
pub use template::{Segment, Template, TemplateError};
pub use trace::{Step, Trace};
pub use vocabulary::{
    BasisKind, CohortSource, Consistency, DataClass, Effect, Health, HintCarrier, IdempotencyRule,
    LeaseState, MergeStrategy, Method, Mode, OnDrift, OnLostUpdate, OnRejected, OnUnknownSubject,
    Operation, Otherwise, PrincipalKind, Priority, PriorityHeader, Reads, RedactionAction,
    ResidencyMode, ResidencySource, Role, ShedAt, SheddingMode, Situation, SubjectMode,
};
pub use wire::Baseline;
