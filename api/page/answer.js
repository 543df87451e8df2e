// An answer: its sentences with what they cite and what that says of them, what was struck, what disagrees, how strong
// it all is; or why there is no answer, with what lies nearest. What the service does not send is not shown.

import * as cite from "./cite.js";
import { away, copy, h, icon, replace } from "./dom.js";
import { GRADES, LEVELS, REASONS, RISKS, STATUSES, VERDICTS, ms, readable, wordFor } from "./words.js";

const verdictOf = (sentence) => sentence.verdict ?? sentence.finding ?? null;

/** The parts of one answer. `chip(label, sentence)` makes the button of a citation, `open(label, from)` shows it. */
export function answerView({ question, chip, open, actions }) {
  const list = h("div", { class: "sentences" });
  const before = h("div", { class: "before" });
  const after = h("div", { class: "after" });
  const warned = h("div", { class: "warnings" });
  const node = h("div", { class: "answer" }, before, list, warned, after);
  const rows = [];
  const citations = new Map();
  const warnings = new Set();
  let answer = null;

  function row(place) {
    if (!rows[place]) {
      const text = h("span", { class: "sentence-text" });
      const cites = h("span", { class: "chips" });
      const mark = h("span", { class: "mark" });
      const note = h("p", { class: "concern", hidden: true });
      rows[place] = { node: h("div", { class: "sentence" }, h("p", null, text, " ", cites, mark), note), text, cites, mark, note, told: "" };
      list.append(rows[place].node);
    }
    return rows[place];
  }

  function put(place, sentence) {
    const shown = row(place);
    const told = JSON.stringify([sentence.text, sentence.cites]);
    shown.sentence = sentence;
    // what stands already stays, with the focus that may be in it
    if (shown.told !== told) {
      shown.told = told;
      shown.text.textContent = sentence.text;
      replace(shown.cites, (sentence.cites ?? []).map((label) => chip(label, sentence)));
    }
    judge(shown, sentence);
  }

  function judge(shown, sentence) {
    const verdict = verdictOf(sentence);
    const notes = [];
    shown.mark.replaceChildren();
    shown.node.classList.remove("good", "bad", "doubt");
    if (verdict) {
      const [kind, picture, words] = VERDICTS[verdict.label] ?? ["doubt", "question", readable(verdict.label)];
      shown.node.classList.add(kind);
      const sure = Number.isFinite(verdict.confidence) ? `, ${Math.round(verdict.confidence * 100)} % sure` : "";
      const by = { rules: "checked by rule", scorer: "judged by a model" }[verdict.by] ?? "";
      replace(shown.mark, h("span", { class: `verdict ${kind}`, title: by ? by + sure : undefined }, icon(picture), words));
      if (verdict.concern) notes.push(quoted(verdict.concern));
      else if (verdict.missing?.length) notes.push(`Not in its source: ${verdict.missing.join(", ")}`);
    } else if (answer && !(sentence.cites ?? []).length) {
      shown.node.classList.add("doubt");
      replace(shown.mark, h("span", { class: "verdict doubt" }, icon("question"), "Cites nothing"));
    }
    if (sentence.found_later) notes.push("Its evidence was found after it was written.");
    shown.note.hidden = notes.length === 0;
    shown.note.textContent = notes.join(" ");
  }

  function showWarnings() {
    replace(warned, [...warnings].map((text) => h("p", { class: "banner doubt" }, icon("warning"), h("span", null, text))));
  }

  function set(whole) {
    answer = whole;
    const sentences = whole.sentences ?? [];
    citations.clear();
    for (const citation of [...(whole.nearest ?? []), ...(whole.citations ?? [])]) citations.set(citation.label, citation);
    sentences.forEach((sentence, place) => put(place, sentence));
    for (const extra of rows.splice(sentences.length)) extra.node.remove();
    for (const warning of whole.warnings ?? []) warnings.add(warning);
    showWarnings();
    replace(before, risks(whole.risks), opening(whole));
    replace(after, struck(whole.struck), conflicts(whole.conflicts, open), marks(whole.marks), understood(whole, question, actions),
      sources(whole, open), wider(whole, actions), tools(whole, question));
  }

  return {
    node, set,
    addSentence: (sentence) => put(rows.length, { ...sentence }),
    setVerdict: (place, verdict) => {
      const shown = rows[place - 1];
      if (!shown || !verdict) return;
      shown.sentence = { ...shown.sentence, verdict };
      judge(shown, shown.sentence);
    },
    addCitation: (citation) => citations.set(citation.label, citation),
    addWarning: (text) => { warnings.add(text); showWarnings(); },
    citation: (label) => citations.get(label) ?? null,
    labels: () => [...citations.keys()],
    citing: (label) => rows.map((shown) => shown.sentence).filter((sentence) => sentence?.cites?.includes(label)),
  };
}

