// One question and what became of it: asked, told as it happens, shown when it is done.

import { answerView } from "./answer.js";
import { Failed, explain, stream } from "./api.js";
import { announce, focusOn, h, plural } from "./dom.js";
import { filterWords } from "./filters.js";
import { optionWords } from "./options.js";
import { trail } from "./trail.js";
import { day } from "./words.js";

/** `actions.wider(question)` asks another question, `actions.refine(question)` puts one into the box. */
export function exchange({ question, filter, options, follows, actions }) {
  const title = h("h2", { class: "asked" }, question);
  const shown = answerView({ question, actions });
  const steps = trail({ chip: shown.chip });
  const trouble = h("div", { class: "trouble-place" });
  const node = h("article", { class: "exchange", "aria-busy": "false" }, title, scope(filter, options, follows), steps.node, trouble, shown.node);
  const controller = new AbortController();
  let final = null;

  function hear({ event, data }) {
    switch (event) {
      case "turn": return steps.turn(data);
      case "query": return steps.query(data);
      case "hits": return steps.hits(data);
      case "evidence":
        data.evidence.forEach(shown.addEvidence);
        return steps.evidence(data);
      case "answer": return shown.addSentence(data);
      case "citation": return shown.addCitation(data);
      case "verdict": return shown.setVerdict(data.sentence, data.verdict);
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
      trouble.append(h("div", { class: isStopped ? "plain again" : "plain failed again", role: "alert" },
        h("p", null, said, error.requestId ? h("span", { class: "hint" }, ` Request ${error.requestId}.`) : null),
        h("button", { type: "button", class: "small", on: { click: () => actions.retry(item) } }, "Ask again")));
      trouble.scrollIntoView({ block: "nearest" });
    }
    node.setAttribute("aria-busy", "false");
    return final;
  }

  async function listen(trace) {
    const body = { question, stream: true, ...options };
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

  const item = {
    node, question, filter, options, follows, run,
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
  return item;
}

/** What the question was narrowed to, in words; nothing where it was not. */
function scope(filter, options, follows) {
  const parts = [follows && "follows the answer above", ...filterWords(filter), ...optionWords(options)].filter(Boolean);
  return parts.length ? h("p", { class: "scope" }, parts.join(" · ")) : null;
}
