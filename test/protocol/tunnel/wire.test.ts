/** The constants that C and TypeScript both know stand in two tables, which say the same. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { fromHex, toHex } from '../../../protocol/bytes.ts';
import * as encoding from '../../../protocol/crypto/encoding.ts';
import { GROUP_KEY_LENGTH } from '../../../protocol/crypto/group.ts';
import { LINKED_SIGNATURE_LENGTH, SIGNATURE_LENGTH } from '../../../protocol/crypto/verifier.ts';
import * as wire from '../../../protocol/tunnel/wire.ts';
import { HEADER_LENGTH } from '../../../protocol/xtt/message.ts';

const native = fileURLToPath(new URL('../../../native', import.meta.url));
const read = (path: string): string => readFileSync(join(native, path), 'utf8').replace(/\/\/.*/g, '');

/** A C constant: a number, a text, or the bytes of a text with escapes, in hexadecimal. */
function constant(text: string): number | string {
  const quoted = /^"(.*)"$/.exec(text)?.[1];
  if (quoted === undefined) {
    if (!/^(0x[0-9a-f]+|\d+)$/.test(text)) throw new Error(`no constant: ${text}`);
    return Number(text);
  }
  return quoted.includes('\\') ? toHex(fromHex(quoted.replaceAll('\\x', ''))) : quoted;
}

/** The constants of wire.h by their names in TypeScript. */
function ofC(): Record<string, number | string> {
  const found = read('packet/wire.h').matchAll(/\bWIRE_(\w+)(?: = |\s+)([^,\s]+)/g);
  return Object.fromEntries(Array.from(found, ([, name, text]) => [name!, constant(text!)]));
}

function ofTypeScript(): Record<string, number | string> {
  const scalar = (value: unknown) => (value instanceof Uint8Array ? toHex(value) : value);
  const entries = Object.entries(wire).map(([name, value]) => [name, scalar(value)] as const);
  // Lists of names are TypeScript's own.
  return Object.fromEntries(entries.filter(([, value]) => !Array.isArray(value))) as Record<
    string,
    number | string
  >;
}

describe("the tunnel's constants", () => {
  it('are the same in C and in TypeScript, and none is missing', () => {
    const c = ofC();
    expect(Object.keys(c).length).toBe(read('packet/wire.h').match(/WIRE_\w+/g)!.length);
    expect(c).toEqual(ofTypeScript());
  });

  it('have different first bytes for different control messages, all with the control nibble', () => {
    const types = Object.entries(ofC()).filter(([name]) => name.endsWith('_TYPE'));
    expect(types.map(([, value]) => Number(value) >> 4)).toEqual(types.map(() => wire.CONTROL_NIBBLE));
    expect(new Set(types.map(([, value]) => value)).size).toBe(types.length);
  });

  it('are used in C by their names: none is defined a second time', () => {
    const others = (readdirSync(native, { recursive: true }) as string[]).filter(
      (path) =>
        /^(packet|transport|dataplane|client|router)\/.*\.[ch]$/.test(path) && path !== 'packet/wire.h',
    );
    expect(others.length).toBeGreaterThan(30);
    const again = others.filter((path) => /\b0xf[0-4]\b|\b1496\b|"enf\/|"ENFT"|0xfe, 0x80/i.test(read(path)));
    expect(again).toEqual([]);
  });
});

describe('lengths of XTT and ECDAA', () => {
  const defined = (path: string, name: string): string =>
    new RegExp(`^(?:#define ${name} |enum \\{.*\\b${name} = )(\\w+|\\(.*?\\))`, 'm').exec(read(path))![1]!;

  it('are the same in C and in TypeScript', () => {
    expect(Number(defined('acceptor/acceptor.h', 'HEADER'))).toBe(HEADER_LENGTH);
    expect(Number(defined('fp256bn/types.h', 'SCALAR_LENGTH'))).toBe(encoding.SCALAR_LENGTH);
    expect(Number(defined('fp256bn/types.h', 'G1_LENGTH'))).toBe(encoding.G1_LENGTH);
    expect(Number(defined('fp256bn/types.h', 'G2_LENGTH'))).toBe(encoding.G2_LENGTH);
    expect(Number(defined('ecdaa/ecdaa.h', 'SIGNATURE_LENGTH'))).toBe(SIGNATURE_LENGTH);
    expect(defined('ecdaa/ecdaa.h', 'LINKED_SIGNATURE_LENGTH')).toBe('(SIGNATURE_LENGTH + G1_LENGTH)');
    expect(LINKED_SIGNATURE_LENGTH).toBe(SIGNATURE_LENGTH + encoding.G1_LENGTH);
    expect(defined('ecdaa/ecdaa.h', 'GROUP_KEY_LENGTH')).toBe('(2 * G2_LENGTH)');
    expect(GROUP_KEY_LENGTH).toBe(2 * encoding.G2_LENGTH);
  });
});
