// What a person does to a running call: strength, bypass, sound, snapshot, full screen; and the theme.
//
// Events: "set" (detail: fields for the control channel).

const byId = (id) => document.getElementById(id);

const THEME_KEY = "omnisync-theme";

function typing(event) {
  return event.target.matches?.("input:not([type=radio]):not([type=range]), select, textarea");
}

export class Controls extends EventTarget {
  constructor(result) {
    super();
    this.result = result;
    this.bypass = false;
    this.monitorChosen = null;
    this.#theme();
    this.#strength();
    this.#compare();
    byId("monitor").addEventListener("click", () => this.#mute((this.monitorChosen = !result.muted)));
    byId("snapshot").addEventListener("click", () => this.#snapshot());
    byId("fullscreen").addEventListener("click", () => this.#fullscreen());
  }

  get strength() {
    return Number(byId("strength").value);
  }

  enable(live) {
    for (const id of ["compare", "snapshot", "fullscreen"]) byId(id).disabled = !live;
    if (!live) this.#switch(false);
  }

  /** One's own voice coming back late disturbs, so it is muted until asked for. */
  monitor(ownMicrophone) {
    this.#mute(this.monitorChosen ?? ownMicrophone);
  }

  #mute(muted) {
    this.result.muted = muted;
    const button = byId("monitor");
    button.setAttribute("aria-pressed", muted);
    button.setAttribute("aria-label", muted ? "Let me hear the sound" : "Mute the sound here");
    button.title = button.getAttribute("aria-label");
    button.querySelector("use").setAttribute("href", muted ? "#i-muted" : "#i-sound");
  }

  #set(fields) {
    this.dispatchEvent(new CustomEvent("set", { detail: fields }));
  }

  #strength() {
    const slider = byId("strength");
    const show = () => {
      byId("strength-value").textContent = this.strength.toFixed(2);
      slider.style.setProperty("--fill", `${50 * this.strength}%`);
    };
    let waiting = null;
    slider.addEventListener("input", () => {
      show();
      waiting ??= setTimeout(() => {
        waiting = null;
        this.#set({ strength: this.strength });
      }, 60);
    });
    slider.addEventListener("dblclick", () => {
      slider.value = 1;
      slider.dispatchEvent(new Event("input"));
    });
    show();
  }

  #switch(bypass) {
    if (this.bypass === bypass) return;
    this.bypass = bypass;
    byId("compare").setAttribute("aria-pressed", bypass);
    this.#set({ bypass });
  }

  #compare() {
    const button = byId("compare");
    button.addEventListener("click", () => this.#switch(!this.bypass));
    const held = (event) => event.key.toLowerCase() === "b" && !event.ctrlKey && !event.metaKey && !event.altKey;
    let holding = false;
    document.addEventListener("keydown", (event) => {
      if (!held(event) || event.repeat || button.disabled || typing(event)) return;
      holding = !this.bypass;
      if (holding) this.#switch(true);
    });
    const release = () => {
      if (holding) this.#switch(false);
      holding = false;
    };
    document.addEventListener("keyup", (event) => held(event) && release());
    window.addEventListener("blur", release);
  }

  #snapshot() {
    const { result } = this;
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [result.videoWidth, result.videoHeight];
    canvas.getContext("2d").drawImage(result, 0, 0);
    canvas.toBlob((blob) => {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(blob);
      link.download = `omnisync-${new Date().toISOString().slice(0, 19).replaceAll(":", "-")}.png`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    });
  }

  #fullscreen() {
    if (document.fullscreenElement) document.exitFullscreen();
    else if (this.result.requestFullscreen) this.result.requestFullscreen();
    else this.result.webkitEnterFullscreen?.(); // iPhone: only a video, only like this
  }

  #theme() {
    const root = document.documentElement;
    const system = window.matchMedia("(prefers-color-scheme: light)");
    const stored = localStorage.getItem(THEME_KEY);
    if (stored) root.dataset.theme = stored;
    byId("theme").addEventListener("click", () => {
      const now = root.dataset.theme ?? (system.matches ? "light" : "dark");
      root.dataset.theme = now === "light" ? "dark" : "light";
      localStorage.setItem(THEME_KEY, root.dataset.theme);
    });
  }
}
