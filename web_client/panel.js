// The live figures: what the server reports once a second, and what the browser measures.

import { Sparkline } from "./sparkline.js";

const TICK_MS = 40;
const STAGES = {
  face: "Face", encode: "Encode", audio: "Sound", denoise: "Denoise", decode: "Decode", paste: "Paste", convert: "Convert",
};
// Steps of streaming/ladder.py: what is given up while the machine is too slow.
const LADDER = ["full", "short look-ahead", "every second", "hold", "pass-through"];
const FACTS = {
  face: "Face", speech: "Voice", offset: "A/V offset", ahead: "Look-ahead", repeats: "Repeated",
  passed: "Passed through", quality: "Quality", queue: "Queued", link: "Link", line: "Line", model: "Model", runtime: "Runtime",
};

const byId = (id) => document.getElementById(id);
const number = (value, digits = 0) => (Number.isFinite(value) ? value.toFixed(digits) : "–");
const withUnit = (value, unit, digits = 0) => (Number.isFinite(value) ? `${value.toFixed(digits)} ${unit}` : "–");

function signed(value) {
  if (!Number.isFinite(value)) return "–";
  const rounded = Math.round(value);
  return `${rounded > 0 ? "+" : ""}${rounded} ms`;
}

export class Panel {
  constructor() {
    this.bars = this.#build(byId("bars"), STAGES, this.#bar);
    this.facts = this.#build(byId("facts"), FACTS, this.#fact);
    this.fps = new Sparkline(byId("fps-spark"), { low: 0, high: 30 });
    this.delay = new Sparkline(byId("delay-spark"), { low: 0, high: 200 });
  }

  #build(parent, names, make) {
    return Object.fromEntries(Object.entries(names).map(([key, label]) => [key, make(parent, label)]));
  }

  #bar(parent, label) {
    const row = document.createElement("li");
    const [name, track, fill, value] = ["span", "span", "i", "b"].map((tag) => document.createElement(tag));
    name.textContent = label;
    track.className = "track";
    track.append(fill);
    value.textContent = "–";
    row.append(name, track, value);
    parent.append(row);
    return { fill, value };
  }

  #fact(parent, label) {
    const row = document.createElement("div");
    const [term, value] = ["dt", "dd"].map((tag) => document.createElement(tag));
    term.textContent = label;
    value.textContent = "–";
    row.append(term, value);
    parent.append(row);
    return value;
  }

  #put(key, text, state = "") {
    this.facts[key].textContent = text;
    this.facts[key].title = text;
    this.facts[key].dataset.state = state;
  }

  /** Facts that are known before any call. */
  model(facts = {}) {
    if (facts.model) this.#put("model", facts.model);
    if (facts.runtime) this.#put("runtime", facts.runtime);
    if (Number.isFinite(facts.look_ahead_ms)) this.#put("ahead", `${facts.look_ahead_ms} ms`);
  }

  /** `server`: the last stats message; `browser`: the last Measure reading; `roundTrip` ms or null. */
  show(server = {}, browser = {}, roundTrip = null) {
    this.#frames(server, browser);
    this.#delay(server, roundTrip);
    this.#stages(server.stage_ms ?? {});
    this.#state(server, browser);
    this.model(server);
  }

  #frames(server, browser) {
    const out = server.fps_out ?? browser.fpsShown;
    byId("fps-out").textContent = number(out, 1);
    byId("fps-sub").textContent = `in ${number(server.fps_in ?? browser.fpsSent, 1)} · shown ${number(browser.fpsShown, 1)}`;
    this.fps.push(out);
  }

  #delay(server, roundTrip) {
    const playout = server.playout_delay_ms;
    const known = Number.isFinite(playout) && roundTrip !== null;
    const total = known ? playout + roundTrip : NaN;
    byId("delay").textContent = number(total);
    byId("delay-sub").textContent = `link ${number(roundTrip ?? NaN)} + server ${number(playout)}`;
    this.delay.push(total);
  }

  #stages(times) {
    let total = 0;
    for (const [key, { fill, value }] of Object.entries(this.bars)) {
      const ms = times[key];
      value.textContent = number(ms, 1);
      fill.style.width = `${Math.min(100, (100 * (ms || 0)) / TICK_MS)}%`;
      total += ms || 0;
    }
    const sum = byId("tick-total");
    sum.textContent = `${total ? total.toFixed(1) : "–"} of ${TICK_MS} ms`;
    sum.dataset.state = total > TICK_MS ? "bad" : "";
  }

  #state(server, browser) {
    const { face_found: face, speaking, queue_depth: queues } = server;
    if (face !== undefined) this.#put("face", face ? "found" : "not found", face ? "good" : "bad");
    if (speaking !== undefined) this.#put("speech", speaking ? "speaking" : "silent", speaking ? "good" : "");
    if (LADDER[server.ladder]) this.#put("quality", LADDER[server.ladder], server.ladder ? "bad" : "good");
    this.#put("offset", signed(server.av_offset_ms ?? browser.avOffsetMs));
    this.#put("repeats", number(server.repeated));
    this.#put("passed", number(server.passed_through));
    this.#line(server);
    if (queues) this.#put("queue", this.#queues(queues));
    if (browser.codec) this.#put("link", `${browser.codec} ↑${number(browser.kbpsOut)} ↓${number(browser.kbpsIn)} kbit/s`);
  }

  // What the server knows of either way; null where the line has room for the full rate.
  #line({ line_in_kbps: up, line_out_kbps: down }) {
    if (up === undefined) return;
    const ways = [[up, "↑"], [down, "↓"]].filter(([kbps]) => kbps !== null);
    const limits = ways.map(([kbps, way]) => `${way}${number(kbps)}`).join(" ");
    this.#put("line", limits ? `narrow: ${limits} kbit/s` : "has room", limits ? "bad" : "good");
  }

  #queues(queues) {
    const depths = Object.entries(queues).map(([name, depth]) => {
      const [what, unit] = name.split("_");
      return `${what} ${number(depth)}${unit ? ` ${unit}` : ""}`;
    });
    return depths.join(", ") || "–";
  }

  clear() {
    const { model, runtime, ahead } = this.facts;
    for (const value of Object.values(this.facts)) {
      if (value === model || value === runtime || value === ahead) continue;
      value.textContent = "–";
      value.dataset.state = "";
    }
    this.fps.clear();
    this.delay.clear();
    this.#stages({});
    for (const id of ["fps-out", "delay"]) byId(id).textContent = "–";
    byId("fps-sub").textContent = "in – · shown –";
    byId("delay-sub").textContent = "link – + server –";
  }
}
