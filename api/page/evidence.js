// The evidence beside the answer: one passage, its quote marked, what the work is and who else has something against it.
// A column where there is room; where there is none, a sheet over the page.

import { explain, get } from "./api.js";
import * as cite from "./cite.js";
import { away, copy, h, icon, replace } from "./dom.js";
import { level, status as statusMark, verdictMark, verdictOf } from "./marks.js";
import { locate } from "./quote.js";
import { ANSWERED, LEVELS, STATUSES, asSentence } from "./words.js";

const panel = document.getElementById("evidence");
const roomy = matchMedia("(min-width: 1120px)");

let current = null;
let opener = null;

panel.addEventListener("close", () => {
  document.body.classList.remove("has-evidence");
  for (const chip of document.querySelectorAll(".chip.open")) chip.classList.remove("open");
  current = null;
  if (opener?.isConnected) opener.focus();
  opener = null;
});
panel.addEventListener("keydown", (event) => {
  // a sheet closes by itself, a column is told to
  if (event.key === "Escape") { event.preventDefault(); close(); }
});
panel.addEventListener("click", (event) => {
  if (event.target === panel && panel.matches(":modal")) close();
});
roomy.addEventListener("change", close);
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && panel.open && !document.querySelector("dialog:modal")) close();
});

export function close() {
  if (panel.open) panel.close();
}

/** Shows the evidence `label`. `find(label)` gives what is known of it, `labels` are those to leaf through, `sentence`
 *  the one whose chip was pressed. */
export function open({ label, sentence, from, labels, find, wording = ANSWERED }) {
  if (from && !panel.contains(from)) opener = from;
  const { item, citation, sentences } = find(label);
  const own = quotesFor(label, sentence, citation);
  current = label;
  for (const chip of document.querySelectorAll(".chip.open")) chip.classList.remove("open");
  if (from?.classList.contains("chip")) from.classList.add("open");
  const place = labels.indexOf(label);
  const leaf = (step) => {
    const next = labels[place + step];
    return h("button", { type: "button", class: "ghost icon-only", disabled: next === undefined, "aria-label": step < 0 ? "Evidence before this" : "Evidence after this",
      data: { step: String(step) },
      on: { click: () => {
        open({ label: next, from: null, labels, find, wording });
        (panel.querySelector(`[data-step="${step}"]:not(:disabled)`) ?? panel.querySelector("h2")).focus();
      } } }, icon(step < 0 ? "left" : "right"));
  };
  const body = h("div", { class: "passage", tabindex: "0", role: "region", "aria-label": "The passage" });
  const facts = h("div", { class: "facts" });
  const where = h("p", { class: "links" });
  replace(panel, h("div", { class: "panel" },
    h("div", { class: "panel-head" }, h("span", { class: "chip static" }, label), leaf(-1), leaf(1), h("span", { class: "grow" }),
      h("button", { type: "button", class: "ghost icon-only", "aria-label": "Close the evidence", on: { click: close } }, icon("cross"))),
    h("h2", { id: "evidence-title", tabindex: "-1" }, item.title || item.document || label),
    facts, body, where, citing(sentences, wording)));
  describe(facts, item);
  passage(body, item, own, item.text);
  complete(label, item, own, { body, where, facts });
  document.body.classList.add("has-evidence");
  if (!panel.open) {
    if (roomy.matches) panel.show();
    else panel.showModal();
  }
  panel.scrollTop = 0;
  if (from) panel.querySelector("h2").focus({ preventScroll: true });
}

/** The quotes to mark, the first that stands in the passage: the one that speaks to this very sentence, the sentence
 *  itself where it was taken word for word, that of the citation. */
function quotesFor(label, sentence, citation) {
  const judged = verdictOf(sentence)?.quote;
  const quotes = [];
  if (judged?.label === label && judged.text) quotes.push({ quote: judged.text, start: judged.start, end: judged.end });
  if (sentence) quotes.push({ quote: sentence.text });
  if (citation?.quote) quotes.push(citation);
  return quotes;
}

function describe(facts, item) {
  const status = STATUSES[item.status];
  replace(facts,
    h("p", { class: "meta" }, level(item.level), [item.year ?? item.date, item.journal].filter(Boolean).map((part) => h("span", null, String(part))), statusMark(item.status)),
    h("p", { class: "hint" }, [LEVELS[item.level]?.[1], status?.[1]].filter(Boolean).join(" ")));
}

function passage(body, item, own, text, origin) {
  if (typeof text !== "string") {
    replace(body, h("p", { class: "hint" }, "Fetching the passage"));
    return;
  }
  const found = own.map((quote) => locate(text, origin, quote)).find(Boolean);
  const heading = item.heading && h("p", { class: "heading" }, item.heading);
  const parts = found ? [text.slice(0, found[0]), h("mark", null, text.slice(...found)), text.slice(found[1])] : [text];
  replace(body, heading, h("p", { class: "passage-text" }, parts));
  const mark = body.querySelector("mark");
  if (mark) requestAnimationFrame(() => { body.scrollTop = Math.max(0, mark.offsetTop - body.offsetTop - body.clientHeight / 3); });
}

/** Asks the service for the passage as it is today: with its identifiers, or withdrawn. */
async function complete(label, item, own, { body, where, facts }) {
  const showLinks = (work) => replace(where, cite.links(work).map(({ name, href }) => away(href, name)),
    h("button", { type: "button", class: "ghost small", on: { click: () => copy(cite.vancouver([{ ...work, label }]).replace(/^1\. /, ""), "Reference") } }, "Copy reference"));
  showLinks(item);
  if (!item.chunk) return;
  try {
    const chunk = await get(`/v1/chunks/${encodeURIComponent(item.chunk)}`);
    if (current !== label) return;
    const whole = { ...item, ...given(chunk), year: item.year ?? chunk.date?.slice(0, 4) };
    describe(facts, whole);
    showLinks(whole);
    passage(body, whole, own, chunk.text, chunk.start);
  } catch (error) {
    if (current !== label) return;
    const isGone = error.status === 410;
    const said = isGone ? `${asSentence(error.message)} It is evidence no longer.` : error.status === 404 ? "The corpus does not hold this passage now. What is shown is how it was found." : explain(error);
    body.before(h("p", { class: `banner ${isGone ? "bad" : "doubt"}` }, icon("warning"), h("span", null, said)));
    if (typeof item.text !== "string") replace(body, own.length ? h("blockquote", null, own.at(-1).quote) : null);
  }
}

const given = (object) => Object.fromEntries(Object.entries(object).filter(([, value]) => value !== null && value !== ""));

function citing(sentences, wording) {
  if (!sentences?.length) return null;
  return h("section", { class: "citing" }, h("h3", null, wording.citing[sentences.length === 1 ? 0 : 1]),
    h("ul", null, sentences.map((sentence) => h("li", null, sentence.text, " ", verdictOf(sentence) && verdictMark(verdictOf(sentence), wording).node))));
}
