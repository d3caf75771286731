// The server's clock, the countdowns by it, and times as this browser writes them.

import { sales } from "./sales.js";
import { plural, setText } from "./words.js";

// By what was made for this page. What the stream tells was written when the stock changed, hours ago perhaps.
let offsetMs = Number(document.documentElement.dataset.now) - Date.now();
const serverNow = () => Date.now() + offsetMs;

/** Go by a moment of the server's clock that has just come. */
export function setClock(moment) {
  offsetMs = Date.parse(moment) - Date.now();
}

export function tick() {
  for (const sale of sales()) showClock(sale);
  setTimeout(tick, 1_000 - (serverNow() % 1_000));
}

export function showClock(sale) {
  if (sale.dataset.status !== "scheduled" || !sale.dataset.opens) return;
  const seconds = Math.ceil((Date.parse(sale.dataset.opens) - serverNow()) / 1000);
  setText(sale.querySelector(".clock"), seconds > 0 ? asClock(seconds) : "now");
}

function asClock(seconds) {
  const two = (n) => String(Math.floor(n)).padStart(2, "0");
  const clock = `${two((seconds % 86_400) / 3_600)}:${two((seconds % 3_600) / 60)}:${two(seconds % 60)}`;
  return seconds < 86_400 ? clock : `${plural(Math.floor(seconds / 86_400), "day")} ${clock}`;
}

export function localTimes(root) {
  const format = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  for (const time of root.querySelectorAll("time")) {
    setText(time, format.format(new Date(time.dateTime)));
  }
}
