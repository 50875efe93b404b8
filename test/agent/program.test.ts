import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Metafile } from 'esbuild';
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { temporaryFolder } from './folders.ts';
import { makeCertificates } from './router.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
let folder: string;
let metafile: Metafile;

/** The bundle as build.mjs makes it, built once. */
beforeAll(async () => {
  folder = mkdtempSync(join(root, 'dist/test-agent-'));
  ({ metafile } = await build({
    entryPoints: [{ in: join(root, 'agent/main.ts'), out: 'enf-agent' }],
    absWorkingDir: root,
    outdir: folder,
    outExtension: { '.js': '.mjs' },
    splitting: true,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    ...{ minifySyntax: true, minifyWhitespace: true, lineLimit: 160 },
    metafile: true,
  }));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const environment = { ...process.env, ENF_ADDON: join(root, 'dist/enf.node') };

function agent(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [join(folder, 'enf-agent.mjs'), ...args],
      { env: environment },
      (error, out, err) => resolve({ code: error === null ? 0 : Number(error.code), out, err }),
    );
  });
}

/** A configuration whose TPM is not there, and `agent` with it. */
function installed(more = '', remote = '') {
  const place = temporaryFolder();
  const file = join(place, 'agent.toml');
  const state = join(place, 'state');
  writeFileSync(
    file,
    `[remote]\nhosts = ["127.0.0.1"]\n${remote}[tpm]\ntcti = "device:${place}/no-tpm"\n[state]\ndirectory = "${state}"\n[control]\nsocket = "${place}/run/c.sock"\n${more}`,
  );
  return { place, file, state, with: (...args: string[]) => agent(...args, '--config', file) };
}

/** `run` as the service manager starts it. */
function running(file: string): { child: ChildProcess; log: () => string; exited: Promise<number | null> } {
  const child = spawn(process.execPath, [join(folder, 'enf-agent.mjs'), 'run', '--config', file], {
    env: environment,
  });
  let text = '';
  child.stderr.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  const exited = new Promise<number | null>((resolve) => child.on('exit', (code) => resolve(code)));
  onTestFinished(() => void child.kill('SIGKILL'));
  return { child, log: () => text, exited };
}

test('node:http is not imported: on Node 22 that ends a service without WebAssembly', () => {
  const imported = Object.values(metafile.outputs).flatMap(({ imports }) => imports.map(({ path }) => path));
  expect(imported).toContain('node:net');
  expect(imported).not.toContain('node:http');
});

describe('check-config', () => {
  test('prints every key and touches nothing', async () => {
    const { place, with: on } = installed();
    const before = readdirSync(place);
    const { code, out } = await on('check-config');
    expect([code, readdirSync(place)]).toEqual([0, before]);
    expect(out).toContain('[remote]\nhosts = ["127.0.0.1"]\norder = "spread"\ntunnel-port = 443');
    expect(JSON.parse((await on('check-config', '--json')).out)).toMatchObject({
      tunnel: { heartbeatPeriod: 'auto', mtu: 1_280 },
    });
  });

  test('a mistake ends with exit code 78, the place and the nearest name', async () => {
    const { with: on } = installed('[tunnel]\nheartbeat-perod = "1s"\n');
    for (const command of ['check-config', 'run', 'status', 'forget']) {
      const { code, err } = await on(command);
      expect([code, err]).toEqual([
        78,
        expect.stringMatching(/tunnel\.heartbeat-perod.*\[config\.unknown-key\]\n.*heartbeat-period/),
      ]);
    }
  });

  test('[H-D3] a TLS root that is none is said, as is one that is not there; DER is one', async () => {
    const { place } = installed();
    const root = join(place, 'root');
    const { with: on } = installed('', `tls-root = "${root}"\n`);
    expect((await on('check-config')).err).toContain('[os.no-file]');
    writeFileSync(root, Uint8Array.of(0x30, 3, 0, 1, 2));
    const { code, err } = await on('check-config');
    expect([code, err]).toEqual([
      1,
      expect.stringMatching(/root: expected TLS roots in PEM .*\[tls\.bad-root\]/),
    ]);
    const { root: pem } = makeCertificates();
    for (const good of [pem, new X509Certificate(pem).raw]) {
      writeFileSync(root, good);
      expect((await on('check-config')).code).toBe(0);
    }
  });

  test('a credential may be missing; once its secret key is there it has to be whole', async () => {
    const { place, file } = installed();
    const check = () => agent('check-config', '--config', file);
    writeFileSync(
      file,
      `[remote]\nhosts = ["127.0.0.1"]\n[identity]\nmode = "software"\ncredential-dir = "${place}"\n`,
    );
    const put = (name: string, size: number) => writeFileSync(join(place, name), Buffer.alloc(size, 1));
    expect((await check()).code).toBe(0);
    put('daa_secretkey.bin', 32);
    expect((await check()).err).toMatch(/basename.*\[os\.no-file\]/);
    put('basename.bin', 4);
    put('daa_gpk.bin', 258);
    put('root_cert.bin', 81);
    put('daa_cred.bin', 259);
    expect((await check()).err).toContain('daa_cred.bin');
    put('daa_cred.bin', 260);
    expect(await check()).toMatchObject({ code: 0, err: '' });
    put('daa_secretkey.bin', 31);
    expect((await check()).code).toBe(1);
  });

  test('a configuration that is not there', async () => {
    const { code, err } = await agent('check-config', '--config', '/nowhere/agent.toml');
    expect([code, err]).toEqual([
      78,
      expect.stringContaining('there is no configuration /nowhere/agent.toml [config.absent]'),
    ]);
  });
});

