import { readCertificate } from '../../crypto/certificates.ts';
import { linkPrefixes } from '../../os/linux/links.ts';
import { readTrimmed } from '../../os/linux/machine.ts';
import { concat, fromHex } from '../../protocol/bytes.ts';
import { Failure, isFailure } from '../../protocol/failure.ts';
import { toPem } from '../../protocol/identity/roots.ts';
import { decommissionedOf } from '../state/decommission.ts';
import type { DeviceRecord, Enrolment, SavedCertificate } from '../state/state.ts';
import { certificateKeys } from './certificate-keys.ts';
import type { Enrolling } from './enroll.ts';
import { isUnloadable, type LongtermKey } from './key-store.ts';
import { openKeyring } from './keyring.ts';
import { viewOf } from './named-certificate.ts';
import type { CertificateView, IdentityOptions, IdentitySession } from './session.ts';
import { type RouterTrust, routerTrust } from './tls-root.ts';

/** The identity of a machine whose certificate comes from an EST server. */
export interface EnrolledSession extends IdentitySession {
  /**
   * Gets a certificate with a one-time code; unless `again`, only if there is none. What there was is forgotten when the new one is on the disk.
   * @throws Failure `est.…`, `agent.not-confirmed`, `agent.out-of-service` and those of keys, state and network
   */
  enroll(code: string, again: boolean): Promise<CertificateView>;
  /**
   * What the fabric says to the certificate that it was shown last. One that is taken ends the wait of a former one, whichever it is; one that is not
   * gives the other its turn. Never rejects with a Failure.
   */
  heard(answer: 'taken' | 'refused'): Promise<void>;
}

export interface EnrolledOptions extends Omit<IdentityOptions, 'choice'> {
  /** A monotonic clock in milliseconds. */
  readonly steadyMs: () => number;
}

/** What HTTP Basic carries, and a person can type. */
const CODE = /^[\x21-\x7e]{1,256}$/;
/** No other certificate is asked for so soon after the fabric has not taken the last one. */
const NOT_TAKEN_MS = 3_600_000;

export function enrolledIdentity(options: EnrolledOptions): EnrolledSession {
  const { config, store, wallMs, steadyMs, log, note, stopping } = options;
  const keyring = openKeyring(async () => certificateKeys(config, stopping), stopping);
  // Loaded when it is first needed: that is once in two months.
  let client: Promise<typeof import('./enroll.ts') & Pick<Enrolling, 'est'>> | undefined;
  const load = () => {
    client ??= Promise.all([import('./enroll.ts'), import('./est.ts')]).then(([enroll, { estClient }]) => ({
      ...enroll,
      est: estClient(options),
    }));
    return client;
  };
  let trust: RouterTrust | undefined;
  /** What is used, and whose key the keyring has; undefined: that is to be looked up. */
  let used: SavedCertificate | undefined;
  let loaded: SavedCertificate | undefined;
  let view: CertificateView | undefined;
  /** By the steady clock. */
  let notTakenMs: number | undefined;
  /** One after the other: enrolments share the key that is kept for the next, and none is loaded twice, or closed while it is used. */
  let turn: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const done = turn.then(work);
    turn = done.catch(() => {});
    return done;
  };

  const enrolment = async (): Promise<Enrolment> => (await store()).record.enrolment ?? {};

  const use = (certificate: SavedCertificate): CertificateView => {
    used = certificate;
    view = shown(certificate);
    return view;
  };
  /** The certificate in use, with its key. @throws Failure `pki.not-enrolled`, and of the keys */
  const ready = async (): Promise<{ certificate: SavedCertificate; key: LongtermKey }> => {
    const certificate = used ?? (await enrolment()).current;
    if (certificate === undefined) throw notEnrolled();
    if (loaded !== certificate || keyring.longterm() === undefined) {
      await keyring.use(certificate);
      loaded = certificate;
    }
    use(certificate);
    return { certificate, key: keyring.longterm()! };
  };
  const reset = async (): Promise<void> => {
    await keyring.close();
    [trust, used, loaded, view] = [undefined, undefined, undefined, undefined];
  };
  const work = async (est: Enrolling['est']): Promise<Enrolling> => ({
    ...{ est, keys: await keyring.keys(), store: await store() },
    ...{ links: () => linkPrefixes(config.tunnel.device), nowMs: wallMs },
  });

  /** Keeps only this certificate: in both files, so that no former key stays on the disk. */
  const keepOnly = async (certificate: SavedCertificate): Promise<void> => {
    const only = (record: DeviceRecord): DeviceRecord => {
      const { former: _, ...rest } = record.enrolment ?? {};
      return { ...record, enrolment: { ...rest, current: certificate } };
    };
    for (let file = 0; file < 2; file++) await (await store()).update(only);
  };

  const taken = async (certificate: SavedCertificate): Promise<void> => {
    const { current, former } = await enrolment();
    if (former === undefined || (certificate !== current && certificate !== former)) return;
    await keepOnly(certificate);
    if (certificate === current) return;
    notTakenMs = steadyMs();
    const failure = notTaken();
    note(failure);
    log('warning', `${failure.code}: ${failure.message}`);
  };

  return {
    prepare: () =>
      inTurn(async () => {
        await reset();
        const { current } = await enrolment();
        if (current === undefined) throw notEnrolled();
        use(current);
        try {
          await ready();
        } catch (error) {
          if (isUnloadable(error)) throw keyLost(error);
          throw error;
        }
        return { kind: 'connect', address: current.address };
      }),

    provision: () =>
      inTurn(async () => {
        if (notTakenMs !== undefined && steadyMs() - notTakenMs < NOT_TAKEN_MS) throw notTaken();
        const { certificate: present, key } = await ready();
        const chain = present.chain.map((der) => toPem(fromHex(der))).join('');
        const { enrollAgain, est } = await load();
        const renewed = await enrollAgain(await work(est), present, {
          present: { certificate: chain, key: key.tlsKey() },
        });
        use(renewed);
        return renewed.address;
      }),

    enroll: (code, again) =>
      inTurn(async () => {
        if (!CODE.test(code)) throw badCode();
        const { record } = await store();
        if (decommissionedOf(record) !== undefined) throw outOfService();
        const current = record.enrolment?.current;
        if (current !== undefined && !again) throw enrolledAlready(current);
        const { address } = config.identity;
        const { enrollFirst, est } = await load();
        const certificate = await enrollFirst(await work(est), code, { name: await hostName(), address });
        if (current !== undefined) await keepOnly(certificate);
        notTakenMs = undefined;
        return use(certificate);
      }),

    tls: () =>
      inTurn(async () => {
        const { certificate, key } = await ready();
        trust ??= await routerTrust(config, async () => undefined);
        const { address, chain } = certificate;
        return { address, ...trust, certificate: concat(...chain.map(fromHex)), key: key.tlsKey() };
      }),

    async heard(answer) {
      const certificate = loaded;
      if (certificate === undefined) return;
      try {
        if (answer === 'taken') return await taken(certificate);
        const { current, former } = await enrolment();
        const other = certificate === current ? former : current;
        if (former !== undefined && other !== undefined) use(other);
      } catch (error) {
        if (!isFailure(error)) throw error;
        note(error);
        log('warning', `${error.code}: ${error.message}; the former certificate is still kept`);
      }
    },

    // Which roots count says the configuration.
    receive: async () => undefined,
    reload() {
      trust = undefined;
    },
    handshakes: () => 0,
    certificate: () => view,
    close: reset,
  };
}

