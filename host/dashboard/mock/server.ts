// The API of API.md over a simulated host, and the files of `dist` as the host serves them.

import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Role } from "../src/api/types.ts";
import { auditPage } from "./audit.ts";
import { setShare } from "./canary.ts";
import { check } from "./check.ts";
import { stream } from "./events.ts";
import { letterPage } from "./letters.ts";
import { replay, stopReplay } from "./replay.ts";
import { dropShadow, shadow } from "./shadow.ts";
import { graph, settings, stages, state, status, watermarks } from "./views.ts";
import { Refused, type World } from "./world.ts";

/** What the binary sends with the page: nothing from elsewhere, no inline script or style. */
export const POLICY =
  "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

const FILES: Record<string, [string, string]> = {
  "/": ["index.html", "text/html; charset=utf-8"],
  "/app.js": ["app.js", "text/javascript; charset=utf-8"],
  "/app.css": ["app.css", "text/css; charset=utf-8"],
  "/icon.svg": ["icon.svg", "image/svg+xml"],
  "/licenses.md": ["licenses.md", "text/markdown; charset=utf-8"],
};

export interface MockOptions {
  token?: string;
  /** What the token may do; all without it. */
  role?: Role;
  dist?: string;
}

/** Switches that tests turn. */
export interface Faults {
  /** Streams stay open and say nothing; calls are not answered. */
  frozen: boolean;
  /** Paths that answer 500 with these words. */
  broken: Map<string, string>;
  /** How long a change takes. */
  delayMs: number;
  /** Streams that are open now: to be read. */
  streams: number;
}

export interface Mock {
  server: Server;
  url: string;
  faults: Faults;
  close(): Promise<void>;
}

export function handler(world: World, faults: Faults, options: MockOptions) {
  return (request: IncomingMessage, response: ServerResponse) => {
    answer(world, faults, options, request, response).catch((error: unknown) => {
      const known = error instanceof Refused;
      send(response, known ? error.status : 500, { error: known ? error.message : String(error) });
    });
  };
}

export function noFaults(): Faults {
  return { frozen: false, broken: new Map(), delayMs: 150, streams: 0 };
}

/** Listens on loopback; port 0: any that is free. */
export async function serve(world: World, options: MockOptions = {}, port = 0): Promise<Mock> {
  const faults = noFaults();
  const server = createServer(handler(world, faults, options));
  await new Promise<void>((done) => server.listen(port, "127.0.0.1", done));
  const timer = setInterval(() => world.tick(), 250);
  const at = (server.address() as AddressInfo).port;
  const close = () =>
    new Promise<void>((done) => {
      clearInterval(timer);
      server.close(() => done());
      server.closeAllConnections();
    });
  return { server, url: `http://127.0.0.1:${at}`, faults, close };
}

function send(response: ServerResponse, code: number, body: unknown): void {
  if (response.headersSent) return void response.end();
  const text = body === null ? "" : JSON.stringify(body);
  const extra: Record<string, string> = code === 401 ? { "www-authenticate": "Bearer" } : {};
  response.writeHead(code, {
    "content-type": "application/json",
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    ...extra,
  });
  response.end(text);
}

async function answer(
  world: World,
  faults: Faults,
  options: MockOptions,
  request: IncomingMessage,
  response: ServerResponse,
) {
  const url = new URL(request.url ?? "/", "http://mock");
  const file = FILES[url.pathname];
  if (file && options.dist) {
    const [name, type] = file;
    response.writeHead(200, {
      "content-type": type,
      "content-security-policy": POLICY,
      "x-content-type-options": "nosniff",
      "cache-control": "no-cache",
    });
    return void response.end(readFileSync(`${options.dist}/${name}`));
  }
  if (faults.frozen) return undefined; // never answered
  const refusal = refuse(request, options) ?? refuseRole(request.method ?? "GET", url.pathname, options);
  if (refusal) return send(response, refusal.status, { error: refusal.message });
  const broken = faults.broken.get(url.pathname);
  if (broken !== undefined) throw new Refused(500, broken);
  if (url.pathname === "/v1/events") return stream(world, faults, url.searchParams, request, response);
  const body = request.method === "GET" ? Buffer.alloc(0) : await read(request);
  if (request.method !== "GET") await new Promise((done) => setTimeout(done, faults.delayMs));
  world.tick();
  const path = url.pathname.split("/").filter(Boolean).map(decodeURIComponent);
  const said = route(world, request.method ?? "GET", path, url.searchParams, body, options);
  return send(response, said === null ? 204 : 200, said);
}

function refuse(request: IncomingMessage, options: MockOptions): Refused | null {
  if (options.token === undefined) return null;
  const given = request.headers.authorization;
  if (given === `Bearer ${options.token}`) return null;
  return new Refused(
    401,
    given === undefined
      ? "this daemon wants its token: set STREAMHOST_TOKEN, or send `Authorization: Bearer TOKEN`"
      : "this is not the daemon's token: look at the file that `token-file` names",
  );
}

const ROLES: Role[] = ["read", "operate", "deploy"];