test('status without an agent says how to start it', async () => {
  const { with: on } = installed();
  const { code, err } = await on('status');
  expect([code, err]).toEqual([
    1,
    expect.stringMatching(/\[agent\.not-running\]\n.*systemctl start enf-agent/),
  ]);
});

test('[C-1] run without a TPM stays alive, says what is wrong, and ends cleanly on SIGTERM', async () => {
  const { file, place, with: on } = installed();
  const { child, log, exited } = running(file);
  const status = await vi.waitFor(
    async () => {
      const answer = JSON.parse((await on('status', '--json')).out);
      if (answer.trouble === null) throw new Error(answer.situation);
      return answer;
    },
    { timeout: 20_000, interval: 50 },
  );
  expect(status).toMatchObject({
    program: 'enf-agent',
    address: null,
    trouble: { code: expect.stringMatching(/^tpm\./) },
  });
  expect((await on('status')).out).toContain(status.trouble.code);
  expect(log()).toContain(status.trouble.code);
  const second = await on('run');
  expect([second.code, second.err]).toEqual([1, expect.stringContaining('[control.in-use]')]);
  const refused = await on('forget', '--yes');
  expect([refused.code, refused.err]).toEqual([1, expect.stringContaining('[agent.running]')]);
  child.kill('SIGTERM');
  expect(await exited).toBe(0);
  expect(existsSync(join(place, 'run/c.sock'))).toBe(false);
});

/** `run` in namespaces of its own, where `program` is a script, one that never ends by default. */
function hanging(file: string, program: string, body = 'exec sleep 1000') {
  const script = `
    ip link set lo up
    printf '#!/bin/sh\\n${body}\\n' > ${folder}/hangs; chmod +x ${folder}/hangs
    mount --bind ${folder}/hangs $(readlink -f $(command -v ${program}))
    exec ${process.execPath} ${join(folder, 'enf-agent.mjs')} run --config ${file}`;
  const child = spawn('unshare', ['--mount', '--net', 'sh', '-ec', script], { env: environment });
  let text = '';
  child.stderr.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  const exited = new Promise<string>((resolve) =>
    child.on('exit', (code, signal) => resolve(`${code} ${signal}`)),
  );
  onTestFinished(() => void child.kill('SIGKILL'));
  return { child, log: () => text, exited };
}

for (const program of ['ip', 'nft']) {
  for (const mode of ['lockdown', 'split']) {
    test(`[H-C6] ${program} hangs in ${mode}: a named failure, and SIGTERM ends the agent all the same`, async () => {
      const { file } = installed(`[route]\nmode = "${mode}"\n`);
      const { child, log, exited } = hanging(file, program);
      await vi.waitFor(() => expect(log()).toContain('started'), { timeout: 20_000, interval: 50 });
      // In split mode nothing is asked of ip before there is a tunnel, and nft only helps.
      if (mode === 'lockdown')
        await vi.waitFor(
          () => expect(log()).toMatch(/os\.(command-hangs|lockdown-open).*has not ended within/),
          {
            timeout: 30_000,
            interval: 50,
          },
        );
      const asked = performance.now();
      child.kill('SIGTERM');
      // A lockdown that not even routes and rules hold is open, and the exit code says so.
      expect(await exited).toBe(program === 'ip' && mode === 'lockdown' ? '1 null' : '0 null');
      expect(performance.now() - asked).toBeLessThan(5_000);
    });
  }
}

