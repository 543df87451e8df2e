// The box that questions are written in, with what may be evidence and how to answer.

import { h, icon } from "./dom.js";
import { clearFields, filterFields } from "./filters.js";
import { optionFields } from "./options.js";

/** `ask({question, filter, options, follows})`, `stop()` and `again()` are called when the person wants them. */
export function composer({ ask, stop, again }) {
  const text = h("textarea", { id: "question", rows: 1, maxlength: 4000, placeholder: "A question, in your own words",
    "aria-describedby": "question-hint", autocomplete: "off", on: { input: fit, keydown: typed } });
  const filters = filterFields("filter");
  const options = optionFields();
  const count = h("span", { class: "count", hidden: true });
  const opener = h("button", { type: "button", class: "ghost", "aria-expanded": "false", "aria-controls": "filters",
    on: { click: () => open(terms.hidden) } }, icon("filter"), h("span", { class: "roomy" }, "Filters and options"), count);
  const terms = h("div", { id: "filters", class: "filters", hidden: true, on: { input: tally } }, filters.node, options.node,
    h("div", { class: "row end" }, h("button", { type: "button", class: "ghost", on: { click: reset } }, "Back to the usual")));
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
    trouble, terms);
  tally();

  function open(isOpen) {
    terms.hidden = !isOpen;
    opener.setAttribute("aria-expanded", String(isOpen));
    if (!isOpen) return;
    filters.open();
    terms.scrollIntoView({ block: "nearest" });
  }

  function tally() {
    const active = Object.keys(filters.value()).length + Object.keys(options.value()).length;
    count.hidden = active === 0;
    count.textContent = String(active);
    opener.setAttribute("aria-label", active ? `Filters and options, ${active} set` : "Filters and options");
  }

  function reset() {
    clearFields(filters.node);
    options.reset();
    tally();
  }

  function submit(event) {
    event.preventDefault();
    if (asker.hidden) return;
    const found = text.value.trim() ? filters.problem() : [text, "Write a question first."];
    trouble.textContent = found ? found[1] : "";
    if (found) {
      if (found[0] !== text) open(true);
      found[0].focus();
      return;
    }
    const question = text.value.trim();
    open(false);
    set("");
    ask({ question, filter: filters.value(), options: options.value(), follows: !followed.hidden && follows.checked });
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
