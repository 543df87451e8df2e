// What may be evidence: the fields of a filter, and what they say.

import { get } from "./api.js";
import { h } from "./dom.js";
import { LEVELS, wordFor } from "./words.js";

/** Fields whose ids begin with `id`; what they hold is a filter as the service takes it. */
export function filterFields(id) {
  const from = year(`${id}-from`);
  const to = year(`${id}-to`);
  const kinds = Object.entries(LEVELS).map(([name, [words, meaning]]) => check("level", name, words, meaning));
  const sure = check("sure", "sure", "Leave out works with an expression of concern", "Retracted works are left out in any case.");
  const named = h("input", { id: `${id}-collections`, type: "text", placeholder: "starter, mine" });
  const collections = field(named, "Collections");
  const sources = h("input", { id: `${id}-sources`, type: "text", placeholder: "pubmed, pmc" });
  const topics = h("input", { id: `${id}-topics`, type: "text", placeholder: "Heart Failure; Diabetes Mellitus, Type 2" });
  const node = h("fieldset", { class: "terms" }, h("legend", null, "What may be evidence"),
    h("div", { class: "years" }, field(from, "Published from"), field(to, "until")),
    group(`${id}-kinds`, "Kinds of study; all unless chosen", kinds), collections,
    h("div", { class: "pair" }, field(sources, "Sources"), field(topics, "Topics (MeSH), apart by semicolons")), h("div", { class: "checks" }, sure));
  let isNamed = false;

  const chosen = (name) => [...node.querySelectorAll(`[name="${name}"]:checked`)].map((one) => one.value);

  function value() {
    const lists = { levels: chosen("level"), collections: [...chosen("collection"), ...listed(named, ",")], sources: listed(sources, ","),
      mesh: listed(topics, ";"), statuses: chosen("sure").length ? ["ok", "corrected"] : [] };
    const given = Object.entries({ from: from.value.trim(), to: to.value.trim(), ...lists }).filter(([, one]) => one.length > 0);
    return Object.fromEntries(given);
  }

  return {
    node, value,
    /** The collections there are, where the service tells; else they are written by hand. */
    open: async () => {
      if (isNamed) return;
      isNamed = true;
      const known = await get("/v1/collections").then((found) => found.collections ?? [], () => []);
      if (known.length) collections.replaceWith(group(`${id}-collections`, "Collections; all unless chosen", known.map((one) => check("collection", one.name, one.name, `${one.documents ?? "some"} documents`))));
    },
    /** The field that is wrong and why; null where all is in order. */
    problem: () => {
      for (const one of [from, to]) if (one.value.trim() && !/^\d{4}$/.test(one.value.trim())) return [one, "Write years with four digits, like 2019."];
      return from.value && to.value && from.value.trim() > to.value.trim() ? [to, "The years are the wrong way round."] : null;
    },
  };
}

/** Empties all fields in `node`, or puts them to their usual value. */
export function clearFields(node) {
  for (const one of node.querySelectorAll("input")) {
    if (one.type === "text") one.value = "";
    else one.checked = one.defaultChecked;
  }
}

/** What a filter says, in words. */
export function filterWords(filter) {
  const span = [filter.from && `from ${filter.from}`, filter.to && `until ${filter.to}`].filter(Boolean).join(" ");
  const lists = [filter.levels?.map((level) => wordFor(LEVELS, level)), filter.collections, filter.sources, filter.mesh];
  return [span, ...lists.map((list) => list?.join(", ")), filter.statuses && "no expressions of concern"].filter(Boolean);
}

export function check(name, value, words, meaning, type = "checkbox", checked = false) {
  return h("label", { class: "check", title: meaning }, h("input", { type, name, value, checked }), h("span", null, words));
}

export function group(id, words, checks) {
  return h("div", { class: "field", role: "group", "aria-labelledby": id }, h("span", { id, class: "label" }, words), h("div", { class: "checks" }, checks));
}

function field(input, words) {
  return h("div", { class: "field" }, h("label", { for: input.id }, words), input);
}

function year(id) {
  return h("input", { id, type: "text", inputmode: "numeric", maxlength: 4, size: 6, placeholder: "year" });
}

function listed(input, mark) {
  return input.value.split(mark).map((one) => one.trim()).filter(Boolean);
}
