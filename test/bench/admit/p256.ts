import { generateKeyPairSync, randomBytes, sign, verify } from 'node:crypto';
import { median } from '../statistics.ts';

/** CPU milliseconds of one P-256 signature and its verification with node:crypto: the yardstick of a handshake. */
export function measureP256(rounds = 15): number {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const message = randomBytes(64);
  const dsaEncoding = 'ieee-p1363' as const;
  const times = 300;
  const taken = Array.from({ length: rounds + 1 }, () => {
    const before = process.cpuUsage();
    for (let i = 0; i < times; i++) {
      const signature = sign('sha256', message, { key: privateKey, dsaEncoding });
      if (!verify('sha256', message, { key: publicKey, dsaEncoding }, signature))
        throw new Error('P-256 failed');
    }
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1_000 / times;
  });
  return median(taken.slice(1))!;
}
