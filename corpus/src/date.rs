//! A publication date as precise as its source gave it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Year, perhaps month, perhaps day; written `2021`, `2021-03` or `2021-03-09`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct PartialDate {
    /// The year, 1000 to 9999.
    pub year: u16,
    /// 1 to 12.
    pub month: Option<u8>,
    /// 1 to 31, only with a month.
    pub day: Option<u8>,
}

impl PartialDate {
    /// A date from its parts; parts out of range are dropped with all that depends on them.
    pub fn new(year: u16, month: Option<u8>, day: Option<u8>) -> Option<Self> {
        (1000..=9999).contains(&year).then(|| {
            let month = month.filter(|month| (1..=12).contains(month));
            let day = day.filter(|day| month.is_some() && (1..=31).contains(day));
            Self { year, month, day }
        })
    }

    /// Reads `2021`, `2021-03`, `2021-3-9` or a longer ISO date-time; anything else is `None`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.trim().splitn(3, '-');
        let year = parts.next()?.trim().parse().ok()?;
        let month = parts.next().and_then(|part| part.trim().parse().ok());
        let day = parts.next().and_then(|part| {
            let digits = part.trim_start().bytes().take_while(u8::is_ascii_digit).count();
            part.trim_start()[..digits].parse().ok()
        });
        Self::new(year, month, day)
    }
}

impl fmt::Display for PartialDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}", self.year)?;
        if let Some(month) = self.month {
            write!(f, "-{month:02}")?;
        }
        if let Some(day) = self.day {
            write!(f, "-{day:02}")?;
        }
        Ok(())
    }
}

impl From<PartialDate> for String {
    fn from(date: PartialDate) -> Self {
        date.to_string()
    }
}

impl TryFrom<String> for PartialDate {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or_else(|| format!("`{text}` is no date"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_precision_it_was_given() {
        for text in ["2021", "2021-03", "2021-03-09"] {
            assert_eq!(PartialDate::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(PartialDate::parse("2021-3-9T10:00").unwrap().to_string(), "2021-03-09");
        assert_eq!(PartialDate::parse("2021-13").unwrap().to_string(), "2021");
        assert_eq!(PartialDate::parse("spring"), None);
    }
}
