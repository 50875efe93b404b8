import { useState } from 'preact/hooks';
import { account, hasPasskeys } from '../api/account.ts';
import { type Problem, problemOf } from '../api/problem.ts';
import { problemIn } from '../app/elsewhere.ts';
import { route } from '../app/route.ts';
import { entered, signedOutBecause } from '../app/session.ts';
import { SignInElsewhere } from '../parts/elsewhere.tsx';
import { TextField } from '../parts/field.tsx';
import { ProblemBox } from '../parts/problem.tsx';

/** Signs in by password, recovery code or passkey. */
export function SignIn() {
  const [name, setName] = useState('');
  const [password, setPassword] = useState('');
  const [problem, setProblem] = useState<Problem | undefined>(() => problemIn(route.value.query));
  const [busy, setBusy] = useState(false);
  const enter = async (how: () => ReturnType<typeof account.me>): Promise<void> => {
    if (busy) return;
    setBusy(true);
    setProblem(undefined);
    try {
      entered(await how());
    } catch (error) {
      // Whoever closes the browser's own dialog has changed its mind.
      if ((error as Error).name !== 'NotAllowedError') setProblem(problemOf(error));
      setBusy(false);
    }
  };
  return (
    <main class="door">
      <h1>Sign in</h1>
      {signedOutBecause.value !== undefined && <p role="status">{signedOutBecause.value}</p>}
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void enter(() => account.signIn(name, password));
        }}
      >
        <TextField label="Name" value={name} change={setName} autocomplete="username" required />
        <TextField
          label="Password"
          type="password"
          value={password}
          change={setPassword}
          autocomplete="current-password"
          required
          hint="A recovery code does once in its place."
        />
        {problem !== undefined && <ProblemBox problem={problem} />}
        <button type="submit" class="primary wide" disabled={busy}>
          {busy ? 'One moment …' : 'Sign in'}
        </button>
      </form>
      {hasPasskeys() && (
        <button
          type="button"
          class="wide"
          disabled={busy}
          onClick={() => void enter(account.signInByPasskey)}
        >
          Sign in with a passkey
        </button>
      )}
      <SignInElsewhere />
      <p class="quiet">
        No access yet? Whoever runs the fabric makes you an invite: <code>enf-fabric console invite</code>
      </p>
    </main>
  );
}
