//! Named things that may build on each other.

use crate::codes;
use crate::diagnostic::{Diagnostic, Sink, Spanned, quote};
use std::collections::BTreeMap;

/// How many things may build on each other in a row.
const CHAIN_MAX: usize = 16;

/// Something that may build on another of its kind.
pub(super) trait Extends {
    /// What it is called in messages.
    const WHAT: &'static str;

    /// The name of the other, and where it is said.
    fn base(&self) -> Option<&Spanned<String>>;
}

/// Everything of one kind, by name.
pub(super) type Named<T> = BTreeMap<String, T>;

/// The things that `top` builds on, the lowest first, and `top` itself last. Nothing if there is
/// no end to it, which is reported.
pub(super) fn chain<'a, T: Extends>(
    top: &'a T,
    name: Option<&str>,
    all: &'a Named<T>,
    sink: &mut Sink,
) -> Option<Vec<&'a T>> {
    let mut names: Vec<&str> = name.into_iter().collect();
    let mut things = vec![top];
    let mut next = top.base();
    while let Some(base) = next {
        let thing = find(base, all, sink)?;
        if names.contains(&base.value.as_str()) {
            // A circle is reported once, by the first of its names.
            if name == Some(base.value.as_str()) && names.iter().min() == names.first() {
                let message = format!("the {} {} extends itself", T::WHAT, quote(&base.value));
                sink.push(Diagnostic::error(codes::CYCLE, message).at(base.span));
            }
            return None;
        }
        if things.len() >= CHAIN_MAX {
            let message = format!("more than {CHAIN_MAX} {}s build on each other", T::WHAT);
            sink.push(Diagnostic::error(codes::TOO_LARGE, message).at(base.span));
            return None;
        }
        names.push(&base.value);
        things.push(thing);
        next = thing.base();
    }
    things.reverse();
    Some(things)
}

/// The thing with this name; reports that there is none.
pub(super) fn find<'a, T: Extends>(
    name: &Spanned<String>,
    all: &'a Named<T>,
    sink: &mut Sink,
) -> Option<&'a T> {
    let found = all.get(&name.value);
    if found.is_none() {
        unknown(T::WHAT, name, all.keys(), sink);
    }
    found
}

/// Reports that there is no such thing.
pub(super) fn unknown<'k>(
    what: &str,
    name: &Spanned<String>,
    known: impl Iterator<Item = &'k String>,
    sink: &mut Sink,
) {
    let known: Vec<&String> = known.collect();
    let message = format!("there is no {what} {}", quote(&name.value));
    sink.push(
        Diagnostic::error(codes::UNKNOWN_TEST_NAME, message)
            .at(name.span)
            .suggest(&name.value, &known),
    );
}
