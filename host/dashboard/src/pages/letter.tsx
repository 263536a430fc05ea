import { useState } from "preact/hooks";
import { call } from "../api/client.ts";
import type { LetterFull } from "../api/types.ts";
import { count } from "../lib/format.ts";
import { lacks } from "../state/live.ts";
import { Dialog } from "../ui/dialog.tsx";
import { Icon } from "../ui/icon.tsx";
import { Facts, Failure, Loading, Note } from "../ui/panel.tsx";
import { RoleButton } from "../ui/role.tsx";
import { At, Preview, Said, Value } from "../ui/text.tsx";
import { useResource } from "../ui/use.ts";
import { Act, Origin, statusWords } from "./dead-letters.tsx";

interface LetterProps {
  job: string;
  /** Empty: none is open. */
  id: string;
  done(): void;
  close(): void;
}

export function LetterDialog(props: LetterProps) {
  return props.id === "" ? null : <Letter {...props} key={props.id} />;
}

/** One dead letter in full. */
function Letter({ job, id, done, close }: LetterProps) {
  const found = useResource(`${job} ${id}`, (signal) =>
    call<LetterFull>(["v1", "jobs", job, "dead-letters", id], { signal }),
  );
  const [ask, setAsk] = useState<"retry" | "drop" | null>(null);
  const letter = found.value;
  return (
    <Dialog title={`Dead letter ${id}`} close={close} wide>
      <div class="dialog-body">
        {found.error !== null && <Failure text={found.error} again={found.again} />}
        {letter === null ? (
          found.error === null && <Loading what="the dead letter" again={found.again} />
        ) : (
          <Body letter={letter} />
        )}
      </div>
      <footer class="dialog-foot">
        <button type="button" onClick={close}>
          Close
        </button>
        <span class="grow" />
        {letter && letter.status !== "dropped" && !lacks("letters-retry") && (
          <>
            <RoleButton needs="operate" class="danger-text" onClick={() => setAsk("drop")}>
              <Icon name="trash" /> Drop
            </RoleButton>
            <RoleButton needs="operate" class="primary" onClick={() => setAsk("retry")}>
              <Icon name="retrying" /> {letter.status === "retried" ? "Retry again" : "Retry"}
            </RoleButton>
          </>
        )}
      </footer>
      {ask && letter && (
        <Act
          job={job}
          what={ask}
          letters={[letter]}
          close={() => setAsk(null)}
          done={() => {
            done();
            close();
          }}
        />
      )}
    </Dialog>
  );
}

function Body({ letter }: { letter: LetterFull }) {
  return (
    <>
      <p class="letter-reason">
        <Said text={letter.reason} lines />
      </p>
      <Facts
        facts={[
          ["Status", statusWords(letter)],
          ["Set aside", <At key="at" at={letter.at} />],
          ["From", <Origin key="from" letter={letter} />],
          ["Record's time", <At key="time" at={letter.source?.time} />],
          ["Stage", letter.stage ? <Said key="stage" text={letter.stage} /> : "–"],
          ["Version", `v${letter.version}, batch ${count(letter.batch)}`],
        ]}
      />
      {letter.retried && (
        <Note tone={letter.retried.outcome === "dead-letter" ? "warn" : "info"} icon="retrying">
          Retried <At at={letter.retried.at} /> by version {letter.retried.version}: {statusWords(letter)}
          {letter.retried.reason && (
            <>
              . <Said text={letter.retried.reason} lines />
            </>
          )}
        </Note>
      )}
      {letter.left_out && (
        <Note tone="warn" icon="warn">
          The record was too large for its topic: the letter came without key and value. Read it at its
          offset.
        </Note>
      )}
      <Value value={letter.key} label="Key" />
      <Value value={letter.value} label="Value" />
      <section class="value" aria-label="Headers">
        <header>
          <h3>Headers</h3>
          <span class="quiet">{letter.headers.length}</span>
        </header>
        <dl class="headers">
          {letter.headers.map((header, i) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: Kafka allows a header's name twice
            <div key={`${header.name} ${i}`}>
              <dt>
                <Said text={header.name} />
              </dt>
              <dd>
                <Preview value={header.value} />
              </dd>
            </div>
          ))}
        </dl>
      </section>
    </>
  );
}
