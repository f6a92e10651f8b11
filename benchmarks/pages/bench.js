// One call under measurement. The benchmark's Python side drives `window.bench`.

import { Call } from "/call.js";
import { loopback } from "/bench/loopback.js";
import { deviceSource, drawnSource } from "/bench/source.js";
import { PictureWatch, watchBeeps } from "/bench/watch.js";

const OPENING = 400; // pictures kept from the beginning of the call
const RECEIVED = ["framesDecoded", "framesDropped", "freezeCount", "packetsLost",
  "keyFramesDecoded", "frameWidth", "jitterBufferDelay", "jitterBufferEmittedCount",
  "jitterBufferTargetDelay", "jitterBufferMinimumDelay", "totalDecodeTime",
  "concealedSamples", "totalSamplesReceived"];
const SENT = ["frameWidth", "framesSent", "keyFramesEncoded", "qualityLimitationReason"];

class Bench {
  failure = null;
  messages = [];
  opening = [];

  /** Connects by `options.way`: "server", or "loop" within this page. */
  async start(options) {
    const { stream, beats } = options.devices ? await deviceSource() : await drawnSource(options);
    this.beats = beats;
    const video = document.getElementById("result");
    this.watch = new PictureWatch(video);
    if (options.way === "loop") {
      const { pc, receiver, remote } = await loopback(stream);
      [this.pc, this.receiver] = [pc, receiver];
      video.srcObject = remote;
    } else {
      this.connectMs = await this.#call(stream, video);
    }
    this.connectedAt = performance.now();
    if (options.flashes) this.beeps = await watchBeeps(video.srcObject);
    return { connectMs: this.connectMs ?? null };
  }

  async #call(stream, video) {
    this.call = new Call([], 480);
    this.call.addEventListener("lost", ({ detail }) => {
      this.failure ??= `the call was lost: ${detail.code ?? detail.message}`;
    });
    this.call.addEventListener("message", ({ detail }) => {
      this.messages.push({ at: performance.now(), ...detail });
    });
    this.call.addEventListener("track", ({ detail }) => (video.srcObject = detail));
    await this.call.connect(stream.getVideoTracks()[0], stream.getAudioTracks()[0], {});
    [this.pc, this.receiver] = [this.call.pc, this.call.pc];
    return this.call.timing.connectedMs;
  }

  /** Begins a period; what was seen before is the call's opening. */
  async begin() {
    if (!this.opening.length) this.opening = this.watch.pictures.slice(0, OPENING);
    const before = await this.#counters();
    this.period = { from: performance.now(), before, presented: this.watch.presented };
    this.watch.pictures.length = 0;
    this.beats.length = 0;
    if (this.beeps) this.beeps.length = 0;
  }

  /** Everything since `begin`. */
  async take() {
    const { from, before, presented } = this.period;
    return {
      failure: this.failure,
      periodMs: performance.now() - from,
      connectedAt: this.connectedAt,
      opening: this.opening,
      pictures: this.watch.pictures,
      presented: this.watch.presented - presented,
      beats: this.beats,
      beeps: this.beeps ?? [],
      messages: this.messages,
      before,
      after: await this.#counters(),
    };
  }

  async #counters() {
    const found = {};
    for (const report of (await this.receiver.getStats()).values()) {
      if (report.type === "inbound-rtp") found[`in_${report.kind}`] = pick(report, RECEIVED);
    }
    for (const report of (await this.pc.getStats()).values()) {
      if (report.type === "outbound-rtp") found[`out_${report.kind}`] = pick(report, SENT);
    }
    return found;
  }

  /** Ends the call; resolves when the server has let go of it. */
  async stop() {
    this.call?.close();
    await this.call?.ended;
  }
}

const pick = (report, names) =>
  Object.fromEntries(names.filter((name) => name in report).map((name) => [name, report[name]]));

window.bench = new Bench();
