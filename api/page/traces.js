// Episodes that were stored: one's own, or everybody's for those who may.

import { explain, get, query, request } from "./api.js";
import { h, sureButton, toast } from "./dom.js";
import { day, readable } from "./words.js";

export async function show(root) {
  const list = h("div", { class: "list", tabindex: "-1" });
  const more = h("button", { type: "button", hidden: true, on: { click: () => load().catch((error) => toast(explain(error))) } }, "Older");
  const said = h("p", { class: "hint", role: "status" });
  root.append(h("div", { class: "page narrow" }, h("h1", { tabindex: "-1" }, "Traces"),
    h("p", { class: "lead left" }, "How stored answers came about, the newest first."), list, said, more));
  let after = null;
  await load();

  async function load() {
    const { traces = [], next = null } = await get(`/v1/traces${query({ limit: 50, after })}`);
    after = next;
    more.hidden = !next;
    for (const trace of traces) list.append(item(trace));
    said.textContent = list.childElementCount ? "" : "No answer was stored yet. Ask a question, and how it was answered is told here.";
  }

  function item(trace) {
    const named = `trace-${trace.id}`;
    const node = h("div", { class: "item" },
      h("a", { class: "item-main", href: `#/trace/${encodeURIComponent(trace.id)}` }, h("strong", { id: named }, trace.question),
        h("span", { class: "meta" }, h("span", null, day(trace.created)), trace.outcome && h("span", null, readable(trace.outcome)), trace.caller && h("span", null, trace.caller))),
      sureButton("Erase", "Erase for good?", { class: "ghost small", "aria-describedby": named }, erase));
    async function erase() {
      try {
        await request("DELETE", `/v1/traces/${encodeURIComponent(trace.id)}`);
        const next = node.nextElementSibling ?? node.previousElementSibling;
        node.remove();
        (next?.querySelector("a") ?? list).focus();
        toast("The trace is erased");
      } catch (error) {
        toast(explain(error));
      }
    }
    return node;
  }
}
