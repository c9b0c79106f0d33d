//! A region dies during traffic, Envoy and upstream: nothing ever runs where it may not. What goes on
//! in the other one afterwards, and what waits, is in the corpus: `regions-lost-*.yaml`.

use local_mesh::client::{RawRequest, RawResponse};
use policy_core::Situation;
use policy_doc::WorldState;
use std::fmt::Write as _;
use suite::{Check, Exchange, Loop, Regions, Trouble, keyed, leases, traffic};

const REGIONS: [&str; 2] = ["taiwan", "tokyo"];

/// While requests of all kinds come in at both edges, a region is killed, under every holder and
/// situation. Region state does not know of it, as in the first moments of a real loss.
#[tokio::test]
async fn nothing_runs_where_it_may_not_while_a_region_dies() -> Check {
    let mut regions = Regions::start(&world(Holder::Taiwan, Situation::Normal, None)).await?;
    let mut account = String::new();
    let mut seen = 0;
    for holder in [Holder::Taiwan, Holder::Tokyo, Holder::Unknown] {
        for situation in [Situation::Normal, Situation::Failover] {
            for lost in REGIONS {
                let exchanges = dying(&mut regions, holder, situation, lost).await?;
                seen += exchanges.len();
                let round = Round { holder, lost };
                for wrong in round.judge(&exchanges) {
                    // Writing into a String cannot fail.
                    let _ = writeln!(account, "{round:?} in {situation:?}: {wrong}");
                }
            }
        }
    }
    regions.stop().await;
    println!("{seen} exchanges in 12 rounds");
    Trouble::unless_empty(&account)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holder {
    Taiwan,
    Tokyo,
    Unknown,
}

/// A state in which one region holds every lease that it may hold, and perhaps one is gone.
fn world(holder: Holder, situation: Situation, gone: Option<&str>) -> WorldState {
    let (common, japanese) = match holder {
        Holder::Taiwan => (Some("taiwan"), Some("tokyo")),
        Holder::Tokyo => (Some("tokyo"), Some("tokyo")),
        Holder::Unknown => (None, None),
    };
    let mut world = leases(&[
        ("inventory", common),
        ("orders/tokyo+taiwan", common),
        ("orders/tokyo", japanese),
    ]);
    world.document.situation = Some(situation);
    world.unreachable = gone.into_iter().map(str::to_owned).collect();
    world
}

/// What is sent over and over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    PublicRead,
    EventualWrite,
    TaiwaneseProfile,
    JapaneseProfile,
    JapaneseOrder,
    KoreanOrder,
    Stock,
}

const KINDS: [Kind; 7] = [
    Kind::PublicRead,
    Kind::EventualWrite,
    Kind::TaiwaneseProfile,
    Kind::JapaneseProfile,
    Kind::JapaneseOrder,
    Kind::KoreanOrder,
    Kind::Stock,
];

impl Kind {
    fn request(self, regions: &Regions) -> Result<RawRequest, Trouble> {
        let (method, path, country) = match self {
            Self::PublicRead => ("GET", "/api/v1/products/1", None),
            Self::EventualWrite => ("POST", "/api/v1/reviews/9", None),
            Self::TaiwaneseProfile => ("GET", "/api/v1/customers/me/profile", Some("TW")),
            Self::JapaneseProfile => ("GET", "/api/v1/customers/me/profile", Some("JP")),
            Self::JapaneseOrder => ("POST", "/api/v1/orders", Some("JP")),
            Self::KoreanOrder => ("POST", "/api/v1/orders", Some("KR")),
            Self::Stock => ("POST", "/api/v1/inventory/sku-1", None),
        };
        keyed(&regions.run, method, path, country)
    }
}

