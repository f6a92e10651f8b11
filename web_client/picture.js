// The four kinds of picture, each as {kind, track, label, stop()}.

import { DrawnTrack } from "./drawn.js";
import { cameraConstraints } from "./devices.js";
import { UserError } from "./errors.js";

const DEMO_FACE = "demo/face.mp4";
const BOXES = { 480: [640, 480], 720: [1280, 720] };

export function fromCamera(stream) {
  const [track] = stream.getVideoTracks();
  track.contentHint = "motion";
  return { kind: "camera", track, label: track.label, stop: () => track.stop() };
}

export async function openCamera(device, quality) {
  const video = cameraConstraints(device, quality);
  return fromCamera(await navigator.mediaDevices.getUserMedia({ video }));
}

export async function openPortrait(file, quality) {
  let image;
  try {
    image = await createImageBitmap(file, { imageOrientation: "from-image" });
  } catch (cause) {
    throw new UserError("unreadable-image", file.name, { cause });
  }
  const drawn = new DrawnTrack(image, image.width, image.height, BOXES[quality]);
  const stop = () => {
    drawn.stop();
    image.close();
  };
  return { kind: "portrait", track: drawn.track, label: file.name, stop };
}

// Muted, so that browsers let it play at once; its own sound is never used.
function playing(url) {
  const video = document.createElement("video");
  Object.assign(video, { muted: true, loop: true, playsInline: true, src: url });
  const wake = () => !document.hidden && video.paused && video.play();
  return new Promise((resolve, reject) => {
    video.onerror = () => reject(video.error);
    video.onloadeddata = () => video.play().then(() => resolve(video), reject);
  }).then(() => {
    document.addEventListener("visibilitychange", wake);
    const stop = () => {
      document.removeEventListener("visibilitychange", wake);
      video.pause();
      video.removeAttribute("src");
      video.load();
    };
    return { video, stop };
  });
}

async function openVideo(kind, url, label, quality) {
  const { video, stop } = await playing(url);
  const drawn = new DrawnTrack(video, video.videoWidth, video.videoHeight, BOXES[quality]);
  return {
    kind,
    track: drawn.track,
    label,
    stop() {
      drawn.stop();
      stop();
    },
  };
}

export async function openClip(file, quality) {
  const url = URL.createObjectURL(file);
  try {
    const picture = await openVideo("clip", url, file.name, quality);
    const stop = picture.stop;
    picture.stop = () => {
      stop();
      URL.revokeObjectURL(url);
    };
    return picture;
  } catch (cause) {
    URL.revokeObjectURL(url);
    throw new UserError("unreadable-clip", file.name, { cause });
  }
}

export async function openDemoFace(quality) {
  try {
    return await openVideo("demo", DEMO_FACE, "Rendered face", quality);
  } catch (cause) {
    throw new UserError("demo-missing", "demo face", { cause });
  }
}
