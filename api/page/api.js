// The service, as this page speaks to it: JSON, streams of events, keys and what went wrong.

import { decoder } from "./sse.js";

const KEY = "anamnesis.key";

/** What the service, or the way to it, said instead of an answer. */
export class Failed extends Error {
  constructor(status, code, message, requestId) {
    super(message);
    this.status = status;
    this.code = code;
    this.requestId = requestId;
  }
}

let memory = null;
let asker = async () => null;

/** Who asks the person for a key when the service wants one. */
export function onKeyWanted(ask) {
  asker = ask;
}

export function key() {
  try {
    return sessionStorage.getItem(KEY);
  } catch {
    return memory;
  }
}

export function setKey(value) {
  memory = value;
  try {
    if (value) sessionStorage.setItem(KEY, value);
    else sessionStorage.removeItem(KEY);
  } catch {
    // kept in memory alone, then
  }
}

async function send(method, path, { body, signal, accept = "application/json" } = {}) {
  for (let tries = 0; ; tries += 1) {
    const headers = { accept };
    if (body !== undefined) headers["content-type"] = "application/json";
    if (key()) headers.authorization = `Bearer ${key()}`;
    let response;
    try {
      response = await fetch(path, {
        method, headers, signal, credentials: "omit", cache: "no-store", redirect: "error",
        body: body === undefined ? undefined : JSON.stringify(body),
      });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Failed(0, "unreachable", "The service cannot be reached. Is it still running?", null);
    }
    if (response.ok) return response;
    const failed = await failure(response);
    if (failed.status !== 401 || tries >= 3) throw failed;
    const given = await asker(tries > 0 || Boolean(key()));
    if (!given) throw failed;
    setKey(given);
  }
}

async function failure(response) {
  let said = {};
  try {
    said = await response.json();
  } catch {
    // a proxy in between may answer in another form
  }
  const message = typeof said.message === "string" ? said.message : `the service answered ${response.status}`;
  return new Failed(response.status, said.code ?? "unknown", message, said.request_id ?? null);
}

export async function request(method, path, options) {
  const response = await send(method, path, options);
  const text = await response.text();
  return text ? JSON.parse(text) : null;
}

export const get = (path, options) => request("GET", path, options);
export const post = (path, body, options) => request("POST", path, { ...options, body });

/** The events of a stream, parsed, as they come. */
export async function* stream(path, body, signal) {
  const response = await send("POST", path, { body, signal, accept: "text/event-stream" });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  const decode = decoder();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      for (const { event, data } of decode(value)) yield { event, data: JSON.parse(data) };
    }
  } finally {
    // leaving early tells the service to stop
    reader.cancel().catch(() => {});
  }
}

/** A query string of what is given. */
export function query(values) {
  const given = Object.entries(values).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const text = new URLSearchParams(given).toString();
  return text ? `?${text}` : "";
}

/** What to tell a person about an error: plain, with the next step. */
export function explain(error) {
  if (!(error instanceof Failed)) return `This page failed: ${error.message}`;
  switch (error.status) {
    case 401: return "The service asks for an API key.";
    case 403: return "Your key does not open this. Ask whoever runs the service for the role that does.";
    case 404: return error.code === "not_found" ? "The service has nothing here." : error.message;
    case 429: return "The service is busy. Try again in a moment.";
    default: return sentence(error.message);
  }
}

function sentence(text) {
  const whole = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(whole) ? whole : `${whole}.`;
}
