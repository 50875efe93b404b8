import { describe, expect, test } from 'vitest';
import {
  packRequests,
  packResponses,
  unpackRequests,
  unpackResponses,
} from '../../../fabric/identity/codec.ts';
import type { Request, Response } from '../../../fabric/identity/messages.ts';
import { remoteRegistry } from '../../../fabric/identity/remote-registry.ts';
import { Failure } from '../../../protocol/failure.ts';
import { deserializeFailure, serializeFailure } from '../../../protocol/failure-message.ts';
import { anyGroup, random } from '../place.ts';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
const group = { ...anyGroup(), owner: 1, ownerName: 'default', status: 'active' as const, created: 1 };
const applicant = {
  gid: group.gid,
  pseudonym: random(65),
  longtermKey: random(65),
  requested: new Uint8Array(16),
  source: '192.0.2.1',
  suite: 1,
};

function recordedRemote() {
  const sent: (readonly Request[])[] = [];
  return { sent, remote: remoteRegistry((requests) => sent.push(requests)) };
}

describe('the registry of a worker', () => {
  test('sends the requests of one turn as one message, and each gets its own response', async () => {
    const { sent, remote } = recordedRemote();
    const first = remote.admit(applicant, 0);
    const second = remote.admit({ ...applicant, source: '192.0.2.2' }, 0);
    const noted = remote.refused({ source: '192.0.2.3', proven: false, result: 'xtt.bad-cookie' });
    await turn();
    expect(sent.map((requests) => requests.map(({ method }) => method))).toEqual([
      ['admit', 'admit', 'refused'],
    ]);
    const [a, b, c] = sent[0]!;
    const failure = serializeFailure(
      new Failure('fabric.device-banned', 'operator', 'banned', { action: 'Lift it.' }),
    );
    remote.receive([
      { id: c!.id, value: undefined },
      { id: b!.id, failure },
      { id: a!.id, value: Uint8Array.of(1) },
    ]);
    expect(await first).toEqual(Uint8Array.of(1));
    await expect(second).rejects.toMatchObject({
      code: 'fabric.device-banned',
      remedy: 'operator',
      action: 'Lift it.',
    });
    await noted;
  });

  test('asks for a group once, until it changed', async () => {
    const { sent, remote } = recordedRemote();
    const asked = remote.openGroup(group.gid);
    await turn();
    remote.receive([{ id: sent[0]![0]!.id, value: group }]);
    expect(await asked).toEqual(group);
    expect(remote.openGroup(group.gid)).toEqual(group);
    remote.forgetGroups();
    const again = remote.openGroup(group.gid);
    expect(again).toBeInstanceOf(Promise);
    await turn();
    // It changes once more while the response is under way: the response is used, but not cached.
    remote.forgetGroups();
    remote.receive([{ id: sent[1]![0]!.id, value: group }]);
    await again;
    expect(remote.openGroup(group.gid)).toBeInstanceOf(Promise);
  });

  test('asks for a refused group again each time', async () => {
    const { sent, remote } = recordedRemote();
    for (let i = 0; i < 2; i++) {
      const asked = Promise.resolve(remote.openGroup(group.gid));
      await turn();
      const failure = serializeFailure(new Failure('fabric.group-suspended', 'operator', 'suspended'));
      remote.receive([{ id: sent[i]![0]!.id, failure }]);
      await expect(asked).rejects.toMatchObject({ code: 'fabric.group-suspended' });
    }
  });

  test('an error that is no Failure stays none', () => {
    const arrived = deserializeFailure(serializeFailure(new TypeError('x is not a function')));
    expect(arrived).not.toBeInstanceOf(Failure);
    expect(arrived.message).toBe('x is not a function');
  });
});

describe('messages between processes', () => {
  const byId = <T extends { id: number }>(items: readonly T[]): T[] => [...items].sort((a, b) => a.id - b.id);

  test('requests arrive as they were sent, also copied as a message is', () => {
    const requests: Request[] = [
      { id: 1, method: 'admit', applicant, waitedMs: 0.125 },
      { id: 2, method: 'openGroup', gid: group.gid },
      {
        id: 0xfffffffe,
        method: 'admit',
        applicant: { ...applicant, source: 'fe80::1:2:3:4', suite: 4 },
        waitedMs: 4_294_967.295,
      },
      {
        id: 3,
        method: 'refused',
        handshake: { source: '192.0.2.3', proven: false, result: 'xtt.bad-cookie' },
      },
      { id: 4, method: 'admit', applicant: { ...applicant, requested: random(16), source: '' }, waitedMs: 0 },
    ];
    const arrived = unpackRequests(structuredClone(packRequests(requests)));
    expect(byId(arrived)).toEqual(byId(requests));
    expect(unpackRequests(packRequests([]))).toEqual([]);
    const long = unpackRequests(packRequests([{ id: 1, method: 'admit', applicant, waitedMs: 1e9 }]));
    expect(long[0]).toMatchObject({ waitedMs: 4_294_967.295 });
  });

  test('responses arrive as they were sent', () => {
    const responses: Response[] = [
      { id: 5, value: random(16) },
      { id: 6, value: group },
      { id: 7, value: undefined },
      { id: 8, failure: serializeFailure(new Failure('fabric.device-banned', 'operator', 'banned')) },
      { id: 0x80000001, value: random(16) },
      { id: 9, value: random(3) },
    ];
    expect(byId(unpackResponses(structuredClone(packResponses(responses))))).toEqual(byId(responses));
  });
});
