// What was bought in this browser, as the live page lists it.

import { myOrders } from "./purchases.js";
import { money, overOf, saleOf } from "./sales.js";
import { byId, copyOf, plural, spaced } from "./words.js";

export function ticketOf(ticket) {
  const line = copyOf("ticket-template");
  line.querySelector(".number").textContent = `No. ${ticket.number}`;
  line.querySelector(".type").textContent = ticket.ticket_type;
  line.querySelector("code").textContent = spaced(ticket.code);
  return line;
}

function orderOf(order) {
  const card = copyOf("order-template");
  const sale = saleOf(order.event);
  const known = sale ?? overOf(order.event);
  const total = known ? money(known, order.total.amount) : "";
  const when = new Date(order.sold_at).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
  card.classList.toggle("cancelled", order.status === "cancelled");
  card.querySelector("h3").textContent = (sale?.querySelector("h2") ?? known)?.textContent ?? order.event;
  const facts = [order.status === "cancelled" && "Cancelled", plural(order.tickets.length, "ticket"), total, when];
  card.querySelector(".facts").textContent = facts.filter(Boolean).join(" · ");
  card.querySelector(".tickets").replaceChildren(...order.tickets.map(ticketOf));
  card.querySelector(".id").textContent = `Order ${order.id}`;
  return card;
}

export async function showOrders() {
  const orders = await myOrders();
  byId("mine").hidden = orders.length === 0;
  byId("orders").replaceChildren(...orders.map(orderOf));
}
