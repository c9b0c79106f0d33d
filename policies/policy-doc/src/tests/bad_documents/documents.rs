//! Whole documents with something wrong in them.

pub(super) const SECOND: &str = "\
apiVersion: meshfence.dev/v1alpha1
kind: Topology
metadata: {name: again}
spec: {regions: [{name: osaka, code: osa, jurisdiction: JP}]}
---
apiVersion: meshfence.dev/v1alpha1
kind: Versioning
metadata: {name: again}
spec: {mode: disabled}
";

pub(super) const MISTAKES: &str = "\
apiVersion: meshfence.dev/v1alpha1
kind: PolicyTest
metadata: {name: mistakes}
spec:
  defaults: {at: {region: taiwan}, state: norml}
  callers:
    mei: {issuer: shpo, sub: u1, claims: {residency: NO, sub: u2, vip: true}}
    anonymous: {issuer: shop, sub: u2}
  states:
    a: {extends: b}
    b: {extends: a, leases: {orders/tokio: {holder: tokyo, epoch: 0}, inventory: {holder: osaka}}}
    c: {extends: d, situation: disaster, health: {tokyo: upp}, unreachable: [osaka]}
    f: {inFlight: [{request: nothing, count: 0}]}
  requests:
    get: {method: get, path: no-slash, host: \"a b\", headers: {\"b@d\": x, host: y, x-n: 5, x-c: \"\\u0007\"}}
    bare: {headers: {a: b}}
    kept: {path: /, headers: {connection: keep-alive}}
    new: {extends: kept, path: /, http2: true}
  cases:
    - {name: one, caller: may, request: get, expect: {verdict: permit, reason: allow, rule: japan, region: osaka}}
    - {name: one, caller: {issuer: shop}, request: got, state: nowhere, expect: {}}
    - {name: two, expect: {status: 99, grpcStatus: 17, upstream: {x: {present: yes}, y: {regex: \"(\"}, z: {present: true, regex: a}}}}
    - {name: three, at: {region: osaka}, request: get}
    - {name: four, request: bare, expect: {status: 200}}
    - {name: five, expect: {body: {si: a, contains: a, lacks: [], json: {on: NO}}, trailers: {x: 1}, cut: no, redactions: -1}}
    - {name: six, expect: {body: whole, record: {Reason: a, outcome.: b, reason: [a], stripped: 1}}}
";

pub(super) const LATER: &str = "\
apiVersion: meshfence.dev/v1alpha1
kind: PolicyTest
metadata: {name: later}
spec:
  defaults: {at: {region: tokyo, role: edge}}
  states: {overloaded: {shed: {admit: high}}}
  requests: {order: {path: /api/v1/orders}}
  cases:
    - {name: forbidden by law, request: order, expect: {reason: residency_denied_by_law}}
    - {name: redacted, request: order, expect: {verdict: redact}}
    - {name: one after the other, steps: [], request: order, expect: {status: 200, metrics: {}}}
";

pub(super) const REGIONS: &str = "\
apiVersion: meshfence.dev/v1alpha1
kind: PolicyTest
metadata: {name: regions}
spec:
  defaults: {at: {region: tokyo, role: edge}}
  states:
    lagging: {lag: {osaka: 5s, tokyo: 5, taiwan: 2000h}}
    loaded: {load: {tokyo: 1001, taiwan: much}}
    nowhere: {migration: {from: taiwan, to: taiwan, stage: 10}}
    too-far: {migration: {from: taiwan, to: osaka, stage: 101, salt: of-a-salt-that-is-longer-than-anybody-needs-to-tell-one-from-another-one}}
    half: {migration: {from: taiwan}}
    forced: {override: {mode: force}}
    frozen: {override: {mode: frozen, by: mei}, views: {tokyo: {lags: {tokyo: 1s}}}}
  requests: {order: {path: /api/v1/orders}}
  cases:
    - {name: any, request: order, expect: {status: 200}}
";

pub(super) const CALLERS: &str = "\
apiVersion: meshfence.dev/v1alpha1
kind: PolicyTest
metadata: {name: callers}
spec:
  defaults: {at: {region: tokyo}, request: {path: /}}
  callers:
    a: {peer: taiwna, subject: JPN}
    b: {peer: taiwan, gateway: tokyo}
    c: {workload: tokyo.shop/orders}
    d: {workload: \"spiffe://tokyo.shop/orders\", subject: JP}
    e: {issuer: shop, sub: u1, subject: TW}
    s1: {session: {country: jp, kind: custumer, expires: soon}}
    s2: {session: {expires: 1h}}
    s3: {session: {country: JP, until: 1h}, apiKey: \"\"}
    f: {peer: taiwan, sub: u1}
    g: {peer: taiwan, subject: unkown}
    nobody: {}
    taiwan: {peer: taiwan}
    tokyo: {peer: tokyo}
    public: {gateway: tokyo, subject: JP}
    elsewhere: {gateway: taiwan}
    orders: {workload: \"spiffe://tokyo.shop/ns/shop/sa/orders\"}
  states:
    busy: {inFlight: [{request: {path: /}, caller: taiwan}]}
    gone: {unreachable: [tokyo]}
  requests: {one: {path: /1}, two: {path: /2}}
  cases:
    - {name: a peer at the edge, caller: taiwan, expect: {status: 200}}
    - {name: a workload at the edge, caller: orders, expect: {status: 200}}
    - {name: nobody at the peer, at: {role: peer}, expect: {status: 200}}
    - {name: itself at the peer, at: {role: peer}, caller: tokyo, expect: {status: 200}}
    - {name: a gateway at the peer, at: {role: peer}, caller: public, expect: {status: 200}}
    - {name: a peer at inbound, at: {role: inbound}, caller: taiwan, expect: {status: 200}}
    - {name: another gateway at inbound, at: {role: inbound}, caller: elsewhere, expect: {status: 200}}
    - {name: a gateway at outbound, at: {role: outbound}, caller: public, expect: {status: 200}}
    - {name: busy with others, state: busy, expect: {status: 200}}
    - {name: everywhere, caller: orders, matrix: {role: [edge, inbound]}, expect: {status: 200}}
    - {name: gone, state: gone, matrix: {request: [one, two]}, expect: {status: 200}}
    - {name: covers nothing, covers: [los, loop], expect: {status: 200}}
";

pub(super) const CARRIED: &str = "\
apiVersion: meshfence.dev/v1alpha1
kind: PolicyTest
metadata: {name: carried}
spec:
  defaults: {at: {region: tokyo, role: edge}}
  requests:
    a: {path: /, read: 12}
    b: {path: /, read: {version: 0192f3a4b5c60007-TYO-3fa29c1b, others: [soon], until: 1h}}
    c: {path: /, read: {path: /1}}
    d: {path: /, seen: {version: 0192f3a4b5c60007-tyo-3fa29c1b, expires: soon}}
    e: {path: /, seen: [0192f3a4b5c60007-tyo-3fa29c1b]}
    f: {path: /, saw: 0192f3a4b5c60007-tyo-3fa29c1b}
  cases:
    - {name: any, request: {path: /}, expect: {status: 200}}
";

pub(super) const MATRICES: &str = "\
apiVersion: meshfence.dev/v1alpha1
kind: PolicyTest
metadata: {name: matrices}
spec:
  defaults: {at: {region: tokyo}, request: {path: /}}
  callers: {mei: {issuer: shop, sub: mei}}
  states: {cold: {views: {osaka: {health: {tokyo: down}}, tokyo: {}, taiwan: {unreachable: [tokyo]}}}}
  requests: {one: {path: /1}}
  cases:
    - {name: empty, matrix: {}, expect: {status: 200}}
    - {name: no list, matrix: {caller: mei}, expect: {status: 200}}
    - {name: other keys, matrix: {callers: [mei]}, expect: {status: 200}}
    - {name: no names, matrix: {caller: [may], request: [two], state: [hot], region: [osaka], role: [gateway]}, expect: {status: 200}}
    - {name: twice, caller: mei, at: {region: taiwan, role: edge}, matrix: {caller: [mei], region: [tokyo], role: [edge, edge]}, expect: {status: 200}}
    - {name: written out, matrix: {request: [{path: /2}]}, expect: {status: 200}}
    - name: too much
      matrix:
        request: [a1, a2, a3, a4, a5, a6, a7, a8, a9, b1, b2, b3, b4, b5, b6]
        state: [a1, a2, a3, a4, a5, a6, a7, a8, a9, b1, b2, b3, b4, b5]
      expect: {status: 200}
    - {name: same (caller mei), caller: mei, expect: {status: 200}}
    - {name: same, matrix: {caller: [mei]}, expect: {status: 200}}
";
