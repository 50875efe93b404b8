/**
 * `bench-client.mjs PORT FOLDER COUNT`: so many handshakes of a device, one after the other; prints what each has cost. The program is
 * run as the service runs the agent.
 */
import { asOnDevice, cpuMs, handshake, readMember } from './client.ts';

/** Milliseconds of CPU without what happens inside the TPM on a device that has one, and from connect to identity. */
export interface ClientTimes {
  readonly clientMs: readonly number[];
  readonly latencyMs: readonly number[];
}

const [port, folder, count] = process.argv.slice(2) as [string, string, string];
const member = readMember(folder);
const clientMs: number[] = [];
const latencyMs: number[] = [];
for (let i = 0; i < Number(count); i++) {
  const inside = { ms: 0 };
  const [at, cpu] = [performance.now(), cpuMs()];
  await handshake(Number(port), member, asOnDevice(member, inside));
  clientMs.push(cpuMs() - cpu - inside.ms);
  latencyMs.push(performance.now() - at);
}
process.stdout.write(JSON.stringify({ clientMs, latencyMs } satisfies ClientTimes));
