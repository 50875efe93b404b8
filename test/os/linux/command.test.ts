import { describe, expect, test } from 'vitest';
import { queryJson, refusal, runCommand, runNetworkProgram, runQuery } from '../../../os/linux/command.ts';

const shell = (script: string, options?: Parameters<typeof runCommand>[2]) =>
  runCommand('sh', ['-c', script], options);

describe('a program', () => {
  test('returns its exit code and both outputs', async () => {
    expect(await shell('echo out; echo err >&2; exit 3')).toEqual({
      kind: 'exited',
      code: 3,
      stdout: 'out\n',
      stderr: 'err\n',
    });
  });

  test('gets no environment but a path and the C locale, and an empty standard input', async () => {
    const result = await runCommand('env', []);
    expect(result).toMatchObject({ stdout: 'PATH=/usr/sbin:/usr/bin:/sbin:/bin\nLC_ALL=C\n' });
    expect(await shell('cat; echo end')).toMatchObject({ stdout: 'end\n' });
  });

  test('that is not installed is reported as such', async () => {
    expect(await runCommand('enf-no-such-program', [])).toMatchObject({ kind: 'not-installed' });
  });

  test('that is there but cannot be started rejects with the error of the system', async () => {
    await expect(runCommand('/etc', [])).rejects.toMatchObject({ code: 'EACCES' });
  });

  test('is killed at its deadline, and what it has started does not delay the result', async () => {
    // A delay would be an hour: longer than any test may take.
    const result = await shell('sleep 3600 & echo $!; sleep 3600', { timeoutMs: 300 });
    expect(result).toEqual({ kind: 'killed', stdout: expect.stringMatching(/^\d+\n$/), stderr: '' });
    if (result.kind === 'killed') process.kill(Number(result.stdout));
  });

  test('that a signal ends is reported as killed', async () => {
    expect(await shell('kill -TERM $$')).toMatchObject({ kind: 'killed' });
  });

  test('is killed when it prints more than the bound, not when it prints exactly that much', async () => {
    expect(await shell('head -c 1000 /dev/zero', { maxBytes: 1_000 })).toMatchObject({ kind: 'exited' });
    expect(await shell('yes', { maxBytes: 1_000 })).toMatchObject({ kind: 'killed' });
    expect(await shell('yes >&2', { maxBytes: 1_000 })).toMatchObject({ kind: 'killed' });
  });

  test('whose output cuts a character in two is decoded as a whole', async () => {
    const result = await shell("printf '\\303'; sleep 0.2; printf '\\244'");
    expect(result).toMatchObject({ stdout: 'ä' });
  });
});

describe('ip and nft', () => {
  test('return the first line of their complaint', async () => {
    const { code, complaint } = await runNetworkProgram('ip', ['link', 'show', 'dev', 'enf-no-such']);
    expect(code).not.toBe(0);
    expect(complaint).toBe('Device "enf-no-such" does not exist.');
  });

  test('refuse for want of a privilege, or for another reason', () => {
    expect(refusal('ip', 'link set', 'RTNETLINK answers: Operation not permitted')).toMatchObject({
      code: 'os.not-permitted',
      remedy: 'operator',
    });
    expect(refusal('ip', 'link set', 'RTNETLINK answers: File exists')).toMatchObject({
      code: 'os.ip-failed',
      remedy: 'retry',
      message: 'ip link set: RTNETLINK answers: File exists',
    });
    expect(refusal('nft', 'list tables', 'syntax error')).toMatchObject({ code: 'os.nft-failed' });
  });
});

describe('a program that only reports something', () => {
  test('returns what it printed, with its exit code', async () => {
    expect(await runQuery('sh', ['-c', 'echo yes; exit 1'], 5_000)).toEqual({ code: 1, text: 'yes\n' });
  });

  test('returns nothing when it is not installed, cannot be started, or is too slow', async () => {
    expect(await runQuery('enf-no-such-program', [], 5_000)).toBeUndefined();
    expect(await runQuery('/etc', [], 5_000)).toBeUndefined();
    expect(await runQuery('sleep', ['30'], 100)).toBeUndefined();
  });

  test('returns JSON, or nothing if it fails or prints something else', async () => {
    expect(await queryJson('echo', ['{"a":1}'], 5_000)).toEqual({ a: 1 });
    expect(await queryJson('echo', ['a'], 5_000)).toBeUndefined();
    expect(await queryJson('sh', ['-c', 'echo 1; exit 1'], 5_000)).toBeUndefined();
  });
});