test('[H-C10] without sysfs it runs all the same', async () => {
  const { file, with: on } = installed();
  const script = `mount -t tmpfs none /sys; exec ${process.execPath} ${join(folder, 'enf-agent.mjs')} run --config ${file}`;
  const child = spawn('unshare', ['--mount', 'sh', '-ec', script], { env: environment });
  onTestFinished(() => void child.kill('SIGKILL'));
  let log = '';
  child.stderr.on('data', (chunk: Buffer) => {
    log += chunk.toString();
  });
  const exited = new Promise<number | null>((resolve) => child.on('exit', resolve));
  await vi.waitFor(() => expect(log).toMatch(/tpm\./), { timeout: 20_000, interval: 50 });
  expect((await on('status')).code).toBe(0);
  expect(log).not.toContain('internal error');
  child.kill('SIGTERM');
  expect(await exited).toBe(0);
});

test('[H-C5] an open lockdown is told by status, log and exit code', async () => {
  const { file, with: on } = installed('[route]\nmode = "lockdown"\n');
  const { child, log, exited } = hanging(file, 'ip', 'echo no >&2; exit 1');
  await vi.waitFor(() => expect(log()).toContain('os.lockdown-open'), { timeout: 20_000, interval: 50 });
  const status = JSON.parse((await on('status', '--json')).out);
  expect(status).toMatchObject({ situation: 'blocked', trouble: { code: 'os.lockdown-open' } });
  expect(status.trouble.message).toContain('OPEN');
  child.kill('SIGTERM');
  expect(await exited).toBe('1 null');
  expect(log()).toContain('the lockdown was OPEN');
});

test('[H-C6] SIGTERM while something inside hangs that nobody can call off', async () => {
  const { file, place } = installed('[identity]\nmode = "software"\ncredential-dir = "/nowhere"\n');
  execFileSync('mkfifo', [join(place, 'root')]);
  writeFileSync(
    file,
    readFileSync(file, 'utf8')
      .replace('[tpm]', `[identity]\nmode = "software"\ncredential-dir = "${place}"\n[tpm]`)
      .replace(/\n\[identity\]\nmode = "software"\ncredential-dir = "\/nowhere"\n/, '\n'),
  );
  execFileSync('mkfifo', [join(place, 'basename.bin')]);
  const { child, log, exited } = running(file);
  await vi.waitFor(() => expect(log()).toContain('no identity yet: provisioning'), {
    timeout: 20_000,
    interval: 50,
  });
  child.kill('SIGTERM');
  expect(await exited).toBe(0);
});

test('[H-C6] SIGHUP does not end the agent; it tells what that changes', async () => {
  const { file, with: on } = installed();
  const { child, log, exited } = running(file);
  await vi.waitFor(() => expect(log()).toContain('started'), { timeout: 20_000, interval: 50 });
  for (let i = 1; i <= 3; i++) {
    child.kill('SIGHUP');
    await vi.waitFor(() => expect(log().split('SIGHUP: ')).toHaveLength(i + 1), { timeout: 10_000 });
  }
  expect((await on('status')).code).toBe(0);
  child.kill('SIGTERM');
  expect(await exited).toBe(0);
});

test('status --watch follows the agent until Ctrl-C; with --json a line for each change', async () => {
  const { file } = installed();
  const agent = running(file);
  await vi.waitFor(() => expect(agent.log()).toContain('started'), { timeout: 20_000, interval: 50 });
  const watch = spawn(
    process.execPath,
    [join(folder, 'enf-agent.mjs'), 'status', '--watch', '--json', '--config', file],
    { env: environment },
  );
  onTestFinished(() => void watch.kill('SIGKILL'));
  const exited = new Promise<number | null>((resolve) => watch.on('exit', resolve));
  let text = '';
  watch.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  const lines = () => text.trimEnd().split('\n');
  await vi.waitFor(() => expect(lines().at(-1)).toContain('"trouble":{"code":"tpm.'), { timeout: 20_000 });
  for (const line of lines()) expect(JSON.parse(line)).toMatchObject({ program: 'enf-agent' });
  expect(new Set(lines()).size).toBe(lines().length);
  watch.kill('SIGINT');
  expect(await exited).toBe(0);
});

