//! `Timeline`: what happens in a drill, and when.

use crate::codes;
use crate::diagnostic::{Diagnostic, Sink, Span, Spanned};
use crate::document::Document;
use crate::duration::show_ms;
use crate::fields::{Fields, Shape};
use crate::scope::{Names, Scope};
use crate::set::TransitionLimits;
use crate::value::Word;
use crate::yaml::Node;
use std::collections::BTreeMap;

const TIMELINE: Shape = Shape {
    what: "`spec` of a `Timeline`",
    keys: &["lasts", "detects", "clients", "seed", "events"],
    later: &[],
};
const EVENT: Shape = Shape {
    what: "an event",
    keys: &["at", "until", "event", "region", "lease", "to", "from", "percent"],
    later: &[],
};

/// Leases are granted first, before anything happens.
const STARTS_MS: u64 = 5_000;
const LASTS_MS: std::ops::RangeInclusive<u64> = 10_000..=3_600_000;
const CLIENTS_MAX: u64 = 200;

/// What happens in a drill, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeline {
    /// What it is called.
    pub name: String,
    /// What is drawn by it: who asks for what, and how long messages take.
    pub seed: u64,
    /// How long it lasts, in milliseconds.
    pub lasts_ms: u64,
    /// How many clients there are at least, half of them in each region: there is one in each for
    /// every kind of requests that the policy set tells apart.
    pub clients: u64,
    /// How long whoever looks after a region's health takes to find that it is sick, in milliseconds;
    /// what `Fencing.health` comes to if absent.
    pub detects_ms: Option<u64>,
    /// What happens, in any order.
    pub events: Vec<Happening>,
}

/// Something that happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Happening {
    /// When, in milliseconds from the start. Nothing happens in the first five seconds, in which
    /// leases are granted.
    pub at_ms: u64,
    /// Until when it lasts, if it lasts; until [`Event::Healed`] or the end where not said.
    pub until_ms: Option<u64>,
    /// What.
    pub event: Event,
}

impl Timeline {
    /// When something is over: when it says so, when everything is healed, or after the end.
    pub fn end_of(&self, happening: &Happening) -> u64 {
        let healed = self.events.iter().filter(|other| other.event == Event::Healed);
        let healed = healed.map(|other| other.at_ms).filter(|at| *at > happening.at_ms).min();
        happening.until_ms.or(healed).unwrap_or(self.lasts_ms.saturating_add(1))
    }
}

/// What can happen. Regions and leases are named as the policy set names them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A region is not there: its machines stand still, and nobody reaches them.
    RegionLost {
        /// Which.
        region: String,
    },
    /// A region reaches nobody but its own users.
    Isolated {
        /// Which.
        region: String,
    },
    /// The regions do not reach each other; both reach the lease store.
    Parted,
    /// A region is attacked and does not serve well, which its health shows after a while.
    Attacked {
        /// Which.
        region: String,
    },
    /// A region may not be used any more: everything that may move is moved to the other one.
    Restricted {
        /// Which.
        region: String,
    },
    /// A planned move of a lease.
    Switchover {
        /// `lease` or `lease/shard`.
        lease: String,
        /// Where to.
        to: String,
    },
    /// An operator's order to move a lease, whoever has it.
    Override {
        /// `lease` or `lease/shard`.
        lease: String,
        /// Where to.
        to: String,
    },
    /// An operator stops leased writes.
    Frozen,
    /// So many of a hundred of a region's users are served by the other one.
    Stage {
        /// Whose users.
        from: String,
        /// How many of a hundred.
        percent: u8,
    },
    /// Everything that began before is over; users and leases that were moved stay where they are.
    Healed,
}

/// The word for an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    RegionLost,
    Isolated,
    Parted,
    Attacked,
    Restricted,
    Switchover,
    Override,
    Frozen,
    Stage,
    Healed,
}

impl Word for Kind {
    const NAMES: &'static [&'static str] = &[
        "region-lost",
        "isolated",
        "parted",
        "attacked",
        "restricted",
        "switchover",
        "override",
        "frozen",
        "stage",
        "healed",
    ];
    const LATER: &'static [&'static str] = &[];

    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "region-lost" => Self::RegionLost,
            "isolated" => Self::Isolated,
            "parted" => Self::Parted,
            "attacked" => Self::Attacked,
            "restricted" => Self::Restricted,
            "switchover" => Self::Switchover,
            "override" => Self::Override,
            "frozen" => Self::Frozen,
            "stage" => Self::Stage,
            "healed" => Self::Healed,
            _ => return None,
        })
    }
}

