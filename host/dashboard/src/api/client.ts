import { refused, token } from "./session.ts";

/** Why a call has no result. `message` is for people, in the host's words where it answered. */
export class CallError extends Error {
  constructor(
    readonly kind: "offline" | "timeout" | "host" | "unreadable",
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

export interface Call {
  method?: "GET" | "POST" | "DELETE";
  query?: Query;
  json?: unknown;
  signal?: AbortSignal;
  timeoutMs?: number;
}

export type Query = [string, string][];

/** As long as a call that reads may take, and one that changes something: a deployment waits for servers. */
export const READ_MS = 15_000;
export const CHANGE_MS = 600_000;

/** The address of a call, relative to the page, so that a proxy may serve it below a path. */
export function address(path: string[], query: Query = []): string {
  const text = new URLSearchParams(query).toString();
  return `./${path.map(encodeURIComponent).join("/")}${text ? `?${text}` : ""}`;
}

export function headers(): Record<string, string> {
  return token.value ? { authorization: `Bearer ${token.value}` } : {};
}

/** Calls the host and gives its JSON, or throws a `CallError`. */
export async function call<T>(path: string[], options: Call = {}): Promise<T> {
  const method = options.method ?? "GET";
  const limit = options.timeoutMs ?? (method === "GET" ? READ_MS : CHANGE_MS);
  const timeout = AbortSignal.timeout(limit);
  const body = options.json === undefined ? null : JSON.stringify(options.json);
  let answer: Response;
  let text: string;
  try {
    answer = await fetch(address(path, options.query), {
      method,
      body,
      headers: { ...headers(), ...(body ? { "content-type": "application/json" } : {}) },
      cache: "no-store",
      credentials: "same-origin",
      signal: options.signal ? AbortSignal.any([options.signal, timeout]) : timeout,
    });
    text = await answer.text();
  } catch (error) {
    if (options.signal?.aborted) throw error;
    if (timeout.aborted)
      throw new CallError("timeout", 0, `The host did not answer within ${limit / 1000} s.`);
    throw new CallError("offline", 0, "The host does not answer. Is the daemon running?");
  }
  return read<T>(answer.status, text);
}

/** Turns a status and a body into a value or an error. */
export function read<T>(status: number, text: string): T {
  let value: unknown;
  try {
    value = text === "" ? null : JSON.parse(text);
  } catch {
    if (status < 400)
      throw new CallError("unreadable", status, "The host's answer is not JSON. Is a proxy in between?");
  }
  if (status < 400) return value as T;
  const said = typeof value === "object" && value !== null && "error" in value ? String(value.error) : "";
  const message = said || `The host answered ${status} and gave no reason.`;
  if (status === 401) refused.value = message;
  throw new CallError("host", status, message);
}

export type Progress = (sent: number, total: number) => void;

/** Sends a component. `fetch` does not tell how much of a body was sent; this does. */
export function upload<T>(
  path: string[],
  query: Query,
  body: Blob,
  on: Progress,
  signal: AbortSignal,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", address(path, query));
    request.timeout = CHANGE_MS;
    request.setRequestHeader("content-type", "application/wasm");
    for (const [name, value] of Object.entries(headers())) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => on(event.loaded, event.total);
    request.upload.onload = () => on(body.size, body.size);
    request.onload = () => {
      try {
        resolve(read<T>(request.status, request.responseText));
      } catch (error) {
        reject(error);
      }
    };
    const fail = (kind: "offline" | "timeout", words: string) => () => reject(new CallError(kind, 0, words));
    request.onerror = fail("offline", "The host does not answer. Is the daemon running?");
    request.ontimeout = fail("timeout", `The host did not answer within ${CHANGE_MS / 1000} s.`);
    request.onabort = fail(
      "offline",
      "Cancelled. The host may have finished nevertheless: look at the versions.",
    );
    signal.addEventListener("abort", () => request.abort());
    request.send(body);
  });
}

/** What to show of anything that was thrown. */
export function words(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
