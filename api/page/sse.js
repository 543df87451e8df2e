// Server-sent events out of a stream of text, as the HTML standard reads them. EventSource only speaks GET.

/** Feeds pieces of text in, gives the events that each completes: `{event, data}`. */
export function decoder() {
  let rest = "";
  let event = "";
  let data = [];
  return (piece) => {
    rest += piece;
    const events = [];
    for (;;) {
      const end = rest.search(/[\r\n]/);
      // a carriage return at the very end may be half of a line's end
      if (end < 0 || (rest[end] === "\r" && end === rest.length - 1)) return events;
      const line = rest.slice(0, end);
      rest = rest.slice(end + (rest.startsWith("\r\n", end) ? 2 : 1));
      if (line === "") {
        if (data.length) events.push({ event: event || "message", data: data.join("\n") });
        event = "";
        data = [];
        continue;
      }
      const colon = line.indexOf(":");
      if (colon === 0) continue;
      const field = colon < 0 ? line : line.slice(0, colon);
      const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
      if (field === "event") event = value;
      if (field === "data") data.push(value);
    }
  };
}
