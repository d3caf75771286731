// Buying on the live page: from the click to the tickets, a refusal in words, or a question where
// nobody knows what became of it. `data-phase` is a purchase's, where its event is.

import { showOrders, ticketOf } from "./bought.js";
import { wish } from "./choice.js";
import { forget, keptOf, makePurchase, renew, settle } from "./purchases.js";
import { saleOf } from "./sales.js";
import { setPhase } from "./swap.js";
import { announce, byId, copyOf, count, plural, setText } from "./words.js";

const ENDED = "This purchase was ended in another tab, and is not asked for any more.";

export function submit(sale) {
  if (sale.dataset.phase) return; // one click is enough
  const form = sale.querySelector("form");
  const buyer = form.elements.buyer.value.trim();
  follow(makePurchase({ ...wish(sale), ...(buyer ? { buyer } : {}) }));
}

/** Follow a purchase until its fate is known, and show it where its event is. */
export async function follow(purchase) {
  const sale = () => saleOf(purchase.event); // it may be replaced meanwhile
  showPhase(sale(), "waiting", "Buying…");
  const answer = await settle(purchase, () => {
    showPhase(sale(), "waiting", "No answer yet. We ask again…");
  });
  if (answer.order) showSold(sale(), answer.order);
  else if (answer.refusal) showRefusal(sale(), answer.refusal);
  else if (answer.ended) giveBack(sale(), ENDED);
  else leaveInDoubt(sale(), purchase);
}

function showPhase(sale, phase, title) {
  if (!sale) return;
  const changed = sale.dataset.phase !== phase;
  setPhase(sale, phase);
  const heading = sale.querySelector(`.${phase} .title`);
  setText(heading, title);
  if (changed) heading.focus({ preventScroll: true });
}

function showSold(sale, order) {
  if (sale) {
    sale.querySelector(".refusal").textContent = "";
    sale.querySelector(".done .tickets").replaceChildren(...order.tickets.map(ticketOf));
    showPhase(sale, "done", `${plural(order.tickets.length, "ticket")}: yours.`);
  }
  showOrders();
}

function showRefusal(sale, problem) {
  if (sale) giveBack(sale, inWords(problem, sale.querySelectorAll(".kind").length > 1));
}

/** Show the form again, and why. */
function giveBack(sale, words) {
  if (!sale) return;
  setPhase(sale, "");
  sale.querySelector(".refusal").textContent = words;
  if (sale.dataset.status === "on_sale") sale.querySelector(".act").focus({ preventScroll: true });
  else announce(words);
}

function inWords(problem, several) {
  const of = several ? ` of ${problem.ticket_type}` : "";
  const slug = String(problem.type).split("/").pop();
  if (slug === "sold-out" && problem.remaining) return `Only ${count(problem.remaining)}${of} left. Nothing was bought.`;
  if (slug === "sold-out" && problem.held) return "What is left is held, and may come back. Nothing was bought.";
  if (slug === "sold-out") return several ? `None${of} is left. Nothing was bought.` : "Just sold out. Nothing was bought.";
  if (slug === "buyer-limit") {
    return `At most ${problem.max_per_buyer} for each buyer; this one has ${problem.bought}. Nothing was bought.`;
  }
  return `${problem.detail ?? problem.title} Nothing was bought.`;
}

/** Ask whether a purchase that was never answered shall be asked for again. */
export function showDoubt(purchase) {
  const box = doubtOf(purchase);
  byId("unsure").append(box);
  return box;
}

/** Ask nothing any more about what another tab has found out, or forgotten. */
export function dropDoubts() {
  for (const box of [...byId("unsure").children]) if (!keptOf(box.dataset.key)) box.remove();
}

/** Nobody knows what became of it, and too much time went by to buy it unasked. */
function leaveInDoubt(sale, purchase) {
  const box = showDoubt(purchase);
  announce(box.querySelector("p").textContent);
  if (!sale) return;
  const hadFocus = sale.contains(document.activeElement);
  setPhase(sale, "");
  if (!hadFocus) return;
  box.tabIndex = -1; // not its button: a key pressed by chance would buy
  box.focus();
}

function doubtOf(purchase) {
  const box = copyOf("unsure-template");
  box.dataset.key = purchase.key;
  const { quantity: one, items = [{ quantity: one }] } = JSON.parse(purchase.body);
  const wanted = items.reduce((sum, item) => sum + item.quantity, 0);
  const name = saleOf(purchase.event)?.querySelector("h2").textContent ?? purchase.event;
  const when = new Date(purchase.at).toLocaleString();
  box.querySelector("p").textContent =
    `A purchase of ${plural(wanted, "ticket")} for ${name} (${when}) was never answered. ` +
    "Asking again shows its tickets if it was sold, and buys them now if it was not.";
  box.querySelector(".ask").addEventListener("click", () => {
    renew(purchase);
    follow(purchase);
    box.remove();
  });
  box.querySelector(".forget").addEventListener("click", () => {
    forget(purchase);
    box.remove();
  });
  return box;
}
