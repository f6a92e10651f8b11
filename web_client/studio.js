// Which picture and which voice are in use: the two forms, opening, changing and closing of sources.
//
// Events: "picture" and "voice" (detail: the new source or null), "problem" (detail: {error, wanted}),
// "unplugged" (detail: "picture" or "voice").

import { listDevices, openBoth, permission } from "./devices.js";
import { UserError } from "./errors.js";
import { fromCamera, openCamera, openClip, openDemoFace, openPortrait } from "./picture.js";
import { audioContext, fromMicrophone, openDemoVoice, openMicrophone, openTab, openVoiceFile } from "./voice.js";

const DEVICES = new Set(["camera", "microphone"]);

const byId = (id) => document.getElementById(id);

function chosenFile(id, missing) {
  const [file] = byId(id).files;
  if (!file) throw new UserError(missing);
  return file;
}

function needSecure(what) {
  if (!window.isSecureContext || !navigator.mediaDevices) throw new UserError("insecure", what);
}

export class Studio extends EventTarget {
  constructor() {
    super();
    this.picture = null;
    this.voice = null;
    this.live = false;
    this.turn = { picture: 0, voice: 0 };
    this.pictures = {
      camera: () => (needSecure("Camera"), openCamera(byId("camera-device").value, this.quality)),
      portrait: () => openPortrait(chosenFile("portrait-file", "no-portrait"), this.quality),
      clip: () => openClip(chosenFile("clip-file", "no-clip"), this.quality),
      demo: () => openDemoFace(this.quality),
    };
    this.voices = {
      microphone: () => (needSecure("Microphone"), openMicrophone(byId("microphone-device").value)),
      file: () => openVoiceFile(chosenFile("voice-file", "no-voice")),
      tab: () => openTab(),
      demo: () => openDemoVoice(),
    };
    this.#bind();
  }

  get quality() {
    return Number(byId("quality").value);
  }

  kind(side) {
    return byId(`${side}-form`).elements[side].value;
  }

  #bind() {
    for (const side of ["picture", "voice"]) {
      byId(`${side}-form`).addEventListener("submit", (event) => event.preventDefault());
      byId(`${side}-kinds`).addEventListener("change", () => this.#kindChanged(side));
      this.#showChoice(side);
    }
    const reopen = { "camera-device": "picture", quality: "picture", "portrait-file": "picture", "clip-file": "picture", "microphone-device": "voice", "voice-file": "voice" };
    for (const [id, side] of Object.entries(reopen)) {
      byId(id).addEventListener("change", () => this.#reopen(side));
    }
    for (const id of ["portrait-file", "clip-file", "voice-file"]) {
      byId(id).addEventListener("change", ({ target }) => {
        if (target.files.length) target.nextElementSibling.textContent = target.files[0].name;
      });
    }
    byId("share-tab").addEventListener("click", () => this.#open("voice"));
    navigator.mediaDevices?.addEventListener("devicechange", () => this.listDevices());
  }

  listDevices() {
    return listDevices(byId("camera-device"), byId("microphone-device"));
  }

  /** Chooses without opening; `prepare` opens. */
  choose(side, kind) {
    byId(`${side}-form`).elements[side].value = kind;
    this.#showChoice(side);
  }

  #showChoice(side) {
    const kind = this.kind(side);
    for (const choice of byId(`${side}-form`).querySelectorAll(".choice")) {
      choice.hidden = choice.dataset.for !== kind;
    }
  }

  // A camera is opened at once only in a call or when it was allowed before: no prompt out of nowhere.
  async #kindChanged(side) {
    this.#showChoice(side);
    const kind = this.kind(side);
    const waitsForFile = ["portrait", "clip", "file"].includes(kind) && !byId(`${kind === "file" ? "voice" : kind}-file`).files.length;
    const waitsForPerson = kind === "tab" || waitsForFile;
    const waitsForStart = DEVICES.has(kind) && !this.live && (await permission(kind)) !== "granted";
    if (waitsForPerson || waitsForStart) {
      if (!this.live) this.#use(side, null);
      return;
    }
    await this.#open(side);
  }

  async #reopen(side) {
    const device = DEVICES.has(this.kind(side));
    if (this[side] || this.live || !device) await this.#open(side);
  }

  // Only the last choice counts when several are under way.
  async #open(side) {
    const kind = this.kind(side);
    const turn = ++this.turn[side];
    // Many cameras can't be opened twice, and a new size needs the old one gone.
    if (kind === "camera" && this.picture?.kind === "camera") this.picture.stop();
    try {
      const source = await this[`${side}s`][kind]();
      if (turn !== this.turn[side]) return source.stop();
      this.#use(side, source);
    } catch (error) {
      if (turn !== this.turn[side]) return undefined;
      this.#problem(error, kind);
    }
    return undefined;
  }

  #problem(error, kind) {
    const wanted = DEVICES.has(kind) ? [kind] : [];
    this.dispatchEvent(new CustomEvent("problem", { detail: { error, wanted } }));
  }

  #use(side, source) {
    const old = this[side];
    this[side] = source;
    if (old && old !== source) old.stop();
    if (source) {
      source.track.addEventListener("ended", () => this.#ended(side, source));
      if (DEVICES.has(source.kind)) this.listDevices();
      if (this.live) source.play?.();
    }
    this.dispatchEvent(new CustomEvent(side, { detail: source }));
  }

  #ended(side, source) {
    if (this[side] !== source) return;
    this.dispatchEvent(new CustomEvent("unplugged", { detail: side }));
  }

  /** Opens what is missing, with one prompt where camera and microphone are; throws, see `wanted`. */
  async prepare() {
    audioContext();
    const needs = (side) => this[side]?.kind !== this.kind(side) || this[side].track.readyState === "ended";
    const [picture, voice] = [needs("picture"), needs("voice")];
    this.wanted = [picture && "picture", voice && "voice"].filter(Boolean).map((side) => this.kind(side)).filter((kind) => DEVICES.has(kind));
    if (this.wanted.length === 2) {
      needSecure("Camera and microphone");
      const stream = await openBoth(byId("camera-device").value, this.quality, byId("microphone-device").value);
      this.#use("picture", fromCamera(stream));
      this.#use("voice", fromMicrophone(stream));
      return;
    }
    // The voice first: a tab can only be asked for soon after the click.
    if (voice) this.#use("voice", await this.voices[this.kind("voice")]());
    if (picture) this.#use("picture", await this.pictures[this.kind("picture")]());
  }

  /** Shows the picture before a call where that needs no prompt. */
  async preview() {
    await this.listDevices();
    const granted = await Promise.all(["camera", "microphone"].map(permission));
    if (granted.every((state) => state === "granted") && this.kind("picture") === "camera") {
      await this.#open("picture");
      await this.#open("voice");
    }
  }

  setLive(live) {
    this.live = live;
    if (live) this.voice?.play?.();
    else this.voice?.pause?.();
  }
}
