import { fileURLToPath } from 'node:url';
import type { Command } from '../../cli/program.ts';
import { formatListen } from '../../os/net/listen.ts';
import { stderrLog } from '../../os/service/log.ts';
import { notify } from '../../os/service/notify.ts';
import { askedToStop, VERSION } from '../../os/service/process.ts';
import type { ApiOptions } from '../api/options.ts';
import { checkConsole, requireServed } from '../config/checks.ts';
import { readOpenId } from '../config/openid.ts';
import { originOf } from '../config/origin.ts';
import { askNews } from '../operations/news.ts';
import { askRunning } from '../operations/running.ts';
import { pathOf } from '../pki/files.ts';
import { followTls, readTls } from './common/console-tls.ts';
import { DATA } from './common/context.ts';
import { consoleAt } from './common/origin.ts';
import { CONFIG, override, readConfig } from './common/settings.ts';

const OVERRIDES = [
  override('listen', 'ADDRESS', 'console', 'listen'),
  override('certificate', 'FILE', 'console', 'certificate'),
  override('key', 'FILE', 'console', 'key'),
  override('origin', 'URL', 'console', 'origin'),
];

export const consoleServe: Command = {
  name: 'console serve',
  summary: 'Serves the API of a fabric, in a process that holds none of its keys.',
  options: [CONFIG, ...OVERRIDES.map(({ option }) => option), DATA],
  examples: [
    'enf-fabric console serve',
    'enf-fabric console serve --listen "[::]:8480" --certificate fabric.pem --key fabric.key',
  ],
  async run(invocation) {
    const config = await readConfig(invocation, OVERRIDES);
    const settings = config.console;
    requireServed(config.node, 'console');
    checkConsole(settings);
    const openid = await readOpenId(config);
    const { listen } = settings;
    const origin = originOf(settings.origin);
    const socket = pathOf(invocation.required('data'), 'control');
    const tls = await readTls(settings);
    const { startApi } = await import('../api/server.ts');
    const extensions = settings.compat ? [(await import('../api/compat/routes.ts')).addCompat] : [];
    const log = stderrLog();
    let at = listen.port === 0 ? undefined : consoleAt(settings);
    const options: ApiOptions = {
      listen,
      ...(tls === undefined ? {} : { tls }),
      ...(origin === undefined ? {} : { origin }),
      ...(openid === undefined ? {} : { openid }),
      files: fileURLToPath(new URL('console', import.meta.url)),
      call: (name, caller, input) => askRunning(socket, name, { actor: 'console', ...caller, input }),
      news: (since) => askNews(socket, since, at),
      version: VERSION,
      log,
    };
    const api = await startApi(options, ...extensions);
    at = consoleAt(settings, api.port);
    const url = `${tls === undefined ? 'http' : 'https'}://${formatListen({ ...listen, port: api.port })}`;
    invocation.print(
      { ready: { api: url } },
      () => `The console is at ${at}, the API at ${url}/api/v1. Ctrl-C stops both.`,
    );
    const unfollow = tls && followTls(settings, tls, api.replaceTls, log);
    notify('READY=1');
    await askedToStop();
    notify('STOPPING=1');
    unfollow?.();
    await api.close();
    return undefined;
  },
};
