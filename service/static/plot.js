// Plots as SVG, drawn here: lines over time with a grid, and a reading of what the pointer or the
// arrow keys are at. Colours are the page's own, by class, so they follow light and dark.

const SVG = "http://www.w3.org/2000/svg";
const LEFT = 52, RIGHT = 10, TOP = 20, BOTTOM = 24; // px, around what is drawn

function make(name, attributes, text) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

/** Return a step of 1, 2 or 5 times a power of ten, so that about `lines` of them reach `most`. */
export function niceStep(most, lines) {
  const rough = most / lines;
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * ([1, 2, 5].find((n) => n * power >= rough) ?? 10);
}

const SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, DAY = 24 * HOUR;
const TIME_STEPS = [
  100, 200, 500,
  ...[1, 2, 5, 10, 15, 30].map((n) => n * SECOND), ...[1, 2, 5, 10, 15, 30].map((n) => n * MINUTE),
  ...[1, 2, 3, 6, 12].map((n) => n * HOUR), ...[1, 2, 7, 14, 30, 90, 365].map((n) => n * DAY),
];

/** Return moments to mark between two, at round local times, and how they are written. */
export function timeMarks(from, to, lines) {
  const step = TIME_STEPS.find((ms) => (to - from) / ms <= lines) ?? TIME_STEPS.at(-1);
  const shift = new Date(from).getTimezoneOffset() * MINUTE;
  const marks = [];
  for (let at = Math.ceil((from - shift) / step) * step + shift; at <= to; at += step) marks.push(at);
  const shape = step >= DAY ? { month: "short", day: "numeric" }
    : { hour: "2-digit", minute: "2-digit", ...(step < MINUTE ? { second: "2-digit" } : {}),
      ...(step < SECOND ? { fractionalSecondDigits: 1 } : {}), hourCycle: "h23" };
  const format = new Intl.DateTimeFormat("en-GB", shape);
  return marks.map((at) => ({ at, text: format.format(at) }));
}

export class Plot {
  #svg;
  #tell;
  #spec = null;
  #at = null; // the x that is being read
  #cursor = make("g", { class: "cursor" });

