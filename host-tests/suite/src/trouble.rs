//! Why a test could not go on, told in full when it is returned from a test function.

use meshfence::Failure;
use std::fmt;

/// What a test function returns.
pub type Check = Result<(), Trouble>;

/// Why a test could not go on.
pub struct Trouble(String);

impl Trouble {
    /// A trouble with this account.
    pub fn new(account: impl Into<String>) -> Self {
        Self(account.into())
    }

    /// Nothing if there is no account to give.
    ///
    /// # Errors
    /// The account, unless it is empty.
    pub fn unless_empty(account: &str) -> Check {
        if account.is_empty() { Ok(()) } else { Err(Self(account.to_owned())) }
    }
}

/// What the test harness prints.
impl fmt::Debug for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        let Failure { exit, message, help } = failure;
        Self(format!("{exit:?}: {message}\n{}", help.unwrap_or_default()))
    }
}

impl From<local_mesh::Error> for Trouble {
    fn from(error: local_mesh::Error) -> Self {
        Self(format!("{error}\n{}", error.help().unwrap_or_default()))
    }
}

impl From<std::io::Error> for Trouble {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<serde_json::Error> for Trouble {
    fn from(error: serde_json::Error) -> Self {
        Self(error.to_string())
    }
}
