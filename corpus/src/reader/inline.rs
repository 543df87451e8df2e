//! Mixed content as one line of text: emphasis dropped, sub- and superscripts and formulas kept.
//!
//! `1.73 m<sup>2</sup>` becomes `1.73 m²` and `10<sup>-3</sup>` `10⁻³`; a script that Unicode does not
//! have whole becomes `^` or `_` and itself (`x<sup>abc</sup>` is `x^abc`). Numbers that only point to
//! the reference list are dropped, or `23%<xref>4</xref>` would read as `23%4`.

use super::xml::{Child, Element, push_entity};

/// Stands for a dropped reference until the brackets around it are dropped too. No XML holds it.
const REFERENCE: char = '\u{1}';
/// Stands for white space with a line end in it: layout of the file, not of the text.
const LAYOUT: char = '\t';
/// How far back layout is looked for.
const LAYOUT_BYTES: usize = 256;

/// The text of `element`. Blanks are not tidied: [`crate::text::normalise`] does that.
pub(super) fn text(element: Element<'_>) -> String {
    let mut out = String::new();
    write(element, &mut out);
    finish(out)
}

/// Drops what is left of references in text that was written by [`write`] or [`write_child`].
pub(super) fn finish(out: String) -> String {
    if out.contains(REFERENCE) { without_references(&out) } else { out }
}

/// Appends the content of `element`.
pub(super) fn write(element: Element<'_>, out: &mut String) {
    element.children().for_each(|child| write_child(child, out));
}

/// Appends one child of an element, tags and all.
pub(super) fn write_child(child: Child<'_>, out: &mut String) {
    match child {
        Child::Text(text) => write_text(text, out),
        Child::Entity(name) => push_entity(name, out),
        Child::Element(element) => write_element(element, out),
    }
}

fn write_text(text: &str, out: &mut String) {
    let mut lines = text.split(['\n', '\r']);
    out.push_str(lines.next().unwrap_or_default());
    for line in lines {
        out.push(LAYOUT);
        out.push_str(line);
    }
}

fn write_element(element: Element<'_>, out: &mut String) {
    match element.name() {
        "sup" => script(element, '^', superscript, out),
        "sub" => script(element, '_', subscript, out),
        "xref" if element.is("ref-type", "bibr") => reference(element, out),
        "break" => out.push('\n'),
        "fn" | "alt-text" | "long-desc" | "object-id" | "annotation" | "annotation-xml" | "index-term" => {}
        "alternatives" | "inline-formula" | "disp-formula" => formula(element, out),
        "tex-math" => out.push_str(&latex(element)),
        "msup" | "msub" | "msubsup" | "mfrac" | "msqrt" => math(element, out),
        "p" | "title" | "label" | "list-item" | "td" | "disp-quote" => {
            out.push(' ');
            write(element, out);
            out.push(' ');
        }
        _ => write(element, out),
    }
}

/// One of the renderings of a formula: MathML rather than TeX, anything rather than a picture.
fn formula(element: Element<'_>, out: &mut String) {
    let holder = element.child("alternatives").unwrap_or(element);
    match holder.child("math") {
        Some(math) => write(math, out),
        None => write(holder, out),
    }
}

/// TeX without the document around it.
fn latex(element: Element<'_>) -> String {
    let mut whole = String::new();
    write(element, &mut whole);
    let body = whole.split_once("\\begin{document}").map_or(whole.as_str(), |(_, body)| body);
    let body = body.split_once("\\end{document}").map_or(body, |(body, _)| body);
    body.trim().trim_matches('$').to_owned()
}

fn math(element: Element<'_>, out: &mut String) {
    let mut parts = element.elements().map(|part| {
        let mut text = String::new();
        write_element(part, &mut text);
        text.split_whitespace().collect::<String>()
    });
    let mut part = || parts.next().unwrap_or_default();
    match element.name() {
        "msup" => {
            out.push_str(&part());
            push_script(&part(), '^', superscript, out);
        }
        "mfrac" => {
            let (over, under) = (part(), part());
            let wrap = |part: &str| {
                if part.chars().all(char::is_alphanumeric) { part.to_owned() } else { format!("({part})") }
            };
            out.extend([&wrap(&over), "/", &wrap(&under)]);
        }
        "msqrt" => {
            out.push_str("√(");
            out.extend(parts);
            out.push(')');
        }
        _ => {
            out.push_str(&part());
            push_script(&part(), '_', subscript, out);
            push_script(&part(), '^', superscript, out);
        }
    }
}

