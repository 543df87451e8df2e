//! Numbers and addresses in networks: telephone, e-mail, records, social security, NHS, passports.

use std::sync::LazyLock;

use regex::Regex;

use super::{Identifier, Kind, around, has_word, pattern};

struct Patterns {
    email: Regex,
    url: Regex,
    ipv4: Regex,
    ipv6: Regex,
    phone: Regex,
    called: Regex,
    social: Regex,
    nhs: Regex,
    named: Regex,
    hardware: Regex,
}

static PATTERNS: LazyLock<Patterns> = LazyLock::new(|| Patterns {
    email: pattern(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}"),
    url: pattern(r#"(?i-u:https?://|www\.)[^ \n\t<>"\])}]+"#),
    ipv4: pattern(r"\b[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\b"),
    ipv6: pattern(r"\b(?:[0-9A-Fa-f]{1,4}:){4,7}[0-9A-Fa-f]{1,4}\b"),
    phone: pattern(
        r"(?:\+[0-9]{1,3}[ .-]?)?(?:\([0-9]{2,5}\) ?|\b[0-9]{3}[.-])[0-9]{3,4}[ .-]?[0-9]{3,4}\b|\+[0-9]{1,3}(?:[ .-]?\(?[0-9]{1,4}\)?){2,6}[0-9]\b|\b0[0-9]{2,4}[ -][0-9]{3,4}[ -]?[0-9]{3,4}\b",
    ),
    called: pattern(
        r"\b(?i-u:phone|telephone|tel|mobile|cell|cellphone|fax|pager|call (?:me|her|him|them|us)|contact number|reached at|reach (?:me|her|him) (?:at|on))\b(?: ?(?i-u:number|no\.?|is|at|on|me|:))*[ :#.]{0,3}(\+?[0-9(][0-9() .-]{5,18}[0-9])",
    ),
    social: pattern(r"\b([0-9]{3})[- ]([0-9]{2})[- ]([0-9]{4})\b"),
    nhs: pattern(r"\b[0-9]{3}[ -]?[0-9]{3}[ -]?[0-9]{4}\b"),
    named: pattern(
        r"(?i-u)\b(mrn|medical record|hospital (?:id|number|no|record)|patient (?:id|identifier|number|no)|chart (?:id|number|no)|record (?:id|number|no)|account (?:number|no|id)|account|acct|bank account|policy|insurance (?:id|number|no|policy|card)|member(?:ship)? (?:id|number|no)|subscriber (?:id|number)|medicare|medicaid|beneficiary|health plan|group (?:number|no)|driver'?s licen[cs]e|driving licen[cs]e|licen[cs]e (?:number|no|plate)|licen[cs]e|certificate (?:number|no)|number plate|licen[cs]e plate|vehicle|vin|serial(?: number| no)?|device (?:id|identifier|serial|number)|pacemaker|implant|passport|nhs|ssn|social security|national insurance|case id|encounter (?:id|number)|visit number)\b(?:[ ]?(?:number|no\.?|num|id|serial|policy|plate|card|identifier|is|was|with|reads|of)\b)*\.?[ ]?[:#=]{0,2}[ ]?#?((?-i:[A-Z0-9][A-Z0-9]*(?:[/ -]?[A-Z0-9]+){0,5}))\b",
    ),
    hardware: pattern(r"\b(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}\b"),
});

/// Hosts that lead to literature and not to a person.
const LITERATURE: &[&str] = &[
    "doi.org",
    "nih.gov",
    "pubmed",
    "clinicaltrials.gov",
    "who.int",
    "cochrane",
    "nice.org.uk",
    "cdc.gov",
    "fda.gov",
    "europa.eu",
    "europepmc.org",
    "arxiv.org",
];

pub(super) fn find(text: &str, found: &mut Vec<Identifier>) {
    let patterns = &*PATTERNS;
    let mut push = |kind, span| found.push(Identifier { kind, span });
    for hit in patterns.email.find_iter(text) {
        push(Kind::Email, hit.range());
    }
    for hit in patterns.url.find_iter(text) {
        let url = hit.as_str().trim_end_matches(['.', ',', ';', ':', '?', '!', '\'']);
        let host = url.split("://").last().and_then(|rest| rest.split('/').next()).unwrap_or_default();
        if !LITERATURE.iter().any(|known| host.contains(known)) {
            push(Kind::Url, hit.start()..hit.start() + url.len());
        }
    }
    for hit in patterns.ipv4.find_iter(text) {
        let parts: Vec<u32> = hit.as_str().split('.').filter_map(|part| part.parse().ok()).collect();
        let is_address = parts.iter().all(|part| *part < 256) && stands_alone(text, &hit.range());
        // numbers of enzymes and of sections look the same and are small
        let is_large = parts.iter().filter(|part| **part > 30).count() >= 2;
        if is_address && (is_large || has_word(around(text, &hit.range(), 20), &["ip", "ips", "address"])) {
            push(Kind::Network, hit.range());
        }
    }
    for hit in patterns.ipv6.find_iter(text) {
        if hit.as_str().bytes().any(|byte| byte.is_ascii_alphabetic()) && hit.len() > 12 {
            push(Kind::Network, hit.range());
        }
    }
    for hit in patterns.hardware.find_iter(text) {
        push(Kind::Number, hit.range());
    }
    for hit in patterns.phone.find_iter(text) {
        let digits = hit.as_str().bytes().filter(u8::is_ascii_digit).count();
        if (9..=15).contains(&digits) && stands_alone(text, &hit.range()) {
            push(Kind::Phone, hit.range());
        }
    }
    for hit in patterns.called.captures_iter(text).filter_map(|hit| hit.get(1)) {
        if hit.as_str().bytes().filter(u8::is_ascii_digit).count() >= 7 {
            push(Kind::Phone, hit.range());
        }
    }
    for hit in patterns.social.captures_iter(text) {
        let (Some(whole), Some(area), Some(group), Some(serial)) = (hit.get(0), hit.get(1), hit.get(2), hit.get(3))
        else {
            continue;
        };
        let has_dashes = whole.as_str().contains('-');
        let is_cued = has_word(around(text, &whole.range(), 40), &["ssn", "social"]);
        if is_social([area.as_str(), group.as_str(), serial.as_str()])
            && (has_dashes || is_cued)
            && stands_alone(text, &whole.range())
        {
            push(Kind::SocialSecurity, whole.range());
        }
    }
    for hit in patterns.nhs.find_iter(text) {
        let is_bare = hit.len() == 10;
        let is_cued = has_word(around(text, &hit.range(), 40), &["nhs"]);
        if is_nhs(hit.as_str()) && (!is_bare || is_cued) && stands_alone(text, &hit.range()) {
            push(Kind::Nhs, hit.range());
        }
    }
    for hit in patterns.named.captures_iter(text) {
        let (Some(cue), Some(number)) = (hit.get(1), hit.get(2)) else { continue };
        let cue = cue.as_str().to_ascii_lowercase();
        let (kind, least) = match cue.as_str() {
            "passport" => (Kind::Passport, 5),
            "nhs" => (Kind::Nhs, 9),
            "ssn" | "social security" => (Kind::SocialSecurity, 8),
            // short numbers after these words are amounts
            "account" | "policy" | "vehicle" | "medicare" | "medicaid" | "health plan" | "pacemaker" | "implant"
            | "beneficiary" | "license" | "licence" => (Kind::Number, 5),
            "license plate" | "licence plate" | "number plate" => (Kind::Number, 2),
            _ => (Kind::Number, 4),
        };
        // letters in capitals that follow a number on the same line may be the next word
        let number_text = number.as_str();
        let end = number_text.rfind(|c: char| c.is_ascii_digit()).map_or(0, |at| at + 1);
        let end = end + number_text[end..].find(' ').unwrap_or(number_text.len() - end);
        let digits = number_text[..end].bytes().filter(u8::is_ascii_digit).count();
        if digits >= least {
            push(kind, number.start()..number.start() + end);
        }
    }
}

/// Whether no digit, or sign that makes a longer number of it, stands beside `span`.
fn stands_alone(text: &str, span: &std::ops::Range<usize>) -> bool {
    let joins = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '=' | '@');
    let before = text[..span.start].chars().next_back();
    let mut after = text[span.end..].chars();
    let (next, second) = (after.next(), after.next());
    let goes_on = matches!(next, Some('.' | '-' | ',')) && second.is_some_and(|c| c.is_ascii_digit());
    let came_from = before.is_some_and(|c| joins(c) || c == '.' || c == '-');
    !came_from && !next.is_some_and(joins) && !goes_on
}

/// Whether the number could have been given out.
pub(super) fn is_social([area, group, serial]: [&str; 3]) -> bool {
    !(area == "000" || area == "666" || area.starts_with('9') || group == "00" || serial == "0000")
}

/// Whether the last of ten digits is the check digit of the others.
pub(super) fn is_nhs(text: &str) -> bool {
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(10)).collect();
    if digits.len() != 10 || digits.iter().all(|digit| *digit == digits[0]) {
        return false;
    }
    let sum: u32 = digits[..9].iter().zip((2..=10).rev()).map(|(digit, weight)| digit * weight).sum();
    (11 - sum % 11) % 11 == digits[9]
}
