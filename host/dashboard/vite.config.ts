import { defineConfig } from "vite";
import { mockPlugin } from "./mock/plugin.ts";

// File names carry no hash: the host embeds each file by its name and answers with an ETag.
export default defineConfig({
  plugins: [mockPlugin()],
  base: "./",
  build: {
    target: ["chrome123", "firefox124", "safari17.5"], // `light-dark()`, `AbortSignal.any`
    assetsInlineLimit: 0, // a `data:` URL would break `default-src 'self'`
    modulePreload: false,
    cssCodeSplit: false,
    license: { fileName: "licenses.md" },
    rolldownOptions: {
      output: {
        entryFileNames: "app.js",
        assetFileNames: (asset) =>
          asset.names.some((name) => name.endsWith(".css")) ? "app.css" : "[name][extname]",
        codeSplitting: false,
      },
    },
  },
});
