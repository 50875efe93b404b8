import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concat, fromHex, toHex, u16 } from '../../../protocol/bytes.ts';
import type { SuiteSpec } from '../../../protocol/crypto/suite.ts';
import { isFailure } from '../../../protocol/failure.ts';
import {
  announcedLength,
  checkClearHeader,
  decodeAssigned,
  decodeClientAttest,
  decodeClientInit,
  decodeIdentityClaim,
  decodeServerAttest,
  decodeServerFinished,
  decodeServerInit,
  ERROR_MESSAGE,
  encodeAssigned,
  encodeClientAttest,
  encodeClientInit,
  encodeIdentityClaim,
  encodeServerAttest,
  encodeServerFinished,
  encodeServerInit,
  HEADER_LENGTH,
  isErrorMessage,
  MESSAGE_LENGTH,
  type MessageKind,
} from '../../../protocol/xtt/message.ts';

const HEADERS: Record<MessageKind, string> = {
  clientInit: '01004601',
  serverInitAndAttest: '0201a101',
  identityClientAttest: '1102ee01',
  identityServerFinished: '13006701',
};
const KINDS = Object.keys(HEADERS) as MessageKind[];

/** Decodes and encodes again. */
const CODECS: Record<MessageKind, (message: Uint8Array) => Uint8Array> = {
  clientInit: (message) => encodeClientInit(decodeClientInit(message)),
  serverInitAndAttest: (message) => {
    const decoded = decodeServerInit(message);
    expect(decoded.clear).toEqual(encodeServerInit(decoded));
    return concat(encodeServerInit(decoded), decoded.sealed);
  },
  identityClientAttest: (message) => {
    const decoded = decodeClientAttest(message);
    expect(decoded.clear).toEqual(encodeClientAttest(decoded));
    return concat(encodeClientAttest(decoded), decoded.sealed);
  },
  identityServerFinished: (message) => {
    const decoded = decodeServerFinished(message);
    expect(decoded.clear).toEqual(encodeServerFinished(decoded.suite));
    return concat(encodeServerFinished(decoded.suite), decoded.sealed);
  },
};

const HEADER_CODES = [
  'xtt.error-received',
  'xtt.bad-version',
  'xtt.bad-type',
  'xtt.bad-length',
  'xtt.unknown-suite',
];

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });

/** A message of this kind with a right header and any body. */
const wellFormed = (kind: MessageKind) =>
  fc
    .tuple(fc.constantFrom<SuiteSpec>(1, 2, 3, 4), bytes(MESSAGE_LENGTH[kind] - 6))
    .map(([suite, body]) => concat(fromHex(HEADERS[kind]), u16(suite), body));

