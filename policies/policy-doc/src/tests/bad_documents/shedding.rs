//! Policy sets that say of load what cannot be.

use super::cases::Case;

const CONCURRENCY: &str = "  concurrency: {default: 64, reviews: 4}\n";
const LATENCY: &str = "  latency: {default: auto, payments: 300ms, reviews: fixed}\n";
const COHORT: &str = "  cohort: [jwtSubject, clientAddress]\n";
const RETRIES: &str = "  retries: {budget: 10, floor: 3}\n";

pub(super) const SHEDDING: &[Case] = &[
    Case {
        name: "load_that_means_nothing",
        edits: &[
            (
                "fencing.yaml",
                "  status: 503\n",
                "  status: 500\n  neverShed: [catalogue, carts, carts, profiels]\n  priorityHeader: yes\n  brownout: shadow\n  killSwitch: {}\n",
            ),
            (
                "fencing.yaml",
                CONCURRENCY,
                "  concurrency: {default: 64, reviews: 10001, review: 4}\n",
            ),
            (
                "fencing.yaml",
                LATENCY,
                "  latency: {default: measured, payment: 300ms, reviews: 300, carts: off, profiles: 61s, accounts: 0s, catalog: [auto]}\n",
            ),
            ("fencing.yaml", COHORT, "  cohort: [jwtSubject, cookie, jwtSubject, clientAdress]\n"),
            ("fencing.yaml", RETRIES, "  retries: {budget: 101, floor: 1/s, ceiling: 5}\n"),
        ],
        extra: &[],
    },
    Case {
        name: "load_of_nothing",
        edits: &[
            ("fencing.yaml", "  status: 503\n", "  neverShed: []\n"),
            ("fencing.yaml", CONCURRENCY, "  concurrency: {}\n"),
            ("fencing.yaml", LATENCY, "  latency: {}\n"),
            ("fencing.yaml", COHORT, "  cohort: []\n"),
            ("fencing.yaml", RETRIES, "  retries: {}\n"),
        ],
        extra: &[],
    },
    Case {
        name: "limits_that_nobody_says",
        edits: &[
            ("fencing.yaml", CONCURRENCY, "  concurrency: {payments: 10}\n"),
            (
                "fencing.yaml",
                LATENCY,
                "  latency: {payments: 300ms, carts: auto, reviews: fixed, profiles: fixed}\n",
            ),
        ],
        extra: &[],
    },
    Case {
        name: "how_limits_follow_that_do_not",
        edits: &[
            ("fencing.yaml", LATENCY, "  latency: {reviews: fixed}\n"),
            ("fencing.yaml", "  status: 503\n", "  status: 503\n  brownout: enforce\n"),
        ],
        extra: &[],
    },
    Case {
        name: "no_limit_at_all",
        edits: &[
            ("fencing.yaml", CONCURRENCY, ""),
            ("fencing.yaml", LATENCY, ""),
            (
                "fencing.yaml",
                "  shedAt: edge\n  status: 503",
                "  shedAt: everywhere\n  status: 503",
            ),
        ],
        extra: &[],
    },
    Case {
        name: "limits_that_are_misspelt",
        edits: &[
            ("fencing.yaml", CONCURRENCY, "  concurency: {default: 64, reviews: 4}\n"),
            ("fencing.yaml", LATENCY, "  latency: {default: fixed, reviews: fixed}\n"),
        ],
        extra: &[],
    },
    Case {
        name: "pools_of_what_is_never_shed",
        edits: &[(
            "fencing.yaml",
            LATENCY,
            "  latency: {default: auto, payments: 300ms, reviews: fixed}\n  neverShed: [payments, carts, reviews, default]\n",
        )],
        extra: &[],
    },
    Case {
        name: "deadlines_that_nobody_can_meet",
        edits: &[
            (
                "contexts.yaml",
                "      consistency: quorum        #",
                "      deadline: {max: 100ms, min: 86ms}\n      consistency: quorum        #",
            ),
            (
                "contexts.yaml",
                "      consistency: locked        #",
                "      deadline: {max: 2h, min: 5}\n      consistency: locked        #",
            ),
            (
                "contexts.yaml",
                "      consistency: regional      #",
                "      deadline: {}\n      consistency: regional      #",
            ),
            (
                "contexts.yaml",
                "      consistency: replicated    #",
                "      deadline: 3s\n      consistency: replicated    #",
            ),
            (
                "contexts.yaml",
                "{strategy: append-only}",
                "{strategy: append-only}\n      deadline: {timeout: 3s}",
            ),
        ],
        extra: &[],
    },
];
