import { chownSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { parseConfig } from '../../../agent/config/config.ts';
import { openStore } from '../../../agent/state/state.ts';
import { answerApi } from '../../../agent/status/api.ts';
import { statusOf } from '../../../agent/status/status.ts';
import { holdFolder, openFolder } from '../../../os/files/folder.ts';
import { serveControl } from '../../../os/net/control-socket.ts';
import { swtpmForTest } from '../../tpm/fixture.ts';
import { boot } from '../agent.ts';
import { cli } from '../cli.ts';
import { type EstServer, startEstServer } from '../est-server.ts';
import { temporaryFolder } from '../folders.ts';
import { makeCertificates, startTestRouter } from '../router.ts';

const NOBODY = 65_534;
const ADDRESS = 'fd00:e4f:1:0:a::1';

let server: EstServer;
beforeAll(async () => {
  server = await startEstServer();
});
afterAll(() => server.close());

let codes = 0;
function newCode(): string {
  const code = `code-${++codes}`;
  server.codes.set(code, ADDRESS);
  return code;
}

async function device(url = server.url) {
  const place = temporaryFolder();
  const [state, socket, file] = ['state', 'c.sock', 'agent.toml'].map((name) => join(place, name)) as [
    string,
    string,
    string,
  ];
  const roots = join(place, 'roots.pem');
  const certificates = makeCertificates();
  writeFileSync(roots, certificates.root + readFileSync(server.tlsRoot, 'utf8'));
  const router = await startTestRouter(certificates);
  const identity = `mode = "pki"\nkey-in = "file"\nest-server = "${url}"`;
  const remote = `tls-root = "${roots}"\ntls-name = "*"`;
  writeFileSync(
    file,
    `[remote]\nhosts = ["127.0.0.1"]\n${remote}\n[identity]\n${identity}\n[state]\ndirectory = "${state}"\n[control]\nsocket = "${socket}"\n`,
  );
  const codeFile = (code: string): string => {
    const path = join(place, 'code');
    writeFileSync(path, `${code}\n`);
    return path;
  };
  /** Its agent, with a control socket. */
  const run = async () => {
    const agent = boot({ state, tunnelPort: router.port, identityPort: 1, remote, identity });
    const config = parseConfig(readFileSync(file, 'utf8'), file);
    const control = await serveControl(socket, (question) =>
      answerApi(question, {
        status: () =>
          statusOf({
            ...{ version: '1.2.3', config, situation: agent.driver.situation(), peer: agent.driver.peer() },
            ...{ facts: agent.effects.facts(), nowMs: performance.now(), wallMs: Date.now() },
          }),
        counters: () => undefined,
        residentBytes: () => 1,
        renew: () => agent.driver.renew(),
        decommission: (offline) => agent.driver.decommission(offline),
        departureEnd: () => agent.driver.departureEnd(),
        async enroll({ code, again }) {
          const certificate = await agent.effects.enroll(code, again);
          agent.driver.enrolled();
          return certificate;
        },
        enrolled: () => agent.driver.enrolled(),
      }),
    );
    onTestFinished(() => control.close());
    return agent;
  };
  const on = (...args: string[]) => cli(...args, '--config', file);
  return { place, state, file, codeFile, run, on };
}

test('without an agent the command leaves the certificate for the next start', async () => {
  const { state, codeFile, run, on } = await device();
  // The folder of the service, in which root enrols.
  mkdirSync(state);
  chownSync(state, NOBODY, NOBODY);
  const { code, out, err } = await on('enroll', '--code-file', codeFile(newCode()), '--json');
  expect(err).toBe('');
  expect([code, JSON.parse(out)]).toMatchObject([0, { address: ADDRESS, key: 'file', running: false }]);
  for (const name of ['state-0', 'state-1'])
    expect(statSync(join(state, name))).toMatchObject({ uid: NOBODY, gid: NOBODY, mode: 0o100600 });
  const agent = await run();
  await agent.online();
  expect(JSON.parse((await on('status', '--json')).out)).toMatchObject({
    mode: 'pki',
    address: ADDRESS,
    certificate: { address: ADDRESS, key: 'file' },
  });
  expect((await on('status')).out).toMatch(/certificate +CN=.*until/);
});

test('an agent that runs is told, and connects at once', async () => {
  const { codeFile, run, on } = await device();
  const agent = await run();
  await agent.trouble('pki.not-enrolled');
  expect((await on('status')).out).toMatch(/what to do +Get a one-time code/);
  const { code, out } = await on('enroll', '--code-file', codeFile(newCode()));
  expect([code, out]).toEqual([0, expect.stringContaining(`for ${ADDRESS}, until`)]);
  await agent.online();
  const again = await on('enroll', '--code-file', codeFile(newCode()));
  expect([again.code, again.err]).toEqual([1, expect.stringContaining('[agent.not-confirmed]')]);
  expect(again.err).toContain('--force');
  expect((await on('enroll', '--force', '--code-file', codeFile(newCode()))).code).toBe(0);
  await agent.online();
});

/** A way to the EST server that is closed at first. */
async function gate() {
  let [reach, open] = [() => {}, () => {}];
  const reached = new Promise<void>((resolve) => {
    reach = resolve;
  });
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  const sockets: Socket[] = [];
  const kept = (socket: Socket): Socket => {
    sockets.push(socket);
    return socket.on('error', () => {});
  };
  const listener = createServer((client) => {
    kept(client);
    reach();
    void opened.then(() => client.pipe(kept(connect(server.port, '127.0.0.1'))).pipe(client));
  });
  await new Promise<void>((listening) => listener.listen(0, '127.0.0.1', listening));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    listener.close();
  });
  const { port } = listener.address() as AddressInfo;
  return { url: server.url.replace(`:${server.port}`, `:${port}`), reached, open: () => open() };
}

