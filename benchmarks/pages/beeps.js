// Tells the first loud sample after a pause; runs on the sound thread.

const LOUD = 0.3; // of full scale; the voice below the beeps stays under a third of it

class Beeps extends AudioWorkletProcessor {
  constructor({ processorOptions }) {
    super();
    this.quietS = processorOptions.quietS;
    this.loudAt = -Infinity;
  }

  process([[samples]]) {
    if (samples?.some((value) => Math.abs(value) > LOUD)) {
      if (currentTime - this.loudAt > this.quietS) this.port.postMessage(currentTime);
      this.loudAt = currentTime;
    }
    return true;
  }
}

registerProcessor("beeps", Beeps);
