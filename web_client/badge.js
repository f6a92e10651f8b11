// The one line over the returned picture: why it is not, right now, a re-synced face.

// The first that applies is shown.
const LINES = [
  ["bypass", "Bypass: source shown"],
  ["cameraStalled", "No new picture arrives: the last one is kept"],
  ["voiceGone", "The voice is gone: choose one again"],
  ["tooSlow", "Too slow here: the picture is not synced"],
  ["faceLost", "No face found: drag a box over it on the source"],
];

export class Badge {
  constructor(element) {
    this.element = element;
  }

  /** `flags`: {bypass, cameraStalled, voiceGone, tooSlow, faceLost}. */
  show(flags) {
    const line = LINES.find(([name]) => flags[name]);
    const text = line?.[1] ?? "";
    if (this.element.textContent !== text) this.element.textContent = text;
    this.element.hidden = !text;
  }

  hide() {
    this.element.hidden = true;
  }
}
