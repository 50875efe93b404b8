import { DEFAULT_PATH, SCHEMA } from '../config/config.ts';

/** Of an agent whose configuration names neither. */
export const USUAL: { readonly state: string; readonly socket: string } = {
  state: JSON.parse(SCHEMA.state.directory.default!),
  socket: JSON.parse(SCHEMA.control.socket.default!),
};

/** What an agent does not share with another one on the same machine; undefined: the configuration's default. */
export interface Places {
  /** The service that runs it. */
  readonly unit: string;
  /** Written beside the configuration. */
  readonly tlsRoot: string;
  readonly credential: string;
  readonly state: string | undefined;
  readonly socket: string | undefined;
  /** Where the old configuration names none. */
  readonly device: string | undefined;
}

/**
 * The places of the agent whose configuration is `target`: for `NAME.toml` those of `enf-agent@NAME.service`. An agent that no unit runs
 * has its socket in `state`, its state directory, if that is given.
 */
export function placesOf(target: string, state: string | undefined): Places {
  const name = /([A-Za-z0-9._-]+)\.toml$/.exec(target.slice(target.lastIndexOf('/') + 1))?.[1] ?? 'agent';
  if (name === 'agent') {
    const alone = state !== undefined && target !== DEFAULT_PATH;
    return {
      unit: 'enf-agent',
      tlsRoot: 'tls-root.pem',
      credential: '/etc/enf/credential',
      state,
      socket: alone ? `${state}/control.sock` : undefined,
      device: undefined,
    };
  }
  return {
    unit: `enf-agent@${name}`,
    tlsRoot: `${name}-tls-root.pem`,
    credential: `/etc/enf/credential-${name}`,
    state: state ?? `/var/lib/enf-agent-${name}`,
    socket: `/run/enf-agent-${name}/control.sock`,
    // What other network managers leave alone begins with "enf".
    device: (/^enf\w/.test(name) ? name : `enf-${name}`).slice(0, 15),
  };
}
