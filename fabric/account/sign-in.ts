import { fromHex, toHex } from '../../protocol/bytes.ts';
import { Failure } from '../../protocol/failure.ts';
import { codeHash } from '../access/codes.ts';
import { secretHash } from '../access/secrets.ts';
import { text, whole } from '../operations/contract/input.ts';
import { nameKey, type Person, type SignIn } from '../registry/people.ts';
import type { Registry } from '../registry/registry.ts';
import { accountOperation, type SignedIn, type Signing, signedInView } from './operation.ts';

export const LONGEST_NAME = 60;
export const NAME = text(LONGEST_NAME);
export const PASSWORD = text(256);
/** Address of the browser. */
export const SOURCE = text(64);
/** Hex. */
export const CREDENTIAL = text(2_046);

/**
 * Signs a person in by its password, in place of which a recovery code does once. Nobody learns which names there are.
 * @throws Failure `access.wrong-password`, `access.too-many-attempts`, `access.busy`
 */
export const signIn = accountOperation<{ name: string; password: string; source: string }, SignedIn>(
  'sign-in',
  'console',
  { name: NAME, password: PASSWORD, source: SOURCE },
  async (on, { name, password, source }) => {
    const found = await on.registry.passwordOf(name);
    const how = await checkSecret(on, { account: name, found, password, source });
    return signedInView(
      on.registry,
      await on.registry.signedIn(how.person.id, { via: how.via, from: source }),
    );
  },
);

/** Who and how; the secret is a password or a recovery code, which is used up. @throws Failure `access.wrong-password`, `access.too-many-attempts`, `access.busy` */
export async function checkSecret(
  { registry, passwords, guard }: Signing,
  {
    account,
    found,
    password,
    source,
  }: {
    account: string;
    found: { readonly person: Person; readonly password?: string } | undefined;
    password: string;
    source: string;
  },
): Promise<{ readonly person: Person; readonly via: SignIn['via'] }> {
  const right = await guard.attempt(nameKey(account), source, async () => {
    const code = codeHash(password);
    if (found !== undefined && code !== undefined && (await registry.useRecoveryCode(found.person.id, code)))
      return { person: found.person, via: 'recovery code' } as const;
    return (await passwords.verify(password, found?.password)) && found !== undefined
      ? ({ person: found.person, via: 'password' } as const)
      : undefined;
  });
  if (right !== undefined) return right;
  if (guard.isNotable(source)) await registry.signInFailed(found?.person.id, source);
  throw new Failure('access.wrong-password', 'operator', 'the name or the password is wrong', {
    action: 'Try again, or use a recovery code as the password.',
  });
}

/**
 * Makes a person of an invite, and signs it in.
 * @throws Failure `access.bad-invite`, `access.bad-name`, `access.weak-password`, `fabric.person-exists`, `access.too-many-attempts`, `access.busy`
 */
export const setUp = accountOperation<
  { invite: string; name: string; password: string; source: string },
  SignedIn
>(
  'setup',
  'console',
  { invite: text(200), name: NAME, password: PASSWORD, source: SOURCE },
  async ({ registry, passwords, guard }, { invite, name: typed, password, source }) => {
    const hash = await guard.attempt(`invite from ${source}`, source, async () => {
      const given = secretHash('invite', invite.trim());
      return given !== undefined && (await registry.invite(given)) !== undefined ? given : undefined;
    });
    if (hash === undefined) throw badInvite();
    const name = checkName(typed);
    const person = await registry.acceptInvite(hash, { name, password: await passwords.hash(password) });
    return signedInView(registry, await registry.signedIn(person.id, { via: 'invite', from: source }));
  },
);

function badInvite(): Failure {
  return new Failure('access.bad-invite', 'operator', 'the invite is mistyped, unknown, used or expired', {
    action: 'Copy the whole invite, or ask for a new one ("enf-fabric console invite").',
  });
}

/** It has at least one letter. */
export const isName = (name: string): boolean => /\p{L}/u.test(name);

/** A name that no number and no other writing of it stands for. @throws Failure `access.bad-name` */
export function checkName(typed: string): string {
  const name = typed.trim().normalize('NFC');
  if (isName(name)) return name;
  throw new Failure('access.bad-name', 'operator', 'a name has at least one letter', {
    action: `Choose a name of up to ${LONGEST_NAME} characters.`,
  });
}

/** What the answer of a passkey is verified with; null: nobody has it. */
export const findPasskey = accountOperation<
  { credential: string },
  { readonly publicKey: string; readonly counter: number } | null
>('passkey-find', 'console', { credential: CREDENTIAL }, async ({ registry }, { credential }) => {
  const found = await registry.passkey(fromHex(credential));
  return found === undefined ? null : { publicKey: toHex(found.publicKey), counter: found.counter };
});

/** Signs a person in by a passkey whose answer the console has verified. @throws Failure `access.bad-passkey` */
export const signInByPasskey = accountOperation<
  { credential: string; counter: number; source: string },
  SignedIn
>(
  'passkey-sign-in',
  'console',
  { credential: CREDENTIAL, counter: whole(0, 2 ** 32 - 1), source: SOURCE },
  async ({ registry }, { credential, counter, source }) => {
    const person = await usePasskey(registry, credential, counter);
    return signedInView(registry, await registry.signedIn(person, { via: 'passkey', from: source }));
  },
);

/** The person whose passkey has signed; `owner`: it has to be that one's. @throws Failure `access.bad-passkey` */
export async function usePasskey(
  registry: Registry,
  credential: string,
  counter: number,
  owner?: number,
): Promise<number> {
  const found = await registry.passkey(fromHex(credential));
  const isRight = found !== undefined && (owner ?? found.person) === found.person;
  if (isRight && (await registry.usePasskey(found.id, counter))) return found.person;
  throw new Failure(
    'access.bad-passkey',
    'operator',
    'the passkey was removed, or somebody has a copy of it',
    {
      action: 'Sign in by password, and register a new passkey.',
    },
  );
}
