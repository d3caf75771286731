// Purchases that survive: a key is kept before anything is sent, and a purchase is repeated under its
// key until its fate is known, or until it is too old to be repeated unasked. So a double click, a
// reload or a lost answer buys once.

import { backoff, pause } from "./stream.js";

const ANSWER_MS = 15_000; // a server that says nothing for so long is asked again
const FRESH_MS = 5 * 60_000; // an older purchase is not repeated unasked: it might buy unexpectedly
const ORDERS_SHOWN = 20;
const PENDING = "soldout.pending.";
const ORDER = "soldout.order.";
// What a server says of the request itself, which repeating does not change.
const FINAL = new Set([400, 403, 404, 405, 409, 410, 413, 415, 422]);

const memory = new Map(); // what a browser refuses to keep is known until the page is left

const store = {
  keep(name, value) {
    memory.delete(name);
    try {
      localStorage.setItem(name, JSON.stringify(value));
    } catch {
      memory.set(name, value); // private windows may refuse
    }
  },
  drop(name) {
    memory.delete(name);
    try {
      localStorage.removeItem(name);
    } catch {
      // as above
    }
  },
  list(prefix) {
    const found = new Map();
    try {
      for (const name of Object.keys(localStorage)) {
        if (name.startsWith(prefix)) found.set(name, JSON.parse(localStorage.getItem(name)));
      }
    } catch {
      // as above
    }
    for (const [name, value] of memory) if (name.startsWith(prefix)) found.set(name, value);
    return [...found.values()];
  },
};

/** A UUID of version 7 (RFC 9562); not crypto.randomUUID, which plain http does not have. */
function mintKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const now = Date.now();
  for (let i = 0; i < 6; i += 1) bytes[i] = Math.floor(now / 2 ** (40 - 8 * i)) & 0xff;
  bytes[6] = (bytes[6] & 0x0f) | 0x70;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

/** Return a new purchase, kept already. */
export function makePurchase(wish) {
  const purchase = { key: mintKey(), event: wish.event, body: JSON.stringify(wish), at: Date.now() };
  store.keep(PENDING + purchase.key, purchase);
  return purchase;
}

const isFresh = (purchase) => Date.now() - purchase.at < FRESH_MS;

/** Return a purchase whose fate is still to be found out, as it is kept by now. */
export const keptOf = (key) => store.list(PENDING).find((purchase) => purchase.key === key);

/** Return purchases whose fate is not known: those to go on with, and those too old for that. */
export function unsettled() {
  const all = store.list(PENDING).sort((a, b) => a.at - b.at);
  return { fresh: all.filter(isFresh), stale: all.filter((purchase) => !isFresh(purchase)) };
}

/** Somebody wants it still: keep it as if it were new. */
export function renew(purchase) {
  purchase.at = Date.now();
  store.keep(PENDING + purchase.key, purchase);
}

export const forget = (purchase) => store.drop(PENDING + purchase.key);

/** Ask until it is known; return { order } or { refusal }, { ended: true } if it was dropped elsewhere,
 * or {} when it grew too old meanwhile. `doubt` is called at each lost answer. */
export async function settle(purchase, doubt) {
  for (let failures = 0; failures === 0 || mayAsk(purchase); failures += 1) {
    const answer = await ask(purchase).catch(() => ({}));
    if (answer.order) {
      const { id, event } = answer.order;
      store.keep(ORDER + id, { id, event, key: purchase.key, at: Date.now() });
    }
    if (answer.order || answer.refusal) {
      forget(purchase);
      return answer;
    }
    doubt();
    await pause(Math.max(answer.retryMs ?? 0, backoff(failures)));
  }
  return keptOf(purchase.key) ? {} : { ended: true }; // the tab was open, or the computer asleep, for long
}

/** Another tab follows the same purchase. Where that one was told that nothing was bought, or to forget
 * it, this one may not buy; where it was told of an order, asking again only shows that. */
function mayAsk(purchase) {
  if (store.list(ORDER).some(({ key }) => key === purchase.key)) return true;
  const kept = keptOf(purchase.key);
  if (kept) purchase.at = kept.at; // somebody may have renewed it
  return Boolean(kept) && isFresh(purchase);
}

async function ask(purchase) {
  const response = await fetch("/buy", {
    method: "POST",
    headers: { "Content-Type": "application/json", "Idempotency-Key": `"${purchase.key}"` },
    body: purchase.body,
    cache: "no-store",
    signal: AbortSignal.timeout(ANSWER_MS),
  });
  if (response.status === 201) return { order: await response.json() };
  const refusal = FINAL.has(response.status) && (await problemOf(response));
  if (refusal) return { refusal };
  return { retryMs: 1_000 * Number(response.headers.get("Retry-After") ?? 0) };
}

/** Return the service's own problem document; a gateway's words say nothing of a purchase. */
async function problemOf(response) {
  const media = response.headers.get("Content-Type") ?? "";
  if (!media.startsWith("application/problem+json")) return null;
  const problem = await response.json();
  return String(problem?.type).startsWith("/problems/") ? problem : null;
}

/** Return the orders of this browser, newest first, as they stand now. */
export async function myOrders() {
  const kept = store.list(ORDER).sort((a, b) => b.at - a.at);
  const found = await Promise.all(kept.slice(0, ORDERS_SHOWN).map(({ id }) => readOrder(id)));
  return found.filter(Boolean);
}

const read = new Map(); // what was read since the page was loaded

async function readOrder(id) {
  try {
    if (!read.has(id)) {
      const response = await fetch(`/orders/${id}`, { cache: "no-store" });
      if (response.ok) read.set(id, await response.json());
    }
  } catch {
    // it is shown when it can be read
  }
  return read.get(id);
}
