// What the service's names mean, in words for people.

export const LEVELS = {
  "guideline": ["Guideline", "A practice guideline."],
  "systematic-review": ["Systematic review", "A systematic review or meta-analysis."],
  "rct": ["RCT", "A randomised controlled trial."],
  "observational": ["Observational", "A cohort, case-control or other observational study."],
  "case-report": ["Case report", "A case report or series."],
  "opinion": ["Opinion", "A narrative review, editorial, letter or comment."],
  "preprint": ["Preprint", "Not yet peer-reviewed."],
  "reference": ["Reference", "A textbook or encyclopaedia entry."],
  "unclassified": ["Unclassified", "Nothing tells what kind of study this is."],
};

export const STATUSES = {
  ok: ["No notice", "No correction, concern or retraction is known."],
  corrected: ["Corrected", "An erratum or a corrected republication exists."],
  concern: ["Expression of concern", "The publisher has raised a concern about this work."],
  retracted: ["Retracted", "This work was retracted. It is no evidence."],
};

export const STANDINGS = {
  active: "Active",
  quarantined: "Quarantined",
  removed: "Removed",
};

/** Marks of a sentence of an answer: class, icon, words; and what its evidence is called. */
export const ANSWERED = {
  support: ["good", "check", "Supported"],
  contradict: ["bad", "opposed", "Contradicts its source"],
  neutral: ["doubt", "question", "Not borne out by its source"],
  none: ["doubt", "question", "Cites nothing"],
  source: "its source",
  citing: ["The sentence that cites it", "The sentences that cite it"],
};

/** The same of a sentence that somebody else wrote, and that cites nothing itself. */
export const LOOKED_UP = {
  support: ["good", "check", "Supported"],
  contradict: ["bad", "opposed", "Contradicted"],
  neutral: ["doubt", "question", "Not borne out"],
  none: ["doubt", "question", "Nothing found"],
  source: "what was found",
  citing: ["The sentence it was found for", "The sentences it was found for"],
};

export const REASONS = {
  insufficient: ["The evidence does not carry an answer", "What was found is not enough to say something that it supports. Saying nothing is safer than guessing."],
  conflicting: ["The evidence disagrees", "What was found points in different directions, and nothing decides between them."],
  out_of_scope: ["This is outside what is indexed", "The question does not seem to be one that this literature answers."],
  unsafe: ["This is not answered here", "An answer could do harm. Please turn to a person who can see the whole situation."],
  needs_clarification: ["One thing first", "The question can be read in more than one way."],
  budget: ["The search ran out of room", "The limits of this search were reached before there was an answer."],
};

export const GRADES = {
  high: ["High", 4], moderate: ["Moderate", 3], low: ["Low", 2], very_low: ["Very low", 1], unrated: ["Not rated", 0],
  full: ["Every sentence", 4], most: ["Most sentences", 3], part: ["Some sentences", 2], none: ["No sentence", 0],
};

/** Who speaks in a conflict. */
export const SIDES = { answer: "What the answer goes by", against: "What speaks against it" };

export const RISKS = {
  dose: "Dosing", paediatric: "Children", pregnancy: "Pregnancy and breast-feeding", renal_hepatic: "Kidney or liver disease",
  emergency: "Emergency", self_harm: "Self-harm",
};

export const FAULTS = {
  "malformed-tag": "a tag was opened inside another, or never closed",
  "environment-tag": "it wrote what only the environment writes",
  "too-many-queries": "too many queries in one turn",
  "empty-query": "a search without words",
  "long-query": "a query that was too long",
  "unknown-modifier": "a query modifier that is not known",
  "empty-answer": "an answer without words",
  "unknown-abstain-code": "an abstention with a reason that is not known",
  "no-action": "a turn without an action",
  "long-turn": "a turn that was too long",
  "search-disabled": "a search when search was over",
  "duplicate-query": "a query that was asked before",
  "unknown-label": "a label that no evidence has",
  "uncited": "a part of the answer that cites nothing",
};

/** The words for `name`, or the name itself made readable: a newer service may know more. */
export function wordFor(table, name) {
  const known = table[name];
  if (known) return Array.isArray(known) ? known[0] : known;
  return readable(name);
}

export function readable(name) {
  const text = String(name ?? "").replace(/[_-]+/g, " ").trim();
  return text.charAt(0).toUpperCase() + text.slice(1);
}

export function ms(value) {
  if (!Number.isFinite(value)) return "";
  return value < 1000 ? `${value < 10 ? value.toFixed(1) : Math.round(value)} ms` : `${(value / 1000).toFixed(1)} s`;
}

export function day(value) {
  const date = new Date(value);
  if (Number.isNaN(date.getTime())) return String(value ?? "");
  return date.toLocaleString("en-GB", { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" });
}

export function bytes(value) {
  if (!Number.isFinite(value)) return "";
  const units = ["B", "kB", "MB", "GB", "TB"];
  let power = 0;
  while (value >= 1000 && power < units.length - 1) { value /= 1000; power += 1; }
  return `${power && value < 10 ? value.toFixed(1) : Math.round(value)} ${units[power]}`;
}

export function capital(text) {
  const whole = String(text ?? "");
  return whole.charAt(0).toUpperCase() + whole.slice(1);
}

/** Words of the service as a sentence: what it sets apart by backticks in quotation marks. */
export function asSentence(text) {
  const whole = capital(text).trim().replace(/`([^`]*)`/g, "“$1”");
  return !whole || /[.!?:]$/.test(whole) ? whole : `${whole}.`;
}
