//! The SQL of `policies/versions` on a real PostgreSQL: on the pinned one, and on that of this
//! machine if it has one.
#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "test vectors that are not as they should be fail the test"
)]

use serde_json::Value;
use std::fmt::Write as _;
use std::path::Path;
use suite::postgres::{Installation, Postgres};
use suite::{Check, Trouble};

const DOMAIN: &str = include_str!("../../../policies/versions/sql/versions.sql");
const LAST_WRITE_WINS: &str = include_str!("../../../policies/versions/sql/last_write_wins.sql");

#[tokio::test]
async fn the_pinned_postgresql_keeps_versions() -> Check {
    play(&Installation::pinned().await?).await
}

#[tokio::test]
async fn the_postgresql_of_this_machine_keeps_versions() -> Check {
    if let Some(installation) = Installation::of_this_machine()? {
        return play(&installation).await;
    }
    println!("SKIPPED: no PostgreSQL on this machine; the pinned one shows the same");
    Ok(())
}

async fn play(installation: &Installation) -> Check {
    let postgres = Postgres::start(installation).await?;
    println!("{}", postgres.sql("SELECT version()").await?);
    postgres.sql(DOMAIN).await?;
    versions_sort_as_in_the_crate(&postgres, "postgres").await?;
    what_is_no_version_is_refused(&postgres).await?;
    causality_is_that_of_the_crate(&postgres).await?;
    postgres.sql(LAST_WRITE_WINS).await?;
    the_last_write_wins_in_every_order(&postgres).await?;
    the_last_write_wins_whoever_comes_first(&postgres).await?;
    a_language_sorts_otherwise(&postgres).await?;
    postgres.stop().await
}

fn read(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies/versions/vectors");
    serde_json::from_slice(&std::fs::read(path.join(name)).unwrap()).unwrap()
}

fn list(file: &Value, name: &str) -> Vec<Value> {
    file[name].as_array().filter(|list| !list.is_empty()).unwrap().clone()
}

/// A text as SQL has it.
fn quoted(text: &Value) -> String {
    format!("'{}'", text.as_str().unwrap().replace('\'', "''"))
}

fn same(found: &str, expected: &str) -> Check {
    if found == expected {
        return Ok(());
    }
    Err(Trouble::new(format!("found\n{found}\ninstead of\n{expected}")))
}

/// The versions of the vectors from last to first, in a table with this type.
fn table(of: &str) -> String {
    let sorted = list(&read("stamps.json"), "sorted");
    let rows: Vec<String> = sorted.iter().rev().map(|text| format!("({})", quoted(text))).collect();
    format!("CREATE TEMP TABLE kept (version {of}); INSERT INTO kept VALUES {};", rows.join(", "))
}

async fn versions_sort_as_in_the_crate(postgres: &Postgres, database: &str) -> Check {
    let sorted = list(&read("stamps.json"), "sorted");
    let expected: Vec<&str> = sorted.iter().filter_map(Value::as_str).collect();
    let kept = table("meshfence_version");
    let found = postgres
        .sql_in(database, &format!("{kept} SELECT version FROM kept ORDER BY version;"))
        .await?;
    same(&found, &expected.join("\n"))?;
    let indexed = format!(
        "{kept} CREATE INDEX ON kept (version); SET enable_seqscan = off;
         SELECT max(version), count(*) FILTER (WHERE version > {}), pg_collation_for(max(version))
         FROM kept;",
        quoted(&sorted[0])
    );
    let last = expected.last().unwrap();
    same(
        &postgres.sql_in(database, &indexed).await?,
        &format!("{last}|{}|\"C\"", expected.len() - 1),
    )
}

async fn what_is_no_version_is_refused(postgres: &Postgres) -> Check {
    for case in list(&read("stamps.json"), "invalid") {
        let cast = format!("SELECT {}::meshfence_version", quoted(&case["text"]));
        let refusal = postgres.sql(&cast).await.err().map(|refusal| refusal.to_string());
        if !refusal.as_ref().is_some_and(|text| text.contains("violates check constraint")) {
            return Err(Trouble::new(format!("{case}: {refusal:?}")));
        }
    }
    Ok(())
}

async fn causality_is_that_of_the_crate(postgres: &Postgres) -> Check {
    let pairs = list(&read("vectors.json"), "pairs");
    let mut statements = String::new();
    let mut expected = Vec::new();
    for pair in &pairs {
        let (left, right) = (quoted(&pair["left"]), quoted(&pair["right"]));
        let _ = writeln!(
            statements,
            "SELECT meshfence_causality(meshfence_vector({left}), meshfence_vector({right}));"
        );
        expected.push(pair["causality"].as_str().unwrap());
    }
    // Of a region that nobody has written in there is nothing.
    statements +=
        "SELECT meshfence_causality('{}', '{}'), meshfence_causality('{}', '{\"a\": \"b\"}');";
    expected.push("equal|before");
    same(&postgres.sql(&statements).await?, &expected.join("\n"))
}

