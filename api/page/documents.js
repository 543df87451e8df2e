// The list of documents: as long as it is, the page holds the rows near what is seen and asks for more as one scrolls.

import { ACTS, act } from "./acts.js";
import { add } from "./adding.js";
import { explain, get, query } from "./api.js";
import { h, plural, replace, toast } from "./dom.js";
import { level, status } from "./marks.js";
import { windowed } from "./windowed.js";
import { STANDINGS, STATUSES, wordFor } from "./words.js";

/** Documents that are asked for at once. */
const PAGE = 200;
/** Documents that one request may change. */
const MOST = 1000;
/** Milliseconds after a failure before scrolling asks again. */
const PATIENCE = 3000;

const COLUMNS = [["Document", "main-cell"], ["Kind", "kind"], ["Date", "date"], ["Standing", "standing"], ["Tags", "tags"]];

/** Where the list was left for a document, to go back to. */
let left = { address: "#/curate", place: 0 };

/** The address of the list as it was last seen. */
export const listAddress = () => left.address;

export async function showDocuments(root, params) {
  const rows = h("tbody");
  const all = h("input", { type: "checkbox", "aria-label": "Choose all that are listed so far", on: { change: () => chooseAll(all.checked) } });
  const said = h("p", { class: "hint said", role: "status" });
  const chosen = h("div", { class: "chosen", hidden: true, role: "group", "aria-label": "With the chosen documents" });
  const text = h("input", { type: "search", id: "documents-text", placeholder: "Words of the title, or an id", value: params?.get("text") ?? "", on: { input: later } });
  const collection = choice("documents-collection", "Any collection", []);
  const state = choice("documents-state", "Any state", [...Object.entries(STANDINGS).map(([name, words]) => [`standing:${name}`, words]),
    ...Object.entries(STATUSES).filter(([name]) => name !== "ok").map(([name, [words]]) => [`status:${name}`, words])]);
  for (const field of [collection, state]) field.addEventListener("change", () => renew());
  const named = (field, words) => h("div", { class: "field" }, h("label", { for: field.id }, words), field);
  const summary = h("div", { class: "collections" });
  const table = h("table", { class: "documents", "aria-busy": "true" }, h("caption", { class: "unseen" }, "Documents"),
    h("thead", null, h("tr", { "aria-rowindex": 1 }, h("th", { scope: "col", class: "choice" }, all), COLUMNS.map(([name, kind]) => h("th", { scope: "col", class: kind }, name)))), rows);
  const list = windowed({ body: rows, columns: COLUMNS.length + 1, row, near: () => { if (next && !isLoading) more(); } });
  const adder = h("button", { type: "button", class: "primary", on: { click: async () => { if (await add()) { collections(); renew(); } } } }, "Add documents");
  root.append(h("div", { class: "row spread" }, summary, adder),
    h("form", { class: "filter-row", role: "search", on: { submit: (event) => { event.preventDefault(); renew(); } } },
      named(text, "Find"), named(collection, "Collection"), named(state, "State")), said, table, chosen);

  const wanted = { collection: params?.get("collection") ?? "", state: params?.get("state") ?? "" };
  const marked = new Set();
  let tag = params?.get("tag") ?? "";
  let documents = [];
  let known = [];
  let next = null;
  let isLoading = false;
  let asked = 0;
  let waiting = 0;
  let last = null;

  state.value = wanted.state;
  // a collection is not offered before it is known, and holds all the same
  if (wanted.collection) collection.append(h("option", { value: wanted.collection, selected: true }, wanted.collection));
  collections();
  const place = address() === left.address ? left.place : 0;
  await load(place + 1);
  if (documents.length > place && place > 0) requestAnimationFrame(() => list.show(place));
  return () => {
    clearTimeout(waiting);
    // only who goes on to a document comes back to where they were
    left = { address: address(), place: /^#\/curate\/document\//.test(location.hash) ? list.seen() : 0 };
    list.end();
  };

  function address() {
    return `#/curate${query({ text: text.value.trim(), collection: collection.value, state: state.value, tag })}`;
  }

  async function collections() {
    try {
      ({ collections: known = [] } = await get("/v1/collections"));
      const now = collection.value;
      replace(collection, h("option", { value: "" }, "Any collection"), known.map((one) => h("option", { value: one.name }, one.name)));
      collection.value = now;
      replace(summary, known.map((one) => h("button", { type: "button", class: "card", "aria-pressed": String(one.name === now), data: { name: one.name }, on: { click: () => {
        collection.value = collection.value === one.name ? "" : one.name;
        renew();
      } } }, h("strong", null, one.name), h("span", { class: "hint" }, [plural(one.documents ?? 0, "document"), one.withdrawn && `${one.withdrawn.toLocaleString("en")} withdrawn`].filter(Boolean).join(" · ")))));
      if (!isLoading && documents.length > 0) tell();
    } catch {
      // the list says what is wrong
    }
  }

  /** How many documents the list has in all, where that is known: a page of it does not tell. */
  function total() {
    if (!next) return documents.length;
    if (text.value.trim() || state.value || tag) return null;
    const one = collection.value ? known.find(({ name }) => name === collection.value) : known.length === 1 ? known[0] : null;
    return one?.documents ?? null;
  }

  function later() {
    clearTimeout(waiting);
    waiting = setTimeout(() => renew(), 250);
  }

  /** The list anew, at least `least` documents of it. */
  async function load(least = 1) {
    clearTimeout(waiting);
    const turn = ++asked;
    history.replaceState(null, "", address());
    for (const card of summary.children) card.setAttribute("aria-pressed", String(card.dataset.name === collection.value));
    table.setAttribute("aria-busy", "true");
    documents = [];
    next = null;
    last = null;
    marked.clear();
    isLoading = true;
    do await fetchPage(turn); while (turn === asked && next && documents.length < least);
    if (turn !== asked) return;
    isLoading = false;
    tell();
    list.renew(documents.length);
  }

  /** The same where nobody waits for it. */
  async function renew(least) {
    try {
      await load(least);
    } catch (error) {
      table.hidden = true;
      replace(said, explain(error), " ", h("button", { type: "button", class: "small", on: { click: () => renew() } }, "Try again"));
    }
  }

  async function more() {
    const turn = asked;
    isLoading = true;
    try {
      await fetchPage(turn);
    } catch (error) {
      if (turn !== asked) return;
      // who has scrolled far sees no line above the list
      toast(explain(error));
      replace(said, explain(error), " ", h("button", { type: "button", class: "small", on: { click: more } }, "Try again"));
      setTimeout(() => { if (turn === asked) isLoading = false; }, PATIENCE);
      return;
    }
    if (turn !== asked) return;
    isLoading = false;
    tell();
    list.grow(documents.length);
  }

  async function fetchPage(turn) {
    const [field, name] = state.value.split(":");
    const filter = { text: text.value.trim(), collection: collection.value, tag, [field || "status"]: name };
    const page = await get(`/v1/documents${query({ ...filter, limit: PAGE, after: next })}`);
    // an answer that was overtaken is not shown
    if (turn !== asked) return;
    documents = documents.concat(page.documents);
    next = page.next ?? null;
  }

  function tell() {
    table.setAttribute("aria-busy", "false");
    table.hidden = documents.length === 0;
    const whole = total();
    table.setAttribute("aria-rowcount", whole === null ? "-1" : String(whole + 1));
    const isNarrow = text.value.trim() || collection.value || state.value || tag;
    const undo = h("button", { type: "button", class: "ghost small", on: { click: clear } }, tag ? `Clear the filters, tag “${tag}” too` : "Clear the filters");
    replace(said, documents.length === 0 ? isNarrow ? "No document is like this." : "There are no documents yet. Add some, then build a snapshot: it is what is searched."
      : next ? `The first ${documents.length.toLocaleString("en")}${whole === null ? "" : ` of ${whole.toLocaleString("en")}`} documents; more come as you scroll.` : plural(documents.length, "document"), isNarrow ? " " : null, isNarrow ? undo : null);
    choose();
  }

  function clear() {
    text.value = "";
    collection.value = "";
    state.value = "";
    tag = "";
    renew();
    text.focus();
  }

  function row(place) {
    const one = documents[place];
    const box = h("input", { type: "checkbox", checked: marked.has(one.id), "aria-label": `Choose ${one.title || one.id}`, on: { click: (event) => pick(place, event) } });
    return h("tr", { class: one.standing !== "active" || one.status === "retracted" ? "withdrawn" : null },
      h("td", { class: "choice" }, box),
      h("td", { class: "main-cell" }, h("a", { href: `#/curate/document/${encodeURIComponent(one.id)}`, title: one.title }, one.title || one.id),
        h("span", { class: "meta" }, [one.id, one.journal, ...(one.collections ?? [])].filter(Boolean).join(" · "))),
      h("td", { class: "kind" }, level(one.level)), h("td", { class: "date" }, one.date ?? ""),
      h("td", { class: "standing" }, one.standing === "active" ? status(one.status) ?? "Active" : h("span", { class: "verdict doubt" }, wordFor(STANDINGS, one.standing))),
      h("td", { class: "tags" }, (one.tags ?? []).map((name) => h("button", { type: "button", class: "level", title: `Only those tagged ${name}`, on: { click: () => only(name) } }, name))));
  }

  async function only(name) {
    tag = name;
    await renew();
    said.querySelector("button")?.focus();
  }

  /** Acts on what is chosen; the list stays where it is. */
  async function change(name) {
    if (!await act(name, [...marked])) return;
    const seen = list.seen();
    await renew(seen + 1);
    if (seen > 0) list.show(seen);
    rows.querySelector(`[data-place="${seen}"] input`)?.focus({ preventScroll: true });
  }

  /** One is chosen, or with the shift key all from the one before to this. */
  function pick(place, event) {
    const [from, to] = event.shiftKey && last !== null ? [Math.min(last, place), Math.max(last, place)] : [place, place];
    for (const { id } of documents.slice(from, to + 1)) mark(id, event.target.checked);
    last = place;
    choose();
  }

  function chooseAll(isChosen) {
    for (const { id } of documents) mark(id, isChosen);
    choose();
  }

  function mark(id, isChosen) {
    if (isChosen) marked.add(id);
    else marked.delete(id);
  }

  function choose() {
    const count = marked.size;
    list.each((node, place) => { node.querySelector("input").checked = marked.has(documents[place]?.id); });
    all.checked = count > 0 && count === documents.length;
    all.indeterminate = count > 0 && count < documents.length;
    chosen.hidden = count === 0;
    if (count === 0) return;
    const acts = Object.entries(ACTS).map(([name, [words]]) => h("button", { type: "button", class: ["remove", "retract"].includes(name) ? "danger small" : "small",
      on: { click: () => change(name) } }, words));
    replace(chosen, h("strong", { role: "status" }, `${count.toLocaleString("en")} chosen`),
      count > MOST ? h("span", { class: "hint" }, `At most ${MOST.toLocaleString("en")} can be changed at once.`) : acts,
      h("button", { type: "button", class: "ghost small", on: { click: () => chooseAll(false) } }, "Choose none"));
  }
}

function choice(id, none, options) {
  return h("select", { id }, h("option", { value: "" }, none), options.map(([value, words]) => h("option", { value }, words)));
}
