//! Words that make a name of what stands beside them, and words that do not.

use std::collections::HashSet;
use std::sync::LazyLock;

/// Given names that are common and mean nothing else in medicine, lower case.
pub(super) static GIVEN: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    words(
        "aaron adam ahmed aisha alan albert alex alexander alice amanda amy ana andrea andrew angela ann anna anne \
         anthony antonio ashley barbara benjamin betty brenda brian bruce carlos carol caroline catherine charles \
         charlotte chloe christine christopher claire daniel david deborah dennis diana diane donald donna dorothy \
         edward elena elizabeth ella emily emma eric ethan fatima frances francis frank gary george gloria grace \
         gregory hannah harold harry heather helen henry ibrahim isabella ivan jack jacob jacqueline james jane janet \
         jason javier jean jeffrey jennifer jeremy jessica joan john johnny jonathan jorge jose joseph joshua josé \
         joyce juan judith judy julia julie karen katherine kathleen keith kelly kenneth kevin kimberly larry laura \
         lauren lawrence liam linda lisa louise lucas luis margaret maria marie marilyn mark martha mary mateo \
         matthew megan mei melissa michael michelle miguel mohammed muhammad nancy nathan nicholas nicole noah olga \
         oliver olivia omar pamela patricia patrick paul peter philip priya rachel ravi raymond rebecca richard \
         robert ronald ruth samantha samuel sandra sarah scott sophia stephanie stephen steven susan teresa thomas \
         timothy tyler victoria virginia walter wei william yusuf zachary",
    )
});

/// Words that are in no person's name though they may be capitals: what follows them is none either.
pub(super) static STOP: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    words(
        "a about after alzheimer alzheimer's am an and are as at bacteria barrett because been before bell's but by \
         care centered child concerned could crohn crohn's diabetes diabetic did disease do does down education \
         experiencing for from glasgow global graves had has have health hiv hodgkin hodgkin's huntington's if in is \
         it my not of old on or outcome outcomes parkinson parkinson's patient pregnant presents questionnaire \
         reported safety scale score should study syndrome taking test that the this to type was what when who why \
         will wilson with worried would year years you your",
    )
});

/// What a name stands before when it is a disease's, a score's or a method's.
pub(super) static EPONYMS: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    words(
        "anaemia anemia bodies body classification criteria diet disease disorder equation formula hospital index \
         lymphoma method operation palsy phenomenon procedure reflex sarcoma scale score sign stain study syndrome \
         test thyroiditis trial tumor tumour university virus",
    )
});

/// What a person does or is, where a name stands before it.
pub(super) static ACTS: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    words(
        "asks came complains denies developed feels gets got had has is lives needs presented presents received receives \
         refuses reports says suffers takes told took uses wants was weighs",
    )
});

/// Nouns that `patient` stands before with a capital in titles and headings.
pub(super) static NOUNS: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    words(
        "acceptance access adequacy adherence advocacy advocate advocates age autonomy blood breathing burden \
         characteristics choice compliance controlled counseling counselling data experience experiences factors flow group \
         groups handling handoff handover history influence literacy load mix monitoring navigator numbers nursing outcome \
         outcomes panel performance perspective perspectives portal portals positioning preference preferences privacy \
         profile recall record records registries registry rights risk sample screening sex simulator simulators specific \
         status summary teaching training transfer transport trust values volume volumes weight",
    )
});

/// Places, houses and journals that bear what can be a given name, and what stands behind it there.
pub(super) static PLACES: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    words(
        "africa alice america ann asia australia beach california canada carolina cancer center centre charlotte children's city \
         clinic cohort college country county dakota district east england europe foundation francis general grace health \
         heart hospitals house institute institution island islands jose laboratory land medical memorial national north park \
         province region registry river saint san santa school south springs state states study town trust valley victoria \
         virginia wales west",
    )
});

/// Words that say that a patient is spoken of, so that a clinician's name leads to one.
pub(super) static CARE: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    words(
        "admitted appointment clinic dob he her him his i me mr mrn mrs ms my patient prescribed pt referred saw seen \
         she",
    )
});

fn words(list: &'static str) -> HashSet<&'static str> {
    list.split_ascii_whitespace().collect()
}
