// One document: its text, what it is, what was done to it, and what can be done.

import { ACTS, act } from "./acts.js";
import { get } from "./api.js";
import * as cite from "./cite.js";
import { listAddress } from "./documents.js";
import { away, h, icon, replace } from "./dom.js";
import { level, status } from "./marks.js";
import { indicesOfBytes } from "./quote.js";
import { auditTable } from "./records.js";
import { STANDINGS, STATUSES, asSentence, wordFor } from "./words.js";

export async function showDocument(root, id) {
  const place = h("article", { class: "document" });
  root.append(h("p", { class: "crumb" }, h("a", { href: listAddress() }, "Documents"), ` / ${id}`), place);
  await load();

  async function load() {
    const one = await get(`/v1/documents/${encodeURIComponent(id)}`);
    const isActive = (one.standing ?? "active") === "active";
    const isDoubted = ["retracted", "concern"].includes(one.status);
    const fits = { restore: !isActive, quarantine: isActive, untag: one.tags?.length > 0, retract: one.status !== "retracted",
      reinstate: isDoubted, remove: one.standing !== "removed" };
    const allowed = Object.keys(ACTS).filter((name) => fits[name] ?? true);
    const identifiers = one.identifiers ?? one;
    const facts = [["Standing", wordFor(STANDINGS, one.standing)], ["Status", wordFor(STATUSES, one.status)], ["Date", one.date], ["Journal", one.journal], ["Licence", one.licence],
      ["Collections", (one.collections ?? []).join(", ")], ["Tags", (one.tags ?? []).join(", ")], ["Chunks", Array.isArray(one.chunks) ? one.chunks.length : one.chunks]];
    replace(place, h("h2", { class: "document-title", tabindex: "-1" }, one.title || one.id),
      h("p", { class: "meta" }, level(one.level), status(one.status), h("span", null, one.id)),
      !isActive && h("p", { class: "banner doubt" }, icon("warning"), h("span", null, `${wordFor(STANDINGS, one.standing)}: it is no evidence now. `, why(one))),
      one.status === "retracted" && h("p", { class: "banner bad" }, icon("warning"), h("span", null, STATUSES.retracted[1])),
      h("div", { class: "row" }, allowed.map((name) => h("button", { type: "button", class: ["remove", "retract"].includes(name) ? "danger small" : "small",
        on: { click: async () => { if (await act(name, [one.id])) load(); } } }, ACTS[name][0]))),
      h("dl", { class: "told" }, facts.filter(([, value]) => value !== null && value !== undefined && value !== "").map(([name, value]) => h("div", null, h("dt", null, name), h("dd", null, String(value))))),
      h("p", { class: "links" }, cite.links(identifiers).map(({ name, href }) => away(href, name))),
      text(one), one.audit?.length > 0 && h("section", { "aria-label": "What was done to it" }, h("h2", null, "What was done to it"), auditTable(one.audit, false)));
  }
}

/** Why it stands as it does: the last act that made it so. */
function why({ audit, standing }) {
  const last = audit?.find((one) => one.after === standing);
  return last?.reason ? `${last.who}: ${asSentence(last.reason)}` : null;
}

function text(one) {
  if (typeof one.text !== "string") return null;
  return h("section", { "aria-label": "Text" }, h("h2", null, "Text"), one.cut && h("p", { class: "hint" }, "This document is long: its beginning is shown."),
    h("div", { class: "passage tall", tabindex: "0", role: "region", "aria-label": "Text of the document" },
      parts(one).map(([heading, piece]) => [heading && h("h3", null, heading), h("p", { class: "passage-text" }, piece.trim())])));
}

/** The text cut where sections begin. */
function parts({ text: whole, sections }) {
  const starts = indicesOfBytes(whole, (sections ?? []).map((section) => section.start));
  const cuts = (sections ?? []).map(({ heading }, place) => ({ heading, at: starts[place] })).filter(({ at }) => at >= 0);
  const pieces = cuts.map(({ heading, at }, place) => [heading, whole.slice(at, cuts[place + 1]?.at)]);
  const before = whole.slice(0, cuts[0]?.at);
  return before.trim() ? [["", before], ...pieces] : pieces;
}
