import type { ComponentType } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { run } from './api/operations.ts';
import { type Problem, problemOf } from './api/problem.ts';
import { hrefOf, type Route } from './app/address.ts';
import { live } from './app/live.ts';
import { useQuery } from './app/query.ts';
import { route } from './app/route.ts';
import { leave, may, me } from './app/session.ts';
import { clock } from './app/time.ts';
import { count } from './app/words.ts';
import { OwnerSwitch } from './owner-switch.tsx';
import type { PageEntry } from './pages.ts';
import { Page } from './parts/page.tsx';
import { ProblemPage } from './parts/problem.tsx';

/** The frame of all pages: the ways to them at the left, or below on a phone, and the page itself. */
export function Shell({ pages }: { readonly pages: readonly PageEntry[] }) {
  const shown = pages.filter(({ needs }) => may(needs));
  const at = route.value.path[0] ?? '';
  const entry = shown.find(({ path }) => path === at);
  // On a phone the ways lie in a row that is wider than the screen.
  useEffect(() => {
    document.querySelector('.rail li [aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'center' });
  }, [at]);
  if (entry?.bare)
    return (
      <main id="main" class="bare" tabIndex={-1}>
        <CurrentPage entry={entry} />
      </main>
    );
  return (
    <div class="shell">
      <button type="button" class="skip" onClick={() => document.getElementById('main')?.focus()}>
        Skip to the page
      </button>
      <Rail pages={shown} at={at} />
      <main id="main" tabIndex={-1}>
        <CurrentPage key={me.value?.owner ?? ''} entry={entry} />
      </main>
    </div>
  );
}

/** The ways to the pages, and who is here. */
function Rail({ pages, at }: { readonly pages: readonly PageEntry[]; readonly at: string }) {
  // How many alarms nobody looks after.
  const alarms =
    useQuery(`new alarms ${me.value?.owner}`, ['audit'], () => run('overview', {})).data?.alarms ?? 0;
  return (
    <nav class="rail" aria-label="Pages of the console">
      <p class="brand">enf</p>
      <OwnerSwitch />
      <ul>
        {pages.map(({ path, name }) =>
          name === undefined ? null : (
            <li key={path}>
              <a href={hrefOf(path === '' ? [] : [path])} aria-current={path === at ? 'page' : undefined}>
                {name}
                {path === 'alarms' && alarms > 0 && (
                  <>
                    {' '}
                    <span class="badge badge-banned">{alarms.toLocaleString('en')}</span>
                  </>
                )}
              </a>
            </li>
          ),
        )}
      </ul>
      <div class="rail-foot">
        <LiveMark />
        {alarms > 0 && may('alarms.read') && (
          // The way to them may be beside the screen.
          <a class="phone bad" href={hrefOf(['alarms'])}>
            {count(alarms, 'alarm')}
          </a>
        )}
        <a href={hrefOf(['you'])} aria-current={at === 'you' ? 'page' : undefined}>
          {me.value?.name}
        </a>
        <span class="quiet">{me.value?.role}</span>
        <button type="button" class="link" onClick={() => void leave()}>
          Sign out
        </button>
      </div>
    </nav>
  );
}

/** Are the pages up to date? It never hides that they are not. */
function LiveMark() {
  const { on, since } = live.value;
  return (
    <p class={on ? 'live' : 'live live-off'} role="status">
      {on ? '● live' : `○ not live since ${clock(since)}, trying`}
    </p>
  );
}

function CurrentPage({ entry }: { readonly entry: PageEntry | undefined }) {
  const [loaded, setLoaded] = useState<{ path: string; Page: ComponentType<{ readonly route: Route }> }>();
  const [problem, setProblem] = useState<Problem>();
  useEffect(() => {
    if (entry === undefined) return;
    setProblem(undefined);
    let over = false;
    entry.load().then(
      (Page) => {
        if (!over) setLoaded({ path: entry.path, Page });
      },
      (error: unknown) => {
        if (!over) setProblem(problemOf(error));
      },
    );
    return () => {
      over = true;
    };
  }, [entry]);
  if (entry === undefined)
    return (
      <Page title="No such page">
        <p class="empty">
          There is no page at this address, or your role may not see it. <a href={hrefOf([])}>Overview</a>
        </p>
      </Page>
    );
  if (problem !== undefined) return <ProblemPage title={entry.name ?? 'Page'} problem={problem} />;
  if (loaded?.path !== entry.path) return null;
  const { Page: Loaded } = loaded;
  return <Loaded route={route.value} />;
}
