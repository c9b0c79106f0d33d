//! How a command ends.

use std::process::ExitCode;

/// The exit codes, the same for every command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0: done.
    Ok,
    /// 1: a bug of ours.
    Internal,
    /// 2: the arguments cannot be used.
    Usage,
    /// 3: the policy is invalid.
    InvalidPolicy,
    /// 4: a test failed.
    TestsFailed,
    /// 6: something is not as it would be rendered.
    Difference,
    /// 7: the machine lacks something: no Envoy, a port in use.
    Environment,
}

impl Exit {
    /// The number.
    pub const fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Internal => 1,
            Self::Usage => 2,
            Self::InvalidPolicy => 3,
            Self::TestsFailed => 4,
            Self::Difference => 6,
            Self::Environment => 7,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why a command did not do what it was asked to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// What happened, one lower-case line; empty where everything was said already.
    pub message: String,
    /// What the user can do about it.
    pub help: Option<String>,
}

impl Failure {
    /// A failure with a message.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), help: None }
    }

    /// A failure that was told in full already.
    pub fn told(exit: Exit) -> Self {
        Self::new(exit, "")
    }

    /// The same with advice.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same with the known name that was most likely meant, or some of them.
    #[must_use]
    pub fn suggest<S: AsRef<str>>(mut self, word: &str, known: &[S]) -> Self {
        self.help = policy_doc::suggestion(word, known);
        self
    }
}

impl From<local_mesh::Error> for Failure {
    fn from(error: local_mesh::Error) -> Self {
        let exit = if error.is_environment() { Exit::Environment } else { Exit::Usage };
        Self { exit, message: error.to_string(), help: error.help() }
    }
}
