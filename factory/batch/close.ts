import { digestOf } from '../../crypto/maker-key.ts';
import { createFolder } from '../../os/files/create.ts';
import { readBounded } from '../../os/files/read.ts';
import { Failure } from '../../protocol/failure.ts';
import { basenameText } from '../../protocol/label.ts';
import { MANIFEST_FORMAT } from '../../protocol/roster.ts';
import { decodeUtf8, encodeUtf8 } from '../../protocol/utf8.ts';
import { counted } from '../../protocol/words.ts';
import { GROUP_FILE, type Group } from '../group/group.ts';
import { type Maker, withMakerKey } from '../maker/maker.ts';
import { readRows, withJournal } from './journal.ts';
import { isResident, type Row } from './row.ts';

/** The files of a closed batch's manifest. */
export const MANIFEST_FILE = {
  /** What is signed: JSON. */
  manifest: 'manifest.json',
  /** Ed25519 over the bytes of manifest.json, 64 bytes. */
  signature: 'manifest.sig',
  /** One line of JSON for each device, whose digest is in manifest.json. */
  devices: 'devices.jsonl',
  publicKey: 'maker.pub',
} as const;

/** What a maker says of a batch. */
export interface Manifest {
  readonly format: string;
  readonly name: string;
  readonly vendor?: string | undefined;
  readonly gid: string;
  /** As `basenameText` writes it. */
  readonly basename: string;
  readonly devices: number;
  /** How many devices have their endorsement certificate verified. */
  readonly verified: number;
  /** How many have no pseudonym here: they were made before the journal had any. */
  readonly unnamed: number;
  /** Devices in a box, which has them in the order of devices.jsonl; undefined: nobody has said. */
  readonly perBox?: number | undefined;
  /** ISO 8601, UTC. */
  readonly closed: string;
  /** Of devices.jsonl. */
  readonly sha256: string;
  readonly bytes: number;
}

/**
 * Closes a batch: it takes no more devices, and its manifest, signed by the maker, is in the folder `manifest`; all at once. A closed one is returned
 * as it is. `perBox`: devices in a box. `leaveIssued`: closes it although boards have credentials that were not seen to work; they are not in the manifest.
 * @throws Failure `factory.boards-open`, `factory.bad-maker-key`, those of the journal and of files
 */
export async function closeBatch(request: {
  readonly group: Group;
  readonly maker: Maker;
  readonly passphrase: () => Promise<Uint8Array>;
  readonly leaveIssued: boolean;
  readonly perBox?: number | undefined;
}): Promise<{ readonly manifest: Manifest; readonly folder: string; readonly already: boolean }> {
  const { group, maker, passphrase, leaveIssued, perBox } = request;
  const folder = `${group.folder}/${GROUP_FILE.manifest}`;
  return withJournal(group, async ({ tally, closed }) => {
    if (closed) return { manifest: await readManifest(folder), folder, already: true };
    if (tally.issued > 0 && !leaveIssued) throw boardsOpen(tally.issued);
    const manifest = await describe(group, perBox);
    const signed = encodeUtf8(`${JSON.stringify(manifest, null, 2)}\n`);
    const signature = await withMakerKey(maker, passphrase, (sign) => sign(signed));
    await createFolder(folder, [
      { name: MANIFEST_FILE.manifest, content: signed, mode: 0o644 },
      { name: MANIFEST_FILE.signature, content: signature, mode: 0o644 },
      { name: MANIFEST_FILE.publicKey, content: maker.publicKey, mode: 0o644 },
      { name: MANIFEST_FILE.devices, chunks: deviceLines(group), mode: 0o644 },
    ]);
    return { manifest, folder, already: false };
  });
}

async function describe(group: Group, perBox: number | undefined): Promise<Manifest> {
  let [devices, verified, unnamed] = [0, 0, 0];
  const digest = await digestOf(
    deviceLines(group, ({ ek, pseudonym }) => {
      devices++;
      if (ek === 'verified') verified++;
      if (pseudonym === undefined) unnamed++;
    }),
  );
  return {
    format: MANIFEST_FORMAT,
    name: group.name,
    ...(group.vendor === undefined ? {} : { vendor: group.vendor }),
    gid: group.gid,
    basename: basenameText(group.basename),
    devices,
    verified,
    unnamed,
    ...(perBox === undefined ? {} : { perBox }),
    closed: new Date().toISOString(),
    ...digest,
  };
}

/** What others need to know of each device; who made it at which station stays in the journal. */
async function* deviceLines(group: Group, see: (row: Row) => void = () => {}): AsyncGenerator<Uint8Array> {
  for await (const row of readRows(group, 'passed')) {
    see(row);
    const { serial, member, pseudonym, ek, tpm, firmware, time } = row;
    const resident = isResident(row);
    const line = { serial, member, pseudonym, ek, resident, tpm, firmware, time };
    yield encodeUtf8(`${JSON.stringify(line)}\n`);
  }
}

async function readManifest(folder: string): Promise<Manifest> {
  const path = `${folder}/${MANIFEST_FILE.manifest}`;
  return JSON.parse(decodeUtf8(await readBounded(path, 'manifest')) ?? '') as Manifest;
}

function boardsOpen(count: number): Failure {
  return new Failure(
    'factory.boards-open',
    'operator',
    `${counted(count, 'board has', 'boards have')} a credential, and did not show that it works`,
    {
      action:
        'Boot them at the station again ("enf-factory batch export --all --json" lists them), or close the batch without them: --leave-issued.',
    },
  );
}
