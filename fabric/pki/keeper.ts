import { equal } from '../../protocol/bytes.ts';
import { type Authority, loadAuthority } from './authority.ts';
import { settle } from './changes.ts';

/** The keys and certificates of a fabric while they are used: one change at a time. */
export interface AuthorityKeeper {
  /** The data folder. */
  readonly data: string;
  /** What there is now. */
  readonly authority: Authority;
  /** Does `work`, whose outcome is what there is from then on, and waits until the parts of the fabric have taken it. */
  change(work: (authority: Authority) => Promise<Authority>): Promise<void>;
  /** Calls `listener` with what there is after each change of a certificate or the roots. */
  follow(listener: (authority: Authority) => void | Promise<void>): void;
}

/** @throws Failure see `loadAuthority`, and `os.…` of what a power cut has left */
export async function openAuthority(data: string): Promise<AuthorityKeeper> {
  let authority = await loadAuthority(data);
  await settle(data, authority);
  const listeners: ((authority: Authority) => void | Promise<void>)[] = [];
  let turn: Promise<void> = Promise.resolve();

  /** Nothing to take where a request was written, or a refusal changed nothing. */
  async function tell(before: Authority): Promise<void> {
    if (isSame(before, authority)) return;
    for (const listener of listeners) await listener(authority);
  }

  return {
    data,
    get authority() {
      return authority;
    },
    change(work) {
      const changed = turn.then(async () => {
        const before = authority;
        try {
          authority = await work(before);
        } catch (error) {
          // What is on the disk counts, however far it has come.
          authority = await loadAuthority(data).catch(() => before);
          // Why the change failed says more than why a part did not take the half of it.
          await tell(before).catch(() => {});
          throw error;
        }
        await tell(before);
      });
      turn = changed.catch(() => {});
      return changed;
    },
    follow(listener) {
      listeners.push(listener);
    },
  };
}

/** The same certificates, under the same version of the roots. */
const isSame = (one: Authority, other: Authority): boolean =>
  one.version === other.version &&
  one.router.certificate === other.router.certificate &&
  one.roots.every(({ server }, i) => equal(server.certificate, other.roots[i]!.server.certificate));
