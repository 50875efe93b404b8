import { type Command, EXIT } from '../../cli/program.ts';
import { readBounded } from '../../os/files/read.ts';
import { systemLookup } from '../../os/net/lookup.ts';
import { Failure } from '../../protocol/failure.ts';
import { parseTrust } from '../../protocol/identity/trust.ts';
import { pathOf } from '../pki/files.ts';
import { DATA } from './common/context.ts';

export const netcheckCommand: Command = {
  name: 'netcheck',
  summary:
    'Tries a name as devices do, from any machine: each address, both ports, and whether this fabric answers there; fails if one does not.',
  arguments: '<host>',
  options: [
    { name: 'trust', value: 'FILE', help: 'the trust bundle of the fabric (trust.json in the data folder)' },
    { name: 'identity-port', value: 'PORT', help: 'of the identity server', default: '444' },
    { name: 'tunnel-port', value: 'PORT', help: 'of the router', default: '443' },
    DATA,
  ],
  examples: [
    'enf-fabric netcheck fabric.example.net --trust trust.json',
    'enf-fabric netcheck 192.0.2.7 --tunnel-port 8443',
  ],
  async run(invocation) {
    const file = invocation.option('trust') ?? pathOf(invocation.required('data'), 'trust');
    const trust = parseTrust(new TextDecoder().decode(await readBounded(file, 'trust bundle')));
    const { netcheck, netcheckText } = await import('../doctor/netcheck.ts');
    const view = await netcheck({
      host: invocation.positionals[0]!,
      identityPort: portOf('identity-port', invocation.required('identity-port')),
      tunnelPort: portOf('tunnel-port', invocation.required('tunnel-port')),
      trust,
      lookup: systemLookup,
    });
    invocation.print(view, () => netcheckText(view));
    return view.ok ? EXIT.ok : EXIT.failed;
  },
};

/** @throws Failure `cli.bad-option` */
function portOf(name: string, text: string): number {
  const port = Number(text);
  if (/^\d{1,5}$/.test(text) && port > 0 && port < 65_536) return port;
  throw new Failure(
    'cli.bad-option',
    'operator',
    `--${name} expects 1 to 65535, got ${JSON.stringify(text.slice(0, 40))}`,
    {
      action: `Give --${name} a port, or leave it out.`,
    },
  );
}
