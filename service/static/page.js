// The live page: numbers as the stream tells them, and countdowns; `buying.js` buys. The server has
// rendered every word; here only numbers, `data-status` (an event's) and `data-phase` (a purchase's) change.

import { showOrders } from "./bought.js";
import { dropDoubts, follow, showDoubt, submit } from "./buying.js";
import { amount, checkChoice, keepChoice, prepareChoice, quantity } from "./choice.js";
import { linkDown, linkUp } from "./link.js";
import { unsettled } from "./purchases.js";
import { money, saleOf, sales } from "./sales.js";
import { Stream } from "./stream.js";
import { prepareSwap, setPhase } from "./swap.js";
import { announce, byId, count, plural, setText, share } from "./words.js";

const LOST =
  "The connection is lost, and the numbers stand still. We try again by ourselves. A purchase " +
  "under way is safe: we ask again with the same key, and it is never sold twice.";
const HIDDEN_AFTER_MS = 10_000; // a tab that nobody sees gives its connection back
const FOLD_MS = 400; // several events that changed are fetched together, and not by all at once

// The server's clock, from what was made for this page. What the stream tells was written when the
// stock changed, hours ago perhaps.
let clockOffsetMs = Number(document.documentElement.dataset.now) - Date.now();

// --- numbers ---

function showStock(entry) {
  const sale = saleOf(entry.event);
  const kinds = entry.ticket_types.map((type) => type.ticket_type).join();
  if (!sale && entry.status === "closed") return; // it is folded away
  if (!sale || (kindsOf(sale) !== kinds && !sale.dataset.phase)) {
    refetch();
    return;
  }
  for (const name of ["remaining", "capacity", "sold", "held"]) {
    setText(sale.querySelector(`[data-n=${name}]`), count(entry[name]));
  }
  const { remaining, held, capacity } = entry;
  sale.querySelector(".bar .remaining").setAttribute("width", share(remaining, capacity));
  sale.querySelector(".bar .held").setAttribute("width", share(remaining + held, capacity));
  for (const type of entry.ticket_types) showKind(sale, type);
  if (sale.dataset.status !== entry.status) showStatus(sale, entry.status);
  showPrice(sale);
}

const kindsOf = (sale) => [...sale.querySelectorAll(".kind")].map((k) => k.dataset.kind).join();

function showKind(sale, type) {
  const kind = [...sale.querySelectorAll(".kind")].find((k) => k.dataset.kind === type.ticket_type);
  if (!kind) return;
  setText(kind.querySelector("[data-n=kind-remaining]"), count(type.remaining));
  kind.classList.toggle("gone", type.remaining === 0);
}

function showStatus(sale, status) {
  const form = sale.querySelector("form");
  const hadFocus = sale.dataset.phase === "" && form.contains(document.activeElement);
  sale.dataset.status = status;
  const name = sale.querySelector("h2").textContent;
  announce(`${name}: ${sale.querySelector(`.badge [data-for=${status}]`).textContent}`);
  if (hadFocus && status !== "on_sale") {
    const panel = sale.querySelector(`.shut[data-for=${status}]`);
    panel.tabIndex = -1;
    panel.focus();
  }
  if (status === "scheduled") refetch(); // it opens at a time that is new
}

/** Fetch the page again and take over the events that are new or have changed their words. */
let folding = null;
function refetch() {
  folding ??= setTimeout(async () => {
    folding = null;
    try {
      const response = await fetch("/", { cache: "no-store" });
      if (!response.ok) return;
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      takeOver([...page.querySelectorAll(".sale")]);
      foldOver(page.querySelector(".over"));
    } catch {
      // the stream tells when the service is back, and what there is then
    }
  }, FOLD_MS * (1 + 4 * Math.random()));
}

function takeOver(fresh) {
  for (const newcomer of fresh) {
    const known = saleOf(newcomer.dataset.event);
    if (known?.dataset.phase) continue; // somebody buys there
    const sale = document.importNode(newcomer, true);
    if (known) replace(known, sale);
    else placeOf(sale, fresh).before(sale);
    prepare(sale);
  }
}

