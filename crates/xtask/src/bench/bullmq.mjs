// No-op jobs through BullMQ: node bullmq.mjs PORT JOBS CONCURRENCY.
//
// Adds the jobs, prints "ready", waits for a line, works everything off with one Worker, and prints the seconds that took.
// Settings are BullMQ's own: like veobatch, it keeps what is done.
import { Queue, Worker } from 'bullmq';
import { createInterface } from 'node:readline';

const [port, jobs, concurrency] = process.argv.slice(2).map(Number);
const connection = { host: '127.0.0.1', port, maxRetriesPerRequest: null };
const name = `noop-${concurrency}`;
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

const queue = new Queue(name, { connection });
for (let first = 0; first < jobs; first += 1000) {
  const count = Math.min(1000, jobs - first);
  await queue.addBulk(Array.from({ length: count }, (_, n) => ({ name: 'noop', data: { n: first + n } })));
}
console.log('ready');
await lines.next();

const since = process.hrtime.bigint();
let done = 0;
const worker = new Worker(name, async () => {}, { connection, concurrency });
await new Promise((resolve) => worker.on('completed', () => { done += 1; if (done === jobs) resolve(); }));
console.log(Number(process.hrtime.bigint() - since) / 1e9);
await lines.next();
process.exit(0);
