import { useEffect, useRef, useState } from 'preact/hooks';
import type { AuditView } from '../../fabric/operations/views/handshakes.ts';
import { run } from '../api/operations.ts';
import { problemOf } from '../api/problem.ts';
import type { Route } from '../app/address.ts';
import { useQuery } from '../app/query.ts';
import { count } from '../app/words.ts';
import { auditSentence } from '../audit/sentence.ts';
import { type Head, type Verdict, verifyTrail } from '../audit/verify.ts';
import { Copyable } from '../parts/copy.tsx';
import { Export } from '../parts/export.tsx';
import { TextField } from '../parts/field.tsx';
import { Page } from '../parts/page.tsx';
import { type Column, ListTable, ownerColumn, PAGE_ROWS } from '../parts/table.tsx';
import { When } from '../parts/when.tsx';

/** Entries that are read at once to be verified. */
const AT_ONCE = 500;

const COLUMNS: readonly Column<AuditView>[] = [
  { name: 'What', kind: 'main', cell: (entry) => <Entry entry={entry} /> },
  { name: 'When', cell: ({ at }) => <When at={at} /> },
  { name: 'Number', kind: 'number', cell: ({ seq }) => seq.toLocaleString('en') },
];

/** The audit trail as sentences, and whether its chain of hashes is whole, computed here. */
export function Audit({ route }: { readonly route: Route }) {
  const after = route.query.get('after') ?? undefined;
  const query = useQuery(`audit ${after}`, ['audit'], () => run('audit-list', { limit: PAGE_ROWS, after }));
  return (
    <Page
      title="Audit"
      sub="Each change of state: who did what. Entries can be added, and nothing else."
      actions={<Export list="audit-list" />}
    >
      {query.data?.rows.some(({ hash }) => hash === null) ? (
        <p class="quiet">
          The trail is one for all owners of the fabric: whoever runs it verifies all of it.
        </p>
      ) : (
        <Verification newest={after === undefined ? query.data?.rows[0]?.seq : undefined} />
      )}
      <ListTable
        caption="Audit trail"
        query={query}
        columns={[...COLUMNS, ...ownerColumn<AuditView>()]}
        keyOf={({ seq }) => seq}
        route={route}
        empty={<p>Nothing yet.</p>}
      />
    </Page>
  );
}

function Entry({ entry }: { readonly entry: AuditView }) {
  const { action, actor, subject, detail, hash } = entry;
  return (
    <details>
      <summary>{auditSentence(entry)}</summary>
      <pre>{JSON.stringify({ action, actor, subject, detail, hash }, null, 2)}</pre>
    </details>
  );
}

type State =
  | { readonly kind: 'idle' }
  | { readonly kind: 'running'; readonly at: number | undefined }
  | { readonly kind: 'failed'; readonly why: string }
  | Verdict;

/** Verifies the whole trail when asked, and what comes after that by itself. */
function Verification({ newest }: { readonly newest: number | undefined }) {
  const [state, setState] = useState<State>({ kind: 'idle' });
  const [verified, setVerified] = useState<{ readonly head: Head; readonly entries: number }>();
  const stop = useRef<AbortController>(undefined);
  useEffect(() => () => stop.current?.abort(), []);
  const verify = async (known: typeof verified): Promise<void> => {
    stop.current?.abort();
    const control = new AbortController();
    stop.current = control;
    setState({ kind: 'running', at: undefined });
    try {
      const verdict = await verifyTrail((after) => run('audit-list', { limit: AT_ONCE, after }), {
        ...(known === undefined ? {} : { known: known.head }),
        progress: (at) => setState({ kind: 'running', at }),
        signal: control.signal,
      });
      if (verdict.kind === 'whole')
        setVerified({ head: verdict.head, entries: (known?.entries ?? 0) + verdict.entries });
      setState(verdict);
    } catch (error) {
      if (!control.signal.aborted) setState({ kind: 'failed', why: problemOf(error).message });
    }
  };
  useEffect(() => {
    if (
      state.kind === 'whole' &&
      verified !== undefined &&
      newest !== undefined &&
      newest > verified.head.seq
    )
      void verify(verified);
  }, [newest, state.kind]);
  if (state.kind === 'whole' && verified !== undefined) return <Whole {...verified} />;
  return (
    <div
      class={state.kind === 'broken' ? 'problem' : 'bar'}
      role={state.kind === 'broken' ? 'alert' : 'status'}
    >
      {state.kind === 'broken' && (
        <>
          <p class="problem-title">
            The trail is broken at entry {state.seq}: {state.why}.
          </p>
          <p>
            Something else than the fabric has written to the registry, or a backup was put back. Keep the
            files as they are, and see whether it is whole in a backup:{' '}
            <code>enf-fabric backup verify FILE</code>
          </p>
        </>
      )}
      {state.kind === 'failed' && <p class="bad">Not verified: {state.why}</p>}
      {state.kind === 'running' ? (
        <>
          <span>
            {state.at === undefined ? 'Reading …' : `Fits down to entry ${state.at.toLocaleString('en')} …`}
          </span>
          <button
            type="button"
            class="link"
            onClick={() => {
              stop.current?.abort();
              setState({ kind: 'idle' });
            }}
          >
            Stop
          </button>
        </>
      ) : (
        <button type="button" onClick={() => void verify(undefined)}>
          Verify in this browser
        </button>
      )}
    </div>
  );
}

function Whole({ head, entries }: { readonly head: Head; readonly entries: number }) {
  const [kept, setKept] = useState('');
  return (
    <>
      <div class="note" role="status">
        <p>
          ✓ {count(entries, 'entry', 'entries')} up to number {head.seq.toLocaleString('en')} fit together.
        </p>
        <p>
          Head: <Copyable text={`${head.seq} ${head.hash}`} /> – kept elsewhere, it finds a trail that was
          replaced.
        </p>
      </div>
      <details>
        <summary>Compare with a head that you have kept</summary>
        <KeptHead kept={kept} change={setKept} head={head} />
      </details>
    </>
  );
}

function KeptHead({
  kept,
  change,
  head,
}: {
  readonly kept: string;
  readonly change: (text: string) => void;
  readonly head: Head;
}) {
  const [answer, setAnswer] = useState<{ readonly good: boolean; readonly text: string }>();
  const compare = async (event: Event): Promise<void> => {
    event.preventDefault();
    const found = /^(\d{1,15})\s+([0-9a-f]{64})$/.exec(kept.trim().toLowerCase());
    if (found === null) {
      setAnswer({ good: false, text: 'That is no head: expected a number and 64 hex digits.' });
      return;
    }
    const [seq, hash] = [Number(found[1]), found[2]!];
    if (seq > head.seq) {
      setAnswer({
        good: false,
        text: `The trail ends at ${head.seq}: entries that were once written are missing.`,
      });
      return;
    }
    try {
      await run('audit-verify', { seq, hash });
      setAnswer({ good: true, text: `✓ Entry ${seq} is the one that you have kept.` });
    } catch (error) {
      setAnswer({ good: false, text: problemOf(error).message });
    }
  };
  return (
    <form onSubmit={compare}>
      <TextField label="Number and hash" value={kept} change={change} maxLength={90} />
      <button type="submit">Compare</button>
      {answer !== undefined && (
        <p class={answer.good ? 'good' : 'bad'} role="status">
          {answer.text}
        </p>
      )}
    </form>
  );
}