/** How a machine calls itself that has no certificate yet; fabrics ignore it, other servers may show it to a person. */
const hostName = async (): Promise<string> =>
  (await readTrimmed('/proc/sys/kernel/hostname'))?.slice(0, 64) || 'enf-agent';

/** What there is to show of a certificate that was kept. */
export function shown({ address, chain, key }: SavedCertificate): CertificateView {
  const facts = readCertificate(fromHex(chain[0]!));
  if (facts === undefined) throw new Error('a certificate that was kept is none');
  return viewOf(facts, address, key.kind === 'tpm' ? 'tpm' : 'file');
}

/** The device waits for a person. */
export const notEnrolled = (): Failure =>
  new Failure('pki.not-enrolled', 'operator', 'this device has no certificate yet', {
    action:
      'Get a one-time code from the owner of the network and run "enf-agent enroll"; the agent then connects at once. Or name files in identity.certificate and identity.key.',
  });

export const noEnrolment = (): Failure =>
  new Failure('pki.no-enrolment', 'operator', 'the configuration asks for no enrolment', {
    action: 'Set identity.mode = "pki", without identity.certificate and identity.key.',
  });

const badCode = (): Failure =>
  new Failure(
    'est.bad-code',
    'operator',
    'expected a code of 1 to 256 letters, digits and signs, without spaces',
    {
      action: 'Give the code as it was given out.',
    },
  );

export const keyLost = (cause: unknown): Failure =>
  new Failure(
    'pki.key-lost',
    'operator',
    `the key of this device's certificate does not load: ${(cause as Error).message}`,
    {
      action:
        'The TPM was replaced or cleared, or the state comes from another machine. Enroll again with a new code: enf-agent enroll --force.',
      cause,
    },
  );

const notTaken = (): Failure =>
  new Failure(
    'pki.renewal-not-taken',
    'retry',
    'the fabric did not take the renewed certificate; the former one is in use again',
    { action: 'Another one is asked for after an hour. The log of the fabric says why.' },
  );

const enrolledAlready = (current: SavedCertificate): Failure => {
  const { subject, notAfter } = shown(current);
  return new Failure(
    'agent.not-confirmed',
    'operator',
    `this device has a certificate already, ${subject} for ${current.address} until ${notAfter}`,
    { action: 'It is renewed by itself. Add --force if it is to be replaced by one for this code.' },
  );
};

const outOfService = (): Failure =>
  new Failure('agent.out-of-service', 'operator', 'this device was taken out of service', {
    action: 'If it is to be used again: enf-agent forget --yes, then enroll it.',
  });
