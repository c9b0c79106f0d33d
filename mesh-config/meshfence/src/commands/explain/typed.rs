//! The parts of a request as somebody types them: what no client could send is refused here, and not
//! explained as if it had arrived.

use crate::exit::{Exit, Failure};

/// A method, in capitals.
pub(super) fn method(text: &str) -> Result<String, Failure> {
    if is_token(text) {
        return Ok(text.to_ascii_uppercase());
    }
    Err(refuse(&format!("`{}` is no method", text.escape_debug()), "it is a word such as POST"))
}

/// A path with its query.
pub(super) fn path(text: &str) -> Result<String, Failure> {
    if !text.starts_with('/') {
        let message = format!("the path `{}` does not begin with `/`", text.escape_debug());
        let (scheme, host) = ("://", "pass the host by --host, and the path alone");
        let help = if text.contains(scheme) {
            host.to_owned()
        } else {
            format!("did you mean `/{}`?", text.escape_debug())
        };
        return Err(refuse(&message, &help));
    }
    if has_no_blanks(text) {
        return Ok(text.to_owned());
    }
    let message = format!("the path `{}` has a blank or a control byte", text.escape_debug());
    Err(refuse(&message, "write such a byte as `%` and two hexadecimal digits"))
}

/// A host.
pub(super) fn host(text: &str) -> Result<String, Failure> {
    if !text.is_empty() && !text.contains('/') && has_no_blanks(text) {
        return Ok(text.to_owned());
    }
    Err(refuse(
        &format!("`{}` is no host", text.escape_debug()),
        "it is a name such as shop.example",
    ))
}

/// A header, its name in small letters.
pub(super) fn header(text: &str) -> Result<(String, String), Failure> {
    let shown = text.escape_debug();
    if text.starts_with(':') {
        let message = format!("`{shown}` is no header: what begins with `:` is the request's own");
        return Err(refuse(&message, "pass it by --method, --path or --host"));
    }
    let Some((name, value)) = text.split_once(':') else {
        let message = format!("`{shown}` is not of the form NAME: VALUE");
        return Err(refuse(&message, "write a header as in --header 'accept: text/html'"));
    };
    let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
    if !is_token(&name) {
        let help = "it has letters, digits and some signs, but no blanks";
        return Err(refuse(&format!("`{}` is no name of a header", name.escape_debug()), help));
    }
    if name == "host" {
        return Err(refuse("the host is not passed as a header", "pass it by --host"));
    }
    if value.chars().any(|letter| letter.is_control() && letter != '\t') {
        let message =
            format!("the value of `{name}` has a control byte: `{}`", value.escape_debug());
        return Err(refuse(&message, "no proxy lets such a header in"));
    }
    Ok((name, value.to_owned()))
}

fn refuse(message: &str, help: &str) -> Failure {
    Failure::new(Exit::Usage, message).help(help)
}

fn has_no_blanks(text: &str) -> bool {
    !text.chars().any(|letter| letter.is_control() || letter.is_whitespace())
}

/// Whether a text is a token of RFC 9110.
fn is_token(text: &str) -> bool {
    let is_sign = |letter: char| "!#$%&'*+-.^_`|~".contains(letter);
    !text.is_empty() && text.chars().all(|letter| letter.is_ascii_alphanumeric() || is_sign(letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_has_a_name_and_a_value_that_could_arrive() {
        for (text, said) in [
            ("Accept:text/html", Ok(("accept", "text/html"))),
            ("x-meshfence-via: taiwan", Ok(("x-meshfence-via", "taiwan"))),
            ("a: b: c", Ok(("a", "b: c"))),
            ("a:", Ok(("a", ""))),
            ("a: b\tc", Ok(("a", "b\tc"))),
            ("accept", Err("`accept` is not of the form NAME: VALUE")),
            (
                ":path: /x",
                Err("`:path: /x` is no header: what begins with `:` is the request's own"),
            ),
            ("a b: c", Err("`a b` is no name of a header")),
            (" : c", Err("`` is no name of a header")),
            ("a: b\nc", Err("the value of `a` has a control byte: `b\\nc`")),
            ("a: \u{7f}x", Err("the value of `a` has a control byte: `\\u{7f}x`")),
            ("Host: shop.example", Err("the host is not passed as a header")),
        ] {
            let found = header(text).map_err(|failure| {
                assert!(failure.help.is_some(), "{text}");
                assert_eq!(failure.exit, Exit::Usage);
                failure.message
            });
            let expected = said.map(|(name, value)| (name.to_owned(), value.to_owned()));
            assert_eq!(found, expected.map_err(str::to_owned), "{text}");
        }
    }

    #[test]
    fn the_other_parts_are_what_a_client_could_send() {
        assert_eq!(method("post").unwrap(), "POST");
        assert!(method("").is_err() && method("GET /").is_err());
        for (text, help) in [
            ("/a?b=c", None),
            ("foo", Some("did you mean `/foo`?")),
            ("", Some("did you mean `/`?")),
            ("http://shop.example/a", Some("pass the host by --host, and the path alone")),
            ("/a b", Some("write such a byte as `%` and two hexadecimal digits")),
            ("/a\u{0}", Some("write such a byte as `%` and two hexadecimal digits")),
        ] {
            let found = path(text).err().and_then(|failure| failure.help);
            assert_eq!(found.as_deref(), help, "{text:?}");
        }
        for (text, is_host) in [
            ("shop.example", true),
            ("[::1]:80", true),
            ("", false),
            ("a b", false),
            ("a/b", false),
        ] {
            assert_eq!(host(text).is_ok(), is_host, "{text:?}");
        }
    }
}