function risks(list) {
  return (list ?? []).map((risk) => h("p", { class: `banner ${["emergency", "self_harm"].includes(risk.class) ? "bad" : "doubt"}` },
    icon("warning"), h("span", null, h("strong", null, `${wordFor(RISKS, risk.class)}. `), risk.line)));
}

/** What comes before the sentences, where an answer is not simply one. */
function opening(whole) {
  const outcome = whole.outcome ?? (whole.abstained ? "abstained" : "answered");
  if (outcome === "partial") {
    return h("p", { class: "banner calm" }, icon("question"), h("span", null, "This answers a part of the question. The rest is not in the evidence that was found."));
  }
  if (outcome === "clarify" || (outcome === "abstained" && whole.reason === "needs_clarification")) {
    return h("div", { class: "abstained" }, h("h3", null, "One thing first"), h("p", { class: "prose" }, whole.suggestion || whole.answer),
      h("p", { class: "hint" }, "Write your answer in the box below, or ask the question in other words."));
  }
  if (outcome !== "abstained") return null;
  const [title, meaning] = REASONS[whole.reason] ?? ["There is no answer", "The evidence does not carry one."];
  return h("div", { class: "abstained" }, h("h3", null, title), h("p", { class: "prose" }, meaning),
    whole.answer && h("p", { class: "hint" }, whole.answer), whole.suggestion && h("p", { class: "prose" }, whole.suggestion));
}

function struck(list) {
  if (!list?.length) return null;
  return h("details", { class: "fold" }, h("summary", null, list.length === 1 ? "One sentence was struck" : `${list.length} sentences were struck`),
    h("p", { class: "hint" }, "Taken out of the answer, because the evidence does not bear them out."),
    h("ul", { class: "struck" }, list.map(({ text, why }) => h("li", null, h("s", null, text), h("p", { class: "concern" }, quoted(why))))));
}

function conflicts(list, open) {
  if (!list?.length) return null;
  return h("section", { class: "conflicts", "aria-label": "Where the evidence disagrees" }, h("h3", null, "Where the evidence disagrees"),
    list.map((conflict) => h("div", { class: "conflict" }, h("p", null, conflict.text), h("div", { class: "sides" }, (conflict.sides ?? []).map((side) =>
      h("div", { class: "side" },
        h("p", { class: "meta" }, h("button", { type: "button", class: "chip", "aria-label": `Evidence ${side.label}`, "aria-haspopup": "dialog",
          on: { click: (event) => open(side.label, event.currentTarget) } }, side.label), level(side.level), side.year && h("span", null, String(side.year))),
        h("p", null, h("strong", null, capital(side.says))), side.quote && h("blockquote", null, side.quote)))))));
}

function marks(given) {
  if (!given) return null;
  const one = (title, mark, rest) => {
    if (!mark) return null;
    const [words, filled] = GRADES[mark.grade] ?? [readable(mark.grade), 0];
    const scale = h("span", { class: "scale", "aria-hidden": "true" }, [1, 2, 3, 4].map((step) => h("i", { class: step <= filled ? "on" : null })));
    const reasons = mark.reasons ?? [];
    return h("details", { class: "grade" },
      h("summary", null, h("span", { class: "label" }, title), scale, h("strong", null, words), rest),
      reasons.length ? h("ul", null, reasons.map((reason) => h("li", null, capital(reason)))) : h("p", { class: "hint" }, "No reasons were given."));
  };
  const share = given.support?.share;
  return h("div", { class: "grades" }, one("Strength of the evidence", given.evidence),
    one("Borne out by its sources", given.support, Number.isFinite(share) && h("span", { class: "hint" }, `${Math.round(share * 100)} %`)));
}

const PARTS = { population: "Who", intervention: "What", comparator: "Compared with", outcome: "For what outcome" };

function understood(whole, question, actions) {
  const given = whole.understood;
  if (!given || !Object.keys(PARTS).some((part) => given[part])) return null;
  const fields = Object.entries(PARTS).map(([part, words]) => {
    const id = `part-${part}-${whole.trace_id}`;
    return [part, h("div", { class: "field" }, h("label", { for: id }, words),
      h("input", { id, type: "text", value: given[part] ?? "", placeholder: "not said", data: { part } }))];
  });
  const form = h("form", { class: "understood", on: { submit: (event) => {
    event.preventDefault();
    const value = Object.fromEntries(fields.map(([part, field]) => [part, field.querySelector("input").value.trim()]));
    actions.refine(inWords(question, given, value));
  } } }, fields.map(([, field]) => field), h("div", { class: "row end" }, h("button", { class: "ghost" }, "Put this into the question")));
  return h("details", { class: "fold" }, h("summary", null, "How the question was understood: ", h("span", { class: "hint" },
    Object.keys(PARTS).map((part) => given[part]).filter(Boolean).join(" · "))), form);
}

