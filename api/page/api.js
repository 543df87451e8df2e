// The service, as this page speaks to it: JSON, streams of events, keys and what went wrong.

import { decoder } from "./sse.js";
import { asSentence } from "./words.js";

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
    const used = key();
    if (body !== undefined) headers["content-type"] = "application/json";
    if (used) headers.authorization = `Bearer ${used}`;
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
    // another request may have been given a key meanwhile
    if (key() === used && !await newKey(Boolean(used))) throw failed;
  }
}

let asking = null;

/** Asks for a key, once for all requests that wait for one; the refused one is forgotten. */
function newKey(isRefused) {
  asking ??= asker(isRefused).then((given) => { setKey(given); return given; }).finally(() => { asking = null; });
  return asking;
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
  const text = await whole(response.text(), options?.signal);
  try {
    return text ? JSON.parse(text) : null;
  } catch {
    throw new Failed(0, "garbled", "What came back is not of the service. Something between here and it may have answered in its place.", null);
  }
}

/** What is read of a response, or why no more of it came. */
async function whole(reading, signal) {
  try {
    return await reading;
  } catch {
    if (signal?.aborted) throw new DOMException("the reader left", "AbortError");
    throw new Failed(0, "broken", "The connection broke off before the answer was whole. Ask again.", null);
  }
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
      const { done, value } = await whole(reader.read(), signal);
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
    case 429: return "The service is busy, or your key has used up what it may ask. Try again in a moment.";
    default: return asSentence(error.message);
  }
}
