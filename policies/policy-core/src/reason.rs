//! What is done with a request, and why.

use core::fmt;

/// What is done with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// It runs here.
    Allow,
    /// It runs in another region.
    Route,
    /// It runs here, and what it answers is redacted.
    Redact,
    /// It may not run.
    Deny,
    /// It may not run now.
    Hold,
    /// It is not important enough to run now.
    Shed,
}

impl Verdict {
    /// Every verdict.
    pub const ALL: [Self; 6] =
        [Self::Allow, Self::Route, Self::Redact, Self::Deny, Self::Hold, Self::Shed];

    /// The word in metrics, logs and tests.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Route => "route",
            Self::Redact => "redact",
            Self::Deny => "deny",
            Self::Hold => "hold",
            Self::Shed => "shed",
        }
    }

    /// The verdict of this word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verdict| verdict.as_str() == text)
    }

    /// Whether the request goes on.
    pub const fn is_pass(self) -> bool {
        matches!(self, Self::Allow | Self::Route | Self::Redact)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

macro_rules! reasons {
    ($($(#[$meta:meta])* $variant:ident = $text:literal, $verdict:ident, $status:literal, $grpc:literal, $retry:literal;)+) => {
        /// Why a request got what it got: one string in metric, header, log, `explain` and test.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason { $($(#[$meta])* $variant,)+ }

        impl Reason {
            /// Every reason.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The string.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// The reason with this string.
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)+ _ => None }
            }

            /// What is done with a request for this reason.
            pub const fn verdict(self) -> Verdict {
                match self { $(Self::$variant => Verdict::$verdict,)+ }
            }

            /// The HTTP status of a refusal for this reason, unless the policy says otherwise;
            /// 200 for reasons that refuse nothing.
            pub const fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)+ }
            }

            /// The gRPC status code that stands for it.
            pub const fn grpc_status(self) -> u8 {
                match self { $(Self::$variant => $grpc,)+ }
            }

            /// The shortest `Retry-After` in seconds; 0 where repeating the request is no use.
            pub const fn retry_after_s(self) -> u32 {
                match self { $(Self::$variant => $retry,)+ }
            }
        }
    };
}

