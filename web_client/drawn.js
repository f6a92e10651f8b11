// A video track drawn 25 times a second from a still image or a playing clip.

export const FPS = 25;

// Codecs take even sizes. A small picture keeps its size; a large one is scaled down to fit.
function fit(width, height, box) {
  const [longest, shortest] = box;
  const [maxW, maxH] = width >= height ? [longest, shortest] : [shortest, longest];
  const scale = Math.min(1, maxW / width, maxH / height);
  return [width, height].map((side) => Math.max(64, 2 * Math.round((side * scale) / 2)));
}

/** Draws `source` (an image or a playing video element) into a live track of at most `box` pixels. */
export class DrawnTrack {
  constructor(source, width, height, box) {
    this.source = source;
    this.canvas = document.createElement("canvas");
    [this.canvas.width, this.canvas.height] = fit(width, height, box);
    this.context = this.canvas.getContext("2d", { alpha: false });
    this.context.imageSmoothingQuality = "high";
    const exact = "requestFrame" in (window.CanvasCaptureMediaStreamTrack?.prototype ?? {});
    [this.track] = this.canvas.captureStream(exact ? 0 : FPS).getVideoTracks();
    this.track.contentHint = "motion";
    this.ticker = new Worker(new URL("ticker.js", import.meta.url));
    this.ticker.onmessage = () => this.draw();
    this.ticker.postMessage(FPS);
    this.draw();
  }

  draw() {
    this.context.drawImage(this.source, 0, 0, this.canvas.width, this.canvas.height);
    this.track.requestFrame?.();
  }

  stop() {
    this.ticker.terminate();
    this.track.stop();
  }
}
