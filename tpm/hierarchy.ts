import { isFailure } from '../protocol/failure.ts';
import { hierarchyLocked } from './codes.ts';
import { objectOf, type Tpm, type TpmObject } from './context.ts';
import { flush } from './objects.ts';

/** ESYS numbers of the hierarchies; they need no loading. */
const HIERARCHY = { owner: 0x101, endorsement: 0x10b, platform: 0x10c } as const;
type HierarchyName = keyof typeof HIERARCHY;

/** How a command is authorised for a hierarchy. */
export interface Authority {
  readonly hierarchy: number;
  readonly session: TpmObject | 0;
}

/**
 * Does `work` with the authority of a hierarchy. A password is proven by an HMAC session, so that it does not cross
 * the bus; the session is flushed afterwards. @throws Failure `tpm.hierarchy-locked`
 */
export async function withHierarchy<T>(
  tpm: Tpm,
  name: HierarchyName,
  password: Uint8Array | undefined,
  work: (authority: Authority) => Promise<T>,
): Promise<T> {
  const hierarchy = HIERARCHY[name];
  if (password === undefined || password.length === 0)
    return translated(name, work({ hierarchy, session: 0 }));
  await tpm.call('setAuth', [hierarchy], [password]);
  const session = objectOf(await tpm.call('startSession'));
  try {
    return await translated(name, work({ hierarchy, session }));
  } finally {
    await flush(tpm, session);
    await tpm.call('setAuth', [hierarchy], [new Uint8Array()]).catch(() => {});
  }
}

/** Within `work` nothing but the hierarchy has a password, so a refused authorisation is that of the hierarchy. */
async function translated<T>(name: HierarchyName, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (isFailure(error, 'tpm.not-authorised')) throw hierarchyLocked(name, error);
    throw error;
  }
}
