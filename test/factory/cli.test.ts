import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import { openSecret } from '../../crypto/sealed.ts';
import { encodeTrust } from '../../protocol/identity/trust.ts';
import { parseLabel } from '../../protocol/label.ts';
import { encodeUtf8 } from '../../protocol/utf8.ts';
import { startSwtpm } from '../../swtpm/swtpm.ts';
import { bundle } from '../bundle.ts';
import { scratch, someTrust } from './folders.ts';

const path = scratch();
const program = path('enf-factory.mjs');

beforeAll(async () => {
  await bundle(new URL('../../factory/main.ts', import.meta.url), program);
});

interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

function run(...args: string[]): Promise<Outcome> {
  return new Promise((resolve) => {
    const env = { ...process.env, ENF_ADDON: new URL('../../dist/enf.node', import.meta.url).pathname };
    const child = execFile(process.execPath, [program, ...args], { env }, (error, out, err) =>
      resolve({ code: error === null ? 0 : (error.code as number), out, err }),
    );
    child.stdin!.end();
  });
}

/** Runs on a terminal of its own and answers each prompt, in order. What the terminal showed comes back. */
async function onTerminal(
  args: string[],
  answers: [prompt: string, typed: string][],
): Promise<{ code: number; shown: string }> {
  const words = [process.execPath, program, ...args].map((word) => `'${word}'`).join(' ');
  const child: ChildProcess = spawn('script', ['-qec', words, '/dev/null'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let [shown, answered] = ['', 0];
  child.stdout!.setEncoding('utf8').on('data', (chunk: string) => {
    shown += chunk;
    const next = answers[answered];
    if (next !== undefined && shown.split(': ').length > answered + 1 && shown.includes(next[0])) {
      answered++;
      child.stdin!.write(next[1]);
    }
  });
  const [code] = (await once(child, 'close')) as [number];
  child.stdin!.destroy();
  expect(answered).toBe(answers.length);
  return { code, shown };
}

test('device personalise takes no option that would say nothing', async () => {
  const code = async (...args: string[]): Promise<string> => {
    const { err } = await run('device', 'personalise', '--json', ...args);
    const { error } = JSON.parse(err.trim().split('\n').at(-1)!);
    return `${error.code} ${error.message}`;
  };
  const station = ['--station', 'https://192.0.2.1:1', '--token-file', path('no-token')];
  for (const option of ['--require-ek', '--record-ek', '--operator', '--station-name', '--ek-roots']) {
    const value = option === '--require-ek' || option === '--record-ek' ? [] : ['x'];
    expect(await code(...station, option, ...value)).toBe(
      `cli.bad-arguments ${option} cannot be combined with --station`,
    );
  }
  const pins = ['--station-certificate', 'x', '--station-fingerprint', '0'.repeat(64)];
  expect(await code(...station, ...pins)).toMatch(/^cli.bad-arguments --station-certificate cannot/);
  expect(await code(...station, ...pins.slice(2))).toMatch(/^os\./);
  for (const option of ['--token-file', '--station-fingerprint', '--station-certificate'])
    expect(await code('--group', 'g', '--trust', 't', option, 'x')).toBe(
      `cli.bad-arguments ${option} needs --station`,
    );
});

test('station token leaves no token that is good where its file cannot be written', async () => {
  const [group, out] = [path('token-group'), path('token')];
  await run('group', 'create', '--name', 'T', '--basename', 'b', '--out', group);
  const make = () => run('station', 'token', '--group', group, '--count', '5', '--out', out, '--json');
  expect((await make()).code).toBe(0);
  expect((await make()).err).toContain('os.exists');
  const tokens = JSON.parse((await run('station', 'token', '--group', group, '--json')).out);
  expect(tokens.map(({ expires }: { expires: string }) => Date.parse(expires) > Date.now())).toEqual([
    true,
    false,
  ]);
});

describe('enf-factory', () => {
  test('goes from a group to a device and its label', async () => {
    const [group, trust, device] = [path('group'), path('trust.json'), path('device')];
    writeFileSync(trust, encodeTrust(someTrust()));
    const made = await run(
      'group',
      'create',
      '--name',
      'March',
      '--basename',
      'xaprcnet',
      '--vendor',
      'Acme',
      '--out',
      group,
      '--json',
    );
    expect(made).toMatchObject({ code: 0, err: '' });
    const { gid } = JSON.parse(made.out) as { gid: string };

    const personalised = await run(
      'device',
      'personalise',
      '--group',
      group,
      '--trust',
      trust,
      '--software',
      device,
      '--json',
    );
    expect(personalised.code).toBe(0);
    expect(JSON.parse(personalised.out)).toMatchObject({ gid, tpm: 'software', folder: device });
    expect(personalised.err).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z info {4}credential issued and checked$/m);

    const shown = await run('group', 'show', '--group', group);
    expect(shown.out).toContain(`Group (GID)    ${gid}`);
    expect(shown.out).toContain('Devices        1');

    const [svg, png] = [path('label.svg'), path('label.png')];
    const label = await run('label', '--group', group, '--svg', svg, '--png', png);
    expect(label).toMatchObject({ code: 0, err: '' });
    expect(label.out).toContain('Devices: 1');
    expect([statSync(svg).mode & 0o777, statSync(png).mode & 0o777]).toEqual([0o600, 0o600]);
    expect((await run('label', '--group', group)).out).toContain('█ ▄▄▄▄▄ █');
    expect(parseLabel(readFileSync(`${group}/label.txt`, 'utf8')).vendor).toBe('Acme');

    for (const picture of [svg, png])
      expect(await run('inspect', picture)).toMatchObject({
        code: 0,
        out: expect.stringContaining('picture'),
      });
    for (const folder of [group, device])
      expect(await run('inspect', '--dir', folder)).toMatchObject({ code: 0, err: '' });
  });

  test('[H-D2] takes over a group of the C tool', async () => {
    const { issuers } = JSON.parse(
      readFileSync(new URL('../vectors/ecdaa.json', import.meta.url), 'utf8'),
    ) as { issuers: Record<'ipk' | 'isk' | 'gpk', string>[] };
    const files = (['ipk', 'isk', 'gpk'] as const).flatMap((name) => {
      writeFileSync(path(`c-${name}.bin`), Buffer.from(issuers[0]![name], 'hex'));
      return [`--${name}`, path(`c-${name}.bin`)];
    });
    writeFileSync(path('c-basename.bin'), 'BASENAME');
    const adopt = ['group', 'import', ...files, '--name', 'Old', '--out', path('adopted'), '--json'];
    const refused = await run(...adopt, '--basename', 'x'.repeat(65));
    expect([refused.code, JSON.parse(refused.err).error.code]).toEqual([1, 'label.bad-basename']);
    const made = await run(...adopt, '--basename', path('c-basename.bin'));
    expect(made).toMatchObject({ code: 0, err: '' });
    expect((await run('group', 'show', '--group', path('adopted'))).out).toContain('Basename       BASENAME');
    expect(await run('inspect', '--dir', path('adopted'))).toMatchObject({ code: 0, err: '' });
    writeFileSync(path('c-isk.bin'), Buffer.from(issuers[1]!.isk, 'hex'));
    const mixed = await run(...adopt.with(adopt.indexOf(path('adopted')), path('mixed')), '--basename', 'B');
    expect(JSON.parse(mixed.err).error.code).toBe('ecdaa.bad-issuer-secret');
  });

  test('personalises a TPM, says so the second time, and inspects it', async () => {
    const chip = await startSwtpm();
    try {
      const [group, trust, password] = [path('group-tpm'), path('trust-tpm.json'), path('owner.pw')];
      writeFileSync(trust, encodeTrust(someTrust()));
      writeFileSync(password, 'geheim\n');
      await run('group', 'create', '--name', 'March', '--basename', 'xaprcnet', '--out', group);
      execFileSync('tpm2_changeauth', ['-c', 'o', 'geheim'], {
        env: { ...process.env, TPM2TOOLS_TCTI: chip.tcti },
      });
      const personalise = ['device', 'personalise', '--group', group, '--trust', trust, '--tcti', chip.tcti];

      const empty = await run('inspect', '--tcti', chip.tcti);
      expect([empty.code, empty.out]).toEqual([0, expect.stringContaining('personalised no')]);
      const locked = await run(...personalise, '--map', 'owner');
      expect([locked.code, locked.err]).toEqual([1, expect.stringContaining('[tpm.hierarchy-locked]')]);
      const made = await run(...personalise, '--map', 'owner', '--hierarchy-auth-file', password, '--json');
      expect(made.code).toBe(0);
      expect(JSON.parse(made.out)).toMatchObject({ tpm: 'IBM', hierarchy: 'owner', already: false });
      expect(made.err).toContain('read back and compared');
      expect(made.out + made.err).not.toContain('geheim');
      const again = await run(...personalise);
      expect([again.code, again.out]).toEqual([0, expect.stringContaining('was already a member')]);
      const full = await run('inspect', '--tpm', chip.tcti);
      expect([full.code, full.out]).toEqual([
        0,
        expect.stringContaining('personalised yes, owner hierarchy'),
      ]);
    } finally {
      await chip.stop();
    }
  });

  test.each<[number, string, string[]]>([
    [1, 'tpm.absent', ['inspect', '--tcti', 'swtpm:host=127.0.0.1,port=9']],
    [1, 'tpm.absent', ['device', 'verify', '--tpm', 'swtpm:host=127.0.0.1,port=9']],
    [2, 'cli.missing-option', ['group', 'create', '--name', 'x']],
    [2, 'cli.unknown-command', ['group', 'creat']],
    [2, 'cli.bad-value', ['label', '--group', '.', '--width-mm', '0']],
    [2, 'cli.bad-arguments', ['inspect', '--file', 'a', '--dir', 'b']],
    [2, 'cli.bad-arguments', ['inspect', '--file', 'a', '--tcti', 'b']],
    [2, 'cli.bad-arguments', ['inspect', 'a', '--tpm', 'b']],
    [2, 'cli.bad-option', ['inspect', '--tpm', 'b', '--maker-key', 'c']],
    [2, 'cli.bad-option', ['inspect', '--tcti', 'a', '--tpm', 'b']],
    [1, 'os.no-file', ['group', 'show', '--group', '/nonexistent']],
    [1, 'os.no-file', ['inspect', '--file', '/nonexistent']],
    [1, 'os.no-file', ['inspect', '/nonexistent']],
    [
      1,
      'os.no-terminal',
      ['group', 'create', '--name', 'x', '--basename', 'b', '--out', '/tmp/none', '--ask-passphrase'],
    ],
  ])('exits %i with %s for %j', async (code, failure, args) => {
    const outcome = await run(...args, '--json');
    expect([outcome.code, outcome.out]).toEqual([code, '']);
    expect(JSON.parse(outcome.err)).toMatchObject({ error: { code: failure, action: expect.any(String) } });
  });

  test('inspect says what is wrong and exits 1', async () => {
    const file = path('cred.bin');
    writeFileSync(file, new Uint8Array(260));
    const { code, out } = await run('inspect', '--file', file);
    expect(code).toBe(1);
    expect(out).toContain('[ecdaa.bad-point]');
  });
});

describe('a passphrase typed on the terminal', () => {
  const create = (folder: string): string[] => [
    'group',
    'create',
    '--name',
    'S',
    '--basename',
    'b',
    '--out',
    folder,
    '--ask-passphrase',
  ];

  test('is asked for twice, not shown, and opens the issuer key', async () => {
    const folder = path('typed');
    const typed = 'korrekte Pferdx\u007fe';
    const { code, shown } = await onTerminal(create(folder), [
      ['New passphrase of the issuer key: ', `${typed}\r`],
      ['New passphrase of the issuer key, again: ', 'korrekte Pferde\r'],
    ]);
    expect(code).toBe(0);
    expect(shown).not.toContain('korrekte');
    const container = new Uint8Array(readFileSync(`${folder}/isk.enc`));
    expect(await openSecret(container, encodeUtf8('korrekte Pferde'))).toHaveLength(64);

    writeFileSync(path('trust2.json'), encodeTrust(someTrust()));
    const device = (to: string): string[] => [
      'device',
      'personalise',
      '--group',
      folder,
      '--trust',
      path('trust2.json'),
      '--software',
      path(to),
    ];
    const right = await onTerminal(device('right'), [['Passphrase of S: ', 'korrekte Pferde\r']]);
    expect(right.code).toBe(0);
    expect(readdirSync(path('right'))).toContain('daa_cred.bin');
    const wrong = await onTerminal(device('wrong'), [['Passphrase of S: ', 'falsche Pferde\r']]);
    expect(wrong.code).toBe(1);
    expect(wrong.shown).toContain('os.wrong-passphrase');
    expect(existsSync(path('wrong'))).toBe(false);
  });

  test('two that differ, or Ctrl-C, make no group', async () => {
    const differ = await onTerminal(create(path('differ')), [
      ['New passphrase of the issuer key: ', 'correct horse\r'],
      ['New passphrase of the issuer key, again: ', 'correct house\r'],
    ]);
    expect([differ.code, differ.shown.includes('os.bad-passphrase')]).toEqual([1, true]);
    const cancelled = await onTerminal(create(path('differ')), [['New passphrase', '\u0003']]);
    expect([cancelled.code, cancelled.shown.includes('os.cancelled')]).toEqual([1, true]);
    expect(existsSync(path('differ'))).toBe(false);
  });
});
