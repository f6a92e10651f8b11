// What is sent: a face with a stamp above it and a voice, drawn here; or the browser's fake devices.

import { HEIGHT, MASK, WIDTH, drawBand } from "/bench/stamp.js";
import { cameraConstraints, microphoneConstraints } from "/devices.js";

const FPS = 25;
const FLASH_EVERY = 25; // frames
const FLASH_FRAMES = 4;
const BEEP_S = 0.1;
const BEEP_HZ = 1000;
const BEEP_GAIN = 0.8;
const VOICE_UNDER_BEEPS = 0.1; // peak; far below what the receiver takes for a beep

async function bytes(path) {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error(`${path}: HTTP ${answer.status}`);
  return answer;
}

/** {stream, beats}; with `flashes`, `beats` collects when each flash and its beep were started. */
export async function drawnSource({ pictures, flashes }) {
  const frames = await Promise.all(
    Array.from({ length: pictures }, async (_, i) =>
      createImageBitmap(await (await bytes(`/bench/picture/${i}.jpg`)).blob()),
    ),
  );
  const sound = await voice(flashes);
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [WIDTH, HEIGHT];
  const context = canvas.getContext("2d");
  const stream = canvas.captureStream(0);
  const [track] = stream.getVideoTracks();
  const beats = [];
  let next = performance.now();
  const draw = (n) => {
    const beat = n % FLASH_EVERY;
    if (flashes && beat === 0) {
      sound.beep();
      beats.push(performance.now());
    }
    context.drawImage(frames[thereAndBack(n, frames.length)], 0, 0);
    drawBand(context, Math.floor(performance.now()) & MASK, flashes && beat < FLASH_FRAMES);
    track.requestFrame();
    next = Math.max(next + 1000 / FPS, performance.now());
    setTimeout(draw, next - performance.now(), n + 1);
  };
  draw(1);
  stream.addTrack(sound.track);
  return { stream, beats };
}

// A clip played forwards and backwards has no jump for the face to be lost at.
function thereAndBack(n, count) {
  if (count === 1) return 0;
  const step = n % (2 * count - 2);
  return step < count ? step : 2 * count - 2 - step;
}

async function voice(underBeeps) {
  const context = new AudioContext({ latencyHint: "interactive" });
  await context.resume();
  const out = context.createMediaStreamDestination();
  const samples = await (await bytes("/bench/voice.wav")).arrayBuffer();
  const level = new GainNode(context, { gain: underBeeps ? VOICE_UNDER_BEEPS : 1 });
  const speech = new AudioBufferSourceNode(context, {
    buffer: await context.decodeAudioData(samples),
    loop: true,
  });
  speech.connect(level).connect(out);
  speech.start();
  const tone = new OscillatorNode(context, { frequency: BEEP_HZ });
  const gate = new GainNode(context, { gain: 0 });
  tone.connect(gate).connect(out);
  tone.start();
  const beep = () => {
    const now = context.currentTime;
    gate.gain.setValueAtTime(BEEP_GAIN, now);
    gate.gain.setValueAtTime(0, now + BEEP_S);
  };
  return { track: out.stream.getAudioTracks()[0], beep };
}

/** Camera and microphone as the call page asks for them. */
export async function deviceSource() {
  const stream = await navigator.mediaDevices.getUserMedia({
    video: cameraConstraints(null, 480),
    audio: microphoneConstraints(null),
  });
  return { stream, beats: [] };
}
