// Where a panel of a sale gives its place to another, or the sale to a copy with other prices, it stands
// still for a moment: the second click of a double click must not press what came under the pointer, nor
// mark its words.

const STILL_MS = 700; // longer than between two clicks of most double clicks

const timers = new WeakMap();
const stray = new WeakSet(); // sales whose latest run of clicks began before the panel that is shown

/** Show what a purchase has come to: "" (the form), "waiting" or "done". */
export function setPhase(sale, phase) {
  if (sale.dataset.phase === phase) return;
  sale.dataset.phase = phase;
  getSelection().removeAllRanges();
  beNew(sale);
  sale.dispatchEvent(new Event("phase", { bubbles: true }));
}

/** Take nothing of a run of clicks that began on what was here before. */
export function beNew(sale) {
  stray.add(sale);
  standStill(sale);
}

/** Let no pointer press anything here, until it has rested; a keyboard may. */
function standStill(sale) {
  clearTimeout(timers.get(sale));
  sale.dataset.still = "true";
  timers.set(sale, setTimeout(() => delete sale.dataset.still, STILL_MS));
}

/** Let each press of a run of clicks go to the panel that it began on, or to none. The browser counts
 * them in `detail`, however slow a double click its user has chosen, or its machine is. */
export function prepareSwap(sale) {
  sale.querySelector(".stub").addEventListener("mousedown", (event) => {
    if (event.detail < 2 && !sale.dataset.still) stray.delete(sale);
    if (!stray.has(sale)) return;
    event.preventDefault(); // it would mark words, and take the focus
    standStill(sale); // before it is released, so nothing is pressed
  });
}
