import { fileURLToPath } from 'node:url';
import type { Command } from '../../cli/program.ts';
import { readBounded } from '../../os/files/read.ts';
import { formatListen, type ListenAddress, parseListen } from '../../os/net/listen.ts';
import { stderrLog } from '../../os/service/log.ts';
import { notify } from '../../os/service/notify.ts';
import { askedToStop, VERSION } from '../../os/service/process.ts';
import { Failure } from '../../protocol/failure.ts';
import { decodeUtf8 } from '../../protocol/utf8.ts';
import { askNews } from '../operations/news.ts';
import { askRunning } from '../operations/running.ts';
import { pathOf } from '../pki/files.ts';
import { DATA } from './context.ts';
import { parseOrigin } from './origin.ts';

const DEFAULT_LISTEN = '[::1]:8480';

export const consoleServe: Command = {
  name: 'console serve',
  summary: 'Serves the API of a fabric, in a process that holds none of its keys.',
  options: [
    {
      name: 'listen',
      value: 'ADDRESS:PORT',
      help: 'where; without a certificate loopback only',
      default: DEFAULT_LISTEN,
    },
    { name: 'certificate', value: 'FILE', help: 'certificate chain of the server, PEM' },
    { name: 'key', value: 'FILE', help: 'its private key, PEM' },
    {
      name: 'origin',
      value: 'URL',
      help: 'where browsers find the console, behind a proxy and for passkeys, e.g. https://console.example',
    },
    DATA,
  ],
  examples: [
    'enf-fabric console serve',
    'enf-fabric console serve --listen "[::]:8480" --certificate fabric.pem --key fabric.key',
  ],
  async run(invocation) {
    const listen = parseListen(invocation.required('listen'));
    const socket = pathOf(invocation.required('data'), 'control');
    const tls = await readTls(invocation.option('certificate'), invocation.option('key'));
    if (tls === undefined) requireLoopback(listen);
    const origin = parseOrigin('origin', invocation.option('origin'));
    const { startApi } = await import('../api/server.ts');
    const api = await startApi({
      listen,
      ...(tls === undefined ? {} : { tls }),
      ...(origin === undefined ? {} : { origin }),
      files: fileURLToPath(new URL('console', import.meta.url)),
      call: (name, caller, input) => askRunning(socket, name, { actor: 'console', ...caller, input }),
      news: (since) => askNews(socket, since),
      version: VERSION,
      log: stderrLog(),
    });
    const url = `${tls === undefined ? 'http' : 'https'}://${formatListen({ ...listen, port: api.port })}`;
    invocation.print(
      { ready: { api: url } },
      () => `The console is at ${origin ?? url}, the API at ${url}/api/v1. Ctrl-C stops both.`,
    );
    notify('READY=1');
    await askedToStop();
    notify('STOPPING=1');
    await api.close();
    return undefined;
  },
};

async function readTls(
  certificate: string | undefined,
  key: string | undefined,
): Promise<{ certificate: string; key: string } | undefined> {
  if (certificate === undefined && key === undefined) return undefined;
  if (certificate === undefined || key === undefined) {
    throw new Failure('cli.missing-option', 'operator', '--certificate and --key are given together', {
      action: 'Give both.',
    });
  }
  const text = async (path: string, what: string): Promise<string> =>
    decodeUtf8(await readBounded(path, what)) ?? '';
  return { certificate: await text(certificate, 'certificate'), key: await text(key, 'private key') };
}

function requireLoopback({ host }: ListenAddress): void {
  if (host === '::1' || host.startsWith('127.')) return;
  throw new Failure(
    'cli.bad-option',
    'operator',
    `--listen ${host}: without TLS the API is served on loopback only`,
    {
      action: 'Give --certificate and --key, or put a proxy with TLS in front of [::1].',
    },
  );
}