fn script(element: Element<'_>, mark: char, shape: fn(char) -> Option<char>, out: &mut String) {
    let mut inner = String::new();
    write(element, &mut inner);
    if inner.contains(REFERENCE) && inner.chars().all(is_reference_mark) {
        out.push(REFERENCE);
        return;
    }
    // A line break before a script is the file's, not the text's.
    let blanks = out.bytes().rev().take(LAYOUT_BYTES).take_while(u8::is_ascii_whitespace).count();
    let kept = out.len() - blanks;
    if out[kept..].contains(LAYOUT) {
        out.truncate(kept);
    }
    push_script(inner.trim(), mark, shape, out);
}

fn push_script(inner: &str, mark: char, shape: fn(char) -> Option<char>, out: &mut String) {
    let before = out.len();
    for c in inner.chars() {
        let Some(shaped) = shape(c) else {
            out.truncate(before);
            // A mark such as ° or * reads the same on the line.
            if inner.chars().any(char::is_alphanumeric) {
                out.push(mark);
            }
            out.push_str(inner);
            return;
        };
        out.push(shaped);
    }
}

fn superscript(c: char) -> Option<char> {
    Some(match c {
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        '0' | '4'..='9' => char::from_u32('⁰' as u32 + (c as u32 - '0' as u32))?,
        '+' => '⁺',
        '-' | '−' | '–' => '⁻',
        '=' => '⁼',
        '(' => '⁽',
        ')' => '⁾',
        'n' => 'ⁿ',
        'i' => 'ⁱ',
        _ => return None,
    })
}

fn subscript(c: char) -> Option<char> {
    Some(match c {
        '0'..='9' => char::from_u32('₀' as u32 + (c as u32 - '0' as u32))?,
        '+' => '₊',
        '-' | '−' | '–' => '₋',
        '=' => '₌',
        '(' => '₍',
        ')' => '₎',
        'n' => 'ₙ',
        'i' => 'ᵢ',
        _ => return None,
    })
}

/// A pointer to the reference list: kept if it has words (`Smith 2010`), dropped if it is a number.
fn reference(element: Element<'_>, out: &mut String) {
    let mut inner = String::new();
    write(element, &mut inner);
    let is_number = |word: &str| {
        let letters = word.chars().filter(|c| c.is_alphabetic()).count();
        letters == 0 || (letters == 1 && word.contains(|c: char| c.is_numeric()))
    };
    let shaped = |c: char| matches!(c, '^' | '_' | REFERENCE);
    if inner.split(|c: char| c.is_whitespace() || shaped(c)).all(is_number) {
        out.push(REFERENCE);
    } else {
        out.push_str(&inner);
    }
}

/// What may stand between references: separators, and blanks.
fn is_reference_mark(c: char) -> bool {
    c == REFERENCE || c.is_whitespace() || matches!(c, ',' | ';' | '-' | '–' | '—' | '^' | '⁻' | '[' | ']' | '(' | ')')
}

