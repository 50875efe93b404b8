import { describe, expect, test } from 'vitest';
import type { Finding } from '../../cli/check.ts';
import { describeFindings, examine, isHealthy } from '../../cli/examine.ts';
import { Failure } from '../../protocol/failure.ts';

describe('an examination', () => {
  const check = (id: string, finding: Finding) => ({ id, about: id, run: async () => finding });
  const fine = check('a', { outcome: 'ok', message: 'good' });
  const worse = check('bb', { outcome: 'warning', message: 'so so', remedy: 'Look.' });
  const skipped = check('s', { outcome: 'skipped', message: 'no' });
  const bad = check('c', { outcome: 'failed', message: 'bad', remedy: 'Mend it.' });
  const broken = {
    ...fine,
    id: 'd',
    run: async () => {
      throw new TypeError('a mistake');
    },
  };

  test('is healthy with warnings, not with a failure', async () => {
    expect(isHealthy(await examine([fine, worse, skipped], undefined))).toBe(true);
    expect(isHealthy(await examine([fine, bad], undefined))).toBe(false);
  });

  test('takes a failure of what was tried as the finding', async () => {
    const failure = new Failure('os.no-file', 'operator', 'it is not there', { action: 'Put it there.' });
    const run = () => Promise.reject(failure);
    expect(await examine([{ ...fine, run }], undefined)).toEqual([
      { id: 'a', outcome: 'failed', message: 'it is not there [os.no-file]', remedy: 'Put it there.' },
    ]);
  });

  test('goes on after a check that breaks, and says so', async () => {
    const findings = await examine([broken, fine], undefined);
    expect(findings).toMatchObject([
      { id: 'd', outcome: 'failed', message: expect.stringContaining('a mistake') },
      { id: 'a' },
    ]);
  });

  test('reads as one line each, with what to do below', async () => {
    expect(describeFindings(await examine([fine, worse], undefined)).split('\n')).toEqual([
      'ok       a   good',
      'warning  bb  so so',
      '             → Look.',
    ]);
  });
});
