// What a buyer chooses: so many of each ticket type, and never more than are left or may be had. The
// fields' own validity says what is wrong, so that a browser sends nothing; the page says it at once.

import { count, setText } from "./words.js";

const steppers = (sale) => [...sale.querySelectorAll(".stepper")];
const field = (stepper) => stepper.querySelector("input");
const quantityOf = (stepper) => Math.max(0, Math.floor(Number(field(stepper).value)) || 0);
const kindOf = (sale, stepper) =>
  [...sale.querySelectorAll(".kind")].find((kind) => kind.dataset.kind === stepper.dataset.kind);
const leftOf = (sale, stepper) =>
  Number(kindOf(sale, stepper).querySelector("[data-n=kind-remaining]").textContent.replaceAll(",", ""));

export const quantity = (sale) => steppers(sale).reduce((sum, stepper) => sum + quantityOf(stepper), 0);

/** The price of all that is chosen, in minor units. */
export const amount = (sale) =>
  steppers(sale).reduce((sum, stepper) => sum + quantityOf(stepper) * Number(stepper.dataset.amount), 0);

/** Return the wish for POST /buy: short if it is for one type. */
export function wish(sale) {
  const items = steppers(sale)
    .map((stepper) => ({ ticket_type: stepper.dataset.kind, quantity: quantityOf(stepper) }))
    .filter((item) => item.quantity);
  return { event: sale.dataset.event, ...(items.length === 1 ? items[0] : { items }) };
}

/** Most that one order may have, whatever is left: by the order, and by the buyer. */
function allowed(sale) {
  const { perOrder, perBuyer } = sale.dataset;
  return perBuyer && Number(perBuyer) < Number(perOrder)
    ? { most: Number(perBuyer), words: `At most ${perBuyer} for each buyer.` }
    : { most: Number(perOrder), words: `At most ${count(Number(perOrder))} in one order.` };
}

/** Most of one type, beside what is chosen of the others. */
function mostOf(sale, stepper) {
  return Math.min(leftOf(sale, stepper), allowed(sale).most - quantity(sale) + quantityOf(stepper));
}

function step(sale, stepper, by) {
  const input = field(stepper);
  const wanted = Math.min(mostOf(sale, stepper), quantityOf(stepper) + by);
  input.value = Math.max(Number(input.min), wanted);
  sale.dataset.touched = "true";
}

/** Let the buttons count, and `changed` show what it comes to. */
export function prepareChoice(sale, changed) {
  for (const stepper of steppers(sale)) {
    stepper.querySelector(".fewer").addEventListener("click", () => {
      step(sale, stepper, -1);
      changed();
    });
    stepper.querySelector(".more").addEventListener("click", () => {
      step(sale, stepper, 1);
      changed();
    });
    field(stepper).addEventListener("input", () => {
      sale.dataset.touched = "true";
      changed();
    });
  }
}

/** Say what cannot be had; what was proposed, and not chosen, goes to what there still is. */
export function checkChoice(sale) {
  const all = steppers(sale);
  if (all.length > 1 && !sale.dataset.touched) {
    const first = all.find((stepper) => leftOf(sale, stepper) > 0);
    for (const stepper of all) field(stepper).value = stepper === first ? 1 : 0;
  }
  const total = quantity(sale), { most, words } = allowed(sale);
  const why = [];
  for (const stepper of all) {
    const left = leftOf(sale, stepper), chosen = quantityOf(stepper);
    field(stepper).max = Math.max(0, Math.min(left, most));
    const tooFew = chosen > left ? `Only ${count(left)} left.` : "";
    if (tooFew) why.push(all.length > 1 ? `Only ${count(left)} of ${stepper.dataset.kind} left.` : tooFew);
    const tooMany = total > most && chosen ? words : "";
    const none = total ? "" : "Choose how many.";
    field(stepper).setCustomValidity(tooFew || tooMany || none);
    kindOf(sale, stepper).classList.toggle("short", Boolean(tooFew));
    stepper.querySelector(".more").ariaDisabled = String(chosen >= mostOf(sale, stepper));
    stepper.querySelector(".fewer").ariaDisabled = String(chosen <= Number(field(stepper).min));
  }
  if (total > most) why.push(words);
  setText(sale.querySelector(".cannot"), why.join(" "));
}

/** Say whether a copy of the sale that takes its place has other prices. */
export function costsOtherwise(known, sale) {
  const prices = new Map(steppers(known).map(({ dataset }) => [dataset.kind, dataset.amount]));
  return (
    steppers(sale).some(({ dataset: { kind, amount } }) => (prices.get(kind) ?? amount) !== amount) ||
    known.dataset.symbol !== sale.dataset.symbol
  );
}

/** Take over what was chosen on a copy of the sale that is replaced. */
export function keepChoice(known, sale) {
  for (const stepper of steppers(sale)) {
    const before = steppers(known).find((other) => other.dataset.kind === stepper.dataset.kind);
    if (before) field(stepper).value = field(before).value;
  }
  if (known.dataset.touched) sale.dataset.touched = known.dataset.touched;
}
