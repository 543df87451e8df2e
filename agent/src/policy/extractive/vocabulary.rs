//! [`Vocabulary`]: one name for what has several: abbreviations, lay names, other countries' drug names.

use crate::matching::words;

/// Lay and other names, lower case, and the name used here.
const NAMES: &[(&str, &str)] = &[
    ("adrenaline", "epinephrine"),
    ("blood sugar", "glucose"),
    ("blood thinner", "anticoagulant"),
    ("bowel cancer", "colorectal cancer"),
    ("brittle bones", "osteoporosis"),
    ("c diff", "clostridioides difficile"),
    ("c. difficile", "clostridioides difficile"),
    ("clinical depression", "major depressive disorder"),
    ("enlarged prostate", "benign prostatic hyperplasia"),
    ("frusemide", "furosemide"),
    ("heart attack", "myocardial infarction"),
    ("high blood pressure", "hypertension"),
    ("high cholesterol", "hyperlipidemia"),
    ("high ldl cholesterol", "hyperlipidemia"),
    ("high potassium", "hyperkalemia"),
    ("kidney failure", "kidney disease"),
    ("low sodium", "hyponatremia"),
    ("lupus", "systemic lupus erythematosus"),
    ("overactive thyroid", "hyperthyroidism"),
    ("paracetamol", "acetaminophen"),
    ("preeclampsia", "pre-eclampsia"),
    ("salbutamol", "albuterol"),
    ("side effect", "adverse effect"),
    ("side effects", "adverse effects"),
    ("temporal arteritis", "giant cell arteritis"),
    ("underactive thyroid", "hypothyroidism"),
    ("water pill", "diuretic"),
];

/// Abbreviations, as written, and what they stand for.
const ABBREVIATIONS: &[(&str, &str)] = &[
    ("ACS", "acute coronary syndrome"),
    ("AF", "atrial fibrillation"),
    ("AKI", "acute kidney injury"),
    ("BPH", "benign prostatic hyperplasia"),
    ("CAD", "coronary artery disease"),
    ("CAP", "community-acquired pneumonia"),
    ("CBC", "complete blood count"),
    ("CKD", "chronic kidney disease"),
    ("CML", "chronic myeloid leukemia"),
    ("COPD", "chronic obstructive pulmonary disease"),
    ("CTPA", "CT pulmonary angiography"),
    ("DKA", "diabetic ketoacidosis"),
    ("DVT", "deep vein thrombosis"),
    ("DXA", "dual-energy x-ray absorptiometry"),
    ("ECG", "electrocardiogram"),
    ("EEG", "electroencephalography"),
    ("EKG", "electrocardiogram"),
    ("FIT", "fecal immunochemical test"),
    ("GCA", "giant cell arteritis"),
    ("GERD", "gastroesophageal reflux disease"),
    ("HF", "heart failure"),
    ("HFrEF", "heart failure with reduced ejection fraction"),
    ("IBD", "inflammatory bowel disease"),
    ("IDA", "iron deficiency anemia"),
    ("IGRA", "interferon-gamma release assay"),
    ("ITP", "immune thrombocytopenia"),
    ("MAOI", "monoamine oxidase inhibitor"),
    ("MDD", "major depressive disorder"),
    ("MG", "myasthenia gravis"),
    ("MI", "myocardial infarction"),
    ("NSAID", "nonsteroidal anti-inflammatory drug"),
    ("NSAIDs", "nonsteroidal anti-inflammatory drugs"),
    ("OGTT", "oral glucose tolerance test"),
    ("OSA", "obstructive sleep apnea"),
    ("OUD", "opioid use disorder"),
    ("PCOS", "polycystic ovary syndrome"),
    ("PD", "parkinson disease"),
    ("PE", "pulmonary embolism"),
    ("PPH", "postpartum hemorrhage"),
    ("PSA", "prostate-specific antigen"),
    ("RA", "rheumatoid arthritis"),
    ("SLE", "systemic lupus erythematosus"),
    ("SPEP", "serum protein electrophoresis"),
    ("T1D", "type 1 diabetes"),
    ("T2D", "type 2 diabetes"),
    ("T2DM", "type 2 diabetes"),
    ("TB", "tuberculosis"),
    ("TIA", "transient ischemic attack"),
    ("TLS", "tumor lysis syndrome"),
    ("TSH", "thyroid-stimulating hormone"),
    ("UC", "ulcerative colitis"),
    ("UTI", "urinary tract infection"),
    ("VTE", "venous thromboembolism"),
];

