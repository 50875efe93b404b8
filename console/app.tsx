import { route } from './app/route.ts';
import { me } from './app/session.ts';
import { SetUp } from './pages/set-up.tsx';
import { SignIn } from './pages/sign-in.tsx';
import { PAGES } from './pages.ts';
import { Confirm } from './parts/confirm.tsx';
import { Shell } from './shell.tsx';

/** The page of the address, for whoever may see it. */
export function App() {
  const { path } = route.value;
  if (path[0] === 'setup') return <SetUp invite={path[1] ?? ''} />;
  if (me.value === undefined) return <p class="centre quiet">One moment …</p>;
  if (me.value === null) return <SignIn />;
  return (
    <>
      <Shell pages={PAGES} />
      <Confirm />
    </>
  );
}