/// What the file prepares, for another session.
fn prepared() -> &'static str {
    LAST_WRITE_WINS.find("PREPARE").and_then(|at| LAST_WRITE_WINS.get(at..)).unwrap()
}

const FIRST: &str = "0192f3a4b5c60007-tpe-00000001";
const SECOND: &str = "0192f3a4b5c60007-tyo-00000001";
const THIRD: &str = "0192f3a4b5c6aa00-tpe-00000001";

async fn the_last_write_wins_in_every_order(postgres: &Postgres) -> Check {
    let writes = [("'\"a\"'", FIRST), ("NULL", SECOND), ("'\"c\"'", THIRD)]
        .map(|(body, version)| (body, version));
    let mut statements = prepared().to_owned();
    let mut count = 0;
    // Five deliveries of three writes: every order, with every repetition.
    for number in 0..3_usize.pow(5) {
        let delivered: Vec<usize> = (0..5).map(|place| number / 3_usize.pow(place) % 3).collect();
        if !(0..writes.len()).all(|write| delivered.contains(&write)) {
            continue;
        }
        count += 1;
        for write in delivered {
            let (body, version) = writes[write];
            let _ = writeln!(statements, "EXECUTE put_profile ('{number}', {body}, '{version}');");
        }
    }
    statements += "SELECT count(*), min(body::text), min(version), max(version) FROM profiles;
        TRUNCATE profiles;";
    same(&postgres.sql(&statements).await?, &format!("{count}|\"c\"|{THIRD}|{THIRD}"))?;
    // What is deleted stays deleted, and whoever writes is told whether it counts.
    let tags = format!(
        "{} \\set QUIET off
         EXECUTE put_profile ('mei', '\"a\"', '{FIRST}');
         EXECUTE put_profile ('mei', NULL, '{SECOND}');
         EXECUTE put_profile ('mei', NULL, '{SECOND}');
         EXECUTE put_profile ('mei', '\"a\"', '{FIRST}');
         \\set QUIET on
         SELECT body IS NULL, version FROM profiles; TRUNCATE profiles;",
        prepared()
    );
    let expected = format!("INSERT 0 1\nINSERT 0 1\nINSERT 0 0\nINSERT 0 0\nt|{SECOND}");
    same(&postgres.sql(&tags).await?, &expected)
}

/// Four sessions at once, each with all writes in an order of its own.
async fn the_last_write_wins_whoever_comes_first(postgres: &Postgres) -> Check {
    let session = |step: usize| {
        let mut statements = prepared().to_owned();
        for place in 0..200 {
            // A step that shares no divisor with 200 comes by every one of them.
            let write = place * step % 200;
            let _ = writeln!(
                statements,
                "EXECUTE put_profile ('mei', '{write}', '0192f3a4b5c6{write:04x}-tpe-00000001');"
            );
        }
        statements
    };
    let sessions = [3, 7, 11, 199].map(session);
    let [first, second, third, fourth] = &sessions;
    tokio::try_join!(
        postgres.sql(first),
        postgres.sql(second),
        postgres.sql(third),
        postgres.sql(fourth)
    )?;
    same(
        &postgres.sql("SELECT body, version FROM profiles").await?,
        "199|0192f3a4b5c600c7-tpe-00000001",
    )
}

/// A database of Danes, where a text with `aa` comes after one with `z`: the domain does not care.
async fn a_language_sorts_otherwise(postgres: &Postgres) -> Check {
    let create = "CREATE DATABASE danish TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'da';";
    if let Err(refusal) = postgres.sql(create).await {
        println!("NOT SHOWN: this PostgreSQL knows no languages ({refusal})");
        return Ok(());
    }
    postgres.sql_in("danish", DOMAIN).await?;
    versions_sort_as_in_the_crate(postgres, "danish").await?;
    let order = "SELECT string_agg(version, ' ' ORDER BY version)";
    let wrong = format!(
        "{} {order} = {order_by_bytes} FROM kept; SELECT '{THIRD}'::text > '{second}'::text;",
        table("text"),
        order_by_bytes = "string_agg(version, ' ' ORDER BY version COLLATE \"C\")",
        second = THIRD.replace("aa00", "f000"),
    );
    same(&postgres.sql_in("danish", &wrong).await?, "f\nt")?;
    println!("shown: in Danish a text with aa comes after one with f");
    Ok(())
}
