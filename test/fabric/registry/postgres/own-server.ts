import { onTestFinished } from 'vitest';
import { type Server, startServer, stopServer } from './server.ts';

/** A server for one test. */
export async function ownServer(
  settings?: Readonly<Record<string, string>>,
  primary?: Server,
): Promise<Server> {
  const server = await startServer(settings, primary);
  onTestFinished(() => stopServer(server));
  return server;
}
