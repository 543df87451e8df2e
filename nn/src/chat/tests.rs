//! Where templates come from, what they may do, and what they may not. What they give is compared with
//! transformers in `tests/chat.rs`.

use super::*;

const OPTIONS: RenderOptions = RenderOptions {
    add_generation_prompt: true,
    enable_thinking: None,
    now: jiff::civil::DateTime::constant(2024, 7, 6, 5, 4, 3, 0),
};

fn render(source: &str) -> Result<String> {
    let template = ChatTemplate::compile(PathBuf::from("t.jinja"), source.to_owned(), Vec::new())?;
    template.render(&[Message::new("user", "a <b> & 'é'")], &OPTIONS)
}

fn open(files: &[(&str, &str)]) -> Result<Option<String>> {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    let template = ChatTemplate::open(dir.path())?;
    template.map(|template| template.render(&[], &OPTIONS)).transpose()
}

#[test]
fn expressions_are_pythons() {
    for (source, expect) in [
        ("{{ messages[0].content }}", "a <b> & 'é'"),
        ("{{ messages[0] | tojson }}", r#"{"role": "user", "content": "a <b> & 'é'"}"#),
        ("{{ {'b': [1, 2.5, none, true], 'a': {}} | tojson }}", r#"{"b": [1, 2.5, null, true], "a": {}}"#),
        ("{{ {'b': [1], 'a': []} | tojson(indent=2) }}", "{\n  \"b\": [\n    1\n  ],\n  \"a\": []\n}"),
        ("{{ 'é😀' | tojson(ensure_ascii=true) }}", r#""\u00e9\ud83d\ude00""#),
        ("{{ 'a\\n\\x7f' | tojson }}", "\"a\\n\u{7f}\""),
        ("{{ none }} {{ true }} {{ 1 == 2 }} {{ missing }}|", "None True False |"),
        ("{{ 'A.b'.split('.')[-1].upper() ~ ' x '.strip() }}", "Bx"),
        ("{{ strftime_now('%d %b %Y') }}", "06 Jul 2024"),
        ("{% for i in [1, 2, 3] %}{% if i == 2 %}{% continue %}{% endif %}{{ i }}{% endfor %}", "13"),
        ("{% for i in [1, 2, 3] %}{% if i == 2 %}{% break %}{% endif %}{{ i }}{% endfor %}", "1"),
        ("{% set n = namespace(x=1) %}{% for m in messages %}{% set n.x = 5 %}{% endfor %}{{ n.x }}", "5"),
        ("{{ tools is none }}{{ enable_thinking is defined }}{{ bos_token is defined }}", "TrueFalseFalse"),
        ("  {% if true %}\nx\n  {% endif %}\ny\n", "x\ny"),
        ("{{ messages[::-1] | length }}{{ [1, 2, 3][1:] }}", "1[2, 3]"),
    ] {
        assert_eq!(render(source).unwrap(), expect, "{source}");
    }
}

#[test]
fn a_template_is_refused_in_its_own_words() {
    for (source, expect) in [
        ("{{ raise_exception('roles must alternate') }}", "t.jinja: chat template: roles must alternate (line 1)"),
        ("{% if %}", "t.jinja: chat template: "),
        ("{{ 'x' | no_such_filter }}", "no_such_filter"),
        ("{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}", "fuel"),
        ("{{ 'x' * 9999999999999 }}", "too large"),
        ("{% include 'other' %}", "t.jinja"),
    ] {
        let error = render(source).unwrap_err().to_string();
        assert!(error.contains(expect), "{source}: {error}");
    }
}

#[test]
fn a_template_without_measure_does_no_harm() {
    let many = |text: &str| text.repeat(120_000 / text.len());
    for source in [
        format!("{{{{ {} }}}}", many("(")),
        format!("{{{{ {}1{} }}}}", many("["), many("]")),
        format!("{{{{ {}1 }}}}", many("-")),
        format!("{{{{ {}1 }}}}", many("not ")),
        format!("{{{{ x{} }}}}", many(".a")),
        format!("{{{{ 1{} }}}}", many(" if 1 else 1")),
        format!("{}{}", many("{% if 1 %}"), many("{% endif %}")),
        "{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}".to_owned(),
        "{% for i in range(10 ** 12) %}{% endfor %}".to_owned(),
    ] {
        // Some are refused and some are harmless; none may end the process.
        let _ = render(&source);
    }
    assert!(render(&"x".repeat(MAX_BYTES + 1)).unwrap_err().to_string().contains("bytes"));
}

#[test]
fn a_template_is_found_wherever_models_keep_it() {
    let config =
        |template: &str| format!(r#"{{"bos_token":{{"content":"<s>","lstrip":false}},"eos_token":null,{template}}}"#);
    let inline = config(r#""chat_template":"{{ bos_token }}inline""#);
    assert_eq!(open(&[]).unwrap(), None);
    assert_eq!(open(&[("tokenizer_config.json", r#"{"bos_token":"<s>"}"#)]).unwrap(), None);
    assert_eq!(open(&[("tokenizer_config.json", &inline)]).unwrap().unwrap(), "<s>inline");
    let named = config(
        r#""chat_template":[{"name":"tool_use","template":"t"},{"name":"default","template":"{{ bos_token }}d{{ eos_token }}"}]"#,
    );
    assert_eq!(open(&[("tokenizer_config.json", &named)]).unwrap().unwrap(), "<s>d");
    let own = ("chat_template.jinja", "{{ bos_token }}own\n");
    assert_eq!(open(&[("tokenizer_config.json", &inline), own]).unwrap().unwrap(), "<s>own");
    assert_eq!(open(&[("chat_template.jinja", "bare")]).unwrap().unwrap(), "bare");
    assert!(open(&[("tokenizer_config.json", "{")]).unwrap_err().to_string().contains("tokenizer_config.json"));
    assert!(open(&[("chat_template.jinja", "{% endfor %}")]).unwrap_err().to_string().contains("chat_template.jinja"));
}
