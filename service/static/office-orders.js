// Orders in the box office: the last ones, one that is looked for, taking one back, all as CSV.

import { ask, askJson, Refused, why } from "./office-key.js";
import { chosenEvent } from "./office-event.js";
import { sure } from "./office-sure.js";
import { announce, byId, copyOf, plural, setText, spaced } from "./words.js";

const SHOWN = 25;
const EVERY_MS = 1_500;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const KEY = /^[!-~]{16,255}$/;

let looked = { event: "", entries: -1, at: 0 };
let entered = false; // somebody is in the list: it stands still under the pointer

const time = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const moment = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });

function money({ amount, currency }) {
  if (!amount) return "";
  const format = new Intl.NumberFormat("en", { style: "currency", currency });
  return format.format(amount / 10 ** format.resolvedOptions().maximumFractionDigits);
}

const kindsOf = (order) => order.items.map(({ quantity, ticket_type: type }) => `${quantity} ${type}`).join(", ");

// --- the last ones ---

export async function showOrders() {
  const entry = chosenEvent();
  if (!entry) return;
  byId("orders-scroll").style.setProperty("--capacity", entry.capacity); // few tickets, few rows
  const same = looked.event === entry.event && looked.entries === entry.entries;
  const still = entered && looked.event === entry.event;
  setText(byId("orders-still"), still && !same ? "Held still while you are in it" : "");
  if (same || still || (looked.event === entry.event && Date.now() - looked.at < EVERY_MS)) return;
  looked = { event: entry.event, entries: entry.entries, at: Date.now() };
  try {
    const orders = await lastOf(entry);
    if (chosenEvent()?.event !== entry.event) return;
    fillList(orders);
  } catch {
    looked.entries = -1; // again with the next look
  }
}

/** The last orders stand at the end of the journal: pages of it that are short, to their end. */
async function lastOf({ event, entries }) {
  let address = `/events/${event}/orders?after=${Math.max(0, entries - SHOWN)}&limit=${SHOWN}`;
  const found = [];
  while (address) {
    const response = await ask(address);
    found.push(...(await response.json()).orders);
    address = /^<([^>]+)>/.exec(response.headers.get("Link") ?? "")?.[1];
    if (found.length > 4 * SHOWN) break; // it sells faster than this reads
  }
  return found.reverse().slice(0, SHOWN);
}

function fillList(orders) {
  const rows = byId("last-orders");
  const known = new Map([...rows.children].map((row) => [row.dataset.order, row]));
  rows.replaceChildren(...orders.map((order) => {
    const row = known.get(order.id) ?? newRow(order);
    row.classList.toggle("cancelled", order.status === "cancelled");
    return row;
  }));
  byId("no-orders").hidden = orders.length > 0;
}

function newRow(order) {
  const row = copyOf("row-template");
  row.dataset.order = order.id;
  const sold = row.querySelector("time");
  sold.dateTime = order.sold_at;
  sold.textContent = time.format(new Date(order.sold_at));
  const show = row.querySelector(".show");
  show.textContent = order.id.slice(0, 8);
  show.setAttribute("aria-label", `Show order ${order.id}`);
  show.addEventListener("click", () => find(order.id));
  const [kinds, total] = row.querySelector(".what").children;
  kinds.textContent = kindsOf(order);
  total.textContent = money(order.total);
  row.querySelector(".who").textContent = row.querySelector(".who").title = order.buyer ?? "";
  const cancel = row.querySelector(".cancel");
  cancel.setAttribute("aria-label", `Cancel order ${order.id}`);
  cancel.addEventListener("click", () => cancelOrder(order, (text) => setText(byId("event-refusal"), text)));
  return row;
}

// --- one that is looked for ---

async function find(wanted) {
  const refusal = byId("find-refusal");
  byId("wanted").value = wanted;
  setText(refusal, "");
  byId("found").replaceChildren();
  if (!UUID.test(wanted.toLowerCase()) && !KEY.test(wanted)) {
    setText(refusal, "Neither an order’s id nor an idempotency key, which has 16 characters or more. " +
      "Orders are not kept by their buyers: look for one in the CSV.");
    return;
  }
  try {
    const order = await read(wanted);
    if (order) showFound(order).focus();
    else setText(refusal, "No order has this id, and none was sold under this key.");
  } catch (fault) {
    setText(refusal, why(fault));
  }
}