reasons! {
    /// Allowed here.
    Allowed = "allowed", Allow, 200, 0, 0;
    /// A health path.
    HealthCheck = "health_check", Allow, 200, 0, 0;
    /// A CORS preflight.
    Preflight = "preflight", Allow, 200, 0, 0;
    /// Sent to an allowed region, the subject's home where that is one.
    RoutedResidency = "routed_residency", Route, 200, 0, 0;
    /// Sent to the subject's home although it could run here.
    RoutedHome = "routed_home", Route, 200, 0, 0;
    /// Sent where a share of its region's users is served.
    RoutedMigration = "routed_migration", Route, 200, 0, 0;
    /// Sent where copies are not too far behind, as they are here.
    RoutedLag = "routed_lag", Route, 200, 0, 0;
    /// Sent to a region that has less to do.
    RoutedSpill = "routed_spill", Route, 200, 0, 0;
    /// Sent to the holder of the lease.
    RoutedHolder = "routed_holder", Route, 200, 0, 0;
    /// It has run, and fewer regions have acknowledged it than it needs.
    AcksMissing = "acks_missing", Allow, 200, 0, 0;
    /// It has run, and its lease was granted anew meanwhile.
    ChangedInflight = "changed_inflight", Allow, 200, 0, 0;
    /// Answered here in a form that a residency rule has redacted.
    Redacted = "redacted", Redact, 200, 0, 0;
    /// A header, path, method, token or key is not well formed.
    Malformed = "malformed", Deny, 400, 3, 0;
    /// Already passed through this region, or through too many.
    Loop = "loop", Deny, 508, 13, 0;
    /// No context matches.
    Unmatched = "unmatched", Deny, 404, 5, 0;
    /// Too little time is left.
    Deadline = "deadline", Deny, 504, 4, 0;
    /// Credentials are needed.
    CredentialsMissing = "credentials_missing", Deny, 401, 16, 0;
    /// The credentials do not say where the subject resides.
    SubjectUnknown = "subject_unknown", Deny, 403, 7, 0;
    /// The caller is not the subject.
    SubjectUnproven = "subject_unproven", Deny, 403, 7, 0;
    /// A residency rule forbids it.
    ResidencyDenied = "residency_denied", Deny, 403, 7, 0;
    /// A residency rule forbids it by a statute, and says so.
    ResidencyDeniedByLaw = "residency_denied_by_law", Deny, 451, 7, 0;
    /// What is known of the subject from several sources leaves no region.
    SubjectConflict = "subject_conflict", Deny, 403, 7, 0;
    /// The response should be redacted and cannot be.
    RedactionImpossible = "redaction_impossible", Deny, 502, 13, 0;
    /// No allowed region is up, or it cannot be reached.
    HomeUnavailable = "home_unavailable", Hold, 503, 14, 2;
    /// A leased write needs an `Idempotency-Key`.
    IdempotencyKeyMissing = "idempotency_key_missing", Deny, 400, 3, 0;
    /// Upgrade, CONNECT or a stream on a leased context.
    StreamRefused = "stream_refused", Deny, 403, 7, 0;
    /// Nobody can tell who holds the lease.
    LeaseUnknown = "lease_unknown", Hold, 503, 14, 2;
    /// Nobody holds the lease.
    LeaseVacant = "lease_vacant", Hold, 503, 14, 2;
    /// The lease is being handed over.
    LeaseDraining = "lease_draining", Hold, 503, 14, 2;
    /// An operator stopped writes.
    LeaseFrozen = "lease_frozen", Hold, 503, 14, 2;
    /// The holder of the lease cannot be reached.
    HolderUnreachable = "holder_unreachable", Hold, 503, 14, 2;
    /// The holder of the lease may not have this data.
    HolderNotPermitted = "holder_not_permitted", Hold, 503, 14, 2;
    /// The receiving region does not hold the lease, by its own view or by the token.
    WrongRegion = "wrong_region", Deny, 421, 9, 0;
    /// A leased write from another region without a token for its lease.
    FenceMissing = "fence_missing", Deny, 428, 9, 0;
    /// The token is older than the lease.
    FenceStale = "fence_stale", Deny, 412, 9, 0;
    /// The token is newer than what this region knows of the lease.
    FenceAhead = "fence_ahead", Hold, 503, 14, 1;
    /// A peer that is no trusted region.
    PeerUntrusted = "peer_untrusted", Deny, 403, 7, 0;
    /// This worker has as much in flight as it may.
    ShedGuard = "shed_guard", Shed, 503, 8, 1;
    /// Work of its priority, of this part of its callers, is let go for now.
    ShedThreshold = "shed_threshold", Shed, 503, 8, 1;
    /// It is one try too many while work is let go.
    ShedRetry = "shed_retry", Shed, 503, 8, 1;
    /// The clock is too far off to order a write.
    ClockUnsynced = "clock_unsynced", Hold, 503, 14, 2;
    /// It would certainly overwrite what its writer has not seen.
    LostUpdate = "lost_update", Deny, 412, 10, 0;
    /// The proxy did not do what it was told to.
    HostFailure = "host_failure", Hold, 503, 14, 2;
    /// There is no policy to judge by.
    PolicyUnavailable = "policy_unavailable", Hold, 503, 14, 2;
}

impl Reason {
    /// Whether it is said of a response that goes on: its request has run, so nothing is refused.
    pub const fn is_remark(self) -> bool {
        matches!(self, Self::AcksMissing | Self::ChangedInflight)
    }

    /// Whether a refusal is between regions alone: whoever sent the request there answers for it.
    pub const fn is_between_regions(self) -> bool {
        matches!(self, Self::WrongRegion | Self::FenceMissing | Self::FenceStale)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
