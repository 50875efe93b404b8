import { concat, u16 } from '../protocol/bytes.ts';
import { Failure } from '../protocol/failure.ts';
import {
  CAPABILITY,
  PROPERTY,
  readAlgorithms,
  readCommands,
  readCurves,
  readProperties,
} from './capability.ts';
import type { Tpm } from './context.ts';
import { ALGORITHM, CURVE, encodeScheme } from './structures.ts';

/** The TPM's capabilities and state. */
export interface Capabilities {
  /** Vendor, four letters, e.g. `IBM`. */
  readonly manufacturer: string;
  /** Version of its firmware as the TPM gives it, two numbers of 32 bits in four parts: `7.85.4555.0`. */
  readonly firmware: string;
  readonly ecdaa: boolean;
  readonly commit: boolean;
  readonly bnP256: boolean;
  /** The TPM accepts the parameters of an ECDAA key on BN_P256 (TPM2_TestParms). */
  readonly parametersTaken: boolean;
  /** Largest NV index and largest piece of it per command, bytes. */
  readonly nvIndexMax: number;
  readonly nvBufferMax: number;
  /** Failed passwords so far, how many lock the TPM, and after how many seconds one is forgiven. */
  readonly lockout: { readonly counter: number; readonly limit: number; readonly seconds: number };
  readonly lockedOut: boolean;
  /** Hierarchies that are switched on; a password may still be set. */
  readonly platformEnabled: boolean;
  readonly ownerEnabled: boolean;
}

const COMMIT = 0x18b;
const MAX_CURVES = 64;
const MAX_PROPERTIES = 127;
/** TPMA_PERMANENT and TPMA_STARTUP_CLEAR. */
const IN_LOCKOUT = 1 << 9;
const PLATFORM_ENABLED = 1 << 0;
const OWNER_ENABLED = 1 << 1;

/** TPMT_PUBLIC_PARMS of the ECDAA key: type | symmetric NULL | scheme | curve | kdf NULL. */
const ECDAA_PARAMETERS = concat(
  u16(ALGORITHM.ecc),
  u16(ALGORITHM.null),
  encodeScheme({ algorithm: ALGORITHM.ecdaa, hash: ALGORITHM.sha256, count: 1 }),
  u16(CURVE.bnP256),
  u16(ALGORITHM.null),
);

/** Reads the TPM's capabilities with six commands, none of which changes anything. */
export async function probe(tpm: Tpm): Promise<Capabilities> {
  const algorithms = readAlgorithms(await capability(tpm, CAPABILITY.algorithms, ALGORITHM.ecdaa, 1));
  const commands = readCommands(await capability(tpm, CAPABILITY.commands, COMMIT, 1));
  const curves = readCurves(await capability(tpm, CAPABILITY.curves, 0, MAX_CURVES));
  const fixed = readProperties(await capability(tpm, CAPABILITY.properties, PROPERTY.fixed, MAX_PROPERTIES));
  const variable = readProperties(
    await capability(tpm, CAPABILITY.properties, PROPERTY.variable, MAX_PROPERTIES),
  );
  const tested = await tpm.ask('testParameters', [], [ECDAA_PARAMETERS]);
  const startupClear = variable.get(PROPERTY.startupClear) ?? 0;
  return {
    manufacturer: letters(fixed.get(PROPERTY.manufacturer) ?? 0),
    firmware: firmwareOf(fixed),
    ecdaa: algorithms.includes(ALGORITHM.ecdaa),
    commit: commands.includes(COMMIT),
    bnP256: curves.includes(CURVE.bnP256),
    parametersTaken: tested.rc === 0,
    nvIndexMax: fixed.get(PROPERTY.nvIndexMax) ?? 0,
    nvBufferMax: fixed.get(PROPERTY.nvBufferMax) ?? 0,
    lockout: {
      counter: variable.get(PROPERTY.lockoutCounter) ?? 0,
      limit: variable.get(PROPERTY.maxAuthFail) ?? 0,
      seconds: variable.get(PROPERTY.lockoutInterval) ?? 0,
    },
    lockedOut: ((variable.get(PROPERTY.variable) ?? 0) & IN_LOCKOUT) !== 0,
    platformEnabled: (startupClear & PLATFORM_ENABLED) !== 0,
    ownerEnabled: (startupClear & OWNER_ENABLED) !== 0,
  };
}

/** What the TPM lacks of what an ECDAA key needs; empty if nothing. Since 2020 the profile of TPMs for PCs leaves it to the maker. */
export function lackingForEcdaa(capabilities: Capabilities): readonly string[] {
  const missing = [
    capabilities.bnP256 ? [] : ['the curve BN_P256'],
    capabilities.ecdaa ? [] : ['the algorithm ECDAA'],
    capabilities.commit ? [] : ['the command TPM2_Commit'],
  ].flat();
  if (missing.length === 0 && !capabilities.parametersTaken) missing.push('ECDAA keys on BN_P256');
  return missing;
}

/** Maker and firmware, for people. */
export const describeTpm = ({ manufacturer, firmware }: Capabilities): string =>
  `${manufacturer || 'an unnamed maker'}, firmware ${firmware}`;

/** @throws Failure `tpm.no-ecdaa`, naming what lacks */
export function requireEcdaa(capabilities: Capabilities): void {
  const missing = lackingForEcdaa(capabilities);
  if (missing.length === 0) return;
  throw new Failure(
    'tpm.no-ecdaa',
    'operator',
    `this TPM (${describeTpm(capabilities)}) lacks ${missing.join(', ')}`,
    {
      action:
        'Use another TPM, or let it keep the secret without being able to use it (enf-factory … --allow-sealed).',
    },
  );
}

async function capability(tpm: Tpm, kind: number, from: number, count: number): Promise<Uint8Array> {
  return (await tpm.call('capability', [kind, from, count])).buffers[0]!;
}

function letters(value: number): string {
  const codes = [value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff];
  return String.fromCharCode(...codes.filter((code) => code > 0x20 && code < 0x7f));
}

function firmwareOf(properties: ReadonlyMap<number, number>): string {
  const parts = [PROPERTY.firmware1, PROPERTY.firmware2].map((each) => properties.get(each) ?? 0);
  return parts.flatMap((part) => [part >>> 16, part & 0xffff]).join('.');
}
