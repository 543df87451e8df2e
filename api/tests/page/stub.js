// Stands between the page and the service: answers what the table names, by method and path, and lets the rest through.
// An answer is `json` with a `status`, a stream of `events`, or one that is `endless`; `wanted` is the key it asks for.
const answers = arguments[0];
const through = window.stubbed ?? window.fetch.bind(window);
window.stubbed = through;
window.asked = [];
window.fetch = async (path, options = {}) => {
  const name = `${options.method ?? "GET"} ${String(path).split("?")[0]}`;
  window.asked.push({ name, path: String(path), body: options.body ? JSON.parse(options.body) : null, headers: options.headers });
  const answer = answers[name];
  if (answer === undefined) return through(path, options);
  if (answer.wanted && options.headers?.authorization !== answer.wanted) {
    return Response.json({ request_id: "r-1", code: "unauthorized", message: "no key" }, { status: 401 });
  }
  if (answer.endless !== undefined) {
    const body = new ReadableStream({ start(stream) {
      stream.enqueue(new TextEncoder().encode(answer.endless));
      options.signal.addEventListener("abort", () => stream.error(new DOMException("left", "AbortError")));
    } });
    return new Response(body, { headers: { "content-type": "text/event-stream" } });
  }
  if (answer.events !== undefined) return new Response(answer.events, { headers: { "content-type": "text/event-stream" } });
  return Response.json(answer.json, { status: answer.status ?? 200 });
};
