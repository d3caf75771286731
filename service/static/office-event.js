// The events in the box office, and the chosen one: its stock, pause and resume, its capacity.

import { showCurve } from "./office-curve.js";
import { ask, askJson, Refused, why } from "./office-key.js";
import { sure } from "./office-sure.js";
import { announce, byId, copyOf, count, setText, share } from "./words.js";

const ROWS_MAX = 50;
const HASH = "#sale-";

let events = [];
let chosen = inHash();
let statusTold = "";

let whenChosen = () => {};

export const chosenEvent = () => events.find((entry) => entry.event === chosen);

function inHash() {
  try {
    return location.hash.startsWith(HASH) ? decodeURIComponent(location.hash.slice(HASH.length)) : "";
  } catch {
    return ""; // somebody's address that is none
  }
}

// --- all events ---

export function showEvents(told) {
  if (told.ledger === "unreadable") return; // what was last seen stays, and is said to be old
  events = [...told.events].reverse(); // the newest first
  events.sort((a, b) => (a.status === "closed") - (b.status === "closed"));
  if (!chosenEvent()) choose(events[0]?.event ?? "");
  showList();
  byId("no-events").hidden = events.length > 0;
  byId("event").hidden = events.length === 0;
  const entry = chosenEvent();
  if (entry) showEvent(entry, Date.parse(told.as_of));
}

function showList() {
  const wanted = byId("sift").value.trim().toLowerCase();
  const fits = ({ event, name }) => `${event} ${name}`.toLowerCase().includes(wanted);
  const found = events.filter(fits);
  const rows = byId("events");
  byId("sieve").hidden = events.length <= 8;
  rows.hidden = events.length === 1;
  const known = new Map([...rows.children].map((row) => [row.dataset.event, row]));
  const shown = found.slice(0, ROWS_MAX).map((entry) => {
    const row = known.get(entry.event) ?? newRow(entry.event);
    fillRow(row, entry);
    return row;
  });
  if (shown.length !== rows.children.length || shown.some((row, i) => rows.children[i] !== row)) {
    const focused = document.activeElement;
    rows.replaceChildren(...shown);
    if (rows.contains(focused)) focused.focus({ preventScroll: true });
  }
  const more = found.length - shown.length;
  setText(byId("events-more"), more > 0 ? `And ${count(more)} more: find them by name.` : wanted && !found.length ? "No event is called so." : "");
}

function newRow(event) {
  const row = copyOf("event-template");
  row.dataset.event = event;
  row.querySelector("button").addEventListener("click", () => {
    if (event !== chosen) choose(event);
    showList();
    byId("event").focus({ preventScroll: true });
    byId("event").scrollIntoView({ block: "nearest" });
  });
  return row;
}

function fillRow(row, entry) {
  row.dataset.status = entry.status;
  setText(row.querySelector(".event-name"), entry.name);
  setText(row.querySelector(".event-sold"), `${count(entry.sold)} of ${count(entry.capacity)} sold`);
  row.querySelector(".bar .sold").setAttribute("width", share(entry.sold, entry.capacity));
  row.querySelector("button").setAttribute("aria-current", String(entry.event === chosen));
}

function choose(event) {
  chosen = event;
  statusTold = "";
  history.replaceState(null, "", event ? HASH + encodeURIComponent(event) : location.pathname);
  for (const id of ["event-refusal", "resize-refusal"]) setText(byId(id), "");
  byId("kinds").replaceChildren();
  whenChosen();
  const entry = chosenEvent();
  if (entry) showEvent(entry, Date.now());
}

// --- the chosen one ---

function showEvent(entry, nowMs) {
  const ticket = byId("ticket");
  ticket.dataset.status = entry.status;
  setText(byId("event-id"), entry.event);
  byId("event-id").classList.toggle("same", entry.name === entry.event);
  setText(byId("event-name"), entry.name);
  for (const name of ["remaining", "capacity", "sold", "held"]) setText(byId(`event-${name}`), count(entry[name]));
  ticket.querySelector(".bar .remaining").setAttribute("width", share(entry.remaining, entry.capacity));
  ticket.querySelector(".bar .held").setAttribute("width", share(entry.remaining + entry.held, entry.capacity));
  if (statusTold && statusTold !== entry.status) {
    announce(`${entry.name}: ${ticket.querySelector(`.badge [data-for=${entry.status}]`).textContent}`);
  }
  statusTold = entry.status;
  showKinds(entry.ticket_types);
  showCurve(entry, nowMs);
}

