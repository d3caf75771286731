// The sale of one event over time, in the box office: as a plot, and the same as a table.

import { askJson } from "./office-key.js";
import { Plot, timeMarks } from "./plot.js";
import { byId, count, plural, setText } from "./words.js";

const EVERY_MS = 2_000;
const POINTS = 200;

let drawn = { event: "", entries: -1, at: 0 };
let curve = null;
let more = 0; // tickets sold since the curve was asked for
let shown = ""; // the event whose sale it is
const plot = new Plot(byId("curve"), (place) => readCurve(place));

/** Show the sale of an event, and ask for it again if there is more of it. */
export async function showCurve(entry, nowMs) {
  shown = entry.event;
  const same = drawn.event === entry.event && drawn.entries === entry.entries;
  if (!same && (drawn.event !== entry.event || Date.now() - drawn.at >= EVERY_MS)) {
    drawn = { event: entry.event, entries: entry.entries, at: Date.now() };
    try {
      const found = await askJson(`/events/${entry.event}/curve?points=${POINTS}`);
      if (found.event !== shown) return;
      curve = { ...found, points: found.points.map(({ at, issued }) => [Date.parse(at), issued]) };
      showTable();
    } catch {
      drawn.entries = -1; // again with the next look
    }
  }
  if (curve?.event === shown) {
    more = Math.max(0, entry.sold - curve.sold);
    drawCurve(nowMs);
  } else plot.draw(emptyPlot(nowMs, entry.capacity));
}

function drawCurve(nowMs) {
  const { points, capacity } = curve;
  const issued = curve.issued + more;
  if (!points.length) {
    plot.draw(emptyPlot(nowMs, capacity));
    return;
  }
  const first = points[0][0], last = Math.max(more ? nowMs : 0, ...points.map(([at]) => at));
  // A sale that ended hours ago is not shown as a wall with a plain behind it.
  const span = Math.max(last - first, 2_000);
  const to = Math.max(last, Math.min(nowMs, last + span * 0.08));
  const near = issued >= 0.2 * capacity;
  const top = near ? Math.max(capacity, issued) : issued * 1.25;
  const start = first - Math.max(span * 0.02, 100);
  plot.draw({
    x: [start, to],
    top: top * 1.04,
    xMarks: timeMarks(start, to, innerWidth < 600 ? 3 : 6),
    yText: (n) => count(Math.round(n)),
    lines: [{ kind: "sold area", step: true, points: [[start, 0], ...points, ...(more ? [[last, issued, true]] : []), [to, issued]] }],
    level: near ? { y: capacity, text: `capacity ${count(capacity)}` } : null,
  });
  setText(byId("curve-said"), `${plural(issued, "ticket")} sold from ${clock(first)} to ${clock(last)}, of ${count(capacity)}.`);
}

const emptyPlot = (nowMs, capacity) => ({
  x: [nowMs - 60_000, nowMs], top: Math.max(capacity, 1) * 1.04, xMarks: [], yText: (n) => count(Math.round(n)),
  lines: [], level: capacity ? { y: capacity, text: `capacity ${count(capacity)}` } : null,
});

const clock = (ms) => new Date(ms).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "medium" });

function readCurve(place) {
  byId("curve-read").ariaLive = place === null ? "off" : "polite"; // what is sold is not read out all the time
  if (curve?.event !== shown || !curve.points.length) {
    setText(byId("curve-read"), "Nothing is sold yet.");
    return;
  }
  const point = place === null ? null : curve.points[Math.min(Math.max(place - 1, 0), curve.points.length - 1)];
  if (point) {
    setText(byId("curve-read"), `${clock(point[0])}: ${count(point[1])} sold.`);
    return;
  }
  const back = curve.issued - curve.sold;
  const cancelled = back ? ` ${plural(back, "ticket")} of them ${back === 1 ? "was" : "were"} cancelled since.` : "";
  setText(byId("curve-read"), `${plural(curve.issued + more, "ticket")} sold, from ${clock(curve.points[0][0])} on, on all hosts.${cancelled}`);
}

function showTable() {
  const step = Math.max(1, Math.ceil(curve.points.length / 12));
  const some = curve.points.filter((_, i) => i % step === 0 || i === curve.points.length - 1);
  byId("curve-rows").replaceChildren(...some.map(([at, issued]) => {
    const row = document.createElement("tr");
    const [when, sold] = [document.createElement("td"), document.createElement("td")];
    when.textContent = clock(at);
    sold.textContent = count(issued);
    sold.className = "number";
    row.append(when, sold);
    return row;
  }));
}
