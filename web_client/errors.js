// Every failure as a title, one sentence on what to do, and the buttons that do it.

import { ApiError, Unreachable } from "./api.js";
import { deviceCount, permission } from "./devices.js";

/** Something that the person chose cannot be used. */
export class UserError extends Error {
  constructor(code, subject = "", options = {}) {
    super(code, options);
    this.name = "UserError";
    this.code = code;
    this.subject = subject;
  }
}

/** The call could not be made or did not last. */
export class CallLost extends Error {
  constructor(code, detail = "") {
    super(code);
    this.name = "CallLost";
    this.code = code;
    this.detail = detail;
  }
}

const USER = {
  "unreadable-image": ["This image can't be read", "{} is damaged or of a kind that this browser doesn't know. JPEG, PNG and WebP work."],
  "unreadable-clip": ["This video can't be played", "{} is damaged or of a kind that this browser doesn't know. MP4 (H.264) and WebM work."],
  "unreadable-voice": ["This sound can't be played", "{} is damaged, has no sound, or is of a kind that this browser doesn't know."],
  "demo-missing": ["The demo is not there", "This server was installed without the {}. Use your camera, a portrait or a clip."],
  "no-portrait": ["Choose an image first", "Any photo or drawing with one face."],
  "no-clip": ["Choose a video first", "Any clip with one face; it plays in a loop."],
  "no-voice": ["Choose a voice file first", "Any sound or video file; your picture will speak with its voice."],
  "no-tab-sound": ["This browser can't share a tab's sound", "Chrome and Edge on a computer can. Use a microphone or a file here."],
  "tab-without-sound": ["That tab came without sound", "Share it again: choose a browser tab and tick “Also share tab audio”."],
  "tab-refused": ["No tab was shared", "Press “Share a tab's sound” and choose one, or take another voice."],
  insecure: ["{} needs a secure page", "Browsers allow it on https:// and on http://127.0.0.1 only. Open this server that way, or use a portrait, a clip or the demo."],
};

const LOST = {
  ice: ["No way through to the server", "Page and server could not exchange media: a firewall blocks UDP between them, or the server has no TURN relay for this network."],
  timeout: ["Connecting took too long", "The server answered but no media came through in 15 seconds: a firewall may block UDP, or the server is overloaded."],
  dtls: ["The secure connection failed", "The media handshake broke off. Try again; if it repeats, look at the server's log."],
  network: ["Connection lost", "The network between you and the server broke off."],
  stalled: ["The picture stopped", "Nothing came from the server for some seconds: it is overloaded or the network is."],
  "server-closed": ["The server ended the call", "{}"],
};

const subject = (text, value) => text.replace("{}", value);

async function blockedNames(wanted) {
  const states = await Promise.all(wanted.map(permission));
  const denied = wanted.filter((_, i) => states[i] === "denied");
  return (denied.length ? denied : wanted).join(" and ");
}

async function missingNames(wanted) {
  const kinds = { camera: "videoinput", microphone: "audioinput" };
  const counts = await Promise.all(wanted.map((name) => deviceCount(kinds[name])));
  const missing = wanted.filter((_, i) => counts[i] === 0);
  return (missing.length ? missing : wanted).join(" or ");
}

async function explainDevice(error, wanted) {
  const capital = (text) => text[0].toUpperCase() + text.slice(1);
  if (error.name === "NotAllowedError" || error.name === "SecurityError") {
    const names = await blockedNames(wanted);
    return {
      title: `${capital(names)} blocked`,
      text: `Allow the ${names} for this page (the icon at the left of the address bar, or your system's privacy settings) and try again.`,
    };
  }
  if (error.name === "NotFoundError" || error.name === "OverconstrainedError") {
    const names = await missingNames(wanted);
    const other = names.includes("camera") ? "OBS Virtual Camera counts too. Or use a portrait, a clip or the demo." : "Or use a voice file, a tab or the demo voice.";
    return { title: `No ${names} found`, text: `Plug one in and try again. ${other}` };
  }
  const names = wanted.join(" or ");
  return {
    title: `${capital(names)} busy`,
    text: `Another program holds it, or it was unplugged. Close calls that use it, or choose another device.`,
  };
}

function explainApi({ status, message, retryAfter }) {
  if (status === 503 || status === 429) {
    const busy = /stopping|slow/i.test(message) ? "Server is not ready" : "Server is full";
    const text = message.replace(/^server full: (.*)/, "It takes $1. Wait until one ends.");
    return { title: status === 429 ? "Too many tries" : busy, text, retryAfter: retryAfter ?? 5 };
  }
  if (status === 401) {
    return { title: "Access token needed", text: "Whoever started this server has set one.", actions: ["token"] };
  }
  if (status === 403) return { title: "The server refused", text: message, actions: ["token", "retry"] };
  if (status >= 500) return { title: "The server failed", text: message };
  return { title: "The server can't take this call", text: message };
}

/** `{title, text, actions, retryAfter?}`; `wanted` names the devices that were asked for. */
export async function explain(error, wanted = []) {
  const base = { actions: ["retry"] };
  if (error instanceof UserError) {
    const [title, text] = USER[error.code];
    const actions = error.code === "insecure" ? ["demo"] : [];
    return { title: subject(title, error.subject), text: subject(text, error.subject), actions };
  }
  if (error instanceof CallLost) {
    const [title, text] = LOST[error.code] ?? LOST.network;
    const why = error.detail ? `It says: ${error.detail}.` : "It was restarted, or the network broke off.";
    return { title, text: subject(text, why), actions: ["reconnect"] };
  }
  if (error instanceof ApiError) return { ...base, ...explainApi(error) };
  if (error instanceof Unreachable) {
    return { ...base, title: "The server does not answer", text: "It is stopped or the network is down. Start it again (make serve), then retry." };
  }
  if (error instanceof DOMException && wanted.length) {
    return { actions: ["retry", "demo"], ...(await explainDevice(error, wanted)) };
  }
  console.error(error);
  return { ...base, title: "Something went wrong", text: error.message };
}
