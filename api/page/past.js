// What was asked on this device: read again, forgotten one by one or at once, or not kept at all.

import { h, replace, sureButton, toast } from "./dom.js";
import * as history from "./history.js";
import { day } from "./words.js";

export function show(root) {
  const list = h("div", { class: "list" });
  const count = h("p", { class: "hint", role: "status" });
  const finder = h("input", { type: "search", id: "past-find", placeholder: "Find a question", on: { input: fill } });
  const kept = h("input", { type: "checkbox", id: "past-kept", role: "switch", checked: history.isOn(), on: { change: () => {
    history.setOn(kept.checked);
    toast(kept.checked ? "Questions are kept on this device" : "Nothing is kept any more");
    fill();
  } } });
  const eraser = sureButton("Clear all", "Clear all, for good?", { class: "danger" }, () => { history.clear(); fill(); toast("The history is empty"); finder.focus(); });
  root.append(h("div", { class: "page narrow" }, h("h1", { tabindex: "-1" }, "History"),
    h("p", { class: "lead left" }, "The last fifty questions with their answers, in this browser only."),
    h("div", { class: "row controls" }, h("label", { class: "unseen", for: "past-find" }, "Find a question"), finder,
      h("label", { class: "toggle", for: "past-kept" }, kept, "Keep questions on this device"), eraser), count, list));
  fill();

  function fill() {
    const wanted = finder.value.trim().toLowerCase();
    const entries = history.all().filter((entry) => entry.question.toLowerCase().includes(wanted));
    count.textContent = entries.length ? "" : wanted ? "No question has these words." : history.isOn() ? "Nothing was asked yet." : "Nothing is kept.";
    eraser.hidden = history.all().length === 0;
    replace(list, entries.map((entry) => h("div", { class: "item" },
      h("a", { class: "item-main", href: `#/?past=${entry.id}` }, h("strong", null, entry.question),
        h("span", { class: "meta" }, h("span", null, day(entry.at)), h("span", null, entry.answer?.abstained ? "no answer" : `${entry.answer?.citations?.length ?? 0} sources`))),
      h("button", { type: "button", class: "ghost small", "aria-label": `Forget: ${entry.question}`, on: { click: () => { history.remove(entry.id); fill(); finder.focus(); } } }, "Forget"))));
  }
}
