import { onTestFinished } from 'vitest';
import { passwords } from '../../fabric/access/password.ts';
import { issueSecret } from '../../fabric/access/secrets.ts';
import { served } from '../fabric/api/console.ts';
import type { WholeRegistry } from '../fabric/place.ts';
import type { consoleBrowser } from './browser.ts';
import { watchedPage } from './browser.ts';

const PASSWORD = 'four words are good';
const IN_TIME = { timeout: 30_000 };

type Options = Parameters<typeof watchedPage>[2];

/** A console over a registry, with a person who has a role and a password; `enter` signs in. */
export async function signedIn(
  registry: WholeRegistry,
  role: 'owner' | 'host' | 'auditor',
  { files, browser }: ReturnType<typeof consoleBrowser>,
  options?: Options,
) {
  const { port } = await served(registry, { files });
  const { hash } = issueSecret('invite');
  await registry.addInvite('root', { hash, role, expires: Date.now() + 60_000 });
  const password = await passwords().hash(PASSWORD);
  const anna = await registry.acceptInvite(hash, { name: 'Anna', password });
  const watched = await watchedPage(browser(), `http://localhost:${port}`, options);
  onTestFinished(() => watched.context.close());
  const enter = async (): Promise<void> => {
    await watched.page.goto('/');
    await watched.page.getByLabel('Name').fill('Anna');
    await watched.page.getByLabel('Password').fill(PASSWORD);
    await watched.page.getByRole('button', { name: 'Sign in', exact: true }).click();
    await watched.page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor(IN_TIME);
  };
  return { ...watched, anna: anna.id, enter };
}
