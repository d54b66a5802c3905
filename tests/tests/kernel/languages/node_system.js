// Node's timers, workers, processes, files, network and streams over the system.
'use strict';
const { Worker, isMainThread, parentPort, workerData, MessageChannel } = require('worker_threads');
const assert = require('assert');
const child = require('child_process');
const crypto = require('crypto');
const dgram = require('dgram');
const dns = require('dns');
const events = require('events');
const fs = require('fs');
const http = require('http');
const net = require('net');
const os = require('os');
const path = require('path');
const { Readable, Transform, pipeline: plain } = require('stream');
const pipeline = require('util').promisify(plain);
const wait = require('util').promisify(setTimeout);
const zlib = require('zlib');
const run = require('util').promisify(child.execFile);

const section = name => console.log(`== ${name}`);

if (!isMainThread) {
  const { shared, times } = workerData;
  const cells = new Int32Array(shared);
  for (let n = 0; n < times; n++) Atomics.add(cells, 0, 1);
  parentPort.once('message', ({ port, list }) => {
    port.postMessage(list.reduce((a, b) => a + b));
    Atomics.wait(cells, 1, 0);
    parentPort.postMessage('woken');
    parentPort.close();
  });
  return;
}

async function timers() {
  section('timers');
  const order = [];
  setTimeout(() => order.push('timeout 60'), 60);
  setTimeout(() => order.push('timeout 20'), 20);
  setImmediate(() => order.push('immediate'));
  process.nextTick(() => order.push('tick'));
  Promise.resolve().then(() => order.push('promise'));
  let ticks = 0;
  await new Promise(done => { const t = setInterval(() => { if (++ticks === 5) { clearInterval(t); done(); } }, 10); });
  await wait(100);
  console.log(order.sort().join(), ticks);
  const start = process.hrtime.bigint();
  await wait(30);
  console.log(process.hrtime.bigint() - start >= 29000000n);
}

async function workers() {
  section('workers');
  const shared = new SharedArrayBuffer(8);
  const cells = new Int32Array(shared);
  const all = [1, 2, 3, 4].map(() => new Worker(__filename, { workerData: { shared, times: 10000 } }));
  const sums = all.map((worker, n) => {
    const { port1, port2 } = new MessageChannel();
    worker.postMessage({ port: port2, list: [n, n, n] }, [port2]);
    return events.once(port1, 'message').then(([sum]) => { port1.close(); return sum; });
  });
  console.log((await Promise.all(sums)).join(), cells[0]);
  const woken = all.map(worker => events.once(worker, 'message'));
  await wait(50);
  Atomics.store(cells, 1, 1);
  Atomics.notify(cells, 1);
  console.log((await Promise.all(woken)).join());
  await Promise.all(all.map(worker => worker.terminate()));
  const bad = new Worker('throw new Error("in a worker")', { eval: true });
  console.log((await events.once(bad, 'error'))[0].message);
}

async function processes() {
  section('processes');
  console.log((await run('sh', ['-c', 'echo out; echo $0', 'zero'])).stdout.trim());
  console.log(await run('sh', ['-c', 'exit 5']).catch(e => e.code), await run('/nowhere').catch(e => e.code));
  const cat = child.spawn('cat');
  cat.stdin.end('x'.repeat(1 << 20));
  let size = 0;
  for await (const chunk of cat.stdout) size += chunk.length;
  console.log(size);
  const sleeper = child.spawn('sleep', ['100'], { detached: true, stdio: 'ignore' });
  sleeper.kill('SIGTERM');
  console.log((await events.once(sleeper, 'exit')).join());
  const code = 'process.on("message", m => { process.send(m.map(n => n * 2)); process.disconnect(); })';
  fs.writeFileSync('forked.js', code);
  const forked = child.fork('./forked.js');
  forked.send([1, 2, 3]);
  console.log((await events.once(forked, 'message'))[0].join());
  await events.once(forked, 'exit');
  console.log(child.execSync('cat', { input: 'synchronous' }).toString(), child.spawnSync('sh', ['-c', 'kill -9 $$']).signal);
  const many = await Promise.all(Array.from({ length: 20 }, (_, n) => run('echo', [n])));
  console.log(many.map(({ stdout }) => stdout.trim()).join());
  const timeout = await run('sleep', ['100'], { timeout: 50 }).catch(e => e);
  console.log(timeout.killed, timeout.signal);
}

async function signals() {
  section('signals');
  const alive = setInterval(() => {}, 1000);
  for (const name of ['SIGUSR2', 'SIGHUP', 'SIGWINCH']) {
    const arrived = events.once(process, name);
    process.kill(process.pid, name);
    console.log((await arrived)[0]);
  }
  clearInterval(alive);
}

