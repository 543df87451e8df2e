// Elements, icons and announcements. Text always enters as text: what documents and models wrote is hostile, so there
// is no way here to parse markup.

const SVG = "http://www.w3.org/2000/svg";

/** An element. `props`: `class`, `on` (listeners by event), `data` (data attributes), anything else an attribute;
 *  false, null and undefined leave an attribute away. Children: nodes, text, or nested lists of them. */
export function h(tag, props, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === false || value === null || value === undefined) continue;
    if (name === "on") {
      for (const [event, listener] of Object.entries(value)) node.addEventListener(event, listener);
    } else if (name === "data") {
      Object.assign(node.dataset, value);
    } else if (name === "value" && "value" in node && tag !== "li") {
      node.value = value;
    } else {
      node.setAttribute(name, value === true ? "" : String(value));
    }
  }
  return append(node, children);
}

export function append(node, children) {
  for (const child of [children].flat(Infinity)) {
    if (child !== null && child !== undefined && child !== false) node.append(child);
  }
  return node;
}

export function replace(node, ...children) {
  node.replaceChildren();
  return append(node, children);
}

export function svg(tag, attributes, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes ?? {})) node.setAttribute(name, String(value));
  return append(node, children);
}

const PATHS = {
  ask: "M12 19V5M6 11l6-6 6 6",
  stop: "M6.5 6.5h11v11h-11z",
  check: "M5 12.5l4.5 4.5L19 7.5",
  cross: "M6.5 6.5l11 11M17.5 6.5l-11 11",
  question: "M9.2 9.2a2.9 2.9 0 1 1 4.4 2.5c-1 .6-1.6 1.2-1.6 2.3M12 17.6v.01",
  opposed: "M7 9h10M7 15h10M16 5L8 19",
  warning: "M12 9v4.5M12 17v.01M10.3 4.2L2.9 17a2 2 0 0 0 1.7 3h14.8a2 2 0 0 0 1.7-3L13.7 4.2a2 2 0 0 0-3.4 0z",
  search: "M11 4a7 7 0 1 0 0 14 7 7 0 0 0 0-14zM20 20l-4-4",
  sun: "M12 7.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9zM12 2v2M12 20v2M4.9 4.9l1.4 1.4M17.7 17.7l1.4 1.4M2 12h2M20 12h2M4.9 19.1l1.4-1.4M17.7 6.3l1.4-1.4",
  moon: "M20 14.5A8.5 8.5 0 0 1 9.5 4 8.5 8.5 0 1 0 20 14.5z",
  auto: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM12 3v18M12 7.5h6.5M12 12h9M12 16.5h6.5",
  left: "M15 5l-7 7 7 7",
  right: "M9 5l7 7-7 7",
  external: "M14 4h6v6M20 4l-9 9M18 14v5a1 1 0 0 1-1 1H5a1 1 0 0 1-1-1V7a1 1 0 0 1 1-1h5",
  filter: "M4 6h16M7 12h10M10 18h4",
  clock: "M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16zM12 8v4.5l3 1.5",
};

/** A picture that says nothing by itself: the words beside it do. */
export function icon(name) {
  const path = svg("path", { d: PATHS[name], fill: "none", stroke: "currentColor", "stroke-width": 1.9,
    "stroke-linecap": "round", "stroke-linejoin": "round" });
  return svg("svg", { viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true", focusable: "false" }, path);
}

/** Says something to those who listen instead of look. */
export function announce(text) {
  const live = document.getElementById("live");
  // emptied first, since the same words twice would not be a change
  live.textContent = "";
  setTimeout(() => { live.textContent = text; }, 30);
}

let fading = 0;

/** A short word of confirmation at the edge of the page. */
export function toast(text) {
  const place = document.getElementById("toast");
  place.textContent = text;
  place.classList.add("shown");
  clearTimeout(fading);
  fading = setTimeout(() => { place.classList.remove("shown"); place.textContent = ""; }, 3200);
}

/** A button for what cannot be taken back: pressed once it asks, pressed again it acts. */
export function sureButton(words, question, props, act) {
  const button = h("button", { type: "button", ...props, on: { click: press, blur: rest } }, words);
  function rest() {
    button.textContent = words;
    button.classList.remove("sure");
  }
  function press() {
    if (button.classList.contains("sure")) {
      rest();
      act();
      return;
    }
    button.classList.add("sure");
    button.textContent = question;
    announce(`${question} Press again.`);
  }
  return button;
}

/** Moves the focus to something that is read, not operated. */
export function focusOn(node) {
  node.tabIndex = -1;
  node.focus({ preventScroll: false });
}

export async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
    toast(`${what} copied`);
  } catch {
    // without a clipboard the text is shown, to be taken by hand
    const area = h("textarea", { readonly: true, rows: 10, "aria-label": what, value: text });
    const box = h("dialog", { class: "box", "aria-label": what }, h("p", null, "Copy this:"), area,
      h("form", { method: "dialog", class: "row end" }, h("button", null, "Close")));
    box.addEventListener("close", () => box.remove());
    document.body.append(box);
    box.showModal();
    area.select();
  }
}

/** A link to another site: the reader goes there with nothing of this page. */
export function away(href, ...children) {
  const safe = /^https?:\/\//i.test(href) ? href : null;
  if (!safe) return h("span", null, ...children);
  return h("a", { href: safe, target: "_blank", rel: "noopener noreferrer", class: "away" }, ...children, icon("external"),
    h("span", { class: "unseen" }, " (opens another site)"));
}

export function plural(count, one, many = `${one}s`) {
  return `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
}
