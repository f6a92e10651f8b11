// The server's HTTP contract: config, offer, session end; the bearer token; problem+json errors.

const TOKEN_KEY = "omnisync-token";

/** An answer that is not 2xx. `status`, `detail` (one line), `retryAfter` seconds or null. */
export class ApiError extends Error {
  constructor(status, detail, retryAfter = null) {
    super(detail);
    this.name = "ApiError";
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

/** The server did not answer at all. */
export class Unreachable extends Error {
  constructor(cause) {
    super("The server does not answer.", { cause });
    this.name = "Unreachable";
  }
}

export const token = {
  get: () => sessionStorage.getItem(TOKEN_KEY),
  set: (value) => sessionStorage.setItem(TOKEN_KEY, value),
};

function headers(extra = {}) {
  const value = token.get();
  return value ? { ...extra, Authorization: `Bearer ${value}` } : extra;
}

// Retry-After is seconds or an HTTP date (RFC 9110, 10.2.3).
function retryAfterSeconds(response) {
  const text = response.headers.get("Retry-After");
  if (!text) return null;
  const seconds = Number(text);
  if (Number.isFinite(seconds)) return Math.max(1, Math.ceil(seconds));
  const date = Date.parse(text);
  return Number.isNaN(date) ? null : Math.max(1, Math.ceil((date - Date.now()) / 1000));
}

async function problem(response) {
  let detail = "";
  try {
    const body = await response.json();
    detail = body.detail || body.title || "";
  } catch {
    detail = response.statusText;
  }
  return new ApiError(response.status, detail || `HTTP ${response.status}`, retryAfterSeconds(response));
}

async function request(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { cache: "no-store", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Unreachable(error);
  }
  if (!response.ok) throw await problem(response);
  return response;
}

/** ICE servers, limits and model facts. */
export async function fetchConfig() {
  const response = await request("/api/config", { headers: headers() });
  return response.json();
}

/** Posts an offer `{sdp, type, strength?, face_box?, person?}`; gives `{sdp, type, pc_id}`. */
export async function postOffer(offer, signal) {
  const response = await request("/api/offer", {
    method: "POST",
    headers: headers({ "Content-Type": "application/json" }),
    body: JSON.stringify(offer),
    signal,
  });
  return response.json();
}

/** Ends a session; also while the page is being closed. A session that is gone already is fine. */
export async function endSession(id) {
  try {
    await request(`/api/sessions/${encodeURIComponent(id)}`, {
      method: "DELETE",
      headers: headers(),
      keepalive: true,
    });
  } catch (error) {
    if (!(error instanceof ApiError || error instanceof Unreachable)) throw error;
  }
}