/// Two loops at each edge; the region is killed on the way.
async fn dying(
    regions: &mut Regions,
    holder: Holder,
    situation: Situation,
    lost: &str,
) -> Result<Vec<Exchange<Kind>>, Trouble> {
    regions.enter(&world(holder, situation, None)).await?;
    let mut loops = Vec::new();
    for (entry, offset) in [("taiwan", 0), ("tokyo", 0), ("taiwan", 3), ("tokyo", 3)] {
        let kinds = KINDS.iter().cycle().skip(offset).take(KINDS.len());
        let requests = kinds.map(|kind| Ok((*kind, kind.request(regions)?)));
        let requests = requests.collect::<Result<Vec<_>, Trouble>>()?;
        loops.push(Loop { entry, edge: regions.edge(entry)?, requests });
    }
    // Killing a region is a long story.
    let lost = world(holder, situation, Some(lost));
    traffic(loops, Box::pin(async { regions.enter(&lost).await })).await
}

/// What may come of a request while one region dies.
#[derive(Debug, Clone, Copy)]
struct Round<'r> {
    holder: Holder,
    lost: &'r str,
}

impl Round<'_> {
    /// Every exchange that should not have been, and everything that should have been seen.
    fn judge(&self, exchanges: &[Exchange<Kind>]) -> Vec<String> {
        let mut wrong: Vec<String> =
            exchanges.iter().filter_map(|exchange| self.judge_one(exchange)).collect();
        for kind in KINDS {
            let late = |e: &&Exchange<Kind>| e.kind == kind && e.after && e.entry != self.lost;
            let answered = exchanges.iter().filter(late).count();
            if answered == 0 {
                wrong.push(format!("{kind:?}: never tried in the surviving region"));
            }
        }
        wrong
    }

    fn judge_one(&self, exchange: &Exchange<Kind>) -> Option<String> {
        let Exchange { kind, entry, after, result, id: _ } = exchange;
        let response = match result {
            Ok(response) => response,
            // Whatever happens to a connection with an Envoy that is killed.
            Err(_) if *entry == self.lost => return None,
            Err(error) => return Some(format!("{kind:?} at {entry}: {error}")),
        };
        let (regions, reasons) = self.permitted(*kind, entry);
        let region = text(response, "x-echo-region");
        let reason = text(response, "x-meshfence-reason");
        let fine = match response.status {
            200 => {
                let alive = !after || region != self.lost;
                alive && regions.contains(&&*region) && reason.is_empty()
            }
            503 => region.is_empty() && reasons.contains(&&*reason),
            _ => false,
        };
        (!fine).then(|| {
            format!(
                "{kind:?} at {entry}, after the loss: {after}: {} in `{region}`, reason `{reason}`; \
                 permitted: {regions:?}, {reasons:?}\n{}",
                response.status,
                response.text()
            )
        })
    }

    /// Where a request may run, and for what reasons it may be refused instead. Region state never
    /// says that a region is down, so nobody moves.
    fn permitted(&self, kind: Kind, entry: &'static str) -> (Vec<&str>, &[&str]) {
        let leased = match self.holder {
            Holder::Taiwan => (vec!["taiwan"], &["holder_unreachable"][..]),
            Holder::Tokyo => (vec!["tokyo"], &["holder_unreachable"][..]),
            Holder::Unknown => (Vec::new(), &["lease_unknown"][..]),
        };
        // An edge that loses its own upstream a moment before it dies itself may say so.
        let dying: &[&str] = if entry == self.lost { &["home_unavailable"] } else { &[] };
        match kind {
            Kind::PublicRead | Kind::EventualWrite => (vec![entry], dying),
            Kind::TaiwaneseProfile => (vec!["taiwan"], &["home_unavailable"]),
            Kind::JapaneseProfile => (vec!["tokyo"], &["home_unavailable"]),
            Kind::JapaneseOrder if self.holder == Holder::Unknown => leased,
            Kind::JapaneseOrder => (vec!["tokyo"], &["holder_unreachable"]),
            Kind::KoreanOrder | Kind::Stock => leased,
        }
    }
}

fn text(response: &RawResponse, name: &str) -> String {
    String::from_utf8_lossy(response.header(name).unwrap_or_default()).into_owned()
}