  /** `tell(x)` says what stands there, or with null that nothing is being read. */
  constructor(svg, tell) {
    this.#svg = svg;
    this.#tell = tell;
    new ResizeObserver(() => this.#redraw()).observe(svg);
    svg.addEventListener("pointermove", (event) => this.#read(this.#under(event)));
    svg.addEventListener("pointerleave", () => this.#read(null));
    svg.addEventListener("blur", () => this.#read(null));
    svg.addEventListener("keydown", (event) => this.#onKey(event));
  }

  /** spec: x [from, to], top, xMarks [{at, text}], yText(n), lines [{kind, points [[x, y]], step}], where
   *  a point [x, y, true] is gone to straight though the line has steps,
   *  level {y, text} or null. The first line is the one that is read. */
  draw(spec) {
    this.#spec = spec;
    this.#redraw();
  }

  #redraw() {
    const { width, height } = this.#svg.getBoundingClientRect();
    if (!this.#spec || width < 50) return;
    const { x: [from, to], top, xMarks, yText, lines, level } = this.#spec;
    const right = width - RIGHT, bottom = height - BOTTOM;
    this.px = (x) => LEFT + ((x - from) / (to - from || 1)) * (right - LEFT);
    this.py = (y) => bottom - (y / (top || 1)) * (bottom - TOP);
    const nodes = [];
    const step = Math.max(1, niceStep(top || 1, height > 160 ? 4 : 5)); // what is drawn is counted
    for (let y = 0; y <= top * 1.0001; y += step) {
      nodes.push(make("line", { class: "grid", x1: LEFT, x2: right, y1: this.py(y), y2: this.py(y) }));
      nodes.push(make("text", { x: LEFT - 8, y: this.py(y) + 4, "text-anchor": "end" }, yText(y)));
    }
    for (const { at, text } of xMarks) {
      const x = this.px(at);
      const anchor = x > right - 24 ? "end" : x < LEFT + 24 ? "start" : "middle";
      nodes.push(make("text", { x: Math.min(x, right), y: height - 6, "text-anchor": anchor }, text));
    }
    for (const { kind, points, step: stepped } of lines) {
      if (!points.length) continue;
      const path = this.#path(points, stepped);
      if (kind.includes("area")) {
        const ends = `L${this.px(points.at(-1)[0]).toFixed(1)} ${bottom}L${this.px(points[0][0]).toFixed(1)} ${bottom}Z`;
        nodes.push(make("path", { class: `fill ${kind}`, d: path + ends }));
      }
      nodes.push(make("path", { class: `line ${kind}`, d: path }));
    }
    if (level) {
      const y = this.py(level.y);
      nodes.push(make("line", { class: "level", x1: LEFT, x2: right, y1: y, y2: y }));
      nodes.push(make("text", { class: "level-text", x: right, y: y - 6, "text-anchor": "end" }, level.text));
    }
    this.#svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.#svg.replaceChildren(...nodes, this.#cursor);
    this.#showCursor();
  }

  #path(points, stepped) {
    let path = "", before = null;
    for (const [x, y, straight] of points) {
      const at = `${this.px(x).toFixed(1)} ${this.py(y).toFixed(1)}`;
      if (stepped && !straight && before !== null) path += `L${this.px(x).toFixed(1)} ${before}`;
      path += (path ? "L" : "M") + at;
      before = this.py(y).toFixed(1);
    }
    return path;
  }

  #under(event) {
    if (!this.px) return null;
    const [from, to] = this.#spec.x;
    const { left, width } = this.#svg.getBoundingClientRect();
    const part = (event.clientX - left - LEFT) / (width - LEFT - RIGHT);
    return from + Math.min(1, Math.max(0, part)) * (to - from);
  }

  #onKey(event) {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const points = this.#spec?.lines[0]?.points ?? [];
    if (!by || !points.length) return;
    event.preventDefault();
    const next = Math.max(1, Math.round(points.length / 40)); // all of it in some forty presses
    const here = this.#at === null ? (by > 0 ? -next : points.length - 1 + next) : this.#index(this.#at);
    this.#read(points[Math.min(points.length - 1, Math.max(0, here + by * next))][0]);
  }

  #index(x) {
    const points = this.#spec.lines[0].points;
    const after = points.findIndex(([at]) => at > x);
    return after < 0 ? points.length - 1 : Math.max(0, after - 1);
  }

  #read(x) {
    this.#at = this.#spec?.lines[0]?.points.length ? x : null;
    this.#showCursor();
  }

  #showCursor() {
    if (this.#at === null || !this.px) {
      this.#cursor.replaceChildren();
      this.#tell(null);
      return;
    }
    const place = this.#index(this.#at);
    const marks = [];
    const [x] = this.#spec.lines[0].points[place];
    marks.push(make("line", { x1: this.px(x), x2: this.px(x), y1: TOP, y2: this.py(0) }));
    for (const { kind, points } of this.#spec.lines) {
      const point = points[place];
      if (point) marks.push(make("circle", { class: kind, cx: this.px(point[0]), cy: this.py(point[1]), r: 4 }));
    }
    this.#cursor.replaceChildren(...marks);
    this.#tell(place);
  }
}

/** Draw a small line without words, scaled to the largest of its values. */
export function spark(svg, values) {
  const most = Math.max(...values.map((v) => v ?? 0), 1e-9);
  const at = (v, i) => `${((i / Math.max(1, values.length - 1)) * 120).toFixed(1)} ${(26 - (24 * (v ?? 0)) / most).toFixed(1)}`;
  const path = values.length > 1 ? `M${values.map(at).join("L")}` : "";
  if (!svg.firstChild) svg.append(make("path", { class: "fill" }), make("path", { class: "line", "vector-effect": "non-scaling-stroke" }));
  svg.firstChild.setAttribute("d", path && `${path}L120 28L0 28Z`);
  svg.lastChild.setAttribute("d", path);
}
