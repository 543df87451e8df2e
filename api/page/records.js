// The record: what curators did and why, and the stored answers that cite what is no evidence any more.

import { explain, get, query } from "./api.js";
import { append, h, replace, toast } from "./dom.js";
import { status } from "./marks.js";
import { STANDINGS, day, readable, wordFor } from "./words.js";

const ROWS = 100;

export async function showAudit(root, params) {
  const field = h("input", { type: "search", id: "audit-document", placeholder: "pubmed:12345", value: params?.get("document") ?? "" });
  const place = h("div", { class: "stack" });
  const said = h("p", { class: "hint", role: "status" });
  const older = h("button", { type: "button", hidden: true, on: { click: () => load(next).catch(tell) } }, "Older");
  let acts = [];
  let next = null;
  root.append(h("form", { class: "row controls", role: "search", on: { submit: (event) => { event.preventDefault(); load(null).catch(tell); } } },
    h("label", { for: "audit-document" }, "Of the document"), field, h("button", null, "Show")), said, place, older);
  await load(null);

  async function load(after) {
    const page = await get(`/v1/audit${query({ limit: ROWS, document: field.value.trim(), after })}`);
    acts = [...(after ? acts : []), ...(page.acts ?? [])];
    next = page.next ?? null;
    older.hidden = !next;
    said.textContent = acts.length ? "" : field.value.trim() ? "Nothing was done to such a document." : "Nothing was done yet.";
    replace(place, acts.length > 0 && auditTable(acts, true));
  }

  function tell(error) {
    said.textContent = explain(error);
  }
}

export function auditTable(acts, withDocument) {
  return h("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "Record" }, h("table", null, h("caption", { class: "unseen" }, "Record"),
    h("thead", null, h("tr", null, ["When", "Who", "What", withDocument && "Document", "Why"].filter(Boolean).map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", null, acts.map((one) => h("tr", null, h("td", null, day(one.at)), h("td", null, one.who ?? ""), h("td", null, readable(one.verb)),
      withDocument && h("td", null, one.document ? h("a", { href: `#/curate/document/${encodeURIComponent(one.document)}` }, one.document) : ""), h("td", null, one.reason ?? ""))))));
}

export async function show(root) {
  const list = h("div", { class: "list" });
  const none = h("p", { class: "plain", hidden: true }, "No stored answer is touched.");
  const more = h("button", { type: "button", hidden: true, on: { click: () => load().catch((error) => toast(explain(error))) } }, "Older");
  let next = null;
  append(root, [h("p", { class: "lead left" }, "Stored answers that cite a document which was retracted, quarantined or removed since, or of which a concern was raised."), none, list, more]);
  await load();

  async function load() {
    const page = await get(`/v1/affected${query({ after: next })}`);
    next = page.next ?? null;
    more.hidden = !next;
    append(list, (page.affected ?? []).map(answer));
    none.hidden = list.childElementCount > 0;
  }
}

function answer(one) {
  return h("div", { class: "item" }, h("div", { class: "item-main" },
    h("a", { href: `#/trace/${encodeURIComponent(one.trace)}` }, one.question), h("span", { class: "hint" }, day(one.created)),
    (one.documents ?? []).map((document) => h("span", { class: "meta" }, h("a", { href: `#/curate/document/${encodeURIComponent(document.id)}` }, document.title || document.id),
      status(document.status), document.standing && document.standing !== "active" && h("span", { class: "verdict doubt" }, wordFor(STANDINGS, document.standing))))));
}
