import type { Pkcs11Key } from '../../crypto/pkcs11.ts';
import { linkPrefixes } from '../../os/linux/links.ts';
import { type Choice, type Guidance, judged } from '../../os/net/choice.ts';
import type { Lookup } from '../../os/net/lookup.ts';
import type { HttpProxy } from '../../os/net/proxy.ts';
import type { Log } from '../../os/service/log.ts';
import { fromHex } from '../../protocol/bytes.ts';
import { isFailure } from '../../protocol/failure.ts';
import type { RootSet } from '../../protocol/identity/root-update.ts';
import { parseIpv6 } from '../../protocol/ipv6.ts';
import type { Config } from '../config/config.ts';
import type { KeyPlace } from '../config/key-place.ts';
import type { Goal } from '../lifecycle/situation.ts';
import type { SavedIdentity, Store } from '../state/state.ts';
import { isUnloadable } from './key-store.ts';
import { openKeyring } from './keyring.ts';
import { openKeys } from './keys.ts';
import { learnedRoots, shownRoots } from './learned-roots.ts';
import type { RootLearner } from './root-learner.ts';
import { type RouterTrust, routerTrust } from './tls-root.ts';

/** What TLS authenticates this device with. */
export interface TlsIdentity {
  /** RFC 5952 text. */
  readonly address: string;
  /** PEM of the root the router's certificate must lead to. */
  readonly ca: string;
  /** Of which it has to have one (RouterTrust); empty: none is checked. */
  readonly names: readonly string[];
  /** Identity certificate, DER. */
  readonly certificate: Uint8Array;
  /** PEM, which may only name a key in the TPM; or a key in a PKCS#11 token. */
  readonly key: string | Pkcs11Key;
}

/** The identity of this device and the keys behind it. Keys are opened when they are first needed, until `close`. */
export interface IdentitySession {
  /** Closes the keys and opens them again; returns what state and keys ask for. @throws Failure of state and keys */
  prepare(): Promise<Exclude<Goal, { kind: 'prepare' }>>;
  /** Runs the handshake, and takes no other address than `own` if it is given; returns that of the identity, which is durable then. */
  provision(own?: string): Promise<string>;
  /** The identity there is, as TLS needs it. @throws Failure of keys and TLS root */
  tls(): Promise<TlsIdentity>;
  /** Takes a control message of the router about roots; resolves to the answer, if there is one. */
  receive(packet: Uint8Array): Promise<Uint8Array | undefined>;
  /** The TLS root is read again for the next connection. */
  reload(): void;
  /** XTT handshakes this run has completed. */
  handshakes(): number;
  /** The certificate of a CA that was read last; undefined: none was, or there is none. */
  certificate(): CertificateView | undefined;
  close(): Promise<void>;
}

/** A certificate of a CA, to be shown. Times are ISO 8601. */
export interface CertificateView {
  /** RFC 2253. */
  readonly subject: string;
  /** RFC 5952 text. */
  readonly address: string;
  readonly notBefore: string;
  readonly notAfter: string;
  readonly key: KeyPlace;
}

export interface IdentityOptions {
  readonly config: Config;
  readonly store: () => Promise<Store>;
  readonly lookup: Lookup;
  /** At which host the identity server is asked when. */
  readonly choice: Choice;
  readonly proxy: HttpProxy | undefined;
  /** Firewall mark of the connection to the identity server; 0: none. */
  readonly mark: number;
  readonly wallMs: () => number;
  readonly log: Log;
  /** Receives failures that end nothing. */
  readonly note: (failure: unknown) => void;
  /** Aborted with a Failure when the agent stops: nothing is opened any more, and what is under way is called off. */
  readonly stopping: AbortSignal;
}

