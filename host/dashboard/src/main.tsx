import "uplot/dist/uPlot.min.css";
import "./styles/base.css";
import "./styles/controls.css";
import "./styles/shell.css";
import "./styles/table.css";
import "./styles/job.css";
import "./styles/chart.css";
import "./styles/pages.css";
import { render } from "preact";
import { App } from "./app.tsx";
import { start } from "./state/live.ts";
import { follow } from "./state/me.ts";

const root = document.getElementById("app");
if (root) {
  root.replaceChildren();
  render(<App />, root);
  start();
  follow();
}
