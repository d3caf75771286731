// From counters that only grow to rates: the difference of two answers of `/admin/now`, divided by
// that of the host's own clock. Where a balancer asks one host and then another, each is compared
// with itself, and what they did is added up.

const LOOK_BACK_MS = 10_000; // for averages and quantiles, which a single second says little of
const FORGET_MS = 15_000;
export const TIMES = ["lock_wait_seconds", "purchase_seconds", "commit_seconds"];
const SPREADS = ["batch_size", ...TIMES];
const SETTLED = new Set(["sold", "replayed", "pending"]);

const answers = new Map(); // of each host: the last ones since its start, oldest first

/** Take in an answer; return what was done a second, or null if it tells nothing that is new. */
export function rateOf(told) {
  const { name } = told.this_host;
  const now = Date.now();
  for (const [host, list] of answers) if (now - list.at(-1).at > FORGET_MS) answers.delete(host);
  const known = sinceItsStart(answers.get(name) ?? [], told);
  if (known.length && told.clock_ms <= known.at(-1).told.clock_ms) return null; // a look that was shared
  known.push({ at: now, told });
  while (known.length > 2 && now - known[1].at > LOOK_BACK_MS) known.shift();
  answers.set(name, known);
  const hosts = [...answers.values()].filter((list) => list.length > 1);
  return hosts.length ? sumOf(hosts) : null;
}

/** What is known of a host, unless it was started anew, and counts from nothing again. */
const sinceItsStart = (known, told) =>
  known.at(-1)?.told.this_host.started_at === told.this_host.started_at ? known : [];

export const hostsSeen = () => [...answers.values()].map((list) => list.at(-1).told.this_host.name);

function sumOf(hosts) {
  const purchases = {};
  const spreads = Object.fromEntries(SPREADS.map((name) => [name, { count: 0, sum: 0, counts: [], bounds: [] }]));
  let lookedBack = 0;
  for (const list of hosts) {
    const [before, after] = [list.at(-2).told, list.at(-1).told];
    const seconds = (after.clock_ms - before.clock_ms) / 1000;
    for (const [outcome, total] of Object.entries(after.this_host.purchases)) {
      const done = total - (before.this_host.purchases[outcome] ?? 0);
      purchases[outcome] = (purchases[outcome] ?? 0) + done / seconds;
    }
    const oldest = list[0].told;
    lookedBack = Math.max(lookedBack, (after.clock_ms - oldest.clock_ms) / 1000);
    for (const name of SPREADS) add(spreads[name], after.this_host[name], oldest.this_host[name]);
  }
  const refusals = Object.entries(purchases).filter(([outcome, rate]) => !SETTLED.has(outcome) && rate > 0);
  return {
    sold: purchases.sold ?? 0,
    replayed: purchases.replayed ?? 0,
    refused: refusals.reduce((sum, [, rate]) => sum + rate, 0),
    refusals: refusals.sort((a, b) => b[1] - a[1]),
    batches: lookedBack ? spreads.batch_size.count / lookedBack : 0,
    ...spreads,
  };
}

function add(sum, after, before) {
  sum.count += after.count - before.count;
  sum.sum += after.sum - before.sum;
  sum.bounds = after.bounds;
  sum.counts = after.counts.map((n, i) => n - before.counts[i] + (sum.counts[i] ?? 0));
}

export const mean = (spread) => (spread.count ? spread.sum / spread.count : null);

/** Estimate below what so many of the values lie, evenly spread within each range; null for none. */
export function quantile(spread, part) {
  let rank = part * spread.count;
  if (!spread.count) return null;
  for (const [i, n] of spread.counts.entries()) {
    if (rank <= n) {
      const from = i ? spread.bounds[i - 1] : 0;
      return i < spread.bounds.length ? from + (spread.bounds[i] - from) * (rank / n) : Infinity;
    }
    rank -= n;
  }
  return Infinity;
}
