// Training runs: what each is, its curves, what was measured on what is held out, what it noticed, its episodes.

import { explain, get, query } from "./api.js";
import { lineChart, short } from "./chart.js";
import { append, h, icon, plural, replace } from "./dom.js";
import { view as traceView } from "./trace.js";
import { bytes, day, readable } from "./words.js";

export async function show(root, [id]) {
  if (id) return run(root, id);
  const { runs = [] } = await get("/v1/runs");
  root.append(h("div", { class: "page narrow" }, h("h1", { tabindex: "-1" }, "Training runs"),
    runs.length ? h("div", { class: "list" }, runs.map((one) => h("div", { class: "item" }, h("a", { class: "item-main", href: `#/runs/${encodeURIComponent(one.id)}` },
      h("strong", null, one.id), h("span", { class: "meta" }, facts(one).map((fact) => h("span", null, fact)))))))
      : h("p", { class: "plain" }, "There are no runs yet. ", h("code", null, "anamnesis-train"), " writes them into the folder ", h("code", null, "runs"), " of the home directory.")));
  return undefined;
}

function facts(one) {
  const began = one.started ?? one.at;
  const steps = Number.isFinite(one.steps) ? `${one.step ?? 0} of ${plural(one.steps, "step")}` : Number.isFinite(one.step) ? plural(one.step, "step") : null;
  return [one.stage, steps, one.state && readable(one.state), began && day(began)].filter(Boolean);
}

async function run(root, id) {
  const path = `/v1/runs/${encodeURIComponent(id)}`;
  const whole = await get(path);
  const lines = whole.entries ?? whole.journal ?? whole.lines ?? [];
  const of = (kind) => lines.filter((line) => line.kind === kind);
  const [starts, steps, heldout, notices] = ["start", "step", "heldout", "notice"].map(of);
  const start = starts.at(-1);
  const last = steps.at(-1);
  const ended = of("end").at(-1);
  const best = of("checkpoint").filter((line) => line.best).at(-1);
  const state = ended ? `Ended after ${plural(ended.step, "step")}` : last ? `At step ${last.step}${start ? ` of ${start.steps}` : ""}` : "Not begun";
  const told = [["Stage", last?.stage ?? start?.stage], ["Values that learn", start && short(start.parameters)], ["Samples", start && short(start.samples)],
    ["Held out", start && short(start.heldout)], ["Best checkpoint", best && `step ${best.step}`], ["Memory", start && bytes(start.peak_bytes ?? start.forecast_bytes)]];
  append(root, [h("div", { class: "page" }, h("p", { class: "crumb" }, h("a", { href: "#/runs" }, "Training runs"), ` / ${id}`),
    h("h1", { tabindex: "-1" }, id), h("p", { class: "meta" }, [state, start && `begun ${day(start.at)}`].filter(Boolean).map((part) => h("span", null, part))),
    start && !ended && h("progress", { max: start.steps, value: last?.step ?? 0, "aria-label": "Steps done" }),
    h("dl", { class: "told" }, told.filter(([, value]) => value).map(([name, value]) => h("div", null, h("dt", null, name), h("dd", null, value)))),
    notices.length > 0 && h("section", { class: "stack", "aria-label": "Notices" }, h("h2", null, "Notices"),
      notices.map((line) => h("p", { class: "banner doubt" }, icon("warning"), h("span", null, h("strong", null, `Step ${line.step}. `), line.text)))),
    charts(steps, heldout), episodes(path, steps))]);
}

