/**
 * What a newcomer does after `npm ci`: `npm start`, paste the command it shows, Ctrl-C. Takes free
 * ports, so that it runs beside a server that is in use.
 */
import { spawn } from 'node:child_process';

const startedAt = performance.now();
const server = spawn('npm', ['start', '--silent', '--', '--port', '0', '--grpc-port', '0'], {
  stdio: ['ignore', 'pipe', 'inherit'],
  detached: true,
});
const stop = (signal) => process.kill(-server.pid, signal);
const tooLong = setTimeout(() => {
  console.error('no answer within 30 s');
  stop('SIGKILL');
  process.exit(1);
}, 30_000);

const url = await new Promise((resolve, reject) => {
  let said = '';
  server.stdout.on('data', (data) => {
    said += data;
    const found = /OpenAI +(http\S+)\/v1/.exec(said);
    if (found && said.includes('curl -N')) resolve(found[1]);
  });
  server.on('exit', (code) => reject(new Error(`npm start ended with ${code}: ${said}`)));
});
const { data } = await (await fetch(`${url}/v1/models`)).json();
const answer = await fetch(`${url}/v1/chat/completions`, {
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({
    model: data[0].id,
    stream: true,
    max_tokens: 5,
    ignore_eos: true,
    messages: [{ role: 'user', content: 'hi' }],
  }),
});
const frames = (await answer.text()).split('\n\n').filter((frame) => frame !== '');
const texts = frames.filter((frame) => /"content":"[^"]/.test(frame));
if (texts.length !== 5 || frames.at(-1) !== 'data: [DONE]') {
  console.error(`expected five tokens and [DONE], got ${frames.join('\n')}`);
  stop('SIGKILL');
  process.exit(1);
}
console.log(`a streamed answer after ${Math.round(performance.now() - startedAt)} ms`);
server.removeAllListeners('exit');
const ended = new Promise((resolve) => server.on('exit', resolve));
stop('SIGTERM');
await ended;
clearTimeout(tooLong);
await fetch(url).then(
  () => {
    console.error('it still listens after SIGTERM');
    process.exit(1);
  },
  () => console.log('stopped by SIGTERM'),
);
