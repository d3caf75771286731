// Server-sent events over fetch. EventSource hides what this page needs to know: heartbeats, by which
// a connection that died in silence is noticed, and the status and Retry-After of a refusal.

const SILENCE_MS = 25_000; // the server says something every 10 s
const BACKOFF_MAX_MS = 15_000;

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** How long to wait before try number `failures`: longer each time, and not all clients at once. */
export const backoff = (failures) =>
  Math.min(BACKOFF_MAX_MS, 500 * 2 ** failures) * (0.6 + 0.4 * Math.random());

export class Stream {
  #url;
  #on;
  #lastId = "";
  #retryMs = 2_000;
  #abort = null;
  #wake = null;
  #turn = 0; // odd while it runs; a loop of an earlier turn ends

  /** `on`: up(), down(), full(), message(event, data). */
  constructor(url, on) {
    this.#url = url;
    this.#on = on;
  }

  start() {
    if (this.#turn % 2) {
      this.#wake?.();
      return;
    }
    this.#turn += 1;
    this.#run(this.#turn);
  }

  stop() {
    this.#turn += this.#turn % 2;
    this.#abort?.abort();
    this.#wake?.();
  }

  async #run(turn) {
    let failures = 0;
    while (turn === this.#turn) {
      let waitMs = this.#retryMs;
      try {
        const full = await this.#read(() => {
          failures = 0;
        });
        if (full) waitMs = 4_000 + 4_000 * Math.random();
      } catch {
        waitMs = failures ? backoff(failures) : Math.min(waitMs, 1_000);
        failures += 1;
      }
      if (turn !== this.#turn) return;
      await new Promise((resolve) => {
        this.#wake = resolve;
        setTimeout(resolve, waitMs);
      });
    }
  }

  /** Read until the stream ends; say whether there was no room for one more. */
  async #read(opened) {
    const abort = (this.#abort = new AbortController());
    let watchdog = setTimeout(() => abort.abort(), SILENCE_MS);
    try {
      const headers = this.#lastId ? { "Last-Event-ID": this.#lastId } : {};
      const response = await fetch(this.#url, { headers, cache: "no-store", signal: abort.signal });
      if (response.status === 503) {
        await this.#on.full();
        return true;
      }
      if (!response.ok) throw new Error(`status ${response.status}`);
      opened();
      this.#on.up();
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      let text = "";
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        clearTimeout(watchdog);
        watchdog = setTimeout(() => abort.abort(), SILENCE_MS);
        const blocks = (text + value).split("\n\n");
        text = blocks.pop();
        for (const block of blocks) this.#take(block);
      }
      this.#on.down();
      return false;
    } catch (fault) {
      this.#on.down();
      throw fault;
    } finally {
      clearTimeout(watchdog);
      abort.abort();
    }
  }

  #take(block) {
    let event = "message";
    const data = [];
    for (const line of block.split("\n")) {
      const [, field, value] = /^([^:]*):? ?(.*)$/.exec(line);
      if (field === "event") event = value;
      else if (field === "data") data.push(value);
      else if (field === "id") this.#lastId = value;
      else if (field === "retry") this.#retryMs = Number(value);
    }
    if (data.length) this.#on.message(event, data.join("\n"));
  }
}