/** The question with what was corrected: in place where the words stand in it, else said after it. */
export function inWords(question, before, after) {
  let text = question.trim();
  const added = [];
  for (const [part, words] of Object.entries({ population: "in", intervention: "regarding", comparator: "compared with", outcome: "as to" })) {
    const [old, now] = [before[part] ?? "", after[part] ?? ""];
    if (old === now) continue;
    const at = old ? text.toLowerCase().indexOf(old.toLowerCase()) : -1;
    if (at >= 0) text = `${text.slice(0, at)}${now}${text.slice(at + old.length)}`.replace(/\s+/g, " ");
    else if (now) added.push(`${words} ${now}`);
  }
  if (!added.length) return text;
  return `${text.replace(/[?.!\s]+$/, "")}, ${added.join(", ")}?`;
}

export function level(name) {
  if (!name) return null;
  return h("span", { class: `level level-${name}`, title: LEVELS[name]?.[1] }, wordFor(LEVELS, name));
}

export function status(name) {
  if (!name || name === "ok") return null;
  return h("span", { class: `verdict ${name === "corrected" ? "doubt" : "bad"}`, title: STATUSES[name]?.[1] }, icon("warning"), wordFor(STATUSES, name));
}

function sources(whole, open) {
  const cited = whole.citations ?? [];
  const nearest = cited.length ? [] : whole.nearest ?? [];
  const list = cited.length ? cited : nearest;
  if (!list.length) return null;
  return h("section", { class: "sources", "aria-label": cited.length ? "Sources" : "The nearest evidence" },
    h("h3", null, cited.length ? "Sources" : "The nearest evidence"), h("ol", null, list.map((work) => h("li", { class: "source-card" },
      h("button", { type: "button", class: "source", "aria-haspopup": "dialog", data: { label: work.label }, on: { click: (event) => open(work.label, event.currentTarget) } },
        h("span", { class: "source-label" }, work.label),
        h("span", { class: "source-body" },
          h("span", { class: "source-title" }, work.title || work.document),
          h("span", { class: "meta" }, level(work.level), [work.year, work.journal].filter(Boolean).map((part) => h("span", null, String(part))), status(work.status)),
          work.quote && h("span", { class: "quote" }, work.quote))),
      links(work)))));
}

function links(work) {
  const found = cite.links(work);
  return found.length ? h("p", { class: "links" }, found.map(({ name, href }) => away(href, name))) : null;
}

function wider(whole, actions) {
  if (!whole.wider?.length) return null;
  return h("section", { class: "wider", "aria-label": "Wider questions" }, h("h3", null, whole.abstained ? "You could ask instead" : "You could also ask"),
    whole.wider.map((question) => h("button", { type: "button", class: "suggested", on: { click: () => actions.wider(question) } }, h("span", null, question), icon("ask"))));
}

function tools(whole, question) {
  const cited = whole.citations ?? [];
  const formats = [["Text", "Answer", () => cite.plain(question, whole)]];
  if (cited.length) {
    formats.push(["Vancouver", "References", () => cite.vancouver(cited)], ["RIS", "RIS", () => cite.ris(cited)], ["BibTeX", "BibTeX", () => cite.bibtex(cited)]);
  }
  return h("div", { class: "tools-row" },
    h("div", { class: "copies", role: "group", "aria-label": "Copy" }, h("span", { class: "label" }, "Copy"),
      formats.map(([name, what, make]) => h("button", { type: "button", class: "ghost small", on: { click: () => copy(make(), what) } }, name))),
    whole.trace_id && h("a", { class: "ghost small", href: `#/trace/${encodeURIComponent(whole.trace_id)}` }, "How this came about"),
    whole.snapshot && h("span", { class: "hint stamp" }, `${[ms(whole.timings?.total_ms), `snapshot ${whole.snapshot}`].filter(Boolean).join(" · ")}`));
}

/** A concern with proper quotation marks: the service sets words apart by backticks. */
function quoted(text) {
  return capital(text).replace(/`([^`]*)`/g, "“$1”");
}

function capital(text) {
  const whole = String(text ?? "");
  return whole.charAt(0).toUpperCase() + whole.slice(1);
}
