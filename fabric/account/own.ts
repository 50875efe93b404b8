import { fromHex, toHex } from '../../protocol/bytes.ts';
import { codeHash, issueCodes } from '../access/codes.ts';
import { requireFresh } from '../access/fresh.ts';
import { checkPassword } from '../access/password.ts';
import { permissionsOf } from '../access/roles.ts';
import { optional, text, whole } from '../operations/contract/input.ts';
import { isoTime } from '../operations/contract/operation.ts';
import type { Passkey } from '../registry/credentials.ts';
import { accountOperation, meOf, type SignedIn, signedInView } from './operation.ts';
import { checkSecret, PASSWORD, SOURCE } from './sign-in.ts';
import type {
  CodesLeftView,
  Me,
  PasskeysView,
  PasskeyView,
  RecoveryCodesView,
  RemovedPasskeyView,
} from './views.ts';

/** Whoever asks. */
export const showMe = accountOperation<object, Me>('me', 'caller', {}, ({ registry }, _input, actor) =>
  meOf(registry, actor),
);

/** What whoever asks sees, for a stream of what happens: `owner` is the number of the only owner of whom that is something; null: everything. */
export const showSeen = accountOperation<object, Seen>('seen', 'caller', {}, async (_, _input, actor) => ({
  permissions: permissionsOf(actor.role),
  owner: actor.scope.everything ? null : actor.scope.owner,
  host: actor.role === 'host',
}));

export interface Seen {
  readonly permissions: readonly string[];
  readonly owner: number | null;
  readonly host: boolean;
}

/**
 * Changes the own password, and ends all other sessions. `current` may be a recovery code; who has no password yet leaves it out, and has to
 * have signed in lately.
 * @throws Failure `access.wrong-password`, `access.weak-password`, `access.too-many-attempts`, `access.busy`, `access.fresh-sign-in`
 */
export const changePassword = accountOperation<
  { current?: string | undefined; password: string; source: string },
  SignedIn
>(
  'password-change',
  'person',
  { current: optional(PASSWORD), password: PASSWORD, source: SOURCE },
  async (on, { current = '', password, source }, actor) => {
    const { name, hasPassword } = await on.registry.person(actor.person);
    checkPassword(password);
    if (current === '' && !hasPassword) requireFresh(actor.proved, on.now());
    else {
      const found = await on.registry.passwordOf(name);
      await checkSecret(on, { account: name, found, password: current, source });
    }
    const hash = await on.passwords.hash(password);
    return signedInView(on.registry, await on.registry.setPassword(actor.name, actor.person, hash));
  },
);

/** Ends all own sessions. */
export const endOwnSessions = accountOperation<object, object>(
  'sign-out-everywhere',
  'person',
  {},
  async ({ registry }, _input, { name, person }) => {
    await registry.endSessions(name, person);
    return {};
  },
);

/** The own passkeys, all of them: a person has few. */
export const listPasskeys = accountOperation<object, PasskeysView>(
  'passkey-list',
  'person',
  {},
  async ({ registry }, _input, { person }) => ({ rows: (await registry.passkeys(person)).map(passkeyView) }),
);

/** What a browser has to know before it makes a passkey: for whom, and the credentials (hex) that there are. */
export const beginPasskey = accountOperation<
  object,
  { readonly name: string; readonly existing: readonly string[] }
>('passkey-begin', 'fresh', {}, async ({ registry }, _input, { person }) => {
  const { name } = await registry.person(person);
  return { name, existing: (await registry.passkeys(person)).map(({ credential }) => toHex(credential)) };
});

/** Keeps a passkey whose answer the console has verified. @throws Failure `fabric.passkey-exists`, `access.too-many-passkeys` */
export const addPasskey = accountOperation<
  { name: string; credential: string; publicKey: string; counter: number },
  PasskeyView
>(
  'passkey-add',
  'fresh',
  { name: text(60), credential: text(2_046), publicKey: text(8_192), counter: whole(0, 2 ** 32 - 1) },
  async ({ registry }, { name, credential, publicKey, counter }, actor) =>
    passkeyView(
      await registry.addPasskey(actor.name, {
        person: actor.person,
        name,
        credential: fromHex(credential),
        publicKey: fromHex(publicKey),
        counter,
      }),
    ),
);

/** @throws Failure `fabric.unknown-passkey`, `access.last-way-in` */
export const removePasskey = accountOperation<{ id: number }, RemovedPasskeyView>(
  'passkey-remove',
  'fresh',
  { id: whole(1, Number.MAX_SAFE_INTEGER) },
  async ({ registry }, { id }, actor) => {
    await registry.removePasskey(actor.name, actor.person, id);
    return { id };
  },
);

const RECOVERY_CODES = 10;

/** Makes ten recovery codes, which replace all former ones and which nobody can read again. */
export const makeRecoveryCodes = accountOperation<object, RecoveryCodesView>(
  'recovery-codes',
  'fresh',
  {},
  async ({ registry }, _input, { name, person }) => {
    const codes = issueCodes(RECOVERY_CODES);
    const hashes = codes.map((code) => codeHash(code)!);
    await registry.setRecoveryCodes(name, person, hashes);
    return { codes };
  },
);

/** How many recovery codes are left. */
export const countRecoveryCodes = accountOperation<object, CodesLeftView>(
  'recovery-codes-left',
  'person',
  {},
  async ({ registry }, _input, { person }) => ({ left: await registry.recoveryCodesLeft(person) }),
);

function passkeyView({ id, name, credential, created, used }: Passkey): PasskeyView {
  return {
    id,
    name,
    credential: toHex(credential),
    created: isoTime(created),
    used: used === undefined ? null : isoTime(used),
  };
}
