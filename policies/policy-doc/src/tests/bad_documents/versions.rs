//! Policy sets that say of versions what cannot be.

use super::cases::Case;

pub(super) const VERSIONS: &[Case] = &[
    Case {
        name: "versions_that_mean_nothing",
        edits: &[
            ("fencing.yaml", "  etag: [profiles, reviews]", "  etag: [profiels, orders, reviews, reviews]"),
            ("fencing.yaml", "  causal: {lifetime: 1h}", "  causal: {lifetime: 2d}\n  conflicts: {window: 0s}\n  hints: tracestate\n  onLostUpdate: refuse\n  merge: {}"),
        ],
        extra: &[],
    },
    Case {
        name: "versions_without_what_they_need",
        edits: &[
            ("mesh.yaml", "  hmac: {keys: [{id: k1, env: MESHFENCE_HMAC_K1}], replayWindow: 30s}\n", ""),
            ("fencing.yaml", "  causal: {lifetime: 1h}", "  causal: {}\n  conflicts: {}"),
        ],
        extra: &[],
    },
    Case {
        name: "lost_updates_that_nobody_can_tell",
        edits: &[
            ("fencing.yaml", "  etag: [profiles, reviews]", "  onLostUpdate: deny"),
            ("fencing.yaml", "  causal: {lifetime: 1h}", "  causal: {lifetime: 999ms}\n  conflicts: {window: 61s}"),
        ],
        extra: &[],
    },
    Case {
        name: "etags_of_nothing",
        edits: &[("fencing.yaml", "  etag: [profiles, reviews]", "  etag: []")],
        extra: &[],
    },
    Case {
        name: "merges_that_cannot_be",
        edits: &[
            ("contexts.yaml", "      consistency: quorum        #", "      merge: {strategy: or-set}\n      consistency: quorum        #"),
            ("contexts.yaml", "      consistency: regional      #", "      merge: {strategy: last-write-wins, at: checkout}\n      consistency: regional      #"),
            ("contexts.yaml", "      consistency: replicated    #", "      merge: {at: checkout}\n      consistency: replicated    #"),
            ("contexts.yaml", "{strategy: or-set, at: checkout}", "{strategy: or-set, at: chekout}"),
            ("contexts.yaml", "{strategy: append-only}", "{strategy: append-only, at: checkout, regions: [tokyo]}"),
        ],
        extra: &[],
    },
    Case {
        name: "merges_of_one_request",
        edits: &[(
            "contexts.yaml",
            "      consistency: replicated    #",
            "      merge: {strategy: or-set, at: checkout}\n      consistency: replicated    #",
        )],
        extra: &[(
            "more.yaml",
            "\
apiVersion: meshfence.dev/v1alpha1
kind: Contexts
metadata: {name: more}
spec:
  contexts:
    - {name: wishes, match: [{name: buy, path: /wishes/buy}], consistency: regional, merge: {strategy: append-only}, dataClasses: [public]}
    - {name: gifts, match: [{name: wrap, path: /gifts}], consistency: regional, merge: {strategy: or-set, at: buy}, dataClasses: [public]}
    - {name: cards, match: [{name: wrap, path: /cards}], consistency: regional, merge: {strategy: or-set, at: wrap}, dataClasses: [public]}
",
        )],
    },
    Case {
        name: "a_merge_where_nothing_has_a_name",
        edits: &[("contexts.yaml", "{name: checkout, path: /api/v1/checkout, methods: [POST]}", "{path: /api/v1/checkout, methods: [POST]}")],
        extra: &[],
    },
];
