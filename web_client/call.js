// One WebRTC call: tracks up, re-synced tracks down, the `control` data channel. Knows no page element.
//
// Events: "message" (a control message), "lost" (detail: CallLost), "track" (the returned stream).

import { endSession, postOffer } from "./api.js";
import { CallLost } from "./errors.js";

const CONNECT_TIMEOUT_MS = 15000;
const PING_MS = 1000;
const SETTLE_MS = 3000; // a "disconnected" often mends itself

// Above what the server's encoder sends back, so that the way up is never the weaker one.
const MAX_BITRATE = { 480: 2_000_000, 720: 4_000_000 };

export class Call extends EventTarget {
  constructor(iceServers, quality) {
    super();
    this.pc = new RTCPeerConnection({ iceServers, bundlePolicy: "max-bundle" });
    this.quality = quality;
    this.remote = new MediaStream();
    this.id = null;
    this.roundTrips = [];
    this.closed = false;
    this.ended = Promise.resolve();
    this.abort = new AbortController();
  }

  /** Resolves when media can flow; throws ApiError, Unreachable or CallLost. */
  async connect(video, audio, options) {
    this.timing = { begun: performance.now() };
    this.#addMedia(video, audio);
    this.#openControl();
    await this.pc.setLocalDescription();
    // Not waiting for candidates: the server learns ours from our first checks, a second sooner.
    const { type, sdp } = this.pc.localDescription;
    const answer = await postOffer({ type, sdp, ...options }, this.abort.signal);
    this.id = answer.pc_id;
    if (this.closed) return endSession(this.id);
    await this.pc.setRemoteDescription({ type: answer.type, sdp: answer.sdp });
    await this.#connected();
    this.timing.connectedMs = performance.now() - this.timing.begun;
    this.pc.addEventListener("connectionstatechange", () => this.#watch());
    this.pinger = setInterval(() => this.send({ type: "ping", t: performance.now() }), PING_MS);
  }

  #addMedia(video, audio) {
    const local = new MediaStream([audio, video]); // one stream: the browser keeps their sync
    const init = { direction: "sendrecv", streams: [local] };
    this.audio = this.pc.addTransceiver(audio, init);
    const sendEncodings = [{ maxBitrate: MAX_BITRATE[this.quality] }];
    this.video = this.pc.addTransceiver(video, { ...init, sendEncodings });
    this.#keepResolution();
    this.pc.addEventListener("track", ({ track, receiver }) => {
      receiver.jitterBufferTarget = 0;
      this.remote.addTrack(track);
      this.dispatchEvent(new CustomEvent("track", { detail: this.remote }));
    });
  }

  // A face that changes size mid-sentence costs the model more than a frame that is late.
  #keepResolution() {
    const sender = this.video.sender;
    const parameters = sender.getParameters();
    parameters.degradationPreference = "maintain-resolution";
    sender.setParameters(parameters).catch(() => {}); // a wish only: Firefox may refuse it
  }

  #openControl() {
    this.control = this.pc.createDataChannel("control");
    this.control.onmessage = ({ data }) => this.#receive(data);
    this.control.onclose = () => this.#lose(new CallLost("server-closed", this.reason));
  }

  #receive(data) {
    let message;
    try {
      message = JSON.parse(data);
    } catch {
      return; // binary or broken: not of this protocol
    }
    if (message.type === "pong") this.#pong(message);
    if (message.type === "event" && message.event === "closing") this.reason = message.reason;
    this.dispatchEvent(new CustomEvent("message", { detail: message }));
  }

  #pong({ t }) {
    if (!Number.isFinite(t)) return;
    this.roundTrips = [...this.roundTrips, performance.now() - t].slice(-5);
  }

  /** Median of the last five pings, ms; null before the first answer. */
  get roundTripMs() {
    if (!this.roundTrips.length) return null;
    return this.roundTrips.toSorted((a, b) => a - b)[this.roundTrips.length >> 1];
  }

  #connected() {
    const { pc } = this;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => fail("timeout"), CONNECT_TIMEOUT_MS);
      const check = () => {
        if (pc.connectionState === "connected") settle(resolve);
        if (pc.connectionState === "failed") fail(pc.iceConnectionState === "failed" ? "ice" : "dtls");
      };
      const settle = (done, value) => {
        clearTimeout(timer);
        pc.removeEventListener("connectionstatechange", check);
        done(value);
      };
      const fail = (code) => settle(reject, new CallLost(code, pc.iceConnectionState));
      this.abort.signal.addEventListener("abort", () => fail("aborted"));
      pc.addEventListener("connectionstatechange", check);
      check();
    });
  }

  #watch() {
    clearTimeout(this.settling);
    const state = this.pc.connectionState;
    if (state === "failed") this.#lose(new CallLost("ice"));
    if (state === "disconnected") {
      this.settling = setTimeout(() => this.#lose(new CallLost("network")), SETTLE_MS);
    }
  }

  #lose(error) {
    if (this.closed) return;
    if (error.code === "server-closed") this.id = null; // the session is gone already
    this.close();
    this.dispatchEvent(new CustomEvent("lost", { detail: error }));
  }

  /** For who sees from outside that nothing comes any more. */
  stalled() {
    this.#lose(new CallLost("stalled"));
  }

  send(message) {
    if (this.control?.readyState === "open") this.control.send(JSON.stringify(message));
  }

  set(fields) {
    this.send({ type: "set", ...fields });
  }

  replaceVideo(track) {
    return this.video.sender.replaceTrack(track);
  }

  replaceAudio(track) {
    return this.audio.sender.replaceTrack(track);
  }

  /** `ended` resolves when the server has let go of the session, too. */
  close() {
    if (this.closed) return;
    this.closed = true;
    clearInterval(this.pinger);
    clearTimeout(this.settling);
    this.abort.abort();
    // Before the slower close: a page that is being left has little time.
    if (this.id) this.ended = endSession(this.id);
    this.pc.close();
  }
}
