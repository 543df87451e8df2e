//! [`Parent`]: the span of another program that a request belongs to, as its header `traceparent` says
//! (W3C Trace Context, <https://www.w3.org/TR/trace-context/>).

/// A span elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parent {
    pub(super) trace: [u8; 16],
    pub(super) span: [u8; 8],
    /// Whether who began the trace keeps it: else nobody wants to hear of it.
    pub(super) sampled: bool,
}

impl Parent {
    /// Reads `00-TRACE-SPAN-FLAGS`; nothing where it is not in order, as if it had not been sent.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let [version] = bytes(version)?;
        // later versions may say more after what this one says
        if version == 0xff || (version == 0 && parts.next().is_some()) {
            return None;
        }
        let (trace, span, [flags]) = (bytes(trace)?, bytes(span)?, bytes(flags)?);
        let is_valid = trace != [0; 16] && span != [0; 8];
        is_valid.then_some(Self { trace, span, sampled: flags & 1 == 1 })
    }
}

/// Pairs of lower-case hexadecimal digits.
fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N || !text.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    let mut bytes = [0; N];
    for (place, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * place..2 * place + 2], 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_recommendation_shows_and_nothing_else() {
        let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let parent = Parent::parse(text).unwrap();
        assert_eq!((parent.trace[0], parent.trace[15], parent.span[0], parent.sampled), (0x0a, 0x9c, 0xb7, true));
        assert!(!Parent::parse(&text.replace("-01", "-00")).unwrap().sampled);
        assert_eq!(Parent::parse(&format!("cc{}-more", &text[2..])), Some(parent));
        for wrong in [
            "",
            "00",
            &text[..54],
            &text.to_uppercase(),
            &format!("{text}-more"),
            &text.replacen("00-", "ff-", 1),
            &text.replace("0af7651916cd43dd8448eb211c80319c", "00000000000000000000000000000000"),
            &text.replace("b7ad6b7169203331", "0000000000000000"),
            "00-0af7651916cd43dd8448eb211c80319é-b7ad6b7169203331-01",
        ] {
            assert_eq!(Parent::parse(wrong), None, "{wrong}");
        }
    }
}
