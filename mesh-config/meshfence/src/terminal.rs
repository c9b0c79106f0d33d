//! What a person at a terminal gets to see. Colour only there, and never with `NO_COLOR`.

use crate::exit::{Exit, Failure};
use anstream::{AutoStream, ColorChoice, stream::RawStream};
use anstyle::{AnsiColor, Style};
use indicatif::ProgressBar;
use std::io::{ErrorKind, IsTerminal as _, Write as _};
use std::time::Duration;

pub(crate) const BOLD: Style = Style::new().bold();
pub(crate) const DIM: Style = Style::new().dimmed();
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
const WARN: Style = AnsiColor::Yellow.on_default().bold();
const HELP: Style = AnsiColor::Cyan.on_default().bold();

/// Says on standard error why a command failed. Without one there is nobody to tell.
pub(crate) fn complain(failure: &Failure) {
    let mut stderr = anstream::stderr();
    if !failure.message.is_empty() {
        let _ = writeln!(stderr, "{BAD}error{BAD:#}{BOLD}: {}{BOLD:#}", failure.message);
    }
    if let Some(help) = &failure.help {
        let _ = writeln!(stderr, "{HELP}help{HELP:#}: {help}");
    }
}

/// Says on standard error what a command that succeeds leaves to its user.
pub(crate) fn warn(what: &str) {
    let _ = writeln!(anstream::stderr(), "{WARN}warning{WARN:#}{BOLD}: {what}{BOLD:#}");
}

/// Prints what a command is for. A reader that left has read enough.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    print_on(text).map(|_| ())
}

/// The same for a command that goes on printing: whether anybody reads on.
pub(crate) fn print_on(text: &str) -> Result<bool, Failure> {
    let mut stdout = anstream::stdout();
    match writeln!(stdout, "{text}").and_then(|()| stdout.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => {
            let message = format!("cannot write to standard output: {error}");
            Err(Failure::new(Exit::Environment, message))
        }
    }
}

/// Whether standard output is a terminal.
pub(crate) fn is_terminal() -> bool {
    std::io::stdout().is_terminal()
}

/// Whether text for this stream may have colour.
pub(crate) fn has_colour(stream: &impl RawStream) -> bool {
    AutoStream::choice(stream) != ColorChoice::Never
}

/// What a command is doing, while it does: one moving line on a terminal, plain lines elsewhere.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    pub(crate) fn new() -> Self {
        let bar = ProgressBar::new_spinner();
        if !bar.is_hidden() {
            bar.enable_steady_tick(Duration::from_millis(100));
        }
        Self { bar }
    }

    pub(crate) fn say(&self, what: &str) {
        if self.bar.is_hidden() {
            let _ = writeln!(anstream::stderr(), "{what}");
        } else {
            self.bar.set_message(what.to_owned());
        }
    }

    pub(crate) fn done(&self) {
        self.bar.finish_and_clear();
    }
}
