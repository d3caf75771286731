// The page is fetched again when an event is told that is not here, or says something else by now: another
// price, another time. Only such events are taken over, and none in which somebody buys.

import { costsOtherwise, keepChoice } from "./choice.js";
import { prepare } from "./form.js";
import { saleOf } from "./sales.js";
import { showNumbers, told } from "./stock.js";
import { beNew } from "./swap.js";
import { byId, setText } from "./words.js";

const FOLD_MS = 400; // several events that changed are fetched together, and not by all at once

let folding = null;
let fetched = 0, taken = 0; // answers may overtake each other: none replaces a newer one

/** Say whether the page is behind what was told of an event. An older service, which may answer too while
 * hosts are upgraded, tells no terms. */
export function isBehind({ event, status, terms }) {
  if (status === "closed") return false; // it is folded away, or stays as it was seen
  const sale = saleOf(event);
  return !sale || (!sale.dataset.phase && Boolean(terms) && terms !== sale.dataset.terms);
}

/** Fetch the page again, soon, and take over what it is behind of. */
export function renew(waitMs = FOLD_MS * (1 + 4 * Math.random())) {
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
