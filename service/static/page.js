// The live page: `stock.js` shows what the stream tells, `renewal.js` takes over what it cannot tell, and
// `buying.js` buys. The server has rendered every word; here only numbers, `data-status` (an event's) and
// `data-phase` (a purchase's) change.

import { showOrders } from "./bought.js";
import { dropDoubts, follow, showDoubt } from "./buying.js";
import { setClock, tick } from "./clock.js";
import { prepare } from "./form.js";
import { linkDown, linkUp } from "./link.js";
import { unsettled } from "./purchases.js";
import { isBehind, renew } from "./renewal.js";
import { sales } from "./sales.js";
import { showStock, told } from "./stock.js";
import { Stream } from "./stream.js";

const LOST =
  "The connection is lost, and the numbers stand still. We try again by ourselves. A purchase " +
  "under way is safe: we ask again with the same key, and it is never sold twice.";
const HIDDEN_AFTER_MS = 10_000; // a tab that nobody sees gives its connection back

const stream = new Stream("/remaining/stream", {
  up() {
    linkUp();
    if ([...told.values()].some(isBehind)) renew();
  },
  down() {
    if (!document.hidden) linkDown(LOST);
  },
  async full() {
    const response = await fetch("/remaining", { cache: "no-store" });
    if (!response.ok) throw new Error(`status ${response.status}`);
    const { as_of, events } = await response.json();
    setClock(as_of);
    for (const entry of events) hear(entry);
    linkUp("slow", "Every few seconds");
  },
  message(event, data) {
    if (event === "remaining") hear(JSON.parse(data));
  },
});

function hear(entry) {
  showStock(entry);
  if (isBehind(entry)) renew();
}

document.addEventListener("phase", ({ target }) => {
  const entry = told.get(target.dataset.event);
  if (entry && isBehind(entry)) renew(0); // it may have changed while somebody bought there
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
