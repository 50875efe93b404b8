import type { Wire } from '../../protocol/tunnel/wire.ts';
import { counted } from '../../protocol/words.ts';
import type { Config } from '../config/config.ts';
import { KEY_PLACES } from '../config/key-place.ts';
import type { CertificateView } from '../identity/session.ts';
import { duration } from '../lifecycle/duration.ts';
import type { CredentialEnd, Situation } from '../lifecycle/situation.ts';
import type { DelegationFacts, Facts, Peer } from './facts.ts';

/** A view of the running agent, read-only. Times are ISO 8601 by the wall clock of the device. */
export interface Status {
  readonly program: 'enf-agent';
  readonly version: string;
  /** `silent`: online, but the router, last heard at `since`, has not answered so far. */
  readonly situation: Situation['kind'] | 'silent';
  readonly since: string;
  /** RFC 5952 text of the identity; null before the first one. */
  readonly address: string | null;
  /** "address port n" of the router while online. */
  readonly router: string | null;
  /** The configured HTTP proxy, without user and password. */
  readonly proxy: string | null;
  /** The protocol of the connection (docs/wire.md): `enf/2` with super-frames, `enf/1`, or `enftun`; null while not online. */
  readonly wire: Wire | null;
  readonly device: string;
  readonly mode: 'tpm' | 'software' | 'pki';
  /**
   * Whether the TPM made the member's key, and keeps it: false if the secret is sealed in the TPM, or in a file, and a program signs with it. Null
   * before the first identity, with a certificate of a CA, and if an earlier version got it.
   */
  readonly resident: boolean | null;
  readonly trouble: {
    readonly code: string;
    readonly message: string;
    readonly action: string | null;
    readonly since: string;
    readonly attempts: number;
    /** When it is tried again; null while it is being tried. */
    readonly nextTry: string | null;
  } | null;
  /** XTT handshakes since this process started. */
  readonly handshakes: number;
  /** When the present identity was provisioned, by the device's clock at that time. */
  readonly lastHandshake: string | null;
  /** The version of the fabric's roots, and when the device has learned of them; null if they are those that the factory wrote. */
  readonly roots: { readonly version: number; readonly learned: string } | null;
  /** The certificate of a CA that the device has; null in the other modes, or if there is none yet. */
  readonly certificate: CertificateView | null;
  /** When the key is replaced next, and why that has failed at the last attempt; null if it is not, or there is none. */
  readonly rotation: {
    readonly next: string;
    readonly failure: { readonly code: string; readonly message: string } | null;
  } | null;
  /**
   * How the device goes out of service: `asked`: the fabric is asked to retire it, `unfinished`: what is left of it is being removed, `done`. `told`: the
   * fabric has retired it. Null of a device in service.
   */
  readonly decommission: {
    readonly step: 'asked' | 'unfinished' | 'done';
    readonly since: string;
    readonly told: boolean;
    readonly credential: CredentialEnd | null;
  } | null;
  /** The /64 that the fabric has delegated to this device, for the machines behind it, and the LAN that has it; null if none. */
  readonly delegation: DelegationFacts | null;
  /** Seconds that this device waits at most between two attempts, as the fabric has said; null: it has not, and then they are 300. */
  readonly longestPause: number | null;
  readonly traffic: Facts['traffic'] | null;
  readonly state: { readonly generation: number | null; readonly quarantined: readonly string[] };
}

/** What a status is made of. `nowMs` is the lifecycle's monotonic clock, `wallMs` the time of day at the same moment. */
export interface Snapshot {
  readonly version: string;
  readonly config: Config;
  readonly situation: Situation;
  readonly peer: Peer | undefined;
  readonly facts: Facts;
  readonly nowMs: number;
  readonly wallMs: number;
}

/** The view itself. */
export function statusOf(snapshot: Snapshot): Status {
  const { situation, facts } = snapshot;
  const alive = situation.kind === 'stopped' ? undefined : situation;
  const trouble = alive && 'trouble' in alive ? alive.trouble : undefined;
  const silentMs = situation.kind === 'online' ? facts.silentMs : undefined;
  const sinceMs = silentMs === undefined ? (alive?.sinceMs ?? snapshot.nowMs) : snapshot.nowMs - silentMs;
  const time = (ms: number): string => new Date(snapshot.wallMs + ms - snapshot.nowMs).toISOString();
  return {
    program: 'enf-agent',
    version: snapshot.version,
    situation: silentMs === undefined ? situation.kind : 'silent',
    since: time(sinceMs),
    address:
      (alive && 'address' in alive.goal && alive.goal.address) || facts.decommissioned?.address || null,
    router: snapshot.peer?.router ?? null,
    proxy: snapshot.config.remote.proxy?.toString() ?? null,
    wire: snapshot.peer?.wire ?? null,
    device: snapshot.config.tunnel.device,
    mode: snapshot.config.identity.mode,
    resident: facts.resident ?? null,
    trouble: trouble
      ? {
          code: trouble.code,
          message: trouble.message,
          action: trouble.action ?? null,
          since: time(trouble.sinceMs),
          attempts: trouble.attempts,
          nextTry: alive && 'untilMs' in alive ? time(alive.untilMs) : null,
        }
      : null,
    handshakes: facts.handshakes,
    lastHandshake: facts.lastHandshake ?? null,
    roots: facts.roots ?? null,
    certificate: facts.certificate ?? null,
    rotation: facts.rotation ? { next: facts.rotation.next, failure: facts.rotation.failure ?? null } : null,
    decommission: decommissionOf(facts),
    delegation: facts.delegation ?? null,
    longestPause: facts.longestMs === undefined ? null : facts.longestMs / 1_000,
    traffic: facts.traffic ?? null,
    state: { generation: facts.stateGeneration ?? null, quarantined: facts.quarantined },
  };
}

