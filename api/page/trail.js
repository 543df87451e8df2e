// What is looked for and found, as it happens: the searches of one question.

import { h, icon, plural } from "./dom.js";
import { ms } from "./words.js";

/** `chip(label)` makes the button that opens a piece of evidence. */
export function trail({ chip }) {
  const summary = h("span", { class: "trail-summary" }, "Reading the question");
  const list = h("ol", { class: "steps" });
  const node = h("details", { class: "trail busy", open: true }, h("summary", null, h("span", { class: "pulse", "aria-hidden": "true" }), summary), list);
  const steps = new Map();
  const seen = new Set();
  let turns = 0;

  function step(turn, query) {
    const name = `${turn}\n${query}`;
    if (!steps.has(name)) {
      const found = h("span", { class: "step-found" }, "searching");
      const chips = h("span", { class: "step-chips" });
      const item = h("li", { class: "step" }, icon("search"), h("div", null, words(query), h("div", { class: "step-result" }, found, chips)));
      list.append(item);
      steps.set(name, { found, chips });
    }
    return steps.get(name);
  }

  return {
    node,
    turn({ turn, may_search: maySearch }) {
      turns = turn;
      summary.textContent = maySearch ? turn > 1 ? "Looking further" : "Searching" : "Writing the answer";
    },
    query({ turn, query }) {
      step(turn, query);
      summary.textContent = `Searching · ${plural(steps.size, "query", "queries")}`;
    },
    hits({ turn, query, hits }) {
      for (const hit of hits) seen.add(hit.chunk);
      step(turn, query).found.textContent = hits.length ? plural(hits.length, "passage") : "nothing found";
    },
    evidence({ turn, query, evidence, known }) {
      const { chips } = step(turn, query);
      chips.append(...evidence.map((item) => chip(item.label)));
      const old = known.filter((label) => !evidence.some((item) => item.label === label));
      if (old.length) chips.append(h("span", { class: "hint" }, `again ${old.join(", ")}`));
    },
    end(timings, word) {
      node.classList.remove("busy");
      node.open = false;
      const parts = [plural(steps.size, "search", "searches"), `${plural(seen.size, "passage")} read`];
      if (timings?.total_ms) parts.push(ms(timings.total_ms));
      summary.textContent = word ?? (turns || steps.size ? parts.join(" · ") : "Answered before");
    },
  };
}

/** A query, its modifiers apart: `hyponatraemia @from:2015`. */
function words(query) {
  const parts = query.split(/\s(?=@\w+:)/);
  return h("div", { class: "step-query" }, parts[0], parts.slice(1).map((part) => h("code", null, part)));
}
