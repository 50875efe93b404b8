import type { CredentialEnd } from '../lifecycle/situation.ts';
import type { DeviceRecord, Store } from './state.ts';

/*
 * How a device goes out of service, as the state keeps it. First `leaving`: the fabric is asked to retire the device, again on each connection, until it
 * has answered. Then `decommissioned` in place of all else: no identity, no key. So a power cut at any point leaves a device that is as before, one that
 * goes on asking, or one that removes what is left of it.
 */

export interface Decommissioned {
  /** By the clock of then: ISO 8601. Only to be shown. */
  readonly at: string;
  /** Of the identity that there was: RFC 5952 text. */
  readonly address?: string;
  /** The fabric has said that the device is retired. */
  readonly told: boolean;
  /** Absent until that is done. */
  readonly credential?: CredentialEnd;
}

/** Since when the fabric is asked to retire the device: ISO 8601; undefined if it is not. */
export function leavingSince({ leaving }: DeviceRecord): string | undefined {
  return typeof leaving === 'string' ? leaving : undefined;
}

/** Undefined of a device in service. */
export function decommissionedOf({ decommissioned: saved }: DeviceRecord): Decommissioned | undefined {
  if (typeof saved !== 'object' || saved === null) return undefined;
  const { at, address, told, credential } = saved as Record<string, unknown>;
  return {
    at: typeof at === 'string' ? at : '',
    ...(typeof address === 'string' && { address }),
    told: told === true,
    ...((credential === 'removed' || credential === 'kept') && { credential }),
  };
}

/** The record of a device that asks to be retired. */
export const withLeaving = (record: DeviceRecord, since: string): DeviceRecord => ({
  ...record,
  leaving: leavingSince(record) ?? since,
});

/** The record of one that stays. */
export function withoutLeaving({ leaving: _, ...rest }: DeviceRecord): DeviceRecord {
  return rest;
}

/**
 * Takes the device out of service: identity and keys are in neither of the two files when this resolves. Done already: nothing happens.
 * Resolves to what is known of the end. @throws Failure of the state
 */
export async function endService(store: Store, at: string, told: boolean): Promise<Decommissioned> {
  const change = (record: DeviceRecord): DeviceRecord => ({
    decommissioned: decommissionedOf(record) ?? tombstone(addressOf(record), at, told),
  });
  const { credential } = decommissionedOf(store.record) ?? {};
  // Both files: the older one has the keys, too.
  for (let file = 0; file < 2 && credential === undefined; file++) await store.update(change);
  return decommissionedOf(store.record)!;
}

/** Keeps what became of the credential. @throws Failure of the state */
export async function keepCredentialEnd(store: Store, credential: CredentialEnd): Promise<void> {
  const end = decommissionedOf(store.record);
  if (end?.credential !== credential) await store.update(() => ({ decommissioned: { ...end, credential } }));
}

const addressOf = ({ enrolment, identity }: DeviceRecord): string | undefined =>
  (enrolment?.current ?? identity)?.address;

const tombstone = (address: string | undefined, at: string, told: boolean): Decommissioned => ({
  at,
  ...(address !== undefined && { address }),
  told,
});
