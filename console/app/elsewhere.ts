import { signal } from '@preact/signals';
import { account } from '../api/account.ts';
import { Problem } from '../api/problem.ts';

/** How people know the issuer at whose accounts they sign in, too; null: there is none, or that is not known yet. */
export const issuer = signal<string | null>(null);

let asked = false;

/** Asks for it once. */
export function lookForIssuer(): void {
  if (asked) return;
  asked = true;
  account.ways().then(
    (ways) => {
      issuer.value = ways.issuer;
    },
    () => {
      asked = false;
    },
  );
}

/** Why whoever comes back from the issuer is not let in, by the code in the address. */
const WORDS: Readonly<Record<string, readonly [message: string, action: string]>> = {
  'access.not-invited': [
    'Nobody has invited this account.',
    'Ask whoever runs the fabric for an invite for it.',
  ],
  'access.unverified-email': [
    'Your e-mail address is not verified there.',
    'Confirm it where your account is, and try again.',
  ],
  'access.no-issuer': ['Where your account is, nothing answers.', 'Try again, or sign in by password.'],
  'access.fresh-sign-in': ['That took too long.', 'Show once more that it is you, and try again.'],
  'access.other-account': [
    'That is not an account of yours.',
    'Sign in there as the person who has signed in here.',
  ],
  'access.not-signed-in': ['You were signed out meanwhile.', 'Sign in.'],
  'fabric.account-exists': ['Somebody else signs in by this account already.', 'Use another account.'],
  'fabric.person-exists': [
    'There is somebody of your name already.',
    'If that is you, sign in by password, and add the account at your name.',
  ],
};

/** What an address of the console says of a journey that has failed. */
export function problemIn(query: URLSearchParams): Problem | undefined {
  const code = query.get('problem');
  if (code === null || !/^[a-z.-]{1,60}$/.test(code)) return undefined;
  const [message, action] = WORDS[code] ?? ['Signing in by your account has failed.', 'Try again.'];
  return new Problem(code, 0, message, action);
}
