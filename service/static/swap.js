// Where a panel of a sale gives its place to another, it stands still for a moment: the second click of
// a double click must not press what came under the pointer, nor mark its words.

const STILL_MS = 700; // longer than between two clicks of one double click

const timers = new WeakMap();

/** Show what a purchase has come to: "" (the form), "waiting" or "done". */
export function setPhase(sale, phase) {
  if (sale.dataset.phase === phase) return;
  sale.dataset.phase = phase;
  getSelection().removeAllRanges();
  standStill(sale);
}

/** Let no pointer press anything here, until it has rested; a keyboard may. */
function standStill(sale) {
  clearTimeout(timers.get(sale));
  sale.dataset.still = "true";
  timers.set(sale, setTimeout(() => delete sale.dataset.still, STILL_MS));
}

export function prepareSwap(sale) {
  sale.querySelector(".stub").addEventListener("mousedown", (event) => {
    if (!sale.dataset.still) return;
    event.preventDefault(); // it would mark words, and take the focus
    standStill(sale);
  });
}
