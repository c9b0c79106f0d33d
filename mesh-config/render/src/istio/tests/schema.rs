//! What a Kubernetes API server does with a resource, as far as its schema goes: structural schemas
//! with the keywords that Istio's have, and none that is passed over.
//!
//! Unlike a validator of JSON Schema it refuses fields that the schema does not have: an API server
//! drops them without a word.

use crate::yaml::Node;
use crate::yaml::tests::read;
use regex_lite::Regex;

/// The schemas of one release of Istio.
pub(super) struct Schemas {
    pub(super) release: &'static str,
    documents: Vec<Node>,
}

pub(super) fn releases() -> Vec<Schemas> {
    [
        ("1.28", include_str!("../../../tests/istio-crds/release-1.28.yaml")),
        ("1.31", include_str!("../../../tests/istio-crds/release-1.31.yaml")),
    ]
    .into_iter()
    .map(|(release, text)| Schemas { release, documents: documents(text) })
    .collect()
}

/// The documents of a file.
pub(super) fn documents(text: &str) -> Vec<Node> {
    text.split("---\n").skip(1).map(read).collect()
}

pub(super) fn get<'n>(node: &'n Node, key: &str) -> Option<&'n Node> {
    let Node::Map(entries) = node else { return None };
    entries.iter().find(|(known, _)| known == key).map(|(_, value)| value)
}

pub(super) fn text<'n>(node: &'n Node, key: &str) -> &'n str {
    match get(node, key) {
        Some(Node::Text(text)) => text,
        other => panic!("`{key}` is {other:?}"),
    }
}

impl Schemas {
    /// Everything that is wrong with a resource.
    pub(super) fn faults(&self, resource: &Node) -> Vec<String> {
        let api = (text(resource, "apiVersion"), text(resource, "kind"));
        let schema = self.documents.iter().find(|known| {
            let group = format!("{}/{}", text(known, "group"), text(known, "version"));
            (group.as_str(), text(known, "kind")) == api
        });
        let Some(schema) = schema.and_then(|schema| get(schema, "schema")) else {
            return vec![format!("no such kind: {api:?}")];
        };
        let Node::Map(entries) = resource else { return vec!["no mapping".into()] };
        // Every kind has these; the schema has the rest.
        let own = entries
            .iter()
            .filter(|(key, _)| !["apiVersion", "kind", "metadata"].contains(&key.as_str()));
        let mut faults = Vec::new();
        check(schema, &Node::Map(own.cloned().collect()), "", true, &mut faults);
        faults
    }
}

fn is_valid(schema: &Node, value: &Node) -> bool {
    let mut faults = Vec::new();
    check(schema, value, "", false, &mut faults);
    faults.is_empty()
}

/// `prunes`: this part of the schema says which fields there are.
fn check(schema: &Node, value: &Node, path: &str, prunes: bool, faults: &mut Vec<String>) {
    let Node::Map(keywords) = schema else { panic!("no schema at {path}") };
    for (keyword, says) in keywords {
        faults.extend(fault(keyword, says, value).map(|message| format!("{path}: {message}")));
    }
    let is_kept = get(schema, "x-kubernetes-preserve-unknown-fields") == Some(&Node::Bool(true));
    let properties = get(schema, "properties");
    let others = get(schema, "additionalProperties");
    let items = get(schema, "items");
    match value {
        Node::Map(entries) => {
            for (key, value) in entries {
                let path = format!("{path}.{key}");
                match properties.and_then(|known| get(known, key)).or(others) {
                    Some(schema) => check(schema, value, &path, prunes, faults),
                    None if is_kept || !prunes => {}
                    None => faults.push(format!("{path}: there is no such field")),
                }
            }
        }
        Node::List(values) => {
            for (number, value) in values.iter().enumerate() {
                if let Some(schema) = items {
                    check(schema, value, &format!("{path}[{number}]"), prunes, faults);
                }
            }
        }
        _ => {}
    }
}

