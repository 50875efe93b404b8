import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { addressCache } from '../../../agent/state/address-cache.ts';

const OLD = { 'fabric.example': ['192.0.2.1'] };
const dead = async (): Promise<string[]> => {
  throw new Error('SERVFAIL');
};

describe('[C-7] a name', () => {
  test('is asked for each time, and the fresh answer counts', async () => {
    const answers = [['192.0.2.2'], ['192.0.2.3', '2001:db8::3']];
    const cache = addressCache(async () => answers.shift()!, 1_000, OLD);
    expect(await cache.lookup('fabric.example')).toEqual(['192.0.2.2']);
    expect(await cache.lookup('fabric.example')).toEqual(['192.0.2.3', '2001:db8::3']);
    expect(cache.known()).toEqual({ 'fabric.example': ['192.0.2.3', '2001:db8::3'] });
  });

  test('that the resolver does not know any more has its last addresses', async () => {
    const cache = addressCache(dead, 1_000, OLD);
    expect(await cache.lookup('fabric.example')).toEqual(['192.0.2.1']);
    expect(cache.known()).toEqual(OLD);
  });

  test('that was never resolved has none', async () => {
    await expect(addressCache(dead, 1_000, OLD).lookup('other.example')).rejects.toThrow('SERVFAIL');
  });

  test('has its last addresses after a while if the resolver hangs; without any it is waited for', async () => {
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    const cache = addressCache(() => new Promise(() => {}), 1_000, OLD);
    const settled = vi.fn();
    void cache.lookup('fabric.example').then(settled);
    void cache.lookup('other.example').then(settled);
    await vi.advanceTimersByTimeAsync(999);
    expect(settled).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(100_000);
    expect(settled.mock.calls).toEqual([[['192.0.2.1']]]);
  });
});
