// What a picture carries in the band above the face: a 24-bit number and a patch that flashes.
// The same layout is drawn into the fake camera's file by benchmarks/material.py.

const BITS = 24;
const BLOCK = 16; // px; one macroblock, so that neighbours do not smear into it
const PATCH_X = 416;
const PATCH_WIDTH = 224;
const MIN_CONTRAST = 60; // of 255, between a bit and its inverse below it
const FLASH_LEVEL = 128;

export const WIDTH = 640;
export const HEIGHT = 480;
export const BAND = 2 * BLOCK;
export const MASK = 2 ** BITS - 1;

/** Row 0 holds the bits, row 1 their inverse; the patch is white while `flash`. */
export function drawBand(context, value, flash) {
  for (let bit = 0; bit < BITS; bit++) {
    const on = (value >>> bit) & 1;
    context.fillStyle = on ? "#fff" : "#000";
    context.fillRect(bit * BLOCK, 0, BLOCK, BLOCK);
    context.fillStyle = on ? "#000" : "#fff";
    context.fillRect(bit * BLOCK, BLOCK, BLOCK, BLOCK);
  }
  context.fillStyle = flash ? "#fff" : "#000";
  context.fillRect(PATCH_X, 0, PATCH_WIDTH, BAND);
}

export class BandReader {
  constructor() {
    const canvas = new OffscreenCanvas(WIDTH, BAND);
    this.context = canvas.getContext("2d", { willReadFrequently: true });
  }

  /** {value, flash}; value is null where the bits cannot be read. */
  read(video) {
    const scale = video.videoWidth / WIDTH;
    this.context.drawImage(video, 0, 0, WIDTH * scale, BAND * scale, 0, 0, WIDTH, BAND);
    this.pixels = this.context.getImageData(0, 0, WIDTH, BAND).data;
    return { value: this.#value(), flash: this.#flash() };
  }

  #green(x, y) {
    return this.pixels[4 * (y * WIDTH + x) + 1];
  }

  #value() {
    let value = 0;
    for (let bit = 0; bit < BITS; bit++) {
      const x = bit * BLOCK + BLOCK / 2;
      const upper = this.#green(x, BLOCK / 2);
      const lower = this.#green(x, BLOCK + BLOCK / 2);
      if (Math.abs(upper - lower) < MIN_CONTRAST) return null;
      if (upper > lower) value |= 1 << bit;
    }
    return value;
  }

  #flash() {
    let sum = 0;
    let count = 0;
    for (let x = PATCH_X + BLOCK; x < PATCH_X + PATCH_WIDTH - BLOCK; x += 8) {
      sum += this.#green(x, BLOCK);
      count += 1;
    }
    return sum / count > FLASH_LEVEL;
  }
}
