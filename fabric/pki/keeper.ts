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
  /** Calls `listener` with what there is after each change. */
  follow(listener: (authority: Authority) => void | Promise<void>): void;
}

/** @throws Failure see `loadAuthority`, and `os.…` of what a power cut has left */
export async function openAuthority(data: string): Promise<AuthorityKeeper> {
  let authority = await loadAuthority(data);
  await settle(data, authority);
  const listeners: ((authority: Authority) => void | Promise<void>)[] = [];
  let turn: Promise<void> = Promise.resolve();
  return {
    data,
    get authority() {
      return authority;
    },
    change(work) {
      const changed = turn.then(async () => {
        try {
          authority = await work(authority);
        } catch (error) {
          // What is on the disk counts, however far it has come.
          authority = await loadAuthority(data).catch(() => authority);
          throw error;
        } finally {
          for (const listener of listeners) await listener(authority);
        }
      });
      turn = changed.catch(() => {});
      return changed;
    },
    follow(listener) {
      listeners.push(listener);
    },
  };
}
