//! Words that ask and words that qualify: what of a question names nothing.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use super::super::pool::{is_vague, stems};

/// Words that ask, measure, treat, compare or qualify, in any of their forms; and what everybody is called.
const GENERIC: &str = "\
    able abnormal about above absolute absorb accept acceptable access accord account accurate achieve across act \
    action active actual acute add additional adequate adjust administer administration admit adult advance \
    advantage adverse advice advisable advise affect affected after again against age aged agent ago aim allow \
    alone along already alternative although always among amount another answer antidote appear applied applies \
    apply approach appropriate area arise around arrive ask assess assessment associate association attack attempt \
    available avoid await bad base baseline basic bear because become before begin behave behind believe below \
    beneficial benefit beside besides best better between beyond blood body bolus borderline born both bring \
    buccal call calls cannot capable care careful case category cause caution cease center certain chance change \
    characteristic check choice choose chronic class classic classify clear clinic clinical close combine combined \
    come common commonly comparable compare comparison complete complicate complication compose concentration \
    concern conclude concomitant condition conduct confirm confirmatory consequence conservative consider consist \
    consistent constant constitute contain content continue continuous contraindicate contraindication control \
    convenient conventional convincing copy correct correspond cost count course criteria criterion critical \
    crucial cure current cut cutoff daily danger dangerous date day days deal decide decrease define definition \
    definitive degree delay deliver demonstrate depend describe deserve design desirable despite detailed detect \
    determine develop diagnose diagnosis diagnostic differ difference different difficult direct discontinue \
    discover discuss disease disorder distinct distinguish dob dominant dosage dose dosing dramatic draw drug \
    drugs dual due duration during early easy eat effect effective effectiveness efficacy efficient either elect \
    elective elevate eligible eliminate else emergency encounter encourage end enhance enough ensure enteral equal \
    equivalent essential essentially establish established estimate evaluate evaluation even event ever every \
    evidence evident exact exactly examination example exceed except excess exclude exclusive exert exist expect \
    experience explain expose express extend extensive external extreme fact factor fail falsely fast favor \
    favorable feature feel few fewer final finally find finding finish first flexible follow for forced form \
    formal former found four free frequency frequent fresh fulfil full fully function functions further general \
    get give given global go goal good gradual great group grow guarantee guide guideline half handle happen hard \
    hardly harm harmful harmless have head healthy held help hence high higher highly hint history hold hour hours \
    however human idea ideal identifier identify identity immediate immediately impact impair impairment impending \
    imply important improve include incomplete increase indicate indication individual induce infer inferior \
    influence inform information infuse infusion inhalation inhaled inhibit initial initiate initiation inject \
    injection inquire insert inside insist instead instruct intake intend interact interaction interfere internal \
    interval intervention into intramuscular intranasal intravenous introduce investigate investigation involve \
    isolated just justify keep key kind know known lab laboratory lack large last late latest least leave left \
    length less let level levels life like likely limit limited line link linked list little load loading local \
    long long-term look lose lot low lower main mainly maintain maintenance major make man manage management \
    mandatory manner many mark marked marker match matter maximal maximum maybe mean means measure measurement \
    mechanism medical medicate medication medicine meet men mention mere method mg mild mimic minimal minimum \
    minor minute minutes miss missed moderate modern modify moment monitor monitored monitoring month months more \
    mortality most mostly mouth move mrn much multiple mutual name named nasal natural near necessary need needed \
    negative neither neutral never new newly next nhs night no none normal normalize normalizes normally notable \
    notice now number numerous object observe obtain obvious occasion occur offer often old older omit once one \
    ongoing only onset onto opinion oppose optimal optimum optional oral order ordinary original originate \
    otherwise ought outcome outpatient outside over overall overcome own page parameter parenteral part partial \
    particular pass past patient patients pattern peak peculiar people percent percentage perform perhaps period \
    permanent permit persist persistent person place plain plan point popular population pose position positive \
    possess possible possibly postpone potential powerful practice precaution precede precise preclude predict \
    prefer preferred preliminary prepare prescribe prescription presence present prevalence prevent prevention \
    previous primary principal principle prior private probability problem procedure proceed process produce \
    profile prognosis progress progressive prolong prominent promote prompt proper proportion propose prove \
    provide public pure purpose pursue put quality quantity question quick quickly quite raise random range rank \
    rapid rapidly rare rarely rate rather ratio raw reach react reaction read ready real realize really reason \
    reassure receive recent recently recognize recommend recommendation recommended reconsider rectal recur \
    redacted reduce reduction refer reference reference-standard reflect refuse regard regardless regimen regular \
    regularly relate relation relative relevant reliable relieve rely remain remind remove renew repeat replace \
    report represent require requirement rescue reserve resist resolve respectively respond response rest restrict \
    result results resume retain return reveal reverse review rise risk role rough route routine rule rules run \
    safe safely safety same sample sampling satisfy save say scarce schedule score screening search second \
    secondary secure see seem seldom select send sensible sensitive sensitivity separate serious serum set settle \
    several severe severely severity shift short short-term shorten show side sign significant similar simple \
    simultaneous since single site situation skip slow small smooth sole solid solve sometimes somewhat soon sort \
    source space span spare special specialist specific specifically specificity specimen spend spontaneous spread \
    stable stage standard start started state status stay steady step still stop stopped store straight strategy \
    strength strict strong studies study subcutaneous sublingual subsequent substitute substitution success \
    successful such sudden sufficient suggest suitable superior supplementary support suppose suppository sure \
    surprise survival suspect suspected sustain swallow swallowed switch symptom symptoms system systematic \
    systemic table take taken taking talk target targeted technique tell temporary ten tend tendency term tertiary \
    test testing tests than therapeutic therapy thing think third thorough though three threshold through \
    throughout thus tight till time times together tolerate too tool topical total toward towards toxic toxicity \
    trace traditional transfer transient treat treated treatment trial trigger true try turn twice two type types \
    typical typically ultimate unable uncommon under undergo underlying understand unexpected uniform unique \
    united units universal unknown unless unlike unlikely unrelated unstable unsuitable until untreated unusual up \
    upper urgent usage use used useful user usual usually utility vague valid valuable value values variant \
    various vary verify very via violent visible visit vital wait wake want warm warn watch way weak week weekly \
    weeks well whereas whether while whole wide widely widespread wish withheld withhold woman women wonder word \
    work works world worse worsen worsening worth write wrong year years yet yield young";

