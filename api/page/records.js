// The record: what curators did and why, and the stored answers that cite what is no evidence any more.

import { status } from "./marks.js";
import { get, query } from "./api.js";
import { append, h } from "./dom.js";
import { STANDINGS, day, readable, wordFor } from "./words.js";

const ROWS = 100;

export async function showAudit(root) {
  const field = h("input", { type: "search", id: "audit-document", placeholder: "pubmed:12345" });
  const place = h("div", { class: "stack" });
  const said = h("p", { class: "hint", role: "status" });
  root.append(h("form", { class: "row controls", role: "search", on: { submit: (event) => { event.preventDefault(); load(); } } },
    h("label", { for: "audit-document" }, "Of the document"), field, h("button", null, "Show")), said, place);
  await load();

  async function load() {
    const asked = field.value.trim();
    let { acts = [], next } = await get(`/v1/audit${query({ limit: ROWS, document: asked })}`);
    said.textContent = acts.length ? "" : "Nothing was done yet.";
    const older = h("button", { type: "button", hidden: !next, on: { click: async () => {
      const page = await get(`/v1/audit${query({ limit: ROWS, document: asked, after: next })}`);
      next = page.next;
      older.hidden = !next;
      acts = [...acts, ...(page.acts ?? [])];
      place.replaceChildren(auditTable(acts, true), older);
    } } }, "Older");
    place.replaceChildren(...(acts.length ? [auditTable(acts, true), older] : []));
  }
}

export function auditTable(acts, withDocument) {
  return h("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "Record" }, h("table", null, h("caption", { class: "unseen" }, "Record"),
    h("thead", null, h("tr", null, ["When", "Who", "What", withDocument && "Document", "Why"].filter(Boolean).map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", null, acts.map((one) => h("tr", null, h("td", null, day(one.at)), h("td", null, one.who ?? ""), h("td", null, readable(one.verb)),
      withDocument && h("td", null, one.document ? h("a", { href: `#/curate/document/${encodeURIComponent(one.document)}` }, one.document) : ""), h("td", null, one.reason ?? ""))))));
}

export async function show(root) {
  const { affected = [] } = await get("/v1/affected");
  append(root, [h("p", { class: "lead left" }, "Stored answers that cite a document which was retracted, quarantined or removed since, or of which a concern was raised."),
    affected.length === 0 ? h("p", { class: "plain" }, "No stored answer is touched.")
      : h("div", { class: "list" }, affected.map((one) => h("div", { class: "item" }, h("div", { class: "item-main" },
        h("a", { href: `#/trace/${encodeURIComponent(one.trace)}` }, one.question), h("span", { class: "hint" }, day(one.created)),
        (one.documents ?? []).map((document) => h("span", { class: "meta" }, h("a", { href: `#/curate/document/${encodeURIComponent(document.id)}` }, document.title || document.id),
          status(document.status), document.standing && document.standing !== "active" && h("span", { class: "verdict doubt" }, wordFor(STANDINGS, document.standing))))))))]);
}
