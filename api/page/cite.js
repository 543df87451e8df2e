// Citations as others want them: Vancouver, RIS, BibTeX, plain text with links.

import { concernOf, verdictOf } from "./marks.js";
import { ANSWERED } from "./words.js";

// What is no identifier is not passed on as one.
const isDoi = (text) => /^10\.\d{4,9}\/\S+$/.test(text ?? "");
const isPmid = (text) => /^\d{1,9}$/.test(text ?? "");

/** Where a work can be read: PubMed and its publisher, as far as it has identifiers. */
export function links({ pmid, pmcid, doi, url }) {
  const found = [];
  if (isPmid(pmid)) found.push({ name: `PMID ${pmid}`, href: `https://pubmed.ncbi.nlm.nih.gov/${pmid}/` });
  if (pmcid && /^PMC\d{1,9}$/i.test(pmcid)) found.push({ name: pmcid, href: `https://pmc.ncbi.nlm.nih.gov/articles/${pmcid}/` });
  if (isDoi(doi)) found.push({ name: `doi:${doi}`, href: `https://doi.org/${encodeURI(doi)}` });
  if (url && /^https?:\/\//i.test(url)) found.push({ name: host(url), href: url });
  return found;
}

function host(url) {
  try {
    return new URL(url).host;
  } catch {
    return "source";
  }
}

/** Works, each once: two labels may be two passages of one document. */
function works(citations) {
  const seen = new Map();
  for (const citation of citations) {
    const known = seen.get(citation.document);
    if (known) known.labels.push(citation.label);
    else {
      const [doi, pmid] = [isDoi(citation.doi) ? citation.doi : null, isPmid(citation.pmid) ? citation.pmid : null];
      seen.set(citation.document, { ...citation, doi, pmid, labels: [citation.label] });
    }
  }
  return [...seen.values()];
}

const flat = (text) => String(text ?? "").replace(/\s+/g, " ").trim();
const stopped = (text) => (/[.!?]$/.test(text) ? text : `${text}.`);

export function vancouver(citations) {
  return works(citations).map((work, place) => {
    const authors = work.authors?.length
      ? work.authors.length > 6 ? `${work.authors.slice(0, 6).join(", ")}, et al` : work.authors.join(", ") : "";
    const parts = [authors, flat(work.title), [flat(work.journal), work.year].filter(Boolean).join(". ")];
    const text = parts.filter(Boolean).map(stopped).join(" ");
    const tail = [work.doi ? `doi:${flat(work.doi)}.` : "", work.pmid ? `PMID: ${flat(work.pmid)}.` : ""].filter(Boolean);
    return `${place + 1}. ${[text, ...tail].join(" ")}`;
  }).join("\n");
}

export function ris(citations) {
  const entry = (work) => {
    const lines = [["TY", work.journal ? "JOUR" : "GEN"], ["TI", work.title]];
    for (const author of work.authors ?? []) lines.push(["AU", author]);
    lines.push(["PY", work.year], ["JO", work.journal], ["DO", work.doi]);
    if (work.pmid) lines.push(["AN", `PMID:${flat(work.pmid)}`]);
    for (const link of links(work)) lines.push(["UR", link.href]);
    lines.push(["ID", work.document]);
    for (const quote of quotes(citations, work)) lines.push(["N1", quote]);
    const given = lines.filter(([, value]) => value !== null && value !== undefined && value !== "");
    return [...given.map(([tag, value]) => `${tag}  - ${flat(value)}`), "ER  - "].join("\r\n");
  };
  return works(citations).map(entry).join("\r\n\r\n") + "\r\n";
}

function quotes(citations, work) {
  return citations.filter((one) => one.document === work.document && one.quote).map((one) => `"${flat(one.quote)}"`);
}

export function bibtex(citations) {
  const entry = (work) => {
    const fields = [["title", work.title ? `{${escape(work.title)}}` : ""], ["author", (work.authors ?? []).map(escape).join(" and ")],
      ["journal", escape(work.journal)], ["year", escape(work.year)], ["doi", escape(work.doi)],
      ["note", work.pmid ? `PMID: ${escape(work.pmid)}` : ""]];
    const given = fields.filter(([, value]) => value !== "");
    const name = flat(work.document).replace(/[^A-Za-z0-9]+/g, "_") || "work";
    return `@${work.journal ? "article" : "misc"}{${name},\n${given.map(([field, value]) => `  ${field} = {${value}}`).join(",\n")}\n}`;
  };
  return works(citations).map(entry).join("\n\n") + "\n";
}

const ESCAPES = { "\\": "\\textbackslash{}", "{": "\\{", "}": "\\}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}" };

function escape(value) {
  return flat(value).replace(/[\\{}~^]/g, (found) => ESCAPES[found]).replace(/[&%$#_]/g, "\\$&");
}

/** The answer as it can be pasted anywhere: sentences with labels and what is wrong with them, then what they cite, with links. */
export function plain(question, answer, wording = ANSWERED) {
  const sentences = answer.sentences ?? [];
  const body = sentences.length ? sentences.map((sentence) => marked(sentence, wording)).join("\n") : flat(answer.answer);
  const cited = (answer.citations ?? []).map((work) => {
    const head = [flat(work.title), flat(work.journal), work.year].filter(Boolean).join(". ");
    const shown = links(work).map((link) => link.href).join(" ");
    return `[${work.label}] ${stopped(head)}${work.quote ? ` "${flat(work.quote)}"` : ""}${shown ? ` ${shown}` : ""}`;
  });
  return [flat(question), "", body, ...(cited.length ? ["", ...cited] : []), ...(answer.notice ? ["", answer.notice] : [])].join("\n");
}

/** A sentence with its labels; a mark that is no good one goes with it wherever it is pasted. */
function marked(sentence, wording) {
  const labels = (sentence.cites ?? []).map((label) => ` [${label}]`).join("");
  const verdict = verdictOf(sentence);
  const [kind, , words] = (verdict ? wording[verdict.label] : wording.none) ?? ["doubt", "", verdict.label];
  if (kind === "good") return `${flat(sentence.text)}${labels}`;
  const why = concernOf(verdict, wording).replace(/\.$/, "");
  return `${flat(sentence.text)}${labels} (${words}${why ? `: ${why}` : ""})`;
}
