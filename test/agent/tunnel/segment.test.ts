import { describe, expect, test } from 'vitest';
import { nextSegment, SMALL_SEGMENT } from '../../../agent/tunnel/segment.ts';
import type { TunnelEvent } from '../../../agent/tunnel/session.ts';
import { Failure } from '../../../protocol/failure.ts';

const MESSAGES = ['not finished within 100 ms', 'the connection to the router broke: ETIMEDOUT', 'reworded'];
const CODES = ['tls.handshake-failed', 'tunnel.broken', 'tunnel.silent'] as const;
const down = (code: (typeof CODES)[number], message: string, silent: boolean): TunnelEvent => ({
  kind: 'down',
  failure: new Failure(code, 'retry', message),
  ...(silent && { silent: true }),
});

describe('the largest segment of the next connection', () => {
  for (const code of CODES) {
    for (const message of MESSAGES) {
      test(`is decided by the event, whatever ${code} says: "${message}"`, () => {
        expect(nextSegment(0, down(code, message, true))).toBe(SMALL_SEGMENT);
        expect(nextSegment(SMALL_SEGMENT, down(code, message, true))).toBe(0);
        for (const segment of [0, SMALL_SEGMENT])
          expect(nextSegment(segment, down(code, message, false))).toBe(segment);
      });
    }
  }

  test('stays after a verdict and while the connection is up', () => {
    const events: TunnelEvent[] = [
      { kind: 'up', router: '192.0.2.1 port 443', wire: 'enf/2' },
      { kind: 'verdict', verdict: { kind: 'evicted' } },
    ];
    for (const event of events) expect(nextSegment(SMALL_SEGMENT, event)).toBe(SMALL_SEGMENT);
  });
});
