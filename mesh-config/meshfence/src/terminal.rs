//! What a person at a terminal gets to see. Colour only there, and never with `NO_COLOR`.

use crate::exit::Failure;
use anstream::{AutoStream, ColorChoice, eprintln, stream::RawStream};
use anstyle::{AnsiColor, Style};
use indicatif::ProgressBar;
use std::time::Duration;

pub(crate) const BOLD: Style = Style::new().bold();
pub(crate) const DIM: Style = Style::new().dimmed();
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
const HELP: Style = AnsiColor::Cyan.on_default().bold();

/// Says on standard error why a command failed.
pub(crate) fn complain(failure: &Failure) {
    if !failure.message.is_empty() {
        eprintln!("{BAD}error{BAD:#}{BOLD}: {}{BOLD:#}", failure.message);
    }
    if let Some(help) = &failure.help {
        eprintln!("{HELP}help{HELP:#}: {help}");
    }
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
            eprintln!("{what}");
        } else {
            self.bar.set_message(what.to_owned());
        }
    }

    pub(crate) fn done(&self) {
        self.bar.finish_and_clear();
    }
}
