import { createHash } from 'node:crypto';

/** Where everything is on the disk of a gateway. All sizes are in MiB, all partitions begin at a whole one. */

export interface Sizes {
  readonly slot: number;
  /** Of the data partition in the image; on the device it grows to the end of the disk. */
  readonly data: number;
}

export interface Partition {
  readonly number: number;
  readonly label: 'enf-boot' | 'enf-config' | 'enf-root-a' | 'enf-root-b' | 'enf-data';
  readonly start: number;
  readonly size: number;
  /** GUIDs in capital letters. */
  readonly type: string;
  readonly guid: string;
}

export interface Layout {
  /** Of the whole image. */
  readonly size: number;
  readonly guid: string;
  readonly partitions: readonly Partition[];
}

const TYPE = {
  efi: 'C12A7328-F81F-11D2-BA4B-00A0C93EC93B',
  /** What every system shows as a drive, so that a person can put the configuration there. */
  basicData: 'EBD0A0A2-B9E5-4433-87C0-68B6B72699C7',
  linux: '0FC63DAF-8483-4772-8E79-3D69D8477DE4',
  root: {
    amd64: '4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709',
    arm64: 'B921B045-1DF0-41C3-AF44-4C6F280D3FAE',
  },
} as const;

const BOOT = 64;
const CONFIG = 34;
/** Before the first partition, and behind the last: the two copies of the partition table. */
const MARGIN = 1;
/** A slot holds a system of Debian and its next versions; data holds a bundle while it is installed from a file. */
const SMALLEST: Sizes = { slot: 256, data: 64 };

/** The same for all devices, of all versions. @throws Error for a size that is too small */
export function layoutOf(arch: 'amd64' | 'arm64', sizes: Sizes): Layout {
  for (const name of ['slot', 'data'] as const)
    if (!Number.isSafeInteger(sizes[name]) || sizes[name] < SMALLEST[name])
      throw new Error(`the size of ${name} is a whole number of MiB from ${SMALLEST[name]} on`);
  const parts = [
    { label: 'enf-boot', size: BOOT, type: TYPE.efi },
    { label: 'enf-config', size: CONFIG, type: TYPE.basicData },
    { label: 'enf-root-a', size: sizes.slot, type: TYPE.root[arch] },
    { label: 'enf-root-b', size: sizes.slot, type: TYPE.root[arch] },
    { label: 'enf-data', size: sizes.data, type: TYPE.linux },
  ] as const;
  let start = MARGIN;
  const partitions = parts.map((part, index) => {
    const partition = { ...part, number: index + 1, start, guid: guidOf(part.label) };
    start += part.size;
    return partition;
  });
  return { size: start + MARGIN, guid: guidOf('disk'), partitions };
}

/** The layout as input of sfdisk. */
export function sfdiskScript({ guid, partitions }: Layout): string {
  const lines = partitions.map(
    (each) =>
      `start=${each.start}MiB, size=${each.size}MiB, type=${each.type}, uuid=${each.guid}, name="${each.label}"`,
  );
  return ['label: gpt', `label-id: ${guid}`, ...lines, ''].join('\n');
}

/** The layout for a shell: `size=…`, and `boot_start=…`, `boot_size=…`, `boot_guid=…` for each partition, in MiB. */
export function shellVariables({ size, partitions }: Layout): string {
  const lines = partitions.flatMap(({ label, start, size: own, guid }) => {
    const name = label.replace('enf-', '').replace('-', '_');
    return [`${name}_start=${start}`, `${name}_size=${own}`, `${name}_guid=${guid}`];
  });
  return [`size=${size}`, ...lines, ''].join('\n');
}

/** A GUID that depends on nothing but the name, in the form of a random one (RFC 9562, version 8). */
function guidOf(name: string): string {
  const bytes = createHash('sha256').update(`enf-gateway ${name}`).digest().subarray(0, 16);
  bytes[6] = (bytes[6]! & 0x0f) | 0x80;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  return bytes
    .toString('hex')
    .toUpperCase()
    .replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}
