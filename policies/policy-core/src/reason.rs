//! Why a request got what it got.

use core::fmt;

macro_rules! reasons {
    ($($(#[$meta:meta])* $variant:ident = $text:literal, $status:literal, $grpc:literal, $retry:literal;)+) => {
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
    Allowed = "allowed", 200, 0, 0;
    /// A health path.
    HealthCheck = "health_check", 200, 0, 0;
    /// A CORS preflight.
    Preflight = "preflight", 200, 0, 0;
    /// Sent to an allowed region, the subject's home where that is one.
    RoutedResidency = "routed_residency", 200, 0, 0;
    /// Sent to the holder of the lease.
    RoutedHolder = "routed_holder", 200, 0, 0;
    /// A header, path, method, token or key is not well formed.
    Malformed = "malformed", 400, 3, 0;
    /// Already passed through this region, or through too many.
    Loop = "loop", 508, 13, 0;
    /// No context matches.
    Unmatched = "unmatched", 404, 5, 0;
    /// Too little time is left.
    Deadline = "deadline", 504, 4, 0;
    /// Credentials are needed.
    CredentialsMissing = "credentials_missing", 401, 16, 0;
    /// The credentials do not say where the subject resides.
    SubjectUnknown = "subject_unknown", 403, 7, 0;
    /// The caller is not the subject.
    SubjectUnproven = "subject_unproven", 403, 7, 0;
    /// A residency rule forbids it.
    ResidencyDenied = "residency_denied", 403, 7, 0;
    /// No allowed region is up, or it cannot be reached.
    HomeUnavailable = "home_unavailable", 503, 14, 2;
    /// A leased write needs an `Idempotency-Key`.
    IdempotencyKeyMissing = "idempotency_key_missing", 400, 3, 0;
    /// Upgrade, CONNECT or a stream on a leased context.
    StreamRefused = "stream_refused", 403, 7, 0;
    /// Nobody can tell who holds the lease.
    LeaseUnknown = "lease_unknown", 503, 14, 2;
    /// Nobody holds the lease.
    LeaseVacant = "lease_vacant", 503, 14, 2;
    /// The lease is being handed over.
    LeaseDraining = "lease_draining", 503, 14, 2;
    /// An operator stopped writes.
    LeaseFrozen = "lease_frozen", 503, 14, 2;
    /// The holder of the lease cannot be reached.
    HolderUnreachable = "holder_unreachable", 503, 14, 2;
    /// The holder of the lease may not have this data.
    HolderNotPermitted = "holder_not_permitted", 503, 14, 2;
    /// This worker has as much in flight as it may.
    ShedGuard = "shed_guard", 503, 8, 1;
    /// The clock is too far off to order a write.
    ClockUnsynced = "clock_unsynced", 503, 14, 2;
    /// The proxy did not do what it was told to.
    HostFailure = "host_failure", 503, 14, 2;
    /// There is no policy to judge by.
    PolicyUnavailable = "policy_unavailable", 503, 14, 2;
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
