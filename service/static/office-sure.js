// A question in the page, for what is not to be done by a slip of the hand.

import { byId } from "./words.js";

/** Ask; return whether the answer was yes. Escape is no. */
export function sure(title, text, yes) {
  const dialog = byId("sure");
  byId("sure-title").textContent = title;
  byId("sure-text").textContent = text;
  byId("sure-yes").textContent = yes;
  return new Promise((resolve) => {
    const done = (answer) => {
      byId("sure-yes").onclick = byId("sure-no").onclick = dialog.oncancel = null;
      if (dialog.open) dialog.close(); // the focus goes back to where it was
      resolve(answer);
    };
    byId("sure-yes").onclick = () => done(true);
    byId("sure-no").onclick = dialog.oncancel = () => done(false);
    dialog.showModal();
    byId("sure-no").focus();
  });
}
