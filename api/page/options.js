// How a question is answered: what becomes of sentences that the evidence does not bear out, how far it is looked. Kept on
// this device, unlike filters: an old filter that nobody thinks of would hide evidence.

import { h } from "./dom.js";
import { check, group } from "./filters.js";

const PLACE = "anamnesis.options";

const UNSUPPORTED = {
  mark: ["Mark them", "They stay in the answer, and say so."],
  strike: ["Take them out", "They are listed apart, below the answer."],
};

const REACH = {
  quick: ["Quickly", "One round of searching.", { turns: 1 }],
  usual: ["As usual", "As many rounds as the service is set to.", null],
  far: ["Far", "Up to eight rounds, more passages in each; it takes longer.", { turns: 8, hits_per_query: 10 }],
};

const USUAL = { unsupported: "mark", reach: "usual" };

function kept() {
  try {
    const read = JSON.parse(localStorage.getItem(PLACE) ?? "{}") ?? {};
    return { unsupported: read.unsupported in UNSUPPORTED ? read.unsupported : USUAL.unsupported, reach: read.reach in REACH ? read.reach : USUAL.reach };
  } catch {
    return { ...USUAL };
  }
}

export function optionFields() {
  const now = kept();
  const choices = (name, table) => Object.entries(table).map(([value, [words, meaning]]) => check(name, value, words, meaning, "radio", false));
  const node = h("fieldset", { class: "terms", on: { change: keep } }, h("legend", null, "How to answer"),
    group("options-unsupported", "Sentences that the evidence does not bear out", choices("unsupported", UNSUPPORTED)),
    h("p", { class: "hint" }, "On doses, children, pregnancy, kidneys and liver, and emergencies they are taken out in any case."),
    group("options-reach", "How far to look", choices("reach", REACH)));
  put(now);

  function put(values) {
    for (const [name, value] of Object.entries(values)) node.querySelector(`[name="${name}"][value="${value}"]`).checked = true;
  }

  function chosen() {
    const one = (name) => node.querySelector(`[name="${name}"]:checked`).value;
    return { unsupported: one("unsupported"), reach: one("reach") };
  }

  function keep() {
    try {
      localStorage.setItem(PLACE, JSON.stringify(chosen()));
    } catch {
      // the choice holds until the page is left
    }
  }

  return {
    node,
    /** What is asked other than usual, as the service takes it. */
    value: () => {
      const { unsupported, reach } = chosen();
      return { ...(unsupported === USUAL.unsupported ? {} : { unsupported }), ...(REACH[reach][2] ? { budget: REACH[reach][2] } : {}) };
    },
    reset: () => { put(USUAL); keep(); },
  };
}

/** What was asked other than usual, in words. */
export function optionWords({ unsupported, budget } = {}) {
  return [unsupported === "strike" && "what is not borne out is taken out", budget && (budget.turns === 1 ? "looked for in one round" : `looked for in up to ${budget.turns} rounds`)].filter(Boolean);
}
