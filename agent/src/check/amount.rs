//! [`Amount`]: numbers with units in a text, in base units, so that `0.5 g` is `500 mg`.
//!
//! How often something is done is an amount of its own: `500 mg/day` is `500 mg` and once a day, as
//! `500 mg daily` is. Both ends of a range have the unit that follows it. A number without a unit is none.

/// Words that are numbers.
const NUMBERS: [(&str, f64); 32] = [
    ("half", 0.5),
    ("one", 1.0),
    ("two", 2.0),
    ("three", 3.0),
    ("four", 4.0),
    ("five", 5.0),
    ("six", 6.0),
    ("seven", 7.0),
    ("eight", 8.0),
    ("nine", 9.0),
    ("ten", 10.0),
    ("eleven", 11.0),
    ("twelve", 12.0),
    ("thirteen", 13.0),
    ("fourteen", 14.0),
    ("fifteen", 15.0),
    ("sixteen", 16.0),
    ("seventeen", 17.0),
    ("eighteen", 18.0),
    ("nineteen", 19.0),
    ("twenty", 20.0),
    ("thirty", 30.0),
    ("forty", 40.0),
    ("fifty", 50.0),
    ("sixty", 60.0),
    ("seventy", 70.0),
    ("eighty", 80.0),
    ("ninety", 90.0),
    ("hundred", 100.0),
    ("thousand", 1e3),
    ("million", 1e6),
    ("billion", 1e9),
];
/// The least of them that multiplies a number before it, as in `2.4 million`.
const MULTIPLIES: f64 = 100.0;
/// Relative difference below which two amounts are one.
const EQUAL: f64 = 1e-6;
/// A day in seconds.
const DAY: f64 = 86_400.0;

/// A number with its unit.
#[derive(Clone, Debug, PartialEq)]
pub struct Amount {
    /// In base units.
    value: f64,
    /// The base units: numerator, then denominators.
    unit: String,
    /// As it was written.
    pub shown: String,
}

impl Amount {
    /// Whether both say the same.
    pub fn is(&self, other: &Self) -> bool {
        let apart = (self.value - other.value).abs();
        self.unit == other.unit && apart <= EQUAL * self.value.abs().max(other.value.abs())
    }

    /// Whether it can be how much of a drug is given: a mass, an activity, an amount of substance or a number of pieces, and no
    /// concentration.
    pub fn is_dose(&self) -> bool {
        let mut units = self.unit.split('/');
        let given = units
            .next()
            .is_some_and(|unit| ["g", "units", "mol", "eq", "tablets", "drops", "puffs", "doses"].contains(&unit));
        given && units.next() != Some("l")
    }
}

