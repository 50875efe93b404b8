import { fork } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readdirSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { parseConfig } from '../../../agent/config/config.ts';
import { openKeys } from '../../../agent/identity/keys.ts';
import { type Exchange, provision } from '../../../agent/identity/provision.ts';
import { openStore } from '../../../agent/state/state.ts';
import { drawMemberSecret, memberPoint } from '../../../crypto/member-secret.ts';
import { primitives } from '../../../crypto/primitives.ts';
import { openFolder } from '../../../os/files/folder.ts';
import { toHex } from '../../../protocol/bytes.ts';
import { encodeBase64 } from '../../../protocol/identity/base64.ts';
import { ERROR_MESSAGE } from '../../../protocol/xtt/message.ts';
import { openTpm, type Tpm } from '../../../tpm/context.ts';
import { PLATFORM_MAP } from '../../../tpm/handles.ts';
import { writeObjects } from '../../../tpm/personalise.ts';
import { createSealedSecret, openSealedSecret } from '../../../tpm/sealed-secret.ts';
import { bundle } from '../../bundle.ts';
import { swtpmForTest } from '../../tpm/fixture.ts';
import { CC } from '../../tpm/proxy.ts';
import { withoutEcdaa } from '../../tpm/without-ecdaa.ts';
import { temporaryFolder } from '../folders.ts';
import { type IdentityServer, identityServer } from '../identity-server.ts';

let server: IdentityServer;
beforeAll(async () => {
  server = await identityServer();
});

/** A device whose TPM cannot do ECDAA, personalised with a sealed secret, and what it has written. */
async function device() {
  const swtpm = await swtpmForTest();
  const proxy = await withoutEcdaa(swtpm);
  const use = async <T>(work: (tpm: Tpm) => Promise<T>): Promise<T> => {
    const tpm = await openTpm(proxy.tcti);
    try {
      return await work(tpm);
    } finally {
      await tpm.close();
    }
  };
  const maker = { draw: () => drawMemberSecret(primitives), pointOf: memberPoint };
  await use(async (tpm) => {
    const { publicPoint } = await createSealedSecret(tpm, PLATFORM_MAP, maker);
    const { gpk, credential, signature } = server.issue(publicPoint);
    await writeObjects(tpm, PLATFORM_MAP, {
      ...{ gpk, credential, credentialSignature: signature, basename: server.basename },
      ...{ xttRoot: server.rootCertificate, tlsRoot: 'a PEM text' },
    });
  });
  const state = temporaryFolder();
  const config = parseConfig(`[remote]\nhosts = ["a"]\n[tpm]\ntcti = "${proxy.tcti}"\n`, 'x');
  const run = async (connect: () => Exchange = () => server.connect()) => {
    const keys = await openKeys(config);
    try {
      const store = await openStore(await openFolder(state));
      return await provision({
        ...{ keys, store, suite: 1, requestedIdentity: new Uint8Array(16) },
        connect: async () => connect(),
        links: () => [],
        nowMs: () => 0,
      });
    } finally {
      await keys.close();
    }
  };
  const secret = () => use((tpm) => openSealedSecret(tpm, PLATFORM_MAP.daaKey));
  const written = (): Buffer =>
    Buffer.concat(readdirSync(state).map((name) => readFileSync(join(state, name))));
  return { proxy, run, secret, state, written };
}

test('a device with a sealed secret gets its address as others do, and writes the secret nowhere', async () => {
  const { run, secret, written, proxy } = await device();
  const first = await run();
  expect(first).toMatchObject({ resident: false, key: { kind: 'tpm' } });
  expect(proxy.commands.filter((code) => code === CC.unseal)).toHaveLength(1);
  expect(proxy.commands).not.toContain(CC.commit);
  // Again: the same pseudonym, so the same address.
  expect((await run()).address).toBe(first.address);
  const value = await secret();
  const state = written();
  expect(state.toString()).toContain(first.address);
  for (const form of [Buffer.from(value), toHex(value), toHex(value).toUpperCase(), encodeBase64(value)])
    expect(state.includes(form)).toBe(false);
});

