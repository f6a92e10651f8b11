// The four kinds of voice, each as {kind, track, label, stop()}. One AudioContext for all.

import { microphoneConstraints } from "./devices.js";
import { UserError } from "./errors.js";

const DEMO_VOICE = "demo/voice.mp3";

const TAB = {
  video: { displaySurface: "browser" },
  audio: { suppressLocalAudioPlayback: true, echoCancellation: false, noiseSuppression: false },
  systemAudio: "include",
  selfBrowserSurface: "exclude",
};

let context = null;

/** The page's one AudioContext; call it first in a click, or the browser keeps it suspended. */
export function audioContext() {
  context ??= new AudioContext({ latencyHint: "interactive" });
  if (context.state === "suspended") context.resume();
  return context;
}

export function fromMicrophone(stream) {
  const [track] = stream.getAudioTracks();
  track.contentHint = "speech";
  return { kind: "microphone", track, label: track.label, stop: () => track.stop() };
}

export async function openMicrophone(device) {
  const audio = microphoneConstraints(device);
  return fromMicrophone(await navigator.mediaDevices.getUserMedia({ audio }));
}

// A media element rather than a decoded buffer: an hour of speech must not fill the memory.
async function played(kind, url, label) {
  const element = new Audio();
  element.loop = true;
  const ready = new Promise((resolve, reject) => {
    element.oncanplay = resolve;
    element.onerror = () => reject(element.error);
  });
  element.src = url;
  await ready;
  const source = audioContext().createMediaElementSource(element);
  const sink = new MediaStreamAudioDestinationNode(audioContext(), { channelCount: 1 });
  source.connect(sink);
  const [track] = sink.stream.getAudioTracks();
  track.contentHint = "speech";
  return {
    kind,
    track,
    label,
    play: () => element.play(),
    pause: () => element.pause(),
    stop() {
      element.pause();
      element.removeAttribute("src");
      element.load();
      source.disconnect();
      track.stop();
    },
  };
}

export async function openVoiceFile(file) {
  const url = URL.createObjectURL(file);
  try {
    const voice = await played("file", url, file.name);
    const stop = voice.stop;
    voice.stop = () => {
      stop();
      URL.revokeObjectURL(url);
    };
    return voice;
  } catch (cause) {
    URL.revokeObjectURL(url);
    throw new UserError("unreadable-voice", file.name, { cause });
  }
}

export async function openDemoVoice() {
  try {
    return await played("demo", DEMO_VOICE, "Synthetic speech");
  } catch (cause) {
    throw new UserError("demo-missing", "demo voice", { cause });
  }
}

/** Asks for a tab; browsers only give a tab's sound together with its picture, which is dropped. */
export async function openTab() {
  if (!navigator.mediaDevices?.getDisplayMedia) throw new UserError("no-tab-sound");
  const stream = await navigator.mediaDevices.getDisplayMedia(TAB).catch((cause) => {
    throw new UserError("tab-refused", "", { cause });
  });
  const [track] = stream.getAudioTracks();
  if (!track) {
    for (const other of stream.getTracks()) other.stop();
    throw new UserError("tab-without-sound");
  }
  for (const other of stream.getVideoTracks()) other.stop();
  track.contentHint = "speech";
  return { kind: "tab", track, label: track.label || "Another tab", stop: () => track.stop() };
}

/** Reads a track's loudness 25 times a second into `show(0..1)`; returns a function that ends it. */
export function meter(track, show) {
  const audio = audioContext();
  const source = audio.createMediaStreamSource(new MediaStream([track]));
  const analyser = new AnalyserNode(audio, { fftSize: 1024 });
  source.connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  const timer = setInterval(() => {
    analyser.getFloatTimeDomainData(samples);
    const power = samples.reduce((sum, value) => sum + value * value, 0) / samples.length;
    const db = 10 * Math.log10(power + 1e-9);
    show(Math.min(1, Math.max(0, (db + 55) / 45)));
  }, 40);
  return () => {
    clearInterval(timer);
    source.disconnect();
    show(0);
  };
}
