// The call page: brings sources, call, controls and panel together. Phases: idle, preparing, connecting, live.

import { ApiError, fetchConfig, token } from "./api.js";
import { Badge } from "./badge.js";
import { Call } from "./call.js";
import { Controls } from "./controls.js";
import { Cover } from "./cover.js";
import { explain } from "./errors.js";
import { FaceBox } from "./facebox.js";
import { Measure } from "./measure.js";
import { Panel } from "./panel.js";
import { Persons } from "./persons.js";
import { Studio } from "./studio.js";
import { meter } from "./voice.js";

const STALL_READINGS = 6; // seconds without one new frame
const RESTING = 3; // step of streaming/ladder.py from which no picture follows the voice

const PHASES = { idle: "Ready", preparing: "Asking", connecting: "Connecting", live: "Live", error: "Not live" };

const byId = (id) => document.getElementById(id);
const source = byId("source");
const result = byId("result");

const studio = new Studio();
const controls = new Controls(result);
const panel = new Panel();
const persons = new Persons();
const faceBox = new FaceBox(byId("box-layer"), source);
const badge = new Badge(byId("badge"));

let call = null;
let leaving = Promise.resolve();
let reading = null;
let stopMeter = () => {};
let config = {};
let boxedPicture;
let cameraStalled = false;

/** What tests and the curious may look at. */
const omnisync = (window.omnisync = { state: "idle", pc: null, stats: null, timing: null, events: [] });

const actions = {
  camera: ["Use camera and microphone", () => start()],
  demo: ["Play the demo", () => demo()],
  retry: ["Try again", () => start()],
  dismiss: ["Understood", () => sourceCover.hide()],
  reconnect: ["Reconnect", () => start()],
  token: ["Enter token", () => askToken()],
};
const sourceCover = new Cover(byId("source-cover"), actions);
const resultCover = new Cover(byId("result-cover"), actions);

function setPhase(phase) {
  omnisync.state = phase;
  byId("status").dataset.state = phase;
  byId("status").querySelector("span").textContent = PHASES[phase];
  const running = ["preparing", "connecting", "live"].includes(phase);
  byId("start").textContent = running ? "Stop" : "Start";
  byId("start").classList.toggle("stop", running);
  byId("demo").disabled = running;
  document.body.dataset.phase = phase;
  controls.enable(phase === "live");
  studio.setLive(phase === "live");
}

function invite() {
  if (!studio.picture) {
    sourceCover.show("invite", { icon: "i-camera", title: "Your picture", text: "A camera (OBS Virtual Camera too), a portrait or a clip.", actions: ["camera"] });
  }
  resultCover.show("invite", { icon: "i-spark", title: "The same picture, another voice", text: "No camera at hand? A rendered face speaks at once.", actions: ["demo"] });
}

async function start() {
  stop();
  setPhase("preparing");
  resultCover.show("busy", { title: "Opening picture and voice", text: "Your browser may ask for permission." });
  try {
    await studio.prepare();
  } catch (error) {
    if (omnisync.state === "preparing") await fail(error, studio.wanted);
    return;
  }
  if (omnisync.state === "preparing") await connect();
}

async function connect() {
  setPhase("connecting");
  resultCover.show("busy", { title: "Connecting", text: "Picture and voice are on their way." });
  await leaving; // or a server with one seat would find it taken
  if (omnisync.state !== "connecting") return;
  const mine = (call = new Call(config.ice_servers ?? [], studio.quality));
  omnisync.pc = mine.pc;
  mine.addEventListener("message", ({ detail }) => receive(detail));
  mine.addEventListener("lost", ({ detail }) => mine === call && fail(detail));
  mine.addEventListener("track", ({ detail }) => (result.srcObject = detail));
  const options = {
    strength: controls.strength,
    ...(faceBox.pixels && { face_box: faceBox.pixels }),
    ...(persons.chosen && { person: persons.chosen }),
  };
  try {
    await mine.connect(studio.picture.track, studio.voice.track, options);
  } catch (error) {
    if (mine === call) await fail(error);
    return;
  }
  if (mine === call) live();
}

function live() {
  setPhase("live");
  controls.monitor(studio.voice.kind === "microphone");
  result.play().catch(() => {
    result.muted = true; // a browser that wants another click for sound still shows the picture
    result.play();
  });
  const { timing } = call;
  omnisync.timing = timing;
  const shown = () => {
    timing.firstPictureMs = performance.now() - timing.begun;
    resultCover.hide();
  };
  if (result.requestVideoFrameCallback) result.requestVideoFrameCallback(shown);
  else shown();
  watch(new Measure(call.pc));
}

function watch(measure) {
  let [frames, still] = [0, 0];
  reading = setInterval(async () => {
    const browser = await measure.read();
    if (!browser || omnisync.state !== "live") return;
    still = browser.frames === frames ? still + 1 : 0;
    frames = browser.frames;
    omnisync.stats = { ...omnisync.stats, browser, roundTripMs: call.roundTripMs };
    panel.show(omnisync.stats.server, browser, call.roundTripMs);
    byId("result-facts").textContent = result.videoWidth ? `${result.videoWidth}×${result.videoHeight}` : "";
    if (still >= STALL_READINGS) call.stalled();
  }, 1000);
}

