// The box office: signing in and out, and one look a second at `/admin/now` while somebody sees it.

import { askJson, hasKey, keepKey, WrongKey } from "./office-key.js";
import { prepareEvent, showEvents } from "./office-event.js";
import { forgetNow, showNow } from "./office-now.js";
import { forgetList, forgetOrders, prepareOrders, showOrders } from "./office-orders.js";
import { linkDown, linkUp, showLink } from "./link.js";
import { backoff } from "./stream.js";
import { byId, setText } from "./words.js";

const EVERY_MS = 1_000;
const LOST = "The connection is lost, and what shows here stands still. We try again by ourselves.";

let timer = null;
let looking = null; // the look that is under way
let failures = 0;

/** Look now; whoever asks while a look is under way gets another one after it. */
async function look() {
  clearTimeout(timer);
  if (!hasKey() || document.hidden) return;
  if (looking) {
    await looking;
    return look();
  }
  looking = lookOnce();
  await looking;
  looking = null;
  if (hasKey()) timer = setTimeout(look, failures ? backoff(Math.min(failures, 4)) : EVERY_MS);
}

async function lookOnce() {
  try {
    const told = await askJson("/admin/now");
    if (!hasKey()) return; // signed out meanwhile
    failures = 0;
    linkUp();
    open();
    showNow(told);
    showEvents(told);
    showOrders();
  } catch (fault) {
    if (fault instanceof WrongKey) {
      if (fault.isKept) shut("This is not a key of this service.");
    } else {
      failures += 1;
      if (document.body.dataset.door === "open") linkDown(LOST);
      else setText(byId("door-refusal"), "The service does not answer. We try again by ourselves.");
    }
  }
}

// --- the door ---

function open() {
  if (document.body.dataset.door === "open") return;
  document.body.dataset.door = "open";
  byId("key").value = "";
  setText(byId("door-refusal"), "");
  byId("inside-title").focus();
}

function shut(refusal) {
  clearTimeout(timer);
  keepKey("");
  failures = 0;
  linkUp();
  showLink("none", "");
  document.body.dataset.door = "shut";
  forgetNow();
  forgetOrders();
  setText(byId("door-refusal"), refusal);
  byId("key").focus();
}

byId("enter").addEventListener("submit", (event) => {
  event.preventDefault();
  setText(byId("door-refusal"), "");
  keepKey(byId("key").value.trim());
  look();
});
byId("leave").addEventListener("click", () => {
  keepKey("");
  location.replace(location.pathname); // and all that was shown is gone
});
document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : look()));
addEventListener("online", look);

prepareEvent(look, forgetList);
prepareOrders(look);
if (hasKey()) look();
else byId("key").focus();
