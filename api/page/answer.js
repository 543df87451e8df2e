// An answer: its sentences with what they cite and what that says of them, what was struck, what disagrees, how strong
// it all is; or why there is no answer, with what lies nearest. What the service does not send is not shown.

import * as cite from "./cite.js";
import { away, copy, h, icon, replace } from "./dom.js";
import * as evidence from "./evidence.js";
import { concernOf, level, status, verdictMark, verdictOf } from "./marks.js";
import { understood } from "./understood.js";
import { ANSWERED, GRADES, REASONS, RISKS, SIDES, asSentence, capital, ms, readable, wordFor } from "./words.js";

/** The parts of one answer. `actions.wider(question)` asks another question, `actions.refine(question)` offers one;
 *  `wording` is how verdicts are called. */
export function answerView({ question, actions, wording = ANSWERED }) {
  const list = h("div", { class: "sentences" });
  const before = h("div", { class: "before" });
  const after = h("div", { class: "after" });
  const warned = h("div", { class: "warnings" });
  const node = h("div", { class: "answer" }, before, list, warned, after);
  const rows = [];
  /** What may be cited, as it was found: with its text. */
  const found = new Map();
  const citations = new Map();
  const warnings = new Set();
  let answer = null;

  /** The button that opens a piece of evidence; `sentence` is the one that cites it. */
  function chip(label, sentence) {
    const item = found.get(label) ?? citations.get(label);
    const name = item ? `Evidence ${label}: ${[item.title, item.year].filter(Boolean).join(", ")}` : `Evidence ${label}`;
    return h("button", { type: "button", class: "chip", title: item?.title, "aria-label": name, "aria-haspopup": "dialog",
      data: { label }, on: { click: (event) => open(label, event.currentTarget, sentence) } }, label);
  }

  function open(label, from, sentence) {
    evidence.open({ label, sentence, from, find, wording, labels: [...new Set([...citations.keys(), ...found.keys()])] });
  }

  /** All that is known of a label. */
  function find(label) {
    const citation = citations.get(label) ?? null;
    const citing = rows.map((shown) => shown.sentence).filter((sentence) => sentence?.cites?.includes(label));
    return { item: found.get(label) ?? citation ?? { label }, citation, sentences: citing };
  }

  function row(place) {
    if (!rows[place]) {
      const text = h("span", { class: "sentence-text" });
      const cites = h("span", { class: "chips" });
      const mark = h("span", { class: "mark" });
      const note = h("p", { class: "concern", hidden: true });
      const beside = h("div", { class: "beside" });
      rows[place] = { node: h("div", { class: "sentence" }, h("p", null, text, " ", cites, " ", mark), note, beside), text, cites, mark, note, beside, told: "" };
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
      replace(shown.beside, sentence.shows && beside(sentence.shows));
    }
    judge(shown, sentence);
  }

  function judge(shown, sentence) {
    const verdict = verdictOf(sentence);
    const isBare = !verdict && answer && !(sentence.cites ?? []).length;
    shown.node.classList.remove("good", "bad", "doubt");
    shown.mark.replaceChildren();
    if (verdict || isBare) {
      const { kind, node: mark } = verdictMark(verdict, wording);
      shown.node.classList.add(kind);
      shown.mark.append(mark);
    }
    const notes = [concernOf(verdict, wording), sentence.found_later && "Its evidence was found after it was written."].filter(Boolean);
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
    const sides = (whole.conflicts ?? []).flatMap((conflict) => conflict.sides ?? []);
    // the last word on a label is that of the answer's own citations, and these are leafed through first
    const told = [...(whole.citations ?? []), ...sides, ...(whole.nearest ?? [])];
    for (const citation of told) if (citation.label && !citations.has(citation.label)) citations.set(citation.label, citation);
    sentences.forEach((sentence, place) => put(place, sentence));
    for (const extra of rows.splice(sentences.length)) extra.node.remove();
    for (const warning of whole.warnings ?? []) warnings.add(warning);
    showWarnings();
    replace(before, understood(whole, question, actions), risks(whole.risks), opening(whole));
    replace(after, struck(whole.struck), conflicts(whole.conflicts, chip), marks(whole.marks), sentences.some((sentence) => sentence.shows) ? null : sources(whole, open), wider(whole, actions), tools(whole, question, wording));
  }

  return {
    node, set, chip,
    addEvidence: (item) => found.set(item.label, item),
    addSentence: (sentence) => put(rows.length, { ...sentence }),
    addCitation: (citation) => citations.set(citation.label, citation),
    addWarning: (text) => { warnings.add(text); showWarnings(); },
    setVerdict: (place, verdict) => {
      const shown = rows[place - 1];
      if (!shown || !verdict) return;
      shown.sentence = { ...shown.sentence, verdict };
      judge(shown, shown.sentence);
    },
  };
}

