// The administration's key: in this tab's sessionStorage alone, sent as a header, never in an address
// or a cookie. Every request of the box office goes through `ask`.

const NAME = "soldout.admin-key";
const ANSWER_MS = 10_000;
let key = "";

try {
  key = sessionStorage.getItem(NAME) ?? "";
} catch {
  // where a browser keeps nothing, it is known until the page is left
}

export const hasKey = () => key !== "";

export function keepKey(text) {
  key = text;
  try {
    if (text) sessionStorage.setItem(NAME, text);
    else sessionStorage.removeItem(NAME);
  } catch {
    // as above
  }
}

/** The key is none of this service's, or no longer. */
export class WrongKey extends Error {
  #key;

  constructor(key) {
    super();
    this.#key = key;
  }

  /** Whether it is still the one to be sent: another may have been written before the answer came. */
  get isKept() {
    return this.#key === key;
  }
}

/** The service said no; `message` says why, in its own words. */
export class Refused extends Error {
  constructor(status, problem) {
    super(problem?.detail ?? `The service answered ${status}.`);
    this.status = status;
    this.slug = String(problem?.type).split("/").pop();
  }
}

/** Ask the service. Throws WrongKey, Refused, or what fetch throws if nobody answers in time. */
export async function ask(path, { method = "GET", body, accept = "application/json", patient } = {}) {
  const sent = key;
  if (!/^[ -~]+$/.test(sent)) throw new WrongKey(sent); // no header can carry it
  const response = await fetch(path, {
    method,
    cache: "no-store",
    headers: {
      Authorization: `Bearer ${sent}`,
      Accept: accept,
      ...(body ? { "Content-Type": "application/json" } : {}),
    },
    body: body && JSON.stringify(body),
    signal: patient ? undefined : AbortSignal.timeout(ANSWER_MS),
  });
  if (response.ok) return response;
  const problem = await response.json().catch(() => null);
  const refused = new Refused(response.status, problem);
  if (["unauthorized", "forbidden"].includes(refused.slug)) throw new WrongKey(sent);
  throw refused;
}

export const askJson = async (path, options) => (await ask(path, options)).json();

/** Why something did not succeed, for people. */
export function why(fault) {
  if (fault instanceof Refused) return fault.message;
  if (fault instanceof WrongKey) return "The key is not one of this service’s any more. Sign in again.";
  return "The service did not answer, so it is not known whether it was done. Look at what it shows.";
}