impl Kind {
    /// The keys that say more of it.
    const fn keys(self) -> &'static [&'static str] {
        match self {
            Self::RegionLost | Self::Isolated | Self::Attacked | Self::Restricted => &["region"],
            Self::Switchover | Self::Override => &["lease", "to"],
            Self::Stage => &["from", "percent"],
            Self::Parted | Self::Frozen | Self::Healed => &[],
        }
    }

    /// Whether it lasts.
    const fn lasts(self) -> bool {
        // Users and leases that were moved stay where they are.
        let stays = matches!(self, Self::Switchover | Self::Override | Self::Restricted);
        !stays && !matches!(self, Self::Stage | Self::Healed)
    }
}

/// Reads a `Timeline`. What operators do in it has to be what they may do, where that is known.
pub(crate) fn decode(
    document: &Document<'_>,
    scope: &Scope,
    limits: Option<TransitionLimits>,
    sink: &mut Sink,
) -> Option<Timeline> {
    let fields = document.fields(&TIMELINE, sink)?;
    let lasts_ms = fields.need("lasts", sink).and_then(|entry| entry.duration_ms(LASTS_MS, sink));
    let detects =
        fields.get("detects").and_then(|entry| entry.duration_ms(0..=*LASTS_MS.end(), sink));
    let number = |key: &str, most: u64, sink: &mut Sink| {
        let entry = fields.get(key)?;
        entry.value.number(&entry.what(), 0..=most, sink).map(|number| number.value)
    };
    let clients = number("clients", CLIENTS_MAX, sink);
    let seed = number("seed", u64::from(u32::MAX), sink);
    let items = fields.need("events", sink).and_then(|entry| entry.items(sink));
    let items = items.unwrap_or_default();
    let events = items.iter().filter_map(|item| happening(item, lasts_ms, scope, sink));
    let (events, times): (Vec<_>, Vec<_>) = events.unzip();
    // One that cannot be read might be what ends an override.
    let all_read = events.len() == items.len();
    let timeline = Timeline {
        name: document.name.as_ref()?.value.clone(),
        seed: seed.unwrap_or(1),
        lasts_ms: lasts_ms?,
        clients: clients.unwrap_or(0),
        detects_ms: detects,
        events,
    };
    if let Some(limits) = limits.filter(|_| all_read) {
        check_limits(&timeline, &times, limits, sink);
    }
    Some(timeline)
}

/// Something that happens, and where its time is written.
fn happening(
    item: &Node,
    lasts_ms: Option<u64>,
    scope: &Scope,
    sink: &mut Sink,
) -> Option<(Happening, Span)> {
    let fields = Fields::open(item, &EVENT, sink)?;
    let end_ms = lasts_ms.unwrap_or(*LASTS_MS.end());
    let at = fields.need("at", sink);
    let at_ms = at.and_then(|entry| {
        let at_ms = entry.duration_ms(0..=u64::MAX, sink)?;
        let is_within = (STARTS_MS..end_ms).contains(&at_ms);
        if !is_within {
            sink.push(outside(at_ms, lasts_ms, entry.value.span));
        }
        is_within.then_some(at_ms)
    });
    let kind = fields.need("event", sink).and_then(|entry| entry.word::<Kind>(sink))?;
    let until_ms = fields.get("until").and_then(|entry| {
        if !kind.value.lasts() {
            sink.push(needless("until", entry.key.span, kind.span));
            return None;
        }
        entry.duration_ms(at_ms.unwrap_or(0).saturating_add(1)..=end_ms, sink)
    });
    for key in ["region", "lease", "to", "from", "percent"] {
        if !kind.value.keys().contains(&key)
            && let Some(entry) = fields.get(key)
        {
            sink.push(needless(key, entry.key.span, kind.span));
        }
    }
    let event = event(kind.value, &fields, scope, sink);
    Some((Happening { at_ms: at_ms?, until_ms, event: event? }, at?.value.span))
}

fn outside(at_ms: u64, lasts_ms: Option<u64>, at: Span) -> Diagnostic {
    let message = format!("nothing can happen at {}", show_ms(at_ms));
    let mut help = format!("leases are granted in the first {}", show_ms(STARTS_MS));
    if let Some(lasts_ms) = lasts_ms {
        help = format!("{help}, and all is over at {}", show_ms(lasts_ms));
    }
    Diagnostic::error(codes::DURATION, message).at(at).help(help)
}

