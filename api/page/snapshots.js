// Snapshots: which one answers, which others there are, and the building of a new one.

import { explain, get, post, request } from "./api.js";
import { announce, h, plural, replace, toast } from "./dom.js";
import { bytes, day, readable } from "./words.js";

const OVER = ["done", "failed", "cancelled"];

export async function showSnapshots(root) {
  const list = h("div", { class: "list" });
  const jobs = h("div", { class: "list", role: "region", "aria-label": "Jobs" });
  const builder = h("button", { type: "button", class: "primary", on: { click: build } }, "Build a new snapshot");
  root.append(h("div", { class: "row spread" }, h("p", { class: "lead left" }, "A snapshot is what is searched. It is built aside and never changed; the old one answers meanwhile."), builder), jobs, list);
  let waiting = 0;
  let running = new Set();
  const seen = new Set();
  // jobs that were over before this view was opened are no news
  let isFollowing = false;
  await load();
  watch();
  return () => clearTimeout(waiting);

  async function load() {
    const { current, snapshots = [] } = await get("/v1/snapshots");
    replace(list, snapshots.length === 0 && h("p", { class: "plain" }, "There is no snapshot yet."), snapshots.map((one) => h("div", { class: "item" },
      h("div", { class: "item-main" }, h("strong", null, one.id, " ", one.id === current && h("span", { class: "level level-guideline" }, "answers now")),
        h("span", { class: "meta" }, [one.built && day(one.built), Number.isFinite(one.documents) && plural(one.documents, "document"), Number.isFinite(one.chunks) && plural(one.chunks, "chunk"),
          one.encoder && `encoder ${one.encoder}`, bytes(one.bytes)].filter(Boolean).map((part) => h("span", null, part))), one.damage && h("span", { class: "concern" }, one.damage)),
      one.id !== current && !one.damage && h("button", { type: "button", class: "small", "aria-label": `Let it answer: snapshot ${one.id}`, on: { click: () => use(one.id) } }, "Let it answer"))));
  }

  async function use(id) {
    try {
      await post(`/v1/snapshots/${encodeURIComponent(id)}/use`, {});
      announce("The snapshot is looked over, then it answers");
      await watch();
    } catch (error) {
      toast(explain(error));
    }
  }

  async function build() {
    builder.disabled = true;
    try {
      await post("/v1/snapshots", {});
      announce("The building has begun");
    } catch (error) {
      toast(explain(error));
      builder.disabled = false;
    }
    watch();
  }

  /** Looks at the jobs, and again while one runs. */
  async function watch() {
    clearTimeout(waiting);
    let found = [];
    try {
      found = (await get("/v1/jobs")).jobs ?? [];
    } catch {
      // who may not see jobs sees the snapshots all the same
      return;
    }
    const now = new Set(found.filter((one) => !OVER.includes(one.state)).map((one) => one.id));
    const ended = [...running].filter((id) => !now.has(id));
    running = now;
    builder.disabled = now.size > 0;
    replace(jobs, found.slice(0, 5).map(job));
    // what is over before it is first seen ends no less
    const quick = found.filter((one) => OVER.includes(one.state) && !seen.has(one.id));
    for (const one of found) seen.add(one.id);
    if (ended.length || (isFollowing && quick.length)) {
      for (const one of found.filter((job) => ended.includes(job.id) || (isFollowing && quick.includes(job)))) toast(one.state === "done" ? "The job is done" : `The job ${one.state}`);
      await load();
    }
    isFollowing = true;
    if (now.size && root.isConnected) waiting = setTimeout(watch, 700);
  }

  function job(one) {
    const isOver = OVER.includes(one.state);
    return h("div", { class: "item job" }, h("div", { class: "item-main" },
      h("strong", null, readable(one.kind), " ", h("span", { class: `verdict ${one.state === "failed" ? "bad" : isOver ? "good" : "doubt"}` }, readable(one.state))),
      !isOver && h("progress", { max: one.total || 1, value: one.total ? one.done ?? 0 : null, "aria-label": `Progress of ${readable(one.kind)}` }),
      h("span", { class: "meta" }, [one.stage && readable(one.stage), one.total && !isOver && `${one.done ?? 0} of ${one.total}`, one.message, one.ended && day(one.ended)].filter(Boolean).map((part) => h("span", null, String(part))))),
    !isOver && h("button", { type: "button", class: "small", on: { click: () => cancel(one.id) } }, "Cancel"));
  }

  async function cancel(id) {
    try {
      await request("DELETE", `/v1/jobs/${encodeURIComponent(id)}`);
    } catch (error) {
      toast(explain(error));
    }
    watch();
  }
}
