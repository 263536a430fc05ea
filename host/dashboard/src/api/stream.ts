import { createParser } from "eventsource-parser";
import { address, headers, type Query, read } from "./client.ts";
import type { Hello, JobEvent, JobSummary, LogLine } from "./types.ts";

/** What the stream tells; `EventSource` cannot send the token's header, so this reads a fetched body. */
export interface Listener {
  hello(hello: Hello): void;
  jobs(jobs: JobSummary[]): void;
  job(event: JobEvent): void;
  gone(message: string): void;
  log(lines: LogLine[]): void;
  /** The stream ended, and why; the caller opens the next one. */
  ended(error: unknown): void;
}

/** Silence after which the host counts as away, until its `hello` says how often it sends. */
const SILENCE_MS = 5000;
const BEATS_MISSED = 2.5;
/** One event; a longer one is not the host's. */
const BUFFER_MAX = 8 << 20;

/** Opens the stream of events. The function it returns closes it without a word. */
export function open(query: Query, on: Listener): () => void {
  const stop = new AbortController();
  const silence = new Silence(() => stop.abort(new Error("The host has said nothing for a while.")));
  let closed = false;
  run(query, on, stop, silence)
    .then(() => new Error("The host closed the connection."))
    .catch((error: unknown) => (stop.signal.aborted ? stop.signal.reason : error))
    .then((error) => {
      silence.end();
      if (!closed) on.ended(error);
    });
  return () => {
    closed = true;
    silence.end();
    stop.abort();
  };
}

async function run(query: Query, on: Listener, stop: AbortController, silence: Silence): Promise<void> {
  const answer = await fetch(address(["v1", "events"], query), {
    headers: { ...headers(), accept: "text/event-stream" },
    cache: "no-store",
    signal: stop.signal,
  });
  if (!answer.ok) read(answer.status, await answer.text());
  if (!answer.body || !answer.headers.get("content-type")?.startsWith("text/event-stream")) {
    throw new Error("The host's answer is no stream of events. Is a proxy in between?");
  }
  const parser = createParser({
    maxBufferSize: BUFFER_MAX,
    onError: (error) => {
      if (error.type === "max-buffer-size-exceeded")
        stop.abort(new Error("The host sent an event that is too large."));
    },
    onEvent: (event) => dispatch(event.event ?? "", event.data, on, silence),
  });
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    silence.heard();
    parser.feed(value);
  }
}

function dispatch(name: string, data: string, on: Listener, silence: Silence): void {
  const value: unknown = JSON.parse(data || "null");
  if (name === "hello") {
    silence.allow((value as Hello).beat_ms * BEATS_MISSED);
    on.hello(value as Hello);
  } else if (name === "jobs") on.jobs(value as JobSummary[]);
  else if (name === "job") on.job(value as JobEvent);
  else if (name === "log") on.log(value as LogLine[]);
  else if (name === "gone") on.gone((value as { error: string }).error);
  // `beat`, and events of a newer host, only break the silence
}

/** Calls back when nothing was heard for too long. */
class Silence {
  private timer: ReturnType<typeof setTimeout> | undefined;
  private allowed = SILENCE_MS;

  constructor(private readonly over: () => void) {
    this.heard();
  }

  allow(ms: number): void {
    if (Number.isFinite(ms) && ms > 0) this.allowed = Math.max(1000, ms);
    this.heard();
  }

  heard(): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(this.over, this.allowed);
  }

  end(): void {
    clearTimeout(this.timer);
  }
}
