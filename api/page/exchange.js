// One question and what became of it: asked, told as it happens, shown when it is done.

import { answerView } from "./answer.js";
import { Failed, explain, stream } from "./api.js";
import { announce, focusOn, h, plural } from "./dom.js";
import * as evidence from "./evidence.js";
import { trail } from "./trail.js";
import { LEVELS, day, wordFor } from "./words.js";

/** `actions.wider(question)` asks another question, `actions.refine(question)` puts one into the box. */
export function exchange({ question, filter, follows, actions }) {
  const items = new Map();
  const title = h("h2", { class: "asked" }, question);
  const steps = trail({ chip });
  const shown = answerView({ question, chip, open, actions });
  const trouble = h("div", { class: "trouble-place" });
  const node = h("article", { class: "exchange", "aria-busy": "false" }, title, scope(filter, follows), steps.node, trouble, shown.node);
  const controller = new AbortController();
  let final = null;

  function chip(label, sentence) {
    const item = items.get(label) ?? shown.citation(label);
    const name = item ? `Evidence ${label}: ${[item.title, item.year].filter(Boolean).join(", ")}` : `Evidence ${label}`;
    return h("button", { type: "button", class: "chip", title: item?.title, "aria-label": name, "aria-haspopup": "dialog",
      data: { label }, on: { click: (event) => open(label, event.currentTarget, sentence) } }, label);
  }

  function open(label, from, sentence) {
    evidence.open({ label, sentence, from, labels: labels(), find });
  }

  function labels() {
    const cited = shown.labels();
    return [...cited, ...[...items.keys()].filter((label) => !cited.includes(label))];
  }

  /** All that is known of a label. */
  function find(label) {
    const citation = shown.citation(label);
    return { item: items.get(label) ?? citation ?? { label }, citation, sentences: shown.citing(label) };
  }

  function hear({ event, data }) {
    switch (event) {
      case "turn": return steps.turn(data);
      case "query": return steps.query(data);
      case "hits": return steps.hits(data);
      case "evidence":
        for (const item of data.evidence) items.set(item.label, item);
        return steps.evidence(data);
      case "answer": return shown.addSentence(data);
      case "citation": return shown.addCitation(data);
      case "verdict": return shown.setVerdict(data.sentence, data.verdict ?? data.finding);
      case "warning": return shown.addWarning(data.message);
      case "final":
        final = data;
        return finish(data);
      case "error": throw new Failed(0, data.code, data.message, data.request_id);
      // a newer service may tell more
      default: return undefined;
    }
  }

  function finish(answer) {
    shown.set(answer);
    steps.end(answer.timings);
    const notice = document.getElementById("notice");
    if (answer.notice) notice.textContent = answer.notice;
    announce(answer.abstained ? `No answer. ${answer.answer}`
      : `The answer is ready: ${plural(answer.sentences?.length ?? 0, "sentence")}, ${plural(answer.citations?.length ?? 0, "source")}.`);
  }

  async function run() {
    node.setAttribute("aria-busy", "true");
    try {
      await listen(follows);
      if (!final) throw new Failed(0, "ended", "The stream ended before the answer was whole. Ask again.", null);
    } catch (error) {
      const isStopped = error.name === "AbortError";
      steps.end(null, isStopped ? "Stopped" : "Ended early");
      const said = isStopped ? "Stopped. What was found until then stays here, unchecked." : explain(error);
      trouble.append(h("p", { class: isStopped ? "plain" : "plain failed", role: "alert" }, said,
        error.requestId ? h("span", { class: "hint" }, ` Request ${error.requestId}.`) : null));
    }
    node.setAttribute("aria-busy", "false");
    return final;
  }

  async function listen(trace) {
    const body = { question, stream: true };
    if (Object.keys(filter).length) body.filter = filter;
    if (trace) body.follows = trace;
    try {
      for await (const told of stream("/v1/ask", body, controller.signal)) hear(told);
    } catch (error) {
      // a service that knows no follow-ups is asked without
      if (!trace || !(error instanceof Failed) || error.status !== 400 || !/follow/i.test(error.message)) throw error;
      trouble.append(h("p", { class: "hint" }, "This service takes no follow-ups, so this was asked as a question of its own."));
      await listen(null);
    }
  }

  return {
    node, question, filter, run,
    focus: () => focusOn(title),
    stop: () => controller.abort(),
    traceId: () => final?.trace_id ?? null,
    /** An answer that was given before. */
    recall: (answer, at) => {
      final = answer;
      shown.set(answer);
      steps.end(null, `Answered ${day(at)}`);
    },
  };
}

/** What the question was narrowed to, in words; nothing where it was not. */
function scope(filter, follows) {
  const parts = [];
  if (follows) parts.push("follows the answer above");
  if (filter.from || filter.to) parts.push([filter.from ? `from ${filter.from}` : "", filter.to ? `until ${filter.to}` : ""].filter(Boolean).join(" "));
  if (filter.levels) parts.push(filter.levels.map((level) => wordFor(LEVELS, level)).join(", "));
  for (const list of [filter.collections, filter.sources]) if (list) parts.push(list.join(", "));
  return parts.length ? h("p", { class: "scope" }, parts.join(" · ")) : null;
}