/** What the host's token may not do. */
function refuseRole(method: string, path: string, { role = "deploy" }: MockOptions): Refused | null {
  const deploys =
    method === "DELETE" || path === "/v1/jobs" || path === "/v1/check" || path.endsWith("/promote");
  const needs: Role = method === "GET" ? "read" : deploys ? "deploy" : "operate";
  if (ROLES.indexOf(role) >= ROLES.indexOf(needs)) return null;
  return new Refused(
    403,
    `the token \`night-shift\` has the role \`${role}\`, and this needs \`${needs}\`: ask who runs the host for one that has it`,
  );
}

async function read(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

function component(body: Buffer): void {
  if (body.subarray(0, 4).toString("latin1") !== "\0asm") {
    throw new Refused(
      422,
      "this is no WebAssembly component: it begins with other bytes. `streamhost build DIR` makes one",
    );
  }
}

function pairs(query: URLSearchParams): Record<string, string> {
  return Object.fromEntries(
    query.getAll("set").map((pair) => {
      const at = pair.indexOf("=");
      if (at < 1) throw new Refused(400, `\`set=${pair}\`: a setting is KEY=VALUE, escaped for a URL`);
      return [pair.slice(0, at), pair.slice(at + 1)];
    }),
  );
}

function route(
  world: World,
  method: string,
  path: string[],
  query: URLSearchParams,
  body: Buffer,
  options: MockOptions,
): unknown {
  const [v1, area, job, what, id] = path;
  if (v1 === "v1" && area === "me")
    return { name: options.token === undefined ? null : "night-shift", role: options.role ?? "deploy" };
  if (v1 === "v1" && area === "host") return world.host(options.token !== undefined);
  if (v1 === "v1" && area === "audit") return auditPage(world, query);
  if (v1 === "v1" && area === "check" && method === "POST") {
    component(body);
    pairs(query);
    return check(world, body, query);
  }
  if (v1 === "v1" && area === "jobs") {
    if (job === undefined)
      return method === "POST"
        ? deploy(world, body, query)
        : [...world.jobs.values()].map((j) => status(j, world.now()));
    return method === "GET"
      ? readJob(world, job, what, id, query)
      : changeJob(world, method, job, what, id, body, query);
  }
  throw new Refused(404, `there is nothing at /${path.join("/")}: /v1/openapi.json lists what there is`);
}

function deploy(world: World, body: Buffer, query: URLSearchParams): unknown {
  component(body);
  const found = check(world, body, query);
  if (found.errors.length > 0) throw new Refused(422, found.errors.join("\n"));
  return world.deploy(found.job, pairs(query));
}

function readJob(
  world: World,
  name: string,
  what: string | undefined,
  id: string | undefined,
  query: URLSearchParams,
): unknown {
  const job = world.job(name);
  const now = world.now();
  switch (what) {
    case undefined:
      return status(job, now);
    case "history":
      return job.deployments;
    case "logs":
      return job.lines.filter((line) => line.number > Number(query.get("after") ?? 0));
    case "graph":
      return graph(job, now);
    case "series":
      return job.series();
    case "batches":
      return { every_ms: job.def.everyMs, kept_max: 300, batches: job.batches };
    case "watermarks":
      return watermarks(job, now);
    case "stages":
      return stages(job, now);
    case "settings":
      return settings(job);
    case "shadow":
      return shadow(job, now);
    case "replay":
      return replay(job, now);
    case "dead-letters":
      return id === undefined
        ? letterPage(job, world.letters.get(name) ?? [], query, now)
        : world.letter(name, id);
    case "state": {
      const stage = job.def.stages.find((s) => s.name === id);
      if (!stage)
        throw new Refused(
          404,
          `\`${name}\` has no stage \`${id}\`: it has ${job.def.stages.map((s) => s.name).join(", ") || "none"}`,
        );
      return state(job, stage, query, now);
    }
    default:
      throw new Refused(
        404,
        `there is nothing at /v1/jobs/${name}/${what}: /v1/openapi.json lists what there is`,
      );
  }
}

function changeJob(
  world: World,
  method: string,
  name: string,
  what: string | undefined,
  id: string | undefined,
  body: Buffer,
  query: URLSearchParams,
): unknown {
  if (method === "DELETE" && what === undefined) {
    world.undeploy(name);
    return null;
  }
  if (method === "DELETE" && what === "shadow") {
    dropShadow(world.job(name), world.now());
    return null;
  }
  if (method === "DELETE" && what === "replay") {
    return stopReplay(world.job(name), world.now());
  }
  if (what === "promote") {
    const part = query.get("to");
    if (setShare(world.job(name), part) && part !== null) return world.deployed(name);
    dropShadow(world.job(name), world.now());
    return world.deploy(name, {});
  }
  const json = body.length > 0 ? (JSON.parse(body.toString()) as Record<string, unknown>) : {};
  if (what === "pause") return status(world.change(name, "paused"), world.now());
  if (what === "resume") return status(world.change(name, "running"), world.now());
  const version = typeof json.version === "number" ? json.version : null;
  // A canary ends with it; where no version is said, that is all.
  if (what === "rollback" && setShare(world.job(name), null) && version === null) {
    return world.deployed(name);
  }
  if (what === "rollback") return world.rollback(name, version);
  if (what === "dead-letters" && (id === "retry" || id === "drop")) {
    return world.act(name, id, Array.isArray(json.ids) ? json.ids.map(String) : [], json.again === true);
  }
  throw new Refused(405, `/v1/jobs/${name}/${what} does not take ${method}: see /v1/openapi.json`);
}
