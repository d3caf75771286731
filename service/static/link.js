// How the connection is: a dot with a word, and a banner once it is lost for longer than a restart takes.

import { byId, setText } from "./words.js";

const BANNER_AFTER_MS = 3_000; // a process that restarts is back before anybody needs to know
let bannerTimer = null;

export function showLink(state, word) {
  byId("link").dataset.link = state;
  setText(byId("link-word"), word);
}

export function linkUp(state = "live", word = "Live") {
  clearTimeout(bannerTimer);
  bannerTimer = null;
  byId("banner").hidden = true;
  byId("banner").textContent = "";
  showLink(state, word);
}

/** Say that the connection is lost; `text` tells what that means, after a moment. */
export function linkDown(text) {
  showLink("lost", "Reconnecting…");
  bannerTimer ??= setTimeout(() => {
    byId("banner").hidden = false;
    byId("banner").textContent = text;
  }, BANNER_AFTER_MS);
}
