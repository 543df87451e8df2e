// The list of documents, a page at a time: a page is as quick with ten documents as with a million.

import { ACTS, act } from "./acts.js";
import { add } from "./adding.js";
import { level, status } from "./marks.js";
import { explain, get, query } from "./api.js";
import { announce, append, h, plural, replace } from "./dom.js";
import { STANDINGS, STATUSES, wordFor } from "./words.js";

const PAGE = 50;

export async function showDocuments(root, params) {
  const rows = h("tbody");
  const all = h("input", { type: "checkbox", "aria-label": "Choose all on this page", on: { change: () => { for (const one of boxes()) one.checked = all.checked; choose(); } } });
  const said = h("p", { class: "hint", role: "status" });
  const [before, after] = [h("button", { type: "button", on: { click: () => turn(-1) } }, "Previous page"), h("button", { type: "button", on: { click: () => turn(1) } }, "Next page")];
  const chosen = h("div", { class: "chosen", hidden: true, role: "group", "aria-label": "With the chosen documents" });
  const text = h("input", { type: "search", id: "documents-text", placeholder: "Words of the title, or an id", value: params?.get("text") ?? "", on: { input: later } });
  const collection = choice("documents-collection", "Any collection", []);
  const state = choice("documents-status", "Any status", Object.entries(STATUSES).map(([name, [words]]) => [name, words]));
  const standing = choice("documents-standing", "Any standing", Object.entries(STANDINGS));
  for (const field of [collection, state, standing]) field.addEventListener("change", () => first());
  const named = (field, words) => h("div", { class: "field" }, h("label", { for: field.id }, words), field);
  const summary = h("div", { class: "collections" });
  root.append(summary, h("form", { class: "filter-row", role: "search", on: { submit: (event) => { event.preventDefault(); first(); } } },
    named(text, "Find"), named(collection, "Collection"), named(state, "Status"), named(standing, "Standing")), chosen,
  h("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "Documents" }, h("table", { class: "documents" }, h("caption", { class: "unseen" }, "Documents"),
    h("thead", null, h("tr", null, h("th", { scope: "col" }, all), ["Document", "Kind", "Date", "Standing", "Tags"].map((name) => h("th", { scope: "col" }, name)))), rows)),
  h("div", { class: "row pages" }, before, after, said));
  append(summary, adder());
  // where each page began: what is before a page cannot be asked for, only remembered
  let starts = [null];
  let next = null;
  let asked = 0;
  let waiting = 0;

  collectionsOf();
  await load();
  return () => clearTimeout(waiting);

  async function collectionsOf() {
    try {
      const { collections = [] } = await get("/v1/collections");
      const chosen = collection.value;
      replace(collection, h("option", { value: "" }, "Any collection"), collections.map((one) => h("option", { value: one.name }, one.name)));
      collection.value = chosen;
      replace(summary, adder(), collections.map((one) => h("button", { type: "button", class: "card", on: { click: () => { collection.value = one.name; first(); } } },
        h("strong", null, one.name), h("span", { class: "hint" }, [plural(one.documents ?? 0, "document"), plural(one.chunks ?? 0, "chunk"), one.withdrawn && `${one.withdrawn} withdrawn`].filter(Boolean).join(" · ")))));
    } catch {
      // the list says what is wrong
    }
  }

  function adder() {
    return h("button", { type: "button", class: "primary", on: { click: async () => {
      if (!await add()) return;
      collectionsOf();
      load();
    } } }, "Add documents");
  }

  function later() {
    clearTimeout(waiting);
    waiting = setTimeout(first, 250);
  }

  function first() {
    starts = [null];
    return load();
  }

  async function turn(step) {
    if (step > 0 && next) starts.push(next);
    if (step < 0 && starts.length > 1) starts.pop();
    await load();
    root.querySelector("table").scrollIntoView({ block: "nearest" });
  }

  async function load() {
    const turnNumber = ++asked;
    const filter = { text: text.value.trim(), collection: collection.value, status: state.value, standing: standing.value };
    let page;
    try {
      page = await get(`/v1/documents${query({ ...filter, limit: PAGE, after: starts.at(-1) })}`);
    } catch (error) {
      if (turnNumber !== asked) return;
      replace(rows);
      replace(root, h("p", { class: "plain" }, explain(error)));
      return;
    }
    // an answer that was overtaken is not shown
    if (turnNumber !== asked) return;
    next = page.next ?? null;
    replace(rows, page.documents.map(row));
    all.checked = false;
    before.disabled = starts.length === 1;
    after.disabled = !next;
    const from = (starts.length - 1) * PAGE;
    said.textContent = page.documents.length ? `${from + 1} to ${from + page.documents.length}` : "No document is like this.";
    announce(page.documents.length ? `Documents ${said.textContent}` : said.textContent);
    choose();
  }

  function row(one) {
    return h("tr", { class: one.standing !== "active" || one.status === "retracted" ? "withdrawn" : null },
      h("td", null, h("input", { type: "checkbox", value: one.id, "aria-label": `Choose ${one.title || one.id}`, on: { change: choose } })),
      h("td", { class: "main-cell" }, h("a", { href: `#/curate/document/${encodeURIComponent(one.id)}` }, one.title || one.id),
        h("span", { class: "meta" }, h("span", null, one.id), one.journal && h("span", null, one.journal), (one.collections ?? []).map((name) => h("span", { class: "hint" }, name)))),
      h("td", null, level(one.level)), h("td", { class: "date" }, one.date ?? ""),
      h("td", null, one.standing === "active" ? status(one.status) ?? "Active" : h("span", { class: "verdict doubt" }, wordFor(STANDINGS, one.standing))),
      h("td", null, (one.tags ?? []).map((tag) => h("span", { class: "level" }, tag))));
  }

  function boxes() {
    return [...rows.querySelectorAll("input[type=checkbox]")];
  }

  function choose() {
    const ids = boxes().filter((one) => one.checked).map((one) => one.value);
    chosen.hidden = ids.length === 0;
    replace(chosen, h("strong", { role: "status" }, `${ids.length} chosen`), Object.entries(ACTS).map(([name, [words]]) =>
      h("button", { type: "button", class: ["remove", "retract"].includes(name) ? "danger small" : "small", on: { click: async () => { if (await act(name, ids)) load(); } } }, words)));
  }
}

function choice(id, none, options) {
  return h("select", { id }, h("option", { value: "" }, none), options.map(([value, words]) => h("option", { value }, words)));
}