function receive(message) {
  if (message.type === "stats") {
    omnisync.stats = { ...omnisync.stats, server: message };
    showBadge();
  }
  if (message.type !== "event") return;
  omnisync.events = [...omnisync.events, message].slice(-50);
  if (message.event === "camera_stalled") cameraStalled = true;
  if (message.event === "camera_resumed") cameraStalled = false;
}

function showBadge() {
  if (omnisync.state !== "live") return badge.hide();
  return badge.show({
    bypass: controls.bypass,
    cameraStalled,
    voiceGone: studio.voice.track.readyState === "ended",
    tooSlow: omnisync.stats?.server?.ladder >= RESTING,
    faceLost: omnisync.stats?.server?.face_found === false,
  });
}

function stop() {
  clearInterval(reading);
  const ended = call;
  call = null;
  ended?.close();
  leaving = ended?.ended ?? leaving;
  result.srcObject = null;
  cameraStalled = false;
  badge.hide();
  byId("result-facts").textContent = "";
  Object.assign(omnisync, { pc: null, stats: null });
  panel.clear();
  panel.model(config.model_facts);
  setPhase("idle");
}

async function fail(error, wanted = []) {
  stop();
  const message = await explain(error, wanted);
  if (omnisync.state !== "idle") return; // somebody was quicker and has started again
  setPhase("error");
  resultCover.show("error", message);
  if (!studio.picture) sourceCover.show("quiet", { icon: "i-camera", title: "No picture yet", text: "" });
  if (error instanceof ApiError && error.status === 401) askToken();
}

function demo() {
  studio.choose("picture", "demo");
  studio.choose("voice", "demo");
  start();
}

function askToken() {
  const dialog = byId("token-dialog");
  byId("token-text").textContent = token.get()
    ? "The server did not accept this token."
    : "This server asks for a token. Whoever started it has set one.";
  byId("token").value = "";
  if (!dialog.open) dialog.showModal();
}

byId("token-dialog").addEventListener("close", async ({ target }) => {
  if (target.returnValue !== "ok") return;
  target.returnValue = "";
  token.set(byId("token").value.trim());
  await loadConfig(); // the call needs its ICE servers
  start();
});
byId("token-cancel").addEventListener("click", () => byId("token-dialog").close(""));

byId("start").addEventListener("click", () => {
  if (!byId("start").classList.contains("stop")) return start();
  stop();
  return invite();
});
byId("demo").addEventListener("click", demo);

studio.addEventListener("picture", ({ detail: picture }) => {
  source.srcObject = picture && new MediaStream([picture.track]);
  byId("source-facts").textContent = "";
  byId("mark-face").disabled = !picture;
  if (picture?.label !== boxedPicture) faceBox.clear();
  boxedPicture = picture?.label;
  if (picture) {
    sourceCover.hide();
    call?.replaceVideo(picture.track);
    if (omnisync.state === "error") setPhase("idle");
    if (omnisync.state === "idle") invite();
  } else if (omnisync.state === "idle") invite();
});
studio.addEventListener("voice", ({ detail: voice }) => {
  stopMeter();
  if (!voice) return;
  stopMeter = meter(voice.track, (level) => (byId("level").style.width = `${100 * level}%`));
  call?.replaceAudio(voice.track);
  if (omnisync.state === "live") controls.monitor(voice.kind === "microphone");
});
studio.addEventListener("problem", async ({ detail: { error, wanted } }) => {
  const message = await explain(error, wanted);
  if (omnisync.state === "live") sourceCover.show("error", { ...message, actions: ["dismiss"] });
  else resultCover.show("error", message);
});
studio.addEventListener("unplugged", ({ detail: side }) => {
  if (side === "voice") return showBadge();
  sourceCover.show("error", { title: "The camera is gone", text: "It was unplugged or taken away. Plug it in again, or choose another picture: the call goes on.", actions: omnisync.state === "live" ? [] : ["retry"] });
});

source.addEventListener("resize", () => {
  byId("source-facts").textContent = `${source.videoWidth}×${source.videoHeight}`;
});
faceBox.addEventListener("change", () => call?.set({ face_box: faceBox.pixels }));
controls.addEventListener("set", ({ detail }) => {
  call?.set(detail);
  showBadge();
});
persons.addEventListener("change", () => omnisync.state === "live" && start()); // a call keeps its model
window.addEventListener("pagehide", () => call?.close());

async function loadConfig() {
  try {
    config = await fetchConfig();
    panel.model(config.model_facts);
    persons.offer(config.persons ?? []);
  } catch (error) {
    if (!(error instanceof ApiError && error.status === 401)) await fail(error);
  }
}

setPhase("idle");
invite();
await loadConfig();
await studio.preview();
