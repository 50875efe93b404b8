import type { DeviceFigures } from './device.ts';
import type { EcdaaFigures } from './ecdaa.ts';
import type { HandshakeFigures } from './handshakes.ts';
import { columns, figure } from './table.ts';

/**
 * The C programs' figures, measured once beside prototypes of ours on a shared 2.5 GHz x86 core, in CPU time: ECDAA is
 * libecdaa 1.0.0 over AMCL 4.7.3 at -O3, the tunnel client is enftun. They are for ratios: this machine is another one.
 */
export const C = {
  /** Milliseconds to verify one signature, the largest part of a server's handshake. */
  verifyMs: 14.45,
  /** Verifications a second on one core, from the slowest to the fastest of several runs. */
  verifiesPerSecond: '43–69',
  /** Milliseconds to sign on the host with a pseudonym, secret key in software. */
  signMs: 2.92,
  /** Milliseconds to issue a credential. */
  issueMs: 2.88,
  /** Megabytes of RSS of enftun. */
  tunnelRssMb: 7,
} as const;

/** One measured figure. `c` is the C program's, as text if it is a range; `most` is what it must not exceed. */
export interface Figure {
  readonly name: string;
  readonly unit: string;
  readonly value: number;
  readonly c: number | string | null;
  readonly most: number | null;
}

const of = (
  name: string,
  unit: string,
  value: number,
  beside: { c?: number | string; most?: number } = {},
): Figure => ({
  name,
  unit,
  value: Number(value.toPrecision(6)),
  c: beside.c ?? null,
  most: beside.most ?? null,
});

export const handshakeFigures = (measured: HandshakeFigures): readonly Figure[] => [
  of('server: CPU per handshake, one at a time', 'ms', measured.server_ms, { c: C.verifyMs }),
  of('server: handshakes per core, by its CPU', '1/s', 1e3 / measured.server_ms, { c: C.verifiesPerSecond }),
  of('client: CPU per handshake without the TPM', 'ms', measured.client_ms, { c: C.signMs, most: 12 }),
  of('handshake from connect to identity', 'ms', measured.latency_ms),
];

export const ecdaaFigures = (measured: EcdaaFigures): readonly Figure[] => [
  of('verify one signature', 'ms', measured.verify_one_ms, { c: C.verifyMs }),
  of('verify one of a batch of 64', 'ms', measured.verify_batch64_ms, { c: C.verifyMs }),
  of('verify one signature, TypeScript', 'ms', measured.noble_verify_ms, { c: C.verifyMs }),
  of('issue a credential', 'ms', measured.issue_ms, { c: C.issueMs }),
  of('sign in software', 'ms', measured.sign_ms, { c: C.signMs }),
  of('sign in software, TypeScript', 'ms', measured.noble_sign_ms, { c: C.signMs }),
];

/** Start and memory are bounded: a gateway is small and has to be reachable soon. */
export const deviceFigures = (measured: DeviceFigures): readonly Figure[] => [
  of('agent: cold start to first packet', 's', measured.cold_start_s, { most: 2 }),
  of('agent: RSS idle', 'MB', measured.idle.rssMb, { c: C.tunnelRssMb, most: 65 }),
  of('agent: PSS idle', 'MB', measured.idle.pssMb),
  of('agent: RSS under load', 'MB', measured.loaded.rssMb, { c: C.tunnelRssMb, most: 65 }),
  of('agent: PSS under load', 'MB', measured.loaded.pssMb),
];

/** The table: ours, the C program's, and whether what must be is. */
export function describe(figures: readonly Figure[]): string {
  const besideC = (c: Figure['c']): string => (typeof c === 'number' ? figure(c) : (c ?? '–'));
  const must = ({ value, most }: Figure): string =>
    most === null ? '' : `≤ ${most} ${value <= most ? 'yes' : 'NO'}`;
  return columns(
    ['', 'here', '', 'C', 'must'],
    figures.map((each) => [each.name, figure(each.value), each.unit, besideC(each.c), must(each)]),
  );
}
