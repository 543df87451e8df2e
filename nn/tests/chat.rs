//! Chat templates against transformers: every case of `fixtures/chat/cases.json`, to the character.
//!
//! `ANAMNESIS_CHAT_CASES` names another folder, for templates that are not ours to keep; see the NOTICE.

#![expect(clippy::unwrap_used, reason = "a helper that cannot set up its input has failed its test")]

use std::path::{Path, PathBuf};

use nn::{ChatTemplate, Message, RenderOptions};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
struct Case {
    template: String,
    messages: Vec<Message>,
    add_generation_prompt: bool,
    enable_thinking: Option<bool>,
    bos_token: Option<String>,
    eos_token: String,
    text: Option<String>,
    raises: Option<String>,
}

/// What our rendering of a case has to say for itself, if it is not transformers'.
fn difference(folder: &Path, case: &Case) -> Option<String> {
    let model = tempfile::tempdir().unwrap();
    let config = serde_json::json!({ "bos_token": case.bos_token, "eos_token": { "content": case.eos_token } });
    std::fs::write(model.path().join("tokenizer_config.json"), config.to_string()).unwrap();
    std::fs::copy(folder.join(&case.template), model.path().join("chat_template.jinja")).unwrap();
    let options = RenderOptions {
        add_generation_prompt: case.add_generation_prompt,
        enable_thinking: case.enable_thinking,
        now: jiff::civil::date(2025, 3, 9).at(8, 7, 6, 0),
    };
    let template = ChatTemplate::open(model.path()).map(Option::unwrap);
    let rendered = template.and_then(|template| template.render(&case.messages, &options));
    match (rendered, &case.text, &case.raises) {
        (Ok(ours), Some(theirs), _) => (ours != *theirs).then(|| format!("ours:   {ours:?}\ntheirs: {theirs:?}")),
        (Ok(ours), None, _) => Some(format!("no error, but {ours:?}")),
        (Err(error), Some(_), _) => Some(error.to_string()),
        // What a template itself raises is told; what Python says of its own errors is Python's.
        (Err(error), None, Some(raised)) if raised.contains("must") => {
            (!error.to_string().contains(raised)).then(|| format!("{error} instead of {raised}"))
        }
        (Err(_), None, _) => None,
    }
}

#[test]
fn templates_render_as_transformers_does() {
    let own = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/chat"));
    for folder in std::env::var_os("ANAMNESIS_CHAT_CASES").map(PathBuf::from).into_iter().chain([own]) {
        let cases: Vec<Case> = serde_json::from_slice(&std::fs::read(folder.join("cases.json")).unwrap()).unwrap();
        assert!(cases.len() > 12, "{}", folder.display());
        let differences: Vec<_> = cases
            .iter()
            .filter_map(|case| Some(format!("{} {:?}\n{}", case.template, case.messages, difference(&folder, case)?)))
            .collect();
        assert!(differences.is_empty(), "{} of {}:\n{}", differences.len(), cases.len(), differences.join("\n\n"));
    }
}
