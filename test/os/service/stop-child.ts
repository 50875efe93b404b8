import { askedToStop } from '../../../os/service/process.ts';

// As both services wait: SIGHUP is told, and ends nothing.
const stopped = askedToStop(() => console.log('again'));
const timer = setInterval(() => {}, 1_000);
console.log('ready');
await stopped;
clearInterval(timer);
console.log('stopped');
