//! What a corpus of cases has to show: the rows of the two tables that say what comes of a request.
//! A case names those it shows by `covers`.

/// Which table a row is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// What is answered when rules pull apart.
    Conflict,
    /// What a refused caller gets to see.
    Answer,
}

/// One row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Its name in `covers`.
    pub id: &'static str,
    /// The table.
    pub source: Source,
    /// What it says.
    pub says: &'static str,
}

macro_rules! rows {
    ($($source:ident { $($id:literal $says:literal)+ })+) => {
        /// Every row, each promise of one a row of its own.
        pub const ROWS: &[Row] =
            &[$($(Row { id: $id, source: Source::$source, says: $says },)+)+];
    };
}

rows! {
    Conflict {
        "no-region-up" "no allowed region is up: 503 home_unavailable, decided before fencing"
        "holder-elsewhere" "the holder is not among the allowed regions: 503 holder_not_permitted"
        "copied-elsewhere" "a class bound to one region in a context that is copied to both: a lint"
        "subject-needed" "no credentials where a subject is needed: 401 credentials_missing"
        "subject-without-country" "credentials without residency: onUnknownSubject"
        "not-the-subject" "subject self and the caller is no customer: 403 subject_unproven"
        "subject-of-resource" "subject self and the caller is no customer: the source `resource`"
        "sources-disagree" "sources that disagree: their intersection, or 403 subject_conflict"
        "claim-is-one-country" "a claim is one ISO 3166 code; anything else is unknown"
        "subject-by-class" "no `subject`: self for personal and payment data, optional otherwise"
        "subject-none" "subject none: only rules with subject none apply"
        "country-not-named" "a country without an entry: home \"*\" and subjectCountries \"*\""
        "class-without-rule" "no rule for the class: public is allowed, personal is denied"
        "redact-on-write" "redact on a write: deny"
        "reads-at-holder" "reads of a leased context with `reads: holder` run at the holder"
        "reads-local" "reads of a leased context with `reads: local` run here"
        "stale-reads" "local reads say x-meshfence-stale when maxLag is exceeded"
        "effect-of-match" "the effect of a match decides, else the method"
        "grpc-writes" "gRPC without a method list is a write"
        "unknown-method" "methods that nobody knows are refused"
        "health-paths" "health paths are exact, GET and HEAD"
        "preflight" "a CORS preflight skips residency and fencing"
        "stream-on-leased" "Upgrade, CONNECT and streams are refused on leased contexts"
        "stream-elsewhere" "elsewhere they are decided at the headers"
        "too-few-acks" "too few acknowledgements: the response passes with reason and metric"
        "key-again" "the same Idempotency-Key again is forwarded; quoted or not"
        "rule-in-shadow" "a rule in shadow is recorded and does nothing"
    }
    Answer {
        "residency-denied" "residency forbids, by policy: 403 residency_denied"
        "residency-denied-by-law" "residency forbids, by statute: 451 residency_denied_by_law"
        "unmatched-404" "no context matches: 404 unmatched"
        "unmatched-403" "no context matches, where configured: 403 unmatched"
        "malformed" "a header, path, method, token or key is malformed: 400"
        "home-unavailable" "no allowed region can be reached: 503 home_unavailable"
        "lease-unknown" "nobody can tell who holds the lease: 503 lease_unknown"
        "lease-vacant" "nobody holds the lease: 503 lease_vacant"
        "lease-draining" "the lease is being handed over: 503 lease_draining"
        "lease-frozen" "an operator stopped writes: 503 lease_frozen"
        "holder-unreachable" "the holder cannot be reached: 503 holder_unreachable"
        "wrong-region" "between regions, not the holder: 421 wrong_region"
        "fence-missing" "between regions, no token: 428 fence_missing"
        "fence-stale" "between regions, an older token: 412 fence_stale"
        "fence-ahead" "between regions, a newer token: 503 fence_ahead"
        "peer-refusal-translated" "a peer's 421, 412 or 428 is 503 with Retry-After at the entry"
        "peer-untrusted" "a peer that is no trusted region: 403 peer_untrusted"
        "idempotency-key-missing" "Idempotency-Key required and missing: 400"
        "loop" "a region twice, or too many: 508 loop"
        "deadline" "too little time left: 504 deadline"
        "shed-guard" "as much in flight as may be: 503 shed_guard, gRPC 8"
        "shed-429" "shed, where configured: 429"
        "shed-threshold" "not important enough: 503 shed_threshold"
        "redaction-impossible" "a response that cannot be redacted: 502 or a reset stream"
        "policy-unavailable" "no policy to judge by: 503 policy_unavailable"
        "route-needed" "a root that may not route: 503 route_needed"
        "grpc-status" "gRPC requests get the gRPC status"
    }
}

#[cfg(test)]
mod tests {
    use super::ROWS;
    use std::collections::BTreeSet;

    #[test]
    fn every_row_has_a_name_of_its_own() {
        let ids: BTreeSet<&str> = ROWS.iter().map(|row| row.id).collect();
        assert_eq!(ids.len(), ROWS.len());
        for row in ROWS {
            assert!(
                row.id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            );
            assert!(!row.says.ends_with('.'), "{}", row.id);
        }
    }
}