function showKinds(types) {
  const rows = byId("kinds");
  if ([...rows.children].map((row) => row.dataset.kind).join() !== types.map((type) => type.ticket_type).join()) {
    rows.replaceChildren(...types.map((type) => {
      const row = copyOf("kind-template");
      row.dataset.kind = type.ticket_type;
      row.querySelector("th").textContent = type.ticket_type;
      row.querySelector("input").setAttribute("aria-label", `Capacity of ${type.ticket_type}`);
      return row;
    }));
  }
  for (const [place, type] of types.entries()) {
    const row = rows.children[place], field = row.querySelector("input");
    setText(row.querySelector("[data-n=sold]"), count(type.sold));
    setText(row.querySelector("[data-n=remaining]"), count(type.remaining));
    if (field.value === field.defaultValue && field.defaultValue !== String(type.capacity)) {
      field.defaultValue = field.value = String(type.capacity);
    }
  }
}

// --- what the operator does with it ---

async function switchTo(verb) {
  const event = chosen;
  setText(byId("event-refusal"), "");
  try {
    const found = await askJson(`/events/${event}/${verb}`, { method: "POST" });
    if (verb === "resume" && found.status === "closed") {
      setText(byId("event-refusal"), "It stays closed: the time at which it closes has passed.");
    }
  } catch (fault) {
    setText(byId("event-refusal"), why(fault));
  }
}

/** Say the event anew with other capacities: all else stays as it is at this moment. */
async function resize(event, changes) {
  const known = await askJson(`/events/${event}`);
  checkNobodyElse(known, changes);
  const { name, opens_at, closes_at, max_per_order, max_per_buyer } = known;
  const ticket_types = known.ticket_types.map((type) => ({ ...type, capacity: changes[type.id]?.to ?? type.capacity }));
  const body = { name, opens_at, closes_at, max_per_order, max_per_buyer, ticket_types };
  await ask(`/events/${event}`, { method: "PUT", body });
}

/** Whoever changes a number changes what they saw. Once they are told, they have seen what is there. */
function checkNobodyElse(known, changes) {
  for (const [kind, { from, to, field }] of Object.entries(changes)) {
    const capacity = known.ticket_types.find(({ id }) => id === kind)?.capacity;
    if (capacity === from || capacity === to) continue;
    if (capacity !== undefined) field.defaultValue = String(capacity);
    const now = capacity === undefined ? "there are none any more" : `it is ${count(capacity)} now, no longer ${count(from)}`;
    throw new Refused(409, { detail: `Somebody else has changed ${kind}: ${now}. Nothing was changed here.` });
  }
}

function readChanges() {
  const changes = {};
  for (const row of byId("kinds").children) {
    const field = row.querySelector("input");
    if (field.value === field.defaultValue) continue;
    if (!/^\d{1,9}$/.test(field.value.trim())) {
      field.focus();
      throw new Refused(422, { detail: `The capacity of ${row.dataset.kind} is a whole number, not negative.` });
    }
    changes[row.dataset.kind] = { from: Number(field.defaultValue), to: Number(field.value), field };
  }
  return changes;
}

async function submitCapacities() {
  const refusal = byId("resize-refusal");
  setText(refusal, "");
  try {
    const changes = readChanges();
    if (!Object.keys(changes).length) {
      setText(refusal, "Write another capacity first.");
      return;
    }
    await resize(chosen, changes);
    for (const { field, to } of Object.values(changes)) field.defaultValue = field.value = String(to);
    announce("The capacity is changed.");
  } catch (fault) {
    setText(refusal, why(fault));
  }
}

/** Let the controls do what they say; `look` shows what came of it, `chose` that it is another event. */
export function prepareEvent(look, chose) {
  whenChosen = chose;
  byId("sift").addEventListener("input", showList);
  byId("switch").addEventListener("click", async () => {
    const shut = ["paused", "closed"].includes(chosenEvent()?.status);
    await switchTo(shut ? "resume" : "pause");
    look();
  });
  byId("close").addEventListener("click", async () => {
    const { name } = chosenEvent();
    const yes = await sure(`Close ${name}?`, "Nobody can buy any more. “Sell again” takes it back.", "Close the sale");
    if (!yes) return;
    await switchTo("close");
    byId("switch").focus();
    look();
  });
  byId("resize").addEventListener("submit", async (event) => {
    event.preventDefault();
    await submitCapacities();
    look();
  });
}
