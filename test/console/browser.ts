import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AxeResults } from 'axe-core';
import { type Browser, type BrowserContext, type CDPSession, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, expect } from 'vitest';
import { buildConsole } from '../../console/build.mjs';
import { ROOT } from '../structure.ts';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** Debian's Chromium; `film`: a .y4m file that its camera shows. */
export function openBrowser(film?: string): Promise<Browser> {
  return chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: [
      '--no-sandbox',
      ...(film === undefined
        ? []
        : [
            '--use-fake-ui-for-media-stream',
            '--use-fake-device-for-media-stream',
            `--use-file-for-fake-video-capture=${film}`,
          ]),
    ],
  });
}

/** A browser and the console's files, built, for the tests of one file. */
export function consoleBrowser(): { readonly files: string; readonly browser: () => Browser } {
  const files = mkdtempSync(join(tmpdir(), 'enf-console-'));
  let browser: Browser | undefined;
  beforeAll(async () => {
    await buildConsole(files);
    browser = await openBrowser();
  }, 180_000);
  afterAll(async () => {
    await browser?.close();
    rmSync(files, { recursive: true });
  });
  return { files, browser: () => browser! };
}

/** A page whose wrongs are collected: requests to other hosts, violations of the policy, errors. */
export interface Watched {
  readonly page: Page;
  readonly wrongs: string[];
}

export async function watchedPage(
  browser: Browser,
  origin: string,
  options: Parameters<Browser['newContext']>[0] = {},
): Promise<Watched & { readonly context: BrowserContext }> {
  const context = await browser.newContext({ baseURL: origin, ...options });
  const page = await context.newPage();
  const wrongs: string[] = [];
  page.on('request', (request) => {
    const url = new URL(request.url());
    if (!['data:', 'blob:'].includes(url.protocol) && url.origin !== origin)
      wrongs.push(`asks ${url.origin}`);
  });
  page.on('console', (message) => {
    // A refused request is told by the page itself; the browser's line about it is no error of ours.
    if (message.type() === 'error' && !/^Failed to load resource/.test(message.text()))
      wrongs.push(message.text());
  });
  page.on('pageerror', (error) => wrongs.push(String(error.stack ?? error)));
  return { context, page, wrongs };
}

/** One for each page, as long as it lives: the end of any takes the page's authenticator away. */
const sessions = new WeakMap<Page, Promise<CDPSession>>();

function devtools(page: Page): Promise<CDPSession> {
  const session = sessions.get(page) ?? page.context().newCDPSession(page);
  sessions.set(page, session);
  return session;
}

/** An authenticator of the page's browser, which verifies its user and confirms at once. */
export async function addAuthenticator(page: Page): Promise<void> {
  const session = await devtools(page);
  await session.send('WebAuthn.enable');
  await session.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2',
      transport: 'internal',
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true,
      automaticPresenceSimulation: true,
    },
  });
}

/** What axe finds wrong in the page as it is now. The policy of the page lets no script in, so it comes past the page. */
export async function accessibilityWrongs(page: Page): Promise<string[]> {
  const session = await devtools(page);
  await session.send('Runtime.evaluate', { expression: `${AXE};0` });
  const { result } = await session.send('Runtime.evaluate', {
    expression: 'axe.run(document).then((found) => JSON.stringify(found.violations))',
    awaitPromise: true,
    returnByValue: true,
  });
  const violations = JSON.parse(result.value as string) as AxeResults['violations'];
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' | ')}`);
}

export async function expectAccessible(page: Page): Promise<void> {
  expect(await accessibilityWrongs(page)).toEqual([]);
}

/** Keeps a picture of the page: in docs/pictures for `npm run pictures`, else where nobody has to look. */
export async function picture(page: Page, name: string): Promise<void> {
  const kept = process.env.PICTURES === '1';
  const path = join(ROOT, kept ? 'docs/pictures' : '.cache/pictures', `${name}.png`);
  await page.screenshot({ path, animations: 'disabled' });
  if (kept) execFileSync('convert', [path, '-strip', '+dither', '-colors', '64', `PNG8:${path}`]);
}
