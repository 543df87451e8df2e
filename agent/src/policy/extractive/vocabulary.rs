//! [`Vocabulary`]: one name for what has several: abbreviations, lay names, other countries' drug names.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::LazyLock;

use super::pool::stems;
use crate::matching::words;

/// Lay names, names in other countries and common brands, lower case, and the name used here.
const NAMES: &[(&str, &str)] = &[
    ("accutane", "isotretinoin"),
    ("activase", "alteplase"),
    ("adrenaline", "epinephrine"),
    ("aldactone", "spironolactone"),
    ("amoxil", "amoxicillin"),
    ("asacol", "mesalamine"),
    ("blood sugar", "glucose"),
    ("blood thinner", "anticoagulant"),
    ("bowel cancer", "colorectal cancer"),
    ("breast feeding", "breastfeeding"),
    ("breast-feeding", "breastfeeding"),
    ("brittle bones", "osteoporosis"),
    ("c diff", "clostridioides difficile"),
    ("c. difficile", "clostridioides difficile"),
    ("clinical depression", "major depressive disorder"),
    ("clozaril", "clozapine"),
    ("cordarone", "amiodarone"),
    ("cortef", "hydrocortisone"),
    ("coumadin", "warfarin"),
    ("depakene", "valproate"),
    ("depakote", "valproate"),
    ("divalproex", "valproate"),
    ("eliquis", "apixaban"),
    ("elitek", "rasburicase"),
    ("enlarged prostate", "benign prostatic hyperplasia"),
    ("epilim", "valproate"),
    ("epipen", "epinephrine"),
    ("femara", "letrozole"),
    ("flomax", "tamsulosin"),
    ("fosamax", "alendronate"),
    ("frusemide", "furosemide"),
    ("gleevec", "imatinib"),
    ("glivec", "imatinib"),
    ("glucophage", "metformin"),
    ("heart attack", "myocardial infarction"),
    ("high blood pressure", "hypertension"),
    ("high cholesterol", "hyperlipidemia"),
    ("high ldl cholesterol", "hyperlipidemia"),
    ("high potassium", "hyperkalemia"),
    ("hydroxycarbamide", "hydroxyurea"),
    ("imitrex", "sumatriptan"),
    ("jantoven", "warfarin"),
    ("jardiance", "empagliflozin"),
    ("kidney failure", "kidney disease"),
    ("lactating", "breastfeeding"),
    ("lactation", "breastfeeding"),
    ("lasix", "furosemide"),
    ("lipitor", "atorvastatin"),
    ("lithobid", "lithium"),
    ("lopressor", "metoprolol"),
    ("low sodium", "hyponatremia"),
    ("lupus", "systemic lupus erythematosus"),
    ("mesalazine", "mesalamine"),
    ("mestinon", "pyridostigmine"),
    ("mucomyst", "acetylcysteine"),
    ("narcan", "naloxone"),
    ("norvasc", "amlodipine"),
    ("nursing infant", "breastfeeding infant"),
    ("nursing mother", "breastfeeding mother"),
    ("nursing mothers", "breastfeeding mothers"),
    ("overactive thyroid", "hyperthyroidism"),
    ("pacerone", "amiodarone"),
    ("panadol", "acetaminophen"),
    ("paracetamol", "acetaminophen"),
    ("pitocin", "oxytocin"),
    ("plaquenil", "hydroxychloroquine"),
    ("preeclampsia", "pre-eclampsia"),
    ("prinivil", "lisinopril"),
    ("proventil", "albuterol"),
    ("pulmicort", "budesonide"),
    ("roaccutane", "isotretinoin"),
    ("salbutamol", "albuterol"),
    ("side effect", "adverse effect"),
    ("side effects", "adverse effects"),
    ("sinemet", "levodopa"),
    ("sodium valproate", "valproate"),
    ("spiriva", "tiotropium"),
    ("suboxone", "buprenorphine"),
    ("subutex", "buprenorphine"),
    ("synthroid", "levothyroxine"),
    ("tapazole", "methimazole"),
    ("temporal arteritis", "giant cell arteritis"),
    ("toprol", "metoprolol"),
    ("tylenol", "acetaminophen"),
    ("underactive thyroid", "hypothyroidism"),
    ("valproic acid", "valproate"),
    ("vancocin", "vancomycin"),
    ("ventolin", "albuterol"),
    ("water pill", "diuretic"),
    ("zestril", "lisinopril"),
    ("zoloft", "sertraline"),
    ("zyloprim", "allopurinol"),
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
    ("GORD", "gastroesophageal reflux disease"),
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

/// Words that name the same people, organ or illness, though they weigh as words of their own.
const KIN: &[&str] = &[
    "pregnancy pregnant gestation gestational trimester fetal fetus teratogenic teratogen conception maternal",
    "child children childhood pediatric infant infancy adolescent toddler baby babies",
    "newborn neonatal neonate",
    "kidney renal egfr glomerular creatinine nephropathy",
    "liver hepatic cirrhosis cirrhotic aminotransferase transaminase hepatotoxicity hepatotoxic",
    "elderly geriatric",
    "sepsis septic",
    "psoriasis psoriatic",
];

/// The same as stems.
static KIN_STEMS: LazyLock<Vec<BTreeSet<String>>> = LazyLock::new(|| KIN.iter().map(|group| stems(group)).collect());

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
            if let Some((name, length)) = lay_name(rest).filter(|(name, length)| !is_within(name, *length, &out, rest))
            {
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
            let short =
                short.strip_suffix('s').filter(|short| short.bytes().all(|b| b.is_ascii_uppercase())).unwrap_or(short);
            ABBREVIATIONS.binary_search_by_key(&short, |(known, _)| known).ok().map(|index| ABBREVIATIONS[index].1)
        })
    }
}

