//! One exception: what may be for a while.

use super::conditions;
use super::rule::{Names, regions};
use crate::codes;
use crate::diagnostic::{Diagnostic, Sink, Span};
use crate::fields::{Fields, Shape};
use crate::yaml::Node;
use policy_core::{EXCEPTION_DAYS_MAX, Moment, wire};

const EXCEPTION: Shape = Shape {
    what: "an exception",
    keys: &["id", "approver", "reason", "when", "regions", "notBefore", "expires"],
    later: &[],
};

/// Reads an exception.
pub(super) fn decode(
    item: &Node,
    names: &Names<'_>,
    sink: &mut Sink,
) -> Option<(wire::Exception, Span)> {
    let fields = Fields::open(item, &EXCEPTION, sink)?;
    let id = fields.need("id", sink).and_then(|entry| entry.identifier(63, sink));
    let approver = fields.need("approver", sink).and_then(|entry| entry.text(sink));
    let reason = fields.need("reason", sink).and_then(|entry| entry.text(sink));
    let when = fields.need("when", sink).map(|entry| conditions::decode(entry, names, sink));
    let regions = fields.need("regions", sink).map(|entry| regions(entry, names.scope, sink));
    let not_before = fields.need("notBefore", sink).and_then(|entry| entry.moment(sink));
    let expires = fields.need("expires", sink).and_then(|entry| entry.moment(sink));
    let (not_before, expires) = (not_before?, expires?);
    if let (Some(from), Some(until)) =
        (Moment::parse(&not_before.value), Moment::parse(&expires.value))
    {
        let why = if until <= from {
            Some("it expires before it begins".to_owned())
        } else if from.days_until(until) > EXCEPTION_DAYS_MAX {
            Some(format!(
                "it lasts {} days, and {EXCEPTION_DAYS_MAX} are allowed",
                from.days_until(until)
            ))
        } else {
            None
        };
        if let Some(why) = why {
            sink.push(
                Diagnostic::error(codes::EXCEPTION, format!("the exception cannot be: {why}"))
                    .at(expires.span)
                    .related(not_before.span, "begins here"),
            );
        }
    }
    let id = id?;
    let exception = wire::Exception {
        id: id.value,
        approver: approver?.value,
        reason: reason?.value,
        when: when?,
        regions: regions?.into_iter().map(|region| region.value).collect(),
        not_before: not_before.value,
        expires: expires.value,
    };
    Some((exception, id.span))
}