/// Stems that stand for the same thing in a question and in its answer; the first names the group.
const CONCEPTS: &[&[&str]] = &[
    &["avoid", "contraindic", "safe", "unsuit", "unsafe"],
    &["monitor", "check", "measur"],
    &["diagnos", "confirm", "detect"],
    &["prefer", "choic"],
    &["advers", "side"],
    &["start", "begin", "initi"],
    &["stop", "discontinu", "withdraw", "withdrawn", "withdrawal"],
    &["treat", "therap", "medic", "antidot"],
    &["year", "annual"],
    &["eye", "retin", "ophthalmic"],
    &["caus", "provok", "induc"],
    &["occur", "happen"],
];

/// Pairs learned from one episode's evidence are few; more are not kept.
const MAX_LEARNED: usize = 256;

/// Names known, and those that evidence explains (`giant cell arteritis (GCA)`).
#[derive(Clone, Debug, Default)]
pub(super) struct Vocabulary {
    learned: Vec<(String, String)>,
}

impl Vocabulary {
    /// Learns abbreviations that `text` explains where it first uses them: capitals in brackets whose
    /// letters begin the words before (Schwartz and Hearst 2003, initials only).
    pub(super) fn learn(&mut self, text: &str) {
        for (open, _) in text.match_indices('(') {
            let Some(short) = text[open + 1..].split(')').next() else {
                continue;
            };
            let capitals = short.bytes().filter(u8::is_ascii_uppercase).count();
            let plain = (2..=10).contains(&short.len()) && short.bytes().all(|byte| byte.is_ascii_alphanumeric());
            if !plain || capitals < 2 || self.learned.len() >= MAX_LEARNED || self.long_form(short).is_some() {
                continue;
            }
            if let Some(long) = spelled_out(&text[..open], short) {
                self.learned.push((short.to_owned(), long));
            }
        }
    }

    /// `text` with one name for what has several.
    pub(super) fn canonical(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len() + 16);
        let mut rest = text;
        while let Some(start) = rest.find(char::is_alphanumeric) {
            out.push_str(&rest[..start]);
            rest = &rest[start..];
            if let Some((name, length)) = lay_name(rest) {
                out.push_str(name);
                rest = &rest[length..];
                continue;
            }
            let end = rest.find(|c: char| !c.is_alphanumeric()).unwrap_or(rest.len());
            out.push_str(self.long_form(&rest[..end]).unwrap_or(&rest[..end]));
            rest = &rest[end..];
        }
        out.push_str(rest);
        out
    }

    fn long_form(&self, short: &str) -> Option<&str> {
        // What the evidence says it means here goes before what it usually means.
        let learned = self.learned.iter().find(|(known, _)| known == short).map(|(_, long)| long.as_str());
        learned.or_else(|| {
            ABBREVIATIONS.binary_search_by_key(&short, |(known, _)| known).ok().map(|index| ABBREVIATIONS[index].1)
        })
    }
}

/// The stem that stands for `stem` and its like.
pub(super) fn concept(stem: String) -> String {
    let group = CONCEPTS.iter().find(|group| group.contains(&stem.as_str()));
    group.map_or(stem, |group| group[0].to_owned())
}

fn lay_name(text: &str) -> Option<(&'static str, usize)> {
    let first = text.as_bytes().first()?.to_ascii_lowercase();
    let matches = NAMES.iter().filter(|(name, _)| name.as_bytes()[0] == first).filter(|(name, _)| {
        let head = text.get(..name.len());
        head.is_some_and(|head| head.eq_ignore_ascii_case(name))
            && !text[name.len()..].starts_with(char::is_alphanumeric)
    });
    matches.max_by_key(|(name, _)| name.len()).map(|(name, long)| (*long, name.len()))
}

/// The last words of `before` whose initials are the letters of `short`.
fn spelled_out(before: &str, short: &str) -> Option<String> {
    let parts: Vec<_> = words(before).collect();
    let letters: Vec<_> = short.bytes().filter(u8::is_ascii_alphabetic).map(|byte| byte.to_ascii_lowercase()).collect();
    let start = parts.len().checked_sub(letters.len())?;
    let long = &parts[start..];
    let initials = long.iter().map(|word| word.as_bytes()[0].to_ascii_lowercase());
    initials.eq(letters).then(|| long.join(" ").to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted() {
        assert!(ABBREVIATIONS.is_sorted());
        assert!(NAMES.is_sorted());
    }

    #[test]
    fn names_become_one() {
        let mut vocabulary = Vocabulary::default();
        assert_eq!(
            vocabulary.canonical("Is AF (or high blood pressure) safe?"),
            "Is atrial fibrillation (or hypertension) safe?"
        );
        assert_eq!(vocabulary.canonical("CAPS and lupuses"), "CAPS and lupuses");
        vocabulary.learn("In focal segmental glomerulosclerosis (FSG) and the adductor frame (AF), é (Éa).");
        assert_eq!(vocabulary.canonical("FSG, AF"), "focal segmental glomerulosclerosis, atrial fibrillation");
    }
}
