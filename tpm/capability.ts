import { malformed, readWire, type WireReader } from './wire.ts';

/** TPM_CAP. */
export const CAPABILITY = {
  algorithms: 0,
  handles: 1,
  commands: 2,
  pcrs: 5,
  properties: 6,
  curves: 8,
} as const;

/** TPM_PT. */
export const PROPERTY = {
  fixed: 0x100,
  manufacturer: 0x105,
  firmware1: 0x10b,
  firmware2: 0x10c,
  nvIndexMax: 0x117,
  nvBufferMax: 0x12c,
  variable: 0x200,
  startupClear: 0x201,
  persistentAvailable: 0x209,
  lockoutCounter: 0x20e,
  maxAuthFail: 0x20f,
  lockoutInterval: 0x210,
} as const;

const MAX_ENTRIES = 512;

/** TPMS_CAPABILITY_DATA: capability u32 | count u32 | entries. */
function readEntries<T>(data: Uint8Array, capability: number, entry: (reader: WireReader) => T): T[] {
  const reader = readWire('capability', data);
  const kind = reader.u32();
  if (kind !== capability) throw malformed('capability', `kind ${kind}, asked for ${capability}`);
  const count = reader.u32();
  if (count > MAX_ENTRIES) throw malformed('capability', `${count} entries`);
  const entries = Array.from({ length: count }, () => entry(reader));
  reader.end();
  return entries;
}

/** @throws Failure `tpm.malformed` */
export function readHandles(data: Uint8Array): number[] {
  return readEntries(data, CAPABILITY.handles, (reader) => reader.u32());
}

/** @throws Failure `tpm.malformed` */
export function readProperties(data: Uint8Array): Map<number, number> {
  return new Map(readEntries(data, CAPABILITY.properties, (reader) => [reader.u32(), reader.u32()] as const));
}

/** @throws Failure `tpm.malformed` */
export function readCurves(data: Uint8Array): number[] {
  return readEntries(data, CAPABILITY.curves, (reader) => reader.u16());
}

/** Algorithm ids. @throws Failure `tpm.malformed` */
export function readAlgorithms(data: Uint8Array): number[] {
  return readEntries(data, CAPABILITY.algorithms, (reader) => {
    const algorithm = reader.u16();
    reader.u32();
    return algorithm;
  });
}

/** Command codes. @throws Failure `tpm.malformed` */
export function readCommands(data: Uint8Array): number[] {
  return readEntries(data, CAPABILITY.commands, (reader) => reader.u32() & 0xffff);
}

/** The registers of each bank of PCRs that the TPM has, by its hash. @throws Failure `tpm.malformed` */
export function readPcrBanks(data: Uint8Array): Map<number, readonly number[]> {
  return new Map(
    readEntries(data, CAPABILITY.pcrs, (reader) => {
      const hash = reader.u16();
      const bits = reader.bytes(reader.u8());
      const registers = Array.from({ length: 8 * bits.length }, (_, i) => i);
      return [hash, registers.filter((i) => (bits[i >> 3]! >> (i & 7)) & 1)] as const;
    }),
  );
}
