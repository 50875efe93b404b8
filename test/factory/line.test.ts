import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { encodeTrust } from '../../protocol/identity/trust.ts';
import { type Swtpm, startSwtpm } from '../../swtpm/swtpm.ts';
import { bundle } from '../bundle.ts';
import { scratch, someTrust } from './folders.ts';

/** Every command of docs/factory.md, in its order, in one folder. */
const path = scratch();
const program = path('enf-factory.mjs');
const ADDON = new URL('../../dist/enf.node', import.meta.url).pathname;
let sockets: Swtpm[] = [];
let board: Swtpm;
let station: ChildProcess | undefined;
let url = '';
let umask = '022';

beforeAll(async () => {
  await bundle(new URL('../../factory/main.ts', import.meta.url), program);
  writeFileSync(path('trust.json'), encodeTrust(someTrust()));
  sockets = await Promise.all([startSwtpm(), startSwtpm()]);
  board = await startSwtpm();
});
afterAll(async () => {
  station?.kill('SIGKILL');
  for (const chip of [...sockets, board]) await chip.stop();
});

/** The commands of the document: words, with quotes taken off. */
const commands = (): string[][] =>
  [...readFileSync(new URL('../../docs/factory.md', import.meta.url), 'utf8').matchAll(/```sh\n([^`]+)```/g)]
    .flatMap(([, block]) => block!.trim().split('\n'))
    .map((line) => (line.match(/"[^"]*"|\S+/g) ?? []).map((word) => word.replaceAll('"', '')));

const start = (words: string[]): ChildProcess => {
  const [name, ...args] = words;
  const ours = name === 'enf-factory';
  const command = ours ? [process.execPath, program, ...args] : words;
  return spawn('sh', ['-c', `umask ${umask}; exec "$@"`, 'sh', ...command], {
    cwd: path('.'),
    env: { ...process.env, ENF_ADDON: ADDON, LD_PRELOAD: '' },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
};

async function run(words: string[]): Promise<{ code: number; out: string; err: string }> {
  const child = start(words);
  let [out, err] = ['', ''];
  child.stdout!.on('data', (text) => {
    out += text;
  });
  child.stderr!.on('data', (text) => {
    err += text;
  });
  child.stdin!.end();
  const [code] = (await once(child, 'close')) as [number];
  return { code, out, err };
}

async function serve(words: string[]): Promise<void> {
  station = start([...words, '--json']);
  const [text] = (await once(station.stdout!, 'data')) as [Buffer];
  const { event, port } = JSON.parse(String(text)) as { event: string; port: number };
  expect(event).toBe('listening');
  url = `https://127.0.0.1:${port}`;
  // Nobody reads on; the station must not be kept from writing.
  station.stdout!.resume();
  station.stderr!.resume();
}

test('the line of docs/factory.md, from an empty room to shipped boxes', async () => {
  let token = '';
  let seen = 0;
  for (const documented of commands()) {
    const words = documented.map(
      (word) =>
        ({
          '/dev/tpmrm0': sockets[0]!.tcti,
          '/dev/tpmrm1': sockets[1]!.tcti,
          '192.0.2.1:8443': '127.0.0.1:0',
          'https://192.0.2.1:8443': url,
          TOKEN: token,
        })[word] ?? word,
    );
    const what = words.slice(0, 3).join(' ');
    const tcti = ['--tcti', board.tcti];
    seen++;
    if (words[0] === 'umask') {
      umask = words[1]!;
      continue;
    }
    if (what === 'enf-factory station serve') {
      await serve(words);
      continue;
    }
    if (what === 'enf-factory device wipe') {
      const verified = JSON.parse((await run(['enf-factory', 'device', 'verify', '--json', ...tcti])).out);
      const wrong = await run([...words, ...tcti]);
      expect([wrong.code, wrong.err]).toEqual([1, expect.stringContaining('[factory.not-confirmed]')]);
      words[words.indexOf('MEMBER')] = verified.member.slice(0, 8);
    }
    const done = await run(what.startsWith('enf-factory device') ? [...words, ...tcti] : words);
    expect([words.join(' '), done.code, done.code === 0 ? '' : done.err]).toEqual([words.join(' '), 0, '']);
    if (what === 'enf-factory batch export') expect(done.err).toBe(`Written: ${words.at(-1)}\n`);
    if (what === 'enf-factory batch run') {
      expect(done.out).toMatch(/^ +socket 1 {2}waits for a chip$/m);
      expect(done.out.match(/^PASS {2}socket [12] {2}[0-9a-f]{16}$/gm)).toHaveLength(2);
      expect(done.out).toContain('2 devices were made.');
    }
    if (what === 'enf-factory device personalise') {
      expect(done.out).toMatch(/^PASS: this board is a device of Gateways, March/);
      // Killed, and started again: the entry is there.
      station!.kill('SIGKILL');
    }
    if (what === 'enf-factory station token' && token === '')
      token = JSON.parse((await run([...words.slice(0, 5), '--json'])).out)[0].id;
    if (what === 'enf-factory batch status') expect(done.out).toMatch(/Devices +3\n/);
    if (what === 'enf-factory batch close') {
      expect(done.out).toContain('3 devices, 0 proved genuine');
      const shown = await run(['enf-factory', 'group', 'show', '--group', 'groups/march']);
      expect(shown.out).toContain('Devices        3; the batch is closed');
    }
    if (what === 'enf-factory label --group') expect(done.out).toContain('Devices: 3');
    if (words[0] === 'sha256sum') {
      const { sha256 } = JSON.parse(readFileSync(path('groups/march/manifest/manifest.json'), 'utf8'));
      expect(done.out.slice(0, 64)).toBe(sha256);
    }
  }
  for (const name of ['maker', 'issuer']) expect(statSync(path(`${name}.phrase`)).mode & 0o777).toBe(0o600);
  expect(seen).toBeGreaterThanOrEqual(15);
  expect(readFileSync(path('march.csv'), 'utf8').trim().split('\r\n')).toHaveLength(4);
  expect(existsSync(path('march.svg'))).toBe(true);
  const gone = await run(['enf-factory', 'device', 'verify', '--tcti', board.tcti, '--json']);
  expect(JSON.parse(gone.err).error.code).toBe('tpm.not-personalised');
});