function decommissionOf({ leaving, decommissioned }: Facts): Status['decommission'] {
  if (decommissioned !== undefined) {
    const { at, told, credential = null } = decommissioned;
    return { step: credential === null ? 'unfinished' : 'done', since: at, told, credential };
  }
  return leaving === undefined ? null : { step: 'asked', since: leaving, told: false, credential: null };
}

/** One line for systemd's STATUS=. */
export function statusLine(situation: Situation): string {
  switch (situation.kind) {
    case 'online':
      return `online as ${situation.goal.address}`;
    case 'connecting':
      return `connecting as ${situation.goal.address}`;
    case 'backing-off':
    case 'blocked':
      return `${situation.kind}: ${situation.trouble.code}: ${situation.trouble.message}`;
    default:
      return situation.kind;
  }
}

const WIRE_TEXT: Record<Wire, string> = {
  'enf/2': 'with super-frames (enf/2)',
  'enf/1': 'with verdicts (enf/1)',
  enftun: 'as enftun',
};

const situationText = ({ situation, since }: Status, span: string): string =>
  situation === 'silent'
    ? `silent since ${since}, ${span} ago: online, but the router does not answer`
    : `${situation} for ${span}`;

const residentText = (resident: boolean, mode: Status['mode']): string => {
  if (resident) return 'yes: the TPM keeps the group key';
  return mode === 'tpm'
    ? 'no: the secret of the group key is sealed in the TPM'
    : 'no: the group key is in a file';
};

function rotationText({ next, failure }: NonNullable<Status['rotation']>, wallMs: number): string {
  const when = `in ${duration(Math.max(0, Date.parse(next) - wallMs))} (${next})`;
  return failure === null
    ? when
    : `${when}; the last attempt has failed: ${failure.message} [${failure.code}]`;
}

function certificateText({ subject, notAfter, key }: CertificateView, wallMs: number): string {
  const leftMs = Date.parse(notAfter) - wallMs;
  const until = leftMs > 0 ? `for ${duration(leftMs)}, until ${notAfter}` : `EXPIRED since ${notAfter}`;
  return `${subject}, ${until}; its key is in ${KEY_PLACES[key]}`;
}

function decommissionText({ step, since, told, credential }: NonNullable<Status['decommission']>): string {
  if (step === 'asked') return `the fabric is asked to retire this device, since ${since}`;
  const fabric = told ? 'the fabric has retired it' : 'the fabric was not told';
  const rest = { removed: '', kept: '; its credential could not be removed', unfinished: '; being removed' };
  return `no more since ${since}, ${fabric}${rest[credential ?? 'unfinished']}`;
}

function delegationText({ prefix, lan, failure }: DelegationFacts): string {
  if (lan === null) return `${prefix}; delegation.interface names no LAN that has it`;
  return failure === null
    ? `${prefix} on ${lan}`
    : `${prefix}, incomplete on ${lan}: ${failure.message} [${failure.code}]`;
}

/** The status for people. */
export function describeStatus(status: Status, wallMs: number): string {
  const ago = (time: string): string => duration(Math.max(0, wallMs - Date.parse(time)));
  const rows: [string, string][] = [
    ['situation', situationText(status, ago(status.since))],
    ['address', status.address ?? 'none yet'],
    ['interface', status.device],
  ];
  if (status.delegation) rows.push(['prefix', delegationText(status.delegation)]);
  if (status.lastHandshake !== null)
    rows.push(['handshake', `${ago(status.lastHandshake)} ago (${status.lastHandshake})`]);
  if (status.resident !== null) rows.push(['resident', residentText(status.resident, status.mode)]);
  if (status.certificate) rows.push(['certificate', certificateText(status.certificate, wallMs)]);
  if (status.rotation) rows.push(['next key', rotationText(status.rotation, wallMs)]);
  if (status.roots)
    rows.push([
      'roots',
      `version ${status.roots.version} of the fabric's, learned ${ago(status.roots.learned)} ago`,
    ]);
  if (status.decommission) rows.push(['in service', decommissionText(status.decommission)]);
  if (status.router !== null) {
    const by = status.proxy === null ? 'router' : 'via proxy';
    rows.push([by, `${status.router}, ${WIRE_TEXT[status.wire ?? 'enftun']}`]);
  }
  if (status.trouble) {
    const { code, message, action, attempts, since, nextTry } = status.trouble;
    rows.push(['trouble', `${message} [${code}]`]);
    if (action !== null) rows.push(['what to do', action]);
    rows.push(['attempts', `${attempts} failed in the last ${ago(since)}`]);
    if (nextTry !== null)
      rows.push(['next try', `in ${duration(Math.max(0, Date.parse(nextTry) - wallMs))}`]);
    if (status.longestPause !== null)
      rows.push(['pauses', `${duration(status.longestPause * 1_000)} at most, as the fabric asks`]);
  }
  if (status.traffic) {
    const { sentPackets, sentBytes, receivedPackets, receivedBytes } = status.traffic;
    rows.push(['sent', `${counted(sentPackets, 'packet')}, ${counted(sentBytes, 'byte')}`]);
    rows.push(['received', `${counted(receivedPackets, 'packet')}, ${counted(receivedBytes, 'byte')}`]);
  }
  if (status.state.quarantined.length > 0) rows.push(['set aside', status.state.quarantined.join(', ')]);
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `${name.padEnd(width)}  ${value}`).join('\n');
}
