import { useState } from 'preact/hooks';
import type { AlarmView } from '../../fabric/operations/views/alarms.ts';
import { run } from '../api/operations.ts';
import { type Problem, problemOf } from '../api/problem.ts';
import { hrefOf, type Route } from '../app/address.ts';
import { useQuery } from '../app/query.ts';
import { may } from '../app/session.ts';
import { Export } from '../parts/export.tsx';
import { Hooks } from '../parts/hooks.tsx';
import { Page } from '../parts/page.tsx';
import { ProblemBox } from '../parts/problem.tsx';
import { type Column, ListTable, ownerColumn, PAGE_ROWS } from '../parts/table.tsx';
import { When } from '../parts/when.tsx';

/** What an owner should look at, each with what it means and what to do; and who else hears of it. */
export function Alarms({ route }: { readonly route: Route }) {
  const state = route.query.get('state') === 'ended' ? 'ended' : 'open';
  const after = route.query.get('after') ?? undefined;
  const query = useQuery(`alarms ${state} ${after}`, ['audit'], () =>
    run('alarm-list', { limit: PAGE_ROWS, after, state }),
  );
  const [problem, setProblem] = useState<Problem>();
  const acknowledge = async ({ id }: AlarmView): Promise<void> => {
    try {
      await run('alarm-acknowledge', { id });
      setProblem(undefined);
      query.again();
    } catch (error) {
      setProblem(problemOf(error));
    }
  };
  const columns: readonly Column<AlarmView>[] = [
    { name: 'What', kind: 'main', cell: (alarm) => <What alarm={alarm} /> },
    ...ownerColumn<AlarmView>(),
    { name: 'Since', cell: ({ opened }) => <When at={opened} /> },
    state === 'ended'
      ? { name: 'Ended', cell: ({ ended }) => <When at={ended} /> }
      : {
          name: 'Looked after by',
          cell: (alarm) =>
            alarm.acknowledged !== null ? (
              alarm.acknowledged.by
            ) : may('alarms.write') ? (
              <button type="button" class="link" onClick={() => void acknowledge(alarm)}>
                Acknowledge
              </button>
            ) : (
              <span class="quiet">nobody</span>
            ),
        },
  ];
  return (
    <Page
      title="Alarms"
      sub={
        <>
          <StateLink name="Open" state="open" now={state} /> ·{' '}
          <StateLink name="Over" state="ended" now={state} />
        </>
      }
      actions={<Export list="alarm-list" filter={{ state }} />}
    >
      {problem !== undefined && <ProblemBox problem={problem} />}
      <ListTable
        caption={state === 'open' ? 'Open alarms' : 'Alarms that are over'}
        query={query}
        columns={columns}
        keyOf={({ id }) => id}
        route={route}
        empty={
          <p>
            {state === 'open'
              ? 'Nothing needs your attention. What is found here ends by itself when it is over.'
              : 'No alarm has ended yet.'}
          </p>
        }
      />
      {may('hooks.write') && <Hooks />}
    </Page>
  );
}

function StateLink({
  name,
  state,
  now,
}: {
  readonly name: string;
  readonly state: 'open' | 'ended';
  readonly now: string;
}) {
  return (
    <a
      href={hrefOf(['alarms'], { state })}
      class={state === now ? 'shown' : undefined}
      aria-current={state === now ? 'true' : undefined}
    >
      {name}
    </a>
  );
}

function What({ alarm }: { readonly alarm: AlarmView }) {
  const { what, action } = alarm;
  const href = hrefOfSubject(alarm);
  return (
    <>
      <b>{what}</b>{' '}
      <span class="plain">
        {action} {href !== undefined && <a href={href}>Show it</a>}
      </span>
    </>
  );
}

/** Kinds whose subject is the id of a batch. */
const OF_BATCH = /^(?:group\.|country\.unexpected$|claim\.objection$)/;

/** The page of what an alarm is about. */
function hrefOfSubject({ kind, subject }: AlarmView): string | undefined {
  if (kind === 'device.failing') {
    const [gid = '', failure = ''] = subject.split(' ');
    return hrefOf(['devices'], { gid, failure });
  }
  if (kind.startsWith('device.')) return hrefOf(['devices', subject]);
  return OF_BATCH.test(kind) ? hrefOf(['batches', subject]) : undefined;
}
