import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { parseConfig } from '../../../agent/config/config.ts';
import { answerApi } from '../../../agent/status/api.ts';
import { statusOf } from '../../../agent/status/status.ts';
import { serveControl } from '../../../os/net/control-socket.ts';
import * as agents from '../agent.ts';
import { cli } from '../cli.ts';
import { temporaryFolder } from '../folders.ts';
import type { IdentityServer } from '../identity-server.ts';
import { type makeCertificates, startTestRouter } from '../router.ts';

/** A device with its configuration file; `run` starts its agent and the control socket. */
export async function openDevice(
  authority: IdentityServer,
  certificates: ReturnType<typeof makeCertificates>,
  more: { host?: string; comment?: string; old?: boolean } = {},
) {
  authority.devices.clear();
  const place = temporaryFolder();
  const credential = temporaryFolder();
  authority.personalise(credential, certificates.root);
  const router = await startTestRouter(certificates);
  const { port: identityPort } = await agents.listen(authority);
  const state = join(place, 'state');
  const socket = join(place, 'run/c.sock');
  const file = join(place, 'agent.toml');
  const write = (tunnelPort = router.port): void =>
    writeFileSync(
      file,
      `${more.comment ?? ''}
      [remote]
      hosts = ["${more.host ?? '127.0.0.1'}"]
      tunnel-port = ${tunnelPort}
      identity-port = ${identityPort}
      connect-timeout = "2s"
      [identity]
      mode = "software"
      credential-dir = "${credential}"
      [state]
      directory = "${state}"
      [control]
      socket = "${socket}"\n`,
    );
  write();
  const config = () => parseConfig(readFileSync(file, 'utf8'), file);
  const on = (...args: string[]) => cli(...args, '--config', file);
  const run = async () => {
    const agent = agents.boot({
      state,
      tunnelPort: router.port,
      identityPort,
      identity: `mode = "software"\ncredential-dir = "${credential}"`,
    });
    const control = await serveControl(socket, (question) =>
      answerApi(question, {
        status: () =>
          statusOf({
            version: '1.2.3',
            config: config(),
            situation: agent.driver.situation(),
            peer: agent.driver.peer(),
            facts: agent.effects.facts(),
            nowMs: performance.now(),
            wallMs: Date.now(),
          }),
        counters: () => agent.effects.facts().counters,
        residentBytes: () => 1,
        renew: () => agent.driver.renew(),
        decommission: (offline) => agent.driver.decommission(offline),
        departureEnd: () => agent.driver.departureEnd(),
        enroll: ({ code, again }) => agent.effects.enroll(code, again),
        enrolled: () => agent.driver.enrolled(),
        ...(more.old ? {} : { handshakeEnd: () => agent.driver.handshakeEnd() }),
      }),
    );
    onTestFinished(() => control.close());
    await agent.online();
    return agent;
  };
  return { place, credential, state, socket, file, router, write, config, on, run };
}
