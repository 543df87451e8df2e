// Marks that several views show: the kind of a study, what its publisher says of it, what the evidence says of a sentence.

import { h, icon } from "./dom.js";
import { ANSWERED, LEVELS, STATUSES, asSentence, readable, wordFor } from "./words.js";

export function level(name) {
  if (!name) return null;
  return h("span", { class: `level level-${name}`, title: LEVELS[name]?.[1] }, wordFor(LEVELS, name));
}

export function status(name) {
  if (!name || name === "ok") return null;
  return h("span", { class: `verdict ${name === "corrected" ? "doubt" : "bad"}`, title: STATUSES[name]?.[1] }, icon("warning"), wordFor(STATUSES, name));
}

/** What the evidence says of a sentence, null where it was asked nothing: a stored episode calls it otherwise than the service. */
export function verdictOf(sentence) {
  return sentence?.verdict ?? sentence?.finding ?? null;
}

/** The mark of a verdict and its kind (good, bad or doubt). Never colour alone. */
export function verdictMark(verdict, wording = ANSWERED) {
  const [kind, picture, words] = verdict ? wording[verdict.label] ?? ["doubt", "question", readable(verdict.label)] : wording.none;
  const by = { rules: "checked by rule", scorer: "judged by a model" }[verdict?.by];
  const sure = Number.isFinite(verdict?.confidence) ? `, ${Math.round(verdict.confidence * 100)} % sure` : "";
  return { kind, node: h("span", { class: `verdict ${kind}`, title: by && by + sure }, icon(picture), words) };
}

/** Why a sentence has its mark, in words; empty where there is nothing to say. */
export function concernOf(verdict, wording = ANSWERED) {
  const said = verdict?.concern ?? (verdict?.missing?.length ? `not in its source: ${verdict.missing.join(", ")}` : "");
  return asSentence(said.replace("its source", wording.source));
}
