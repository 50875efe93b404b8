import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { generateMakerKey, type MakerKey, makerFingerprint, signAsMaker } from '../../crypto/maker-key.ts';
import type { NewRoster } from '../../fabric/registry/rosters.ts';
import { toHex } from '../../protocol/bytes.ts';
import { formatRosterHeader } from '../../protocol/roster.ts';
import { random, type WholeRegistry } from './place.ts';

/** A device as a roster names it. */
export interface Rostered {
  readonly pseudonym?: Uint8Array;
  readonly serial?: string;
  readonly resident?: boolean;
}

/** A roster as the factory writes it. */
export interface TestRoster {
  readonly header: string;
  readonly lines: Buffer;
  readonly maker: MakerKey;
  /** What the registry takes of it. */
  readonly known: NewRoster;
  /** Writes it to a file, and returns its path. */
  write(path: string): string;
}

export interface RosterOptions {
  readonly maker?: MakerKey;
  readonly perBox?: number;
  readonly names?: boolean;
  /** What the manifest says besides, or instead. */
  readonly says?: Readonly<Record<string, unknown>>;
}

/** A roster of these devices, signed. */
export function makeRoster(
  gid: Uint8Array,
  devices: readonly Rostered[],
  { maker = generateMakerKey(), perBox, names = false, says = {} }: RosterOptions = {},
): TestRoster {
  const lines = Buffer.from(
    devices
      .map(
        ({ pseudonym, serial, resident }, i) =>
          `${JSON.stringify({ serial, resident, member: 'aa', pseudonym: pseudonym && toHex(pseudonym), time: String(i) })}\n`,
      )
      .join(''),
  );
  const sha256 = createHash('sha256').update(lines).digest();
  const unnamed = devices.filter(({ pseudonym }) => pseudonym === undefined).length;
  const manifest = Buffer.from(
    JSON.stringify({
      ...{
        format: 'enf-manifest-1',
        name: 'batch 7',
        gid: toHex(gid),
        basename: 'aa',
        devices: devices.length,
      },
      ...{
        verified: 0,
        unnamed,
        perBox,
        closed: 'today',
        sha256: toHex(sha256),
        bytes: lines.length,
        ...says,
      },
    }),
  );
  const signature = signAsMaker(maker.secret, maker.publicKey, manifest);
  const header = formatRosterHeader({ manifest, signature, maker: maker.publicKey });
  return {
    header,
    lines,
    maker,
    known: {
      maker: makerFingerprint(maker.publicKey),
      makerKey: maker.publicKey,
      sha256: new Uint8Array(sha256),
      bytes: lines.length,
      devices: devices.length,
      unnamed,
      ...(perBox !== undefined && { perBox }),
      names,
    },
    write(path) {
      writeFileSync(path, Buffer.concat([Buffer.from(`${header}\n`), lines]));
      return path;
    },
  };
}

/** What a chip is known by, as a point looks. */
export const anyPseudonym = (): Uint8Array => Uint8Array.of(4, ...random(64));

/** So many devices with serial numbers S1, S2, … */
export const rostered = (count: number, first = 1): (Rostered & { readonly pseudonym: Uint8Array })[] =>
  Array.from({ length: count }, (_, i) => ({ pseudonym: anyPseudonym(), serial: `S${first + i}` }));

/** Gives a group the roster, `size` bytes at once or somewhat more, and puts it in force. */
export async function giveRoster(
  registry: Pick<WholeRegistry, 'beginRoster' | 'addRosterPart' | 'roster' | 'indexRoster'>,
  gid: Uint8Array,
  { known, lines }: TestRoster,
  size = 1_000_000,
): Promise<void> {
  let { offset } = await registry.beginRoster('owner', gid, known);
  while (offset < lines.length) {
    const part = lines.subarray(offset, lines.indexOf(0x0a, Math.min(lines.length - 1, offset + size)) + 1);
    ({ offset } = await registry.addRosterPart(gid, offset, part));
  }
  while ((await registry.roster(gid)).roster?.state !== 'in-force') await registry.indexRoster('owner', gid);
}
