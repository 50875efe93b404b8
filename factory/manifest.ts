import { primitives } from '../crypto/primitives.ts';
import { appendLine } from '../os/files/create.ts';
import { readIfThere } from '../os/files/read.ts';
import { toHex } from '../protocol/bytes.ts';
import { decodeUtf8 } from '../protocol/utf8.ts';
import type { EndorsementState } from './endorsement.ts';
import { GROUP_FILE, type Group } from './group.ts';

/** One personalised device: a line of JSON in the group's manifest. Nothing in it is secret. */
export interface DeviceRecord {
  /** ISO 8601, UTC. */
  readonly time: string;
  readonly gid: string;
  /** SHA-256 of the member's public point (65 bytes), hex: identifies the device, and cannot be used in the protocol. */
  readonly member: string;
  /** The manufacturer that the TPM reports, or `software`. */
  readonly tpm: string;
  /** Whether the maker's certificate proved the TPM genuine; left out for software, and in manifests of before. */
  readonly ek?: EndorsementState;
}

const EK_STATES: readonly unknown[] = ['verified', 'untrusted', 'absent'] satisfies EndorsementState[];

const MAX_MANIFEST = 64 * 1024 * 1024;

/** How a manifest names a member: SHA-256 of its public point, hex. */
export function memberName(publicPoint: Uint8Array): string {
  return toHex(primitives.sha256(publicPoint));
}

/** Every device of the group, in the order of personalisation. A line that a power cut left incomplete is skipped. */
export async function readManifest(group: Group): Promise<DeviceRecord[]> {
  const path = `${group.folder}/${GROUP_FILE.manifest}`;
  const bytes = await readIfThere(path, 'manifest', MAX_MANIFEST);
  const lines = (bytes ? (decodeUtf8(bytes) ?? '') : '').split('\n');
  return lines.flatMap((line) => parseRecord(line) ?? []);
}

/** Adds a device, durably, unless the manifest has it already. */
export async function recordDevice(
  group: Group,
  publicPoint: Uint8Array,
  tpm: string,
  ek?: EndorsementState,
): Promise<DeviceRecord> {
  const member = memberName(publicPoint);
  const known = (await readManifest(group)).find((record) => record.member === member);
  if (known) return known;
  const record: DeviceRecord = {
    time: new Date().toISOString(),
    gid: group.gid,
    member,
    tpm,
    ...(ek && { ek }),
  };
  await appendLine(`${group.folder}/${GROUP_FILE.manifest}`, JSON.stringify(record));
  return record;
}

function parseRecord(line: string): DeviceRecord | undefined {
  try {
    const { time, gid, member, tpm, ek } = JSON.parse(line) as Record<string, unknown>;
    const whole = [time, gid, member, tpm].every((field) => typeof field === 'string');
    const endorsed = EK_STATES.includes(ek) ? { ek } : {};
    return whole ? ({ time, gid, member, tpm, ...endorsed } as DeviceRecord) : undefined;
  } catch {
    return undefined;
  }
}