/// Beginnings of words that are no substance for all their ending.
const NO_SUBSTANCE: &[&str] = &[
    "alone",
    "aside",
    "baseline",
    "beside",
    "chloride",
    "cholesterol",
    "combine",
    "creatinine",
    "decline",
    "determine",
    "discipline",
    "examine",
    "feline",
    "gallstone",
    "glyceride",
    "guideline",
    "headline",
    "histamine",
    "hormone",
    "inside",
    "machine",
    "magazine",
    "medicine",
    "milestone",
    "outline",
    "outside",
    "peptide",
    "prostate",
    "provide",
    "routine",
    "suicide",
    "telephone",
    "triglyceride",
    "undermine",
    "vaccine",
    "worldwide",
];

/// Words whose number is part of the name: `type 2 diabetes`, `vitamin D`, `factor V`.
const NUMBERED: &[&str] = &[
    "factor",
    "grade",
    "group",
    "hepatitis",
    "influenza",
    "interleukin",
    "phase",
    "protein",
    "stage",
    "trisomy",
    "type",
    "vitamin",
];

static STEMS: LazyLock<BTreeSet<String>> = LazyLock::new(|| stems(GENERIC));

/// Whether a word, or a stem, names nothing.
pub(in super::super) fn is_generic(word: &str) -> bool {
    let is_measure = word.starts_with(|c: char| c.is_ascii_digit());
    is_measure || is_listed(word) || {
        let stems = stems(word);
        !stems.is_empty() && stems.iter().all(|stem| is_listed(stem))
    }
}

fn is_listed(word: &str) -> bool {
    STEMS.contains(word) || is_vague(word)
}

/// Whether a word only says how something is: evidence may leave it out.
pub(super) fn is_mere_quality(word: &str) -> bool {
    const ENDINGS: &[&str] = &["able", "ed", "ible", "ly"];
    ENDINGS.iter().any(|ending| word.len() > ending.len() + 3 && word.ends_with(ending))
}

/// Whether a word says when or how something is taken.
pub(super) fn is_intake(word: &str) -> bool {
    const INTAKE: &[&str] = &[
        "bedtime",
        "breakfast",
        "evening",
        "evenings",
        "fluid",
        "fluids",
        "food",
        "glass",
        "meal",
        "meals",
        "mornings",
        "morning",
        "mouth",
        "saline",
        "stomach",
        "water",
    ];
    INTAKE.contains(&word)
}

/// Whether a word ends the kind that `which` or `what` asks for: a verb.
pub(super) fn ends_kind(word: &str) -> bool {
    const VERBS: &[&str] = &[
        "applies",
        "apply",
        "calls",
        "cause",
        "causes",
        "confirm",
        "confirms",
        "define",
        "defines",
        "exclude",
        "excludes",
        "essentially",
        "help",
        "helps",
        "indicate",
        "indicates",
        "lower",
        "lowers",
        "make",
        "makes",
        "need",
        "needs",
        "predict",
        "predicts",
        "prevent",
        "prevents",
        "raise",
        "raises",
        "reduce",
        "reduces",
        "require",
        "requires",
        "reverse",
        "reverses",
        "rule",
        "rules",
        "show",
        "shows",
        "suggest",
        "suggests",
        "treat",
        "treats",
        "work",
        "works",
    ];
    VERBS.contains(&word)
}

/// Whether `word` is the number or letter of what `before` names, both in lower case.
pub(in super::super) fn is_numbered(before: &str, word: &str) -> bool {
    let is_digits = word.len() <= 2 && word.bytes().all(|byte| byte.is_ascii_digit());
    let is_letter = word.len() == 1 && word.bytes().all(|byte| byte.is_ascii_lowercase());
    (is_digits || is_letter) && NUMBERED.contains(&before)
}

/// Whether a word has the ending of a drug's name: the stems of international nonproprietary names, and the usual endings of older
/// ones. Wrong now and then, which costs a sentence that only its title speaks for.
pub(super) fn is_substance(word: &str) -> bool {
    const ENDINGS: &[&str] = &[
        "acetaminophen",
        "arin",
        "aspirin",
        "azid",
        "azole",
        "cept",
        "cillin",
        "dopa",
        "dronate",
        "epam",
        "etam",
        "flozin",
        "floxacin",
        "fenac",
        "formin",
        "gliptin",
        "ide",
        "ine",
        "insulin",
        "ium",
        "kinase",
        "lactulose",
        "losin",
        "mab",
        "mycin",
        "nib",
        "nitrate",
        "olam",
        "olol",
        "one",
        "oxin",
        "pril",
        "proate",
        "profen",
        "sartan",
        "setron",
        "statin",
        "sulfate",
        "terol",
        "teplase",
        "tide",
        "tinoin",
        "tocin",
        "trexate",
        "triptan",
        "urea",
        "uricase",
        "urinol",
        "vir",
        "xaban",
    ];
    word.len() >= 6
        && ENDINGS.iter().any(|ending| word.ends_with(ending))
        && !NO_SUBSTANCE.iter().any(|known| word.starts_with(known))
}
