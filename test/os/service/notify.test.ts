import { afterEach, expect, test, vi } from 'vitest';
import { addon } from '../../../native/index.ts';
import { notify } from '../../../os/service/notify.ts';

afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
});

test('goes to $NOTIFY_SOCKET', () => {
  const sent = vi.spyOn(addon(), 'notifySend').mockReturnValue(undefined);
  vi.stubEnv('NOTIFY_SOCKET', '/run/systemd/notify');
  notify('READY=1');
  expect(sent.mock.calls).toEqual([['/run/systemd/notify', 'READY=1']]);
});

test.each([undefined, ''])('does nothing when it is %j', (value) => {
  const sent = vi.spyOn(addon(), 'notifySend');
  vi.stubEnv('NOTIFY_SOCKET', value);
  notify('READY=1');
  expect(sent).not.toHaveBeenCalled();
});

test('ignores an absent service manager, but refuses an invalid state', () => {
  vi.stubEnv('NOTIFY_SOCKET', '@enf-nobody-listens');
  expect(() => notify('WATCHDOG=1')).not.toThrow();
  expect(() => notify('')).toThrow(TypeError);
});
