// What the box office shows of this moment: rates, the queue, batches, waits, workers, faults.

import { Plot, spark } from "./plot.js";
import { hostsSeen, mean, quantile, rateOf } from "./rates.js";
import { byId, copyOf, count, plural, setText } from "./words.js";

const KEPT_MS = 180_000;
const WINDOWS = [30, 60, 180]; // seconds that the plot shows, as far as it has been looked at
const history = []; // a second each, oldest first
const rush = new Plot(byId("rush"), (place) => readRush(place));
const SPARKS = ["queue", "batch", "lock", "answer"];
const STILL_MS = 2_000; // a heart that beats not for so long is taken for hung

const perSecond = (n) => (n > 0 && n < 9.95 ? n.toFixed(1) : count(Math.round(n)));

function inMs(seconds) {
  if (seconds === null) return "–";
  if (seconds === Infinity) return "> 10 s";
  const ms = seconds * 1000;
  if (ms >= 999.5) return `${(ms / 1000).toFixed(1)} s`;
  if (ms > 0 && ms < 0.05) return "< 0.1 ms";
  return `${ms > 0 && ms < 9.95 ? ms.toFixed(1) : Math.round(ms)} ms`;
}

const within = (seconds) => (seconds === null ? "" : `99 % within ${inMs(Math.max(seconds, 0.0001))}`);

export function showNow(told) {
  const rate = rateOf(told);
  const host = told.this_host;
  setText(byId("n-queue"), count(host.in_flight));
  setText(byId("s-queue"), `${plural(host.web_processes, "process", "processes")}, ${plural(host.streams, "stream")}`);
  if (rate) showRate(told, rate);
  showTrouble(told);
  showWhose(told);
  showWorkers(told);
  showFaults(host);
}

function showRate(told, rate) {
  const host = told.this_host;
  const batch = mean(rate.batch_size), lock = mean(rate.lock_wait_seconds);
  const answer = quantile(rate.purchase_seconds, 0.5);
  setText(byId("n-sold"), perSecond(rate.sold));
  setText(byId("s-sold"), `${plural(host.purchases.sold, "order")} since the start`);
  setText(byId("n-refused"), perSecond(rate.refused));
  const worst = rate.refusals.slice(0, 2).map(([outcome, n]) => `${outcome} ${perSecond(n)}`);
  setText(byId("s-refused"), worst.join(", ") || "none just now");
  setText(byId("n-batch"), batch === null ? "–" : perSecond(batch));
  setText(byId("s-batch"), `${perSecond(rate.batches)} batches a second`);
  setText(byId("n-lock"), inMs(lock));
  setText(byId("s-lock"), within(quantile(rate.lock_wait_seconds, 0.99)));
  setText(byId("n-answer"), inMs(answer));
  setText(byId("s-answer"), within(quantile(rate.purchase_seconds, 0.99)));
  const at = Date.now();
  history.push({ at, sold: rate.sold, refused: rate.refused, queue: host.in_flight, batch, lock, answer });
  while (at - history[0].at > KEPT_MS) history.shift();
  for (const name of SPARKS) spark(byId(`spark-${name}`), history.map((second) => second[name]));
  drawRush(at);
}

function drawRush(now) {
  const top = Math.max(5, ...history.map(({ sold, refused }) => Math.max(sold, refused)));
  const seconds = WINDOWS.find((window) => now - history[0].at <= window * 1000) ?? WINDOWS.at(-1);
  rush.draw({
    x: [now - seconds * 1000, now],
    top: top * 1.1,
    xMarks: [3, 2, 1, 0].map((third) => {
      const ago = (third * seconds) / 3;
      const text = ago < 60 ? `${ago} s` : `${ago / 60} min`;
      return { at: now - ago * 1000, text: { 0: "now", 3: `${text} ago` }[third] ?? text };
    }),
    yText: (n) => count(Math.round(n)),
    lines: ["sold", "refused"].map((name) => ({
      kind: name === "sold" ? "sold area" : "refused",
      points: history.map((second) => [second.at, second[name]]),
    })),
    level: null,
  });
}

function readRush(place) {
  const second = place === null ? null : history[place];
  setText(byId("rush-read"), second
    ? `${new Date(second.at).toLocaleTimeString("en-GB")}: ${perSecond(second.sold)} orders, ${perSecond(second.refused)} refusals a second`
    : "As long as this page has looked, three minutes at most.");
}

function showTrouble(told) {
  const words = [...told.troubles];
  if (told.ledger === "unreadable") words.unshift("The ledger cannot be read, so events do not show.");
  for (const { shard, older, workers } of told.shards) {
    if (older) words.push(`Shard ${shard} came back older than it was: nobody sells from it.`);
    else if (!workers) words.push(`Shard ${shard} has no worker: its events do not sell.`);
  }
  if (told.ledger === "readable" && told.hosts === "one" && !told.workers.some(isAlive(told))) {
    words.push("No worker is at work.");
  }
  byId("trouble").hidden = !words.length;
  setText(byId("trouble"), words.join(" "));
}

function showWhose(told) {
  const names = [...new Set(hostsSeen())].join(", ");
  setText(byId("whose"), told.hosts === "many"
    ? `Rates, queue, batches and waits are of the hosts that answered here: ${names}. Batches and locks are counted ` +
      "where workers run. Events, curves and workers are of all hosts."
    : "");
  byId("whose").hidden = told.hosts !== "many";
}

// --- workers and faults ---

const isAlive = (told) => (worker) =>
  !["booting", "empty"].includes(worker.phase) && Date.parse(told.as_of) - Date.parse(worker.last_heartbeat) < STILL_MS;

function showWorkers(told) {
  const rows = byId("workers");
  while (rows.children.length > told.workers.length) rows.lastElementChild.remove();
  while (rows.children.length < told.workers.length) rows.append(copyOf("worker-template"));
  for (const [place, worker] of told.workers.entries()) {
    const [name, doing, pid, heart, batches, settled] = rows.children[place].children;
    const ageMs = Math.max(0, Date.parse(told.as_of) - Date.parse(worker.last_heartbeat));
    const alive = isAlive(told)(worker);
    setText(name, told.hosts === "many" ? `${worker.host} ${worker.worker}` : `worker ${worker.worker}`);
    setText(doing.lastElementChild, alive || worker.phase === "booting" ? worker.phase : "stands still");
    doing.dataset.link = alive ? "live" : "lost";
    setText(pid, worker.pid);
    setText(heart, ageMs < 1000 ? "now" : `${Math.floor(ageMs / 1000)} s ago`);
    setText(batches, count(worker.batches));
    setText(settled, count(worker.purchases));
  }
  byId("no-workers").hidden = told.workers.length > 0;
  byId("shards").hidden = !told.shards.length;
  setText(byId("shards"), told.shards.map(({ shard, frames_waiting: waiting, workers }) =>
    `Shard ${shard}: ${plural(workers, "worker")}, ${plural(waiting, "frame")} waiting.`).join(" "));
}

function showFaults(host) {
  const when = new Date(host.started_at);
  setText(byId("started"), when.toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" }));
  for (const line of byId("faults").children) {
    const value = host[line.dataset.fault];
    const total = typeof value === "number" ? value : Object.values(value).reduce((a, b) => a + b, 0);
    setText(line.lastElementChild, count(total));
    line.classList.toggle("some", total > 0);
  }
}

/** Somebody else looks from here on. */
export function forgetNow() {
  history.length = 0;
}
