import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import { ecdsaSigner, generateP256, primitives } from '../../../crypto/primitives.ts';
import { readMessage } from '../../../os/net/message-stream.ts';
import { concat, fromHex, toHex } from '../../../protocol/bytes.ts';
import type { SuiteSpec } from '../../../protocol/crypto/suite.ts';
import { attest, type Claim, hello, identify } from '../../../protocol/xtt/client.ts';
import { type Chip, claimOf, dialed } from '../device.ts';
import { allOf } from '../place.ts';
import { idle, sharedTestServer } from './fixture.ts';

/** What the C server answered to each mutation (spec §10.3). Ours refuses all it refused, and no message crashes it. */
const recorded = JSON.parse(
  readFileSync(new URL('../../vectors/xtt-server-behaviour.json', import.meta.url), 'utf8'),
) as { cases: Record<string, { sent?: string; accepted?: boolean; response: string; state: string }> };

const shared = sharedTestServer();

const ERROR = '41000401';
type Answer = 'finished' | 'error' | 'silence';

interface Case {
  /** Suite of the handshake, 1 by default. */
  readonly suite?: SuiteSpec;
  readonly claim?: (claim: Claim, message: { clear: Uint8Array }) => Claim | Promise<Claim>;
  readonly wire?: (attest: Uint8Array) => Uint8Array;
  /** Bytes per write. */
  readonly chunk?: number;
  readonly expected: Answer;
  /** The result in the history; undefined: the handshake succeeds. */
  readonly result?: string;
}

const flip = (bytes: Uint8Array, index: number, bit = 1): Uint8Array =>
  bytes.map((byte, i) => (i === (index < 0 ? bytes.length + index : index) ? byte ^ bit : byte));
const set = (bytes: Uint8Array, index: number, value: number): Uint8Array => bytes.with(index, value);
const sealed = (index: number, result: string): Case => ({
  wire: (message) => flip(message, index),
  expected: 'error',
  result,
});
const bad = (claim: NonNullable<Case['claim']>, result: string): Case => ({
  claim,
  expected: 'error',
  result,
});
const GROUP = 'xtt.bad-group-signature';
const LONGTERM = 'xtt.bad-longterm-signature';
const HEADER = 'xtt.bad-header';

