/**
 * In a network namespace of its own, where it runs COMMAND: gives the interface enf0 an address as the agent does, says as JSON what that
 * and the doctor find, does what they advise and says what is found then. `ipv6child.mjs COMMAND`
 */
import { execFileSync } from 'node:child_process';
import { configureInterface } from '../../../os/linux/iproute.ts';
import { ipv6Disabled } from '../../../os/linux/ipv6.ts';
import { type Failure, isFailure } from '../../../protocol/failure.ts';

const shell = (command: string): void => void execFileSync('sh', ['-c', command], { stdio: 'inherit' });
const attempt = async () => {
  const failure = await configureInterface('enf0', 1_280, ['fd00::7/128']).catch((error: Failure) => error);
  const doctor = await ipv6Disabled('enf0');
  const told = (each: unknown) => {
    if (!isFailure(each)) return undefined;
    const { code, remedy, message, action } = each;
    return { code, remedy, message, action };
  };
  return { failure: told(failure), doctor: told(doctor) };
};

shell(process.argv[2]!);
const first = await attempt();
if (first.failure?.action) shell(`${/"(.+)"/.exec(first.failure.action)![1]} >/dev/null`);
console.log(JSON.stringify([first, await attempt()]));
