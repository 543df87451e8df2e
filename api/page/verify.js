// The view where any text is held against the literature: each sentence with its mark, what was found for it, and why.

import { answerView } from "./answer.js";
import { explain, post } from "./api.js";
import { announce, focusOn, h, icon, plural, replace } from "./dom.js";
import { clearFields, filterFields, filterWords } from "./filters.js";
import { verdictOf } from "./marks.js";
import { LOOKED_UP } from "./words.js";

const text = h("textarea", { id: "verify-text", rows: 7, maxlength: 16_000, required: true, "aria-describedby": "verify-hint",
  placeholder: "Paste an answer of another system, a paragraph of a leaflet, a claim.", on: { keydown: typed } });
const filters = filterFields("verify");
const narrower = h("details", { class: "fold" }, h("summary", null, "What may be evidence"), h("div", { class: "filters" }, filters.node,
  h("div", { class: "row end" }, h("button", { type: "button", class: "ghost", on: { click: () => clearFields(filters.node) } }, "Clear"))));
narrower.addEventListener("toggle", () => { if (narrower.open) filters.open(); });
const asker = h("button", { class: "primary" }, icon("check"), "Check the text");
const stopper = h("button", { type: "button", class: "primary stop", hidden: true, on: { click: () => running?.abort() } }, icon("stop"), "Stop");
const trouble = h("div", { class: "stack" });
const place = h("div", { class: "verified", "aria-busy": "false" });
// stays as it is while another view is looked at
const view = h("div", { class: "page verify" }, h("h1", { tabindex: "-1" }, "Verify a text"),
  h("p", { class: "lead left" }, "Each sentence is looked up and held against what is found. Not borne out means only that this literature does not say it, not that it is wrong."),
  h("form", { class: "stack", "aria-label": "Text to verify", novalidate: true, on: { submit } }, h("div", { class: "field" }, h("label", { for: "verify-text" }, "The text"), text),
    narrower, h("div", { class: "row" }, h("span", { class: "hint grow", id: "verify-hint" }, "At most 64 sentences, and nothing that names a patient. ", h("span", { class: "keys" }, h("kbd", null, "Ctrl Enter"), " checks.")), asker, stopper)),
  trouble, place);

let running = null;

export function show(root) {
  root.append(view);
  if (matchMedia("(hover: hover)").matches) text.focus({ preventScroll: true });
}

function typed(event) {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    submit(event);
  }
}

async function submit(event) {
  event.preventDefault();
  if (running) return;
  const wrong = text.value.trim() ? filters.problem() : [text, "Paste a text first."];
  if (wrong) {
    narrower.open ||= wrong[0] !== text;
    tell(wrong[1]);
    wrong[0].focus();
    return;
  }
  const filter = filters.value();
  trouble.replaceChildren();
  busy(new AbortController());
  announce("Each sentence is being looked up");
  try {
    const found = await post("/v1/verify", { text: text.value, ...(Object.keys(filter).length ? { filter } : {}) }, { signal: running.signal });
    present(found, filter);
  } catch (error) {
    tell(error.name === "AbortError" ? "Stopped." : explain(error), error.requestId);
  }
  busy(null);
}

function busy(controller) {
  running = controller;
  asker.hidden = Boolean(controller);
  stopper.hidden = !controller;
  place.setAttribute("aria-busy", String(Boolean(controller)));
}

function tell(words, requestId) {
  replace(trouble, h("p", { class: "plain failed", role: "alert" }, words, requestId ? h("span", { class: "hint" }, ` Request ${requestId}.`) : null));
}

function present(found, filter) {
  const answer = asAnswer(found);
  const shown = answerView({ question: "Checked against the literature", actions: {}, wording: LOOKED_UP });
  shown.set(answer);
  const title = h("h2", null, summary(answer.sentences));
  const scope = filterWords(filter);
  replace(place, title, scope.length > 0 && h("p", { class: "scope" }, scope.join(" · ")), shown.node);
  document.getElementById("notice").textContent = found.notice;
  // the focus is read out
  focusOn(title);
}

/** What was found, in the form of an answer: what decides on a sentence is what it cites. Where nothing near was found, the
 *  first hit is no evidence of anything. */
export function asAnswer({ sentences, warnings, snapshot, notice }) {
  const citations = new Map();
  const shown = sentences.map(({ text: words, verdict, citation }) => {
    const isNear = citation && verdict && (verdict.label !== "neutral" || verdict.quote);
    if (!isNear) return { text: words, cites: [] };
    citations.set(citation.label, citations.get(citation.label) ?? citation);
    return { text: words, cites: [citation.label], verdict, shows: citation };
  });
  return { sentences: shown, citations: [...citations.values()], warnings, snapshot, notice };
}

function summary(sentences) {
  const count = (label) => sentences.filter((sentence) => verdictOf(sentence)?.label === label).length;
  const none = sentences.filter((sentence) => !verdictOf(sentence)).length;
  const parts = [[count("support"), "supported"], [count("contradict"), "contradicted"], [count("neutral"), "not borne out"], [none, "without any evidence near"]];
  return `${plural(sentences.length, "sentence")}: ${parts.filter(([number]) => number > 0).map(([number, words]) => `${number} ${words}`).join(", ")}`;
}