/// `text` in lower case and in one spelling: British becomes American, so that `oesophageal` meets `esophageal`.
pub(super) fn fold(text: &str) -> String {
    let lower = text.to_lowercase();
    let mut folded = String::with_capacity(lower.len());
    for piece in lower.split_inclusive(|c: char| !c.is_alphabetic()) {
        let word = piece.trim_end_matches(|c: char| !c.is_alphabetic());
        folded.push_str(&american(word));
        folded.push_str(&piece[word.len()..]);
    }
    folded
}

fn american(word: &str) -> Cow<'_, str> {
    const BEGINNINGS: &[(&str, &str)] =
        &[("oesoph", "esoph"), ("oestr", "estr"), ("oedem", "edem"), ("aetiol", "etiol")];
    const WITHIN: &[(&str, &str)] = &[
        ("aem", "em"),
        ("amoeb", "ameb"),
        ("anaesth", "anesth"),
        ("behaviour", "behavior"),
        ("caec", "cec"),
        ("caesar", "cesar"),
        ("coeli", "celi"),
        ("colour", "color"),
        ("faec", "fec"),
        ("fibre", "fiber"),
        ("foet", "fet"),
        ("gynaec", "gynec"),
        ("labour", "labor"),
        ("leucocyt", "leukocyt"),
        ("litre", "liter"),
        ("ooesoph", "oesoph"),
        ("paed", "ped"),
        ("pnoea", "pnea"),
        ("rrhoea", "rrhea"),
        ("sulph", "sulf"),
        ("tumour", "tumor"),
    ];
    // `-ise` of verbs; `promise` and `exercise` have it in either spelling.
    const VERBS: &[(&str, &str)] = &[
        ("isations", "izations"),
        ("isation", "ization"),
        ("ising", "izing"),
        ("ised", "ized"),
        ("ises", "izes"),
        ("ise", "ize"),
    ];
    const BEFORE: &[&str] =
        &["al", "an", "ar", "el", "er", "et", "gn", "id", "il", "im", "in", "it", "ol", "om", "on", "ot", "un", "ur"];
    if word.len() < 5 {
        return Cow::Borrowed(word);
    }
    let mut word = Cow::Borrowed(word);
    for (from, to) in BEGINNINGS {
        if let Some(rest) = word.strip_prefix(from) {
            word = Cow::Owned(format!("{to}{rest}"));
        }
    }
    for (from, to) in WITHIN {
        if word.contains(from) {
            word = Cow::Owned(word.replace(from, to));
        }
    }
    if let Some((root, to)) = VERBS.iter().find_map(|(from, to)| Some((word.strip_suffix(from)?, to)))
        && BEFORE.iter().any(|before| root.ends_with(before))
        && !root.ends_with("prom")
    {
        word = Cow::Owned(format!("{root}{to}"));
    }
    word
}

