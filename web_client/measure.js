// What the browser itself knows about the call: differences between two readings of getStats.

const rate = (now, before, key, seconds) =>
  before && Number.isFinite(now?.[key]) ? (now[key] - before[key]) / seconds : null;

// getStats sums seconds over all frames; the mean over the last interval is what counts.
function meanMs(now, before, sum, count) {
  const frames = before ? now[count] - before[count] : 0;
  return frames > 0 ? (1000 * (now[sum] - before[sum])) / frames : null;
}

export class Measure {
  constructor(pc) {
    this.pc = pc;
    this.before = {};
  }

  async #collect() {
    const found = {};
    for (const report of (await this.pc.getStats()).values()) {
      if (report.type === "inbound-rtp") found[`in-${report.kind}`] = report;
      if (report.type === "outbound-rtp") found[`out-${report.kind}`] = report;
      if (report.type === "codec") found[report.id] = report;
    }
    return found;
  }

  /** One reading; rates are null in the first. Times in ms, `bufferMs` is the video jitter buffer. */
  async read() {
    const now = await this.#collect();
    const before = this.before;
    this.before = now;
    const [video, sent] = [now["in-video"], now["out-video"]];
    if (!video) return null;
    const old = before["in-video"];
    const seconds = old ? (video.timestamp - old.timestamp) / 1000 : 1;
    return {
      frames: video.framesDecoded ?? 0,
      fpsShown: rate(video, old, "framesDecoded", seconds),
      fpsSent: rate(sent, before["out-video"], "framesSent", seconds),
      kbpsIn: rate(video, old, "bytesReceived", seconds * 125),
      kbpsOut: rate(sent, before["out-video"], "bytesSent", seconds * 125),
      bufferMs: meanMs(video, old, "jitterBufferDelay", "jitterBufferEmittedCount"),
      codec: now[video.codecId]?.mimeType?.split("/")[1] ?? null,
      sentSize: sent?.frameWidth ? `${sent.frameWidth}×${sent.frameHeight}` : null,
      avOffsetMs: this.#avOffset(video, now["in-audio"]),
    };
  }

  // Positive: sound is heard before its picture is seen.
  #avOffset(video, audio) {
    if (!video.estimatedPlayoutTimestamp || !audio?.estimatedPlayoutTimestamp) return null;
    return audio.estimatedPlayoutTimestamp - video.estimatedPlayoutTimestamp;
  }
}
