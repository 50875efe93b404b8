import { expect, onTestFinished, test, vi } from 'vitest';
import { keepSelfReport } from '../../../agent/service/self-report.ts';
import { VERSION } from '../../../os/service/process.ts';
import { Failure } from '../../../protocol/failure.ts';
import { encodeReport, parseReport } from '../../../protocol/tunnel/report.ts';

function world() {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const told: (string | undefined)[] = [];
  const self = keepSelfReport(
    () => performance.now(),
    () => void told.push(self.current().failure?.code),
  );
  return { self, told };
}

const failure = (code: string) => new Failure(code, 'retry', 'the key "hunter2" of /etc/secret');

test('[C-40] the last failure is reported with its age and without its message', () => {
  const { self } = world();
  expect(self.current()).toEqual({ version: VERSION });
  self.note(failure('net.unreachable'));
  vi.advanceTimersByTime(5_000);
  self.note(failure('tls.clock'));
  vi.advanceTimersByTime(90_000);
  self.note(new Error('no failure, and no code'));
  const packet = encodeReport(self.current())!;
  expect(parseReport(packet)).toEqual({ version: VERSION, failure: { code: 'tls.clock', seconds: 90 } });
  expect(Buffer.from(packet).toString('latin1')).not.toMatch(/hunter2|secret/);
});

test('[C-40] a fabric that has a report receives news within a minute, several failures in one report', () => {
  const { self, told } = world();
  for (let i = 0; i < 1_000; i++) self.note(failure(`os.failure-${i}`));
  vi.advanceTimersByTime(59_999);
  expect(told).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(told).toEqual(['os.failure-999']);
  vi.advanceTimersByTime(600_000);
  expect(told).toHaveLength(1);
  self.note(failure('os.ip-failed'));
  self.close();
  vi.advanceTimersByTime(600_000);
  expect(told).toHaveLength(1);
});
