import type { Plugin } from "vite";
import { handler, noFaults } from "./server.ts";
import { World } from "./world.ts";

/** In `npm run dev` the simulated host answers under /v1, unless STREAMHOST_URL names a real one. */
export function mockPlugin(): Plugin {
  return {
    name: "simulated-host",
    config: () => {
      const target = process.env.STREAMHOST_URL;
      return target ? { server: { proxy: { "/v1": { target, changeOrigin: true } } } } : {};
    },
    configureServer(server) {
      if (process.env.STREAMHOST_URL) return;
      const answer = handler(new World(), noFaults(), {});
      server.middlewares.use((request, response, next) =>
        request.url?.startsWith("/v1/") ? answer(request, response) : next(),
      );
    },
  };
}