/// Drops each run of references with the separators in it, the brackets around it, and the blank
/// before it.
fn without_references(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(REFERENCE) {
        out.push_str(&rest[..at]);
        // The run ends at its last reference.
        let run = &rest[at..];
        let is_between = |c: char| c == REFERENCE || c.is_whitespace() || matches!(c, ',' | ';' | '-' | '–' | '—');
        let reach = run.find(|c| !is_between(c)).unwrap_or(run.len());
        let end = run[..reach].rfind(REFERENCE).map_or(0, |last| last + REFERENCE.len_utf8());
        rest = &run[end..];
        let before = out.trim_end();
        let after = rest.trim_start();
        for (open, close) in [('[', ']'), ('(', ')')] {
            if let (Some(before), Some(after)) = (before.strip_suffix(open), after.strip_prefix(close)) {
                let kept = before.trim_end().len();
                rest = after;
                out.truncate(kept);
                break;
            }
        }
        let next = rest.chars().next();
        if next.is_none_or(|c| matches!(c, '.' | ',' | ';' | ':' | ')' | ']') || c.is_whitespace()) {
            out.truncate(out.trim_end().len());
            // `seen [4] .` leaves no blank before its stop.
            if rest.trim_start().starts_with(['.', ',', ';']) {
                rest = rest.trim_start();
            }
        } else if next.is_some_and(char::is_alphanumeric) {
            out.push(' ');
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::super::xml::Tree;
    use super::*;

    fn of(content: &str) -> String {
        let record = format!("<p>{content}</p>");
        let tree = Tree::parse(&record).unwrap();
        crate::text::normalise(&text(tree.root()))
    }

    #[test]
    fn scripts_become_unicode_or_marks() {
        assert_eq!(of("1.73 m<sup>2</sup> and 10<sup>&#8722;3</sup>"), "1.73 m² and 10⁻³");
        assert_eq!(of("CO<sub>2</sub>, x<sup>abc</sup>, C<sub>max</sub>"), "CO₂, x^abc, C_max");
        assert_eq!(of("a<sup> 2 </sup>b<sup></sup>37<sup>°</sup>C"), "a²b37°C");
        assert_eq!(of("&#946;\n\t\t<sub>2</sub>-agonist"), "β₂-agonist");
        assert_eq!(of("<i>E. coli</i> <b>O157</b>"), "E. coli O157");
    }

    #[test]
    fn entities_are_decoded_or_kept() {
        assert_eq!(of("a&nbsp;&lt; b &alpha;&#x3b2; &amp;"), "a < b αβ &");
        assert_eq!(of("&nosuch; &#xD800; &#99999999; R&D"), "&nosuch; &#xD800; &#99999999; R&D");
        assert_eq!(of("<![CDATA[<x> & y]]>"), "<x> & y");
    }

    #[test]
    fn numbers_of_references_are_dropped() {
        let x = |inner: &str| format!("<xref ref-type=\"bibr\" rid=\"B\">{inner}</xref>");
        assert_eq!(of(&format!("fell by 23%.{} Then", x("4"))), "fell by 23%. Then");
        assert_eq!(of(&format!("seen [{},{}–{}].", x("4"), x("5"), x("9"))), "seen.");
        assert_eq!(of(&format!("seen [{}] there", x("4"))), "seen there");
        assert_eq!(of(&format!("seen [{}] . Then", x("4"))), "seen. Then");
        assert_eq!(of(&format!("seen{} there", x("[4]"))), "seen there");
        assert_eq!(of(&format!("m<sup>2</sup><sup>{},{}</sup> is", x("4"), x("5"))), "m² is");
        assert_eq!(of(&format!("({}) say", x("Smith et al., 2010"))), "(Smith et al., 2010) say");
        assert_eq!(of(&format!("x{}y", x("<sup>4</sup>"))), "x y");
    }

    #[test]
    fn formulas_stay_readable() {
        assert_eq!(of("<mml:math><mml:msup><mml:mi>x</mml:mi><mml:mn>2</mml:mn></mml:msup></mml:math>"), "x²");
        assert_eq!(of("<math><mfrac><mrow><mi>a</mi><mo>+</mo><mi>b</mi></mrow><mn>2</mn></mfrac></math>"), "(a+b)/2");
        let tex = "<tex-math>\\documentclass{x}\\begin{document}$$y^2$$\\end{document}</tex-math>";
        assert_eq!(of(&format!("<inline-formula>{tex}</inline-formula>")), "y^2");
        let both = format!("<alternatives>{tex}<mml:math><mml:mi>y</mml:mi></mml:math></alternatives>");
        assert_eq!(of(&format!("<inline-formula>{both}</inline-formula>")), "y");
    }
}
