// Small helpers that the pages share: finding elements, writing numbers, changing text only if it changed.

export const byId = (id) => document.getElementById(id);
export const count = (number) => number.toLocaleString("en");
export const plural = (number, word, words = `${word}s`) => `${count(number)} ${number === 1 ? word : words}`;

export function setText(element, text) {
  if (element && element.textContent !== String(text)) element.textContent = text;
}

/** Let a screen reader say something that is shown elsewhere. */
export function announce(text) {
  byId("announcer").textContent = text;
}

/** What part that is, in percent, as a width for SVG. */
export const share = (part, whole) => (whole ? (100 * part) / whole : 0).toFixed(2);

/** A new copy of what a template holds. */
export const copyOf = (id) => byId(id).content.firstElementChild.cloneNode(true);

const TICKET_CODE = /(.{4})(?=.)/g;
export const spaced = (code) => code.replace(TICKET_CODE, "$1 ");
