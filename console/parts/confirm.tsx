import { useEffect, useState } from 'preact/hooks';
import { account, hasPasskeys } from '../api/account.ts';
import { type Problem, problemOf } from '../api/problem.ts';
import { confirming } from '../app/confirm.ts';
import { useQuery } from '../app/query.ts';
import { me } from '../app/session.ts';
import { SignInElsewhere } from './elsewhere.tsx';
import { TextField } from './field.tsx';
import { ProblemBox } from './problem.tsx';
import { Sheet } from './sheet.tsx';

/** Asks, while something waits for it, for a passkey or the password of whoever has signed in. */
export function Confirm() {
  const done = confirming.value;
  return done === undefined || !me.value ? null : <Asking name={me.value.name} done={done} />;
}

function Asking({ name, done }: { readonly name: string; readonly done: (confirmed: boolean) => void }) {
  const [password, setPassword] = useState('');
  const [problem, setProblem] = useState<Problem>();
  const passkeys = useQuery('own passkeys', [], account.passkeys).data?.rows.length ?? 0;
  // Whoever is signed out meanwhile has not shown it.
  useEffect(() => () => done(false), [done]);
  const byPassword = async (): Promise<void> => {
    await account.confirm(password);
    done(true);
  };
  const byPasskey = async (): Promise<void> => {
    setProblem(undefined);
    try {
      await account.confirmByPasskey();
      done(true);
    } catch (error) {
      // Whoever closes the browser's own dialog has changed its mind.
      if ((error as Error).name !== 'NotAllowedError') setProblem(problemOf(error));
    }
  };
  return (
    <Sheet title="Is it still you?" verb="Go on" act={byPassword} close={() => done(false)}>
      <p>You signed in a while ago, {name}. What you have asked for goes on once you have shown it.</p>
      {hasPasskeys() && passkeys > 0 && (
        <button type="button" class="wide" onClick={() => void byPasskey()}>
          Use a passkey
        </button>
      )}
      <TextField
        label="Your password"
        type="password"
        value={password}
        change={setPassword}
        autocomplete="current-password"
        required
        hint="A recovery code does once in its place."
      />
      <SignInElsewhere confirm />
      {problem !== undefined && <ProblemBox problem={problem} />}
    </Sheet>
  );
}
