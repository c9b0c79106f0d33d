//! Changes to inputs, by a seed: for runs that are the same everywhere.

/// `SplitMix64`.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// The numbers of a seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number below a bound; 0 for a bound of 0.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        let bound = u64::try_from(bound).unwrap_or(u64::MAX);
        usize::try_from(mixed.checked_rem(bound).unwrap_or_default()).unwrap_or_default()
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.below(from.len()))
    }
}

/// Numbers at which something may break.
const NUMBERS: [&str; 12] = [
    "0",
    "1",
    "-1",
    "255",
    "1024",
    "1025",
    "65536",
    "2147483648",
    "4294967295",
    "9223372036854775808",
    "18446744073709551615",
    "999999999999999999999",
];

/// An input with one to four changes; `others` is where parts may come from.
pub fn mutated(input: &[u8], others: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut input = input.to_vec();
    for _ in 0..=random.below(4) {
        input = change(input, others, random);
    }
    input
}

fn change(mut input: Vec<u8>, others: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    match random.below(10) {
        0 => {
            let byte = u8::try_from(random.below(256)).unwrap_or_default();
            let at = random.below(input.len());
            if let Some(place) = input.get_mut(at) {
                *place = byte;
            }
            input
        }
        1 => {
            let byte = u8::try_from(random.below(256)).unwrap_or_default();
            input.insert(random.below(input.len()), byte);
            input
        }
        2 => {
            let from = random.below(input.len());
            let to = from.saturating_add(random.below(8)).min(input.len());
            input.drain(from..to);
            input
        }
        3 => by_lines(&input, |lines| {
            lines.remove(random.below(lines.len()));
        }),
        4 => by_lines(&input, |lines| {
            if let Some(line) = lines.get(random.below(lines.len())).copied() {
                lines.insert(random.below(lines.len()), line);
            }
        }),
        5 => by_lines(&input, |lines| {
            let (one, other) = (random.below(lines.len()), random.below(lines.len()));
            lines.swap(one, other);
        }),
        // A line of another input.
        6 | 7 => {
            let other = random.pick(others).map(Vec::as_slice).unwrap_or_default();
            let lines: Vec<&[u8]> = other.split(|byte| *byte == b'\n').collect();
            let line = random.pick(&lines).copied().unwrap_or_default();
            by_lines(&input, |lines| lines.insert(random.below(lines.len()), line))
        }
        // A word of another one, or a number, in the place of a word.
        8 => {
            let other = random.pick(others).map(Vec::as_slice).unwrap_or_default();
            let words: Vec<&[u8]> = words(other).collect();
            let word = random.pick(&words).copied().unwrap_or_default().to_vec();
            replaced(&input, &word, random)
        }
        _ => {
            let number = random.pick(&NUMBERS).copied().unwrap_or_default();
            replaced(&input, number.as_bytes(), random)
        }
    }
}

fn is_of_a_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.%".contains(&byte)
}

fn words(input: &[u8]) -> impl Iterator<Item = &[u8]> {
    input.split(|byte| !is_of_a_word(*byte)).filter(|word| !word.is_empty())
}

fn replaced(input: &[u8], new: &[u8], random: &mut Random) -> Vec<u8> {
    let chosen = random.below(words(input).count());
    let (mut out, mut rest, mut number) = (Vec::new(), input, 0_usize);
    while !rest.is_empty() {
        let length = rest.iter().take_while(|byte| is_of_a_word(**byte)).count();
        let (word, after) = rest.split_at(length);
        if !word.is_empty() {
            out.extend_from_slice(if number == chosen { new } else { word });
            number = number.saturating_add(1);
        }
        let gap = after.iter().take_while(|byte| !is_of_a_word(**byte)).count();
        let (between, after) = after.split_at(gap);
        out.extend_from_slice(between);
        rest = after;
    }
    out
}

fn by_lines<'l>(input: &'l [u8], change: impl FnOnce(&mut Vec<&'l [u8]>)) -> Vec<u8> {
    let mut lines: Vec<&[u8]> = input.split(|byte| *byte == b'\n').collect();
    change(&mut lines);
    lines.join(&b'\n')
}

#[cfg(test)]
mod tests {
    use super::{Random, mutated};

    #[test]
    fn the_same_seed_changes_the_same() {
        let others = [b"> a: b\n> c: 9".to_vec(), Vec::new()];
        let run = |seed| {
            let mut random = Random::new(seed);
            let mut input = others[0].clone();
            for _ in 0..2000 {
                input = mutated(&input, &others, &mut random);
                input.truncate(200);
            }
            input
        };
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
    }
}
