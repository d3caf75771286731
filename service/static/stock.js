// What is left of each event, as it was told last: numbers, bars, states, and the price of what is chosen.

import { amount, checkChoice, quantity } from "./choice.js";
import { money, saleOf } from "./sales.js";
import { announce, count, plural, setText, share } from "./words.js";

export const told = new Map(); // each event's entry, as it was told last

export function showStock(entry) {
  told.set(entry.event, entry);
  const sale = saleOf(entry.event);
  if (sale) showNumbers(sale, entry);
}

export function showNumbers(sale, entry) {
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

export function showPrice(sale) {
  checkChoice(sale);
  const price = money(sale, amount(sale));
  setText(sale.querySelector(".act"), `Buy ${plural(quantity(sale), "ticket")}${price && ` · ${price}`}`);
}
