// Where the page begins: views by address, theme, key.

import { explain, key, onKeyWanted, setKey } from "./api.js";
import * as ask from "./ask.js";
import { h, icon, replace, toast } from "./dom.js";
import * as evidence from "./evidence.js";

const main = document.getElementById("main");

// What is seldom opened is fetched when it is.
const VIEWS = {
  "": { name: "ask", title: "Ask", open: async () => ask },
  verify: { name: "verify", title: "Verify", open: () => import("./verify.js") },
  history: { name: "history", title: "History", open: () => import("./past.js") },
  trace: { name: "trace", title: "Trace", open: () => import("./trace.js") },
  traces: { name: "trace", title: "Traces", open: () => import("./traces.js") },
  curate: { name: "curate", title: "Curate", open: () => import("./curate.js") },
  runs: { name: "runs", title: "Training runs", open: () => import("./runs.js") },
};

let opened = 0;
let leave = () => {};

async function route() {
  const turn = ++opened;
  const [path, search = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [first, ...rest] = path.split("/").map(decode);
  const view = VIEWS[first] ?? null;
  leave();
  leave = () => {};
  evidence.close();
  for (const link of document.querySelectorAll("nav [data-view]")) {
    if (link.dataset.view === view?.name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.body.dataset.view = view?.name ?? "none";
  document.title = view && first ? `${view.title} · Anamnesis` : "Anamnesis";
  if (!view) {
    replace(main, h("div", { class: "page" }, h("h1", null, "There is nothing here"), h("p", null, h("a", { href: "#/" }, "Ask a question"))));
    return;
  }
  const isFirst = turn === 1;
  try {
    const module = await view.open();
    if (turn !== opened) return;
    replace(main);
    if (!isFirst) window.scrollTo(0, 0);
    leave = (await module.show(main, rest, new URLSearchParams(search))) ?? (() => {});
  } catch (error) {
    if (turn !== opened) return;
    // a part of the page that was not fetched is asked for again only by a page that is loaded anew
    const isLost = error instanceof TypeError && /module/i.test(error.message);
    replace(main, h("div", { class: "page" }, h("h1", { tabindex: "-1" }, view.title), h("div", { class: "plain failed again", role: "alert" },
      h("p", null, isLost ? "The service cannot be reached. Is it still running?" : explain(error)),
      h("button", { type: "button", class: "small", on: { click: () => (isLost ? location.reload() : route()) } }, "Try again"))));
  }
  // after a change of view, reading goes on at its top; at the first, the browser has its own idea
  if (!isFirst && turn === opened && !main.contains(document.activeElement)) main.focus({ preventScroll: true });
}

function decode(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

const THEMES = { auto: ["auto", "as the system"], light: ["sun", "light"], dark: ["moon", "dark"] };

function theme() {
  return document.documentElement.dataset.theme ?? "auto";
}

function showTheme() {
  const button = document.getElementById("theme");
  const [picture, words] = THEMES[theme()];
  replace(button, icon(picture));
  button.setAttribute("aria-label", `Colours: ${words}. Change`);
  button.title = `Colours: ${words}`;
}

function nextTheme() {
  const names = Object.keys(THEMES);
  const next = names[(names.indexOf(theme()) + 1) % names.length];
  if (next === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = next;
  try {
    if (next === "auto") localStorage.removeItem("anamnesis.theme");
    else localStorage.setItem("anamnesis.theme", next);
  } catch {
    // the choice holds until the page is left
  }
  showTheme();
}

/** Asks for a key; null when the person has none. */
function askForKey(refused) {
  return new Promise((resolve) => {
    const field = h("input", { id: "key-field", type: "password", autocomplete: "off", spellcheck: "false", required: true });
    const form = h("form", { method: "dialog" },
      h("h2", { id: "key-title" }, "An API key, please"),
      h("p", null, refused ? "The service did not accept the key it was given." : "This service answers those who have a key."),
      h("label", { for: "key-field" }, "API key"), field,
      h("p", { class: "hint" }, "It stays in this tab and is forgotten when the tab is closed."),
      h("div", { class: "row end" },
        h("button", { type: "button", class: "ghost", on: { click: () => box.close("") } }, "Cancel"),
        h("button", { class: "primary", value: "given" }, "Use this key")));
    const box = h("dialog", { class: "box", "aria-labelledby": "key-title" }, form);
    box.addEventListener("close", () => {
      box.remove();
      resolve(box.returnValue === "given" ? field.value.trim() || null : null);
      // the answer is kept after this turn
      setTimeout(showKey);
    });
    document.body.append(box);
    box.showModal();
  });
}

function showKey() {
  document.getElementById("key").hidden = !key();
}

onKeyWanted(askForKey);
document.getElementById("theme").addEventListener("click", nextTheme);
document.getElementById("key").addEventListener("click", () => {
  setKey(null);
  showKey();
  toast("The key was forgotten");
});
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
document.addEventListener("keydown", (event) => {
  const isTyping = event.target.closest?.("input, textarea, select, [contenteditable]");
  if (event.key === "/" && !isTyping && !event.ctrlKey && !event.metaKey && !event.altKey) {
    const box = document.getElementById("question");
    if (box) {
      event.preventDefault();
      box.focus();
    }
  }
});
window.addEventListener("hashchange", route);
showTheme();
showKey();
route();