/// `query` with the American spelling of its words behind it, where that differs: an index may hold either.
pub(super) fn both_spellings(query: &str) -> String {
    let other = words(query).filter_map(|word| {
        let folded = fold(word);
        (folded != word.to_lowercase()).then_some(folded)
    });
    std::iter::once(query.to_owned()).chain(other).collect::<Vec<_>>().join(" ")
}

/// The stems that name the same as `stem`.
pub(super) fn kin(stem: &str) -> Option<&'static BTreeSet<String>> {
    KIN_STEMS.iter().find(|group| group.contains(stem))
}

/// Bytes of what two forms of a word have in common at least.
pub(super) const SHORTEST_ROOT: usize = 5;

/// Whether two stems are one word with the endings of a noun and an adjective: `diabetes`, `diabetic`.
pub(super) fn is_form(one: &str, other: &str) -> bool {
    const ENDINGS: &[&str] = &["atic", "ic", "ia", "is", "es", "ous", "al", "um", "us", "i", "a", "s", "t"];
    let roots = |stem: &str| {
        let ending = ENDINGS.iter().find(|ending| stem.ends_with(**ending)).map_or(0, |ending| ending.len());
        [stem.len(), stem.len() - ending]
    };
    let is_same = |a: usize, b: usize| a >= SHORTEST_ROOT && a == b && one.as_bytes()[..a] == other.as_bytes()[..b];
    roots(one).into_iter().any(|a| roots(other).into_iter().any(|b| is_same(a, b)))
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

/// Whether the lay name that `rest` begins with stands in its own long name already: `systemic lupus erythematosus`.
fn is_within(name: &str, length: usize, before: &str, rest: &str) -> bool {
    let (lay, after) = (rest[..length].to_lowercase(), rest[length..].to_lowercase());
    name.find(&lay)
        .is_some_and(|at| before.to_lowercase().ends_with(&name[..at]) && after.starts_with(&name[at + lay.len()..]))
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
    use super::super::pool::has;
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
        assert_eq!(vocabulary.canonical("Coumadin and MAOIs"), "warfarin and monoamine oxidase inhibitor");
        let whole = "systemic lupus erythematosus";
        assert_eq!(vocabulary.canonical(whole), whole, "a long name is not made longer");
        vocabulary.learn("In focal segmental glomerulosclerosis (FSG) and the adductor frame (AF), é (Éa).");
        assert_eq!(vocabulary.canonical("FSG, AF"), "focal segmental glomerulosclerosis, atrial fibrillation");
    }

    #[test]
    fn spellings_meet() {
        for (british, american) in [
            ("hyperkalaemia in coeliac disease", "hyperkalemia in celiac disease"),
            ("oesophageal tumours and diarrhoea", "esophageal tumors and diarrhea"),
            ("paediatric haemorrhage, foetal anaemia", "pediatric hemorrhage, fetal anemia"),
            ("hospitalised for oedema", "hospitalized for edema"),
        ] {
            assert_eq!(fold(british), fold(american));
        }
        assert_eq!(both_spellings("treat hyperkalaemia"), "treat hyperkalaemia hyperkalemia");
        for american in ["Treat gout", "gastroesophageal reflux", "exercise, promise, disease and aerobic Michael"] {
            assert_eq!(both_spellings(american), american);
        }
    }

    #[test]
    fn words_for_one_thing_meet() {
        let meet = |one: &str, other: &str| stems(other).iter().all(|stem| has(&stems(one), stem));
        for (one, other) in
            [("renal", "kidney"), ("pregnant", "pregnancy"), ("diabetic", "diabetes"), ("children", "pediatric")]
        {
            assert!(meet(one, other) && meet(other, one), "{one} {other}");
        }
        for (one, other) in
            [("renal", "hepatic"), ("apixaban", "warfarin"), ("imatinib", "dasatinib"), ("hyperkalemia", "hypokalemia")]
        {
            assert!(!meet(one, other) && !meet(other, one), "{one} {other}");
        }
    }
}
