import type { Kernel } from '../../os/linux/network-config.ts';
import { MAIN_TABLE, type Observed, type Policy } from './policy.ts';

/** Reads from the kernel what the policy needs to know. @throws Failure as `Kernel` */
export async function observe(kernel: Kernel, { mode, device, table }: Policy): Promise<Observed> {
  const locked = mode === 'lockdown';
  const interfaces = await kernel.interfaces();
  const present = interfaces.some(({ name }) => name === device);
  const routes = locked
    ? [kernel.routes(4, table), kernel.routes(6, table)]
    : present
      ? [kernel.routes(6, MAIN_TABLE, device)]
      : [];
  const [rules, found, forwards] = await Promise.all([
    locked ? Promise.all([kernel.rules(4), kernel.rules(6)]) : [],
    Promise.all(routes),
    kernel.forwards(),
  ]);
  return { interfaces, rules: rules.flat(), routes: found.flat(), forwards };
}
