import { render } from 'preact';
import { resume } from './app/session.ts';
import { App } from './app.tsx';
import './style/all.css';

render(<App />, document.getElementById('app')!);
void resume();
