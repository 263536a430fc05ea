import { defineConfig } from "vitest/config";

// The pages are tested in a browser, one file after the other: they share a machine with few cores.
export default defineConfig({
  test: {
    projects: [
      { test: { name: "unit", include: ["tests/unit/*.test.ts"] } },
      {
        test: {
          name: "browser",
          include: ["tests/browser/*.test.ts"],
          fileParallelism: false,
          testTimeout: 60_000,
          hookTimeout: 60_000,
          // Until when a condition must hold: a bound for busy machines, and no wait.
          expect: { poll: { timeout: 20_000 } },
        },
      },
    ],
  },
});
