//! Two regions on one machine: for each region one Envoy and one echo upstream, on loopback ports.
//! The upstreams are processes; what runs the Envoys is a [`launch::Runtime`].
//!
//! ```text
//!            +--------- region taiwan ------+        +--------- region tokyo --------+
//!  client -->| edge   Envoy  -> upstream    |        |    edge   Envoy  -> upstream |
//!            |        admin, peer <---------+--------+--> peer, admin               |
//!            +------------------------------+        +------------------------------+
//! ```
//!
//! The crate knows nothing of policy: it takes ready bootstrap texts. What it promises instead:
//!
//! - **Nothing is left behind.** Processes are stopped in order, killed when their handle is
//!   dropped, and on Linux killed by the kernel when the thread that started them dies, so that
//!   not even `kill -9` of the command leaves an Envoy running. For that reason a [`mesh::Mesh`]
//!   belongs on the main thread, in a current-thread runtime. Files live in a
//!   [`run_dir::RunDir`]; they, and containers, which are the engine's and not ours, are removed by
//!   a [`survivor::Survivor`] of a command that was killed, and the next run sweeps what even that
//!   could not.
//! - **Nothing waits for ever.** Every wait has a deadline and watches for processes that die on
//!   the way, and the error quotes the last lines of their log.
//! - **Nothing is fetched unchecked.** A downloaded Envoy has the SHA-256 this crate pins, or is
//!   not used.

pub mod client;
pub mod docker;
pub mod echo;
pub mod envoy;
pub mod launch;
pub mod mesh;
pub mod ports;
pub mod run_dir;
pub mod supervise;
pub mod survivor;
pub mod tls;

mod error;
mod process;
mod signals;

pub use error::{Error, Part};
pub use signals::interrupted;
