// One episode from its first word to its last: who wrote what, what was looked for, what each hit is worth and why.

import { get } from "./api.js";
import { copy, h, icon, plural, svg } from "./dom.js";
import * as evidence from "./evidence.js";
import { level, status, verdictMark, verdictOf } from "./marks.js";
import { FAULTS, day, ms, readable, wordFor } from "./words.js";

export async function show(root, [id]) {
  if (!id) {
    location.replace("#/traces");
    return;
  }
  const answered = await get(`/v1/traces/${encodeURIComponent(id)}`);
  const whole = answered.trace && typeof answered.trace === "object" ? answered.trace : answered;
  root.append(h("div", { class: "page trace" }, h("p", { class: "crumb" }, h("a", { href: "#/traces" }, "Traces"), ` / ${whole.id}`),
    h("h1", { tabindex: "-1" }, whole.question), view(whole),
    h("div", { class: "row" }, h("button", { type: "button", on: { click: () => copy(JSON.stringify(whole, null, 2), "Trace") } }, "Copy as JSON"),
      h("span", { class: "hint" }, h("code", null, `anamnesis replay ${whole.id}`), " repeats it."))));
}

/** A trace as the agent stores it, laid out in time. The trainer's episodes hold the same. */
export function view(trace) {
  const pieces = trace.ledger?.entries ?? [];
  const chip = chips(trace, pieces);
  const turns = [...new Set([...trace.segments, ...trace.searches].map((part) => part.turn))].sort((a, b) => a - b);
  return [
    trace.follows && h("p", { class: "hint" }, "It goes on from ", h("a", { href: `#/trace/${encodeURIComponent(trace.follows.trace)}` }, trace.follows.question)),
    h("p", { class: "meta" }, [day(trace.started), `policy ${trace.policy}`, `seed ${trace.seed}`, `snapshot ${trace.snapshot}`].map((part) => h("span", null, part))),
    times(trace.timings),
    h("ol", { class: "timeline" }, turns.map((turn) => h("li", { class: "turn" }, h("h2", null, `Turn ${turn}`), moves(trace, turn, chip))),
      h("li", { class: "turn end" }, h("h2", null, "The end"), h("p", { class: "hint" }, `${readable(trace.stop)}.`), ending(trace.answer, chip))),
    pieces.length > 0 && h("section", { "aria-label": "Evidence" }, h("h2", null, plural(pieces.length, "piece"), " of evidence"),
      h("div", { class: "list" }, pieces.map(piece))),
  ];
}

/** What happened in a turn: searches stand between what the policy wrote and what the environment answered. */
function moves(trace, turn, chip) {
  const mine = (list) => list.filter((part) => part.turn === turn);
  const segments = mine(trace.segments);
  const written = segments.filter((segment) => segment.author === "policy");
  const told = segments.filter((segment) => segment.author !== "policy");
  const faults = (trace.faults ?? []).filter(([at]) => at === turn);
  return [written.map(segment), faults.map(([, fault]) => h("p", { class: "banner doubt" }, icon("warning"), h("span", null, `Fault: ${wordFor(FAULTS, fault)}.`))),
    mine(trace.searches).map((part) => search(part, chip)), told.map(segment)];
}

function segment(part) {
  const isPolicy = part.author === "policy";
  const tokens = part.token_ids ? ` · ${plural(part.token_ids.length, "token")}` : "";
  return h("details", { class: `segment ${isPolicy ? "own" : "other"}`, open: isPolicy },
    h("summary", null, h("strong", null, isPolicy ? "The policy wrote" : "The environment wrote"), h("span", { class: "hint" }, ` ${plural(part.text.length, "character")}${tokens}`)),
    h("pre", null, part.text));
}

function search(part, chip) {
  const most = Math.max(...part.hits.map((hit) => hit.score), 1e-9);
  return h("div", { class: "search" }, h("p", null, icon("search"), " ", h("strong", null, part.query), h("span", { class: "hint" },
    ` ${plural(part.hits.length, "hit")}${part.evidence.length ? ", as evidence " : ", none of it evidence"}`), h("span", { class: "chips" }, part.evidence.map((one) => chip(one)))),
  part.hits.length > 0 && h("div", { class: "wide", tabindex: "0", role: "region", "aria-label": `Hits for ${part.query}` }, h("table", null,
    h("thead", null, h("tr", null, ["Rank", "Document", "Score", "Made of"].map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", null, part.hits.map((hit) => h("tr", null, h("td", null, String(hit.rank)), h("td", null, hit.document),
      h("td", null, bar(hit.score / most), " ", hit.score.toFixed(3)),
      h("td", null, hit.contributions.map(contribution))))))));
}