/// Whether operators keep to `Fencing.transitions`: how long a lease stays once it has been moved, how
/// often it may be, and how long an override may stand. A timeline is an hour at most.
fn check_limits(timeline: &Timeline, times: &[Span], limits: TransitionLimits, sink: &mut Sink) {
    let mut moves: BTreeMap<&str, Vec<(u64, Span)>> = BTreeMap::new();
    let limit_is = |key: &str, is: String| format!("`transitions.{key}` of `Fencing` is {is}");
    for (happening, span) in timeline.events.iter().zip(times) {
        if let Event::Switchover { lease, .. } | Event::Override { lease, .. } = &happening.event {
            moves.entry(lease).or_default().push((happening.at_ms, *span));
        }
        let Event::Override { lease, .. } = &happening.event else { continue };
        let end = timeline.end_of(happening).min(timeline.lasts_ms);
        let stands_ms = end.saturating_sub(happening.at_ms);
        let most_ms = u64::from(limits.max_override_ms);
        if stands_ms > most_ms {
            let stands = format!("the override of `{lease}` stands for {}", show_ms(stands_ms));
            let help = limit_is("maxOverride", show_ms(most_ms));
            sink.push(Diagnostic::error(codes::TRANSITIONS, stands).at(*span).help(help));
        }
    }
    for (lease, mut moves) in moves {
        moves.sort_unstable_by_key(|(at_ms, _)| *at_ms);
        let hold_ms = u64::from(limits.min_hold_ms);
        for ((first_ms, first), (then_ms, then)) in moves.iter().zip(moves.iter().skip(1)) {
            let between_ms = then_ms.saturating_sub(*first_ms);
            if between_ms < hold_ms {
                let again = format!("`{lease}` is moved again after {}", show_ms(between_ms));
                let help = limit_is("minHold", show_ms(hold_ms));
                sink.push(
                    Diagnostic::error(codes::TRANSITIONS, again)
                        .at(*then)
                        .related(*first, "since it was moved here")
                        .help(help),
                );
            }
        }
        let most = limits.max_per_hour;
        let over = usize::try_from(most).ok().and_then(|most| moves.get(most));
        if let Some((_, span)) = over {
            let often = format!("`{lease}` is moved {} times in an hour", moves.len());
            let help = limit_is("maxPerHour", most.to_string());
            sink.push(Diagnostic::error(codes::TRANSITIONS, often).at(*span).help(help));
        }
    }
}

fn event(kind: Kind, fields: &Fields<'_>, scope: &Scope, sink: &mut Sink) -> Option<Event> {
    let named = |key: &str, names: &Names, sink: &mut Sink| -> Option<String> {
        let name: Spanned<String> = fields.need(key, sink)?.text(sink)?;
        names.check(&name, sink).then_some(name.value)
    };
    let region = |key: &str, sink: &mut Sink| named(key, &scope.regions, sink);
    Some(match kind {
        Kind::RegionLost => Event::RegionLost { region: region("region", sink)? },
        Kind::Isolated => Event::Isolated { region: region("region", sink)? },
        Kind::Attacked => Event::Attacked { region: region("region", sink)? },
        Kind::Restricted => Event::Restricted { region: region("region", sink)? },
        Kind::Parted => Event::Parted,
        Kind::Frozen => Event::Frozen,
        Kind::Healed => Event::Healed,
        Kind::Switchover | Kind::Override => {
            let to = region("to", sink);
            let lease = named("lease", &scope.leases, sink);
            let (lease, to) = (lease?, to?);
            match kind {
                Kind::Switchover => Event::Switchover { lease, to },
                _ => Event::Override { lease, to },
            }
        }
        Kind::Stage => {
            let from = region("from", sink);
            let percent = fields.need("percent", sink).and_then(|entry| {
                let percent = entry.value.number(&entry.what(), 0..=100, sink)?;
                u8::try_from(percent.value).ok()
            });
            Event::Stage { from: from?, percent: percent? }
        }
    })
}

fn needless(key: &str, at: Span, event: Span) -> Diagnostic {
    Diagnostic::error(codes::EXCLUSIVE, format!("`{key}` says nothing of such an event"))
        .at(at)
        .related(event, "which is this one")
        .help("remove it")
}