export function identitySession(options: IdentityOptions): IdentitySession {
  const { config, store, lookup, choice, proxy, mark, wallMs, log, note, stopping } = options;
  const keyring = openKeyring(() => openKeys(config), stopping);
  let trust: RouterTrust | undefined;
  let handshakes = 0;
  const credentialRoot = async (): Promise<Uint8Array> => (await (await keyring.keys()).credential()).xttRoot;
  /** How often what is trusted was forgotten: what was read before is not kept after. */
  let forgotten = 0;
  const forget = (): void => {
    trust = undefined;
    forgotten++;
  };
  // Loaded only when a router sends a message about roots: nothing else of a device that has its identity verifies signatures.
  let learner: Promise<RootLearner> | undefined;
  const openLearner = async (): Promise<RootLearner> => {
    const { rootLearner } = await import('./root-learner.ts');
    return rootLearner({ store, credentialRoot, wallMs, log, note, onLearned: forget });
  };

  /** What was learned in place of the credential's roots. */
  const learned = async (): Promise<RootSet | undefined> => {
    const { record } = await store();
    // The credential is not read for nothing: a chip answers slowly.
    return shownRoots(record) && learnedRoots(record, await credentialRoot());
  };

  const readTrust = async (): Promise<RouterTrust> => {
    const before = forgotten;
    const read = await routerTrust(config, async () => (await keyring.keys()).tlsRoot(), await learned());
    if (forgotten !== before) return readTrust();
    trust = read;
    return read;
  };

  /** Keys, chip and state are this device's own, and so is that it stops. */
  const isTheirs = (error: unknown): boolean =>
    isFailure(error) && ['net', 'xtt'].includes(error.area) && !stopping.aborted;

  return {
    async prepare() {
      const { identity, pending } = (await store()).record;
      await keyring.close();
      trust = undefined;
      await keyring.keys();
      if (identity === undefined) return { kind: 'provision', reason: 'first-boot' };
      const { address } = identity;
      // The fabric may know the new key already, and no longer the old one.
      if (pending !== undefined) return { kind: 'provision', reason: 'interrupted', address };
      try {
        await keyring.use(identity);
        return { kind: 'connect', address };
      } catch (error) {
        if (!isUnloadable(error)) throw error;
        return { kind: 'provision', reason: 'foreign-state', address };
      }
    },

    async provision(own = '') {
      // Loaded only here: a device that has its identity never needs the handshake's code.
      const [{ provision }, { openExchange }] = await Promise.all([
        import('./provision.ts'),
        import('./exchange.ts'),
      ]);
      const { suite, address, basename } = config.identity;
      const { identityPort: port, connectTimeout: timeoutMs } = config.remote;
      const requested = address || own;
      const [keys, opened] = [await keyring.keys(), await store()];
      const once = (guidance: Guidance): Promise<SavedIdentity> =>
        provision({
          ...{ keys, store: opened, suite },
          requestedIdentity: requested === '' ? new Uint8Array(16) : parseIpv6(requested),
          ...(basename !== '' && { basename: new TextEncoder().encode(basename) }),
          async connect() {
            const hosts = await choice.next();
            const common = { port, mark, timeoutMs, signal: stopping, proxy, lookup };
            return openExchange({ hosts, ...common, ...guidance });
          },
          links: () => linkPrefixes(config.tunnel.device),
          nowMs: wallMs,
        });
      const identity = await judged(choice, once, isTheirs);
      handshakes++;
      await keyring.use(identity);
      return identity.address;
    },

    async tls() {
      const { identity } = (await store()).record;
      if (identity === undefined) throw new Error('a connection without an identity');
      const trusted = trust ?? (await readTrust());
      const key = keyring.longterm() ?? (await keyring.use(identity));
      return {
        address: identity.address,
        ...trusted,
        certificate: fromHex(identity.certificate),
        key: key.tlsKey(),
      };
    },

    async receive(packet) {
      try {
        learner ??= openLearner();
        return await (await learner).receive(packet);
      } catch (error) {
        // A mistake of the program, or one whose files were replaced: the tunnel goes on.
        learner = undefined;
        log('error', `internal error: ${(error as Error).stack}`);
        return undefined;
      }
    },
    reload: forget,
    handshakes: () => handshakes,
    certificate: () => undefined,
    close: keyring.close,
  };
}