test('an agent that starts while the command is under way waits for it, and takes up what that has written', async () => {
  const { url, reached, open } = await gate();
  const { state, codeFile, run, on } = await device(url);
  const enrolling = on('enroll', '--code-file', codeFile(newCode()), '--json');
  await reached;
  const agent = await run();
  await agent.trouble('state.in-use');
  open();
  const { code, out } = await enrolling;
  expect([code, JSON.parse(out)]).toMatchObject([0, { address: ADDRESS, running: true }]);
  await agent.online();
  // What it writes itself from then on is the next generation of that.
  const { stateGeneration } = agent.effects.facts();
  await agent.driver.stop();
  const kept = await openStore(await openFolder(state));
  expect(kept.record.enrolment?.current?.address).toBe(ADDRESS);
  expect(kept.generation).toBeGreaterThanOrEqual(stateGeneration!);
});

test('a command that finds the state in the hands of another spends no code, and removes nothing', async () => {
  const { state, codeFile, on } = await device();
  const held = (await holdFolder(state))!;
  await (await openStore(held.folder)).save({ pending: { kind: 'software', der: 'aa' } });
  const code = codeFile(newCode());
  for (const command of [
    ['enroll', '--code-file', code],
    ['forget', '--yes'],
  ]) {
    const { code: exit, err } = await on(...command);
    expect([exit, err]).toEqual([1, expect.stringMatching(/\[state\.in-use\]\n +→ Try again/)]);
  }
  expect(existsSync(join(state, 'state-0'))).toBe(true);
  await held.release();
  expect(await on('forget', '--yes')).toMatchObject({ code: 0 });
  expect(existsSync(join(state, 'state-0'))).toBe(false);
  expect(await on('enroll', '--code-file', code)).toMatchObject({ code: 0 });
});

test('a code that is wrong ends in its own failure, with an agent and without', async () => {
  const { codeFile, run, on } = await device();
  for (let running = 0; running < 2; running++) {
    const { code, err, out } = await on('enroll', '--code-file', codeFile('wrong'), '--json');
    expect([code, out]).toEqual([1, '']);
    expect(JSON.parse(err)).toMatchObject({
      error: { code: 'est.wrong-code', remedy: 'operator', action: expect.stringContaining('another one') },
    });
    if (running === 0) await run();
  }
});

