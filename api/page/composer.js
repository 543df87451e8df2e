// The box that questions are written in, with what may be evidence.

import { get } from "./api.js";
import { h, icon } from "./dom.js";
import { LEVELS } from "./words.js";

/** `ask({question, filter, follows})`, `stop()` and `again()` are called when the person wants them. */
export function composer({ ask, stop, again }) {
  const text = h("textarea", { id: "question", rows: 1, maxlength: 4000, placeholder: "A question, in your own words",
    "aria-describedby": "question-hint", autocomplete: "off", on: { input: fit, keydown: typed } });
  const from = year("filter-from");
  const to = year("filter-to");
  const levels = Object.entries(LEVELS).map(([name, [words, meaning]]) => check("level", name, words, meaning));
  const collections = h("div", { class: "checks" });
  const named = h("input", { id: "filter-collections", type: "text", placeholder: "starter, mine" });
  const collectionField = h("div", { class: "field" }, h("label", { for: "filter-collections" }, "Collections"), named);
  const sources = h("input", { id: "filter-sources", type: "text", placeholder: "pubmed, pmc" });
  const count = h("span", { class: "count", hidden: true });
  const opener = h("button", { type: "button", class: "ghost", "aria-label": "Filters", "aria-expanded": "false", "aria-controls": "filters",
    on: { click: () => open(filters.hidden) } }, icon("filter"), h("span", { class: "roomy" }, "Filters"), count);
  const filters = h("fieldset", { id: "filters", class: "filters", hidden: true, on: { input: tally } },
    h("legend", null, "What may be evidence"),
    h("div", { class: "years" },
      h("div", { class: "field" }, h("label", { for: "filter-from" }, "Published from"), from),
      h("div", { class: "field" }, h("label", { for: "filter-to" }, "until"), to)),
    h("div", { class: "field", role: "group", "aria-labelledby": "levels-title" },
      h("span", { id: "levels-title", class: "label" }, "Kinds of study"), h("div", { class: "checks" }, levels)),
    collectionField,
    h("div", { class: "field" }, h("label", { for: "filter-sources" }, "Sources"), sources),
    h("div", { class: "row end" }, h("button", { type: "button", class: "ghost", on: { click: reset } }, "Clear filters")));
  const follows = h("input", { type: "checkbox", id: "follows", checked: true });
  const followed = h("label", { class: "toggle", for: "follows", hidden: true }, follows, h("span", null, "Follow up", h("span", { class: "roomy" }, " on this answer")));
  const anew = h("button", { type: "button", class: "ghost", hidden: true, on: { click: again } }, h("span", null, "New", h("span", { class: "roomy" }, " question")));
  const asker = h("button", { class: "primary", type: "submit" }, icon("ask"), h("span", null, "Ask"));
  const stopper = h("button", { class: "primary stop", type: "button", hidden: true, on: { click: stop } }, icon("stop"), h("span", null, "Stop"));
  const trouble = h("p", { class: "trouble", role: "alert" });
  const node = h("form", { class: "composer", "aria-label": "Question", novalidate: true, on: { submit } },
    h("div", { class: "sheet" },
      h("label", { class: "unseen", for: "question" }, "Your question"), text,
      h("div", { class: "row" }, opener, followed, anew,
        h("span", { class: "hint grow", id: "question-hint" }, h("kbd", null, "Enter"), " asks, ", h("kbd", null, "Shift Enter"), " begins a line"),
        asker, stopper)),
    trouble, filters);

  let known = null;

  function open(isOpen) {
    filters.hidden = !isOpen;
    opener.setAttribute("aria-expanded", String(isOpen));
    if (isOpen) name();
  }

  /** The collections there are, where the service tells; else they are written by hand. */
  async function name() {
    if (known) return;
    known = [];
    try {
      known = (await get("/v1/collections")).collections ?? [];
    } catch {
      return;
    }
    if (!known.length) return;
    const boxes = known.map((one) => check("collection", one.name, one.name, `${one.documents ?? "some"} documents`));
    collections.replaceChildren(...boxes);
    collectionField.replaceChildren(h("span", { class: "label", id: "collections-title" }, "Collections"), collections);
    collectionField.setAttribute("role", "group");
    collectionField.setAttribute("aria-labelledby", "collections-title");
  }

  function filter() {
    const given = {};
    if (from.value) given.from = from.value;
    if (to.value) given.to = to.value;
    const chosen = (group) => [...filters.querySelectorAll(`[name="${group}"]:checked`)].map((one) => one.value);
    const listed = (field) => field.value.split(",").map((one) => one.trim()).filter(Boolean);
    for (const [field, values] of [["levels", chosen("level")], ["collections", [...chosen("collection"), ...listed(named)]], ["sources", listed(sources)]]) {
      if (values.length) given[field] = values;
    }
    return given;
  }

  function tally() {
    const active = Object.keys(filter()).length;
    count.hidden = active === 0;
    count.textContent = String(active);
    opener.setAttribute("aria-label", active ? `Filters, ${active} set` : "Filters");
  }

  function reset() {
    for (const field of filters.querySelectorAll("input")) {
      if (field.type === "checkbox") field.checked = false;
      else field.value = "";
    }
    tally();
  }

  function problem() {
    if (!text.value.trim()) return [text, "Write a question first."];
    for (const field of [from, to]) {
      if (field.value && !/^\d{4}$/.test(field.value)) return [field, "Write years with four digits, like 2019."];
    }
    if (from.value && to.value && from.value > to.value) return [to, "The years are the wrong way round."];
    return null;
  }

  function submit(event) {
    event.preventDefault();
    if (asker.hidden) return;
    const found = problem();
    trouble.textContent = found ? found[1] : "";
    if (found) {
      if (found[0] !== text) open(true);
      found[0].focus();
      return;
    }
    const question = text.value.trim();
    open(false);
    set("");
    ask({ question, filter: filter(), follows: !followed.hidden && follows.checked });
  }

  function typed(event) {
    // while an input method composes, Enter ends the word
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      node.requestSubmit();
    }
  }

  function fit() {
    if (text.value) trouble.textContent = "";
    text.style.height = "auto";
    if (text.scrollHeight) text.style.height = `${Math.min(text.scrollHeight, 240)}px`;
  }

  function set(question) {
    text.value = question;
    fit();
  }

  return {
    node, set, fit,
    focus: () => text.focus(),
    begin: () => { asker.hidden = true; stopper.hidden = false; },
    end: () => { asker.hidden = false; stopper.hidden = true; },
    /** What a follow-up would follow; null when nothing. */
    follow: (question) => {
      followed.hidden = question === null;
      anew.hidden = !document.querySelector(".thread")?.childElementCount;
      text.placeholder = question === null ? "A question, in your own words" : "A follow-up question";
      if (question !== null) follows.checked = true;
    },
  };
}

function year(id) {
  return h("input", { id, type: "text", inputmode: "numeric", maxlength: 4, size: 6, placeholder: "year" });
}

function check(name, value, words, meaning) {
  return h("label", { class: "check", title: meaning }, h("input", { type: "checkbox", name, value }), h("span", null, words));
}
