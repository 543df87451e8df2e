// Training runs: what each is, its curves, what was measured on what is held out, what it noticed, its episodes.

import { explain, get, query } from "./api.js";
import { lineChart, short } from "./chart.js";
import { append, h, icon, plural, toast } from "./dom.js";
import { view as traceView } from "./trace.js";
import { bytes, day, readable } from "./words.js";

export async function show(root, [id], params) {
  if (id) return run(root, id, params?.get("stage") ?? null);
  const list = h("div", { class: "list" });
  const more = h("button", { type: "button", hidden: true, on: { click: () => load().catch((error) => toast(explain(error))) } }, "More");
  const page = h("div", { class: "page narrow" }, h("h1", { tabindex: "-1" }, "Training runs"), list, more);
  root.append(page);
  let after = null;
  await load();
  if (!list.childElementCount) {
    more.before(h("p", { class: "plain" }, "There are no runs yet. ", h("code", null, "anamnesis-train"), " writes them into the folder ", h("code", null, "runs"), " of the home directory."));
  }
  return undefined;

  async function load() {
    const { runs = [], next = null } = await get(`/v1/runs${query({ after })}`);
    after = next;
    more.hidden = !next;
    append(list, runs.map((one) => h("div", { class: "item" }, h("a", { class: "item-main", href: address(one.id) }, h("strong", null, one.id),
      h("span", { class: "meta" }, facts(one).map((fact) => h("span", null, fact))),
      one.stages?.map((stage) => h("span", { class: "meta" }, h("span", null, stage.name), facts(stage).map((fact) => h("span", null, fact))))))));
  }
}

const address = (id, stage) => `#/runs/${encodeURIComponent(id)}${query({ stage })}`;

function facts(one) {
  const steps = one.steps ? `step ${one.step} of ${one.steps}` : one.step ? `step ${one.step}` : null;
  return [one.kind, steps, one.started && (one.ended ? "ended" : "not ended"), one.started && day(one.started)].filter(Boolean);
}

async function run(root, id, stage) {
  const path = `/v1/runs/${encodeURIComponent(id)}`;
  const whole = await get(`${path}${query({ stage })}`);
  const { starts = [], steps = [], heldout = [], checkpoints = [], notices = [], stages = [], end } = whole;
  const start = starts.at(-1);
  const last = steps.at(-1);
  const best = checkpoints.filter((one) => one.best).at(-1);
  const state = end ? `Ended after ${plural(end.step, "step")}` : last ? `At step ${last.step}${start ? ` of ${start.steps}` : ""}` : stages.length ? plural(stages.length, "stage") : "Not begun";
  const told = [["Kind", start?.kind], ["Values that learn", start && short(start.parameters)], ["Samples", start && short(start.samples)],
    ["Held out", start && short(start.heldout)], ["Best checkpoint", best && `step ${best.step}`], ["Memory", start && bytes(start.peak_bytes ?? start.forecast_bytes)]]
    .filter(([, value]) => value);
  append(root, [h("div", { class: "page" }, h("p", { class: "crumb" }, h("a", { href: "#/runs" }, "Training runs"), " / ", stage ? h("a", { href: address(id) }, id) : id, stage && ` / ${stage}`),
    h("h1", { tabindex: "-1" }, stage ? `${id}: ${stage}` : id), h("p", { class: "meta" }, [state, start && `begun ${day(start.at)}`].filter(Boolean).map((part) => h("span", null, part))),
    stages.length > 0 && h("nav", { class: "tabs", "aria-label": "Stages" }, stages.map((name) => h("a", { href: address(id, name), "aria-current": name === stage ? "page" : null }, name))),
    start && !end && h("progress", { max: start.steps, value: last?.step ?? 0, "aria-label": "Steps done" }),
    told.length > 0 && h("dl", { class: "told" }, told.map(([name, value]) => h("div", null, h("dt", null, name), h("dd", null, value)))),
    notices.length > 0 && h("section", { class: "stack", "aria-label": "Notices" }, h("h2", null, "Notices"),
      notices.map((line) => h("p", { class: "banner doubt" }, icon("warning"), h("span", null, h("strong", null, `Step ${line.step}. `), line.text)))),
    charts(steps, heldout), episodes(path, stage))]);
}

/** The curves that are looked at first come first; the others wait behind a fold. */
function charts(steps, heldout) {
  const field = (name) => steps.map((line) => [line.step, line[name]]);
  const names = [...new Set(steps.flatMap((line) => Object.keys(line.values ?? {})))].sort();
  const value = (name) => lineChart(readable(name), [{ name, points: steps.map((line) => [line.step, line.values?.[name]]) }]);
  // a line that never moves is told in one word
  const still = steps.length < 2 ? [] : names.filter((name) => steps.every((line) => line.values?.[name] === steps[0].values?.[name]));
  const moving = names.filter((name) => !still.includes(name));
  const first = moving.filter((name) => /^(reward|accuracy|entropy|kl|search_rate|answered)/.test(name));
  const rest = moving.filter((name) => !first.includes(name));
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
      lineChart("Seconds of a step", [{ name: "seconds", points: field("seconds") }]), first.map(value)), rest.length > 0 && others,
      still.length > 0 && h("p", { class: "hint" }, "The same at every step: ", still.map((name) => `${readable(name).toLowerCase()} ${short(steps[0].values?.[name]) || "unknown"}`).join(", "), ".")),
  ];
}

/** What was measured a single time is a number, no curve. */
function measured(once) {
  return h("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "Measured once" }, h("table", null, h("caption", { class: "unseen" }, "Measured once"),
    h("thead", null, h("tr", null, h("th", { scope: "col" }, "Measured once"), h("th", { scope: "col", class: "number" }, "Value"), h("th", { scope: "col" }, "When"))),
    h("tbody", null, once.map(([name, [[step, value, phase]]]) => h("tr", null, h("th", { scope: "row" }, name), h("td", { class: "number" }, short(value)),
      h("td", null, `${readable(phase)}, step ${step}`))))));
}

function episodes(path, stage) {
  const place = h("div", { class: "list" });
  const said = h("p", { class: "hint", role: "status" });
  const field = h("input", { id: "episode-step", type: "number", min: 1, placeholder: "the last" });
  const more = h("button", { type: "button", hidden: true, on: { click: () => load(next) } }, "More");
  const form = h("form", { class: "row controls", on: { submit: (event) => { event.preventDefault(); load(null); } } },
    h("label", { for: "episode-step" }, "Step"), field, h("button", null, "Show its episodes"));
  let next = null;
  return h("section", { "aria-label": "Episodes" }, h("h2", null, "Episodes"), form, said, place, more);

  async function load(after) {
    said.textContent = "Fetching";
    if (!after) place.replaceChildren();
    try {
      const found = await get(`${path}/episodes${query({ step: field.value, stage, limit: 20, after })}`);
      next = found.next ?? null;
      more.hidden = !next;
      append(place, (found.episodes ?? []).map(({ episode: one }) => episode(one)));
      const kept = found.steps ?? [];
      said.textContent = place.childElementCount ? `Step ${found.step}. Episodes are kept of steps ${kept[0]} to ${kept.at(-1)}.` : "There are no episodes of this step.";
    } catch (error) {
      more.hidden = true;
      said.textContent = error.status === 404 ? "No episodes are kept: they are where a policy learns from rewards." : explain(error);
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
    trace && h("div", { class: "page trace" }, traceView(trace))]);
  });
  return details;
}