test('[C-40] metrics on loopback if configured; a port that is taken does not stop the agent', async () => {
  const port = await new Promise<number>((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
  const listen = `[metrics]\nlisten = "127.0.0.1:${port}"\n`;
  const [first, second] = [running(installed(listen).file), installed(listen)];
  const metrics = await vi.waitFor(async () => (await fetch(`http://127.0.0.1:${port}/metrics`)).text(), {
    timeout: 20_000,
    interval: 50,
  });
  expect(metrics).toContain('enf_agent_online 0\n');
  const other = running(second.file);
  await vi.waitFor(() => expect(other.log()).toContain('control.cannot-listen'), {
    timeout: 20_000,
    interval: 50,
  });
  await vi.waitFor(async () => expect((await second.with('status')).code).toBe(0), { timeout: 20_000 });
  for (const { child, exited } of [first, other]) {
    child.kill('SIGTERM');
    expect(await exited).toBe(0);
  }
});

test('[C-33] a killed agent does not stand in the way of the next one', async () => {
  const { file, with: on } = installed();
  const first = running(file);
  const answers = () =>
    vi.waitFor(async () => expect((await on('status')).code).toBe(0), { timeout: 20_000, interval: 50 });
  await answers();
  first.child.kill('SIGKILL');
  await first.exited;
  expect((await on('status')).err).toContain('agent.not-running');
  const second = running(file);
  await answers();
  second.child.kill('SIGINT');
  expect(await second.exited).toBe(0);
});

test('forget wants to be meant, and removes the identity', async () => {
  const { state, place, with: on } = installed();
  expect((await on('forget')).err).toContain('[agent.not-confirmed]');
  expect((await on('forget', '--yes')).code).toBe(0);
  expect(existsSync(state)).toBe(false);
  const { openFolder } = await import('../../os/files/folder.ts');
  const { openStore } = await import('../../agent/state/state.ts');
  await (await openStore(await openFolder(state))).save({ pending: { kind: 'software', der: 'aa' } });
  writeFileSync(join(state, 'note'), 'not ours');
  expect((await on('forget')).code).toBe(1);
  expect(readdirSync(state).sort()).toEqual(['note', 'state-0']);
  expect(JSON.parse((await on('forget', '--yes', '--json')).out)).toEqual({
    forgotten: state,
    tpm: 'unasked',
  });
  expect([readdirSync(state), readdirSync(place).includes('agent.toml')]).toEqual([['note'], true]);
});

describe('what is loaded', () => {
  /** The files that loading `entry` loads, not counting what is imported on demand. */
  function loaded(entry: string): string[] {
    const seen = new Set([entry]);
    for (const file of seen) {
      for (const { path, kind, external } of metafile.inputs[file]!.imports) {
        if (kind !== 'dynamic-import' && !external && metafile.inputs[path]) seen.add(path);
      }
    }
    return [...seen];
  }

  test('a device with an identity in its TPM loads neither the handshake nor any curve', () => {
    const files = ['agent/main.ts', 'agent/service/run.ts', 'agent/identity/tpm-keys.ts'].flatMap(loaded);
    expect(files.length).toBeGreaterThan(30);
    expect(
      files.filter((file) => /@noble\/curves|\/fp256bn|protocol\/xtt\/|agent\/provision/.test(file)),
    ).toEqual([]);
    expect(loaded('agent/identity/provision.ts')).toEqual(
      expect.arrayContaining(['protocol/crypto/fp256bn.ts', 'protocol/xtt/client.ts']),
    );
  });

  test('[C-41] the bundle stays below 1 MB', () => {
    const bytes = Object.values(metafile.outputs).reduce((sum, output) => sum + output.bytes, 0);
    expect(bytes).toBeLessThan(1_000_000);
  });
});