/** The evidence itself under a sentence, word for word. */
function beside(citation) {
  return [h("blockquote", null, citation.quote), h("p", { class: "meta" }, h("span", null, citation.title || citation.document), level(citation.level),
    citation.year && h("span", null, String(citation.year)), status(citation.status))];
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
    whole.answer && h("p", { class: "hint" }, asSentence(whole.answer)), whole.suggestion && h("p", { class: "prose" }, whole.suggestion));
}

function struck(list) {
  if (!list?.length) return null;
  return h("details", { class: "fold" }, h("summary", null, list.length === 1 ? "One sentence was struck" : `${list.length} sentences were struck`),
    h("p", { class: "hint" }, "Taken out of the answer, because the evidence does not bear them out."),
    h("ul", { class: "struck" }, list.map(({ text, why }) => h("li", null, h("s", null, text), h("p", { class: "concern" }, asSentence(why))))));
}

function conflicts(list, chip) {
  if (!list?.length) return null;
  return h("section", { class: "conflicts", "aria-label": "Where the evidence disagrees" }, h("h3", null, "Where the evidence disagrees"),
    list.map((conflict) => h("div", { class: "conflict" }, h("p", null, conflict.text), h("div", { class: "sides" }, (conflict.sides ?? []).map((side) =>
      h("div", { class: `side ${side.says === "against" ? "against" : ""}` }, h("p", null, h("strong", null, SIDES[side.says] ?? capital(side.says))),
        side.quote && h("blockquote", null, side.quote),
        h("p", { class: "meta" }, chip(side.label), side.title && h("span", null, side.title), level(side.level), side.year && h("span", null, String(side.year)), status(side.status))))))));
}

function marks(given) {
  if (!given) return null;
  const one = (title, mark, ...more) => {
    if (!mark) return null;
    const [words, filled] = GRADES[mark.grade] ?? [readable(mark.grade), 0];
    const scale = filled > 0 && h("span", { class: "scale", "aria-hidden": "true" }, [1, 2, 3, 4].map((step) => h("i", { class: step <= filled ? "on" : null })));
    const reasons = [...(mark.reasons ?? []), ...more];
    return h("details", { class: "grade" },
      h("summary", null, h("span", { class: "label" }, title), h("span", { class: "graded" }, scale, h("strong", null, words))),
      reasons.length ? h("ul", null, reasons.map((reason) => h("li", null, capital(reason)))) : h("p", { class: "hint" }, "No reasons were given."));
  };
  const share = given.support?.share;
  return h("div", { class: "grades" }, one("Strength of the evidence", given.evidence),
    one("Borne out by it", given.support, ...(Number.isFinite(share) ? [`${Math.round(share * 100)} % of all that was written`] : [])));
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

function tools(whole, question, wording) {
  const cited = whole.citations ?? [];
  const formats = [["Text", "Answer", () => cite.plain(question, whole, wording)]];
  if (cited.length) {
    formats.push(["Vancouver", "References", () => cite.vancouver(cited)], ["RIS", "RIS", () => cite.ris(cited)], ["BibTeX", "BibTeX", () => cite.bibtex(cited)]);
  }
  return h("div", { class: "tools-row" },
    h("div", { class: "copies", role: "group", "aria-label": "Copy" }, h("span", { class: "label" }, "Copy"),
      formats.map(([name, what, make]) => h("button", { type: "button", class: "ghost small", on: { click: () => copy(make(), what) } }, name))),
    whole.trace_id && h("a", { class: "ghost small", href: `#/trace/${encodeURIComponent(whole.trace_id)}` }, "How this came about"),
    whole.snapshot && h("span", { class: "hint stamp" }, `${[ms(whole.timings?.total_ms), `snapshot ${whole.snapshot}`].filter(Boolean).join(" · ")}`));
}
