import { createFile } from '../../os/files/create.ts';
import { readBounded, readIfThere } from '../../os/files/read.ts';
import { Failure, isFailure } from '../../protocol/failure.ts';
import { type Config, parseConfig } from '../config/config.ts';
import { ANY_NAME } from '../identity/tls-root.ts';
import { holdState } from '../state/held.ts';
import { openStore, type Store } from '../state/state.ts';
import { type Legacy, readEnftun } from './enftun.ts';
import { type Places, placesOf, USUAL } from './places.ts';
import { cannotImport } from './settings.ts';

/** What is about to be written. */
export interface EnftunImport {
  readonly address: string;
  readonly mode: Config['identity']['mode'];
  /** Path and text of each file besides the state. */
  readonly configuration: { readonly path: string; readonly text: string };
  readonly tlsRoot: { readonly path: string; readonly text: string };
  readonly stateDirectory: string;
  /** The service that runs this agent, and the sockets of those that would overwrite the state if they ran. */
  readonly unit: string;
  readonly sockets: readonly string[];
  readonly notes: readonly string[];
  /** Writes it, the configuration last; can be done again if it was interrupted. */
  write(): Promise<void>;
}

/**
 * Reads an enftun configuration and prepares what we make of it; nothing is written yet. `target` is our configuration,
 * `absolute` makes a path of a name in the old one, `stateDirectory` undefined is that of the unit.
 * @throws Failure `enftun.…`, `identity.…`, `os.…`
 */
export async function prepareImport(
  conf: string,
  target: string,
  absolute: (name: string) => string,
  stateDirectory: string | undefined,
): Promise<EnftunImport> {
  const source = new TextDecoder().decode(await readBounded(conf, 'enftun configuration'));
  const places = placesOf(target, stateDirectory);
  const legacy = await readEnftun(source, (name, what) => readBounded(absolute(name), what), places);
  const rootPath = `${target.slice(0, target.lastIndexOf('/') + 1)}${places.tlsRoot}`;
  const text = writeConfiguration(legacy, conf, absolute(rootPath), places);
  const config = checked(text, conf);
  return {
    address: legacy.identity.address,
    mode: config.identity.mode,
    configuration: { path: target, text },
    tlsRoot: { path: rootPath, text: legacy.tlsRoot },
    stateDirectory: config.state.directory,
    unit: places.unit,
    sockets: socketsOf(config),
    notes: legacy.notes,
    async write() {
      await refuseOther(target, text);
      await refuseOther(rootPath, legacy.tlsRoot);
      await keep(config.state.directory, legacy);
      await createOnce(rootPath, legacy.tlsRoot);
      await createOnce(target, text);
    },
  };
}

function writeConfiguration(
  { settings }: Legacy,
  conf: string,
  tlsRoot: string,
  { state, socket }: Places,
): string {
  const sections = {
    ...settings,
    // enftun looks at no name, and the root may be one of its fabric alone.
    remote: { ...settings.remote, 'tls-root': tlsRoot, 'tls-name': ANY_NAME },
    ...(state !== undefined && { state: { directory: state } }),
    ...(socket !== undefined && { control: { socket } }),
  };
  const body = Object.entries(sections)
    .filter(([, keys]) => Object.keys(keys).length > 0)
    .map(([name, keys]) =>
      [`[${name}]`, ...Object.entries(keys).map(([key, value]) => `${key} = ${JSON.stringify(value)}`)].join(
        '\n',
      ),
    );
  return [`# Taken over from ${conf.replace(/[^\x20-\x7e]/g, '?')}`, ...body, ''].join('\n\n');
}

/** Its own, and the usual one if its state directory is: it may be that of an agent with another configuration. */
function socketsOf({ state, control }: Config): readonly string[] {
  return [...new Set([control.socket, ...(state.directory === USUAL.state ? [USUAL.socket] : [])])];
}

/** What our own configuration would refuse cannot be imported. */
function checked(text: string, conf: string): Config {
  try {
    return parseConfig(text, conf);
  } catch (error) {
    if (!isFailure(error)) throw error;
    throw cannotImport(error.message, 'cannot be imported');
  }
}

async function keep(directory: string, legacy: Legacy): Promise<void> {
  const held = await holdState(directory);
  try {
    await keepIn(await openStore(held.folder), directory, legacy);
  } finally {
    await held.release();
  }
}

async function keepIn(store: Store, directory: string, { identity }: Legacy): Promise<void> {
  const { identity: own, pending, enrolment } = store.record;
  if (own?.certificate === identity.certificate && pending === undefined) return;
  const there = own ?? enrolment?.current;
  if (there !== undefined || pending !== undefined) {
    throw new Failure(
      'enftun.has-identity',
      'operator',
      `${directory} holds an identity already${there ? `, ${there.address}` : ''}`,
      { action: 'If it may go, remove it first: enf-agent forget --yes.' },
    );
  }
  await store.update((record) => ({ ...record, identity }));
}

async function refuseOther(path: string, text: string): Promise<void> {
  const there = await readIfThere(path, 'file');
  if (there === undefined || new TextDecoder().decode(there) === text) return;
  throw new Failure('enftun.in-the-way', 'operator', `${path} exists, and was not overwritten`, {
    action: 'Move it away, or give another --config.',
  });
}

async function createOnce(path: string, text: string): Promise<void> {
  if ((await readIfThere(path, 'file')) === undefined) await createFile(path, text, 0o644);
}