describe.each(KINDS)('the codec of %s', (kind) => {
  it('accepts every body under a right header, and encodes it to itself', () => {
    fc.assert(
      fc.property(wellFormed(kind), (message) => {
        expect(CODECS[kind](message)).toEqual(message);
      }),
    );
  });

  it('refuses anything else with a Failure, and encodes what it accepts to itself', () => {
    const changed = fc
      .tuple(wellFormed(kind), fc.nat(5), fc.nat(255), fc.nat(MESSAGE_LENGTH[kind] + 2))
      .map(([message, at, value, length]) =>
        concat(message.with(at, value), new Uint8Array(2)).slice(0, length),
      );
    const changedHeader = fc
      .tuple(wellFormed(kind), fc.nat(5), fc.nat(255))
      .map(([message, at, value]) => message.with(at, value));
    const inputs = fc.oneof(
      changed,
      changedHeader,
      fc.uint8Array({ maxLength: 800 }),
      bytes(MESSAGE_LENGTH[kind]),
    );
    fc.assert(
      fc.property(inputs, (input) => {
        try {
          expect(CODECS[kind](input)).toEqual(input);
        } catch (error) {
          if (!isFailure(error)) throw error;
          expect(HEADER_CODES).toContain(error.code);
          expect(error.remedy).toBe('retry');
        }
      }),
      { numRuns: 1000 },
    );
  });

  it('does not keep a hold of the buffer it read from', () => {
    const message = Buffer.alloc(MESSAGE_LENGTH[kind], 0x5a);
    message.set(fromHex(HEADERS[kind]));
    message.set(u16(1), 4);
    const before = new Uint8Array(message);
    const decoded = {
      clientInit: decodeClientInit,
      serverInitAndAttest: decodeServerInit,
      identityClientAttest: decodeClientAttest,
      identityServerFinished: decodeServerFinished,
    }[kind](message);
    const snapshot = structuredClone(decoded);
    message.fill(0);
    expect(decoded).toEqual(snapshot);
    expect(CODECS[kind](before)).toEqual(before);
  });

  it('checks version, then suite, then type, then length', () => {
    const good = concat(fromHex(HEADERS[kind]), u16(3), new Uint8Array(MESSAGE_LENGTH[kind] - 6));
    expect(checkClearHeader(good, kind)).toBe(3);
    expect(checkClearHeader(good, kind, 3)).toBe(3);
    const code = (message: Uint8Array, suite?: SuiteSpec): string => {
      try {
        checkClearHeader(message, kind, suite);
      } catch (error) {
        if (isFailure(error)) return error.code;
      }
      return 'accepted';
    };
    expect(code(good.with(2, 0).with(0, 0).with(5, 9).with(3, 0))).toBe('xtt.bad-version');
    expect(code(good.with(2, 0).with(0, 0).with(5, 9))).toBe('xtt.unknown-suite');
    expect(code(good.with(2, 0).with(0, 0), 1)).toBe('xtt.wrong-suite');
    expect(code(good.with(2, 0).with(0, 0))).toBe('xtt.bad-type');
    expect(code(good.with(2, 0))).toBe('xtt.bad-length');
    expect(code(good.slice(1))).not.toBe('accepted');
    expect(code(good.slice(0, -1))).toBe('xtt.bad-length');
  });
});

describe('the codecs of the plaintexts', () => {
  it.each([
    ['ServerAttest', 233, (plaintext: Uint8Array) => encodeServerAttest(decodeServerAttest(plaintext))],
    ['IdentityClaim', 598, (plaintext: Uint8Array) => encodeIdentityClaim(decodeIdentityClaim(plaintext))],
    ['Assigned', 81, (plaintext: Uint8Array) => encodeAssigned(decodeAssigned(plaintext))],
  ])('%s: all %i bytes come back', (_name, length, codec) => {
    fc.assert(
      fc.property(bytes(length), (plaintext) => {
        expect(codec(plaintext)).toEqual(plaintext);
      }),
    );
  });
});

describe('the Error message', () => {
  it('is 41 00 04 01 and nothing else', () => {
    expect(toHex(ERROR_MESSAGE)).toBe('41000401');
    expect(isErrorMessage(fromHex('41000401'))).toBe(true);
    for (const other of ['', '410004', '4100040100', '41000402', '01000401']) {
      expect(isErrorMessage(fromHex(other)), other).toBe(false);
    }
  });
});

describe('announcedLength', () => {
  it('tells the whole length from a header', () => {
    for (const kind of KINDS) expect(announcedLength(fromHex(HEADERS[kind]))).toBe(MESSAGE_LENGTH[kind]);
    expect(announcedLength(ERROR_MESSAGE)).toBe(4);
  });

  it('refuses every other header', () => {
    const good = [...Object.values(HEADERS), toHex(ERROR_MESSAGE)];
    fc.assert(
      fc.property(bytes(HEADER_LENGTH), fc.constantFrom(...good), fc.nat(31), (noise, header, bit) => {
        const flipped = fromHex(header);
        flipped[bit >> 3]! ^= 1 << (bit & 7);
        for (const bad of [noise, flipped]) {
          if (good.includes(toHex(bad))) continue;
          expect(() => announcedLength(bad)).toThrow(
            expect.objectContaining({ code: 'xtt.bad-header', remedy: 'retry' }),
          );
        }
      }),
    );
  });

  it('wants exactly a header', () => {
    expect(() => announcedLength(new Uint8Array(3))).toThrow(/4 bytes/);
  });
});
