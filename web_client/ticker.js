// A worker that ticks: browsers slow a hidden page's own timers to one a second, but not a worker's.

let timer = 0;

self.onmessage = ({ data: fps }) => {
  clearTimeout(timer);
  if (!fps) return;
  const period = 1000 / fps;
  let due = performance.now();
  const tick = () => {
    self.postMessage(null);
    due += period;
    const now = performance.now();
    if (due < now) due = now; // after a stall go on from here: no burst
    timer = setTimeout(tick, due - now);
  };
  tick();
};