test('a run at a socket that is killed at any moment goes on with the same chip as the same device', async () => {
  const chip = await startSwtpm();
  try {
    const group = ['--group', 'killed'];
    await run(['enf-factory', 'group', 'create', '--name', 'Killed', '--basename', 'b', '--out', 'killed']);
    const line = [
      'enf-factory',
      'batch',
      'run',
      ...group,
      '--trust',
      'trust.json',
      '--tpm',
      chip.tcti,
      '--json',
    ];
    for (const moment of ['chip', 'key at', 'credential issued', 'read back']) {
      const child = start([...line, '--count', '1']);
      for await (const text of child.stdout!) if (String(text).includes(moment)) break;
      child.kill('SIGKILL');
      await once(child, 'close');
    }
    const last = start(line);
    for await (const text of last.stdout!) if (String(text).includes('"event":"pass"')) break;
    last.kill('SIGINT');
    expect((await once(last, 'close'))[0]).toBe(0);
    const status = JSON.parse((await run(['enf-factory', 'batch', 'status', ...group, '--json'])).out);
    expect(status).toMatchObject({ passed: 1, failed: {} });
  } finally {
    await chip.stop();
  }
});

test('where serial numbers are asked for, Enter is the next chip after one that failed without a key', async () => {
  const one = await startSwtpm();
  // The platform hierarchy is closed, as firmware leaves it.
  execFileSync('tpm2_hierarchycontrol', ['-C', 'p', 'phEnable', 'clear'], {
    env: { ...process.env, LD_PRELOAD: '', TPM2TOOLS_TCTI: one.tcti },
  });
  try {
    await run(['enf-factory', 'group', 'create', '--name', 'Enter', '--basename', 'b', '--out', 'enter']);
    const child = start(
      ['enf-factory', 'batch', 'run', '--group', 'enter', '--trust', 'trust.json', '--tpm', one.tcti].concat(
        ...['--map', 'platform', '--ask-serial', 'typed', '--json'],
      ),
    );
    child.stdin!.write('S1\n');
    const codes: string[] = [];
    for await (const text of child.stdout!)
      for (const line of String(text).trim().split('\n')) {
        const { event, code } = JSON.parse(line) as { event: string; code: string };
        if (event !== 'fail') continue;
        codes.push(code);
        if (codes.length === 1) child.stdin!.write('\nS2\n');
        else child.kill('SIGINT');
      }
    expect(codes).toEqual(['tpm.hierarchy-locked', 'tpm.hierarchy-locked']);
  } finally {
    await one.stop();
  }
});

test('serial numbers come through a pipe; a bad one is asked for again, and none is left over', async () => {
  const [one, group] = [await startSwtpm(), ['--group', 'piped']];
  try {
    await run(['enf-factory', 'group', 'create', '--name', 'Piped', '--basename', 'b', '--out', 'piped']);
    const child = start(
      ['enf-factory', 'batch', 'run', ...group, '--trust', 'trust.json', '--tpm', one.tcti].concat(
        ...['--count', '1', '--ask-serial', 'scanned', '--json'],
      ),
    );
    child.stdin!.end('=bad\r\nSN 17\r\n');
    child.stdout!.resume();
    expect((await once(child, 'close'))[0]).toBe(0);
    const rows = await run(['enf-factory', 'batch', 'export', ...group, '--json']);
    expect(JSON.parse(rows.out)).toMatchObject({ serial: 'SN 17', serialFrom: 'scanned', result: 'pass' });
  } finally {
    await one.stop();
  }
});
