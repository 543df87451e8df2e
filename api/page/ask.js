// The view where questions are asked: a welcome, then a thread of questions and answers with the box beneath.

import { explain, get } from "./api.js";
import { composer } from "./composer.js";
import { announce, h, icon } from "./dom.js";
import { exchange } from "./exchange.js";
import * as history from "./history.js";

const EXAMPLES = [
  "Which drug is first-line for type 2 diabetes, and when must it be avoided?",
  "How do apixaban and warfarin differ in monitoring?",
  "What should be monitored during treatment with lithium?",
  "What are the adverse effects of amiodarone?",
];

const thread = h("div", { class: "thread" });
const recent = h("section", { class: "recent", "aria-labelledby": "recent-title" });
const state = h("p", { class: "state", role: "status" });
const box = composer({ ask, stop: () => running?.stop(), again });
const welcome = h("section", { class: "welcome", "aria-labelledby": "welcome-title" },
  h("h1", { id: "welcome-title" }, "Ask the literature"),
  h("p", { class: "lead" }, "Each sentence of an answer is tied to the passage that bears it out. ",
    "Where the evidence does not carry an answer, you are told so."));
const examples = h("section", { class: "examples", "aria-label": "Examples" },
  EXAMPLES.map((question) => h("button", { type: "button", on: { click: () => { box.set(question); box.focus(); } } },
    h("span", null, question), icon("ask"))),
  h("p", { class: "hint" }, "Or ", h("a", { href: "#/verify" }, "check a text"), " against the literature, sentence by sentence."));
const heading = h("h1", { class: "unseen", hidden: true }, "Questions and answers");
// stays as it is while another view is looked at
const view = h("div", { class: "ask" }, heading, welcome, thread, box.node, state, examples, recent);

let running = null;
/** The last that was answered: what a follow-up follows. */
let answered = null;

export async function show(root, _rest, params) {
  root.append(view);
  const past = params.get("past");
  if (past) reopen(past);
  const question = params.get("q");
  if (question) box.set(question);
  arrange();
  listRecent();
  box.fit();
  if (!past && !thread.childElementCount && matchMedia("(hover: hover)").matches) box.focus();
  look();
}

/** Tells early when there is nothing to ask. */
async function look() {
  try {
    await get("/readyz");
    state.textContent = "";
  } catch (error) {
    state.textContent = explain(error);
  }
}

function arrange() {
  const isEmpty = thread.childElementCount === 0;
  view.classList.toggle("empty", isEmpty);
  for (const part of [welcome, examples, recent]) part.hidden = !isEmpty;
  heading.hidden = isEmpty;
  box.follow(answered?.question ?? null);
}

const actions = {
  wider: (question) => ask({ question, filter: answered?.filter ?? {}, options: answered?.options ?? {} }),
  refine: (question) => { box.set(question); box.focus(); },
  retry: (item) => {
    item.node.remove();
    ask(item);
  },
};

/** `follows` is the trace that the question goes on from, true for that of the last answer. */
async function ask({ question, filter, options, follows }) {
  if (running) return;
  const item = exchange({ question, filter, options, follows: follows === true ? answered?.traceId() ?? null : follows, actions });
  running = item;
  thread.append(item.node);
  arrange();
  state.textContent = "";
  box.begin();
  item.focus();
  announce("Searching the literature");
  const answer = await item.run();
  running = null;
  box.end();
  if (answer) {
    answered = item;
    history.add({ question, filter, options, answer });
  }
  arrange();
}

/** A new thread. */
function again() {
  running?.stop();
  thread.replaceChildren();
  answered = null;
  if (location.hash.length > 2) window.history.replaceState(null, "", "#/");
  arrange();
  listRecent();
  box.set("");
  box.focus();
}

function reopen(id) {
  const kept = history.find(id);
  if (!kept || thread.querySelector(`[data-kept="${CSS.escape(id)}"]`)) return;
  running?.stop();
  thread.replaceChildren();
  const item = exchange({ question: kept.question, filter: kept.filter ?? {}, options: kept.options ?? {}, follows: null, actions });
  item.node.dataset.kept = id;
  item.recall(kept.answer, kept.at);
  thread.append(item.node);
  answered = item;
  arrange();
}

function listRecent() {
  const entries = history.all().slice(0, 4);
  recent.replaceChildren();
  if (!entries.length) return;
  recent.append(h("h2", { id: "recent-title" }, "Asked before"), h("ul", null, entries.map((entry) => h("li", null,
    h("a", { href: `#/?past=${entry.id}` }, icon("clock"), h("span", null, entry.question))))));
}
