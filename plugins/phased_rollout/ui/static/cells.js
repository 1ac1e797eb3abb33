// The channels as columns, from low to high risk, and in each its targets as cells.

import { duration, el, now, show, ticks } from "./dom.js";
import { STAGES, STATES, stateOf } from "./words.js";

const ROOMY = 24; // more targets than this are shown by their sign alone
const MANY = 250; // and more than this by a smaller one
const STEPS = { ArrowLeft: -1, ArrowRight: 1 };

export class Channels {
  /** @param chosen called with the channel and the target whose cell was chosen */
  constructor(place, chosen) {
    this.place = place;
    this.chosen = chosen;
    this.columns = new Map();
    this.words = "";
    this.states = new Set();
  }

  update(channels) {
    channels.forEach((channel, at) => {
      if (!this.columns.has(channel.name)) {
        const column = new Column(at + 1, (target) => this.chosen(channel.name, target));
        this.columns.set(channel.name, column);
        this.place.append(column.box);
      }
      this.columns.get(channel.name).update(channel);
    });
    this.filter();
  }

  /** Hide all cells but those that match; gives how many are shown, and of how many. */
  filter(words = this.words, states = this.states) {
    Object.assign(this, { words, states });
    const counts = [...this.columns.values()].map((column) => column.filter(words, states));
    return [0, 1].map((at) => counts.reduce((sum, count) => sum + count[at], 0));
  }
}

class Column {
  constructor(number, chosen) {
    this.number = number;
    this.chosen = chosen;
    this.cells = new Map();
    this.head = el("header");
    this.list = el("ul", { role: "list", class: "cells", onkeydown: (event) => this.move(event) });
    this.box = el("section", { class: "channel" }, this.head, this.list);
  }

  update(channel) {
    this.box.dataset.stage = channel.stage;
    this.box.setAttribute("aria-label", `Channel ${this.number}: ${channel.name}`);
    const { targets, ...rest } = channel;
    show(this.head, rest, () => this.title(rest));
    this.list.setAttribute("aria-label", `Targets of ${channel.name}`);
    this.list.classList.toggle("compact", targets.length > ROOMY);
    this.list.classList.toggle("dense", targets.length > MANY);
    this.box.style.flexGrow = Math.max(1, Math.sqrt(targets.length / ROOMY));
    for (const target of targets) {
      if (!this.cells.has(target.name)) this.cells.set(target.name, this.cell(target));
      const cell = this.cells.get(target.name);
      cell.target = target;
      const label = `${target.name}: ${stateOf(target)}`;
      if (cell.title !== label) {
        cell.dataset.state = target.state;
        cell.classList.toggle("culprit", target.failed);
        cell.querySelector(".sign").textContent = STATES[target.state][0];
        cell.setAttribute("aria-label", label);
        cell.title = label;
      }
    }
  }

  cell(target) {
    const name = el("span", { class: "name" }, target.name);
    const sign = el("span", { class: "sign", "aria-hidden": "true" });
    const cell = el("button", { type: "button", class: "cell" }, sign, name);
    cell.tabIndex = this.cells.size ? -1 : 0;
    cell.addEventListener("click", () => this.chosen(cell.target));
    cell.addEventListener("focus", () => {
      for (const other of this.cells.values()) other.tabIndex = other === cell ? 0 : -1;
    });
    this.list.append(el("li", {}, cell));
    return cell;
  }

  title(channel) {
    const [sign, word] = STAGES[channel.stage];
    return [
      el("h2", {}, el("span", { class: "number" }, `${this.number}`), channel.name),
      el("p", { class: "stage" }, `${sign} ${word}`, soakOf(channel)),
      el("p", { class: "quiet" }, `soak ${duration(channel.soak)}, gate ${channel.gate}`),
      el("p", { class: "quiet" }, countsOf(channel.counts)),
    ];
  }

  filter(words, states) {
    const wanted = words.trim().toLowerCase();
    let shown = 0;
    for (const cell of this.cells.values()) {
      const { name, address, state } = cell.target;
      const matches = `${name} ${address}`.toLowerCase().includes(wanted);
      const visible = matches && (!states.size || states.has(state));
      cell.parentElement.hidden = !visible;
      shown += visible;
    }
    const open = [...this.cells.values()].filter((cell) => !cell.parentElement.hidden);
    if (open.length && !open.some((cell) => cell.tabIndex === 0)) open[0].tabIndex = 0;
    return [shown, this.cells.size];
  }

  move(event) {
    const open = [...this.cells.values()].filter((cell) => !cell.parentElement.hidden);
    const at = open.indexOf(document.activeElement);
    if (at < 0) return;
    const row = open.filter((cell) => cell.offsetTop === open[at].offsetTop).length;
    const rows = { ArrowUp: -row, ArrowDown: row };
    const ends = { Home: 0, End: open.length - 1 };
    const next = event.key in ends ? ends[event.key] : at + (STEPS[event.key] ?? rows[event.key]);
    if (Number.isNaN(next)) return;
    event.preventDefault();
    open[Math.min(Math.max(next, 0), open.length - 1)].focus();
  }
}

function soakOf(channel) {
  if (!channel.soak_ends) return null;
  const left = () => (Date.parse(channel.soak_ends) - now()) / 1000;
  const text = () => (left() > 0 ? `, ${duration(left())} left` : ", soak is over");
  return ticks({ class: "countdown" }, text);
}

export function countsOf(counts) {
  const named = Object.keys(STATES).filter((state) => counts[state]);
  return named.map((state) => `${counts[state]} ${STATES[state][1]}`).join(", ");
}
