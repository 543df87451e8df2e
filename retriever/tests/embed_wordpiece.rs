//! The tokenizer of the static encoder against the `tokenizers` crate: the same ids on any text.
#![expect(clippy::unwrap_used, reason = "a failure ends the test")]

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use retriever::embed::{WordPiece, bundled};
use tokenizers::Tokenizer;

/// A little vocabulary with every printable ASCII character, so that few words are unknown.
fn little() -> Vec<String> {
    let letters = ('!'..='~').filter(|c| !c.is_ascii_uppercase()).map(String::from);
    let pieces = ('a'..='z').chain('0'..='9').map(|c| format!("##{c}"));
    let words = "[UNK] the heart fail ##ure ##ures ##ur α β ##β µ μ é ² 中 心 ß ss ı i̇ ﬁ fi ∆ ≥ ≠ ° … – — ’ “ × ##2.5";
    let mut seen = HashSet::new();
    words
        .split(' ')
        .map(str::to_owned)
        .chain(letters)
        .chain(pieces)
        .filter(|token| seen.insert(token.clone()))
        .collect()
}

struct Pair {
    ours: WordPiece,
    theirs: Tokenizer,
}

impl Pair {
    fn new(vocabulary: &[String]) -> Self {
        let ours = WordPiece::new(vocabulary.iter().map(String::as_str)).unwrap();
        let ids: BTreeMap<&String, usize> = vocabulary.iter().zip(0..).collect();
        // as in the tokenizer.json of bert-base-uncased
        let file = serde_json::json!({
            "version": "1.0",
            "added_tokens": [],
            "normalizer": {
                "type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null, "lowercase": true
            },
            "pre_tokenizer": { "type": "BertPreTokenizer" },
            "model": {
                "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": ids
            }
        });
        let theirs = Tokenizer::from_bytes(file.to_string()).unwrap();
        Self { ours, theirs }
    }

    /// The vocabulary of `bert-base-uncased`.
    fn real() -> Self {
        Self::new(&bundled().unwrap().vocabulary().map(str::to_owned).collect::<Vec<_>>())
    }

    fn check(&self, text: &str) {
        let mut ours = Vec::new();
        self.ours.tokenize(text, &mut ours);
        let theirs = self.theirs.encode_fast(text, false).unwrap();
        assert_eq!(ours, theirs.get_ids(), "{text:?}");
    }
}

/// What medical text, and worse, does to a tokenizer.
const TEXTS: [&str; 24] = [
    "",
    " \t\r\n ",
    "Heart failure with reduced ejection fraction (HFrEF), LVEF < 40 %.",
    "β-blockers, α1-antitrypsin and TNF-α; ΔF508; µg vs μg; Ωm; ΑΒΓ Σίσυφος ΟΔΟΣ",
    "eGFR ≥ 60 mL/min/1.73 m² … ≠ 5×10⁻³ ± 0.5 °C ½",
    "Ménière's disease, Sjögren’s syndrome, Guillain–Barré—naïve café Ångström Łódź",
    "e\u{301}a\u{300}o\u{308} decomposed, U\u{308}BER; İstanbul ıŞ; ﬁbrosis ﬀ; straße STRASSE ẞ",
    "心筋梗塞とは、心臓の筋肉。高血壓病患者中文abc한국어 조선말 ไทย हिन्दी",
    "zero\u{200b}width\u{200d}joiner\u{feff} soft\u{ad}hyphen \u{202e}bidi\u{202c}",
    "control\u{0}\u{1}\u{7}\u{b}\u{c}\u{1f}\u{7f}\u{80}\u{85}\u{9f}chars",
    "line\u{2028}para\u{2029}nbsp\u{a0}thin\u{2009}ideographic\u{3000}ogham\u{1680}end",
    "\u{fffd}replacement\u{fffd} \u{e000}private\u{f8ff} \u{fdd0}\u{ffff} \u{10ffff}",
    "emoji 🫀🧠👩‍⚕️ 👍🏽 flags 🇨🇭 math 𝛼𝐀𝟙 ancient 𐎠𐤀",
    "HbA1c IL-6 p53 CD4+ BCR-ABL1 SARS-CoV-2 rs12345 c.35G>A p.(Gly12Asp)",
    "[CLS [SEP] x] [MASK ##pieces ## # a##b",
    "\"quotes\" 'single' `tick` {brace} <tag> </answer> [E1] a_b a|b ~ ^ $ £ € ¥ § ¶ • ‰ † ‡ ™ ® ©",
    "\u{37e}greek question \u{1fef}varia \u{2260}not \u{212a}elvin \u{2126}ohm \u{2103}",
    "arabic السُّكَّري hebrew סֻכֶּרֶת devanagari क्षि tamil நோ",
    "supercalifragilisticexpialidocious-pneumonoultramicroscopicsilicovolcanoconiosis",
    "ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖ×ØÙÚÛÜÝÞßàáâãäåæçèéêëìíîïðñòóôõö÷øùúûüýþÿ",
    "combining first: \u{301}a \u{308} \u{20dd}circled\u{20dd} \u{93f}vowel sign",
    "full width ＡＢＣ１２３！？ half ｱｲｳ 〇 々 〆 ㌔ ㈱ 豈 﨑 \u{2f800}",
    "1,234.56 10^-3 5 mg/mL 0.05% p<0.001 95% CI: 1.02–1.34",
    "\u{3099}\u{302e}\u{302f}\u{1d165}\u{1d16d} musical",
];

#[test]
fn agrees_on_hard_texts() {
    for pair in [Pair::new(&little()), Pair::real()] {
        for text in TEXTS {
            pair.check(text);
        }
        for length in [99, 100, 101, 5000] {
            for letter in ["a", "β", "é", "中", "ß"] {
                pair.check(&format!("{} the heart", letter.repeat(length)));
            }
        }
    }
}

proptest! {
    #[test]
    fn agrees_on_any_text(text in "\\PC{0,60}") {
        Pair::new(&little()).check(&text);
    }

    #[test]
    fn agrees_on_any_characters(text in proptest::collection::vec(any::<char>(), 0..60)) {
        Pair::new(&little()).check(&text.into_iter().collect::<String>());
    }

    #[test]
    fn agrees_on_words(text in "([a-zA-Z]{1,12}|heart|failure|the|[0-9.,]{1,6}|[αβµé²中\u{301}\u{200b}\u{a0}–]| ){0,40}") {
        Pair::new(&little()).check(&text);
    }
}

fn data() -> PathBuf {
    std::env::var_os("ANAMNESIS_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"), PathBuf::from)
}

#[test]
fn agrees_on_real_texts() {
    let pair = Pair::real();
    for name in ["corpora/pmc_passages.jsonl.gz", "corpora/medquad.jsonl.gz", "corpora/openstax_passages.jsonl.gz"] {
        let file = data().join(name);
        if !file.is_file() {
            eprintln!("skipped: {} is absent", file.display());
            continue;
        }
        let reader = corpus::reader::open(&file, &corpus::reader::Options::default()).unwrap();
        for record in reader.filter_map(Result::ok).take(2000) {
            if let corpus::reader::Record::Document(document) = record {
                pair.check(&document.title);
                pair.check(&document.text);
            }
        }
    }
}
