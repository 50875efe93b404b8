import { useState } from 'preact/hooks';
import { run } from './api/operations.ts';
import { type Problem, problemOf } from './api/problem.ts';
import { useQuery } from './app/query.ts';
import { chooseOwner, me } from './app/session.ts';
import { ProblemBox } from './parts/problem.tsx';

/** More are not chosen from a list. */
const MOST = 200;

/** For which owner this window is; nothing where there is no choice. */
export function OwnerSwitch() {
  const who = me.value;
  return who?.role === 'host' ? (
    <HostSwitch />
  ) : (
    <Choice names={(who?.owners ?? []).map(({ name }) => name)} />
  );
}

/** Who runs the fabric may look at all of it, or at one owner. */
function HostSwitch() {
  const { data } = useQuery('owners', [], () => run('owner-list', { limit: MOST }));
  const names = (data?.rows ?? []).filter(({ status }) => status === 'active').map(({ name }) => name);
  return <Choice names={names} all />;
}

function Choice({ names, all = false }: { readonly names: readonly string[]; readonly all?: boolean }) {
  const [problem, setProblem] = useState<Problem>();
  if (names.length < 2) return null;
  const choose = (name: string): void => {
    setProblem(undefined);
    chooseOwner(name === '' ? undefined : name).catch((error: unknown) => setProblem(problemOf(error)));
  };
  return (
    <div class="owner-switch">
      <label for="owner" class="quiet">
        Owner
      </label>
      <select
        id="owner"
        value={me.value?.owner ?? ''}
        onChange={({ currentTarget }) => choose(currentTarget.value)}
      >
        {all && <option value="">All owners</option>}
        {names.map((name) => (
          <option key={name} value={name}>
            {name}
          </option>
        ))}
      </select>
      {problem !== undefined && <ProblemBox problem={problem} />}
    </div>
  );
}
