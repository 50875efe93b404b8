import { useState } from 'preact/hooks';
import { account, hasPasskeys, type Me } from '../api/account.ts';
import { type Problem, problemOf } from '../api/problem.ts';
import { hrefOf } from '../app/address.ts';
import { go } from '../app/route.ts';
import { entered } from '../app/session.ts';
import { TextField } from '../parts/field.tsx';
import { NewPassword } from '../parts/new-password.tsx';
import { ProblemBox } from '../parts/problem.tsx';
import { RecoveryCodes } from '../parts/recovery-codes.tsx';

/** Becomes a person by an invite: a name and a password, then recovery codes and a passkey. */
export function SetUp({ invite }: { readonly invite: string }) {
  const [who, setWho] = useState<Me>();
  return (
    <main class="door">
      {who === undefined ? <Form invite={invite} done={setWho} /> : <Safety who={who} />}
    </main>
  );
}

function Form({ invite, done }: { readonly invite: string; readonly done: (who: Me) => void }) {
  const [name, setName] = useState('');
  const [password, setPassword] = useState('');
  const [given, setGiven] = useState(invite);
  const [problem, setProblem] = useState<Problem>();
  const [busy, setBusy] = useState(false);
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (busy) return;
    setBusy(true);
    setProblem(undefined);
    try {
      done(await account.setUp(given, name, password));
    } catch (error) {
      setProblem(problemOf(error));
      setBusy(false);
    }
  };
  return (
    <>
      <h1>Welcome to your fabric</h1>
      <p>You were invited. Choose how you sign in from now on.</p>
      <form onSubmit={submit}>
        {invite === '' && <TextField label="Invite" value={given} change={setGiven} required />}
        <TextField
          label="Your name"
          value={name}
          change={setName}
          autocomplete="username"
          required
          maxLength={60}
        />
        <NewPassword label="Password" value={password} change={setPassword} />
        {problem !== undefined && <ProblemBox problem={problem} />}
        <button type="submit" class="primary wide" disabled={busy}>
          {busy ? 'One moment …' : 'Begin'}
        </button>
      </form>
    </>
  );
}

function Safety({ who }: { readonly who: Me }) {
  const [passkey, setPasskey] = useState<'none' | 'made'>('none');
  const [problem, setProblem] = useState<Problem>();
  const addPasskey = async (): Promise<void> => {
    setProblem(undefined);
    try {
      await account.addPasskey('first');
      setPasskey('made');
    } catch (error) {
      if ((error as Error).name !== 'NotAllowedError') setProblem(problemOf(error));
    }
  };
  const finish = (): void => {
    entered(who);
    go(hrefOf([]));
  };
  return (
    <>
      <h1>Two things for a bad day</h1>
      <RecoveryCodes />
      {hasPasskeys() && (
        <>
          <h2>A passkey</h2>
          <p>
            This device signs you in by its screen lock. It works at <b>{location.hostname}</b> only: under
            another name the console does not know it.
          </p>
          {passkey === 'made' ? (
            <p role="status">✓ The passkey is registered.</p>
          ) : (
            <button type="button" class="wide" onClick={() => void addPasskey()}>
              Make a passkey
            </button>
          )}
        </>
      )}
      {problem !== undefined && <ProblemBox problem={problem} />}
      <button type="button" class="primary wide" onClick={finish}>
        Go on
      </button>
    </>
  );
}
