// What is received: every picture shown with its stamp and flash, and every beep heard.

import { BandReader } from "/bench/stamp.js";

const SETTLE_MS = 500; // before the sound of a new element can be tapped
const QUIET_S = 0.4; // two beeps are further apart than this

/**
 * `pictures`: [shown at (ms), stamp or null, flash, received at (ms)]; `presented` counts also those that were shown
 * while this page was too busy to look.
 */
export class PictureWatch {
  constructor(video) {
    this.video = video;
    this.reader = new BandReader();
    this.pictures = [];
    this.presented = 0;
    this.#wait();
  }

  #wait() {
    this.video.requestVideoFrameCallback((_, { presentedFrames, receiveTime }) => {
      const { value, flash } = this.reader.read(this.video);
      this.pictures.push([performance.now(), value, flash, receiveTime ?? null]);
      this.presented = presentedFrames;
      this.#wait();
    });
  }
}

/** Times (ms) at which a beep began, one for each; must follow the element's first picture. */
export async function watchBeeps(stream) {
  await new Promise((done) => setTimeout(done, SETTLE_MS));
  const context = new AudioContext({ latencyHint: "interactive" });
  // By way of a blob: Playwright answers what the page asks for, but not what a worklet does.
  const module = URL.createObjectURL(await (await fetch("/bench/beeps.js")).blob());
  await context.audioWorklet.addModule(module);
  const source = context.createMediaStreamSource(new MediaStream(stream.getAudioTracks()));
  const gate = new AudioWorkletNode(context, "beeps", { processorOptions: { quietS: QUIET_S } });
  const beeps = [];
  gate.port.onmessage = () => beeps.push(performance.now());
  // A node that leads nowhere is not run.
  source.connect(gate).connect(new GainNode(context, { gain: 0 })).connect(context.destination);
  return beeps;
}