test('it is unsealed for the signature alone: not before the server has shown itself, and not after', async () => {
  const { run, proxy } = await device();
  const unsealed = (): number => proxy.commands.filter((code) => code === CC.unseal).length;
  // A server that refuses at once.
  const refusing: Exchange = {
    send: async () => {},
    receive: async () => ERROR_MESSAGE,
    close: () => {},
  };
  await expect(run(() => refusing)).rejects.toMatchObject({ code: expect.stringMatching(/^xtt\./) });
  expect(unsealed()).toBe(0);
  // One that refuses the signature.
  const counts: number[] = [];
  const late = (): Exchange => {
    const honest = server.connect();
    let messages = 0;
    return {
      ...honest,
      async receive() {
        counts.push(unsealed());
        return messages++ === 0 ? honest.receive() : ERROR_MESSAGE;
      },
    };
  };
  await expect(run(late)).rejects.toMatchObject({ code: expect.stringMatching(/^xtt\./) });
  expect(counts).toEqual([0, 1]);
});

/** The memory that a process may write. */
function memoryOf(pid: number): Buffer[] {
  const memory = openSync(`/proc/${pid}/mem`, 'r');
  const parts: Buffer[] = [];
  try {
    for (const line of readFileSync(`/proc/${pid}/maps`, 'utf8').split('\n')) {
      const [, from, to] = /^([0-9a-f]+)-([0-9a-f]+) rw/.exec(line) ?? [];
      if (from === undefined || to === undefined) continue;
      const bytes = Buffer.alloc(Number(BigInt(`0x${to}`) - BigInt(`0x${from}`)));
      try {
        readSync(memory, bytes, 0, bytes.length, BigInt(`0x${from}`));
      } catch {
        // Pages that are not there.
        continue;
      }
      parts.push(bytes);
    }
  } finally {
    closeSync(memory);
  }
  return parts;
}

function countIn(memory: readonly Buffer[], wanted: Buffer): number {
  let found = 0;
  for (const part of memory)
    for (let at = part.indexOf(wanted); at >= 0; at = part.indexOf(wanted, at + 1)) found++;
  return found;
}

test.each([
  ['good', 'provisioned'],
  ['refused', 'xtt.'],
])(
  'after sealing it, and after a %s handshake, the secret is nowhere in the memory of the program',
  async (end, said) => {
    const swtpm = await swtpmForTest();
    const { tcti } = await withoutEcdaa(swtpm);
    const program = join(temporaryFolder(), 'child.mjs');
    await bundle(new URL('./sealed-child.ts', import.meta.url), program);
    const env = { ...process.env, ENF_ADDON: new URL('../../../dist/enf.node', import.meta.url).pathname };
    const child = fork(program, [tcti, temporaryFolder(), end], { env, execArgv: [] });
    onTestFinished(() => void child.kill('SIGKILL'));
    const next = async (): Promise<string> => (await once(child, 'message'))[0] as string;
    expect(await next()).toBe('sealing');
    const sealing = memoryOf(child.pid!);
    child.send('on');
    expect(await next()).toBe('sealed');
    const sealed = memoryOf(child.pid!);
    child.send('on');
    expect(await next()).toBe('unsealed');
    const unsealed = memoryOf(child.pid!);
    child.send('on');
    expect(await next()).toBe('closed');
    const tpm = await openTpm(tcti);
    const secret = Buffer.from(await openSealedSecret(tpm, PLATFORM_MAP.daaKey));
    const publicPoint = memberPoint(secret);
    await tpm.close();
    // As bytes, and as limbs of a number.
    const counts = (memory: readonly Buffer[]): number[] =>
      [secret, Buffer.from(secret).reverse()].map((form) => countIn(memory, form));
    expect(counts(sealing)).toEqual([1, 0]);
    expect(counts(sealed)).toEqual([0, 0]);
    expect(counts(unsealed)).toEqual([1, 0]);
    expect(counts(memoryOf(child.pid!))).toEqual([0, 0]);
    // What is no secret is found.
    expect(countIn(sealed, Buffer.from(publicPoint))).toBeGreaterThan(0);
    child.send('on');
    expect(await next()).toContain(said);
    expect(counts(memoryOf(child.pid!))).toEqual([0, 0]);
  },
);
