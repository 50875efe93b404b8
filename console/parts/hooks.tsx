import { useEffect, useState } from 'preact/hooks';
import type { DeliveryView, HookView } from '../../fabric/operations/views/alarms.ts';
import { run } from '../api/operations.ts';
import { useQuery } from '../app/query.ts';
import { Copyable } from './copy.tsx';
import { TextField } from './field.tsx';
import { Section } from './page.tsx';
import { Sheet } from './sheet.tsx';
import { Rows } from './table.tsx';
import { When } from './when.tsx';

const DELIVERIES = 20;

type Asked = { readonly what: 'remove' | 'deliveries'; readonly hook: HookView } | 'new';

/** The programs and mailboxes that hear of alarms. */
export function Hooks() {
  const { data, again } = useQuery('hooks', ['audit'], () => run('hook-list', {}));
  const [asked, ask] = useState<Asked>();
  const [secret, setSecret] = useState<string>();
  const close = (): void => ask(undefined);
  return (
    <Section title="Who else hears of them">
      <p class="quiet">
        Each alarm is sent to these addresses when it opens, is acknowledged and ends: signed, and tried for a
        day.
      </p>
      {secret !== undefined && (
        <div class="note" role="status">
          The key of its signatures, which nobody can read again: <Copyable text={secret} />
        </div>
      )}
      {data !== undefined && data.rows.length > 0 && (
        <Rows
          caption="Hooks"
          rows={data.rows}
          keyOf={({ id }) => id}
          columns={[
            { name: 'Name', kind: 'main', cell: ({ name }) => name },
            { name: 'Goes to', cell: ({ to }) => <code>{to}</code> },
            { name: 'Added', cell: ({ created }) => <When at={created} /> },
            {
              name: 'Actions',
              cell: (hook) => (
                <>
                  <button
                    type="button"
                    class="link"
                    onClick={() =>
                      void run('hook-test', { id: hook.id }).then(() => ask({ what: 'deliveries', hook }))
                    }
                  >
                    Test
                  </button>{' '}
                  <button type="button" class="link" onClick={() => ask({ what: 'deliveries', hook })}>
                    What was sent
                  </button>{' '}
                  <button type="button" class="link" onClick={() => ask({ what: 'remove', hook })}>
                    Remove
                  </button>
                </>
              ),
            },
          ]}
        />
      )}
      <p>
        <button type="button" onClick={() => ask('new')}>
          Add a hook
        </button>
      </p>
      {asked === 'new' && (
        <AddSheet
          close={close}
          done={(text) => {
            setSecret(text);
            again();
          }}
        />
      )}
      {typeof asked === 'object' && asked.what === 'remove' && (
        <RemoveSheet hook={asked.hook} close={close} done={again} />
      )}
      {typeof asked === 'object' && asked.what === 'deliveries' && (
        <Deliveries hook={asked.hook} close={close} />
      )}
    </Section>
  );
}

function AddSheet({ close, done }: { readonly close: () => void; readonly done: (secret: string) => void }) {
  const [name, setName] = useState('');
  const [url, setUrl] = useState('');
  const act = async (): Promise<void> => done((await run('hook-add', { name, url: url.trim() })).secret);
  return (
    <Sheet title="Add a hook" verb="Add" act={act} close={close}>
      <TextField label="Name" value={name} change={setName} required maxLength={60} />
      <TextField
        label="Address"
        value={url}
        change={setUrl}
        required
        maxLength={500}
        placeholder="https://…"
        hint="An https: address, or mailto:NAME@HOST if this fabric has a mail server."
      />
    </Sheet>
  );
}

function RemoveSheet({
  hook,
  close,
  done,
}: {
  readonly hook: HookView;
  readonly close: () => void;
  readonly done: () => void;
}) {
  const act = async (): Promise<void> => {
    await run('hook-remove', { id: hook.id });
    done();
  };
  return (
    <Sheet title="Remove the hook?" verb="Remove" danger act={act} close={close}>
      <p>
        <b>{hook.name}</b> <code>{hook.to}</code>
      </p>
      <p>It hears of that, and of nothing else from then on. The other hooks hear of it, too.</p>
    </Sheet>
  );
}

const LOOK_MS = 3_000;

/** What was sent to a hook, as it goes on. */
function Deliveries({ hook, close }: { readonly hook: HookView; readonly close: () => void }) {
  const { data, again } = useQuery(`deliveries ${hook.id}`, [], () =>
    run('hook-deliveries', { id: hook.id, limit: DELIVERIES }),
  );
  useEffect(() => {
    const timer = setInterval(again, LOOK_MS);
    return () => clearInterval(timer);
  }, []);
  return (
    <Section title={`Sent to ${hook.name}`}>
      {data?.rows.length === 0 && <p>Nothing yet.</p>}
      {data !== undefined && data.rows.length > 0 && (
        <Rows
          caption={`The newest events that were sent to ${hook.name}, or wait`}
          rows={data.rows}
          keyOf={({ id }) => id}
          columns={[
            { name: 'Event', kind: 'main', cell: ({ event }) => event },
            { name: 'When', cell: ({ created }) => <When at={created} /> },
            { name: 'State', cell: (each) => <State delivery={each} again={again} /> },
          ]}
        />
      )}
      <p>
        <button type="button" onClick={close}>
          Hide
        </button>
      </p>
    </Section>
  );
}

function State({ delivery, again }: { readonly delivery: DeliveryView; readonly again: () => void }) {
  const { id, status, attempts, error } = delivery;
  return (
    <>
      <span class={status === 'sent' ? 'good' : status === 'given-up' ? 'bad' : ''}>{status}</span>
      {attempts > 1 && ` after ${attempts} attempts`}
      {error !== null && status !== 'sent' && `: ${error}`}{' '}
      {status === 'given-up' && (
        <button type="button" class="link" onClick={() => void run('delivery-retry', { id }).then(again)}>
          Try again
        </button>
      )}
    </>
  );
}
