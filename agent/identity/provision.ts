import { hostArithmetic } from '../../crypto/host-arithmetic.ts';
import { primitives } from '../../crypto/primitives.ts';
import { toHex } from '../../protocol/bytes.ts';
import { groupId } from '../../protocol/crypto/group.ts';
import { sign } from '../../protocol/crypto/member.ts';
import type { SuiteSpec } from '../../protocol/crypto/suite.ts';
import { isFailure } from '../../protocol/failure.ts';
import { checkAssigned } from '../../protocol/identity/assignable.ts';
import { identityCertificate } from '../../protocol/identity/certificate.ts';
import { formatIpv6, type Prefix } from '../../protocol/ipv6.ts';
import { abandon, attest, finish, hello, identify } from '../../protocol/xtt/client.ts';
import { ERROR_MESSAGE } from '../../protocol/xtt/message.ts';
import { hintedNonce } from '../../protocol/xtt/root-hint.ts';
import type { SavedIdentity, SavedKey, Store } from '../state/state.ts';
import { type Credential, isUnloadable, type KeyStore, type LongtermKey } from './key-store.ts';
import { learnedRoots } from './learned-roots.ts';

/** One connection to the identity server: whole XTT messages, each with a deadline. */
export interface Exchange {
  send(message: Uint8Array): Promise<void>;
  receive(): Promise<Uint8Array>;
  close(): void;
}

export interface Provisioning {
  readonly keys: KeyStore;
  readonly store: Store;
  readonly suite: SuiteSpec;
  /** 16 bytes; all zero: the fabric chooses. */
  readonly requestedIdentity: Uint8Array;
  /** Instead of the credential's own basename. */
  readonly basename?: Uint8Array;
  connect(): Promise<Exchange>;
  /** Prefixes of the machine's own links: no identity may lie inside. */
  readonly links: () => readonly Prefix[];
  /** The time of day, to be shown with the identity; nothing depends on it. */
  readonly nowMs: () => number;
}

/**
 * The XTT handshake as a device (xtt-protocol.md §10.2), from key to durable identity. Whatever cuts it short, the
 * next call goes on with the same longterm key, so that the fabric sees one device: the key is durable
 * before its first use, and the former identity stays until the new one is.
 * @throws Failure of the keys, the state, the network and `xtt.…`; `agent.unusable-identity`
 */
export async function provision(work: Provisioning): Promise<SavedIdentity> {
  const { keys, store } = work;
  const credential = await keys.credential();
  const roots = learnedRoots(store.record, credential.xttRoot)?.roots.map(({ xttRoot }) => xttRoot);
  const { saved, key } = await pendingKey(keys, store);
  try {
    const { identity, resident } = await shakeHands(work, credential, roots ?? [credential.xttRoot], key);
    checkAssigned(identity, work.links());
    const certificate = await identityCertificate(
      primitives,
      identity,
      key.publicKey,
      key.sign,
      primitives.random(19),
    );
    const provisioned = {
      address: formatIpv6(identity),
      certificate: toHex(certificate),
      key: saved,
      provisioned: new Date(work.nowMs()).toISOString(),
      resident,
    };
    const { pending: _, ...rest } = store.record;
    await store.save({ ...rest, identity: provisioned });
    return provisioned;
  } finally {
    await key.close();
  }
}

/** The key of an interrupted provisioning if it loads, else a new one; durable in both cases. */
async function pendingKey(keys: KeyStore, store: Store): Promise<{ saved: SavedKey; key: LongtermKey }> {
  const { pending } = store.record;
  if (pending) {
    try {
      return { saved: pending, key: await keys.load(pending) };
    } catch (error) {
      if (!isUnloadable(error)) throw error;
    }
  }
  const saved = await keys.create();
  await store.save({ ...store.record, pending: saved });
  return { saved, key: await keys.load(saved) };
}

/** The address that was given, 16 bytes, and whether the TPM has signed for it. */
interface Given {
  readonly identity: Uint8Array;
  readonly resident: boolean;
}

/**
 * `roots` are the XTT roots that are trusted, the newest last. A fabric that does not know that one, because it was restored from a backup, may
 * still know an older one, if it is asked for that.
 */
async function shakeHands(
  work: Provisioning,
  credential: Credential,
  roots: readonly Uint8Array[],
  key: LongtermKey,
): Promise<Given> {
  for (let asked = roots.length - 1; ; asked--) {
    try {
      return await handshake(work, credential, roots, roots[asked]!, key);
    } catch (error) {
      if (asked === 0 || !isFailure(error, 'xtt.unknown-root')) throw error;
    }
  }
}

/** `asked`: the root under which the server is to answer. */
async function handshake(
  work: Provisioning,
  credential: Credential,
  roots: readonly Uint8Array[],
  asked: Uint8Array,
  key: LongtermKey,
): Promise<Given> {
  const basename = work.basename ?? credential.basename;
  const daaKey = await work.keys.daaKey();
  const exchange = await work.connect();
  const steps: Parameters<typeof abandon>[0][] = [];
  try {
    const entropy = { dhSecret: primitives.random(32), nonce: hintedNonce(primitives, asked) };
    const opened = hello(primitives, work.suite, entropy);
    steps.push(opened.next);
    await exchange.send(opened.send);
    const attesting = attest(opened.next, await exchange.receive(), roots);
    steps.push(attesting);
    const claimed = identify(attesting, {
      longtermPublicKey: key.publicKey,
      longtermSignature: await key.sign(attesting.longtermMessage),
      gid: groupId(primitives, credential.gpk, basename),
      requestedIdentity: work.requestedIdentity,
      daaSignature: await sign(
        primitives,
        daaKey,
        credential.credential,
        attesting.daaMessage,
        basename,
        hostArithmetic(),
      ),
    });
    await exchange.send(claimed.send);
    return { identity: finish(claimed.next, await exchange.receive()), resident: daaKey.resident };
  } catch (error) {
    // Tell the server not to wait; a failure to send that changes nothing.
    await exchange.send(ERROR_MESSAGE).catch(() => {});
    throw error;
  } finally {
    steps.forEach(abandon);
    exchange.close();
  }
}
