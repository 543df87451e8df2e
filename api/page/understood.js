// How a question was understood, to be corrected in its own words.

import { h, replace } from "./dom.js";

const PARTS = { population: "Who", intervention: "What", comparator: "Compared with", outcome: "For what outcome" };

/** The parts of the question, and a form to correct them; `actions.refine(question)` takes it in its new words. */
export function understood(whole, question, actions) {
  const given = whole.understood;
  if (!given) return null;
  const told = Object.entries(PARTS).filter(([part]) => given[part]);
  const summary = h("summary", null, "Understood as ", told.length ? told.map(([part, words]) => h("span", { class: "told-part" }, h("span", { class: "hint" }, words), " ", given[part]))
    : h("span", { class: "hint" }, "it stands"), " ", h("span", { class: "change" }, "Change"));
  const details = h("details", { class: "fold understood-as" }, summary);
  // the fields are made when they are wanted: most questions are understood
  details.addEventListener("toggle", () => {
    if (details.open && details.childElementCount === 1) details.append(form(given, `part-${whole.trace_id}`, (value) => actions.refine(inWords(question, given, value))));
  });
  return details;
}

function form(given, id, take) {
  const fields = Object.entries(PARTS).map(([part, words]) => [part, h("input", { id: `${id}-${part}`, type: "text", value: given[part] ?? "", placeholder: "not said", autocomplete: "off", data: { part } }), words]);
  const submit = (event) => {
    event.preventDefault();
    take(Object.fromEntries(fields.map(([part, input]) => [part, input.value.trim()])));
  };
  return replace(h("form", { class: "understood", on: { submit } }), fields.map(([, input, words]) => h("div", { class: "field" }, h("label", { for: input.id }, words), input)),
    h("div", { class: "row end" }, h("span", { class: "hint grow" }, "The question is reworded in the box, for you to look at and ask."), h("button", null, "Reword the question")));
}

const WORDS = { population: "in", intervention: "regarding", comparator: "compared with", outcome: "as to" };

/** The question with what was corrected: in place where the words stand in it, else said after it. */
export function inWords(question, before, after) {
  let text = question.trim();
  const added = [];
  for (const [part, words] of Object.entries(WORDS)) {
    const [old, now] = [before[part] ?? "", after[part] ?? ""];
    if (old === now) continue;
    const place = old && whole(old, now ? "" : "(?:\\s+(?:in|for|with|of|among|during|versus|vs|than))?\\s*").exec(text);
    if (place) text = `${text.slice(0, place.index)}${now}${text.slice(place.index + place[0].length)}`;
    else if (now) added.push(`${words} ${now}`);
  }
  text = text.replace(/\s+/g, " ").replace(/\s+([?.!,])/g, "$1").trim();
  if (!added.length) return text;
  return `${text.replace(/[?.!\s]+$/, "")}, ${added.join(", ")}?`;
}

/** Finds the words as whole words, with what may stand `before` them. */
function whole(words, before) {
  const plain = words.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  return new RegExp(`${before}(?<![\\p{L}\\p{N}])${plain}(?![\\p{L}\\p{N}])`, "iu");
}