/// What a value does to one keyword of its schema.
fn fault(keyword: &str, says: &Node, value: &Node) -> Option<String> {
    match (keyword, says, value) {
        ("type", Node::Text(wanted), value) => {
            let found = type_of(value);
            let is_fine = wanted == found || wanted == "number" && found == "integer";
            (!is_fine).then(|| format!("is {found}, not {wanted}"))
        }
        ("enum", Node::List(words), value) => {
            (!words.contains(value)).then(|| format!("is none of {words:?}"))
        }
        ("pattern", Node::Text(pattern), Node::Text(text)) => {
            let is_fine = Regex::new(pattern).unwrap().is_match(text);
            (!is_fine).then(|| format!("`{text}` is not like `{pattern}`"))
        }
        ("minLength" | "minItems" | "minimum", Node::Int(least), value) => {
            (size(value) < *least).then(|| format!("is below {keyword} {least}"))
        }
        ("maxLength" | "maxItems" | "maxProperties" | "maximum", Node::Int(most), value) => {
            (size(value) > *most).then(|| format!("is above {keyword} {most}"))
        }
        ("required", Node::List(names), Node::Map(_)) => {
            let missing = names.iter().map(word).find(|name| get(value, name).is_none());
            missing.map(|name| format!("lacks `{name}`"))
        }
        ("x-kubernetes-list-map-keys", Node::List(keys), Node::List(items)) => {
            let key = |item| keys.iter().map(|key| get(item, word(key))).collect::<Vec<_>>();
            let twice = items
                .iter()
                .enumerate()
                .any(|(number, item)| items.iter().take(number).any(|one| key(one) == key(item)));
            twice.then(|| format!("has {keys:?} twice"))
        }
        ("x-kubernetes-validations", Node::List(rules), value) => {
            let broken = rules.iter().map(|rule| text(rule, "rule")).find(|rule| !cel(rule, value));
            broken.map(|rule| format!("breaks the rule {rule}"))
        }
        ("oneOf" | "anyOf" | "allOf", Node::List(parts), value) => {
            let valid = parts.iter().filter(|part| is_valid(part, value)).count();
            let is_fine = match keyword {
                "oneOf" => valid == 1,
                "anyOf" => valid > 0,
                _ => valid == parts.len(),
            };
            (!is_fine).then(|| format!("{valid} of {} hold in {keyword}", parts.len()))
        }
        ("not", part, value) => is_valid(part, value).then(|| "is what it must not be".to_owned()),
        // Walked through elsewhere, about values of another type, or of no effect on what we write.
        (
            "properties"
            | "items"
            | "additionalProperties"
            | "required"
            | "pattern"
            | "nullable"
            | "format"
            | "x-kubernetes-preserve-unknown-fields"
            | "x-kubernetes-int-or-string"
            | "x-kubernetes-list-type"
            | "x-kubernetes-list-map-keys",
            _,
            _,
        ) => None,
        (unknown, ..) => panic!("no test knows the keyword `{unknown}`"),
    }
}

fn type_of(value: &Node) -> &'static str {
    match value {
        Node::Map(_) => "object",
        Node::List(_) => "array",
        Node::Text(_) => "string",
        Node::Int(_) => "integer",
        Node::Bool(_) => "boolean",
        Node::Lines(_) | Node::Noted(..) => "not read from YAML",
    }
}

fn word(node: &Node) -> &str {
    match node {
        Node::Text(text) => text,
        other => panic!("no name: {other:?}"),
    }
}

fn size(value: &Node) -> i64 {
    let count = match value {
        Node::Int(value) => return *value,
        Node::Text(text) => text.chars().count(),
        Node::List(items) => items.len(),
        Node::Map(entries) => entries.len(),
        _ => 0,
    };
    i64::try_from(count).unwrap()
}

