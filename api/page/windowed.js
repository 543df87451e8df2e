// A long table of which only the rows near what is seen are there; an empty row stands for those above and below. The row that
// has the focus stays, wherever one scrolls to.

import { h } from "./dom.js";

/** Pixels above and below what is seen that are drawn as well. */
const REACH = 700;

/** Rows of `body`: `row(place)` makes one, all of one height; `near()` is called when the last ones are drawn. */
export function windowed({ body, columns, row, near }) {
  const drawn = new Map();
  let count = 0;
  let height = 64;
  let frame = 0;

  function draw() {
    cancelAnimationFrame(frame);
    frame = 0;
    if (!body.isConnected) return;
    const top = body.getBoundingClientRect().top;
    const from = Math.max(0, Math.floor((-top - REACH) / height));
    const to = Math.min(count, Math.ceil((innerHeight - top + REACH) / height));
    const wanted = new Set();
    for (let place = from; place < to; place += 1) wanted.add(place);
    const held = placeOf(document.activeElement);
    if (held !== null && held < count) wanted.add(held);
    for (const gap of body.querySelectorAll(".gap")) gap.remove();
    for (const [place, node] of drawn) {
      if (wanted.has(place)) continue;
      node.remove();
      drawn.delete(place);
    }
    let at = 0;
    // what stays is not moved, since that would take the focus away
    let next = body.firstChild;
    for (const place of [...wanted].sort((a, b) => a - b)) {
      if (place > at) body.insertBefore(gap(place - at), next);
      const known = drawn.get(place);
      if (known) next = known.nextSibling;
      else body.insertBefore(made(place), next);
      at = place + 1;
    }
    if (count > at) body.append(gap(count - at));
    const tall = drawn.get(from)?.getBoundingClientRect().height;
    if (tall && Math.abs(tall - height) > 0.5) {
      height = tall;
      later();
    }
    if (to >= count) near();
  }

  function made(place) {
    const node = row(place);
    node.dataset.place = String(place);
    // the first row is that of the heads
    node.setAttribute("aria-rowindex", String(place + 2));
    drawn.set(place, node);
    return node;
  }

  function gap(rows) {
    const cell = h("td", { colspan: columns });
    cell.style.height = `${rows * height}px`;
    return h("tr", { class: "gap", "aria-hidden": "true" }, cell);
  }

  function placeOf(node) {
    const own = node && body.contains(node) ? node.closest("tr[data-place]") : null;
    return own ? Number(own.dataset.place) : null;
  }

  function later() {
    frame ||= requestAnimationFrame(draw);
  }

  /** Up and down go to the same control of the row before or after. */
  function step(event) {
    const place = placeOf(event.target);
    const other = place === null ? null : place + ({ ArrowUp: -1, ArrowDown: 1 }[event.key] ?? NaN);
    if (!(other >= 0 && other < count)) return;
    event.preventDefault();
    const controls = (node) => [...node.querySelectorAll("a, button, input")];
    const which = controls(drawn.get(place)).indexOf(event.target);
    const node = drawn.get(other) ?? body.insertBefore(made(other), other > place ? drawn.get(place).nextSibling : drawn.get(place));
    const wanted = controls(node);
    (wanted[which] ?? wanted[0])?.focus({ preventScroll: true });
    node.scrollIntoView({ block: "nearest" });
    later();
  }

  window.addEventListener("scroll", later, { passive: true });
  window.addEventListener("resize", later);
  body.addEventListener("keydown", step);

  return {
    placeOf,
    /** There are so many rows now; those that are drawn stay as they are. */
    grow: (now) => { count = now; draw(); },
    /** All rows are other ones. */
    renew: (now) => {
      for (const node of drawn.values()) node.remove();
      drawn.clear();
      count = now;
      draw();
    },
    /** Does something to each row that is drawn. */
    each: (act) => drawn.forEach((node, place) => act(node, place)),
    /** The first place that is seen. */
    seen: () => Math.max(0, Math.floor(-body.getBoundingClientRect().top / height)),
    /** Scrolls to a place. */
    show: (place) => {
      window.scrollTo(0, window.scrollY + body.getBoundingClientRect().top + place * height);
      draw();
    },
    end: () => {
      cancelAnimationFrame(frame);
      window.removeEventListener("scroll", later);
      window.removeEventListener("resize", later);
    },
  };
}
