//! [`drugs`]: names of drugs in a text, by the endings that the WHO gives their kinds, and by a list.
//!
//! International nonproprietary names share stems by kind (WHO, "The use of stems in the selection of INN", 2018). No list is whole: what
//! is not known as a drug is a word like others.

use std::collections::BTreeSet;

use crate::matching::words;

/// Endings of names.
const STEMS: [&str; 71] = [
    "adol",
    "afil",
    "arabine",
    "arin",
    "asone",
    "astine",
    "azepam",
    "azepine",
    "azine",
    "azole",
    "azosin",
    "bactam",
    "barbital",
    "caine",
    "cavir",
    "ciclovir",
    "cillin",
    "citabine",
    "coxib",
    "curium",
    "cycline",
    "denafil",
    "dipine",
    "dralazine",
    "dronate",
    "ermin",
    "fenac",
    "fibrate",
    "flozin",
    "formin",
    "gatran",
    "gliptin",
    "glitazone",
    "glutide",
    "grelor",
    "idone",
    "imus",
    "iptan",
    "lukast",
    "mab",
    "micin",
    "mustine",
    "mycin",
    "nidazole",
    "nitidine",
    "olol",
    "olone",
    "oprofen",
    "oxacin",
    "oxetine",
    "parib",
    "parin",
    "penem",
    "platin",
    "poetin",
    "prazole",
    "pril",
    "profen",
    "purinol",
    "rubicin",
    "sartan",
    "semide",
    "setron",
    "statin",
    "tadine",
    "taxel",
    "thiazide",
    "thyroxine",
    "tidine",
    "tinib",
    "xaban",
];
/// Names without such an ending.
const LISTED: [&str; 74] = [
    "abatacept",
    "acetaminophen",
    "acetylcysteine",
    "adrenaline",
    "albuterol",
    "amiodarone",
    "amitriptyline",
    "aspirin",
    "atropine",
    "azathioprine",
    "baclofen",
    "bupropion",
    "carbimazole",
    "cefalexin",
    "ceftriaxone",
    "chloroquine",
    "cholestyramine",
    "citalopram",
    "clonidine",
    "clopidogrel",
    "clozapine",
    "codeine",
    "colchicine",
    "cortisol",
    "cyclophosphamide",
    "desmopressin",
    "dexamethasone",
    "digoxin",
    "dopamine",
    "epinephrine",
    "escitalopram",
    "etanercept",
    "ethambutol",
    "ezetimibe",
    "fentanyl",
    "finasteride",
    "flumazenil",
    "gabapentin",
    "glipizide",
    "glucagon",
    "haloperidol",
    "heparin",
    "hydrocortisone",
    "hydroxychloroquine",
    "insulin",
    "isoniazid",
    "isotretinoin",
    "ketamine",
    "lamotrigine",
    "levetiracetam",
    "levodopa",
    "lithium",
    "mercaptopurine",
    "mesalamine",
    "methadone",
    "methotrexate",
    "mirtazapine",
    "morphine",
    "naloxone",
    "nitroglycerin",
    "oxytocin",
    "phenytoin",
    "prednisone",
    "pregabalin",
    "quetiapine",
    "sertraline",
    "spironolactone",
    "tamoxifen",
    "thiamine",
    "topiramate",
    "trastuzumab",
    "valproate",
    "vancomycin",
    "warfarin",
];
/// Names of one drug.
const SAME: [(&str, &str); 11] = [
    ("adrenaline", "epinephrine"),
    ("albuterol", "salbutamol"),
    ("acetaminophen", "paracetamol"),
    ("frusemide", "furosemide"),
    ("glibenclamide", "glyburide"),
    ("lignocaine", "lidocaine"),
    ("meperidine", "pethidine"),
    ("noradrenaline", "norepinephrine"),
    ("rifampicin", "rifampin"),
    ("ciclosporin", "cyclosporine"),
    ("sulphasalazine", "sulfasalazine"),
];
/// The shortest name that an ending makes.
const SHORTEST: usize = 7;

/// The drugs that `text` names, each under one name.
pub(super) fn drugs(text: &str) -> BTreeSet<String> {
    words(text).flat_map(|word| word.split(['-', '/'])).filter_map(drug).collect()
}

fn drug(word: &str) -> Option<String> {
    let word = word.to_lowercase();
    let word = word.trim_end_matches("'s").trim_end_matches("’s");
    let one = if LISTED.binary_search(&word).is_ok() { word } else { word.strip_suffix('s').unwrap_or(word) };
    if let Some((_, same)) = SAME.iter().find(|(name, same)| *name == one || *same == one) {
        return Some((*same).to_owned());
    }
    let is_drug =
        LISTED.binary_search(&one).is_ok() || (one.len() >= SHORTEST && STEMS.iter().any(|stem| one.ends_with(stem)));
    is_drug.then(|| one.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_by_their_endings_or_listed() {
        assert!(LISTED.is_sorted());
        assert!(STEMS.is_sorted());
        let found = |text: &str| drugs(text).into_iter().collect::<Vec<_>>();
        assert_eq!(found("Lisinopril, losartan and Apixaban's effect"), ["apixaban", "lisinopril", "losartan"]);
        assert_eq!(found("statins, beta-lactams, antibiotics"), [""; 0]);
        assert_eq!(found("adrenaline/epinephrine"), ["epinephrine"]);
        assert_eq!(found("Paracetamol"), found("acetaminophen"));
        assert_eq!(found("the routine vaccine was a medicine of the baseline examination in April"), [""; 0]);
    }
}