/// The rules that Istio writes in CEL, for the fields that we write. One that is not here fails.
fn cel(rule: &str, value: &Node) -> bool {
    let has = |key: &str| get(value, key).is_some();
    let at_most_one = |keys: &[&str]| keys.iter().filter(|key| has(key)).count() <= 1;
    let string = || match value {
        Node::Text(text) => text.as_str(),
        other => panic!("{rule}: {other:?}"),
    };
    let keys = || match value {
        Node::Map(entries) => entries.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(),
        other => panic!("{rule}: {other:?}"),
    };
    let scheme = |url: &str| url.split_once("://").map_or("", |(scheme, _)| scheme).to_owned();
    match rule {
        "!self.contains(\"*\")" => !string().contains('*'),
        "self.all(key, !key.contains(\"*\"))" => keys().iter().all(|key| !key.contains('*')),
        "self.all(key, key.size() != 0)" => keys().iter().all(|key| !key.is_empty()),
        "self != \"*\"" => string() != "*",
        "(has(self.selector) ? 1 : 0) + (has(self.targetRef) ? 1 : 0) + (has(self.targetRefs) ? 1 : 0) <= 1" => {
            at_most_one(&["selector", "targetRef", "targetRefs"])
        }
        "(has(self.valueFrom) ? self.valueFrom : \"\") != \"HOST\" || !has(self.value)" => {
            get(value, "valueFrom") != Some(&Node::Text("HOST".into())) || !has("value")
        }
        "url(self).getScheme() in [\"http\", \"https\"]" => {
            ["http", "https"].contains(&scheme(string()).as_str())
        }
        "(has(self.jwksUri) ? 1 : 0) + (has(self.jwks_uri) ? 1 : 0) + (has(self.jwks) ? 1 : 0) <= 1" => {
            at_most_one(&["jwksUri", "jwks_uri", "jwks"])
        }
        "duration(self) >= duration('1ms')" => {
            Regex::new("^[0-9]*[1-9][0-9]*(ms|s|m|h)$").unwrap().is_match(string())
        }
        "0 < self && self <= 65535" => (1..=65535).contains(&size(value)),
        "self.all(l1, self.exists_one(l2, l1.number == l2.number))" => {
            let Node::List(ports) = value else { panic!("{rule}") };
            ports.iter().all(|port| {
                ports.iter().filter(|other| get(other, "number") == get(port, "number")).count() == 1
            })
        }
        "has(self.address) || has(self.network)" => has("address") || has("network"),
        "(has(self.address) ? self.address : \"\").startsWith(\"unix://\") ? !has(self.ports) : true" => {
            !text(value, "address").starts_with("unix://") || !has("ports")
        }
        "self.startsWith(\"unix://\") ? (self.substring(7, 8) == \"/\" || self.substring(7, 8) == \"@\") : true"
        | "self.startsWith(\"unix://\") ? !self.endsWith(\"/\") : true" => {
            !string().starts_with("unix://")
        }
        "(has(self.workloadSelector) ? 1 : 0) + (has(self.endpoints) ? 1 : 0) <= 1" => {
            at_most_one(&["workloadSelector", "endpoints"])
        }
        "((has(self.resolution) ? self.resolution : \"NONE\") == \"NONE\") ? !has(self.endpoints) : true" => {
            text(value, "resolution") != "NONE" || !has("endpoints")
        }
        "((has(self.resolution) ? self.resolution : \"\") == \"DNS_ROUND_ROBIN\") ? ((has(self.endpoints) ? self.endpoints : []).size() <= 1) : true" => {
            text(value, "resolution") != "DNS_ROUND_ROBIN"
        }
        "(has(self.tlsCertificates) ? 1 : 0) + (has(self.credentialNames) ? 1 : 0) <= 1"
        | "(has(self.credentialNames) ? 1 : 0) + (has(self.tlsCertificates) ? 1 : 0) <= 1" => {
            at_most_one(&["tlsCertificates", "credentialNames"])
        }
        "(has(self.credentialName) ? 1 : 0) + (has(self.credentialNames) ? 1 : 0) <= 1" => {
            at_most_one(&["credentialName", "credentialNames"])
        }
        rule if rule.starts_with("isURL(self) ? (url(self).getScheme() in [\"\", \"http\", \"https\", \"oci\", \"file\"])") => {
            ["http", "https", "oci", "file"].contains(&scheme(string()).as_str())
        }
        rule if rule.starts_with("!((has(self.addresses) ? self.addresses : []).exists(") => {
            !has("addresses")
        }
        unknown => panic!("no test knows the rule {unknown}"),
    }
}