/** What our server answers to the ClientAttest cases. A comment says why where that is not what C did. */
const ATTEST: Record<string, Case> = {
  'ok suite 1': { suite: 1, expected: 'finished' },
  'ok suite 2': { suite: 2, expected: 'finished' },
  'ok suite 3': { suite: 3, expected: 'finished' },
  'ok suite 4': { suite: 4, expected: 'finished' },
  'ok, 7-byte TCP chunks': { chunk: 7, expected: 'finished' },
  // C gives any address to any device; ours only the device's own (server.test.ts).
  'ok, requested id echoed': bad(
    (claim) => ({ ...claim, requestedIdentity: fromHex('fd00d0c5000102030405060708090a0b') }),
    'fabric.address-not-yours',
  ),
  'client signatures over the draft-spec hash (full transcript)': bad(async (claim, { clear }) => {
    const { secret, publicKey } = generateP256();
    const transcript = primitives.sha512(clear, publicKey, claim.gid, claim.requestedIdentity);
    const longtermSignature = await ecdsaSigner(secret)(transcript);
    return { ...claim, longtermPublicKey: publicKey, longtermSignature };
  }, LONGTERM),
  'longterm key replaced after signing by another valid point (sigs unchanged)': bad(
    (claim) => ({ ...claim, longtermPublicKey: generateP256().publicKey }),
    LONGTERM,
  ),
  // The DAA signature does not cover the longterm key (§7.1): both accept it.
  'longterm key AND longterm signature replaced, DAA signature untouched': {
    claim: async (claim) => ({ ...(await fresh()), daaSignature: claim.daaSignature }),
    expected: 'finished',
  },
  // C accepts it, as no signature covers the field; ours checks whose address it is.
  'requested id changed after signing': bad(
    (claim) => ({ ...claim, requestedIdentity: new Uint8Array(16).fill(0xaa) }),
    'fabric.address-not-yours',
  ),
  'gid last byte changed after signing': bad(
    (claim) => ({ ...claim, gid: flip(claim.gid, -1) }),
    'fabric.group-not-admitted',
  ),
  'longterm signature bit flipped': bad(
    (claim) => ({ ...claim, longtermSignature: flip(claim.longtermSignature, 5) }),
    LONGTERM,
  ),
  'daa signature s bit flipped': bad(
    (claim) => ({ ...claim, daaSignature: flip(claim.daaSignature, 63) }),
    GROUP,
  ),
  'daa signature R prefix bad': bad(
    (claim) => ({ ...claim, daaSignature: set(claim.daaSignature, 64, 5) }),
    GROUP,
  ),
  'daa pseudonym K bit flipped': bad(
    (claim) => ({ ...claim, daaSignature: flip(claim.daaSignature, -1) }),
    GROUP,
  ),
  'longterm key not on curve': bad(
    (claim) => ({ ...claim, longtermPublicKey: flip(claim.longtermPublicKey, -1) }),
    LONGTERM,
  ),
  'clientattest ciphertext bit flipped': sealed(300, 'xtt.not-authentic'),
  'clientattest tag bit flipped': sealed(749, 'xtt.not-authentic'),
  'clientattest cookie bit flipped': sealed(100, 'xtt.bad-cookie'),
  // C crashes.
  'clientattest version 2': { wire: (message) => set(message, 3, 2), expected: 'error', result: HEADER },
  'clientattest suite changed': {
    wire: (message) => set(message, 5, 2),
    expected: 'error',
    result: 'xtt.wrong-suite',
  },
  'clientattest length 749': { wire: (message) => set(message, 2, 0xed), expected: 'error', result: HEADER },
  'clientattest type 0x21': { wire: (message) => set(message, 0, 0x21), expected: 'error', result: HEADER },
  'clientattest type 0x99': { wire: (message) => set(message, 0, 0x99), expected: 'error', result: HEADER },
  'client sends error message instead of attest': {
    wire: () => fromHex(ERROR),
    expected: 'silence',
    result: 'xtt.error-received',
  },
  'ok again (server still alive)': { expected: 'finished' },
};

/** ClientInit cases: the bytes are recorded. C leaves the sockets of three of them open for ever. */
const INIT: Record<string, { expected: Answer; result: string }> = {
  'clientinit version 2': { expected: 'error', result: HEADER },
  'clientinit suite 0': { expected: 'error', result: 'xtt.unknown-suite' },
  'clientinit suite 5': { expected: 'error', result: 'xtt.unknown-suite' },
  'clientinit length 71 (+1 byte)': { expected: 'error', result: HEADER },
  'clientinit length 800': { expected: 'error', result: HEADER },
  'clientinit length 3': { expected: 'error', result: HEADER },
  'clientinit type 0x11': { expected: 'error', result: HEADER },
  'clientinit type 0x55': { expected: 'error', result: HEADER },
  'clientinit is an error message': { expected: 'silence', result: 'xtt.error-received' },
  'clientinit all-zero x25519 key': { expected: 'error', result: 'xtt.weak-share' },
};

/** Makes a claim with another longterm key for the current handshake. */
let fresh: () => Promise<Claim>;

/** Everything the server sends until it closes, and how it closes. */
function rest(socket: Socket): Promise<{ text: string; state: 'closed' | 'reset' }> {
  return new Promise((resolve) => {
    const chunks: Uint8Array[] = [];
    const done = (state: 'closed' | 'reset') => resolve({ text: toHex(concat(...chunks)), state });
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.once('end', () => done('closed'));
    socket.once('error', () => done('reset'));
  });
}

async function send(socket: Socket, bytes: Uint8Array, chunk = bytes.length): Promise<void> {
  for (let start = 0; start < bytes.length; start += chunk) {
    socket.write(bytes.subarray(start, start + chunk));
    if (chunk < bytes.length) await new Promise((resolve) => setImmediate(resolve));
  }
}

