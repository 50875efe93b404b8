import { primitives } from '../../crypto/primitives.ts';
import type { Log } from '../../os/service/log.ts';
import { type Failure, isFailure } from '../../protocol/failure.ts';
import { formatPrefix, type Prefix, parseIpv6 } from '../../protocol/ipv6.ts';
import { parsePrefixMessage } from '../../protocol/tunnel/prefix.ts';
import type { Config } from '../config/config.ts';
import type { DelegatedLan } from '../network/delegated-lan.ts';
import { tunnelPrefixes } from '../network/desired.ts';
import { keptLanKey, keptPrefix, withLanKey, withPrefix } from '../state/delegation.ts';
import type { Store } from '../state/state.ts';
import type { DelegationFacts } from '../status/facts.ts';

/** The prefix that the fabric delegates to this device, for the machines behind it (docs/prefix.md). */
export interface Delegation {
  /** The device has this address (RFC 5952 text): what is kept for it is in force. */
  begin(address: string): Promise<void>;
  /** Takes a control message; undefined if it is about something else. Never rejects with a Failure. */
  receive(packet: Uint8Array): Promise<void> | undefined;
  /** The device has no identity any more: nor has the LAN addresses. */
  end(): Promise<void>;
  facts(): DelegationFacts | undefined;
  /** Removes what is in the kernel; the state stays. */
  close(): Promise<void>;
}

export interface DelegationParts {
  readonly config: Config;
  readonly store: () => Promise<Store>;
  /** Undefined: no LAN interface is configured. */
  readonly lan: DelegatedLan | undefined;
  /** The tunnel takes packets from and to the prefix. */
  readonly allow: (prefix: Prefix | undefined) => void;
  readonly log: Log;
  /** Receives each failure. */
  readonly note: (failure: unknown) => void;
}

export function delegation({ config, store, lan, allow, log, note }: DelegationParts): Delegation {
  let own: string | undefined;
  let prefix: Prefix | undefined;
  let turn: Promise<unknown> = Promise.resolve();
  /** One after the other: what came last holds. */
  const inTurn = (work: () => Promise<void>): Promise<void> => {
    const mine = turn.then(work);
    turn = mine.catch(() => {});
    return mine;
  };
  let key: Uint8Array | undefined;
  /** What addresses by DHCPv6 follow from, made when it is needed first. */
  const lanKey = async (): Promise<Uint8Array | undefined> => {
    if (lan === undefined || config.delegation.dhcp === 'off') return undefined;
    key ??= keptLanKey((await store()).record);
    if (key !== undefined) return key;
    const made = primitives.random(32);
    key = made;
    try {
      await (await store()).update((record) => withLanKey(record, made));
    } catch (error) {
      if (!isFailure(error)) throw error;
      note(error);
      log('warning', `${error.code}: ${error.message}; addresses by DHCPv6 change with the next start`);
    }
    return made;
  };
  const use = async (next: Prefix | undefined): Promise<void> => {
    if (next === undefined && prefix === undefined) return;
    prefix = next;
    allow(next);
    const routes = own === undefined ? [] : tunnelPrefixes(parseIpv6(own), config.route.prefixes);
    await lan?.set(next, routes, next && (await lanKey()));
  };
  const learn = async (next: Prefix | undefined): Promise<void> => {
    const address = own;
    if (address === undefined) return;
    const name = next && formatPrefix(next);
    if (name !== (prefix && formatPrefix(prefix)))
      log(
        'notice',
        name === undefined ? 'the fabric delegates no prefix any more' : `the fabric delegates ${name}`,
      );
    // What is withdrawn is so also if the disk is full.
    await use(next);
    const kept = keptPrefix((await store()).record, address);
    if ((kept && formatPrefix(kept)) !== name)
      await (await store()).update((record) => withPrefix(record, address, next));
  };
  return {
    begin: (address) =>
      inTurn(async () => {
        if (own === address) return;
        own = address;
        await use(keptPrefix((await store()).record, address));
      }),
    receive(packet) {
      const message = parsePrefixMessage(packet);
      if (message === undefined) return undefined;
      return inTurn(() => learn(message.prefix)).catch((error: unknown) => {
        if (!isFailure(error)) throw error;
        note(error);
        log('warning', `${error.code}: ${error.message}; the prefix is not kept for the next start`);
      });
    },
    end: () =>
      inTurn(async () => {
        own = undefined;
        key = undefined;
        await use(undefined);
      }),
    facts() {
      if (prefix === undefined) return undefined;
      const failure: Failure | undefined = lan?.trouble();
      const { interface: name } = config.delegation;
      return {
        prefix: formatPrefix(prefix),
        lan: name === '' ? null : name,
        failure:
          failure === undefined
            ? null
            : { code: failure.code, message: failure.message, action: failure.action ?? null },
      };
    },
    close: async () => lan?.close(),
  };
}
