//! Why there is no measurement.

use thiserror::Error;

/// Why there is no measurement.
#[derive(Debug, Error)]
pub enum Trouble {
    /// Envoy is not there, or does not run.
    #[error("{0}\n{help}", help = .0.help().unwrap_or_default())]
    Mesh(#[from] local_mesh::Error),
    /// The policy set of the bench cannot be rendered.
    #[error(transparent)]
    Render(#[from] render::RenderError),
    /// A file or a socket.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: std::io::Error,
    },
    /// What should have happened soon has not.
    #[error("waited in vain: {0}")]
    Late(String),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

impl Trouble {
    /// For `map_err`.
    pub fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}