/** The curves that are looked at first come first; the others wait behind a fold. */
function charts(steps, heldout) {
  const field = (name) => steps.map((line) => [line.step, line[name]]);
  const names = [...new Set(steps.flatMap((line) => Object.keys(line.values ?? {})))].sort();
  const value = (name) => lineChart(readable(name), [{ name, points: steps.map((line) => [line.step, line.values?.[name]]) }]);
  const first = names.filter((name) => /^(reward|accuracy|entropy|kl|search_rate|answered)/.test(name));
  const rest = names.filter((name) => !first.includes(name));
  const held = [...new Set(heldout.flatMap((line) => Object.keys(line.values ?? {})))].sort()
    .map((name) => [name, heldout.filter((line) => Number.isFinite(line.values?.[name])).map((line) => [line.step, line.values[name], line.phase])]);
  const often = held.filter(([, points]) => points.length > 1);
  const once = held.filter(([, points]) => points.length === 1);
  const others = h("details", { class: "fold" }, h("summary", null, plural(rest.length, "more curve")));
  // drawn when they are asked for
  others.addEventListener("toggle", () => {
    if (others.open && others.childElementCount === 1) others.append(h("div", { class: "charts" }, rest.map(value)));
  });
  return [
    held.length > 0 && h("section", { "aria-label": "On what is held out" }, h("h2", null, "On what is held out"), h("div", { class: "charts" },
      often.map(([name, points]) => lineChart(readable(name), [{ name, dots: true, points }]))), once.length > 0 && measured(once)),
    steps.length > 0 && h("section", { "aria-label": "Curves" }, h("h2", null, "Curves"), h("div", { class: "charts" },
      lineChart("Loss", [{ name: "loss", points: field("loss") }]), lineChart("Gradient norm", [{ name: "gradient norm", points: field("gradient_norm") }]),
      lineChart("Learning rate", [{ name: "learning rate", points: field("learning_rate") }]),
      lineChart("Seconds of a step", [{ name: "seconds", points: field("seconds") }]), first.map(value)), rest.length > 0 && others),
  ];
}

/** What was measured a single time is a number, no curve. */
function measured(once) {
  return h("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "Measured once" }, h("table", null, h("caption", { class: "unseen" }, "Measured once"),
    h("thead", null, h("tr", null, h("th", { scope: "col" }, "Measured once"), h("th", { scope: "col", class: "number" }, "Value"), h("th", { scope: "col" }, "When"))),
    h("tbody", null, once.map(([name, [[step, value, phase]]]) => h("tr", null, h("th", { scope: "row" }, name), h("td", { class: "number" }, short(value)),
      h("td", null, `${readable(phase)}, step ${step}`))))));
}

function episodes(path, steps) {
  const place = h("div", { class: "list" });
  const said = h("p", { class: "hint", role: "status" });
  const field = h("input", { id: "episode-step", type: "number", min: 1, max: steps.at(-1)?.step ?? 1, placeholder: "the last" });
  const form = h("form", { class: "row controls", on: { submit: (event) => { event.preventDefault(); load(); } } },
    h("label", { for: "episode-step" }, "Step"), field, h("button", null, "Show its episodes"));
  return h("section", { "aria-label": "Episodes" }, h("h2", null, "Episodes"), form, said, place);

  async function load() {
    said.textContent = "Fetching";
    try {
      const { episodes: found = [] } = await get(`${path}/episodes${query({ step: field.value, limit: 50 })}`);
      said.textContent = found.length ? plural(found.length, "episode") : "There are no episodes of this step.";
      replace(place, found.map(episode));
    } catch (error) {
      said.textContent = explain(error);
      place.replaceChildren();
    }
  }
}

function episode(one) {
  const { reward, trace } = one;
  const details = h("details", { class: "fold piece" }, h("summary", null, h("strong", null, trace?.question ?? one.question), " ",
    h("span", { class: "hint" }, [`reward ${short(reward?.total) || "unknown"}`, one.is_masked && "masked",
      Number.isFinite(one.advantage) && `advantage ${short(one.advantage)}`].filter(Boolean).join(" · "))));
  details.addEventListener("toggle", () => {
    if (!details.open || details.childElementCount > 1) return;
    append(details, [h("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "Terms of the reward" }, h("table", null, h("caption", { class: "unseen" }, "Terms of the reward"),
      h("thead", null, h("tr", null, ["Term", "Value", "Weight", "Counts", "Why"].map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", null, (reward?.terms ?? []).map((term) => h("tr", null, h("th", { scope: "row" }, readable(term.name)),
        [short(term.value) || "unknown", short(term.weight), short(term.value * term.weight)].map((value) => h("td", { class: "number" }, value)), h("td", null, term.reason)))))),
    trace && traceView(trace)]);
  });
  return details;
}
