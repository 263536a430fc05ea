import { useEffect, useRef } from "preact/hooks";
import { refused } from "./api/session.ts";
import { AuditPage } from "./pages/audit.tsx";
import { DeployPage } from "./pages/deploy.tsx";
import { HostPage } from "./pages/host.tsx";
import { JobPage } from "./pages/job.tsx";
import { JobsPage } from "./pages/jobs.tsx";
import { LoginPage } from "./pages/login.tsx";
import { Header } from "./shell/header.tsx";
import { LostBanner } from "./shell/lost.tsx";
import { Notices } from "./shell/notices.tsx";
import { page, route } from "./state/route.ts";

export function App() {
  if (refused.value !== null) return <LoginPage words={refused.value} />;
  return (
    <>
      <button type="button" class="skip" onClick={() => document.getElementById("main")?.focus()}>
        Skip to content
      </button>
      <Header />
      <LostBanner />
      <Main />
      <Notices />
    </>
  );
}

function Main() {
  const main = useRef<HTMLElement>(null);
  const first = useRef(true);
  const at = page.value;
  // biome-ignore lint/correctness/useExhaustiveDependencies: another page begins at its top, for eyes and for readers
  useEffect(() => {
    if (first.current) {
      first.current = false;
      return;
    }
    main.current?.focus({ preventScroll: true });
    scrollTo(0, 0);
  }, [at]);
  return (
    <main id="main" ref={main} tabIndex={-1}>
      <Page />
    </main>
  );
}

function Page() {
  const [first, job, tab = "overview", ...rest] = route.value.path;
  if (first === undefined) return <JobsPage />;
  if (first === "deploy" && !job) return <DeployPage />;
  if (first === "audit" && !job) return <AuditPage />;
  if (first === "host" && !job) return <HostPage />;
  if (first === "jobs" && job) return <JobPage key={job} job={job} tab={tab} rest={rest} />;
  return (
    <div class="page">
      <h1>There is no such page</h1>
      <p>
        <a href="#/">All jobs</a>
      </p>
    </div>
  );
}