/** The next sale that is here already, in the order of the fresh page. */
function placeOf(sale, fresh) {
  const later = fresh.slice(fresh.findIndex((other) => other.dataset.event === sale.dataset.event) + 1);
  return later.map((other) => saleOf(other.dataset.event)).find(Boolean) ?? byId("sales").querySelector(".empty");
}

/** Take over what is over; a sale that ended while somebody looks at it stays where it is, too. */
function foldOver(fresh) {
  const known = document.querySelector(".over");
  if (fresh && known) known.querySelector("ul").replaceChildren(...fresh.querySelectorAll("li"));
  if (fresh && known) setText(known.querySelector("summary"), fresh.querySelector("summary").textContent);
  else if (fresh) byId("sales").after(document.importNode(fresh, true));
  else known?.remove();
}

function replace(known, sale) {
  const focused = known.contains(document.activeElement) ? document.activeElement.id : "";
  sale.querySelector("[name=buyer]").value = known.querySelector("[name=buyer]").value;
  keepChoice(known, sale);
  known.replaceWith(sale);
  if (focused) byId(focused)?.focus();
}

// --- countdowns ---

function tick() {
  const now = Date.now() + clockOffsetMs;
  for (const sale of sales()) {
    if (sale.dataset.status !== "scheduled" || !sale.dataset.opens) continue;
    const seconds = Math.ceil((Date.parse(sale.dataset.opens) - now) / 1000);
    setText(sale.querySelector(".clock"), seconds > 0 ? asClock(seconds) : "now");
  }
  setTimeout(tick, 1_000 - (now % 1_000));
}

function asClock(seconds) {
  const two = (n) => String(Math.floor(n)).padStart(2, "0");
  const clock = `${two((seconds % 86_400) / 3_600)}:${two((seconds % 3_600) / 60)}:${two(seconds % 60)}`;
  return seconds < 86_400 ? clock : `${plural(Math.floor(seconds / 86_400), "day")} ${clock}`;
}

function localTimes(root) {
  const format = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  for (const time of root.querySelectorAll("time")) {
    setText(time, format.format(new Date(time.dateTime)));
  }
}

// --- an event and its form ---

function prepare(sale) {
  const form = sale.querySelector("form");
  prepareChoice(sale, () => showPrice(sale));
  prepareSwap(sale);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submit(sale);
  });
  sale.querySelector(".again").addEventListener("click", () => {
    setPhase(sale, "");
    (sale.dataset.status === "on_sale" ? form.querySelector(".act") : sale.querySelector("h2")).focus();
  });
  form.querySelector(".act").disabled = false;
  for (const kind of sale.querySelectorAll(".kind")) {
    kind.classList.toggle("gone", kind.querySelector("[data-n]").textContent === "0");
  }
  localTimes(sale);
  showPrice(sale);
}

function showPrice(sale) {
  checkChoice(sale);
  const price = money(sale, amount(sale));
  setText(sale.querySelector(".act"), `Buy ${plural(quantity(sale), "ticket")}${price && ` · ${price}`}`);
}

// --- the connection ---

const stream = new Stream("/remaining/stream", {
  up: () => linkUp(),
  down() {
    if (!document.hidden) linkDown(LOST);
  },
  async full() {
    const response = await fetch("/remaining", { cache: "no-store" });
    if (!response.ok) throw new Error(`status ${response.status}`);
    const { as_of, events } = await response.json();
    clockOffsetMs = Date.parse(as_of) - Date.now();
    for (const entry of events) showStock(entry);
    linkUp("slow", "Every few seconds");
  },
  message(event, data) {
    if (event === "remaining") showStock(JSON.parse(data));
  },
});

let hiddenTimer = null;
document.addEventListener("visibilitychange", () => {
  clearTimeout(hiddenTimer);
  if (document.hidden) hiddenTimer = setTimeout(() => stream.stop(), HIDDEN_AFTER_MS);
  else stream.start();
});
addEventListener("online", () => stream.start());
addEventListener("storage", () => {
  showOrders();
  dropDoubts();
});

for (const sale of sales()) prepare(sale);
const { fresh, stale } = unsettled();
for (const purchase of fresh) follow(purchase);
for (const purchase of stale) showDoubt(purchase);
showOrders();
stream.start();
tick();
