// An event's form: what is chosen, sent, and the way back to it.

import { submit } from "./buying.js";
import { prepareChoice } from "./choice.js";
import { localTimes, showClock } from "./clock.js";
import { showPrice } from "./stock.js";
import { prepareSwap, setPhase } from "./swap.js";

export function prepare(sale) {
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
  localTimes(sale);
  showClock(sale);
  showPrice(sale);
}
