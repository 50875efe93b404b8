import { useState } from 'preact/hooks';
import type { OpenInviteView } from '../../fabric/operations/views/people.ts';
import { run } from '../api/operations.ts';
import { useQuery } from '../app/query.ts';
import { may } from '../app/session.ts';
import { Section } from './page.tsx';
import { ProblemBox } from './problem.tsx';
import { Sheet } from './sheet.tsx';
import { type Column, PAGE_ROWS, Rows } from './table.tsx';
import { When } from './when.tsx';

/** Invites that somebody may still use; nothing where there is none. */
export function Invites() {
  const [after, setAfter] = useState<string>();
  const { data, problem, again } = useQuery(`invites ${after}`, ['audit'], () =>
    run('invite-list', { limit: PAGE_ROWS, after }),
  );
  const [asked, ask] = useState<OpenInviteView>();
  if (problem !== undefined) return <ProblemBox problem={problem} again={again} />;
  if (data === undefined || (data.rows.length === 0 && data.next === undefined && after === undefined))
    return null;
  const rows = [...data.rows].sort((one, other) => one.expires.localeCompare(other.expires));
  return (
    <Section title="Open invites">
      <Rows
        caption="Invites that somebody may still use"
        rows={rows}
        columns={columns(rows, ask)}
        keyOf={({ id }) => id}
      />
      {(data.next !== undefined || after !== undefined) && (
        <p>
          <button type="button" onClick={() => setAfter(data.next)}>
            {data.next === undefined ? 'First ones' : 'Further ones'}
          </button>
        </p>
      )}
      {asked !== undefined && <Withdraw invite={asked} close={() => ask(undefined)} done={again} />}
    </Section>
  );
}

function columns(
  rows: readonly OpenInviteView[],
  ask: (invite: OpenInviteView) => void,
): readonly Column<OpenInviteView>[] {
  return [
    { name: 'Role', kind: 'main', cell: ({ role }) => role },
    // Of one owner that goes without saying.
    ...(new Set(rows.map(({ owner }) => owner)).size > 1
      ? [{ name: 'Owner', cell: ({ owner }: OpenInviteView) => owner ?? <span class="quiet">the host</span> }]
      : []),
    {
      name: 'For',
      cell: ({ login }) => login ?? <span class="quiet">whoever has the address</span>,
    },
    { name: 'Invited by', cell: ({ createdBy }) => createdBy },
    { name: 'Ends', cell: ({ expires }) => <When at={expires} /> },
    {
      name: 'Actions',
      cell: (invite) =>
        may('people.write') && (
          <button type="button" class="link" onClick={() => ask(invite)}>
            Withdraw
          </button>
        ),
    },
  ];
}

function Withdraw({
  invite,
  close,
  done,
}: {
  readonly invite: OpenInviteView;
  readonly close: () => void;
  readonly done: () => void;
}) {
  const act = async (): Promise<void> => {
    await run('invite-withdraw', { id: invite.id });
    done();
  };
  return (
    <Sheet title={`Withdraw the invite as ${invite.role}?`} verb="Withdraw" danger act={act} close={close}>
      <p>Nobody comes in by it any more. Whoever came by another one stays.</p>
    </Sheet>
  );
}
