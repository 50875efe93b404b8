import { describe, expect, test } from 'vitest';
import {
  packAnswers,
  packQuestions,
  unpackAnswers,
  unpackQuestions,
} from '../../../fabric/identity/codec.ts';
import {
  type Answer,
  arrivedFailure,
  failureText,
  type Question,
} from '../../../fabric/identity/messages.ts';
import { remoteBooks } from '../../../fabric/identity/remote-registry.ts';
import { Failure } from '../../../protocol/failure.ts';
import { anyGroup, random } from '../place.ts';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
const group = { ...anyGroup(), status: 'active' as const, created: 1 };
const applicant = {
  gid: group.gid,
  pseudonym: random(65),
  longtermKey: random(65),
  requested: new Uint8Array(16),
  source: '192.0.2.1',
  suite: 1,
};

function books() {
  const sent: (readonly Question[])[] = [];
  return { sent, remote: remoteBooks((questions) => sent.push(questions)) };
}

describe('the registry seen from another process', () => {
  test('what is asked in one turn goes as one message, and each gets its own answer', async () => {
    const { sent, remote } = books();
    const first = remote.admit(applicant);
    const second = remote.admit({ ...applicant, source: '192.0.2.2' });
    const noted = remote.refused({ source: '192.0.2.3', proven: false, result: 'xtt.bad-cookie' });
    await turn();
    expect(sent.map((questions) => questions.map(({ ask }) => ask))).toEqual([['admit', 'admit', 'refused']]);
    const [a, b, c] = sent[0]!;
    const failure = failureText(
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

  test('a group is asked for once, until it changed', async () => {
    const { sent, remote } = books();
    const asked = remote.openGroup(group.gid);
    await turn();
    remote.receive([{ id: sent[0]![0]!.id, value: group }]);
    expect(await asked).toEqual(group);
    expect(remote.openGroup(group.gid)).toEqual(group);
    remote.forget();
    const again = remote.openGroup(group.gid);
    expect(again).toBeInstanceOf(Promise);
    await turn();
    // It changes once more while the answer is on its way: the answer is used, not remembered.
    remote.forget();
    remote.receive([{ id: sent[1]![0]!.id, value: group }]);
    await again;
    expect(remote.openGroup(group.gid)).toBeInstanceOf(Promise);
  });

  test('a refused group is asked for again each time', async () => {
    const { sent, remote } = books();
    for (let i = 0; i < 2; i++) {
      const asked = Promise.resolve(remote.openGroup(group.gid));
      await turn();
      const failure = failureText(new Failure('fabric.group-suspended', 'operator', 'suspended'));
      remote.receive([{ id: sent[i]![0]!.id, failure }]);
      await expect(asked).rejects.toMatchObject({ code: 'fabric.group-suspended' });
    }
  });

  test('what is no Failure stays none', () => {
    const arrived = arrivedFailure(failureText(new TypeError('x is not a function')));
    expect(arrived).not.toBeInstanceOf(Failure);
    expect(arrived.message).toBe('x is not a function');
  });
});

describe('what is said between processes', () => {
  const byId = <T extends { id: number }>(items: readonly T[]): T[] => [...items].sort((a, b) => a.id - b.id);

  test('questions arrive as they were asked, also through the copy that a message is', () => {
    const questions: Question[] = [
      { id: 1, ask: 'admit', applicant },
      { id: 2, ask: 'openGroup', gid: group.gid },
      { id: 0xfffffffe, ask: 'admit', applicant: { ...applicant, source: 'fe80::1:2:3:4', suite: 4 } },
      { id: 3, ask: 'refused', handshake: { source: '192.0.2.3', proven: false, result: 'xtt.bad-cookie' } },
      { id: 4, ask: 'admit', applicant: { ...applicant, requested: random(16), source: '' } },
    ];
    const arrived = unpackQuestions(structuredClone(packQuestions(questions)));
    expect(byId(arrived)).toEqual(byId(questions));
    expect(unpackQuestions(packQuestions([]))).toEqual([]);
  });

  test('answers arrive as they were given', () => {
    const answers: Answer[] = [
      { id: 5, value: random(16) },
      { id: 6, value: group },
      { id: 7, value: undefined },
      { id: 8, failure: failureText(new Failure('fabric.device-banned', 'operator', 'banned')) },
      { id: 0x80000001, value: random(16) },
      { id: 9, value: random(3) },
    ];
    expect(byId(unpackAnswers(structuredClone(packAnswers(answers))))).toEqual(byId(answers));
  });
});
