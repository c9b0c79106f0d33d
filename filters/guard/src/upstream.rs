//! What the headers of a response tell of the load of its upstream.

use crate::header;
use crate::host::Headers;
use load_shed::Outcome;

/// No upstream has more than twice as much to do as it can.
const UTILISATION_MAX: f64 = 2.0;

/// What an answer that took so long tells of the load of its upstream. A gateway that got none,
/// somebody who has too much to do or had too little time (502 to 504; of a gRPC call that ended at
/// once `DEADLINE_EXCEEDED`, `RESOURCE_EXHAUSTED`, `UNAVAILABLE`) could not do it. What is broken (any
/// other 5xx, `UNKNOWN`, `INTERNAL`) is so whatever the load, and is mostly found out fast.
pub(crate) fn outcome(headers: &Headers, latency_us: u64) -> Outcome {
    let status = headers.first(b":status").unwrap_or_default();
    let grpc_status = headers.first(b"grpc-status").unwrap_or_default();
    match (status, grpc_status) {
        (b"502" | b"503" | b"504", _) | (_, b"4" | b"8" | b"14") => Outcome::Failed,
        (_, b"2" | b"13") | ([b'5', _, _], _) => Outcome::Unknown,
        _ => Outcome::Served { latency_us },
    }
}

/// How loaded an upstream says that it is, as a share of what it can do: by our header, or by the
/// text form of ORCA (`endpoint-load-metrics: TEXT application_utilization=0.7, cpu_utilization=0.5`).
/// Of several the largest.
pub(crate) fn utilisation(headers: &Headers) -> Option<f64> {
    let share = |text: &str| {
        let share: f64 = text.trim().parse().ok()?;
        // Beyond that it is no share: somebody says percent.
        (0.0..=UTILISATION_MAX).contains(&share).then_some(share)
    };
    let own = headers.only(header::LOAD.as_bytes());
    let own = own.and_then(|value| share(core::str::from_utf8(value).ok()?));
    let orca = headers.only(header::ORCA.as_bytes());
    let orca = orca.and_then(|value| core::str::from_utf8(value).ok()?.strip_prefix("TEXT "));
    let said = orca.into_iter().flat_map(|text| text.split(',')).filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        let is_one = matches!(name.trim(), "application_utilization" | "cpu_utilization");
        share(value).filter(|_| is_one)
    });
    said.chain(own).reduce(f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> Headers {
        let mut headers = Headers::default();
        for (name, value) in pairs {
            headers.push(name.as_bytes(), value.as_bytes());
        }
        headers
    }

    #[test]
    fn an_upstream_says_how_loaded_it_is() {
        for (name, value, share) in [
            ("x-meshfence-load", "0.83", Some(0.83)),
            ("x-meshfence-load", "1.7", Some(1.7)),
            ("x-meshfence-load", "83%", None),
            ("x-meshfence-load", "83", None),
            ("x-meshfence-load", "-0.1", None),
            ("x-meshfence-load", "NaN", None),
            ("x-meshfence-load", "inf", None),
            ("x-meshfence-load", "", None),
            ("endpoint-load-metrics", "TEXT cpu_utilization=0.5, mem_utilization=0.9", Some(0.5)),
            (
                "endpoint-load-metrics",
                "TEXT cpu_utilization=0.5,application_utilization=0.7",
                Some(0.7),
            ),
            ("endpoint-load-metrics", "JSON {\"cpu_utilization\": 0.5}", None),
            ("endpoint-load-metrics", "cpu_utilization=0.5", None),
        ] {
            assert_eq!(utilisation(&headers(&[(name, value)])), share, "{name}: {value}");
        }
        let twice = headers(&[("x-meshfence-load", "0.1"), ("x-meshfence-load", "0.9")]);
        assert_eq!(utilisation(&twice), None, "who says two things says nothing");
    }

    #[test]
    fn an_answer_tells_of_load_or_of_something_broken() {
        let served = Outcome::Served { latency_us: 3_000 };
        for (pairs, expected) in [
            (&[(":status", "200")][..], served),
            (&[(":status", "404")], served),
            (&[(":status", "500")], Outcome::Unknown),
            (&[(":status", "501")], Outcome::Unknown),
            (&[(":status", "502")], Outcome::Failed),
            (&[(":status", "503")], Outcome::Failed),
            (&[(":status", "504")], Outcome::Failed),
            (&[(":status", "200"), ("grpc-status", "14")], Outcome::Failed),
            (&[(":status", "200"), ("grpc-status", "13")], Outcome::Unknown),
            (&[(":status", "200"), ("grpc-status", "0")], served),
            (&[(":status", "200"), ("grpc-status", "5")], served),
            (&[], served),
        ] {
            assert_eq!(outcome(&headers(pairs), 3_000), expected, "{pairs:?}");
        }
    }
}
