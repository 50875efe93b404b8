import { toHex } from '../../protocol/bytes.ts';
import { deserializeFailure } from '../../protocol/failure-message.ts';
import type { Group } from '../registry/records.ts';
import { batched } from './batched.ts';
import type { HandshakeRegistry } from './handshake.ts';
import type { Request, Response } from './messages.ts';

/** The registry as a worker sees it: every row is sent to the main process, the only one that writes. */
export interface RemoteRegistry extends HandshakeRegistry {
  receive(responses: readonly Response[]): void;
  /** A group changed: cached groups may be wrong. */
  forgetGroups(): void;
}

/** A group is cached once it was open; about half a kilobyte each. */
const MOST_GROUPS = 4_096;

type Unnumbered = Request extends infer Each ? (Each extends Request ? Omit<Each, 'id'> : never) : never;

/** `send` carries the requests of one turn of the event loop. */
export function remoteRegistry(send: (requests: readonly Request[]) => void): RemoteRegistry {
  const pending = new Map<number, { resolve: (value: never) => void; reject: (error: Error) => void }>();
  const groups = new Map<string, Group>();
  const post = batched(send);
  let lastId = 0;
  // Counts how often the cache was emptied: a response that was under way meanwhile is not cached.
  let generation = 0;

  function call<T>(request: Unnumbered): Promise<T> {
    lastId = (lastId + 1) >>> 0;
    const id = lastId;
    return new Promise((resolve, reject) => {
      pending.set(id, { resolve, reject });
      post({ ...request, id } as Request);
    });
  }

  return {
    openGroup(gid) {
      const name = toHex(gid);
      const cached = groups.get(name);
      if (cached !== undefined) return cached;
      const asked = generation;
      return call<Group>({ method: 'openGroup', gid }).then((group) => {
        if (asked === generation && groups.size < MOST_GROUPS) groups.set(name, group);
        return group;
      });
    },
    admit: (applicant, waitedMs) => call({ method: 'admit', applicant, waitedMs }),
    refused: (handshake, unlisted) => call({ method: 'refused', handshake, unlisted }),
    receive(responses) {
      for (const response of responses) {
        const caller = pending.get(response.id);
        pending.delete(response.id);
        if ('failure' in response) caller?.reject(deserializeFailure(response.failure));
        else caller?.resolve(response.value as never);
      }
    },
    forgetGroups() {
      generation++;
      groups.clear();
    },
  };
}