/** A UUID may be either: ids are what people have in their hands more often. */
async function read(wanted) {
  const places = [`/orders?key=${encodeURIComponent(wanted)}`];
  if (UUID.test(wanted.toLowerCase())) places.unshift(`/orders/${wanted.toLowerCase()}`);
  for (const place of places) {
    try {
      return await askJson(place);
    } catch (fault) {
      if (!(fault instanceof Refused) || fault.status !== 404) throw fault;
    }
  }
  return null;
}

function showFound(order) {
  const card = copyOf("order-template");
  card.dataset.order = order.id;
  card.classList.toggle("cancelled", order.status === "cancelled");
  card.setAttribute("aria-label", `Order ${order.id}`);
  card.querySelector("h4").textContent = `${order.event}: ${kindsOf(order)}`;
  const facts = [order.status === "cancelled" ? "Cancelled" : "Sold", order.buyer, money(order.total),
    moment.format(new Date(order.sold_at))];
  card.querySelector(".facts").textContent = facts.filter(Boolean).join(" · ");
  card.querySelector(".tickets").replaceChildren(...order.tickets.map(({ number, ticket_type: type, code }) => {
    const line = document.createElement("li");
    line.className = "stubby";
    for (const [name, tag, text] of [["number", "span", `No. ${number}`], ["type", "span", type], ["", "code", spaced(code)]]) {
      const part = document.createElement(tag);
      part.className = name;
      part.textContent = text;
      line.append(part);
    }
    return line;
  }));
  card.querySelector(".id").textContent = order.id;
  const cancel = card.querySelector(".cancel");
  cancel.hidden = order.status === "cancelled";
  cancel.addEventListener("click", () => cancelOrder(order, (text) => setText(byId("find-refusal"), text)));
  byId("found").replaceChildren(card);
  return card;
}

// --- taking one back ---

async function cancelOrder(order, refuse) {
  const tickets = plural(order.tickets.length, "ticket");
  const whose = order.buyer ? ` of ${order.buyer}` : "";
  const yes = await sure("Cancel this order?",
    `${kindsOf(order)}${whose}, order ${order.id}. Its ${tickets} can be sold again at once, under new numbers. ` +
    "This cannot be taken back.", "Cancel the order");
  if (!yes) return;
  refuse("");
  try {
    const cancelled = await askJson(`/orders/${order.id}/cancel`, { method: "POST" });
    for (const row of byId("last-orders").children) {
      if (row.dataset.order === order.id) row.classList.add("cancelled");
    }
    announce(`The order is cancelled: ${tickets} can be sold again.`);
    const fromHere = byId("found").contains(document.activeElement);
    const shown = byId("found").firstElementChild?.dataset.order === order.id && showFound(cancelled);
    (fromHere ? shown : byId("orders-scroll")).focus({ preventScroll: true }); // its button is gone
  } catch (fault) {
    refuse(why(fault));
  }
  lookAgain();
}

// --- all of them ---

async function download() {
  const { event } = chosenEvent();
  const button = byId("csv"), words = button.textContent;
  if (button.ariaBusy === "true") return;
  button.ariaBusy = "true";
  setText(button, "Fetching…");
  setText(byId("event-refusal"), "");
  try {
    const response = await ask(`/events/${event}/orders`, { accept: "text/csv", patient: true });
    const address = URL.createObjectURL(await response.blob());
    const link = document.createElement("a");
    link.href = address;
    link.download = `${event}-orders.csv`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(address), 60_000);
  } catch (fault) {
    setText(byId("event-refusal"), fault instanceof Refused ? why(fault) : "The orders did not come to their end. Try again.");
  }
  button.ariaBusy = "false";
  setText(button, words);
}

let lookAgain = () => {};

/** What stands there is of another event: it goes at once, and does not wait for what comes. */
export function forgetList() {
  looked = { event: "", entries: -1, at: 0 };
  entered = false;
  byId("last-orders").replaceChildren();
  byId("no-orders").hidden = true;
  showOrders();
}

/** Let the controls do what they say; `look` shows what came of it. */
export function prepareOrders(look) {
  lookAgain = look;
  byId("csv").addEventListener("click", download);
  byId("find").addEventListener("submit", (event) => {
    event.preventDefault();
    find(byId("wanted").value.trim());
  });
  const list = byId("orders-scroll");
  list.addEventListener("pointerenter", () => { entered = true; });
  list.addEventListener("pointerleave", () => { entered = list.contains(document.activeElement); });
  list.addEventListener("focusin", () => { entered = true; });
  list.addEventListener("focusout", () => { entered = list.matches(":hover"); });
}

export function forgetOrders() {
  forgetList();
  byId("found").replaceChildren();
  byId("wanted").value = "";
}
