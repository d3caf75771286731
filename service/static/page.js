// The live page: numbers as the stream tells them, and countdowns; `buying.js` buys. The server has
// rendered every word; here only numbers, `data-status` (an event's) and `data-phase` (a purchase's) change.

import { showOrders } from "./bought.js";
import { dropDoubts, follow, showDoubt, submit } from "./buying.js";
import { amount, checkChoice, costsOtherwise, keepChoice, prepareChoice, quantity } from "./choice.js";
import { linkDown, linkUp } from "./link.js";
import { unsettled } from "./purchases.js";
import { money, saleOf, sales } from "./sales.js";
import { Stream } from "./stream.js";
import { beNew, prepareSwap, setPhase } from "./swap.js";
import { announce, byId, count, plural, setText, share } from "./words.js";

const LOST =
  "The connection is lost, and the numbers stand still. We try again by ourselves. A purchase " +
  "under way is safe: we ask again with the same key, and it is never sold twice.";
const HIDDEN_AFTER_MS = 10_000; // a tab that nobody sees gives its connection back
const FOLD_MS = 400; // several events that changed are fetched together, and not by all at once

// The server's clock, from what was made for this page. What the stream tells was written when the
// stock changed, hours ago perhaps.
let clockOffsetMs = Number(document.documentElement.dataset.now) - Date.now();
const told = new Map(); // each event's entry, as it was told last

// --- numbers ---

function showStock(entry) {
  told.set(entry.event, entry);
  const sale = saleOf(entry.event);
  if (sale) showNumbers(sale, entry);
  if (isBehind(entry)) refetch();
}

/** Say whether an event is not here, or says here what it says no more: another price, another time.
 * An older service, which may answer too while hosts are upgraded, tells no terms. */
function isBehind({ event, status, terms }) {
  if (status === "closed") return false; // it is folded away, or stays as it was seen
  const sale = saleOf(event);
  return !sale || (!sale.dataset.phase && Boolean(terms) && terms !== sale.dataset.terms);
}

function showNumbers(sale, entry) {
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
}

let folding = null;
let fetched = 0, taken = 0; // answers may overtake each other: none replaces a newer one

/** Fetch the page again and take over the events that are new or have changed their words. */
function refetch(waitMs = FOLD_MS * (1 + 4 * Math.random())) {
  folding ??= setTimeout(async () => {
    folding = null;
    const turn = (fetched += 1);
    try {
      const response = await fetch("/", { cache: "no-store" });
      if (!response.ok) return;
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      if (turn < taken) return;
      taken = turn;
      takeOver([...page.querySelectorAll(".sale")]);
      foldOver(page.querySelector(".over"));
    } catch {
      // it is fetched when the service is back
    }
  }, waitMs);
}

function takeOver(fresh) {
  for (const newcomer of fresh) {
    const known = saleOf(newcomer.dataset.event);
    if (known?.dataset.phase) continue; // somebody buys there
    if (known?.dataset.terms === newcomer.dataset.terms) continue; // its numbers are told, and newer
    const sale = document.importNode(newcomer, true);
    const focused = known?.contains(document.activeElement) && document.activeElement.id;
    if (known) replace(known, sale);
    else placeOf(sale, fresh).before(sale);
    prepare(sale);
    const entry = told.get(sale.dataset.event);
    if (entry) showNumbers(sale, entry);
    if (focused) byId(focused)?.focus({ preventScroll: true });
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
  sale.querySelector("[name=buyer]").value = known.querySelector("[name=buyer]").value;
  keepChoice(known, sale);
  const { textContent: why } = known.querySelector(".refusal");
  sale.querySelector(".refusal").textContent = costsOtherwise(known, sale) ? "The price has changed." : why;
  known.replaceWith(sale);
  beNew(sale);
}

// --- countdowns ---

const serverNow = () => Date.now() + clockOffsetMs;

function tick() {
  for (const sale of sales()) showClock(sale);
  setTimeout(tick, 1_000 - (serverNow() % 1_000));
}

function showClock(sale) {
  if (sale.dataset.status !== "scheduled" || !sale.dataset.opens) return;
  const seconds = Math.ceil((Date.parse(sale.dataset.opens) - serverNow()) / 1000);
  setText(sale.querySelector(".clock"), seconds > 0 ? asClock(seconds) : "now");
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
  sale.addEventListener("phase", () => {
    const entry = told.get(sale.dataset.event);
    if (entry && isBehind(entry)) refetch(0); // it may have changed while somebody bought there
  });
  localTimes(sale);
  showClock(sale);
  showPrice(sale);
}

function showPrice(sale) {
  checkChoice(sale);
  const price = money(sale, amount(sale));
  setText(sale.querySelector(".act"), `Buy ${plural(quantity(sale), "ticket")}${price && ` · ${price}`}`);
}

// --- the connection ---

const stream = new Stream("/remaining/stream", {
  up() {
    linkUp();
    if ([...told.values()].some(isBehind)) refetch();
  },
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
