// The last minute of one figure as a small line.

const POINTS = 60;
const [WIDTH, HEIGHT] = [120, 28];

export class Sparkline {
  constructor(svg, { low, high }) {
    this.range = { low, high };
    this.values = [];
    svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
    svg.setAttribute("preserveAspectRatio", "none");
    this.line = document.createElementNS(svg.namespaceURI, "polyline");
    svg.append(this.line);
  }

  push(value) {
    this.values = [...this.values, value].slice(-POINTS);
    this.#draw();
  }

  clear() {
    this.values = [];
    this.#draw();
  }

  #draw() {
    const { low } = this.range;
    const high = Math.max(this.range.high, ...this.values.filter(Number.isFinite));
    const first = POINTS - this.values.length;
    const points = this.values.map((value, index) => {
      if (!Number.isFinite(value)) return null;
      const x = ((first + index) / (POINTS - 1)) * WIDTH;
      return `${x.toFixed(1)},${(HEIGHT - 1 - ((value - low) / (high - low)) * (HEIGHT - 2)).toFixed(1)}`;
    });
    this.line.setAttribute("points", points.filter(Boolean).join(" "));
  }
}
