// The box that a person draws over the face, kept in fractions of the picture.
//
// Mouse: drag on the picture. Touch: after "Mark face", so that a page can still be scrolled. Keys: arrows.
//
// Events: "change".

const SMALLEST = 0.06;
const STEP = 0.02;
const FIRST = { x: 0.3, y: 0.15, w: 0.4, h: 0.55 };

const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

export class FaceBox extends EventTarget {
  constructor(layer, video) {
    super();
    Object.assign(this, { layer, video });
    this.box = document.getElementById("box");
    const box = this.box;
    this.markButton = document.getElementById("mark-face");
    this.clearButton = document.getElementById("clear-box");
    this.rect = null;
    // A click from the keyboard counts no clicks.
    this.markButton.addEventListener("click", ({ detail }) => this.#mark(!this.#marking, !detail));
    this.clearButton.addEventListener("click", () => this.clear());
    layer.addEventListener("pointerdown", (event) => this.#begin(event));
    box.addEventListener("keydown", (event) => this.#key(event));
    video.addEventListener("resize", () => this.#draw());
    new ResizeObserver(() => this.#draw()).observe(layer);
  }

  /** [x, y, w, h] in source pixels, or null. */
  get pixels() {
    const { videoWidth, videoHeight } = this.video;
    if (!this.rect || !videoWidth) return null;
    const { x, y, w, h } = this.rect;
    return [x * videoWidth, y * videoHeight, w * videoWidth, h * videoHeight].map(Math.round);
  }

  get #marking() {
    return this.layer.classList.contains("marking");
  }

  // While marking, touch draws too. From the keyboard a first box is there to be moved.
  #mark(on, fromKeyboard = false) {
    this.markButton.setAttribute("aria-pressed", on);
    this.layer.classList.toggle("marking", on);
    if (on && fromKeyboard && !this.rect) this.#change({ ...FIRST });
    if (on && this.rect) this.box.focus({ preventScroll: true });
  }

  clear() {
    if (this.rect) this.#change(null);
    this.#mark(false);
  }

  // The picture is centred in its frame and may leave bars.
  #shown() {
    const { clientWidth, clientHeight } = this.layer;
    const { videoWidth, videoHeight } = this.video;
    const scale = Math.min(clientWidth / videoWidth, clientHeight / videoHeight);
    const [width, height] = [videoWidth * scale, videoHeight * scale];
    return { left: (clientWidth - width) / 2, top: (clientHeight - height) / 2, width, height };
  }

  #point(event) {
    const frame = this.layer.getBoundingClientRect();
    const shown = this.#shown();
    return {
      x: clamp((event.clientX - frame.left - shown.left) / shown.width, 0, 1),
      y: clamp((event.clientY - frame.top - shown.top) / shown.height, 0, 1),
    };
  }

  #begin(event) {
    if (!this.video.videoWidth || event.button !== 0) return;
    if (event.pointerType !== "mouse" && !this.#marking) return;
    event.preventDefault();
    this.layer.setPointerCapture(event.pointerId);
    const start = this.#point(event);
    const before = this.rect;
    const move = (moved) => this.#draw(this.#between(start, this.#point(moved)));
    const end = (last) => {
      this.layer.removeEventListener("pointermove", move);
      const rect = this.#between(start, this.#point(last));
      const drawn = last.type === "pointerup" && rect.w > SMALLEST && rect.h > SMALLEST;
      this.#change(drawn ? rect : before);
      if (drawn) this.#mark(false);
    };
    this.layer.addEventListener("pointermove", move);
    this.layer.addEventListener("pointerup", end, { once: true });
    this.layer.addEventListener("pointercancel", end, { once: true });
  }

  #between(a, b) {
    const [x, y] = [Math.min(a.x, b.x), Math.min(a.y, b.y)];
    return { x, y, w: Math.abs(a.x - b.x), h: Math.abs(a.y - b.y) };
  }

  #key(event) {
    if (event.key === "Delete" || event.key === "Backspace") return this.clear();
    const by = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };
    const step = by[event.key];
    if (!step || !this.rect) return undefined;
    event.preventDefault();
    const { x, y, w, h } = this.rect;
    const moved = event.shiftKey
      ? { x, y, w: clamp(w + step[0], SMALLEST, 1 - x), h: clamp(h + step[1], SMALLEST, 1 - y) }
      : { x: clamp(x + step[0], 0, 1 - w), y: clamp(y + step[1], 0, 1 - h), w, h };
    return this.#change(moved);
  }

  #change(rect) {
    this.rect = rect;
    this.clearButton.hidden = !rect;
    this.#draw();
    this.dispatchEvent(new Event("change"));
  }

  #draw(rect = this.rect) {
    this.box.hidden = !rect || !this.video.videoWidth;
    this.box.tabIndex = rect ? 0 : -1;
    if (this.box.hidden) return;
    const shown = this.#shown();
    const { style } = this.box;
    style.left = `${shown.left + rect.x * shown.width}px`;
    style.top = `${shown.top + rect.y * shown.height}px`;
    style.width = `${rect.w * shown.width}px`;
    style.height = `${rect.h * shown.height}px`;
  }
}
