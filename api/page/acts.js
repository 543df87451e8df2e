// What curators may do to documents, each with its reason.

import { explain, post } from "./api.js";
import { h, plural, toast } from "./dom.js";

export const ACTS = {
  tag: ["Tag", "A tag groups documents; it changes no answer."],
  untag: ["Take a tag away", "The documents themselves stay as they are."],
  quarantine: ["Quarantine", "Set aside at once: it is no evidence until it is restored."],
  restore: ["Restore", "It may be evidence again."],
  retract: ["Mark as retracted", "Retracted work is no evidence, whatever else is done to it."],
  reinstate: ["Take retraction back", "It may be evidence again: the retraction or concern was a mistake, or was itself withdrawn."],
  remove: ["Remove", "It is no evidence any more. Its text stays in the record."],
};

/** Asks for the reason and does it; gives whether it was done. */
export function act(name, ids) {
  const [words, meaning] = ACTS[name];
  return new Promise((resolve) => {
    const wantsTag = name === "tag" || name === "untag";
    const tag = h("input", { id: "act-tag", type: "text", required: true, maxlength: 80, autocomplete: "off" });
    const reason = h("textarea", { id: "act-reason", rows: 3, required: true, maxlength: 600 });
    const trouble = h("p", { class: "trouble", role: "alert" });
    const doer = h("button", { class: ["remove", "retract"].includes(name) ? "danger" : "primary" }, words);
    const box = h("dialog", { class: "box", "aria-labelledby": "act-title" }, h("form", { on: { submit } },
      h("h2", { id: "act-title" }, words), h("p", null, `${ids.length === 1 ? ids[0] : plural(ids.length, "document")}. ${meaning}`),
      wantsTag && h("div", { class: "field" }, h("label", { for: "act-tag" }, "Tag"), tag),
      h("div", { class: "field" }, h("label", { for: "act-reason" }, "Reason, for the record"), reason), trouble,
      h("div", { class: "row end" }, h("button", { type: "button", class: "ghost", on: { click: () => box.close() } }, "Cancel"), doer)));
    let isDone = false;
    box.addEventListener("close", () => { box.remove(); resolve(isDone); });
    document.body.append(box);
    box.showModal();

    async function submit(event) {
      event.preventDefault();
      doer.disabled = true;
      try {
        const body = { ids, reason: reason.value.trim(), ...(wantsTag ? { tag: tag.value.trim() } : {}) };
        const { changed, retracted } = await post(`/v1/documents/${name}`, body);
        isDone = true;
        const still = retracted?.length ? `; ${plural(retracted.length, "document")} retracted still: take the retraction back` : "";
        toast(Number.isFinite(changed) ? `${plural(changed, "document")} changed${still}` : "Done");
        box.close();
      } catch (error) {
        trouble.textContent = explain(error);
        doer.disabled = false;
      }
    }
  });
}