test('a code is read from standard input, and never taken as an argument', async () => {
  const { on, codeFile } = await device();
  const input = new PassThrough();
  const real = Object.getOwnPropertyDescriptor(process, 'stdin')!;
  Object.defineProperty(process, 'stdin', { value: input, configurable: true });
  onTestFinished(() => void Object.defineProperty(process, 'stdin', real));
  const argument = newCode();
  const seen = await on('enroll', '--code', argument);
  expect([seen.code, seen.err]).toEqual([2, expect.stringContaining('[cli.bad-value]')]);
  expect(seen.err).not.toContain(argument);
  const both = await on('enroll', '--code', '-', '--code-file', codeFile('x'));
  expect([both.code, both.err]).toEqual([2, expect.stringContaining('[cli.bad-arguments]')]);
  const untyped = await on('enroll');
  expect([untyped.code, untyped.err]).toEqual([1, expect.stringContaining('[os.no-terminal]')]);
  input.write(`${newCode()}\n`);
  expect(await on('enroll', '--code', '-')).toMatchObject({ code: 0 });
});

test('a configuration that asks for no enrolment is named', async () => {
  const { file, on, codeFile } = await device();
  writeFileSync(file, '[remote]\nhosts = ["127.0.0.1"]\n');
  const { code, err } = await on('enroll', '--code-file', codeFile('x'));
  expect([code, err]).toEqual([1, expect.stringContaining('[pki.no-enrolment]')]);
});

test('forget removes certificate and key; doctor and check-config know the device', async () => {
  const { state, codeFile, on } = await device();
  const only = ['doctor', '--only', 'credential', '--only', 'state', '--json'] as const;
  const findings = async (): Promise<Record<string, { outcome: string; message: string }>> =>
    Object.fromEntries(
      JSON.parse((await on(...only)).out).findings.map((each: { id: string }) => [each.id, each]),
    );
  expect((await findings()).credential).toMatchObject({ outcome: 'failed' });
  await on('enroll', '--code-file', codeFile(newCode()));
  expect(await findings()).toMatchObject({
    credential: { outcome: 'ok', message: expect.stringContaining(`for ${ADDRESS}, until`) },
    state: { outcome: 'ok', message: `identity ${ADDRESS}` },
  });
  expect((await on('check-config')).out).toContain(`est-server = "${server.url}"`);
  const report = (await on('bugreport', '--out', '-')).out;
  const secret = /"der": "([0-9a-f]{40})/.exec(readFileSync(join(state, 'state-1'), 'utf8'))![1]!;
  expect(report).toContain(ADDRESS);
  expect(report).not.toContain(secret);
  const { code, out } = await on('forget', '--yes');
  expect([code, out]).toEqual([0, expect.stringContaining('enrolled with a new code')]);
  expect(['state-0', 'state-1'].map((name) => existsSync(join(state, name)))).toEqual([false, false]);
});

test('doctor sees that the TPM is another one, and forget takes out of it what is ours', async () => {
  const { file, codeFile, on } = await device();
  const first = await swtpmForTest();
  const text = readFileSync(file, 'utf8').replace('key-in = "file"', 'key-in = "tpm"');
  writeFileSync(file, `${text}[tpm]\ntcti = "${first.tcti}"\n`);
  expect(await on('enroll', '--code-file', codeFile(newCode()))).toMatchObject({ code: 0 });
  expect((await on('doctor', '--only', 'credential')).out).toMatch(/ok +credential .*its key in the TPM/);
  const other = await swtpmForTest();
  writeFileSync(file, `${text}[tpm]\ntcti = "${other.tcti}"\n`);
  const strange = await on('doctor', '--only', 'credential');
  expect([strange.code, strange.out]).toEqual([1, expect.stringContaining('[pki.key-lost]')]);
  writeFileSync(file, `${text}[tpm]\ntcti = "${first.tcti}"\n`);
  expect(JSON.parse((await on('forget', '--yes', '--json')).out)).toMatchObject({ tpm: 'clean' });
});

test('an enrolled device goes out of service for good', async () => {
  const { codeFile, run, on } = await device();
  await on('enroll', '--code-file', codeFile(newCode()));
  const agent = await run();
  await agent.online();
  const { code, out, err } = await on('decommission', '--offline', '--yes', '--address', ADDRESS, '--json');
  expect([code, err]).toEqual([0, '']);
  expect(JSON.parse(out)).toMatchObject({ address: ADDRESS, credential: 'removed' });
  const late = await on('enroll', '--code-file', codeFile(newCode()));
  expect(late.err).toContain('[agent.out-of-service]');
});
