//! Policy sets with something wrong in them.

use super::documents::{CALLERS, CARRIED, LATER, MATRICES, MISTAKES, REGIONS, SECOND};

/// The example without its tests, changed.
pub(super) struct Case {
    pub(super) name: &'static str,
    /// File, text, what to put there instead.
    pub(super) edits: &'static [(&'static str, &'static str, &'static str)],
    /// Further files.
    pub(super) extra: &'static [(&'static str, &'static str)],
}

pub(super) const CASES: &[Case] = &[
    Case {
        name: "broken_yaml",
        edits: &[
            ("mesh.yaml", "hosts: [api.ecommerce-platform.com]", "hosts: [api.ecommerce-platform.com"),
            ("topology.yaml", "    - name: tokyo\n", "   - name: tokyo\n"),
        ],
        extra: &[("more.yaml", "a: b: c\n"), ("tab.yaml", "a:\n\t- b\n"), ("quote.yaml", "a: \"b\n")],
    },
    Case {
        name: "features_of_yaml_that_are_refused",
        edits: &[],
        extra: &[(
            "more.yaml",
            "\
apiVersion: meshfence.dev/v1alpha1
kind: Contexts
metadata: {name: more}
spec:
  contexts:
    - &base
      name: wishes
      match: [{path: !!str /wishes}]
      consistency: &c regional
      dataClasses: [public]
    - <<: *base
      name: gifts
      match: [{path: /gifts}]
      consistency: *c
      dataClasses: [public]
    - {name: cards, ? [a, b] : c, match: [{path: /cards}], consistency: regional, dataClasses: [public]}
",
        )],
    },
    Case {
        name: "keys_twice",
        edits: &[
            ("residency.yaml", "home: {TW: taiwan,", "home: {TW: taiwan, TW: tokyo,"),
            ("fencing.yaml", "  clock:\n", "  mode: disabled\n  clock:\n"),
        ],
        extra: &[],
    },
    Case {
        name: "too_deep",
        edits: &[],
        extra: &[("deep.yaml", "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]\n")],
    },
    Case {
        name: "shapes",
        edits: &[
            ("topology.yaml", "metadata: {name: tpe-tokyo}", "metadata: tpe-tokyo"),
            ("mesh.yaml", "hosts: [api.ecommerce-platform.com]", "hosts: api.ecommerce-platform.com"),
            ("residency.yaml", "home: {TW: taiwan, JP: tokyo, KR: tokyo, AU: tokyo, NZ: tokyo, eea: tokyo, \"*\": taiwan}", "home: [taiwan]"),
            ("contexts.yaml", "      consistency: quorum  ", "      consistency: [quorum]"),
            ("fencing.yaml", "  initialHolders: {inventory: taiwan}", "  initialHolders: {inventory: {region: taiwan}}"),
        ],
        extra: &[("list.yaml", "- a\n- b\n"), ("word.yaml", "word\n")],
    },
    Case {
        name: "what_yaml_takes_for_something_else",
        edits: &[
            ("residency.yaml", "\"NO\"", "NO"),
            ("residency.yaml", "home: {TW", "home: {no: tokyo, TW"),
            ("residency.yaml", "claim: residency", "claim: on"),
            ("mesh.yaml", "audiences: [shop]", "audiences: [42, ~, y]"),
            ("mesh.yaml", "jwksUri: https://id.shop.example/jwks", "jwksUri:"),
            ("topology.yaml", "cloudRegion: ap-east-2", "cloudRegion: 1e3"),
        ],
        extra: &[],
    },
    Case {
        name: "empty",
        edits: &[
            ("mesh.yaml", "hosts: [api.ecommerce-platform.com]", "hosts: []"),
            ("mesh.yaml", "issuer: https://id.shop.example\n", "issuer: \"\"\n"),
            ("contexts.yaml", "methods: [GetStock]", "methods: []"),
            ("contexts.yaml", "match: [{path: \"/api/v1/products/**\"}]", "match: []"),
            ("residency.yaml", "countryGroups:\n    eea: [AT,", "countryGroups:\n    none: {}\n    eea: [AT,"),
            ("residency.yaml", "when: {dataClasses: [personal, payment], subject: none}", "when: {}"),
            ("fencing.yaml", "{inventory: taiwan}", "{}"),
        ],
        extra: &[],
    },
    Case {
        name: "missing_keys",
        edits: &[
            ("topology.yaml", "      code: tyo\n", ""),
            ("topology.yaml", "apiVersion: meshfence.dev/v1alpha1\n", ""),
            ("mesh.yaml", "      audiences: [shop]\n", ""),
            ("contexts.yaml", "      consistency: synchronous   # every region acknowledges; no proxy retries it\n", ""),
            ("contexts.yaml", "- {name: checkout, path: /api/v1/checkout, methods: [POST]}", "- {name: checkout, methods: [POST]}"),
            ("contexts.yaml", "shard: {by: path, variable: shard}", "shard: {by: path}"),
            ("residency.yaml", "      when: {dataClasses: [personal, payment], subjectCountries: [JP]}\n", ""),
            ("residency.yaml", "fallback: {regions: [tokyo], situations: [failover, drill]}", "fallback: {regions: [tokyo]}"),
            ("fencing.yaml", "  mode: enforce\n  clock", "  clock"),
        ],
        extra: &[],
    },
    Case {
        name: "unknown_keys",
        edits: &[
            ("contexts.yaml", "      priority: critical\n    - name: payments\n", "      prority: critical\n    - name: payments\n"),
            ("contexts.yaml", "dataClasses: [internal]", "dataclasses: [internal]"),
            ("residency.yaml", "  onUnknownSubject: deny  ", "  onUnknown: deny  "),
            ("topology.yaml", "spec:\n", "zone: x\nspec:\n"),
            ("mesh.yaml", "health: {paths: [/health, /ready]}", "health: {path: [/health, /ready]}"),
        ],
        extra: &[],
    },
    Case {
        name: "not_supported_yet",
        edits: &[
            ("contexts.yaml", "      reads: local  ", "      redact: []\n      reads: local  "),
            ("residency.yaml", "mode: enforce   ", "mode: shadow    "),
            ("residency.yaml", "otherwise: route           #", "otherwise: redact          #"),
            ("residency.yaml", "- jwtClaim: {issuer: shop, claim: residency}", "- jwtClaim: {issuer: shop, claim: residency}\n    - peer: {}"),
            ("fencing.yaml", "shedAt: edge", "shedAt: inbound"),
        ],
        extra: &[],
    },
    Case {
        name: "residency_in_full",
        edits: &[
            ("residency.yaml", "mode: enforce   ", "modeUntil: 2027-01-31\n  mode: enforce   "),
            ("residency.yaml", "  onUnknownSubject: deny  ", "  steering: homeward\n  transferBases:\n    - {name: adequacy, kind: adequate, evidence: EC-2019-1}\n    - {name: consent, kind: consent, evidence: F7, expires: 31.1.2027, claim: {issuer: shopp, claim: consent, value: granted}}\n    - {name: consent, kind: consent, evidence: F8}\n  exceptions:\n    - {id: too-long, approver: dpo, reason: audit, when: {dataClasses: [personal]}, regions: [taiwan], notBefore: 2026-11-01, expires: 2026-12-02}\n    - {id: backwards, approver: dpo, reason: audit, when: {dataClasses: [personal]}, regions: [osaka], notBefore: 2026-11-01, expires: 2026-10-01}\n    - {id: endless, approver: dpo, reason: audit, when: {dataClasses: [personal]}, regions: [taiwan], notBefore: 2026-11-01}\n  onUnknownSubject: {behavioural: strictest, personal: entry-region}  "),
            ("residency.yaml", "      regions: [tokyo]\n      otherwise: route           #", "      regions: [tokyo]\n      deniedRegions: [taiwan, \"*\"]\n      otherwise: redact          #"),
            ("residency.yaml", "    - name: europe-in-tokyo-by-adequacy\n", "    - name: europe-in-tokyo-by-adequacy\n      transferBasis: adequacie\n      blockedBy: ftp://shop.example\n      mode: shadow\n      enforcePercent: 50\n      effectiveFrom: tomorrow\n"),
            ("residency.yaml", "subjectCountries: [TW]}", "subjectCountries: [TW], purposes: [marketing], contexts: [order], operations: [reed], principalKinds: [human], entryRegions: [osaka], situations: [normal]}"),
            ("residency.yaml", "    - name: no-subject-yet\n", "    - name: no-subject-yet\n      otherwise: redact\n      redact: abroad\n"),
            ("residency.yaml", "    - name: others-in-both\n", "    - name: others-in-both\n      mode: disabled\n      redact: minimal\n      blockedBy: https://shop.example/legal\n"),
        ],
        extra: &[],
    },
    Case {
        name: "a_rule_that_nothing_meets",
        edits: &[
            ("contexts.yaml", "    - name: reviews\n", "    - name: reviews\n      purpose: marketing\n"),
            ("residency.yaml", "subjectCountries: [TW]}", "subjectCountries: [TW], contexts: [profiles], purposes: [marketing]}"),
        ],
        extra: &[],
    },
    Case {
        name: "staged_without_a_key",
        edits: &[
            ("mesh.yaml", "  hmac: {keys: [{id: k1, env: MESHFENCE_HMAC_K1}], replayWindow: 30s}\n", ""),
            ("residency.yaml", "    - name: others-in-both\n", "    - name: others-in-both\n      enforcePercent: 10\n"),
        ],
        extra: &[],
    },
    Case {
        name: "redaction_profiles",
        edits: &[(
            "residency.yaml",
            "onUnknownSubject: deny  ",
            "\
redaction: {maxBodyBytes: 100}
  redactionProfiles:
    - name: abroad
      fields:
        - {path: /customer/*/email, action: mask}
        - {path: \"/customer/*/email\", action: drop}
        - {path: customer, action: mask}
        - {path: /customer/**, action: mask}
        - {path: /a~2, action: mask}
        - {path: /a*, action: mask}
        - {path: /b, action: masked}
        - {path: /c, action: truncate}
        - {path: /d, action: truncate, keep: 0}
        - {path: /e, action: hash, keep: 1}
        - {path: /f, actoin: hash}
        - {path: \"\", action: drop}
      headers: [set-cookie, set-cookie, Set-Cookie, content-type, \"x-*\", \":status\"]
    - name: abroad
      headers: [x-user]
    - name: Nothing
    - {fields: []}
  onUnknownSubject: deny  ",
        )],
        extra: &[],
    },
    Case {
        name: "heads",
        edits: &[
            ("topology.yaml", "apiVersion: meshfence.dev/v1alpha1", "apiVersion: meshfence.dev/v1"),
            ("mesh.yaml", "kind: Mesh", "kind: mesh"),
            ("residency.yaml", "metadata: {name: tpe-tokyo}", "metadata: {name: TPE Tokyo, labels: {a: b}}"),
            ("fencing.yaml", "kind: Versioning", "kind: Versions"),
        ],
        extra: &[],
    },
    Case {
        name: "unknown_words",
        edits: &[
            ("contexts.yaml", "consistency: quorum ", "consistency: quorom "),
            ("contexts.yaml", "methods: [POST]}\n      consistency", "methods: [post, FETCH]}\n      consistency"),
            ("contexts.yaml", "priority: low", "priority: P3"),
            ("contexts.yaml", "dataClasses: [behavioural]", "dataClasses: [behavioral]"),
            ("contexts.yaml", "action: deny", "action: allow"),
            ("contexts.yaml", "shard: {by: path, variable: shard}", "shard: {by: hash}"),
            ("residency.yaml", "situations: [failover, drill]", "situations: [fail-over]"),
            ("residency.yaml", "onUnknownSubject: deny", "onUnknownSubject: allow"),
            ("fencing.yaml", "onDrift: tag ", "onDrift: ignore "),
        ],
        extra: &[],
    },
    Case {
        name: "malformed_values",
        edits: &[
            ("topology.yaml", "- name: taiwan  ", "- name: Taiwan_1"),
            ("topology.yaml", "code: tyo", "code: TYO"),
            ("mesh.yaml", "[api.ecommerce-platform.com]", "[\"api.ecommerce-platform.com:443\", \"*.shop.example\", \"https://shop.example/\"]"),
            ("mesh.yaml", "jwksUri: https://", "jwksUri: http://"),
            ("mesh.yaml", "[/health, /ready]", "[health, /ready/**, /a/../b, /a%62]"),
            ("contexts.yaml", "path: /api/v1/orders/**", "path: /api/**/orders"),
            ("contexts.yaml", "path: /api/v1/payments/**", "path: /api/v1/pay*"),
            ("contexts.yaml", "path: /api/v1/inventory/**", "path: /api/v1/inventory%2f/**"),
            ("contexts.yaml", "path: \"/api/v1/products/**\"", "path: \"/api//products/{Id}\""),
            ("contexts.yaml", "{service: shop.inventory.v1.Inventory, methods: [GetStock]}", "{service: /shop/Inventory, methods: [GetStock]}"),
            ("contexts.yaml", "{service: shop.inventory.v1.Inventory}", "{service: shop.inventory.v1.Inventory, methods: [get-stock]}"),
            ("contexts.yaml", "- name: accounts", "- name: default"),
        ],
        extra: &[],
    },
    Case {
        name: "durations",
        edits: &[("fencing.yaml", "maxDrift: 500ms", "maxDrift: 500  ")],
        extra: &[],
    },
    Case {
        name: "durations_of_another_form",
        edits: &[("fencing.yaml", "maxDrift: 500ms", "maxDrift: 0.5s ")],
        extra: &[],
    },
    Case {
        name: "durations_out_of_range",
        edits: &[("fencing.yaml", "maxDrift: 500ms", "maxDrift: 1h1s ")],
        extra: &[],
    },
    Case {
        name: "agents",
        edits: &[
            ("mesh.yaml", "agent: http://region-agent.meshfence:7070", "agent: region-agent.meshfence:7070"),
            ("mesh.yaml", "agent: http://region-agent.meshfence:7070", "agnt: http://region-agent.meshfence:7070/v1"),
            ("mesh.yaml", "spiffe://tokyo.shop/ns/shop/sa/reviews\n", "spiffe://tokyo.shop/ns/shop/sa/reviews\n      agent: http://region-agent.meshfence:7070/v1\n"),
        ],
        extra: &[],
    },
    Case {
        name: "times_of_leases",
        edits: &[
            ("fencing.yaml", "ttl: 15s  ", "ttl: 6s  "),
            ("fencing.yaml", "renew: 5s", "renew: 2500ms"),
            ("fencing.yaml", "poll: 1s ", "pol: 1s "),
            ("fencing.yaml", "{interval: 30s, failures: 3}", "{interval: 30, failures: 0, paths: [/health]}"),
            ("fencing.yaml", "{minHold: 60s, maxPerHour: 4, maxOverride: 4h}", "{minHold: 25h, maxPerHour: \"4\", maxOverride: 4d, min_hold: 60s}"),
        ],
        extra: &[],
    },
    Case {
        name: "numbers",
        edits: &[
            ("contexts.yaml", "status: 404", "status: 418"),
            ("fencing.yaml", "status: 503", "status: \"503\""),
            ("fencing.yaml", "{default: 64, reviews: 4}", "{default: 0, reviews: 20000, carts: 1.5, catalog: many}"),
        ],
        extra: &[],
    },
    Case {
        name: "keys_that_exclude_each_other",
        edits: &[
            ("contexts.yaml", "- path: /api/v1/inventory/**", "- {path: /api/v1/inventory/**, grpc: {service: a.B}}"),
            ("contexts.yaml", "methods: [GetStock]}, effect: read}", "methods: [GetStock]}, methods: [POST], effect: none}"),
            ("contexts.yaml", "shard: {by: residency}\n      dataClasses: [personal, payment]", "shard: {by: residency, variable: customer}\n      dataClasses: [personal, payment]"),
        ],
        extra: &[],
    },
    Case { name: "second_documents", edits: &[], extra: &[("zz.yaml", SECOND)] },
    Case {
        name: "names_twice",
        edits: &[
            ("topology.yaml", "- name: tokyo\n      code: tyo", "- name: taiwan\n      code: tpe"),
            ("mesh.yaml", "[api.ecommerce-platform.com]", "[api.ecommerce-platform.com, API.ecommerce-platform.com]"),
            ("contexts.yaml", "- name: payments", "- name: orders"),
            ("residency.yaml", "[AT, BE,", "[AT, AT, BE,"),
            ("residency.yaml", "NZ: tokyo,", "NZ: tokyo, FR: taiwan,"),
            ("residency.yaml", "subjectCountries: [eea]", "subjectCountries: [eea, SE]"),
            ("residency.yaml", "- name: no-subject-yet", "- name: others-in-both"),
        ],
        extra: &[],
    },
    Case {
        name: "unknown_names",
        edits: &[
            ("residency.yaml", "JP: tokyo,", "jp: tokio,"),
            ("residency.yaml", "[AT, BE,", "[AT, BE, UK,"),
            ("residency.yaml", "subjectCountries: [eea]", "subjectCountries: [eu]"),
            ("residency.yaml", "issuer: shop", "issuer: shopp"),
            ("topology.yaml", "jurisdiction: JP", "jurisdiction: Japan"),
            ("fencing.yaml", "{inventory: taiwan}", "{inventry: taiwan, inventory: osaka}"),
            ("fencing.yaml", "reviews: 4", "review: 4"),
            ("contexts.yaml", "lease: payments ", "lease: payment  "),
        ],
        extra: &[],
    },
    Case {
        name: "a_test_with_mistakes",
        edits: &[],
        extra: &[("tests/mistakes.yaml", MISTAKES)],
    },
    Case {
        name: "a_test_that_is_not_supported_yet",
        edits: &[],
        extra: &[("tests/later.yaml", LATER)],
    },
    Case {
        name: "what_regions_cannot_be",
        edits: &[
            ("contexts.yaml", "      consistency: regional      #", "      maxLag: 5s\n      consistency: regional      #"),
            ("contexts.yaml", "      reads: holder              #", "      maxLag: 5s\n      reads: holder              #"),
            ("contexts.yaml", "      reads: local  ", "      maxLag: 2d\n      reads: local  "),
            ("fencing.yaml", "  shedAt: edge\n", "  shedAt: edge\n  spill: {over: 85, margin: 0}\n"),
        ],
        extra: &[("tests/regions.yaml", REGIONS)],
    },
    Case {
        name: "acknowledgements",
        edits: &[
            ("contexts.yaml", "      consistency: quorum        #", "      acks: {required: 2, whenPeerDown: 3}\n      consistency: quorum        #"),
            ("contexts.yaml", "      consistency: locked        #", "      acks: {required: 2}\n      consistency: locked        #"),
            ("contexts.yaml", "      consistency: regional      #", "      acks: {required: 2}\n      consistency: regional      #"),
            ("fencing.yaml", "  initialHolders: {inventory: taiwan}\n", "  initialHolders: {inventory: taiwan}\n  reroute: twice\n"),
        ],
        extra: &[],
    },
    Case {
        name: "more_acknowledgements_than_regions",
        edits: &[("contexts.yaml", "      consistency: quorum        #", "      acks: {required: 3}\n      consistency: quorum        #")],
        extra: &[],
    },
    Case {
        name: "callers_at_the_wrong_door",
        edits: &[],
        extra: &[("tests/callers.yaml", CALLERS)],
    },
    Case {
        name: "requests_that_nobody_counts",
        edits: &[(
            "mesh.yaml",
            "    - {role: peer, namespace: gateways, targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: peer}]}\n",
            "",
        )],
        extra: &[],
    },
    Case {
        name: "requests_that_nobody_counts_inbound",
        edits: &[
            ("mesh.yaml", "    - {role: inbound, namespace: shop, selector: {matchLabels: {meshfence.dev/inbound: \"true\"}}}\n", ""),
            ("fencing.yaml", "shedAt: edge", "shedAt: inbound"),
        ],
        extra: &[],
    },
    Case {
        name: "matrices",
        edits: &[],
        extra: &[("tests/matrices.yaml", MATRICES)],
    },
    Case {
        name: "what_a_client_carries_of_versions",
        edits: &[],
        extra: &[("tests/carried.yaml", CARRIED)],
    },
    Case {
        name: "residency_disabled",
        edits: &[("residency.yaml", "mode: enforce ", "mode: disabled ")],
        extra: &[],
    },
    Case {
        name: "fencing_disabled",
        edits: &[("fencing.yaml", "  mode: enforce\n  # Where", "  mode: disabled\n  # Where")],
        extra: &[],
    },
    Case {
        name: "settings_of_leased_contexts",
        edits: &[(
            "contexts.yaml",
            "      subject: optional  ",
            "      shard: {by: residency}\n      reads: holder\n      idempotencyKey: require\n      lease: orders\n      subject: optional  ",
        )],
        extra: &[],
    },
    Case {
        name: "leases_that_cannot_be_shared",
        edits: &[(
            "contexts.yaml",
            "    - name: accounts\n",
            "    - {name: a, match: [{path: /a}], consistency: locked, lease: carts, dataClasses: [public]}
    - {name: b, match: [{path: /b}], consistency: locked, lease: b, dataClasses: [public]}
    - {name: c, match: [{path: /c}], consistency: locked, lease: payment-webhooks, dataClasses: [public]}
    - {name: d, match: [{path: /d}], consistency: locked, lease: payments, dataClasses: [public]}
    - {name: e, match: [{path: \"/e/{s}\"}], consistency: locked, shard: {by: path, variable: s}, dataClasses: [public]}
    - name: accounts\n",
        )],
        extra: &[],
    },
    Case {
        name: "shards",
        edits: &[
            ("contexts.yaml", "webhooks/payments/{shard}", "webhooks/payments/{part}"),
            ("contexts.yaml", "      subject: self              # the data", "      subject: optional          # the data"),
        ],
        extra: &[],
    },
    Case {
        name: "ambiguous_matches",
        edits: &[
            ("contexts.yaml", "\"/api/v1/products/**\"", "\"/api/{version}/products\""),
            ("contexts.yaml", "\"/api/v1/reviews/**\"", "\"/api/v1/{thing}\""),
            ("contexts.yaml", "\"/api/v1/carts/**\"", "\"/api/v1/orders/**\""),
        ],
        extra: &[],
    },
    Case {
        name: "initial_holders",
        edits: &[("fencing.yaml", "{inventory: taiwan}", "{orders: taiwan, payment-webhooks: tokyo, carts: tokyo}")],
        extra: &[],
    },
    Case {
        name: "a_static_state_to_deploy",
        edits: &[("fencing.yaml", "{inventory: taiwan}\n", "{inventory: taiwan}\n  static: {leases: {inventori: {holder: taiwan}}}\n")],
        extra: &[],
    },
    Case {
        name: "fallbacks",
        edits: &[("residency.yaml", "fallback: {regions: [tokyo], situations: [failover, drill]}", "fallback: {regions: [taiwan, tokyo], situations: [normal, failover]}")],
        extra: &[],
    },
    Case {
        name: "no_subject_source",
        edits: &[("residency.yaml", "  subjectSources:\n    - jwtClaim: {issuer: shop, claim: residency}\n", "")],
        extra: &[],
    },
    Case {
        name: "subject_sources",
        edits: &[
            (
                "residency.yaml",
                "    - jwtClaim: {issuer: shop, claim: residency}\n",
                "    - jwtClaim: {issuer: shop, claim: residency}
    - jwtClaim: {issuer: shop, claim: country}
    - session: {maxAge: 10s}
    - session: {maxAge: 1h}
    - session: {}
    - resource: {variable: custommer, map: partners}
    - {tenantMap: {map: partner}, resource: {variable: customer, map: partners}}
    - {}
  clientCountry: {header: Authorization}
",
            ),
            ("mesh.yaml", "  hmac: {keys: [{id: k1, env: MESHFENCE_HMAC_K1}], replayWindow: 30s}\n", ""),
            ("contexts.yaml", "      subject: none              # before", "      defaultCountry: JP\n      subject: none              # before"),
            ("contexts.yaml", "dataClasses: [public]\n      priority: normal", "dataClasses: [public]\n      defaultCountry: XX\n      priority: normal"),
        ],
        extra: &[(
            "tenants.yaml",
            "apiVersion: meshfence.dev/v1alpha1\nkind: TenantMap\nmetadata: {name: partners}\nspec:\n  tenants: [{name: acme, country: JP}]\n",
        )],
    },
    Case {
        name: "sources_that_know_no_caller",
        edits: &[("residency.yaml", "jwtClaim: {issuer: shop, claim: residency}", "resource: {variable: customer, map: partners}")],
        extra: &[(
            "tenants.yaml",
            "apiVersion: meshfence.dev/v1alpha1\nkind: TenantMap\nmetadata: {name: partners}\nspec:\n  tenants: [{name: acme, country: JP, apiKeySha256: [0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef]}]\n",
        )],
    },
    Case {
        name: "tenants",
        edits: &[("residency.yaml", "- jwtClaim: {issuer: shop, claim: residency}", "- jwtClaim: {issuer: shop, claim: residency}\n    - tenantMap: {map: partners}")],
        extra: &[(
            "tenants.yaml",
            "\
apiVersion: meshfence.dev/v1alpha1
kind: TenantMap
metadata: {name: partners}
spec:
  apiKeyHeader: x-meshfence-key
  signature: \"k9:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"
  tenants:
    - {name: acme, country: JP, apiKeySha256: [0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef]}
    - {name: acme, country: TW, apiKeySha256: [0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef]}
    - {name: a/b, country: JPN, principalKind: anonymous}
    - {name: other, country: JP, apiKeySha256: [\"the key itself\"]}
    - {name: both, nameMac: \"k1:0123456789abcdef0123456789abcdef\", country: JP}
    - {nameMac: \"k1:0123456789abcdef0123456789abcdef\", country: JP, apiKeySha256: [1123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef]}
    - {nameMac: \"0123456789abcdef0123456789abcdef\", country: JP}
    - {country: JP, claim: {issuer: shopp, claim: tenant, value: x}}
---
apiVersion: meshfence.dev/v1alpha1
kind: TenantMap
metadata: {name: unused}
spec:
  tenants: [{name: acme, country: JP}]
",
        )],
    },
    Case {
        name: "tenant_maps_twice",
        edits: &[("residency.yaml", "- jwtClaim: {issuer: shop, claim: residency}", "- jwtClaim: {issuer: shop, claim: residency}\n    - tenantMap: {map: partners}")],
        extra: &[(
            "tenants.yaml",
            "apiVersion: meshfence.dev/v1alpha1\nkind: TenantMap\nmetadata: {name: partners}\nspec: {tenants: [{name: acme, country: JP}]}\n---\napiVersion: meshfence.dev/v1alpha1\nkind: TenantMap\nmetadata: {name: partners}\nspec: {tenants: [{name: acme, country: JP}]}\n",
        )],
    },
    Case {
        name: "conditions",
        edits: &[
            ("residency.yaml", "subjectCountries: [JP]", "subjectCountries: [JP, \"*\"]"),
            ("residency.yaml", "subject: none}", "subject: none, subjectCountries: [US]}"),
        ],
        extra: &[],
    },
    Case {
        name: "regions_nobody_can_tell_or_reach",
        edits: &[
            (
                "mesh.yaml",
                "      peerIds:
        - spiffe://taiwan.shop/ns/gateways/sa/peer
        - spiffe://taiwan.shop/ns/gateways/sa/public
        - spiffe://taiwan.shop/ns/shop/sa/orders\n",
                "",
            ),
            ("mesh.yaml", "      peerGateway: \"peer.tokyo.ecommerce-platform.com:15443\"\n", ""),
            (
                "mesh.yaml",
                "      gatewayIds:
        - spiffe://tokyo.shop/ns/gateways/sa/public
        - spiffe://tokyo.shop/ns/gateways/sa/peer
        - spiffe://tokyo.shop/ns/shop/sa/orders\n",
                "",
            ),
        ],
        extra: &[],
    },
    Case {
        name: "a_region_the_mesh_does_not_name",
        edits: &[
            ("mesh.yaml", "      agent: http://region-agent.meshfence:7070\n", ""),
            ("mesh.yaml", "    tokyo:
      peerGateway: \"peer.tokyo.ecommerce-platform.com:15443\"
      peerIds:
        - spiffe://tokyo.shop/ns/gateways/sa/peer
        - spiffe://tokyo.shop/ns/gateways/sa/public
        - spiffe://tokyo.shop/ns/shop/sa/orders
      gatewayIds:
        - spiffe://tokyo.shop/ns/gateways/sa/public
        - spiffe://tokyo.shop/ns/gateways/sa/peer
        - spiffe://tokyo.shop/ns/shop/sa/orders\n", ""),
        ],
        extra: &[],
    },
    Case {
        name: "ids_of_regions",
        edits: &[
            ("mesh.yaml", "    tokyo:\n", "    tokio:\n"),
            (
                "mesh.yaml",
                "peerIds:
        - spiffe://taiwan.shop/ns/gateways/sa/peer
        - spiffe://taiwan.shop/ns/gateways/sa/public
        - spiffe://taiwan.shop/ns/shop/sa/orders",
                "peerIds: [\"https://taiwan.shop/peer\", \"spiffe://taiwan.shop\", \"spiffe://Taiwan.shop/peer\", \"spiffe://taiwan.shop/peer/\", \"spiffe://taiwan.shop/peer?x=y\", \"spiffe://taiwan.shop/p\", \"spiffe://taiwan.shop/p\"]",
            ),
        ],
        extra: &[],
    },
    Case {
        name: "ids_of_two_regions",
        edits: &[
            ("mesh.yaml", "      gatewayIds:\n        - spiffe://tokyo.shop/ns/gateways/sa/public\n", "      gatewayIds:\n        - spiffe://taiwan.shop/ns/gateways/sa/public\n        - spiffe://taiwan.shop/ns/gateways/sa/other\n"),
            ("mesh.yaml", "peerGateway: \"peer.taiwan.ecommerce-platform.com:15443\"", "peerGateway: https://peer.taiwan.ecommerce-platform.com"),
            ("mesh.yaml", "peerGateway: \"peer.tokyo.ecommerce-platform.com:15443\"", "peergateway: peer.tokyo.ecommerce-platform.com:0"),
        ],
        extra: &[],
    },
    Case {
        name: "keys_to_sign_with",
        edits: &[(
            "mesh.yaml",
            "hmac: {keys: [{id: k1, env: MESHFENCE_HMAC_K1}], replayWindow: 30s}",
            "hmac: {keys: [{id: K1, env: \"c2VjcmV0\"}, {id: k1, env: MESHFENCE_A}, {id: k1, env: MESHFENCE_A}, {id: k2}, {env: MESHFENCE_B, value: x}], replayWindow: 10m}",
        )],
        extra: &[],
    },
    Case {
        name: "how_much_is_recorded",
        edits: &[("mesh.yaml", "  health: {paths: [/health, /ready]}\n", "  health: {paths: [/health, /ready]}\n  records: {samplePerMille: 1001, sample: 1%}\n")],
        extra: &[],
    },
    Case {
        name: "where_regions_are",
        edits: &[
            ("topology.yaml", "cloudRegion: ap-east-2", "cloudRegion: tokyo"),
            ("topology.yaml", "cloudRegion: ap-northeast-1", "cloudRegion: tokyo"),
        ],
        extra: &[],
    },
    Case {
        name: "attachments",
        edits: &[
            (
                "mesh.yaml",
                "    - {role: edge, namespace: gateways, targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: public}]}\n",
                "    - {role: egde, namespace: Gateways, targetRefs: []}
    - {role: edge, namespace: gateways, targetRefs: [{kind: Gateway, name: public}, {group: gateway.networking.k8s.io, kind: Gatway, name: public}]}
    - {role: edge, namespace: gateways, targetRefs: [{kind: Service, name: a_b}, {group: core, kind: Service, name: a}]}
    - {role: edge, namespace: gateways, targetRefs: [{kind: Service, name: a}, {kind: Service, name: a}]}
    - {role: edge, namespace: gateways}
    - {role: edge, namespace: gateways, selector: {matchLabels: {a: b}}, targetRefs: [{kind: Service, name: a}]}
    - {role: edge, namespace: gateways, selector: {matchLabels: {}}}
    - {role: edge, namespace: gateways, selector: {app: a}}
    - {role: edge, namespace: gateways, selector: {matchLabels: {\"/app\": a, app: -a, on: a, b: true}}}
    - {role: outbound, namespace: shop, targetRefs: [{kind: Service, name: a}]}
    - {role: edge, namespace: gateways, targetRefs: [{kind: Service, name: b}]}
    - {role: edge, namespace: gateways, targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: peer}]}\n",
            ),
            ("mesh.yaml", "    - {role: outbound, namespace: shop, selector: {matchLabels: {app: orders}}}\n", "    - {role: inbound, namespace: shop, selector: {matchLabels: {meshfence.dev/inbound: \"true\"}}}\n"),
        ],
        extra: &[],
    },
    Case {
        name: "upstreams",
        edits: &[
            ("mesh.yaml", "    default: {namespace: shop, port: 8080}\n", "    catalog: {namespace: shop}\n"),
            ("mesh.yaml", "payment-webhooks: {name: payments}", "payment-webhook: {name: payments}"),
        ],
        extra: &[],
    },
    Case {
        name: "upstreams_of_another_form",
        edits: &[
            ("mesh.yaml", "    default: {namespace: shop, port: 8080}\n", "    default: {namespace: shop.svc, port: 0}\n    orders: {}\n"),
            ("mesh.yaml", "payment-webhooks: {name: payments}", "payment-webhooks: {host: payments}"),
        ],
        extra: &[],
    },
    Case {
        name: "the_plugin",
        edits: &[("mesh.yaml", "plugin: {url: \"oci://registry.example/meshfence:0.1.0\"}", "plugin: {url: \"http://registry.example/meshfence.wasm\", sha256: \"sha256:00\", onRejected: lastgood}")],
        extra: &[],
    },
    Case {
        name: "nobody_elses_home",
        edits: &[("residency.yaml", ", \"*\": taiwan", "")],
        extra: &[],
    },
    Case {
        name: "unmatched_twice",
        edits: &[],
        extra: &[(
            "more.yaml",
            "apiVersion: meshfence.dev/v1alpha1\nkind: Contexts\nmetadata: {name: m}\nspec: {unmatched: {action: deny, status: 403}}\n",
        )],
    },
    Case {
        name: "groups_of_one_name",
        edits: &[
            ("residency.yaml", "      otherwise: route           #", "      fallback: {regions: [taiwan], situations: [failover]}\n      otherwise: route           #"),
            ("residency.yaml", "subjectCountries: [eea]}\n", "subjectCountries: [eea]}\n      fallback: {regions: [taiwan], situations: [drill]}\n"),
        ],
        extra: &[],
    },
];