function contribution({ arm, rank, raw, scaled, weight, value }) {
  return h("span", { class: "part", title: `raw ${raw}, scaled ${scaled}` }, h("strong", null, arm), ` #${rank} `,
    `${weight.toFixed(2)} × ${scaled.toFixed(3)} = ${value.toFixed(3)}`);
}

function bar(share) {
  return svg("svg", { class: "bar-mark", viewBox: "0 0 60 6", width: 60, height: 6, "aria-hidden": "true" },
    svg("rect", { class: "bar-rest", width: 60, height: 6, rx: 3 }), svg("rect", { class: "bar-full", width: Math.max(2, 60 * Math.min(1, share)), height: 6, rx: 3 }));
}

function times(timings) {
  if (!timings?.total_ms) return null;
  const rest = Math.max(0, timings.total_ms - timings.policy_ms - timings.retrieval_ms);
  const parts = [["policy", timings.policy_ms], ["retrieval", timings.retrieval_ms], ["other", rest]];
  let at = 0;
  return h("figure", { class: "times" },
    svg("svg", { viewBox: "0 0 100 3", preserveAspectRatio: "none", "aria-hidden": "true" }, parts.map(([name, value]) => {
      const width = 100 * value / timings.total_ms;
      at += width;
      return svg("rect", { class: `time-${name}`, x: at - width, width, height: 3 });
    })),
    h("figcaption", null, h("strong", null, ms(timings.total_ms)), parts.map(([name, value]) => h("span", null, h("i", { class: `time-${name}` }), `${name} ${ms(value)}`))));
}

/** Labels are numbers in a trace. */
const label = (value) => (typeof value === "number" ? `E${value}` : String(value));

function ending(answer, chip) {
  const abstained = typeof answer.outcome === "object" ? Object.values(answer.outcome)[0] : null;
  if (abstained) return h("p", { class: "plain" }, h("strong", null, `Abstained (${readable(abstained).toLowerCase()}). `), answer.text);
  return h("div", { class: "plain stack" }, answer.sentences.map((sentence) => {
    const verdict = verdictOf(sentence);
    return h("p", { class: "prose" }, sentence.text, " ", h("span", { class: "chips" }, (sentence.cites ?? []).map((cite) => chip(cite, sentence))), " ",
      verdict && verdictMark(verdict).node);
  }));
}

/** Makes the buttons that open a piece of evidence, with what a stored episode knows of it. */
function chips(trace, entries) {
  const told = (sentence) => {
    const verdict = verdictOf(sentence);
    return { text: sentence.text, verdict: verdict && { ...verdict, quote: verdict.quote && { ...verdict.quote, label: label(verdict.quote.evidence) } } };
  };
  const { sentences = [], citations = [] } = trace.answer;
  const find = (name) => {
    const entry = entries.find((one) => label(one.label) === name);
    return { item: { ...entry, ...entry?.identifiers, label: name }, citation: citations.find((one) => label(one.label) === name) ?? null,
      sentences: sentences.filter((one) => one.cites?.some((cite) => label(cite) === name)).map(told) };
  };
  const labels = entries.map((one) => label(one.label));
  return (number, sentence) => h("button", { type: "button", class: "chip", "aria-label": `Evidence ${label(number)}`, "aria-haspopup": "dialog",
    on: { click: (event) => evidence.open({ label: label(number), sentence: sentence && told(sentence), from: event.currentTarget, labels, find }) } }, label(number));
}

function piece(item) {
  return h("details", { class: "fold piece" }, h("summary", null, h("span", { class: "chip static" }, label(item.label)), " ", h("strong", null, item.title), " ",
    h("span", { class: "hint" }, [item.year, item.document].filter(Boolean).join(" · "))),
  h("p", { class: "meta" }, level(item.level), status(item.status), item.heading), h("p", { class: "passage-text" }, item.text));
}
