// The tab of one rollout: where it is, its channels and targets, and all that was decided.

import { Channels } from "./cells.js";
import { clock, duration, el, now, poll, show, taskLink, ticks } from "./dom.js";
import { MEANING, STATES, TONES, stateOf } from "./words.js";

const desk = document.getElementById("desk");
const places = {};
let channels = null;
let view = null;
const states = new Set();

function build() {
  for (const name of ["alert", "head", "facts", "asked", "owed", "target"]) {
    places[name] = el("div", { class: name });
  }
  places.alert.setAttribute("role", "alert");
  places.target.setAttribute("aria-live", "polite");
  places.status = el("div", { class: "status", role: "status" });
  places.since = el("p", { class: "quiet since" });
  places.legend = el("div", { class: "legend", role: "group", "aria-label": "Show only" });
  places.found = el("p", { class: "quiet", role: "status" });
  const words = el("input", {
    type: "search",
    placeholder: "Find a target or account",
    "aria-label": "Find a target or account",
    oninput: () => filter(words.value),
  });
  const grid = el("div", { class: "channels" });
  channels = new Channels(grid, choose);
  desk.replaceChildren(
    places.alert,
    places.head,
    places.status,
    places.since,
    places.facts,
    places.asked,
    el("div", { class: "tools" }, words, places.legend, places.found),
    grid,
    places.target,
    part("failures", "What failed"),
    part("rollback", "The rollback, as it happened"),
    part("decisions", "Who decided what"),
    part("evidence", "What the last judgement saw"),
    part("preview", "What changes"),
    places.owed,
    part("history", "Everything that is recorded", false),
  );
  desk.removeAttribute("aria-busy");
}

function part(name, title, open = true) {
  places[name] = el("div");
  const box = el("details", { class: "part", open }, el("summary", {}, el("h2", {}, title)), places[name]);
  places[name].box = box;
  return box;
}

function update(told) {
  view = told;
  if (!channels) build();
  show(places.head, [told.run, told.state, told.plan], () => head(told));
  show(places.status, told.standing, status);
  show(places.since, [told.standing.since, told.standing.task, told.over], () => since(told));
  show(places.facts, [told.plan, told.began, told.ended, told.end], () => facts(told));
  show(places.asked, told.questions, asked);
  channels.update(told.channels);
  show(places.legend, counts(told), legend);
  filter();
  fill("failures", told.failures.length && told.failures, (all) => all.map(failure));
  fill("rollback", told.rollback.length && told.rollback, rollback);
  fill("decisions", told.decisions.length && told.decisions, decisions);
  fill("evidence", told.evidence, evidence);
  fill("preview", told.preview, preview);
  fill("history", told.history.length && told.history, history);
  show(places.owed, told.debts, owed);
  return told.over;
}

function fill(name, value, make) {
  places[name].box.hidden = !value;
  if (value) show(places[name], value, make);
}

function head({ run, state, plan }) {
  const title = plan ? `${plan.change}` : run;
  const kind = plan?.emergency ? el("span", { class: "badge bad" }, "emergency") : null;
  const digest = plan ? el("code", { title: plan.digest }, plan.digest.slice(0, 12)) : null;
  const tone = { success: "done", failed: "bad" }[state] ?? "busy";
  return [
    el("h1", {}, title, " ", digest, " ", el("span", { class: `badge ${tone}` }, state), " ", kind),
    plan?.about ? el("p", {}, plan.about) : null,
  ];
}

function status({ title, detail, tone }) {
  const sign = el("span", { class: "sign", "aria-hidden": "true" }, TONES[tone]);
  places.status.dataset.tone = tone;
  return [el("p", { class: "title" }, sign, title), detail ? el("p", { class: "text" }, detail) : null];
}

function since({ standing, over }) {
  const found = [];
  if (standing.since && !over) found.push("since ", clock(standing.since), " · ");
  if (standing.task) found.push(taskLink(view, standing.task, `log of ${standing.task}`));
  return found;
}

