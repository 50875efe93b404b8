import { render } from 'preact';
import { App } from './app/app.tsx';
import { resume } from './app/session.ts';
import './style/all.css';

render(<App />, document.getElementById('app')!);
void resume();
