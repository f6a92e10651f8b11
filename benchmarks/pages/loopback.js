// A call within this page, without a server: what the browser and the method themselves cost.

const CONNECT_LIMIT_MS = 15000;

/** Gives the stream that comes back. */
export async function loopback(stream) {
  const [near, far] = [new RTCPeerConnection(), new RTCPeerConnection()];
  const remote = new MediaStream();
  far.ontrack = ({ track, receiver }) => {
    receiver.jitterBufferTarget = 0;
    remote.addTrack(track);
  };
  for (const track of stream.getTracks()) near.addTrack(track, stream);
  await far.setRemoteDescription(await described(near));
  await near.setRemoteDescription(await described(far));
  await new Promise((done, fail) => {
    setTimeout(() => fail(new Error("the loop in the page did not connect")), CONNECT_LIMIT_MS);
    const check = () => near.connectionState === "connected" && done();
    near.onconnectionstatechange = check;
    check();
  });
  return { pc: near, receiver: far, remote };
}

/** The local description with every candidate in it. */
async function described(pc) {
  await pc.setLocalDescription();
  while (pc.iceGatheringState !== "complete") {
    await new Promise((done) => pc.addEventListener("icegatheringstatechange", done, { once: true }));
  }
  return pc.localDescription;
}
