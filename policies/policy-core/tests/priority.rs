//! What clients say of priority, held against another reader of structured fields.

use policy_core::Priority;
use proptest::prelude::*;
use sfv::{BareItem, Dictionary, Item, ListEntry, Parser};

/// What the header means, by RFC 9218 §4.1 and a reader that is not ours.
fn by_another_reader(field: &[u8]) -> Option<Priority> {
    let dictionary: Dictionary = Parser::new(field).parse().ok()?;
    let ListEntry::Item(Item { bare_item: BareItem::Integer(urgency), .. }) =
        dictionary.get("u")?
    else {
        return None;
    };
    match i64::from(*urgency) {
        4 | 5 => Some(Priority::Normal),
        6 | 7 => Some(Priority::Low),
        _ => None,
    }
}

/// Pieces of dictionaries, in an order that makes one or nearly one.
fn pieces() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        8 => "[0-9]",
        1 => "-?[0-9]{1,2}",
        1 => "[0-9]{11,16}(\\.[0-9]{0,4})?",
        1 => "\"([a-z,=;\\\\\" ]|\\\\\"){0,4}\"",
        1 => "[a-zA-Z*][a-z0-9:/%,]{0,3}",
        1 => "\\?[0-2]",
        1 => "@-?[0-9]{1,3}(\\.[0-9])?",
        1 => "%\"([a-z %]|%[2-7][0-9a-f]){0,3}\"",
        1 => Just(":dT03:".to_owned()),
        1 => "\\( ?([a-z]{1,2}|[0-9]|[a-z];q=[0-9])( {1,2}[0-9a-z])?[ )]?\\)?",
    ];
    let parameters =
        prop_oneof![6 => Just(String::new()), 1 => "; ?[a-zA-Z*]{1,2}(=[0-9a-z\"]{1,2})?"];
    let key = prop_oneof![1 => Just("u".to_owned()), 1 => "[a-z*][a-z0-9_.*-]{0,2}"];
    let member = (key, proptest::option::of(value), parameters).prop_map(|(key, value, after)| {
        let value = value.map(|value| format!("={value}")).unwrap_or_default();
        format!("{key}{value}{after}")
    });
    let between = prop_oneof![
        16 => Just(", "),
        4 => Just(","),
        2 => Just("\t,\t "),
        1 => Just(" "),
        1 => Just(",,"),
    ];
    let more = proptest::collection::vec((between, member.clone()), 0..4);
    (
        " {0,2}",
        member,
        more,
        prop_oneof![6 => Just(""), 1 => Just(" "), 1 => Just("\t"), 1 => Just(",")],
    )
        .prop_map(|(before, first, more, after)| {
            let more: String =
                more.into_iter().flat_map(|(between, one)| [between.to_owned(), one]).collect();
            format!("{before}{first}{more}{after}")
        })
}

fn priority() -> impl Strategy<Value = Priority> {
    proptest::sample::select(Priority::ALL)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn a_dictionary_means_what_it_means_to_another_reader(field in pieces()) {
        let bytes = field.as_bytes();
        prop_assert_eq!(Priority::asked_for([bytes], b""), by_another_reader(bytes), "{}", field);
    }

    #[test]
    fn no_bytes_raise_a_priority(
        own in priority(),
        field in proptest::collection::vec(any::<u8>(), 0..64),
        purpose in proptest::collection::vec(any::<u8>(), 0..64),
    ) {
        let lowered = own.lowered(Priority::asked_for([&*field], &purpose));
        prop_assert!(lowered >= own);
    }

    #[test]
    fn nor_do_fields_that_are_nearly_right(
        own in priority(),
        field in pieces(),
        cut in 0..64_usize,
    ) {
        let bytes = field.as_bytes();
        let cut = bytes.get(..cut).unwrap_or(bytes);
        prop_assert!(own.lowered(Priority::asked_for([cut], b"")) >= own);
        prop_assert_eq!(own.lowered(Priority::asked_for([cut], b"prefetch;x")), Priority::Low);
    }
}

#[test]
fn the_pieces_make_dictionaries_of_every_kind() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut seen = [0_u32; 3];
    for _ in 0..2_000 {
        let field = pieces().new_tree(&mut runner).unwrap().current();
        let parsed: Result<Dictionary, _> = Parser::new(&field).parse();
        let kind = match (parsed, by_another_reader(field.as_bytes())) {
            (Err(_), _) => 0,
            (Ok(_), None) => 1,
            (Ok(_), Some(_)) => 2,
        };
        seen[kind] += 1;
    }
    assert!(seen.iter().all(|count| *count > 40), "{seen:?}");
}