async function files() {
  section('files');
  await fs.promises.mkdir('a/b/c', { recursive: true });
  await Promise.all(Array.from({ length: 100 }, (_, n) => fs.promises.writeFile(`a/b/f${n}`, 'y'.repeat(n))));
  const sizes = await Promise.all(fs.readdirSync('a/b').filter(name => name !== 'c').map(async name => (await fs.promises.stat(`a/b/${name}`)).size));
  console.log(sizes.reduce((a, b) => a + b));
  fs.renameSync('a/b/f9', 'moved');
  fs.symlinkSync('moved', 'soft');
  fs.linkSync('moved', 'hard');
  fs.chmodSync('moved', 0o640);
  console.log(fs.readlinkSync('soft'), fs.statSync('hard').nlink, fs.statSync('moved').mode.toString(8));
  fs.copyFileSync('moved', 'copied', fs.constants.COPYFILE_EXCL);
  console.log(await fs.promises.copyFile('moved', 'copied', fs.constants.COPYFILE_EXCL).catch(e => e.code));
  const handle = await fs.promises.open('positions', 'w+');
  await handle.write('abcdef', 10);
  await handle.truncate(13);
  console.log((await handle.read(Buffer.alloc(20), 0, 20, 8)).bytesRead, (await handle.stat()).size);
  await handle.sync();
  await handle.close();
  const watcher = fs.watch('a');
  const changed = events.once(watcher, 'change');
  fs.writeFileSync('a/new', '');
  console.log((await changed).join());
  watcher.close();
  const names = [];
  for await (const entry of await fs.promises.opendir('a/b')) if (entry.isDirectory()) names.push(entry.name);
  console.log(names.join());
  fs.rmSync('a', { recursive: true });
  console.log(fs.existsSync('a'), fs.realpathSync('soft') === path.resolve('moved'));
}

async function streams() {
  section('streams');
  const lines = Readable.from((function* () { for (let n = 0; n < 50000; n++) yield `line ${n}\n`; })());
  await pipeline(lines, zlib.createGzip({ level: 1 }), fs.createWriteStream('lines.gz'));
  const hash = crypto.createHash('sha256');
  const upper = new Transform({ transform(chunk, _, done) { done(null, chunk.toString().toUpperCase()); } });
  await pipeline(fs.createReadStream('lines.gz'), zlib.createGunzip(), upper, hash);
  console.log(hash.digest('hex'));
  console.log((await require('util').promisify(crypto.pbkdf2)('p', 's', 1000, 16, 'sha256')).toString('hex'));
  console.log((await Promise.all([1, 2, 3, 4].map(() => new Promise(done => crypto.randomBytes(8, (_, b) => done(b.length)))))).join());
}

async function network() {
  section('network');
  const echo = net.createServer(socket => socket.pipe(socket)).listen(0, '127.0.0.1');
  await events.once(echo, 'listening');
  const totals = await Promise.all(Array.from({ length: 20 }, async () => {
    const socket = net.connect(echo.address().port, '127.0.0.1');
    socket.end(Buffer.alloc(200000, 'z'));
    let total = 0;
    for await (const chunk of socket) total += chunk.length;
    return total;
  }));
  console.log(totals.every(total => total === 200000));
  const { port } = echo.address();
  echo.close();
  await events.once(echo, 'close');
  console.log((await events.once(net.connect(port, '127.0.0.1'), 'error').catch(e => [e]))[0].code);
  const unix = net.createServer(socket => socket.end('over unix')).listen(path.resolve('socket'));
  await events.once(unix, 'listening');
  for await (const chunk of net.connect(path.resolve('socket'))) console.log(chunk.toString());
  unix.close();
  const one = dgram.createSocket('udp4').bind(0, '127.0.0.1');
  await events.once(one, 'listening');
  const two = dgram.createSocket('udp4');
  two.send('datagram', one.address().port, '127.0.0.1');
  console.log((await events.once(one, 'message'))[0].toString());
  one.close();
  two.close();
  console.log((await dns.promises.lookup('localhost', { family: 4 })).address);
}

function ask(agent, port, number) {
  return new Promise((done, failed) => {
    const request = http.request({ agent, port, host: '127.0.0.1', method: 'POST', path: `/${number}` }, async response => {
      let text = '';
      for await (const chunk of response) text += chunk;
      done(`${response.statusCode} ${text.length}`);
    });
    request.on('error', failed);
    request.end('b'.repeat(number * 1000));
  });
}

async function web() {
  section('http');
  const server = http.createServer(async (request, response) => {
    let text = '';
    for await (const chunk of request) text += chunk;
    response.writeHead(request.url === '/7' ? 404 : 200, { 'Content-Type': 'text/plain' });
    response.end(text);
  }).listen(0, '127.0.0.1');
  await events.once(server, 'listening');
  const agent = new http.Agent({ keepAlive: true, maxSockets: 5 });
  const answers = await Promise.all(Array.from({ length: 40 }, (_, n) => ask(agent, server.address().port, n)));
  console.log(answers[7], answers.every((answer, n) => answer === `${n === 7 ? 404 : 200} ${n * 1000}`));
  agent.destroy();
  server.close();
}

function memory() {
  section('memory');
  let kept = [];
  for (let n = 0; n < 40; n++) { kept.push(Buffer.alloc(1 << 20, n)); if (n % 10 === 9) kept = []; }
  const objects = Array.from({ length: 300000 }, (_, n) => ({ n, text: `object ${n}` }));
  console.log(objects.length, objects.reduce((sum, o) => sum + o.text.length, 0));
  const bytes = new WebAssembly.Memory({ initial: 1, maximum: 100 });
  console.log(bytes.grow(10), bytes.buffer.byteLength, os.cpus().length > 0, os.totalmem() > 0);
  console.log(child.spawnSync(process.execPath, ['-e', 'process.abort()']).signal);
}

async function main() {
  process.chdir(fs.mkdtempSync(path.join(os.tmpdir(), 'node-')));
  for (const part of [timers, workers, processes, signals, files, streams, network, web, memory]) await part();
  process.exitCode = 3;
}

process.on('exit', code => console.log('exit', code));
main().catch(error => { console.log(error); process.exit(1); });
