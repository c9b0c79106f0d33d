//! `simulation overload`: plays the cases and shows what they gave.

use super::report::sections::Section;
use std::io::IsTerminal as _;
use std::path::PathBuf;

/// How it is called.
pub const USAGE: &str = "usage: simulation overload [--rows reference,matrix,announced,others,goodput,critical] [--seed SEED] [--out DIRECTORY]";
/// The file of the tables.
pub const PAGE: &str = "shedding.md";

/// Plays what was asked for.
///
/// # Errors
/// What was not understood or could not be written.
pub fn run(words: impl Iterator<Item = String>) -> Result<(), String> {
    let (mut sections, mut seed, mut out) = (Section::ALL.to_vec(), 1, None);
    let mut words = words;
    while let Some(word) = words.next() {
        let value = words.next().ok_or(USAGE)?;
        match word.as_str() {
            "--rows" => {
                let of = |name: &str| Section::ALL.into_iter().find(|one| one.name() == name);
                sections = value.split(',').map(of).collect::<Option<_>>().ok_or(USAGE)?;
            }
            "--seed" => seed = value.parse().map_err(|_| USAGE)?,
            "--out" => out = Some(PathBuf::from(value)),
            _ => return Err(USAGE.to_owned()),
        }
    }
    let colour = std::io::stdout().is_terminal();
    let mut page = String::from(
        "# Shedding in the model\n\nMade by `cargo run --release -p simulation -- overload --out \
         host-tests/simulation/overload`; see [README.md](README.md).\n",
    );
    for section in sections {
        let table = section.table(seed);
        println!("{}", table.to_text(colour));
        page.push('\n');
        page.push_str(&table.to_text(false));
    }
    let Some(out) = out else { return Ok(()) };
    let write = |name: &str, text: &str| {
        let path = out.join(name);
        std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))
    };
    std::fs::create_dir_all(&out).map_err(|error| format!("{}: {error}", out.display()))?;
    write(PAGE, &page)?;
    #[cfg(feature = "plots")]
    for (name, svg) in super::report::plots::all(seed) {
        write(name, &svg)?;
    }
    Ok(())
}
