//! Writes what was seen into a case, as what is expected from then on.

use std::fmt::Write as _;
use suite::Check;

use crate::case::{Case, Written, directory};
use crate::shown::{Answer, Arrived, Shown};

/// Whether a case says what is expected.
pub(crate) fn is_recorded(case: &Case) -> bool {
    case.text.contains(&format!("\n{}[expect]\n", mark(case)))
}

/// What is before each line of TOML.
fn mark(case: &Case) -> &'static str {
    match case.written {
        Written::Wat => ";;! ",
        Written::Toml => "",
    }
}

/// Replaces what a case expects.
pub(crate) fn record(case: &Case, shown: &Shown) -> Check {
    let mark = mark(case);
    let is_front = |line: &&str| case.written == Written::Toml || line.starts_with(";;!");
    let front: Vec<&str> = case.text.lines().take_while(is_front).collect();
    let rest: Vec<&str> = case.text.lines().skip(front.len()).collect();
    let begins = |line: &str, table: &str| {
        let line = line.strip_prefix(mark).and_then(|line| line.strip_prefix('['));
        line.is_some_and(|line| line.trim_start_matches('[').starts_with(table))
    };
    let before =
        front.iter().take_while(|line| !begins(line, "expect") && !begins(line, "differs"));
    let after = front.iter().skip_while(|line| !begins(line, "differs"));
    let mut text = String::new();
    for line in before {
        text.extend([line, "\n"]);
    }
    for line in written(shown).lines() {
        text.extend([mark, line, "\n"]);
    }
    for line in after.chain(rest.iter()) {
        text.extend([line, "\n"]);
    }
    Ok(std::fs::write(
        directory().join(format!("{}.{}", case.name, case.written.extension())),
        text,
    )?)
}

fn written(shown: &Shown) -> String {
    let Shown { refused, died, log, main_log, metrics, stats, answer, upstream } = shown;
    let mut text = "[expect]\n".to_owned();
    if !refused.is_empty() {
        // The first thing said is the cause.
        let cause = refused.split("; ").next().unwrap_or_default();
        let cause = cause.split("\\n").next().unwrap_or_default();
        line(&mut text, "refused", &quoted(cause));
    }
    if *died {
        line(&mut text, "died", "true");
    }
    list(&mut text, "log", log);
    list(&mut text, "main_log", main_log);
    list(&mut text, "metrics", metrics);
    if !stats.is_empty() {
        text += "[expect.stats]\n";
        for (name, value) in stats {
            line(&mut text, &quoted(name), &value.to_string());
        }
    }
    for Answer { status, headers, body, trailers, cut } in answer {
        text += "[[expect.answer]]\n";
        line(&mut text, "status", &status.to_string());
        message(&mut text, headers, body, trailers, *cut);
    }
    for Arrived { cluster, request, headers, body, trailers, cut } in upstream {
        text += "[[expect.upstream]]\n";
        line(&mut text, "cluster", &quoted(cluster));
        line(&mut text, "request", &quoted(request));
        message(&mut text, headers, body, trailers, *cut);
    }
    text
}

fn message(text: &mut String, headers: &[String], body: &str, trailers: &[String], cut: bool) {
    list(text, "headers", headers);
    if !body.is_empty() {
        line(text, "body", &quoted(body));
    }
    list(text, "trailers", trailers);
    if cut {
        line(text, "cut", "true");
    }
}

fn line(text: &mut String, key: &str, value: &str) {
    // Writing into a String cannot fail.
    let _ = writeln!(text, "{key} = {value}");
}

fn list(text: &mut String, key: &str, values: &[String]) {
    match values {
        [] => {}
        [only] => line(text, key, &format!("[{}]", quoted(only))),
        _ => {
            let _ = writeln!(text, "{key} = [");
            for value in values {
                let _ = writeln!(text, "    {},", quoted(value));
            }
            text.push_str("]\n");
        }
    }
}

/// A text in TOML: in quotes of the kind that needs no escapes, if one does.
fn quoted(value: &str) -> String {
    if value.contains(['"', '\\']) && !value.contains('\'') {
        return format!("'{value}'");
    }
    let escaped = value.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{}\"", escaped.replace('\n', "\\n").replace('\t', "\\t"))
}