/// What a text is made of here.
#[derive(Debug, PartialEq)]
enum Piece<'a> {
    Number(f64, &'a str),
    Word(&'a str),
    Mark(char),
}

/// The amounts of `text`, in order.
pub fn amounts(text: &str) -> Vec<Amount> {
    let pieces = pieces(text);
    let (mut found, mut at, mut follows) = (Vec::new(), 0, false);
    while at < pieces.len() {
        let after_amount = std::mem::take(&mut follows);
        if let Some((amount, next)) = frequency(&pieces, at, after_amount) {
            found.push(amount);
            at = next;
            continue;
        }
        let Some((first, shown)) = number(&pieces[at]) else {
            at += 1;
            continue;
        };
        let (first, mut next) = multiplied(&pieces, at + 1, first);
        let mut numbers = vec![(first, shown)];
        if let [joint, end, ..] = &pieces[next..]
            && (matches!(joint, Piece::Mark('-' | '–' | '—')) || is_word(joint, &["to", "or", "and"]))
            && let Some((end, shown)) = number(end)
        {
            let (end, after) = multiplied(&pieces, next + 2, end);
            numbers.push((end, shown));
            next = after;
        }
        // `half a tablet`
        if shown.eq_ignore_ascii_case("half") && pieces.get(next).is_some_and(|piece| is_word(piece, &["a", "an"])) {
            next += 1;
        }
        if pieces.get(next) == Some(&Piece::Mark('-')) {
            next += 1;
        }
        let Some((unit, factor, after)) = unit(&pieces, next) else {
            // What looked like the end of a range may begin another amount.
            at += 1;
            continue;
        };
        let written = |number: &str| format!("{number} {}", show(&pieces[next..after]));
        found.extend(numbers.into_iter().map(|(number, shown)| Amount {
            value: number * factor,
            unit: unit.clone(),
            shown: written(shown),
        }));
        (at, follows) = (after, true);
    }
    found
}

/// `value` times what multiplies it from `at` on, and the place after that.
fn multiplied(pieces: &[Piece<'_>], at: usize, value: f64) -> (f64, usize) {
    match pieces.get(at) {
        Some(piece @ Piece::Word(_)) => match number(piece) {
            Some((times, _)) if times >= MULTIPLIES => (value * times, at + 1),
            _ => (value, at),
        },
        _ => (value, at),
    }
}

/// The unit that begins at `at`: base units, what one of it is in them, and the place after it.
fn unit(pieces: &[Piece<'_>], at: usize) -> Option<(String, f64, usize)> {
    let (mut unit, mut factor, mut next) =
        base(pieces, at).map(|(unit, factor, next)| (unit.to_owned(), factor, next))?;
    while let Some(joint) = pieces.get(next) {
        if *joint != Piece::Mark('/') && !is_word(joint, &["per"]) {
            break;
        }
        // A time of days or weeks says how often: an amount of its own.
        let Some((below, divisor, after)) = base(pieces, next + 1) else {
            break;
        };
        if below == "s" && divisor >= DAY {
            break;
        }
        (unit, factor, next) = (format!("{unit}/{below}"), factor / divisor, after);
    }
    Some((unit, factor, next))
}

/// How often: `daily`, `twice a day`, `every 8 hours`, `/day`, `weekly`; after an amount also `a day`.
fn frequency(pieces: &[Piece<'_>], at: usize, after_amount: bool) -> Option<(Amount, usize)> {
    let (times, next) = match &pieces[at] {
        piece if is_word(piece, &["once"]) => (1.0, at + 1),
        piece if is_word(piece, &["twice"]) => (2.0, at + 1),
        piece if is_word(piece, &["thrice"]) => (3.0, at + 1),
        piece => match number(piece) {
            Some((times, _)) if pieces.get(at + 1).is_some_and(|next| is_word(next, &["times", "x"])) => {
                (times, at + 2)
            }
            _ => (1.0, at),
        },
    };
    let piece = pieces.get(next)?;
    let within = |seconds: f64| times * DAY / seconds;
    let (value, next) = if is_word(piece, &["daily", "nightly", "od", "qd"]) {
        (within(DAY), next + 1)
    } else if is_word(piece, &["weekly"]) {
        (within(7.0 * DAY), next + 1)
    } else if is_word(piece, &["bid", "bd"]) {
        (2.0, next + 1)
    } else if is_word(piece, &["tid", "tds"]) {
        (3.0, next + 1)
    } else if is_word(piece, &["qid", "qds"]) {
        (4.0, next + 1)
    } else if is_word(piece, &["every"]) {
        let (count, after) = match pieces.get(next + 1).and_then(number) {
            Some((count, _)) => (count, next + 2),
            None => (1.0, next + 1),
        };
        let ("s", seconds, after) = base(pieces, after)? else {
            return None;
        };
        (within(seconds * count), after)
    } else if *piece == Piece::Mark('/')
        || is_word(piece, &["per", "each"])
        || ((after_amount || next > at) && is_word(piece, &["a"]))
    {
        let ("s", seconds, after) = base(pieces, next + 1)? else {
            return None;
        };
        if seconds < DAY {
            return None;
        }
        (within(seconds), after)
    } else {
        return None;
    };
    let shown = show(&pieces[at..next]);
    value.is_finite().then(|| (Amount { value, unit: "a day".to_owned(), shown }, next))
}

/// One unit, without what it is divided by.
fn base(pieces: &[Piece<'_>], at: usize) -> Option<(&'static str, f64, usize)> {
    let word = match pieces.get(at)? {
        Piece::Mark('%') => return Some(("%", 1.0, at + 1)),
        Piece::Mark('°') => return is_word(pieces.get(at + 1)?, &["c"]).then_some(("°C", 1.0, at + 2)),
        Piece::Word(word) => *word,
        _ => return None,
    };
    // Capitals that are no others' small letters.
    let unit = match word {
        "mM" => ("mol/l", 1e-3),
        "µM" | "μM" | "uM" => ("mol/l", 1e-6),
        "nM" => ("mol/l", 1e-9),
        _ => match word.to_lowercase().as_str() {
            "kg" => ("g", 1e3),
            "g" | "gram" | "grams" => ("g", 1.0),
            "mg" | "milligram" | "milligrams" => ("g", 1e-3),
            "µg" | "μg" | "ug" | "mcg" | "microgram" | "micrograms" => ("g", 1e-6),
            "ng" => ("g", 1e-9),
            "pg" => ("g", 1e-12),
            "l" | "litre" | "litres" | "liter" | "liters" => ("l", 1.0),
            "dl" => ("l", 0.1),
            "ml" | "cc" => ("l", 1e-3),
            "µl" | "μl" | "ul" => ("l", 1e-6),
            "mol" => ("mol", 1.0),
            "mmol" => ("mol", 1e-3),
            "µmol" | "μmol" | "umol" => ("mol", 1e-6),
            "nmol" => ("mol", 1e-9),
            "pmol" => ("mol", 1e-12),
            "meq" => ("eq", 1e-3),
            "iu" | "u" | "unit" | "units" => ("units", 1.0),
            "percent" => ("%", 1.0),
            "mmhg" => ("mmHg", 1.0),
            "m2" | "m^2" | "m²" => ("m2", 1.0),
            "mm" => ("m", 1e-3),
            "cm" => ("m", 1e-2),
            "kcal" => ("kcal", 1.0),
            "bpm" => ("bpm", 1.0),
            "s" | "sec" | "second" | "seconds" => ("s", 1.0),
            "min" | "minute" | "minutes" => ("s", 60.0),
            "h" | "hr" | "hrs" | "hour" | "hours" => ("s", 3_600.0),
            "d" | "day" | "days" => ("s", DAY),
            "week" | "weeks" => ("s", 7.0 * DAY),
            "month" | "months" => ("months", 1.0),
            "year" | "years" => ("months", 12.0),
            "tablet" | "tablets" | "capsule" | "capsules" => ("tablets", 1.0),
            "drop" | "drops" => ("drops", 1.0),
            "puff" | "puffs" => ("puffs", 1.0),
            "dose" | "doses" => ("doses", 1.0),
            _ => return None,
        },
    };
    Some((unit.0, unit.1, at + 1))
}

fn number<'a>(piece: &Piece<'a>) -> Option<(f64, &'a str)> {
    match piece {
        Piece::Number(value, shown) => Some((*value, shown)),
        Piece::Word(word) => {
            let (_, value) = NUMBERS.iter().find(|(number, _)| word.eq_ignore_ascii_case(number))?;
            Some((*value, word))
        }
        Piece::Mark(_) => None,
    }
}

fn is_word(piece: &Piece<'_>, words: &[&str]) -> bool {
    matches!(piece, Piece::Word(word) if words.iter().any(|one| word.eq_ignore_ascii_case(one)))
}

fn show(pieces: &[Piece<'_>]) -> String {
    let one = |piece: &Piece<'_>| match piece {
        Piece::Number(_, shown) | Piece::Word(shown) => (*shown).to_owned(),
        Piece::Mark(mark) => mark.to_string(),
    };
    pieces.iter().map(one).collect::<Vec<_>>().join(" ")
}

/// Numbers end where letters begin, as in `500mg`; letters hold the digits that follow them, as in `HbA1c`.
fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let end = if first.is_ascii_digit() { end_of_number(rest) } else { end_of_word(rest) };
        let (piece, after) = rest.split_at(end.max(first.len_utf8()));
        if first.is_ascii_digit() {
            pieces.push(match value(piece).parse() {
                Ok(value) => Piece::Number(value, piece),
                // Such as a version or a date: no number.
                Err(_) => Piece::Word(piece),
            });
        } else if end > 0 {
            pieces.push(Piece::Word(piece));
        } else if !first.is_whitespace() {
            pieces.push(Piece::Mark(first));
        }
        rest = after;
    }
    pieces
}

/// A number as Rust reads it: commas group thousands, unless what follows or leads them makes them decimal (`2,5`, `0,125`).
fn value(number: &str) -> String {
    match number.split_once(',') {
        Some((whole, part)) if whole == "0" || (part.len() < 3 && !number.contains('.')) => format!("{whole}.{part}"),
        _ => number.replace(',', ""),
    }
}

fn end_of_number(text: &str) -> usize {
    let bytes = text.as_bytes();
    let digits = |from: usize| bytes[from.min(bytes.len())..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut end = digits(0);
    while let Some(b'.' | b',') = bytes.get(end)
        && digits(end + 1) > 0
        // A comma before more than three digits ends the number.
        && (bytes[end] == b'.' || digits(end + 1) <= 3)
    {
        end += 1 + digits(end + 1);
    }
    end
}

fn end_of_word(text: &str) -> usize {
    let belongs = |(at, c): (usize, char)| c.is_alphabetic() || (at > 0 && (c.is_alphanumeric() || c == '^'));
    text.char_indices().find(|one| !belongs(*one)).map_or(text.len(), |(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is(left: &str, right: &str) -> bool {
        let (left, right) = (amounts(left), amounts(right));
        left.len() == right.len() && !left.is_empty() && left.iter().zip(&right).all(|(left, right)| left.is(right))
    }

    #[test]
    fn units_of_one_kind_are_one() {
        for (left, right) in [
            ("0.5 g", "500 mg"),
            ("500mg", "500 milligrams"),
            ("1,000 mcg", "1 mg"),
            ("50 µg", "0.05 mg"),
            ("1 g/day", "1000 mg daily"),
            ("1 g per day", "1 g once daily"),
            ("1 g a day", "1 g daily"),
            ("250 mg twice a day", "0.25 g every 12 hours"),
            ("250 mg bid", "250 mg two times daily"),
            ("7 mmol/L", "7 mM"),
            ("126 mg/dL", "1.26 g/l"),
            ("7 days", "one week"),
            ("5–10 mg", "5 mg to 10 mg"),
            ("5 to 10 mg", "0.005 or 0.010 g"),
            ("6.5%", "6.5 percent"),
            ("a 5-mg tablet", "5 mg"),
            ("1.73 m2", "1.73 m²"),
            ("10 mg/kg/day", "10 mg/kg daily"),
            ("2 years", "24 months"),
            ("60 mL/min", "1 ml/s"),
            ("38 °C", "38°C"),
            ("0,125 mg", "0.125 mg"),
            ("2,5 mg", "2.5 mg"),
            ("twenty mg", "20 mg"),
            ("half a tablet", "0.5 tablets"),
            ("2.4 million units", "2,400,000 IU"),
        ] {
            assert!(is(left, right), "{left} {:?}, {right} {:?}", amounts(left), amounts(right));
        }
        for (left, right) in [
            ("5 mg", "5 ng"),
            ("5 mm", "5 mM"),
            ("5 mg daily", "5 mg twice daily"),
            ("5 mg", "5.1 mg"),
            ("5 mg/kg", "5 mg"),
            ("5 mg/dL", "5 mg/L"),
            ("5 mL/min", "5 mL/h"),
        ] {
            assert!(!is(left, right), "{left} {:?}, {right} {:?}", amounts(left), amounts(right));
        }
    }

    #[test]
    fn doses_are_told_from_what_is_measured() {
        for (text, expect) in [
            ("500 mg", true),
            ("10 mg/kg/day", true),
            ("5 IU", true),
            ("126 mg/dL", false),
            ("7 mmol/L", false),
            ("20 mmol", true),
            ("5 mL/min", false),
        ] {
            assert_eq!(amounts(text)[0].is_dose(), expect, "{text}");
        }
    }

    #[test]
    fn numbers_without_a_unit_are_no_amounts() {
        for text in [
            "",
            "in 1999 there were 45",
            "HbA1c and IL-6",
            "3.4.1 mgs",
            "E1, E2",
            "/ % -",
            "12 / 3",
            "every",
            "a day later",
        ] {
            assert!(amounts(text).is_empty(), "{text}: {:?}", amounts(text));
        }
        assert_eq!(amounts("2 of 5 mg").len(), 1);
        assert_eq!(amounts("1 2 3 4 mg")[0].shown, "4 mg");
    }
}
