// The curators' view: documents, collections, snapshots, the record of what was done, the answers it touches.

import { show as showAffected, showAudit } from "./records.js";
import { showDocument } from "./document.js";
import { showDocuments } from "./documents.js";
import { showSnapshots } from "./snapshots.js";
import { h } from "./dom.js";

const PARTS = [["", "Documents", showDocuments], ["snapshots", "Snapshots", showSnapshots], ["audit", "Audit", showAudit], ["affected", "Affected answers", showAffected]];

export async function show(root, [part = "", ...rest], params) {
  const place = h("div", { class: "part" });
  const here = part === "document" ? "" : part;
  const page = h("div", { class: "page" }, h("h1", { tabindex: "-1" }, "Curate"),
    h("nav", { class: "tabs", "aria-label": "Parts of curation" }, PARTS.map(([name, words]) =>
      h("a", { href: name ? `#/curate/${name}` : "#/curate", "aria-current": name === here ? "page" : null }, words))), place);
  root.append(page);
  if (part === "document") return showDocument(place, rest.join("/"));
  const found = PARTS.find(([name]) => name === part) ?? PARTS[0];
  return found[2](place, params);
}