async function play(each: Case, chip: Chip): Promise<{ text: string; state: string }> {
  const { server, batch, root } = shared.current;
  const socket = await dialed(server.port);
  socket.setNoDelay(true);
  const opened = hello(primitives, each.suite ?? 1, {
    dhSecret: primitives.random(32),
    nonce: primitives.random(32),
  });
  await send(socket, opened.send, each.chunk);
  const attesting = attest(opened.next, await readMessage(socket, 20_000), [root]);
  fresh = () => claimOf({ gid: batch.gid, chip }, attesting);
  const honest = await fresh();
  const claim = (await each.claim?.(honest, attesting)) ?? honest;
  const message = identify(attesting, claim).send;
  const answer = rest(socket);
  await send(socket, each.wire?.(message) ?? message, each.chunk);
  const heard = await answer;
  socket.destroy();
  return heard;
}

function check({ text, state }: { text: string; state: string }, expected: Answer): void {
  expect(state).toBe('closed');
  if (expected === 'finished') {
    expect(text).toHaveLength(2 * 103);
    expect(text.slice(0, 8)).toBe('13006701');
  } else expect(text).toBe(expected === 'error' ? ERROR : '');
}

describe('our server', () => {
  test('is tested with every recorded case', () => {
    expect([...Object.keys(ATTEST), ...Object.keys(INIT)].sort()).toEqual(Object.keys(recorded.cases).sort());
  });

  test('accepts nothing that C refused', () => {
    for (const [name, { expected }] of Object.entries({ ...ATTEST, ...INIT })) {
      if (expected === 'finished') expect(recorded.cases[name]?.accepted, name).toBe(true);
    }
  });

  for (const [name, each] of Object.entries(ATTEST)) {
    test(name, async () => {
      const { server, registry, batch, last } = shared.current;
      const devices = (await allOf((page) => registry.devices(page))).length;
      check(await play(each, await batch.chip()), each.expected);
      expect(await last()).toMatchObject({ result: each.result ?? 'ok', source: '127.0.0.1' });
      expect((await allOf((page) => registry.devices(page))).length - devices).toBe(
        each.expected === 'finished' ? 1 : 0,
      );
      expect(server.open).toBe(0);
    });
  }

  for (const [name, { expected, result }] of Object.entries(INIT)) {
    test(name, async () => {
      const { server, last } = shared.current;
      const socket = await dialed(server.port);
      const answer = rest(socket);
      await send(socket, fromHex(recorded.cases[name]!.sent!));
      check(await answer, expected);
      socket.destroy();
      expect(await last()).toMatchObject({ result, proven: false });
      expect(server.open).toBe(0);
    });
  }
});

describe('the cookie', () => {
  test('is accepted once: a replayed ClientAttest is refused', async () => {
    const { server, batch, last } = shared.current;
    const chip = await batch.chip();
    let recording = new Uint8Array();
    const keep: Case = {
      wire: (message) => {
        recording = new Uint8Array(message);
        return message;
      },
      expected: 'finished',
    };
    check(await play(keep, chip), 'finished');
    check(await play({ wire: () => recording, expected: 'error' }, chip), 'error');
    expect(await last()).toMatchObject({ result: 'xtt.spent-cookie' });
    await idle(server);
  });

  test('is all the state there is: another connection may send it back', async () => {
    const { server, batch, registry, last } = shared.current;
    const chip = await batch.chip();
    let recording = new Uint8Array();
    // The first connection breaks off before its claim arrives.
    await play(
      {
        wire: (message) => {
          recording = new Uint8Array(message);
          return fromHex(ERROR);
        },
        expected: 'silence',
      },
      chip,
    );
    const devices = (await allOf((page) => registry.devices(page))).length;
    check(await play({ wire: () => recording, expected: 'finished' }, chip), 'finished');
    expect(await last()).toMatchObject({ result: 'ok' });
    expect(await allOf((page) => registry.devices(page))).toHaveLength(devices + 1);
    await idle(server);
  });
});
