// Cameras and microphones: the constraints we ask for, their lists, and whether they may be used.

const SIZES = { 480: [640, 480], 720: [1280, 720] };

export function cameraConstraints(device, quality) {
  const [width, height] = SIZES[quality];
  return {
    width: { ideal: width },
    height: { ideal: height },
    frameRate: { ideal: 25 },
    ...(device && { deviceId: { exact: device } }),
  };
}

export function microphoneConstraints(device) {
  return {
    channelCount: { ideal: 1 },
    echoCancellation: true,
    noiseSuppression: true,
    autoGainControl: true,
    ...(device && { deviceId: { exact: device } }),
  };
}

/** One prompt for both. */
export function openBoth(camera, quality, microphone) {
  return navigator.mediaDevices.getUserMedia({
    video: cameraConstraints(camera, quality),
    audio: microphoneConstraints(microphone),
  });
}

/** "granted", "denied", "prompt", or "unknown" where the browser does not tell. */
export async function permission(name) {
  try {
    return (await navigator.permissions.query({ name })).state;
  } catch {
    return "unknown"; // Firefox has no such permission names
  }
}

export async function deviceCount(kind) {
  const devices = await navigator.mediaDevices.enumerateDevices();
  return devices.filter((device) => device.kind === kind).length;
}

// Names are empty until permission was given; ids too, so nothing can be chosen before.
function fill(select, devices, fallback) {
  const chosen = select.value;
  const known = devices.filter((device) => device.deviceId && device.label);
  const options = known.map((device) => new Option(device.label, device.deviceId));
  select.replaceChildren(...(options.length ? options : [new Option(fallback, "")]));
  if (known.some((device) => device.deviceId === chosen)) select.value = chosen;
}

/** Keeps two selects in step with what is plugged in. */
export async function listDevices(cameras, microphones) {
  if (!navigator.mediaDevices) return;
  const devices = await navigator.mediaDevices.enumerateDevices();
  fill(cameras, devices.filter(({ kind }) => kind === "videoinput"), "Default camera");
  fill(microphones, devices.filter(({ kind }) => kind === "audioinput"), "Default microphone");
}
