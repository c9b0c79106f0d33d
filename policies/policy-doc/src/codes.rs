//! Every diagnostic code with its one-line title. A code is never used again for something else.

/// A kind of problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    /// Such as `MF001`: 0xx for syntax and shape, 1xx for names, 2xx for meaning.
    pub id: &'static str,
    /// What it is about.
    pub title: &'static str,
}

macro_rules! codes {
    ($($name:ident = $id:literal, $title:literal;)+) => {
        $(pub(crate) const $name: Code = Code { id: $id, title: $title };)+

        /// Every code, in order.
        pub const CODES: &[Code] = &[$($name,)+];
    };
}

codes! {
    TOO_MANY = "MF000", "more problems than are shown";
    SYNTAX = "MF001", "not valid YAML";
    YAML_FEATURE = "MF002", "anchors, aliases, tags and merge keys are refused";
    DUPLICATE_KEY = "MF003", "a key is given twice in one mapping";
    TOO_LARGE = "MF004", "too large or too deeply nested";
    SHAPE = "MF005", "a mapping, list, string or number where another belongs";
    NOT_A_STRING = "MF006", "an unquoted value that YAML does not read as a string";
    EMPTY = "MF007", "an empty list, mapping or string";
    MISSING_KEY = "MF008", "a required key is missing";
    UNKNOWN_KEY = "MF009", "an unknown key";
    NOT_YET = "MF010", "known, but not supported by this release";
    API_VERSION = "MF011", "an unknown apiVersion";
    UNKNOWN_KIND = "MF012", "an unknown kind";
    UNKNOWN_WORD = "MF013", "not one of the words that belong there";
    MALFORMED = "MF014", "a value that is not formed as it must be";
    DURATION = "MF015", "not a duration";
    NUMBER = "MF016", "a number out of its range";
    EXCLUSIVE = "MF017", "keys that exclude each other";
    DATE = "MF018", "not a date";

    MISSING_KIND = "MF101", "the policy set lacks a document";
    SECOND_KIND = "MF102", "the policy set has a document twice";
    NAME_TWICE = "MF103", "a name or value is given twice";
    UNKNOWN_REGION = "MF104", "no such region";
    UNKNOWN_CONTEXT = "MF105", "no such context";
    UNKNOWN_ISSUER = "MF106", "no such issuer";
    UNKNOWN_COUNTRY = "MF107", "no such country or group of countries";
    UNKNOWN_LEASE = "MF108", "no such lease";
    UNKNOWN_TEST_NAME = "MF109", "no such caller, state or request in the test";
    UNKNOWN_RULE = "MF110", "no such residency rule";
    UNKNOWN_REASON = "MF111", "no such reason";
    CYCLE = "MF112", "something extends itself";
    UNKNOWN_ROW = "MF113", "no such row for a case to cover";
    UNKNOWN_PURPOSE = "MF114", "no context has this purpose";
    UNKNOWN_BASIS = "MF115", "no such transfer basis";
    UNKNOWN_PROFILE = "MF116", "no such redaction profile";
    UNKNOWN_MATCH = "MF117", "no such match";
    UNKNOWN_MAP = "MF120", "no such tenant map";
    UNKNOWN_HMAC_KEY = "MF121", "no such key";

    RESIDENCY_NEEDED = "MF201", "residency is disabled although data is about persons";
    FENCING_NEEDED = "MF202", "fencing is disabled although a context is leased";
    LEASED_ONLY = "MF203", "a setting that only leased contexts have";
    LEASE_SHARING = "MF204", "a lease that cannot be shared";
    SHARD_VARIABLE = "MF205", "a shard variable that a path does not have";
    SHARD_BY_RESIDENCY = "MF206", "shards by residency without a residency to go by";
    AMBIGUOUS = "MF208", "two matches, neither more specific than the other";
    INITIAL_HOLDER = "MF209", "initial holders do not fit the leases";
    STATIC_STATE = "MF210", "a static state in a set that is deployed";
    FALLBACK = "MF211", "a fallback that falls back on nothing new";
    SUBJECT_SOURCE = "MF212", "subject sources do not fit the contexts";
    RULE_CONDITIONS = "MF213", "conditions of a rule that contradict each other";
    HOME = "MF214", "home lacks an entry for everybody else";
    UNMATCHED_TWICE = "MF215", "two answers for requests that no context matches";
    HOLDER = "MF216", "a region that cannot hold the lease";
    REFUSED = "MF217", "the policy as a whole does not compile";
    REGION_IDS = "MF218", "a region that the others cannot tell or reach";
    TRUST_DOMAIN = "MF219", "two regions in one trust domain";
    CALLER_ROLE = "MF220", "a caller that cannot come by the role of its case";
    NOBODY_THERE = "MF221", "a case in a region that is gone";
    SHED_POINT = "MF222", "nothing is attached where requests are counted";
    MODE_UNTIL = "MF223", "a mode that does not act, and does not end";
    EXCEPTION = "MF224", "an exception that lasts too long, or not at all";
    STAGED = "MF225", "a staged rule without a key to tell users apart by";
    UNUSED = "MF226", "a profile or a basis that no rule names";
    NO_AGENT = "MF227", "leases that nobody can tell anything of";
    EVENTUAL_ONLY = "MF228", "a setting that only eventual contexts have";
    MERGE = "MF229", "a merge that says more than one thing";
    NO_KEY = "MF230", "what clients bring back, and no key to prove it";
    NOTHING_FOLLOWS = "MF231", "a setting of limits that follow a latency, and none does";
    FOLLOWS_ALONE = "MF232", "limits that each worker follows for itself";
    TRANSITIONS = "MF233", "a drill in which leases are moved as they may not be";
    TENANT_MAP = "MF240", "a tenant map that does not fit its sources";
}

#[cfg(test)]
mod tests {
    use super::CODES;

    #[test]
    fn codes_are_unique_and_in_order() {
        assert!(CODES.windows(2).all(|pair| pair[0].id < pair[1].id));
        for code in CODES {
            assert!(code.id.len() == 5 && code.id.starts_with("MF"), "{}", code.id);
            assert!(!code.title.ends_with('.') && !code.title.is_empty());
        }
    }
}
