import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { primitives } from '../../crypto/primitives.ts';
import type { CertificatesView } from '../../fabric/operations/views/certificates.ts';
import { FILES } from '../../fabric/pki/files.ts';
import { toHex } from '../../protocol/bytes.ts';
import { isFailure } from '../../protocol/failure.ts';
import { parseTrust } from '../../protocol/identity/trust.ts';
import { formatIpv6 } from '../../protocol/ipv6.ts';
import { type BenchGroup, type Chip, makeChip, signAs } from '../bench/admit/fleet.ts';
import { makeLongterm } from '../bench/admit/longterm.ts';
import { handshake } from '../bench/client.ts';
import { asked, told } from './expectations.ts';
import type { Serving } from './serving.ts';

/** What a fabric is asked for while its writes are recorded. */
export interface Work {
  /** Devices that are admitted for the first time. */
  readonly devices: number;
  /** How many of them at once. */
  readonly crowd: number;
  /** Changes of certificates, roots and networks. */
  readonly changes: number;
}

/** A fabric under load, and who is told what of it. */
export interface Client {
  readonly serving: Serving;
  readonly group: BenchGroup;
  readonly mark: (mark: string) => void;
}

/** What an operator does in its turn, one after the other. */
export type Operator = (client: Client, turn: number) => Promise<void>;

/** Device by device as many as the work has: admits, admits again with a new key, bans, forgives; and what an operator does meanwhile. */
export async function load(
  client: Client,
  { devices, crowd, changes }: Work,
  operate: Operator = ofEverything,
): Promise<void> {
  let left = devices;
  const place = async (): Promise<void> => {
    while (left-- > 0) await live(client, left);
  };
  const operator = async (): Promise<void> => {
    for (let turn = 0; turn < changes; turn++) await operate(client, turn);
  };
  await Promise.all([...Array.from({ length: crowd }, place), operator()]);
}

/** One device's life, which is one of four. */
async function live(client: Client, turn: number): Promise<void> {
  const chip = makeChip(client.group);
  const address = await admit(client, chip);
  if (turn % 4 === 1) await admit(client, chip, address);
  if (turn % 4 >= 2) await change(client, address, 'ban', 'banned');
  if (turn % 4 === 3) await change(client, address, 'unban', 'active');
}

/** Admits a chip and notes what it was told. `address`: it has one already. */
async function admit(client: Client, chip: Chip, address?: string): Promise<string> {
  const { serving, group, mark } = client;
  const root = parseTrust(await readFile(join(serving.data, FILES.trust), 'utf8')).xttRoot;
  const { publicKey, sign } = makeLongterm();
  const key = toHex(publicKey);
  if (address !== undefined) mark(asked(`key ${address}`, key));
  const signing = {
    longtermKey: publicKey,
    longterm: async (message: Uint8Array) => sign(message),
    daa: async (message: Uint8Array) => signAs(chip, message),
  };
  let now: string;
  try {
    now = formatIpv6(await handshake(serving.identityPort, { gid: group.gid, root }, signing));
  } catch (error) {
    // The root that it trusts has ended meanwhile: it asks again, as devices do.
    if (isFailure(error, 'xtt.unknown-root')) return admit(client, chip, address);
    throw error;
  }
  mark(told(`key ${now}`, key));
  if (address === undefined) mark(told(`standing ${now}`, 'active'));
  return now;
}

async function change(
  { serving, mark }: Client,
  address: string,
  change: 'ban' | 'unban',
  standing: string,
): Promise<void> {
  mark(asked(`standing ${address}`, standing));
  await serving.run('device-standing', { address, change });
  mark(told(`standing ${address}`, standing));
}

/** An operator adds networks and roots, ends older roots, and replaces certificates. */
const ofEverything: Operator = (client, turn) =>
  turn % 3 === 0 ? addNetwork(client, turn) : replaceCertificate(client, turn);

export async function addNetwork({ serving, mark }: Client, turn: number): Promise<void> {
  const random = primitives.random(5);
  const prefix = formatIpv6(Uint8Array.of(0xfd, 1, turn, ...random, ...new Uint8Array(8)));
  await serving.run('network-add', { prefix: `${prefix}/64`, name: `Network ${turn}` });
  mark(told(`network ${prefix}/64`, `Network ${turn}`));
}

async function replaceCertificate({ serving, mark }: Client, turn: number): Promise<void> {
  for (const [subject] of await certificates(serving)) mark(asked(subject));
  const round = Math.floor(turn / 12);
  if (turn % 12 !== 1)
    await serving.run('certificate-rotate', { what: turn % 3 === 1 ? 'router' : 'xtt-server' });
  else if (round % 2 === 0) await serving.run('root-rotate');
  else await serving.run('root-end', { number: (round + 1) / 2, anyway: true });
  for (const [subject, value] of await certificates(serving)) mark(told(subject, value));
}

/** What the fabric serves with: the version of its roots, the router's certificate and the identity server's. */
export async function certificates(serving: Serving): Promise<ReadonlyMap<string, string>> {
  const { version, certificates } = await serving.run<CertificatesView>('certificate-list');
  const served = (which: string): string =>
    certificates.flatMap(({ name, fingerprint }) => (name === which ? [fingerprint] : [])).join();
  return new Map([
    ['roots', `version ${version}`],
    ['router', served('router')],
    ['xtt-server', served('xtt-server')],
  ]);
}
