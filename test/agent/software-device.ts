import { beforeAll } from 'vitest';
import * as agents from './agent.ts';
import { temporaryFolder } from './folders.ts';
import { type IdentityServer, identityServer } from './identity-server.ts';
import { makeCertificates, startTestRouter, type TestRouter } from './router.ts';

/** A device in software mode: what is on its disk, and whom it speaks to. */
export interface SoftwareDevice {
  readonly credential: string;
  readonly state: string;
  readonly router: TestRouter;
  readonly identityPort: number;
}

type RouterOptions = Partial<Parameters<typeof startTestRouter>[0]>;

/** One identity server for all tests of a file; each device has a router of its own, and is the only one that is known. */
export function softwareDevices() {
  let certificates: ReturnType<typeof makeCertificates>;
  let authority: IdentityServer;
  beforeAll(async () => {
    certificates = makeCertificates();
    authority = await identityServer();
  });
  const router = (options: RouterOptions = {}) => startTestRouter({ ...certificates, ...options });
  const listen = (options?: { mute?: boolean }) => agents.listen(authority, options);

  return {
    /** A router with the certificate that the devices expect. */
    router,
    /** Has the identity server listen once more. */
    listen,
    async device(options: { router?: RouterOptions; identityPort?: number } = {}): Promise<SoftwareDevice> {
      const credential = temporaryFolder();
      authority.personalise(credential, certificates.root);
      authority.devices.clear();
      return {
        credential,
        state: temporaryFolder(),
        router: await router(options.router),
        identityPort: options.identityPort ?? (await listen()).port,
      };
    },
    /** One start of the agent; `rest` follows the section [identity], `remote` is more of [remote]. */
    boot: (
      { credential, state, router: { port: tunnelPort }, identityPort }: SoftwareDevice,
      { rest = '', remote = '' }: { rest?: string; remote?: string } = {},
    ) =>
      agents.boot({
        ...{ state, identityPort, tunnelPort, remote },
        identity: `mode = "software"\ncredential-dir = "${credential}"\n${rest}`,
      }),
    /** What the identity server knows of the device. */
    row: () => [...authority.devices.values()][0]!,
    /** How many devices it knows. */
    known: () => authority.devices.size,
    /** Has it forget the device. */
    forget: () => authority.devices.clear(),
    root: () => certificates.root,
    /** Gives the device another certificate to expect. */
    personalise: (credential: string, root: string) => authority.personalise(credential, root),
  };
}
