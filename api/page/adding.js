// Documents sent to a collection: a file or pasted text, what became of each record told at the end.

import { explain, get, post } from "./api.js";
import { h, plural, replace } from "./dom.js";

const FORMATS = { jsonl: "JSON lines", pubmed: "PubMed XML", jats: "JATS XML", text: "Text or Markdown", beir: "BEIR", medrag: "MedRAG", pubmedqa: "PubMedQA" };

/** What a file most likely is, by its name and beginning. */
export function formatOf(name, beginning) {
  if (/\.(md|markdown|txt)$/i.test(name)) return "text";
  if (/<PubmedArticle/.test(beginning)) return "pubmed";
  return /^\s*<[^]*<article[\s>]|^\s*<article[\s>]/.test(beginning) ? "jats" : "jsonl";
}

/** Asks for documents and sends them; gives whether any came in. */
export function add() {
  return new Promise((resolve) => {
    const file = h("input", { id: "add-file", type: "file", accept: ".jsonl,.json,.xml,.nxml,.txt,.md", on: { change: read } });
    const content = h("textarea", { id: "add-content", rows: 6, required: true, spellcheck: "false" });
    const collection = h("input", { id: "add-collection", required: true, maxlength: 80, list: "add-collections", autocomplete: "off" });
    const known = h("datalist", { id: "add-collections" });
    const format = h("select", { id: "add-format" }, Object.entries(FORMATS).map(([name, words]) => h("option", { value: name }, words)));
    const reason = h("input", { id: "add-reason", required: true, maxlength: 600, autocomplete: "off" });
    const said = h("div", { class: "stack", role: "status" });
    const trouble = h("p", { class: "trouble", role: "alert" });
    const sender = h("button", { class: "primary" }, "Add");
    const field = (input, words, ...rest) => h("div", { class: "field" }, h("label", { for: input.id }, words), input, rest);
    const box = h("dialog", { class: "box large", "aria-labelledby": "add-title" }, h("form", { on: { submit } },
      h("h2", { id: "add-title" }, "Add documents"), field(file, "A file"), field(content, "or their text"),
      field(collection, "Collection", known), field(format, "Format"), field(reason, "Reason, for the record"), trouble, said,
      h("div", { class: "row end" }, h("button", { type: "button", class: "ghost", on: { click: () => box.close() } }, "Close"), sender)));
    let isChanged = false;
    box.addEventListener("close", () => { box.remove(); resolve(isChanged); });
    document.body.append(box);
    box.showModal();
    name();

    async function name() {
      try {
        replace(known, ((await get("/v1/collections")).collections ?? []).map((one) => h("option", { value: one.name })));
      } catch {
        // a name can be written all the same
      }
    }

    async function read() {
      const [chosen] = file.files;
      if (!chosen) return;
      content.value = await chosen.text();
      format.value = formatOf(chosen.name, content.value.slice(0, 20_000));
    }

    async function submit(event) {
      event.preventDefault();
      sender.disabled = true;
      trouble.textContent = "";
      try {
        const sent = { collection: collection.value.trim(), format: format.value, content: content.value, reason: reason.value.trim() };
        const { added = 0, updated = 0, unchanged = 0, rejected = [], rejected_count: count = rejected.length } = await post("/v1/documents", sent);
        isChanged ||= added + updated > 0;
        replace(said, h("p", null, `${plural(added, "document")} added, ${updated} updated, ${unchanged} unchanged, ${count} rejected. `,
          isChanged && h("a", { href: "#/curate/snapshots", on: { click: () => box.close() } }, "They are found once a snapshot is built.")),
        rejected.length > 0 && h("ul", { class: "rejected" }, rejected.slice(0, 20).map((one) => h("li", { class: "hint" }, `${one.position}: ${one.reason}`))));
      } catch (error) {
        trouble.textContent = explain(error);
      }
      sender.disabled = false;
    }
  });
}
