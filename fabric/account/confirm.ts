import { whole } from '../operations/contract/input.ts';
import { accountOperation } from './operation.ts';
import { CREDENTIAL, checkSecret, PASSWORD, SOURCE, usePasskey } from './sign-in.ts';

/**
 * Shows by the password, in place of which a recovery code does once, that whoever has signed in is still there.
 * @throws Failure `access.wrong-password`, `access.too-many-attempts`, `access.busy`
 */
export const confirmByPassword = accountOperation<{ password: string; source: string }, object>(
  'confirm',
  'person',
  { password: PASSWORD, source: SOURCE },
  async (on, { password, source }, { person }) => {
    const { name } = await on.registry.person(person);
    const found = await on.registry.passwordOf(name);
    await checkSecret(on, { account: name, found, password, source });
    return {};
  },
);

/** Shows it by an own passkey, whose answer the console has verified. @throws Failure `access.bad-passkey` */
export const confirmByPasskey = accountOperation<{ credential: string; counter: number }, object>(
  'passkey-confirm',
  'person',
  { credential: CREDENTIAL, counter: whole(0, 2 ** 32 - 1) },
  async ({ registry }, { credential, counter }, { person }) => {
    await usePasskey(registry, credential, counter, person);
    return {};
  },
);
