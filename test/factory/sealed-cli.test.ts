import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { encodeTrust } from '../../protocol/identity/trust.ts';
import { type Swtpm, startSwtpm } from '../../swtpm/swtpm.ts';
import { bundle } from '../bundle.ts';
import { withoutEcdaa } from '../tpm/without-ecdaa.ts';
import { scratch, someTrust } from './folders.ts';

const path = scratch();
const program = path('enf-factory.mjs');
const env = { ...process.env, ENF_ADDON: new URL('../../dist/enf.node', import.meta.url).pathname };
let [chip, station] = [undefined, undefined] as unknown as [Swtpm, Swtpm];

beforeAll(async () => {
  await bundle(new URL('../../factory/main.ts', import.meta.url), program);
  [chip, station] = [await startSwtpm(), await startSwtpm()];
  writeFileSync(path('trust.json'), encodeTrust(someTrust()));
  writeFileSync(path('issuer.phrase'), 'of the file\n');
  writeFileSync(path('tpm.phrase'), 'of the station\n');
});
afterAll(async () => {
  await chip.stop();
  await station.stop();
});

interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}
const run = (...args: string[]): Promise<Outcome> =>
  new Promise((resolve) => {
    const child = execFile(process.execPath, [program, ...args], { env, cwd: path('.') }, (error, out, err) =>
      resolve({ code: error === null ? 0 : (error.code as number), out, err }),
    );
    child.stdin!.end();
  });
const code = ({ err }: Outcome): string => /\[([a-z]+\.[a-z-]+)\]/.exec(err)?.[1] ?? err;
const GROUP = ['--group', 'march', '--trust', 'trust.json'];

test('a chip that cannot do ECDAA, and an issuer key in the station’s TPM, from the command line', async () => {
  const { tcti } = await withoutEcdaa(chip);
  const created = [
    '--name',
    'March',
    '--basename',
    'b',
    '--out',
    'march',
    '--passphrase-file',
    'issuer.phrase',
  ];
  expect(await run('group', 'create', ...created)).toMatchObject({ code: 0 });

  // The issuer's key.
  const seal = [
    'group',
    'seal',
    '--group',
    'march',
    '--recovery',
    'march.isk.enc',
    '--station-tpm',
    station.tcti,
  ];
  expect(code(await run(...seal))).toBe('cli.bad-arguments');
  expect(code(await run(...seal, '--no-tpm-passphrase', '--ask-tpm-passphrase'))).toBe('cli.bad-arguments');
  expect(code(await run(...seal, '--no-tpm-passphrase', '--pcrs', '24'))).toBe('cli.bad-value');
  const phrases = ['--passphrase-file', 'issuer.phrase', '--tpm-passphrase-file', 'tpm.phrase'];
  const sealed = await run(...seal, ...phrases, '--json');
  expect(JSON.parse(sealed.out)).toEqual({
    ...{ folder: 'march', recovery: 'march.isk.enc', pcrs: [], tpmPassphrase: true },
  });
  expect([existsSync(path('march/isk.enc')), existsSync(path('march.isk.enc'))]).toEqual([false, true]);
  expect((await run('group', 'show', '--group', 'march')).out).toMatch(/Issuer secret +tpm\n/);
  expect(await run('inspect', '--dir', 'march')).toMatchObject({ code: 0 });

  // The chip.
  const inspected = await run('inspect', '--tcti', tcti);
  expect(inspected.code).toBe(1);
  expect(inspected.out).toMatch(/manufacturer IBM, firmware [\d.]+, ecdaa no: without the curve BN_P256/);
  const made = ['device', 'personalise', ...GROUP, '--tcti', tcti, '--station-tpm', station.tcti];
  expect(code(await run(...made, '--passphrase-file', 'tpm.phrase'))).toBe('tpm.no-ecdaa');
  const allowed = [...made, '--allow-sealed', '--passphrase-file'];
  expect(code(await run(...allowed, 'issuer.phrase'))).toBe('os.wrong-passphrase');
  const device = await run(...allowed, 'tpm.phrase');
  expect([device.code, device.out]).toEqual([0, expect.stringContaining('resident: no) is now a member')]);
  const verified = await run('device', 'verify', '--tcti', tcti);
  expect(verified.out).toContain("Resident  no: the member's secret is sealed in the TPM");
  expect(JSON.parse((await run('device', 'verify', '--tcti', tcti, '--json')).out)).toMatchObject({
    resident: false,
  });
  expect(await run('inspect', '--tcti', tcti)).toMatchObject({ code: 0, err: '' });
  const [row] = (await run('batch', 'export', '--group', 'march', '--json')).out.trim().split('\n');
  expect(JSON.parse(row!)).toMatchObject({ resident: false, tpm: 'IBM' });

  // At a socket: the same chip, the same device.
  const line = [
    'batch',
    'run',
    ...GROUP,
    '--tpm',
    tcti,
    '--station-tpm',
    station.tcti,
    '--allow-sealed',
    '--json',
  ];
  const child = spawn(process.execPath, [program, ...line, '--passphrase-file', 'tpm.phrase'], {
    ...{ env, cwd: path('.'), stdio: ['ignore', 'pipe', 'inherit'] },
  });
  let seen = '';
  for await (const text of child.stdout!) {
    seen += String(text);
    if (/"event":"(pass|fail)"/.test(seen)) child.kill('SIGINT');
  }
  if (child.exitCode === null) await once(child, 'exit');
  expect(seen).toMatch(/"event":"pass".*"again":true/);

  const member = JSON.parse(row!).member.slice(0, 8);
  expect(await run('device', 'wipe', '--tcti', tcti, '--yes', '--member', member)).toMatchObject({ code: 0 });
  expect(code(await run('device', 'verify', '--tcti', tcti))).toBe('tpm.not-personalised');
  expect(readFileSync(path('march/journal.jsonl'), 'utf8').trim().split('\n').length).toBeGreaterThan(1);
});
