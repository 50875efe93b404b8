import { Failure } from '../../protocol/failure.ts';
import {
  type DecommissionRefusal,
  encodeDecommission,
  parseDecommission,
} from '../../protocol/tunnel/decommission.ts';
import type { Config } from '../config/config.ts';
import { removeCredential } from '../identity/decommission.ts';
import type { CredentialEnd } from '../lifecycle/situation.ts';
import {
  endService,
  keepCredentialEnd,
  leavingSince,
  withLeaving,
  withoutLeaving,
} from '../state/decommission.ts';
import type { Store } from '../state/state.ts';

/** How this device goes out of service (docs/wire.md, "Decommission"). */
export interface Departure {
  /** True while the fabric is asked to retire the device. */
  asks(): boolean;
  /** The request for a router, while it is asked. */
  request(): Uint8Array | undefined;
  /** Keeps durably that the fabric is to be asked, until it has answered. @throws Failure of the state */
  begin(): Promise<void>;
  /** Takes a control message; undefined if it is about something else. A refusal ends the asking, and is returned. @throws Failure of the state */
  receive(packet: Uint8Array): Promise<Failure | 'ignored'> | undefined;
  /** Removes identity, keys and credential; may be repeated, and goes on where it was cut short. @throws Failure of state and TPM */
  end(told: boolean): Promise<CredentialEnd>;
}

export interface DepartureParts {
  readonly config: Config;
  readonly store: () => Promise<Store>;
  /** Undefined until it is open. */
  readonly opened: () => Store | undefined;
  readonly wallMs: () => number;
}

export function departure({ config, store, opened, wallMs }: DepartureParts): Departure {
  const now = (): string => new Date(wallMs()).toISOString();
  const asks = (): boolean => leavingSince(opened()?.record ?? {}) !== undefined;
  const withdraw = async (reason: DecommissionRefusal): Promise<Failure> => {
    await (await store()).update(withoutLeaving);
    return refused(reason);
  };
  return {
    asks,
    request: () => (asks() ? encodeDecommission({ kind: 'request' }) : undefined),
    async begin() {
      const since = now();
      await (await store()).update((record) => withLeaving(record, since));
    },
    receive(packet) {
      const message = parseDecommission(packet);
      if (message === undefined) return undefined;
      return message.kind === 'refused' && asks() ? withdraw(message.reason) : Promise.resolve('ignored');
    },
    async end(told) {
      const state = await store();
      const { credential } = await endService(state, now(), told);
      if (credential === 'removed') return credential;
      const removed = await removeCredential(config);
      await keepCredentialEnd(state, removed);
      return removed;
    },
  };
}

function refused(reason: DecommissionRefusal): Failure {
  if (reason === 'forbidden') {
    return new Failure(
      'fabric.decommission-forbidden',
      'operator',
      'this fabric lets no device retire itself; the device stays as it is',
      {
        action:
          'Let its owner retire it ("enf-fabric device retire"), then remove what is left here: enf-agent decommission --offline.',
      },
    );
  }
  return new Failure(
    'fabric.decommission-later',
    'retry',
    'too many devices of this group are leaving at the moment; the device stays as it is',
    { action: 'Try again in some minutes, or let their owner retire them: enf-fabric device retire.' },
  );
}
