//! [`risks`]: where an error would do the most harm, and the line that such answers carry.

use serde::{Deserialize, Serialize};

use crate::check::amount::{Amount, amounts};

/// A matter in which the bar is higher: what the evidence does not bear out is taken out, not only marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Risk {
    /// Somebody may be about to harm themselves.
    SelfHarm,
    /// Minutes may count.
    Emergency,
    /// How much of a drug.
    Dose,
    /// Children.
    Paediatric,
    /// Pregnancy and breast-feeding.
    Pregnancy,
    /// Kidneys or liver that do not clear drugs as usual.
    RenalHepatic,
}

impl Risk {
    /// All, the gravest first.
    pub const ALL: [Self; 6] =
        [Self::SelfHarm, Self::Emergency, Self::Dose, Self::Paediatric, Self::Pregnancy, Self::RenalHepatic];

    /// Its name on the wire and in traces.
    pub fn name(self) -> &'static str {
        match self {
            Self::SelfHarm => "self_harm",
            Self::Emergency => "emergency",
            Self::Dose => "dose",
            Self::Paediatric => "paediatric",
            Self::Pregnancy => "pregnancy",
            Self::RenalHepatic => "renal_hepatic",
        }
    }

    /// What a reader is told.
    pub fn line(self) -> &'static str {
        match self {
            Self::SelfHarm => {
                "If you or somebody near you may be in danger, call the local emergency number or a crisis line now."
            }
            Self::Emergency => "In an emergency call the local emergency number; do not wait for an answer here.",
            Self::Dose => "Check every dose against the product's label before it is used.",
            Self::Paediatric => "Doses and risks differ in children: check a paediatric source.",
            Self::Pregnancy => "Pregnancy and breast-feeding change risks and doses: check a source for them.",
            Self::RenalHepatic => "Impaired kidneys or liver change doses: check the product's label for them.",
        }
    }

    /// Beginnings of words, and phrases, that name the matter.
    fn marks(self) -> &'static [&'static str] {
        match self {
            Self::SelfHarm => &[
                "suicid",
                "kill myself",
                "end my life",
                "self harm",
                "self-harm",
                "hurt myself",
                "harm myself",
                "overdose on purpose",
                "want to die",
            ],
            Self::Emergency => &[
                "anaphyla",
                "cardiac arrest",
                "chest pain right now",
                "not breathing",
                "stopped breathing",
                "unconscious",
                "unresponsive",
                "choking",
                "collapsed",
                "status epilepticus",
                "emergency",
                "severe bleeding",
                "swallowed",
                "poisoned",
                "overdosed",
                "acute overdose",
                "stroke right now",
            ],
            Self::Dose => &[
                "dose",
                "doses",
                "dosing",
                "dosage",
                "how much",
                "how many tablets",
                "milligram",
                "microgram",
                "titrat",
                "loading dose",
                "infusion rate",
            ],
            Self::Paediatric => &[
                "child",
                "children",
                "childhood",
                "paediatric",
                "pediatric",
                "infant",
                "neonat",
                "newborn",
                "baby",
                "babies",
                "toddler",
                "adolescen",
                "preterm",
            ],
            Self::Pregnancy => &[
                "pregnan",
                "breastfe",
                "breast-fe",
                "lactat",
                "trimester",
                "fetus",
                "fetal",
                "foetus",
                "foetal",
                "teratogen",
                "conception",
            ],
            Self::RenalHepatic => &[
                "renal impairment",
                "renal failure",
                "renal insufficiency",
                "kidney disease",
                "kidney failure",
                "kidney injury",
                "dialysis",
                "egfr",
                "creatinine clearance",
                "hepatic impairment",
                "liver failure",
                "liver disease",
                "cirrho",
                "pugh",
            ],
        }
    }
}

impl Risk {
    /// Whether an answer must rest on evidence that speaks of the matter itself: what holds for adults may harm a child.
    pub fn is_of_whom(self) -> bool {
        matches!(self, Self::Paediatric | Self::Pregnancy | Self::RenalHepatic)
    }

    /// Whether `text` names the matter.
    pub fn is_named_in(self, text: &str) -> bool {
        self.is_in(&spaced(text))
    }

    fn is_in(self, spaced: &str) -> bool {
        self.marks().iter().any(|mark| spaced.contains(&format!(" {mark}")))
    }

    /// What the evidence has to speak of.
    pub fn matter(self) -> &'static str {
        match self {
            Self::SelfHarm => "self-harm",
            Self::Emergency => "emergencies",
            Self::Dose => "doses",
            Self::Paediatric => "children",
            Self::Pregnancy => "pregnancy or breast-feeding",
            Self::RenalHepatic => "impaired kidneys or liver",
        }
    }
}

/// The risks of a question and its answer, the gravest first.
pub fn risks(question: &str, answer: &str) -> Vec<Risk> {
    let (asked, told) = (spaced(question), spaced(answer));
    let holds = |risk: &Risk| match risk {
        // What an answer says in passing is no cry for help.
        Risk::SelfHarm | Risk::Emergency => risk.is_in(&asked),
        Risk::Dose => risk.is_in(&asked) || amounts(answer).iter().any(Amount::is_dose),
        Risk::Paediatric | Risk::Pregnancy | Risk::RenalHepatic => risk.is_in(&asked) || risk.is_in(&told),
    };
    Risk::ALL.into_iter().filter(holds).collect()
}

/// Lower case, one space before each word; a score of livers is no child.
fn spaced(text: &str) -> String {
    let lower = text.to_lowercase().replace("child-pugh", "pugh").replace("child pugh", "pugh");
    let words = lower.split_whitespace().map(|word| word.trim_start_matches(|c: char| !c.is_alphanumeric()));
    words.fold(String::new(), |line, word| line + " " + word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matter_is_known_by_its_words_and_not_by_parts_of_others() {
        for (question, answer, expect) in [
            ("What is the dose of amoxicillin in children?", "", vec![Risk::Dose, Risk::Paediatric]),
            ("Which antibiotic is used?", "Amoxicillin 500 mg is used.", vec![Risk::Dose]),
            ("What is normal glucose?", "It is under 100 mg/dL.", vec![]),
            ("Is warfarin safe in pregnancy?", "", vec![Risk::Pregnancy]),
            ("Can metformin be used at an eGFR of 25?", "", vec![Risk::RenalHepatic]),
            ("Child-Pugh class of cirrhosis", "", vec![Risk::RenalHepatic]),
            ("I want to kill myself with paracetamol", "", vec![Risk::SelfHarm]),
            ("What treats anaphylaxis?", "", vec![Risk::Emergency]),
            ("How is gout treated?", "Emergency care is rarely needed.", vec![]),
            ("Does selenium prevent cancer?", "It does not.", vec![]),
            ("(Pregnant) women and lithium", "", vec![Risk::Pregnancy]),
        ] {
            assert_eq!(risks(question, answer), expect, "{question}");
        }
    }
}
