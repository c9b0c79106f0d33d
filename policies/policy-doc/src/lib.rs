//! YAML policy documents with spans, their diagnostics, and the policy set they resolve to.
//!
//! ```text
//! Source ──yaml──► Node ──one file a kind──► wire types + places ──check, compile──► PolicySet
//!    └───────────────┴────────────────────────────┴──────────────────────┴──► Diagnostic
//! ```
//!
//! Pure: texts in, a [`PolicySet`] or diagnostics out. Reading a directory is the command's.
//! Nothing stops at the first problem: every stage reports what it finds and goes on with the
//! rest, and a name that could not be read is not reported again where it is used.
#![forbid(unsafe_code)]

mod check;
mod codes;
mod contexts;
mod diagnostic;
mod document;
mod duration;
mod expectation;
mod fencing;
mod fields;
mod human;
mod load;
mod matches;
mod merging;
mod mesh;
mod policy_test;
mod redaction;
mod residency;
mod scope;
mod set;
mod shedding;
mod state;
mod subjects;
mod tenants;
mod timeline;
mod topology;
mod value;
mod versioning;
mod yaml;

#[cfg(test)]
mod tests;

pub use codes::{CODES, Code};
pub use diagnostic::{Diagnostic, Related, Severity, Span, suggestion};
pub use expectation::Mismatch;
pub use human::render_human;
pub use load::{Loaded, LoadedMaps, Purpose, Source, load, load_maps, load_test, load_timelines};
pub use mesh::is_sha256;
pub use policy_test::{
    BodyExpectation, Case, Expectation, HeaderExpectation, InFlight, Observed, OwnCredentials,
    PolicyTest, ROWS, Row, RowSource, TestCaller, TestCarried, TestCertificate, TestRead,
    TestRequest, TestSeen, TestSession, TestToken, WorldState,
};
pub use set::{
    AgentUrl, AttachmentTarget, FencingTimes, HealthTimes, Issuer, MeshAttachment, MeshFacts,
    PeerGateway, PluginImage, PolicySet, TargetRef, TransitionLimits, Upstream, Upstreams,
};
pub use timeline::{Event, Happening, Timeline};