function facts({ plan, began, ended, end }) {
  const found = [];
  if (began) found.push(["began", clock(began)]);
  if (ended) found.push(["ended", clock(ended)]);
  if (plan && !ended) found.push(["sum of soaks", duration(plan.shortest)]);
  if (end) {
    found.push(["earliest end", later(end, 0)]);
    const people = end.people.length ? `, and an approval in ${end.people.join(", ")}` : "";
    if (end.work !== null) found.push(["expected", el("span", {}, later(end, end.work), people)]);
    else if (people) found.push(["needs", people.slice(6)]);
  }
  if (plan?.bypass) {
    const by = plan.bypass.by ?? "the schedule";
    found.push(["bypass", `${plan.bypass.what}: ${plan.bypass.reason} (asked for by ${by})`]);
  }
  if (plan?.pays.length) found.push(["makes good", plan.pays.join(", ")]);
  return el("dl", {}, found.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
}

function later(end, work) {
  const from = end.since ? Date.parse(end.since) : 0;
  const moment = () => Math.max(from, now()) + (end.seconds + work) * 1000;
  return ticks({}, () => {
    if (moment() <= now()) return "any moment";
    const at = clock(new Date(moment()).toISOString()).textContent;
    return `${at} (in ${duration((moment() - now()) / 1000)})`;
  });
}

function asked(tasks) {
  return tasks.map((task) =>
    el("p", {}, `? ${task} waits for an answer: `, taskLink(view, task, "required action", { tab: "required_actions" })),
  );
}

function counts(told) {
  const sum = {};
  for (const channel of told.channels) {
    for (const [state, count] of Object.entries(channel.counts)) sum[state] = (sum[state] ?? 0) + count;
  }
  return sum;
}

function legend(sum) {
  for (const state of states) if (!sum[state]) states.delete(state);
  return Object.entries(STATES)
    .filter(([state]) => sum[state])
    .map(([state, [sign, word]]) =>
      el(
        "button",
        {
          type: "button",
          "data-state": state,
          "aria-pressed": String(states.has(state)),
          title: MEANING[state],
          onclick: (event) => {
            if (!states.delete(state)) states.add(state);
            event.currentTarget.setAttribute("aria-pressed", String(states.has(state)));
            filter();
          },
        },
        el("span", { class: "sign", "aria-hidden": "true" }, sign),
        `${word} ${sum[state]}`,
      ),
    );
}

function filter(words = channels.words) {
  const [shown, all] = channels.filter(words, states);
  places.found.textContent = shown === all ? "" : `${shown} of ${all} targets`;
}

function choose(channel, target) {
  const close = el("button", { type: "button", class: "close", "aria-label": "Close", onclick: unchoose }, "✕");
  const at = target.at ? ["Since ", clock(target.at), "."] : [];
  const wave = target.map_index === null ? null : { mapIndex: target.map_index };
  places.target.replaceChildren(
    close,
    el("h2", {}, `${STATES[target.state][0]} ${target.name}: ${stateOf(target)}`),
    el("p", {}, `${MEANING[target.state]} `, ...at),
    target.reason ? el("p", { class: "text" }, target.reason) : "",
    el(
      "p",
      { class: "quiet" },
      `${channel} · ${target.address} · `,
      wave ? taskLink(view, `${channel}.apply`, "log of its apply", wave) : "",
      " ",
      /restor|left/.test(target.state) ? taskLink(view, `rollback.${channel}`, "log of its restore") : "",
    ),
  );
}

function unchoose() {
  places.target.replaceChildren();
}
document.addEventListener("keydown", (event) => event.key === "Escape" && unchoose());

function failure({ at, task, reason }) {
  return el("article", {}, el("p", {}, clock(at), " ", taskLink(view, task, task)), el("p", { class: "text" }, reason));
}

function rollback(steps) {
  const items = steps.map(({ at, what, why, targets }) =>
    el(
      "li",
      {},
      clock(at),
      ` ${what}`,
      why ? el("p", { class: "text quiet" }, why) : null,
      targets.length ? el("ul", {}, targets.map((line) => el("li", { class: "text" }, line))) : null,
    ),
  );
  return el("ol", { class: "steps" }, items);
}

function decisions(all) {
  return el("ul", {}, all.map(({ at, who, what }) => el("li", {}, clock(at), " ", el("strong", {}, who), ` ${what}`)));
}

function table(columns, rows) {
  const cells = (tag, values) => values.map((value) => el(tag, tag === "th" ? { scope: "col" } : {}, value));
  const body = rows.map((row) => el("tr", {}, cells("td", row)));
  return el("div", { class: "wide" }, el("table", {}, el("thead", {}, el("tr", {}, cells("th", columns))), el("tbody", {}, body)));
}

const HEALTH = { ok: "● ok", harm: "✕ harm", unknown: "? unknown" };

function evidence({ at, channel, reason, rows }) {
  const told = rows.map((row) => [HEALTH[row.health] ?? row.health, row.signal, row.detail, row.targets]);
  const title = el("p", {}, clock(at), ` ${channel}: ${reason}`);
  return [title, table(["health", "signal", "what it said", "targets"], told)];
}

function preview({ lines, authorize }) {
  const bad = authorize.map((line) => el("p", { class: "text warn" }, line));
  const list = el("ul", {}, lines.map((line) => el("li", { class: "text" }, line)));
  return [...bad, lines.length ? list : el("p", {}, "No target would change.")];
}

function owed(debts) {
  return debts.map(({ run, change, what, why, by, authorized_by: second, due }) => {
    const late = Date.parse(due) < now() ? ", overdue" : "";
    const who = `asked for by ${by ?? "the schedule"}${second ? `, authorized by ${second}` : ""}`;
    const text = `${run} owes a full rollout of ${change}: ${what}, ${who}: ${why}. Due `;
    return el("p", {}, "! ", text, clock(due), late);
  });
}

function history(all) {
  return table(["when", "what", "channel", ""], all.map((e) => [clock(e.at), e.what, e.channel, el("span", { class: "text" }, e.told)]));
}

function fail(status, detail) {
  const place = places.alert ?? desk;
  if (!status) return place.replaceChildren();
  const words = {
    401: "You are not logged in any more: load the page again.",
    403: "You may not read the runs of this Dag.",
    404: "This run is no rollout, or it is gone.",
    [-1]: "Airflow does not answer; what is shown may be old.",
  };
  place.replaceChildren(el("p", { class: "badge bad" }, words[status] ?? `${status}: ${detail}`));
}

poll(update, fail);
